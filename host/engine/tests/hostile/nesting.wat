;; Components inside components.
(component
  (component (component (component (component (component (component))))))
  (component $policy)
  (instance $policy (instantiate $policy))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
