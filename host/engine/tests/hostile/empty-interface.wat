;; Exports an interface of the right name with nothing in it.
(component
  (component $policy)
  (instance $policy (instantiate $policy))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
