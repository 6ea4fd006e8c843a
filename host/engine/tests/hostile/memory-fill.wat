;; Fills its memory again and again: single instructions that take milliseconds.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (drop (memory.grow (i32.const 250)))
  (loop $forever
    (memory.fill (i32.const 65536) (i32.const 7) (i32.const 16000000))
    (br $forever))
  unreachable)
