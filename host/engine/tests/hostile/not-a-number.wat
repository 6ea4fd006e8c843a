;; Votes by the bits of a NaN that the processor made: they differ between machines unless they are canonical.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (local $bits i64)
  (local.set $bits
    (i64.reinterpret_f64
      (f64.mul
        (f64.sqrt (f64.convert_i32_s (i32.sub (i32.const 0) (i32.load offset=28 (local.get $observation)))))
        (f64.reinterpret_i64 (i64.const 0xfff7000000000123)))))
  (call $verdict
    (i32.wrap_i64 (i64.rotl (local.get $bits) (i64.const 16)))
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
