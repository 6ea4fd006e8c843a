;; Does not take its parameters.
(data (i32.const 512) "usage: more than 1")
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 1))
  (i32.store8 (i32.const 1028) (i32.const 0))
  (i32.store (i32.const 1032) (i32.const 512))
  (i32.store (i32.const 1036) (i32.const 18))
  (i32.const 1024))
