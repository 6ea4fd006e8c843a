# shellcheck shell=bash
# Debian and Ubuntu packages: installs what is missing and nothing else, and starts none of their services.

# need_packages COMMAND=PACKAGE…: installs the packages whose command isn't there. A command can be a path with wildcards.
need_packages() {
    local pair missing=()
    for pair; do
        has_command "${pair%%=*}" || missing+=("${pair#*=}")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    if ! command -v apt-get >/dev/null; then
        fail "missing: ${missing[*]} (names of Debian packages); there is no apt-get here, so install them by your system's own means"
    fi
    if ! is_root; then
        fail "missing packages; install them with
    sudo apt-get install --no-install-recommends ${missing[*]}
or run this once as root. A Postgres or Redis that the package starts can be stopped: the testbed runs its own."
    fi
    say "installing ${missing[*]}"
    without_services install_packages "${missing[@]}"
    for pair; do
        has_command "${pair%%=*}" || fail "${pair#*=} is installed, but ${pair%%=*} is not there"
    done
}

has_command() {
    case $1 in
        /*) compgen -G "$1" >/dev/null ;;
        *) command -v "$1" >/dev/null ;;
    esac
}

install_packages() {
    local log=$run/log/packages.log
    {
        # The lists may be old or absent, as in a fresh container; try with those that are there before.
        apt_install "$@" || { apt-get update && apt_install "$@"; }
    } >"$log" 2>&1 || {
        tail -n 20 "$log" >&2
        return 1
    }
}

apt_install() {
    local package
    if is_in postgresql "$@" && [ ! -e /etc/postgresql-common/createcluster.conf ]; then
        # Debian makes and starts a cluster `main` on 5432 unless this says no, and it can say so only between the two.
        apt_get_install postgresql-common || return 1
        package=/etc/postgresql-common/createcluster.conf
        cp -p "$package" "$run/createcluster.conf"
        echo 'create_main_cluster = false' >>"$package"
        apt_get_install "$@" || { restore_createcluster; return 1; }
        restore_createcluster
    else
        apt_get_install "$@"
    fi
}

restore_createcluster() {
    cp -p "$run/createcluster.conf" /etc/postgresql-common/createcluster.conf
    rm -f "$run/createcluster.conf"
}

apt_get_install() {
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@" 9>&-
}

# without_services COMMAND…: packages ask /usr/sbin/policy-rc.d whether they may start services; it says no meanwhile
without_services() {
    local policy=/usr/sbin/policy-rc.d status=0
    [ ! -e "$policy" ] || mv "$policy" "$policy.before-testbed"
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    "$@" || status=$?
    rm -f "$policy"
    [ ! -e "$policy.before-testbed" ] || mv "$policy.before-testbed" "$policy"
    [ "$status" -eq 0 ] || fail "the packages can't be installed; the whole of it is in $run/log/packages.log"
}
