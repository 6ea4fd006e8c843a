;; Takes all the memory it gets and writes to every page of it, for ever.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (local $page i32)
  (loop $more
    (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
  (loop $forever
    (i32.store8 (i32.mul (local.get $page) (i32.const 65536)) (i32.const 1))
    (local.set $page (i32.rem_u (i32.add (local.get $page) (i32.const 1)) (memory.size)))
    (br $forever))
  unreachable)
