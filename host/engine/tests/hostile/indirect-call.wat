;; Calls a function through an empty place of its table.
(table $table 4 funcref)
(type $thunk (func (result i32)))
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (call_indirect $table (type $thunk) (i32.const 2)))
