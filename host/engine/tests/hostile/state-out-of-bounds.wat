;; So does its state.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (call $verdict (i32.const 1) (i32.const 0) (i32.const 0) (i32.const -16) (i32.const 64)))
