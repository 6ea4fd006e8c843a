;; Never ends.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (loop $forever (br $forever))
  unreachable)
