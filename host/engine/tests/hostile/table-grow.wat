;; Grows its table until that is refused, and takes the refusal well.
(table $table 1 funcref)
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (loop $more
    (br_if $more (i32.ne (table.grow $table (ref.null func) (i32.const 5000)) (i32.const -1))))
  (call $verdict (table.size $table) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
