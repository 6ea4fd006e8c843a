# shellcheck shell=bash
# The control plane: etcd and API server (tier api), then controllers, scheduler, simulated nodes and the Metrics API
# (tier kwok). Processes of one binary, on 127.0.0.1; with a real node (tier node, lib/node.sh) the API server listens
# on the testbed's side of that node's network instead, where pods reach it too.

# shellcheck disable=SC2034
tiers=(api kwok node)
# Each tier has the former in it.
declare -A tier_ranks=([api]=1 [kwok]=2 [node]=3)

service_network=10.96.0.0/16
# What tests can see an effect of. All of them would take 3 to 4 s more, because they start one after another. Without
# `disruption` no eviction is ever allowed, and a test of a disruption budget proves nothing.
controllers=(
    clusterrole-aggregation-controller daemonset-controller deployment-controller disruption-controller
    endpoints-controller endpointslice-controller garbage-collector-controller job-controller namespace-controller
    node-ipam-controller node-lifecycle-controller pod-garbage-collector-controller replicaset-controller
    resourcequota-controller root-ca-certificate-publisher-controller serviceaccount-controller
    serviceaccount-token-controller statefulset-controller taint-eviction-controller
)
kwok_nodes=10

packages_of_kubernetes() {
    [ "$(<"$run/tier")" != node ] || packages_of_node
}

# settle_tier TIER: the asked one or, without one, what runs already or `kwok`. It is never lowered: what runs has it in it.
settle_tier() {
    local asked=$1 recorded=
    # What was settled for an `up` that failed before anything started binds nobody.
    is_recorded apiserver || rm -f "$run/tier"
    is_recorded node || rm -f "$run/network"
    [ ! -f "$run/tier" ] || recorded=$(<"$run/tier")
    asked=${asked:-${recorded:-kwok}}
    if [ -n "$recorded" ] && [ "${tier_ranks[$recorded]}" -gt "${tier_ranks[$asked]}" ]; then
        say "tier $recorded runs already and has all of $asked"
        asked=$recorded
    fi
    # Before anything is started or remembered.
    [ "$asked" != node ] || check_node
    echo "$asked" >"$run/tier"
}

has_tier() {
    [ "${tier_ranks[$(<"$run/tier")]}" -ge "${tier_ranks[$1]}" ]
}

# Where the API server listens.
control_address() {
    if has_tier node; then node_outside; else echo 127.0.0.1; fi
}

apiserver_url() {
    echo "https://$(control_address):${port[apiserver]}"
}

kubectl() {
    NO_PROXY='*' no_proxy='*' "$(kubernetes_binary)" kubectl --kubeconfig "$run/kubernetes/kubeconfig" --cache-dir "$run/kubernetes/kubectl-cache" "$@"
}

# Its own folders go with the testbed.
helm() {
    HELM_CACHE_HOME="$run/kubernetes/helm" HELM_CONFIG_HOME="$run/kubernetes/helm" HELM_DATA_HOME="$run/kubernetes/helm" \
        NO_PROXY='*' no_proxy='*' "$(helm_binary)" --kubeconfig "$run/kubernetes/kubeconfig" "$@"
}

up_kubernetes() {
    mkdir -p "$run/kubernetes"
    if has_tier node; then
        up_node_network
    fi
    make_kubernetes_keys
    write_kubeconfigs
    up_apiserver
    make_maestro_rights
    if has_tier kwok; then
        up_controllers
        up_kwok
        make_objects
        wait_for_objects
    fi
    if has_tier node; then
        up_node
    fi
    ln -sfn "$(kubernetes_binary)" "$run/kubernetes/kubectl"
    say "kubernetes: tier $(<"$run/tier") ready on $(apiserver_url) ($kubernetes_version)"
}

make_kubernetes_keys() {
    local pki=$run/pki names="DNS:localhost,DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc"
    # The first address of the services' network is the API server's own.
    make_certificate apiserver /CN=kube-apiserver serverAuth \
        "$names,IP:127.0.0.1,IP:$(node_outside),IP:${service_network%.*}.1"
    make_certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client clientAuth
    make_certificate front-proxy /CN=front-proxy clientAuth
    make_certificate metrics-server /CN=metrics-server serverAuth \
        "DNS:localhost,DNS:metrics-server.kube-system.svc,IP:127.0.0.1"
    if [ ! -f "$pki/serviceaccount.key" ]; then
        openssl genrsa -out "$pki/serviceaccount.key" 2048 2>/dev/null
    fi
    write "$run/kubernetes/tokens.csv" 600 <<TOKENS
$admin_token,admin,1,"system:masters"
testbed-controller-manager,system:kube-controller-manager,2
testbed-scheduler,system:kube-scheduler,3
testbed-kwok,kwok,4,"system:masters"
testbed-node,system:node:real-1,5,"system:nodes"
testbed-proxy,system:kube-proxy,6
TOKENS
}

