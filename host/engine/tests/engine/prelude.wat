  ;; What a policy needs beside `evaluate`. Each file of tests/hostile is put behind this, in the same module.
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 16384))

  ;; A bump arena: nothing is ever freed, the instance lives for one call.
  (func $realloc (export "cabi_realloc") (param $old i32) (param $old_size i32) (param $align i32) (param $size i32)
    (result i32)
    (local $at i32)
    (local.set $at
      (i32.and
        (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
        (i32.sub (i32.const 0) (local.get $align))))
    (global.set $next (i32.add (local.get $at) (local.get $size)))
    (if (i32.gt_u (global.get $next) (i32.mul (memory.size) (i32.const 65536)))
      (then
        (if (i32.eq
              (memory.grow
                (i32.sub
                  (i32.div_u (i32.add (global.get $next) (i32.const 65535)) (i32.const 65536))
                  (memory.size)))
              (i32.const -1))
          (then unreachable))))
    (local.get $at))

  (func (export "maestro:policy/policy@0.1.0#validate") (param i32 i32) (result i32)
    (i32.const 64))

  ;; A verdict for so many rooms, at address 1024.
  (func $verdict (param $total i32) (param $reason i32) (param $reason_len i32) (param $state i32) (param $state_len i32)
    (result i32)
    (i32.store8 (i32.const 1024) (i32.const 0))
    (i32.store8 (i32.const 1028) (i32.const 1))
    (i32.store (i32.const 1032) (local.get $total))
    (i32.store8 (i32.const 1036) (i32.const 0))
    (i32.store (i32.const 1040) (local.get $reason))
    (i32.store (i32.const 1044) (local.get $reason_len))
    (i32.store (i32.const 1048) (local.get $state))
    (i32.store (i32.const 1052) (local.get $state_len))
    (i32.const 1024))
