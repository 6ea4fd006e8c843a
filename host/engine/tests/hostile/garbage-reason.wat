;; Its reason clears the screen, moves the cursor and turns the direction of writing.
(data (i32.const 512) "fine\1b[2J\0d\00\07\e2\80\aeenif")
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (call $verdict (i32.const 9) (i32.const 512) (i32.const 18) (i32.const 0) (i32.const 0)))
