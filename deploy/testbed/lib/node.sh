# shellcheck shell=bash
# The real node of tier `node`: containerd, kubelet and kube-proxy. They have a network namespace and a mount namespace of
# their own (held by the process `node`) and one cgroup, so that `down` finds all of it and the machine keeps nothing:
# killing what is in the cgroup frees the namespaces, and with them mounts, bridges, addresses and rules.
#
# The network is a pair of cables, NETWORK.2 on the machine's side and NETWORK.1 on the node's; pods have NETWORK.128/25,
# and the node's NodePorts answer on NETWORK.1. Nothing is forwarded to the outer world.

packages_of_node() {
    echo containerd=containerd
    echo runc=runc
    echo /usr/lib/cni/bridge=containernetworking-plugins
    echo iptables=iptables
    echo nsenter=util-linux
}

# The first three numbers of its addresses: those that it was made with, if it was.
node_network() {
    if [ -f "$run/network" ]; then
        cat "$run/network"
    else
        echo "${MAESTRO_TESTBED_NETWORK:-10.200.$((port[base] / 100 % 250))}"
    fi
}

node_inside() {
    echo "$(node_network).1"
}

node_outside() {
    echo "$(node_network).2"
}

node_cable() {
    echo "testbed-${port[base]}"
}

node_cgroup() {
    echo "maestro-testbed-${port[base]}"
}

# The node's cgroup in every hierarchy: one folder with cgroup v2, one per controller with v1.
node_cgroup_folders() {
    local hierarchy
    if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
        echo "/sys/fs/cgroup/$(node_cgroup)"
        return
    fi
    for hierarchy in /sys/fs/cgroup/*/; do
        # The unified one beside v1 has no controllers, and names that are links lead to one of the others.
        hierarchy=${hierarchy%/}
        if [ -e "$hierarchy/cgroup.procs" ] && [ ! -L "$hierarchy" ] && [ "${hierarchy##*/}" != unified ]; then
            echo "$hierarchy/$(node_cgroup)"
        fi
    done
}

# Those of its cgroups that exist, also where something else made one: runc does, in the unified hierarchy beside v1.
node_cgroups_left() {
    compgen -G "/sys/fs/cgroup/$(node_cgroup)" || true
    compgen -G "/sys/fs/cgroup/*/$(node_cgroup)" || true
}

