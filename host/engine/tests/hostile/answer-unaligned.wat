;; Its answer begins at an odd address.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.const 1025))
