;; Has five memories.
(module
  (memory (export "memory") 1) (memory 1) (memory 1) (memory 1) (memory 1)
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
  (func (export "maestro:policy/policy@0.1.0#validate") (param i32 i32) (result i32) (i32.const 64))
  (func (export "maestro:policy/policy@0.1.0#evaluate") (param i32) (result i32) (i32.const 64)))
