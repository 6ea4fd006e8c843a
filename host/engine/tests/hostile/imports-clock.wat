;; Wants to know what time it is.
(component
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance (export "now" (func (result u64)))))
  (component $policy)
  (instance $policy (instantiate $policy))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
