# shellcheck shell=bash
# Debian and Ubuntu packages: installs what is missing and nothing else, and starts none of their services.
#
# While dpkg works, two files say no to services and to Debian's cluster `main`. Both carry a mark. Whatever cuts an
# installation off, even a power cut: nobody's file is lost (what was there lies beside ours), services are refused no
# longer than somebody installs (ours looks), and the next `up` or `down` puts back what was left.

# Held by whoever installs on this machine. apt-get inherits it and goes on holding it where this is killed; dpkg and what
# packages run don't, because apt-get closes it for them.
packages_lock=/run/maestro-testbed-packages.lock
packages_mark='# maestro-testbed: here while deploy/testbed/up installs packages'
service_policy=/usr/sbin/policy-rc.d
service_policy_kept=$service_policy.before-testbed
# Debian's own createcluster.conf reads it; so that one, which may be somebody's, is left alone.
cluster_policy=/etc/postgresql-common/createcluster.d/zz-maestro-testbed.conf
# On a machine that has just started, apt-daily holds apt's locks for minutes.
apt_patience=300
# In a session of its own: a Ctrl-C here must not cut dpkg off. In English: `fetch` reads what it says.
apt_get=(env LC_ALL=C DEBIAN_FRONTEND=noninteractive setsid --wait apt-get -o "DPkg::Lock::Timeout=$apt_patience")

# need_packages COMMAND=PACKAGE…: installs the packages whose command isn't there. A command can be a path with wildcards.
need_packages() {
    local pair missing
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        fail "missing: ${missing[*]} (names of Debian packages); there is no apt-get here, so install them by your system's own means"
    fi
    if ! is_root; then
        fail "missing packages; install them with
    sudo apt-get install --no-install-recommends ${missing[*]}
or run this once as root. A Postgres or Redis that the package starts can be stopped: the testbed runs its own."
    fi
    # Beside this shell, which would heed no signal while it waits for a command in front. `up` ends it where it is cut off.
    install_packages "$@" &
    wait "$!" || fail "the packages can't be installed; the whole of it is in $run/log/packages.log"
    for pair; do
        has_command "${pair%%=*}" || fail "${pair#*=} is installed, but ${pair%%=*} is not there"
    done
}

missing_packages() {
    local pair
    for pair; do
        has_command "${pair%%=*}" || echo "${pair#*=}"
    done
}

has_command() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

# To be run as a job: it sets traps, and leaves a Ctrl-C to the shell that began it. SIGTERM ends it at once while it waits or
# fetches, and as soon as dpkg is done after that.
install_packages() {
    local missing log=$run/log/packages.log child='' status=0
    trap '' INT
    trap '[ -z "$child" ] || kill "$child" 2>/dev/null; exit 143' TERM HUP
    exec 7>"$packages_lock"
    if ! flock --nonblock 7; then
        say "another testbed installs packages; waiting for it"
        beside flock 7
    fi
    mapfile -t missing < <(missing_packages "$@")
    [ "${#missing[@]}" -gt 0 ] || return 0
    say "installing ${missing[*]}"
    : >"$log"
    # The lists may be old or absent, as in a fresh container; try with those that are there before.
    fetch_packages "${missing[@]}" || { fetch update && fetch_packages "${missing[@]}"; } || show_packages_log

    trap put_back_policies EXIT
    trap 'say "dpkg is at work; this ends when that is done"' TERM HUP
    refuse_services
    "${apt_get[@]}" install -y --no-install-recommends "${missing[@]}" >>"$log" 2>&1 9>&- &
    child=$!
    # A signal ends `wait` early, with a status that tells of it.
    wait "$child" || status=$?
    while [ "$status" -gt 128 ] && kill -0 "$child" 2>/dev/null; do
        status=0
        wait "$child" || status=$?
    done
    [ "$status" -eq 0 ] || show_packages_log
}

show_packages_log() {
    tail -n 20 "$run/log/packages.log" >&2
    exit 1
}

# beside COMMAND…: runs it so that a signal to this shell is heeded meanwhile, by the trap that ends `child`
beside() {
    local status=0
    "$@" 9>&- &
    child=$!
    wait "$child" || status=$?
    child=
    return "$status"
}

fetch_packages() {
    fetch install --download-only -y --no-install-recommends "$@"
}

# fetch ARGUMENT…: by apt-get, which waits for dpkg's lock by itself, but not for those of its lists and its archive
fetch() {
    local deadline=$((EPOCHSECONDS + apt_patience)) told=
    until beside "${apt_get[@]}" "$@" >>"$log" 2>&1; do
        tail -n 5 "$log" | grep -q 'Could not get lock' && [ "$EPOCHSECONDS" -lt "$deadline" ] || return 1
        [ -n "$told" ] || say "another program uses apt; waiting for it, up to $apt_patience s"
        told=1
        beside sleep 1
    done
}

# Packages ask $service_policy whether they may start services: not while somebody holds the lock.
refuse_services() {
    if exists "$service_policy" && ! is_refusal "$service_policy"; then
        cp -a --remove-destination "$service_policy" "$service_policy_kept"
    fi
    write "$service_policy" 755 <<POLICY
#!/bin/sh
$packages_mark
flock --nonblock --shared --conflict-exit-code 101 $packages_lock true
[ "\$?" -ne 101 ] || exit 101
[ ! -x $service_policy_kept ] || exec $service_policy_kept "\$@"
exit 0
POLICY
    # The folders are readable by everybody, unlike what else is made here.
    (umask 022 && mkdir -p "${cluster_policy%/*}")
    write "$cluster_policy" 644 <<POLICY
$packages_mark
create_main_cluster = false
POLICY
}

exists() {
    [ -e "$1" ] || [ -L "$1" ]
}

is_refusal() {
    grep -qsxF -- "$packages_mark" "$1"
}

# Where somebody wrote another file in place of ours, that one is the newer and stays.
put_back_policies() {
    local folder=${cluster_policy%/*}
    if exists "$service_policy" && ! is_refusal "$service_policy"; then
        rm -f "$service_policy_kept"
    elif exists "$service_policy_kept"; then
        mv -T "$service_policy_kept" "$service_policy"
    else
        rm -f "$service_policy"
    fi
    rm -f "$service_policy.new" "$cluster_policy" "$cluster_policy.new"
    # Nothing but what no package brought.
    for folder in "$folder" "${folder%/*}"; do
        dpkg -S "$folder" >/dev/null 2>&1 || rmdir "$folder" 2>/dev/null || true
    done
}

# What an installation left that was killed, or cut off with the machine.
mend_policies() {
    is_root || return 0
    is_refusal "$service_policy" || exists "$service_policy_kept" || exists "$cluster_policy" || return 0
    (
        # Whoever holds it installs, and will put it back.
        flock --nonblock 7 || exit 0
        put_back_policies
        say "an installation of packages was cut off; services may start again"
    ) 7>"$packages_lock"
}
