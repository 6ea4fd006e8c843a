;; Runs a function of the component model when it is linked.
(component
  (core module $inner (func (export "run") (loop $forever (br $forever))))
  (core instance $inner (instantiate $inner))
  (func $run (canon lift (core func $inner "run")))
  (start $run)
  (component $policy)
  (instance $policy (instantiate $policy))
  (export "maestro:policy/policy@0.1.0" (instance $policy)))