check_node() {
    is_root || fail "--tier node needs root: it makes namespaces, mounts and cgroups. Without root there is --tier kwok"
    case $run/ in
        /run/* | /var/run/* | /var/lib/* | /var/log/*)
            fail "--tier node covers /run, /var/lib and /var/log for its node, so MAESTRO_TESTBED can't be $run; choose another place" ;;
    esac
    [[ $(node_network) =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
        fail "MAESTRO_TESTBED_NETWORK is \"$(node_network)\"; expected the first three numbers of a private network, such as 10.200.7"
    if [ -n "${MAESTRO_TESTBED_NETWORK:-}" ] && [ "$MAESTRO_TESTBED_NETWORK" != "$(node_network)" ]; then
        fail "the testbed in $run has the network $(node_network), not $MAESTRO_TESTBED_NETWORK; run deploy/testbed/down first"
    fi
    [ -n "$(node_cgroup_folders)" ] || fail "--tier node needs cgroups, and none are mounted in /sys/fs/cgroup"
    unshare --mount --net true 2>/dev/null || fail "--tier node needs to make namespaces, which this machine (a container?) forbids"
    [ ! -f "$run/network" ] || return 0
    if [[ $(ip -4 route show) == *" $(node_network)."* || $(ip -4 route show) == *"$(node_network).0/"* ||
        $(ip -4 addr show) == *"inet $(node_network)."* ]]; then
        fail "the network $(node_network).0/24 is in use on this machine; set MAESTRO_TESTBED_NETWORK to another, such as 10.200.77"
    fi
    node_network | write "$run/network" 644
}

up_node_network() {
    local pid inside outside cable
    inside=$(node_inside) outside=$(node_outside) cable=$(node_cable)
    if probe node >/dev/null; then
        return 0
    fi
    end_node_processes
    end node
    save_sysctls
    make_node_cgroup
    mkdir -p "$run/node"
    rm -f "$run/node/namespace.ready"
    define node "" KILL "$inside (node), $outside (here)" \
        unshare --mount --net --propagation slave "$testbed/kubernetes/node/namespace" "$run/node"
    until [ -e "$run/node/namespace.ready" ]; do
        is_alive node || fail "the node's namespaces can't be made: $(tail -n 5 "$run/log/node.log")"
        sleep 0.02
    done
    pid=$(recorded_pid node)
    # The cable of a namespace that is being cleared away.
    ip link delete "$cable" 2>/dev/null || true
    ip link add "$cable" type veth peer name eth0 netns "$pid"
    ip addr add "$outside/30" dev "$cable"
    ip link set "$cable" up
    in_node ip addr add "$inside/30" dev eth0
    in_node ip link set eth0 up
    in_node ip route add default via "$outside"
    ip route add "$(node_network).128/25" via "$inside"
}

in_node() {
    local pid
    pid=$(recorded_pid node) || return 1
    nsenter --mount="/proc/$pid/ns/mnt" --net="/proc/$pid/ns/net" -- "$@"
}

make_node_cgroup() {
    local folder file
    while read -r folder; do
        if [ -e "${folder%/*}/cgroup.subtree_control" ]; then
            enable_controllers "${folder%/*}"
            mkdir -p "$folder"
            enable_controllers "$folder"
        fi
        mkdir -p "$folder"
        # With cgroup v1, a process can enter only where processors and memory nodes are named.
        for file in cpuset.cpus cpuset.mems; do
            if [ -e "$folder/$file" ] && [[ $folder == */cpuset/* || $folder == *,cpuset/* ]]; then
                cat "${folder%/*}/$file" >"$folder/$file"
            fi
        done
        mkdir -p "$folder/system"
        for file in cpuset.cpus cpuset.mems; do
            if [ -e "$folder/system/$file" ] && [[ $folder == */cpuset/* || $folder == *,cpuset/* ]]; then
                cat "$folder/$file" >"$folder/system/$file"
            fi
        done
    done < <(node_cgroup_folders)
}

# enable_controllers FOLDER: cgroup v2 hands them down one level at a time
enable_controllers() {
    local controllers controller
    read -ra controllers <"$1/cgroup.controllers"
    for controller in "${controllers[@]}"; do
        is_in "$controller" cpu cpuset memory pids io hugetlb || continue
        echo "+$controller" >"$1/cgroup.subtree_control" ||
            fail "the cgroup controller $controller can't be handed down from $1; in a container, run it with a cgroup of its own"
    done
}

# What kubelet sets on the whole machine; the rest that it, CNI and kube-proxy set belongs to the network namespace.
save_sysctls() {
    local name
    [ ! -f "$run/sysctls" ] || return 0
    for name in vm.overcommit_memory vm.panic_on_oom kernel.panic kernel.panic_on_oops kernel.keys.root_maxkeys kernel.keys.root_maxbytes; do
        [ ! -e "/proc/sys/${name//./\/}" ] || echo "$name $(<"/proc/sys/${name//./\/}")"
    done | write "$run/sysctls" 600
}

up_node() {
    local folder=$run/node pid enter
    pid=$(recorded_pid node)
    make_certificate node /O=system:nodes/CN=system:node:real-1 serverAuth,clientAuth \
        "DNS:real-1,DNS:localhost,IP:127.0.0.1,IP:$(node_inside)"
    write_node_files
    enter=("$testbed/kubernetes/node/enter" "$pid" "$(node_cgroup)")
    define containerd "" KILL "$folder/containerd.sock" "${enter[@]}" "$(command -v containerd)" --config "$folder/containerd.toml"
    wait_ready containerd 30
    load_image maestro.test/pause:1 "$(room_binary)" pause
    load_image maestro.test/room:1 "$(room_binary)"
    define kubelet "" KILL "$(node_inside):10250" "${enter[@]}" "$(kubernetes_binary)" kubelet \
        --config "$folder/kubelet.yaml" --kubeconfig "$run/kubernetes/node.kubeconfig" --hostname-override real-1 \
        --node-ip "$(node_inside)" --root-dir "$folder/kubelet" --cert-dir "$folder/kubelet-certificates" --node-labels type=real
    define kube-proxy "" KILL "$(node_inside), NodePorts 20000-40000" "${enter[@]}" "$(kubernetes_binary)" kube-proxy \
        --config "$folder/kube-proxy.yaml"
    wait_ready kubelet 60
    wait_ready kube-proxy 60
    if [ ! -f "$folder/.ready" ]; then
        {
            kubectl wait --for=create node/real-1 --timeout=60s
            kubectl wait --for=condition=Ready node/real-1 --timeout=60s
        } >>"$run/log/objects.log" 2>&1 || fail "the real node does not get ready: $(tail -n 5 "$run/log/kubelet.log")"
        : >"$folder/.ready"
    fi
}

# load_image NAME PROGRAM [ARGUMENT…]: an image with a program and the libraries that it needs, unless the node has it
load_image() {
    local name=$1 program=$2 archive=$run/node/image.tar libraries
    shift 2
    if [[ " $(node_ctr images list --quiet | tr '\n' ' ') " == *" $name "* ]]; then
        return 0
    fi
    libraries=$(libraries_of "$program")
    # shellcheck disable=SC2086
    "$(room_binary)" image "$archive" "$name" "$program" $libraries -- "$@"
    node_ctr images import --snapshotter native "$archive" >>"$run/log/images.log" 2>&1 ||
        fail "the image $name can't be loaded: $(tail -n 5 "$run/log/images.log")"
    rm -f "$archive"
}

# libraries_of PROGRAM: those that it is linked with, and what loads them; nothing for a static one
libraries_of() {
    local listed
    listed=$(ldd "$1" 2>&1) || {
        [[ $listed == *"not a dynamic executable"* || $listed == *"statically linked"* ]] || fail "$1 can't be put into an image: $listed"
        return 0
    }
    [[ $listed != *"not found"* ]] || fail "$1 can't be put into an image, it lacks libraries itself: $listed"
    # `name => /path (address)`, and the loader without an arrow; the kernel's own has no path.
    sed -nE 's/^[[:space:]]*(.* => )?(\/[^[:space:]]+) \(0x[0-9a-f]+\)$/\2/p' <<<"$listed"
}

node_ctr() {
    timeout 60 ctr --address "$run/node/containerd.sock" --namespace k8s.io "$@"
}

write_node_files() {
    local folder=$run/node
    mkdir -p "$folder/cni" "$folder/manifests"
    # The native snapshotter copies: images are a few MB, and it works on every file system, inside containers too.
    # Where oom_score_adj can't be lowered (root without CAP_SYS_RESOURCE), it must not be tried.
    write "$folder/containerd.toml" 600 <<CONFIGURATION
version = 2
root = "$folder/containerd"
state = "/run/containerd"
[grpc]
  address = "$folder/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$folder/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "maestro.test/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$folder/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      SystemdCgroup = false
CONFIGURATION
    write "$folder/cni/10-testbed.conflist" 600 <<CONFIGURATION
{"cniVersion": "1.0.0", "name": "testbed", "plugins": [
  {"type": "bridge", "bridge": "pods", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "ranges": [[{"subnet": "$(node_network).128/25"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONFIGURATION
    # No names are resolved in pods: there is no DNS here, and an address of the machine's would not answer.
    write "$folder/resolv.conf" 644 </dev/null
    write "$folder/kubelet.yaml" 600 <<CONFIGURATION
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: $(node_inside)
port: 10250
healthzPort: 10248
tlsCertFile: $run/pki/node.crt
tlsPrivateKeyFile: $run/pki/node.key
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: $run/pki/ca.crt}, webhook: {enabled: true}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: unix://$folder/containerd.sock
podLogsDir: $folder/pod-logs
resolvConf: $folder/resolv.conf
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: /$(node_cgroup)
enforceNodeAllocatable: [pods]
failSwapOn: false
oomScoreAdj: 0
# Whatever else fills the machine must not make the node shed its pods.
evictionHard: {memory.available: 50Mi, nodefs.available: "1%", nodefs.inodesFree: "1%", imagefs.available: "1%"}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
nodeStatusUpdateFrequency: 5s
nodeLeaseDurationSeconds: 20
CONFIGURATION
    write "$folder/kube-proxy.yaml" 600 <<CONFIGURATION
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
clientConnection: {kubeconfig: $run/kubernetes/proxy.kubeconfig}
hostnameOverride: real-1
clusterCIDR: $(node_network).128/25
healthzBindAddress: 127.0.0.1:10256
metricsBindAddress: 127.0.0.1:10249
# The table of connections is the machine's; leave its size alone.
conntrack: {maxPerCore: 0}
CONFIGURATION
}

# probe_node NAME: of the node's processes
probe_node() {
    case $1 in
        node)
            if [[ $(in_node ip -4 addr show dev eth0 2>/dev/null) != *"inet $(node_inside)/"* ||
                $(ip -4 addr show dev "$(node_cable)" 2>/dev/null) != *"inet $(node_outside)/"* ]]; then
                echo "its network is not there"
                return 1
            fi
            ;;
        containerd) timeout 2 ctr --address "$run/node/containerd.sock" version >/dev/null 2>&1 || { echo "does not answer"; return 1; } ;;
        kubelet) probe_inside http://127.0.0.1:10248/healthz ;;
        kube-proxy) probe_inside http://127.0.0.1:10256/livez ;;
        *) echo "is no server of the testbed"; return 1 ;;
    esac
}

probe_inside() {
    local answer
    answer=$(in_node curl --silent --show-error --fail --max-time 2 --noproxy '*' "$1" 2>&1) && return 0
    echo "${answer:-no answer from $1}" | tail -n 1
    return 1
}

# Kubelet and what it started, but not the network: pods of a cluster that is no more.
end_node_processes() {
    local name
    for name in kubelet kube-proxy containerd; do
        ! is_recorded "$name" || end "$name"
    done
    kill_node_cgroup
    rm -rf "$run"/node/{containerd,kubelet,opt,pod-logs,.ready} "$run"/node/root/run/* "$run"/node/root/var/lib/*
}

# Everything in the node's cgroup, again until nothing is left: a container may start processes meanwhile.
kill_node_cgroup() {
    local folder pids deadline=$((EPOCHSECONDS + 20))
    while read -r folder; do
        while
            mapfile -t pids < <(find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -u)
            [ "${#pids[@]}" -gt 0 ]
        do
            signal_all KILL "${pids[@]}"
            [ "$EPOCHSECONDS" -le "$deadline" ] ||
                fail "${#pids[@]} processes in $folder do not end, not even by SIGKILL; the first, ${pids[0]}, is $(process_state "${pids[0]}")"
            sleep 0.05
        done
    done < <(node_cgroups_left)
}

# What is left of the node after its servers ended.
down_node() {
    local folder name value deadline=$((EPOCHSECONDS + 20))
    [ -d "$run/node" ] || return 0
    kill_node_cgroup
    while read -r folder; do
        # From the leaves up; the kernel takes a moment to let go of what was killed.
        while [ -d "$folder" ] && ! find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null; do
            [ "$EPOCHSECONDS" -le "$deadline" ] ||
                fail "the cgroup $folder can't be removed: $(rmdir "$folder" 2>&1)"
            sleep 0.05
        done
    done < <(node_cgroups_left)
    # Goes with the namespace, which the kernel takes a moment to clear; not to wait for that:
    ip link delete "$(node_cable)" 2>/dev/null || true
    [ ! -f "$run/sysctls" ] || while read -r name value; do
        echo "$value" >"/proc/sys/${name//./\/}" || say "the sysctl $name can't be set back to $value"
    done <"$run/sysctls"
}

print_node_environment() {
    cat <<ENVIRONMENT
# The real node (the others are simulated): its name, where its NodePorts answer, and where its pods reach this machine.
export MAESTRO_TESTBED_NODE='real-1'
export MAESTRO_TESTBED_NODE_ADDRESS='$(node_inside)'
export MAESTRO_TESTBED_HOST_ADDRESS='$(node_outside)'
# Images that it has; it can't pull others. See deploy/testbed/kubernetes/room.
export MAESTRO_TESTBED_ROOM_IMAGE='maestro.test/room:1'
ENVIRONMENT
}
