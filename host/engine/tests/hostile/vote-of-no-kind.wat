;; Its vote is neither of the two that there are.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (drop (call $verdict (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
  (i32.store8 (i32.const 1028) (i32.const 7))
  (i32.const 1024))
