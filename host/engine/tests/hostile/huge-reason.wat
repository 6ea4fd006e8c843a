;; Its reason has ten megabytes.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (drop (memory.grow (i32.const 180)))
  (call $verdict (i32.const 1) (i32.const 131072) (i32.const 10485760) (i32.const 0) (i32.const 0)))
