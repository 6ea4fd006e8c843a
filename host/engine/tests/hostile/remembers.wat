;; Counts in its memory how often it was asked: always once, because nothing outlives a call.
(global $asked (mut i32) (i32.const 0))
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (global.set $asked (i32.add (global.get $asked) (i32.const 1)))
  (i32.store (i32.const 900) (i32.add (i32.load (i32.const 900)) (i32.const 1)))
  (call $verdict
    (i32.add (i32.mul (global.get $asked) (i32.const 100)) (i32.load (i32.const 900)))
    (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
