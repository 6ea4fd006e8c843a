# shellcheck shell=bash
# All ports of the testbed. Each is MAESTRO_TESTBED_PORTS (17000) plus the number below, or what
# MAESTRO_TESTBED_PORT_<NAME> says. The default lies under the range of ephemeral ports, so that no outgoing connection
# sits on one, and far from the servers' usual ports, so that a Postgres of your own does not matter.

# By what starts on them: a part of `up --only`, or a tier of Kubernetes.
declare -A part_ports=(
    [postgres]="postgres"
    [redis]="redis redis_tls redis_cluster_1 redis_cluster_2 redis_cluster_3 redis_bus_1 redis_bus_2 redis_bus_3"
    [api]="etcd etcd_peer apiserver"
    [kwok]="controller_manager scheduler metrics_server kwok kwok_lonely"
)
read -ra port_names <<<"${part_ports[postgres]} ${part_ports[redis]} ${part_ports[api]} ${part_ports[kwok]}"
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

# For `up`: ports that something was started on stay, and another wish for one of those needs a `down` before. The others are
# free to choose until then.
settle_ports() {
    local name value started
    if [ -f "$run/ports" ] && [ -z "$(compgen -v MAESTRO_TESTBED_PORT)" ] && [ -n "$(recorded_names)" ]; then
        load_ports
        return
    fi
    ports_from_environment
    if [ -f "$run/ports" ]; then
        mapfile -t started < <(started_ports)
        while read -r name value; do
            if is_in "$name" "${started[@]}" && [ "${port[$name]}" != "$value" ]; then
                fail "the testbed in $run has $value as its port $name, and MAESTRO_TESTBED_PORT… asks for ${port[$name]}; run deploy/testbed/down first, or name another folder in MAESTRO_TESTBED"
            fi
        done <"$run/ports"
    fi
    print_ports | write "$run/ports" 644
}

# The names of the ports of what was ever started. The real node's network is named after the first of all.
started_ports() {
    local name
    for name in $(recorded_names); do
        tr ' ' '\n' <"$run/servers/$name/ports"
    done
    ! is_recorded node || echo base
}

print_ports() {
    local name
    for name in base "${port_names[@]}"; do
        echo "$name ${port[$name]}"
    done
}

# check_part_ports PART…: before anything of them is started, so that other ports can still be chosen for all
check_part_ports() {
    local part name running='' needed=''
    for name in $(living_names); do
        running+=" $(<"$run/servers/$name/ports")"
    done
    for part; do
        if [ "$part" != kubernetes ]; then
            needed+=" ${part_ports[$part]}"
        elif has_tier kwok; then
            needed+=" ${part_ports[api]} ${part_ports[kwok]}"
        else
            needed+=" ${part_ports[api]}"
        fi
    done
    for name in $needed; do
        [[ " $running " == *" $name "* ]] || check_free "$name" "${name//_/ }"
    done
}

# check_ports SERVER PORTS: that a server's ports, a list of names, are free
check_ports() {
    local one
    for one in $2; do
        check_free "$one" "$1"
    done
}

# check_free NAME WHAT: fails with who holds the port of that name
check_free() {
    local number=${port[$1]} holder
    if command -v ss >/dev/null; then
        holder=$(ss -Hltnp "sport = :$number" | grep -oE 'users:.*|LISTEN.*' | head -n 1 || true)
        [ -n "$holder" ] || return 0
    else
        (: <"/dev/tcp/127.0.0.1/$number") 2>/dev/null || return 0
        holder="somebody; install iproute2 to see who"
    fi
    fail "port $number for $2 is taken by ${holder}
End that, or choose another port with MAESTRO_TESTBED_PORT_${1^^}, or others for all with MAESTRO_TESTBED_PORTS (a hundred from there on;
after deploy/testbed/down, if servers of this testbed run)"
}
