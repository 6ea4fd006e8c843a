;; Well-behaved: two more rooms than are occupied, and the state counts how often it was asked.
(data (i32.const 512) "two more than are occupied")
(func (export "maestro:policy/policy@0.1.0#evaluate") (param $observation i32) (result i32)
  (i32.store8
    (i32.const 768)
    (i32.add
      (if (result i32) (i32.eqz (i32.load offset=156 (local.get $observation)))
        (then (i32.const 0))
        (else (i32.load8_u (i32.load offset=152 (local.get $observation)))))
      (i32.const 1)))
  (call $verdict
    (i32.add (i32.load offset=44 (local.get $observation)) (i32.const 2))
    (i32.const 512) (i32.const 26)
    (i32.const 768) (i32.const 1)))
