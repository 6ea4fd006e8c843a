;; A component that is no policy.
(component
  (core module $inner (memory (export "memory") 1))
  (core instance $inner (instantiate $inner)))