write_kubeconfigs() {
    local folder=$run/kubernetes
    write_kubeconfig "$folder/kubeconfig" "$admin_token"
    write_kubeconfig "$folder/controller-manager.kubeconfig" testbed-controller-manager
    write_kubeconfig "$folder/scheduler.kubeconfig" testbed-scheduler
    write_kubeconfig "$folder/kwok.kubeconfig" testbed-kwok
    write_kubeconfig "$folder/node.kubeconfig" testbed-node
    write_kubeconfig "$folder/proxy.kubeconfig" testbed-proxy
}

# write_kubeconfig FILE TOKEN: with the authority inside, so that the file can be taken elsewhere
write_kubeconfig() {
    write "$1" 600 <<KUBECONFIG
apiVersion: v1
kind: Config
clusters: [{name: testbed, cluster: {server: "$(apiserver_url)", certificate-authority-data: $(base64 -w 0 "$run/pki/ca.crt")}}]
users: [{name: testbed, user: {token: $2}}]
contexts: [{name: testbed, context: {cluster: testbed, user: testbed}}]
current-context: testbed
KUBECONFIG
}

up_apiserver() {
    local pki=$run/pki binary etcd peer reachable
    binary=$(kubernetes_binary)
    etcd=http://127.0.0.1:${port[etcd]}
    peer=http://127.0.0.1:${port[etcd_peer]}
    define etcd "etcd etcd_peer" KILL "127.0.0.1:${port[etcd]}" "$binary" etcd --data-dir "$run/kubernetes/etcd" \
        --listen-client-urls "$etcd" --advertise-client-urls "$etcd" --listen-peer-urls "$peer" \
        --initial-advertise-peer-urls "$peer" --initial-cluster "default=$peer" --unsafe-no-fsync --log-level warn
    if has_tier node; then
        # A pod runs on the real node where its namespace says so, and on a simulated one otherwise: by chance it would be
        # either, and the real node has no image for most of them.
        write "$run/kubernetes/node-selector.yaml" 600 <<<'podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: "type=kwok"}'
        write "$run/kubernetes/admission.yaml" 600 <<CONFIGURATION
apiVersion: apiserver.config.k8s.io/v1
kind: AdmissionConfiguration
plugins: [{name: PodNodeSelector, path: "$run/kubernetes/node-selector.yaml"}]
CONFIGURATION
        reachable=(--advertise-address "$(node_outside)" --admission-control-config-file "$run/kubernetes/admission.yaml")
    else
        # A loopback address can't be an endpoint of the service `kubernetes`, and nobody would use it.
        reachable=(--endpoint-reconciler-type none)
    fi
    if is_alive apiserver && [ "$(<"$run/servers/apiserver/address")" != "$(control_address):${port[apiserver]}" ]; then
        say "the API server moves to $(control_address); what speaks with it is started anew"
        end_clients_of_apiserver
    fi
    # It takes 10 s to say goodbye, and etcd has the truth: KILL. PodNodeSelector lets a namespace choose its kind of node.
    define apiserver apiserver KILL "$(control_address):${port[apiserver]}" "$binary" kube-apiserver \
        --etcd-servers "$etcd" --bind-address "$(control_address)" --secure-port "${port[apiserver]}" "${reachable[@]}" \
        --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
        --service-account-issuer https://kubernetes.default.svc \
        --service-account-key-file "$pki/serviceaccount.key" --service-account-signing-key-file "$pki/serviceaccount.key" \
        --token-auth-file "$run/kubernetes/tokens.csv" --authorization-mode Node,RBAC \
        --enable-admission-plugins PodNodeSelector \
        --service-cluster-ip-range "$service_network" --service-node-port-range 20000-40000 --allow-privileged \
        --kubelet-certificate-authority "$pki/ca.crt" --kubelet-client-certificate "$pki/kubelet-client.crt" \
        --kubelet-client-key "$pki/kubelet-client.key" --kubelet-preferred-address-types InternalIP \
        --proxy-client-cert-file "$pki/front-proxy.crt" --proxy-client-key-file "$pki/front-proxy.key" \
        --requestheader-client-ca-file "$pki/ca.crt" --requestheader-allowed-names front-proxy \
        --requestheader-username-headers X-Remote-User --requestheader-group-headers X-Remote-Group \
        --requestheader-extra-headers-prefix X-Remote-Extra- --profiling=false
    wait_ready etcd 60
    wait_ready apiserver 120
}

