;; Its state has one byte more than is kept.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (call $verdict (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 4096) (i32.const 4097)))
