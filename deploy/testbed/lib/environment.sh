# shellcheck shell=bash
# The env file: where everything is, for tests and for people. To be read with `source`.

write_environment() {
    {
        echo "# Written by deploy/testbed/up. All of it listens on loopback and is thrown away by deploy/testbed/down."
        echo "export MAESTRO_TESTBED='$run'"
        echo "# \"\$MAESTRO_TESTBED_SERVER\" NAME stop|start|pause|continue|wipe: to try what happens when one of them is gone."
        echo "export MAESTRO_TESTBED_SERVER='$testbed/server'"
        [ ! -f "$run/pki/ca.crt" ] || echo "export MAESTRO_TESTBED_CA='$run/pki/ca.crt'"
        ! is_recorded postgres || print_postgres_environment
        ! is_recorded redis || print_redis_environment
        ! is_recorded apiserver || print_kubernetes_environment
    } | write "$run/env" 600
}