end_clients_of_apiserver() {
    local name
    for name in controller-manager scheduler kwok kwok-lonely metrics-server; do
        ! is_recorded "$name" || end "$name"
    done
}

up_controllers() {
    local binary folder=$run/kubernetes secure
    binary=$(kubernetes_binary)
    secure=(--tls-cert-file "$run/pki/loopback.crt" --tls-private-key-file "$run/pki/loopback.key")
    # A node is lost after 20 s of silence instead of 40: tests wait for it. Its lease is renewed every 5 s (kwok) or
    # 10 s (kubelet), so that a busy machine does not lose one by accident.
    define controller-manager controller_manager KILL "127.0.0.1:${port[controller_manager]}" \
        "$binary" kube-controller-manager --kubeconfig "$folder/controller-manager.kubeconfig" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "${port[controller_manager]}" "${secure[@]}" \
        --service-account-private-key-file "$run/pki/serviceaccount.key" --root-ca-file "$run/pki/ca.crt" \
        --use-service-account-credentials --allocate-node-cidrs --cluster-cidr 10.244.0.0/16 --node-cidr-mask-size 24 \
        --service-cluster-ip-range "$service_network" --node-monitor-grace-period 20s --node-monitor-period 2s \
        --concurrent-gc-syncs 5 --controllers "$(IFS=,; echo "${controllers[*]}")"
    define scheduler scheduler KILL "127.0.0.1:${port[scheduler]}" "$binary" kube-scheduler \
        --kubeconfig "$folder/scheduler.kubeconfig" --leader-elect=false \
        --bind-address 127.0.0.1 --secure-port "${port[scheduler]}" "${secure[@]}"
    # Shows the usage of pods 10 s after it changed at the earliest: it takes no finer resolution.
    define metrics-server metrics_server KILL "127.0.0.1:${port[metrics_server]}" "$binary" metrics-server \
        --kubeconfig "$folder/kubeconfig" --authentication-kubeconfig "$folder/kubeconfig" \
        --authorization-kubeconfig "$folder/kubeconfig" --bind-address 127.0.0.1 --secure-port "${port[metrics_server]}" \
        --tls-cert-file "$run/pki/metrics-server.crt" --tls-private-key-file "$run/pki/metrics-server.key" \
        --kubelet-certificate-authority "$run/pki/ca.crt" --kubelet-preferred-address-types InternalIP \
        --kubelet-use-node-status-port --kubelet-request-timeout 3s --metric-resolution 10s
    wait_ready controller-manager 120
    wait_ready scheduler 120
    wait_ready metrics-server 120
}

# Two processes: `kwok-lonely` owns one node alone, so that a test loses that one by pausing it.
up_kwok() {
    define_kwok kwok fake "${port[kwok]}" kwok
    define_kwok kwok-lonely lonely "${port[kwok_lonely]}" kwok_lonely
    wait_ready kwok 60
    wait_ready kwok-lonely 60
}

# define_kwok NAME KIND PORT PORT-NAME
define_kwok() {
    local name=$1 kind=$2 at=$3 folder=$testbed/kubernetes/kwok part
    {
        sed -e "s/@KIND@/$kind/; s/@PORT@/$at/" "$folder/kwok.yaml"
        for part in nodes pods metrics; do
            echo ---
            cat "$folder/$part.yaml"
        done
    } | write "$run/kubernetes/$name.yaml" 600
    define "$name" "$4" KILL "127.0.0.1:$at" "$(kubernetes_binary)" kwok --config "$run/kubernetes/$name.yaml" \
        --kubeconfig "$run/kubernetes/kwok.kubeconfig" --server-address "127.0.0.1:$at" --node-ip 127.0.0.1 --node-port "$at" \
        --tls-cert-file "$run/pki/loopback.crt" --tls-private-key-file "$run/pki/loopback.key"
}

