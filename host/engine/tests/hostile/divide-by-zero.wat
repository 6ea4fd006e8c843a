;; Divides by zero.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.div_u (local.get $observation) (i32.const 0)))
