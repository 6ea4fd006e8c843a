# shellcheck shell=bash
# What every script of the testbed knows: its folders, how it talks, how it waits. Sourced, never run.

testbed=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# What is dear to make (the Kubernetes binary) and outlives a testbed.
cache=${MAESTRO_TESTBED_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/maestro-testbed}
# What this testbed runs on: settings, data, keys, logs. `down` removes it whole.
run=${MAESTRO_TESTBED:-/tmp/maestro-testbed-$UID}
begun=$EPOCHREALTIME

# Passwords and tokens are known to everybody: all listen on loopback, hold nothing, and a test must be able to write
# them down. They are here once because servers, probes and the env file must agree.
password=testbed
admin_token='testbed-admin'

# Tools of administration live in sbin, which isn't on every user's PATH.
PATH=$PATH:/usr/sbin:/sbin
umask 077

# since MICROSECONDS -> seconds with one digit
since() {
    local now=${EPOCHREALTIME/[.,]/} then=${1/[.,]/}
    local tenths=$(((now - then) / 100000))
    printf '%d.%d' $((tenths / 10)) $((tenths % 10))
}

# Talk goes to stderr with the time since the script began: stdout is for what other programs read.
say() {
    printf '[%6s s] %s\n' "$(since "$begun")" "$*" >&2
}

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

misuse() {
    printf '%s: %s\nSee %s --help\n' "${0##*/}" "$*" "$0" >&2
    exit 2
}

is_root() {
    [ "$(id -u)" -eq 0 ]
}

# is_in WORD WORD…: whether the first is one of the others
is_in() {
    local word=$1 other
    shift
    for other; do
        [ "$word" != "$other" ] || return 0
    done
    return 1
}

# Only the comment at the top of the script that was run is its help.
print_help() {
    sed -n '2,/^[^#]/{/^#/!d; s/^# \{0,1\}//; p}' "$0"
}

# One `up`, `down` or `server` at a time per testbed. The lock lies beside the run folder, because `down` removes that.
lock_testbed() {
    check_run_folder
    while true; do
        (: >>"$run.lock") 2>/dev/null ||
            fail "can't write $run.lock, which may be another user's; set MAESTRO_TESTBED to a folder of your own"
        exec 9>"$run.lock"
        if ! flock --nonblock 9; then
            say "another up, down or server works on $run; waiting for it"
            flock 9
        fi
        # Whoever we waited for may have been a `down`, which removes the file.
        [ ! "$run.lock" -ef /proc/self/fd/9 ] || return 0
    done
}

# Servers of another user are for nobody else to start, to end or to judge, not for root either.
check_run_folder() {
    case $run in
        /*) ;;
        *) fail "MAESTRO_TESTBED is \"$run\"; expected an absolute path" ;;
    esac
    [ ! -e "$run" ] || [ -O "$run" ] || fail "$run belongs to another user; set MAESTRO_TESTBED to a folder of your own"
}

# Makes the run folder, or refuses one that isn't ours: `down` will remove it with everything in it.
make_run_folder() {
    if [ -e "$run" ] && [ ! -e "$run/.maestro-testbed" ] && [ -n "$(ls -A "$run")" ]; then
        fail "$run exists and is no testbed; set MAESTRO_TESTBED to a folder that doesn't exist yet"
    fi
    mkdir -p "$run/log" "$run/servers"
    : >"$run/.maestro-testbed"
    # Servers that run as another user must come through; each of the folders in it has its own mode.
    chmod 711 "$run"
}

# write FILE MODE <text: in one step, so that no reader sees half a file
write() {
    cat >"$1.new"
    chmod "$2" "$1.new"
    mv "$1.new" "$1"
}
