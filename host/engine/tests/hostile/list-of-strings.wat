;; Answers with a list of 100,000 texts, each of them the same megabyte: 100 GB if anybody copied them. The contract
;; has no such type, in the long form that spells out every option.
(component
  (core module $inner
    (memory (export "memory") 40)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 2097152))
    (func (export "validate") (param i32 i32) (result i32) (i32.const 64))
    (func (export "evaluate") (param i32 i32) (result i32)
      (i32.store (i32.const 64) (i32.const 1048576))
      (i32.store (i32.const 68) (i32.const 100000))
      (i32.const 64)))
  (core instance $inner (instantiate $inner))
  (func $validate (param "parameters" string) (result (result (error string)))
    (canon lift (core func $inner "validate") string-encoding=utf8
      (memory (core memory $inner "memory")) (realloc (core func $inner "cabi_realloc"))))
  (func $evaluate (param "observation" string) (result (list string))
    (canon lift (core func $inner "evaluate") string-encoding=utf8
      (memory (core memory $inner "memory")) (realloc (core func $inner "cabi_realloc"))))
  (instance $policy (export "validate" (func $validate)) (export "evaluate" (func $evaluate)))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
