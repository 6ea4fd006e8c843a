# shellcheck shell=bash
# All ports of the testbed. Each is MAESTRO_TESTBED_PORTS (17000) plus the number below, or what
# MAESTRO_TESTBED_PORT_<NAME> says. The default lies under the range of ephemeral ports, so that no outgoing connection
# sits on one, and far from the servers' usual ports, so that a Postgres of your own does not matter.

port_names=(
    postgres redis redis_tls redis_cluster_1 redis_cluster_2 redis_cluster_3
    redis_bus_1 redis_bus_2 redis_bus_3
    etcd etcd_peer apiserver controller_manager scheduler metrics_server kwok kwok_lonely
)
declare -A port_offsets=(
    [postgres]=0
    [redis]=10 [redis_tls]=11
    [redis_cluster_1]=21 [redis_cluster_2]=22 [redis_cluster_3]=23
    [redis_bus_1]=31 [redis_bus_2]=32 [redis_bus_3]=33
    [etcd]=40 [etcd_peer]=41 [apiserver]=42 [controller_manager]=43 [scheduler]=44 [metrics_server]=45
    [kwok]=46 [kwok_lonely]=47
)
declare -A port=()

is_port() {
    [[ $1 =~ ^[0-9]{1,5}$ ]] && [ "$1" -ge 1 ] && [ "$1" -le 65535 ]
}

# Fills `port` from the environment.
ports_from_environment() {
    local name variable base=${MAESTRO_TESTBED_PORTS:-17000}
    if ! is_port "$base" || [ "$base" -lt 1024 ] || [ "$base" -gt 65400 ]; then
        fail "MAESTRO_TESTBED_PORTS is \"$base\"; expected the first of a hundred free ports, 1024 to 65400"
    fi
    port[base]=$base
    for name in "${port_names[@]}"; do
        variable=MAESTRO_TESTBED_PORT_${name^^}
        port[$name]=${!variable:-$((base + port_offsets[$name]))}
        is_port "${port[$name]}" || fail "$variable is \"${port[$name]}\"; expected a port, 1 to 65535"
    done
}

# Fills `port` with what a running testbed was made with, or from the environment when there is none.
load_ports() {
    local name value
    if [ ! -f "$run/ports" ]; then
        ports_from_environment
        return
    fi
    while read -r name value; do
        port[$name]=$value
    done <"$run/ports"
}

# For `up`: what was recorded stays, unless the environment asks for something else, which needs a `down` before.
settle_ports() {
    local name
    if [ -f "$run/ports" ]; then
        if [ -n "$(compgen -v MAESTRO_TESTBED_PORT)" ]; then
            ports_from_environment
            [ "$(print_ports)" = "$(<"$run/ports")" ] ||
                fail "the testbed in $run has other ports than MAESTRO_TESTBED_PORT… ask for; run deploy/testbed/down first, or name another folder in MAESTRO_TESTBED"
        fi
        load_ports
        return
    fi
    ports_from_environment
    print_ports | write "$run/ports" 644
}

print_ports() {
    local name
    for name in base "${port_names[@]}"; do
        echo "$name ${port[$name]}"
    done
}

# check_free PORT WHAT: fails with who holds the port
check_free() {
    local holder
    if command -v ss >/dev/null; then
        holder=$(ss -Hltnp "sport = :$1" | grep -oE 'users:.*|LISTEN.*' | head -n 1 || true)
        [ -n "$holder" ] || return 0
    else
        (: <"/dev/tcp/127.0.0.1/$1") 2>/dev/null || return 0
        holder="somebody; install iproute2 to see who"
    fi
    fail "port $1 for $2 is taken by ${holder}
End that, or choose other ports with MAESTRO_TESTBED_PORTS (a hundred from there on) or MAESTRO_TESTBED_PORT_…"
}
