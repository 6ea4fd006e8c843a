;; Panics.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  unreachable)
