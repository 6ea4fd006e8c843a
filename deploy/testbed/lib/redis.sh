# shellcheck shell=bash
# Redis: one single server (plain and TLS port, and a user with fewer rights beside the default one), and a cluster of
# three masters. Nothing is written to disk but what the cluster's nodes know of each other.

# Of the scripts that source this.
# shellcheck disable=SC2034
redis_masters=(redis-cluster-1 redis-cluster-2 redis-cluster-3)

packages_of_redis() {
    echo redis-server=redis-server
    echo redis-cli=redis-tools
}

up_redis() {
    up_redis_single
    up_redis_cluster
}

up_redis_single() {
    local folder=$run/redis
    mkdir -p "$folder"
    write "$folder/redis.conf" 600 <<CONFIGURATION
bind 127.0.0.1
port ${port[redis]}
tls-port ${port[redis_tls]}
tls-cert-file $run/pki/loopback.crt
tls-key-file $run/pki/loopback.key
tls-ca-cert-file $run/pki/ca.crt
tls-auth-clients no
dir $folder
save ""
appendonly no
maxmemory 256mb
maxmemory-policy noeviction
# What an operator gives a service: all keys and scripts, but nothing that looks at or harms the server itself.
user maestro on >$password ~* &* +@all -@admin -@dangerous +info
CONFIGURATION
    define redis "redis redis_tls" KILL "127.0.0.1:${port[redis]} (TLS ${port[redis_tls]})" redis-server "$folder/redis.conf"
    wait_ready redis 30
    say "redis: ready on 127.0.0.1:${port[redis]}, TLS on ${port[redis_tls]} ($(redis-server --version | grep -oE 'v=[0-9.]+' | cut -c3-))"
}

up_redis_cluster() {
    local number folder addresses=()
    for number in 1 2 3; do
        folder=$run/redis-cluster-$number
        addresses+=("127.0.0.1:${port[redis_cluster_$number]}")
        mkdir -p "$folder"
        # A second is long enough for a loaded machine to answer in, and short enough for a test of a lost master.
        write "$folder/redis.conf" 600 <<CONFIGURATION
bind 127.0.0.1
port ${port[redis_cluster_$number]}
cluster-enabled yes
cluster-port ${port[redis_bus_$number]}
cluster-config-file nodes.conf
cluster-node-timeout 2000
cluster-require-full-coverage yes
dir $folder
save ""
appendonly no
maxmemory 128mb
maxmemory-policy noeviction
CONFIGURATION
        define "redis-cluster-$number" "redis_cluster_$number redis_bus_$number" KILL "${addresses[-1]}" redis-server "$folder/redis.conf"
    done
    # A master by itself never says "ok"; it must only answer for the cluster to be made.
    for number in 1 2 3; do
        until redis-cli -p "${port[redis_cluster_$number]}" PING >/dev/null 2>&1; do
            is_alive "redis-cluster-$number" || fail "redis-cluster-$number ended: $(tail -n 5 "$run/log/redis-cluster-$number.log")"
            sleep 0.05
        done
    done
    if [ ! -f "$run/redis-cluster-1/.created" ]; then
        # One that was cut off leaves nodes that know of each other, which are refused.
        for number in 1 2 3; do
            redis-cli -p "${port[redis_cluster_$number]}" FLUSHALL >/dev/null
            redis-cli -p "${port[redis_cluster_$number]}" CLUSTER RESET HARD >/dev/null
        done
        redis-cli --cluster create "${addresses[@]}" --cluster-replicas 0 --cluster-yes >"$run/log/redis-cluster.log" 2>&1 ||
            fail "the Redis Cluster can't be made: $(tail -n 5 "$run/log/redis-cluster.log")"
        : >"$run/redis-cluster-1/.created"
    fi
    for number in 1 2 3; do
        wait_ready "redis-cluster-$number" 30
    done
    say "redis cluster: three masters on ${addresses[*]}"
}

wipe_redis() {
    redis-cli -p "${port[redis]}" FLUSHALL >/dev/null
    redis-cli -p "${port[redis]}" SCRIPT FLUSH >/dev/null
}

wipe_redis_cluster() {
    local number
    for number in 1 2 3; do
        redis-cli -p "${port[redis_cluster_$number]}" FLUSHALL >/dev/null
        redis-cli -p "${port[redis_cluster_$number]}" SCRIPT FLUSH >/dev/null
    done
}

print_redis_environment() {
    local number nodes=()
    for number in 1 2 3; do
        nodes+=("redis://127.0.0.1:${port[redis_cluster_$number]}")
    done
    cat <<ENVIRONMENT
# One server: plain, TLS, and the user \`maestro\` (no @admin, no @dangerous commands but INFO) both ways.
export MAESTRO_TESTBED_REDIS='redis://127.0.0.1:${port[redis]}'
export MAESTRO_TESTBED_REDIS_TLS='rediss://localhost:${port[redis_tls]}'
export MAESTRO_TESTBED_REDIS_ACL='redis://maestro:$password@127.0.0.1:${port[redis]}'
export MAESTRO_TESTBED_REDIS_TLS_ACL='rediss://maestro:$password@localhost:${port[redis_tls]}'
# Three masters, no replicas.
export MAESTRO_TESTBED_REDIS_CLUSTER='$(IFS=,; echo "${nodes[*]}")'
ENVIRONMENT
}
