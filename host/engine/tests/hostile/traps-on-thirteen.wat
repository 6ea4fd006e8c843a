;; Crashes when 13 rooms are wanted, and only then.
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (if (i32.eq (i32.load offset=28 (local.get $observation)) (i32.const 13)) (then unreachable))
  (call $verdict (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)))
