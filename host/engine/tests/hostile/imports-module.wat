;; A module inside imports a function, which the component gives it: a way around the check if only the outermost
;; imports were looked at.
(component
  (core module $inner
    (import "env" "now" (func (result i64)))
    (memory (export "memory") 1))
  (component $policy)
  (instance $policy (instantiate $policy))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
