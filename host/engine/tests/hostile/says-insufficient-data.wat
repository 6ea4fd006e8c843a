;; Has too little to go on.
(data (i32.const 512) "fewer than 3 samples")
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.store8 (i32.const 1024) (i32.const 1))
  (i32.store8 (i32.const 1028) (i32.const 1))
  (i32.store (i32.const 1032) (i32.const 512))
  (i32.store (i32.const 1036) (i32.const 20))
  (i32.const 1024))
