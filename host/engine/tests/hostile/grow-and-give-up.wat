;; Needs more memory than there is, and gives up as languages do.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then unreachable))
  (call $verdict (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