# The simulated nodes and the Metrics API, once per cluster.
make_objects() {
    local number folder=$testbed/kubernetes/objects
    [ ! -f "$run/kubernetes/.objects" ] || return 0
    {
        for ((number = 1; number <= kwok_nodes; number++)); do
            echo ---
            sed -e "s/@NAME@/kwok-$number/; s/@KIND@/fake/" "$folder/node.yaml"
        done
        echo ---
        sed -e "s/@NAME@/kwok-lonely/; s/@KIND@/lonely/" "$folder/node.yaml"
        echo ---
        sed -e "s/@PORT@/${port[metrics_server]}/; s/@CA@/$(base64 -w 0 "$run/pki/ca.crt")/" "$folder/metrics.yaml"
        echo ---
        cat "$folder/proxy.yaml"
    } | kubectl apply -f - >"$run/log/objects.log" 2>&1 || fail "the first objects can't be made: $(tail -n 5 "$run/log/objects.log")"
}

# The service account of the chart, with the rights that the chart gives it and no others: tests run as it. Given again when
# the chart says something else.
make_maestro_rights() {
    local folder=$run/kubernetes space=maestro-system
    helm template maestro "$testbed/../chart" --namespace "$space" --set mode=single,operators.insecure=true \
        --show-only templates/rights.yaml --show-only templates/guard.yaml >"$folder/rights.yaml" 2>"$run/log/rights.log" ||
        fail "the chart can't be rendered: $(tail -n 5 "$run/log/rights.log")"
    if ! cmp -s "$folder/rights.yaml" "$folder/rights.applied.yaml" || [ ! -s "$folder/maestro.token" ]; then
        {
            kubectl get namespace "$space" || kubectl create namespace "$space"
            # Those of an older chart, which this one may not have any more.
            kubectl delete --ignore-not-found --filename "$folder/rights.applied.yaml" || true
            kubectl apply --filename "$folder/rights.yaml"
            kubectl --namespace "$space" create token maestro --duration 8760h >"$folder/maestro.token"
        } >"$run/log/rights.log" 2>&1 || fail "Maestro's rights can't be given: $(tail -n 5 "$run/log/rights.log")"
        cp "$folder/rights.yaml" "$folder/rights.applied.yaml"
    fi
    write_kubeconfig "$folder/maestro.kubeconfig" "$(<"$folder/maestro.token")"
}

# Pods are refused until the controllers made the first service account.
wait_for_objects() {
    [ ! -f "$run/kubernetes/.objects" ] || return 0
    {
        kubectl wait --for=create serviceaccount/default --timeout=60s
        kubectl wait --for=condition=Ready node -l type=kwok --timeout=60s
        kubectl wait --for=condition=Available apiservice/v1beta1.metrics.k8s.io --timeout=60s
    } >>"$run/log/objects.log" 2>&1 || fail "the cluster does not get ready: $(tail -n 5 "$run/log/objects.log")"
    : >"$run/kubernetes/.objects"
}

# A new cluster: etcd's folder is all that the old one was.
wipe_kubernetes() {
    local name
    for name in etcd apiserver; do
        end "$name"
    done
    end_clients_of_apiserver
    rm -rf "$run/kubernetes/etcd" "$run/kubernetes/.objects" "$run/kubernetes/"{rights.applied.yaml,maestro.token}
    if has_tier node; then
        end_node_processes
    fi
    up_kubernetes
}

print_kubernetes_environment() {
    cat <<ENVIRONMENT
# api, kwok or node; each has the former in it.
export MAESTRO_TESTBED_TIER='$(<"$run/tier")'
# An administrator's, and a kubectl: "\$MAESTRO_TESTBED_KUBECTL" --kubeconfig "\$MAESTRO_TESTBED_KUBECONFIG" get pods
export MAESTRO_TESTBED_KUBECONFIG='$run/kubernetes/kubeconfig'
export MAESTRO_TESTBED_KUBECTL='$run/kubernetes/kubectl'
# Maestro's, with the rights that its chart gives it, and its name as \`--service-account\` takes it.
export MAESTRO_TESTBED_MAESTRO_KUBECONFIG='$run/kubernetes/maestro.kubeconfig'
export MAESTRO_TESTBED_MAESTRO_ACCOUNT='maestro-system/maestro'
ENVIRONMENT
    ! has_tier node || print_node_environment
}
