# shellcheck shell=bash
# Whether a server does its work. Each probe asks the server itself, as a client would, and takes no longer than 2 s.

# probe NAME: succeeds, or says why not and fails
probe() {
    local name=$1
    if ! is_alive "$name"; then
        echo "ended"
        return 1
    fi
    if is_paused "$name"; then
        echo "paused"
        return 1
    fi
    case $name in
        postgres) probe_text postgres_answers 1 ;;
        redis) probe_text redis_answers PONG ;;
        redis-cluster-*) probe_text "cluster_answers ${name##*-}" cluster_state:ok ;;
        etcd) probe_http "http://127.0.0.1:${port[etcd]}/health" ;;
        apiserver) probe_http "$(apiserver_url)/readyz" ;;
        controller-manager) probe_http "https://127.0.0.1:${port[controller_manager]}/healthz" ;;
        scheduler) probe_http "https://127.0.0.1:${port[scheduler]}/healthz" ;;
        kwok) probe_http "https://127.0.0.1:${port[kwok]}/healthz" ;;
        kwok-lonely) probe_http "https://127.0.0.1:${port[kwok_lonely]}/healthz" ;;
        metrics-server) probe_http "https://127.0.0.1:${port[metrics_server]}/livez" ;;
        *) probe_node "$name" ;;
    esac
}

# probe_text COMMAND WORD: the command's answer is the word
probe_text() {
    local answer
    # The command is words, the first of them a function.
    # shellcheck disable=SC2086
    answer=$($1 2>&1) || true
    [ "$answer" = "$2" ] || {
        echo "${answer:-no answer}" | tail -n 1
        return 1
    }
}

postgres_answers() {
    PGPASSWORD=$password PGCONNECT_TIMEOUT=2 timeout 2 "$(postgres_bin)/psql" -X -A -t -q \
        -h 127.0.0.1 -p "${port[postgres]}" -U maestro -d postgres -c 'SELECT 1' </dev/null
}

redis_answers() {
    timeout 2 redis-cli -p "${port[redis]}" PING
}

cluster_answers() {
    timeout 2 redis-cli -p "${port[redis_cluster_$1]}" CLUSTER INFO | tr -d '\r' | grep cluster_state
}

probe_http() {
    local answer
    answer=$(curl --silent --show-error --fail --max-time 2 --noproxy '*' --cacert "$run/pki/ca.crt" \
        --header "Authorization: Bearer $admin_token" "$1" 2>&1) && return 0
    echo "${answer:-no answer from $1}" | tail -n 1
    return 1
}
