;; Reads memory that it does not have.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.load (i32.const -8)))
