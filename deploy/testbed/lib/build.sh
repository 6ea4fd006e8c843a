# shellcheck shell=bash
# Builds what Kubernetes runs on from Go modules, once: the binary of deploy/testbed/kubernetes, the program that a real
# node's pods run, and Helm. All lie in the cache under a key of their sources and of Go's version.

# Of go.mod: what `kubectl version` says.
kubernetes_version=v1.37.2

# The binary for these sources, whether it exists or not.
kubernetes_binary() {
    cached kubernetes "$testbed/kubernetes/"{go.mod,go.sum,main.go}
}

room_binary() {
    cached room "$testbed/kubernetes/room/"{main,image}.go
}

# Helm as it is released; its module says which.
helm_binary() {
    cached helm "$testbed/helm/"go.{mod,sum}
}

# cached NAME SOURCES…: where the cache has, or will have, what is built from them
cached() {
    local name=$1 key any
    shift
    key=$({
        cat "$@"
        link_flags
    } | sha256sum | cut -c1-16)
    if command -v go >/dev/null; then
        echo "$cache/$name-$key-$(cd / && go env GOVERSION)"
        return
    fi
    # Without Go here, what another Go built still serves.
    any=$(compgen -G "$cache/$name-$key-go*[0-9]" | head -n 1) || true
    echo "${any:-$cache/$name-$key-go}"
}

# Debian's Go, where the build needs one. To be called before the build goes on beside the rest of `up`, because packages
# are installed one after another.
need_go() {
    if is_built || command -v go >/dev/null || ! is_root; then
        return 0
    fi
    if is_version_from 1.21 "$(packaged_go)"; then
        need_packages go=golang-go
    fi
}

is_built() {
    [ -x "$(kubernetes_binary)" ] && [ -x "$(helm_binary)" ] || return 1
    [ "$(<"$run/tier")" != node ] || [ -x "$(room_binary)" ]
}

# The version of the package, or 0
packaged_go() {
    local found=
    if command -v apt-cache >/dev/null; then
        found=$(apt-cache policy golang-go | sed -n 's/^  Candidate: [0-9]*:*\([0-9.]*\).*/\1/p')
    fi
    echo "${found:-0}"
}

# Leaves the binaries in the cache. Runs beside the rest of `up`; two of them with one cache build once.
build_kubernetes() {
    mkdir -p "$cache"
    exec 8>"$cache/lock"
    if ! flock --nonblock 8; then
        say "another testbed builds into $cache; waiting for it"
        flock 8
    fi
    build_one "$(kubernetes_binary)" kubernetes . "Kubernetes $kubernetes_version; 5 to 10 minutes on two cores, once"
    build_one "$(helm_binary)" helm helm.sh/helm/v4/cmd/helm "Helm; one minute beside what Kubernetes has compiled already, once"
    if [ "$(cat "$run/tier")" = node ]; then
        build_one "$(room_binary)" kubernetes ./room "the program of the real node's pods"
    fi
    # Binaries of older sources, so that the cache of a build server doesn't grow for ever.
    find "$cache" -maxdepth 1 -type f \( -name 'kubernetes-*' -o -name 'room-*' -o -name 'helm-*' \) -mtime +30 -delete 2>/dev/null || true
}

# build_one FILE MODULE PACKAGE WHAT
build_one() {
    local file=$1 module=$2 package=$3 log=$run/log/build.log since_then=$EPOCHREALTIME
    if [ -x "$file" ]; then
        # Marks it as used, for the removal of old ones; a shared cache may be somebody else's.
        touch "$file" 2>/dev/null || true
        return 0
    fi
    find_go
    say "building $4 (log: $log)"
    # Politely: whoever waits for a testbed usually compiles something else meanwhile. Under a temporary name, so that a
    # build that was cut off leaves nothing that looks finished.
    (
        cd "$testbed/$module"
        CGO_ENABLED=0 GOFLAGS='' GOWORK=off nice -n 19 go build -mod=readonly -trimpath -buildvcs=false \
            -o "$file.new" -ldflags "$(link_flags)" "$package"
    ) >>"$log" 2>&1 9>&- 8>&- || fail "go build failed: $(tail -n 10 "$log")"
    chmod 755 "$file.new"
    mv "$file.new" "$file"
    say "built $(basename "$file") in $(since "$since_then") s, $(du -m "$file" | cut -f1) MB"
}

link_flags() {
    local version=k8s.io/component-base/version numbers
    IFS=. read -ra numbers <<<"${kubernetes_version#v}"
    # Without symbols it is half the size. Clients parse these, and some refuse an empty commit or date.
    echo "-s -w -X $version.gitVersion=$kubernetes_version -X $version.gitMajor=${numbers[0]} -X $version.gitMinor=${numbers[1]}" \
        "-X $version.gitTreeState=clean -X $version.gitCommit=0000000000000000000000000000000000000000" \
        "-X $version.buildDate=2026-01-01T00:00:00Z"
}

# A Go that can build the module: new enough itself, or new enough (1.21) to fetch the version that go.mod names.
find_go() {
    local needed found
    needed=$(sed -n 's/^go //p' "$testbed/"{kubernetes,helm}/go.mod | sort -V | tail -n 1)
    command -v go >/dev/null ||
        fail "building Kubernetes needs Go $needed or newer, and there is no go on the PATH (the package of this system: $(packaged_go); 0 is none).
Install Go from its own archive, or a newer package (on Debian: golang-go of backports), and try again"
    found=$(go env GOVERSION)
    is_version_from "$needed" "${found#go}" && return
    is_version_from 1.21 "${found#go}" || fail "building Kubernetes needs Go $needed; this is ${found#go}, which is too old to fetch it by itself"
    say "Go ${found#go} will fetch Go $needed"
    export GOTOOLCHAIN=auto
}

# is_version_from LEAST VERSION
is_version_from() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}
