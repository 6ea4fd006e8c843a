# shellcheck shell=bash
# Servers as processes: started in the background, recorded by pid and start time, ended by that record alone. A pid
# that was given to another process since then has another start time, so that nothing else is ever hit.
#
# A server's record is the folder $run/servers/NAME: `command` (how to start it), `ports`, `address`, `signal` (how to
# end it), `pid` (pid, start time, boot).

# start_time PID -> in ticks since boot; fails for no process and for a zombie, which only waits to be reaped
start_time() {
    local stat fields threads
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    # The second field is the program's name in brackets and may hold spaces.
    read -ra fields <<<"${stat##*) }"
    if [[ ${fields[0]} == [ZX] ]]; then
        # The first thread of a killed process may be gone while others still hold its ports.
        threads=("/proc/$1/task/"*)
        [ "${#threads[@]}" -gt 1 ] || return 1
    fi
    echo "${fields[19]}"
}

boot() {
    cat /proc/sys/kernel/random/boot_id
}

# recorded_pid NAME -> its pid; fails unless that very process lives
recorded_pid() {
    local pid started recorded_boot
    [ -f "$run/servers/$1/pid" ] || return 1
    read -r pid started recorded_boot <"$run/servers/$1/pid"
    [ "$recorded_boot" = "$(boot)" ] || return 1
    [ "$(start_time "$pid")" = "$started" ] || return 1
    echo "$pid"
}

# What it does, in the kernel's words
process_state() {
    sed -n 's/^State:[[:space:]]*//p' "/proc/$1/status" 2>/dev/null || echo gone
}

is_alive() {
    recorded_pid "$1" >/dev/null
}

is_recorded() {
    [ -d "$run/servers/$1" ]
}

is_paused() {
    local pid stat
    pid=$(recorded_pid "$1") || return 1
    stat=$(<"/proc/$pid/stat")
    [[ ${stat##*) } == T* ]]
}

# All recorded servers in the order in which they were first started.
recorded_names() {
    [ ! -f "$run/order" ] || cat "$run/order"
}

living_names() {
    local name
    for name in $(recorded_names); do
        ! is_alive "$name" || echo "$name"
    done
}

# define NAME PORTS SIGNAL ADDRESS COMMAND…: records how to run a server and makes it run so. PORTS is a list of names of
# lib/ports.sh, or empty. One that runs by the same command already is left alone.
define() {
    local name=$1 ports=$2 signal=$3 address=$4 command folder=$run/servers/$1
    shift 4
    command=$(printf '%q ' "$@")
    if is_alive "$name"; then
        if [ "$command" = "$(<"$folder/command")" ]; then
            return 0
        fi
        say "$name is started anew: its command changed"
        end "$name"
    elif [ -f "$folder/pid" ]; then
        say "$name had ended; it is started again"
    fi
    # Before it is on record: what can't start leaves its ports open to another choice.
    check_ports "$name" "$ports"
    mkdir -p "$folder"
    echo "$ports" >"$folder/ports"
    echo "$signal" >"$folder/signal"
    echo "$address" >"$folder/address"
    echo "$command" >"$folder/command"
    grep -qx -- "$name" "$run/order" 2>/dev/null || echo "$name" >>"$run/order"
    launch "$name"
}

# start NAME: as it was defined
start() {
    check_ports "$1" "$(<"$run/servers/$1/ports")"
    launch "$1"
}

launch() {
    local name=$1 folder=$run/servers/$1 started pid
    if declare -F "before_start_$name" >/dev/null; then
        "before_start_$name"
    fi
    # In a session of its own, so that a Ctrl-C here doesn't reach it. setsid becomes the server: $! is its pid. The lock
    # (9) must not live on in it. They speak with one another alone, so that no proxy is of use.
    (
        cd "$run" || exit
        export NO_PROXY='*' no_proxy='*'
        exec setsid bash -c "exec $(<"$folder/command")"
    ) >>"$run/log/$name.log" 2>&1 </dev/null 9>&- &
    pid=$!
    started=$(start_time "$pid") || started=0
    echo "$pid $started $(boot)" >"$folder/pid"
}

# wait_ready NAME SECONDS: until its probe (lib/probes.sh) says yes; fails with the end of its log
wait_ready() {
    local name=$1 deadline=$((EPOCHSECONDS + $2)) why
    until why=$(probe "$name"); do
        if ! is_alive "$name"; then
            fail "$name ended while starting. The end of $run/log/$name.log:
$(tail -n 15 "$run/log/$name.log")"
        fi
        if [ "$EPOCHSECONDS" -gt "$deadline" ]; then
            fail "$name is not ready after $2 s: $why. The end of $run/log/$name.log:
$(tail -n 15 "$run/log/$name.log")"
        fi
        sleep 0.05
    done
}

# The processes that a process started, with it first: Postgres serves each connection by one, in sessions of their own.
family() {
    local children child
    echo "$1"
    read -ra children <<<"$(cat "/proc/$1/task/"*/children 2>/dev/null | tr '\n' ' ')"
    for child in "${children[@]}"; do
        family "$child"
    done
}

# signal_all SIGNAL PID…: one by one, because some may have ended meanwhile
signal_all() {
    local signal=$1 pid
    shift
    for pid; do
        kill "-$signal" "$pid" 2>/dev/null || true
    done
}

# end NAME: by its signal, and by force where that doesn't do. One that hangs in the kernel (on a disk that is gone) takes
# no signal at all, so that even this gives up; its record stays, for another try.
end() {
    local name=$1 pid signal deadline
    if pid=$(recorded_pid "$name"); then
        signal=$(<"$run/servers/$name/signal")
        kill "-$signal" "$pid" 2>/dev/null || true
        # A paused process takes no signal but the last.
        kill -CONT "$pid" 2>/dev/null || true
        deadline=$((EPOCHSECONDS + 10))
        while is_alive "$name"; do
            [ "$EPOCHSECONDS" -le "$deadline" ] || kill -KILL "$pid" 2>/dev/null || true
            [ "$EPOCHSECONDS" -le $((deadline + 10)) ] ||
                fail "$name (pid $pid) does not end, not even by SIGKILL; it is $(process_state "$pid")"
            sleep 0.02
        done
    fi
    rm -f "$run/servers/$name/pid"
}

# pause NAME: it keeps its connections and answers nothing, like a machine that hangs
pause() {
    local pid members
    pid=$(recorded_pid "$1") || fail "$1 does not run"
    # Parents first: none of them starts another child meanwhile.
    mapfile -t members < <(family "$pid")
    signal_all STOP "${members[@]}"
}

continue_paused() {
    local pid members
    pid=$(recorded_pid "$1") || fail "$1 does not run"
    mapfile -t members < <(family "$pid" | tac)
    signal_all CONT "${members[@]}"
}
