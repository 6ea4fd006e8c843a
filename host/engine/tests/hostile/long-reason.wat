;; Its reason has 64 KiB, all of them commands to a terminal.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 27) (i32.const 65536))
  (call $verdict (i32.const 9) (i32.const 65536) (i32.const 65536) (i32.const 0) (i32.const 0)))
