{{- /* Names, labels, and what the pods of all roles have in common. */ -}}

{{- define "maestro.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "maestro.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "maestro.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Of what has no namespace. With a dot, so that it is never maestro-rooms. */ -}}
{{- define "maestro.clustername" -}}
{{- printf "%s.%s" (include "maestro.fullname" .) .Release.Namespace -}}
{{- end -}}

{{- define "maestro.serviceaccount" -}}
{{- default (include "maestro.fullname" .) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "maestro.username" -}}
{{- printf "system:serviceaccount:%s:%s" .Release.Namespace (include "maestro.serviceaccount" .) -}}
{{- end -}}

{{- define "maestro.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{- define "maestro.selector" -}}
app.kubernetes.io/name: {{ include "maestro.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "maestro.labels" -}}
{{ include "maestro.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- /* The component whose pods take requests: the API, or the one process. */ -}}
{{- define "maestro.serving" -}}
{{- ternary "single" "api" (eq .Values.mode "single") -}}
{{- end -}}

{{- define "maestro.roomsurl" -}}
{{- default (printf "http://%s-rooms.%s.svc:%v" (include "maestro.fullname" .) .Release.Namespace .Values.roomsService.port) .Values.roomsService.url -}}
{{- end -}}

{{- /* What must fit together, which a schema says badly. One line per mistake. */ -}}
{{- define "maestro.check" -}}
{{- $wrong := list -}}
{{- $v := .Values -}}
{{- if eq $v.mode "distributed" -}}
{{- if not (or $v.database.url $v.database.existingSecret.name) -}}
{{- $wrong = append $wrong "database: say database.url or database.existingSecret.name; without a PostgreSQL there is mode: single" -}}
{{- end -}}
{{- if not (or $v.redis.url $v.redis.existingSecret.name) -}}
{{- $wrong = append $wrong "redis: say redis.url or redis.existingSecret.name; without a Redis there is mode: single" -}}
{{- end -}}
{{- if not (or $v.key.value $v.key.existingSecret.name) -}}
{{- $wrong = append $wrong "key: say key.existingSecret.name, or key.value with what `openssl rand -hex 32` prints; keep it, because a new one shuts all rooms out" -}}
{{- end -}}
{{- else -}}
{{- range $name := list "database" "redis" "key" -}}
{{- $given := index $v $name -}}
{{- if or (get $given "url") (get $given "value") $given.existingSecret.name -}}
{{- $wrong = append $wrong (printf "%s: mode: single keeps its own; remove it, or say mode: distributed" $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- range $name := list "database" "redis" "key" -}}
{{- $given := index $v $name -}}
{{- if and (or (get $given "url") (get $given "value")) $given.existingSecret.name -}}
{{- $wrong = append $wrong (printf "%s: said twice, by value and by existingSecret; remove one" $name) -}}
{{- end -}}
{{- end -}}
{{- if not (or $v.operators.tokens $v.operators.existingSecret.name $v.operators.insecure) -}}
{{- $wrong = append $wrong "operators: say operators.tokens or operators.existingSecret.name (`maestro token` makes a token and its hash), or operators.insecure: true if whoever reaches the service may do everything" -}}
{{- end -}}
{{- if and $v.operators.tokens $v.operators.existingSecret.name -}}
{{- $wrong = append $wrong "operators: tokens said twice, by value and by existingSecret; remove one" -}}
{{- end -}}
{{- if and $v.operators.insecure (or $v.operators.tokens $v.operators.existingSecret.name) -}}
{{- $wrong = append $wrong "operators: insecure is true although there are tokens; remove one of the two" -}}
{{- end -}}
{{- if gt (int $v.api.autoscaling.minReplicas) (int $v.api.autoscaling.maxReplicas) -}}
{{- $wrong = append $wrong "api.autoscaling: minReplicas is above maxReplicas" -}}
{{- end -}}
{{- if and (not $v.serviceAccount.create) (not $v.serviceAccount.name) -}}
{{- $wrong = append $wrong "serviceAccount: say the name of the one that exists, or create: true" -}}
{{- end -}}
{{- if and $v.serviceMonitor.enabled (not $v.operators.insecure) (not $v.serviceMonitor.tokenSecret.name) -}}
{{- $wrong = append $wrong "serviceMonitor: /metrics asks for an operator's token; say serviceMonitor.tokenSecret.name" -}}
{{- end -}}
{{- if $wrong -}}
{{- fail (printf "\n\nthe values do not fit together:\n  - %s\n" (join "\n  - " $wrong)) -}}
{{- end -}}
{{- end -}}

{{- /* secret "database" $ -> the name and key of the secret that has it */ -}}
{{- define "maestro.secretref" -}}
{{- $given := index .root.Values .of -}}
{{- if $given.existingSecret.name -}}
{name: {{ $given.existingSecret.name }}, key: {{ $given.existingSecret.key }}}
{{- else -}}
{name: {{ include "maestro.fullname" .root }}, key: {{ .key }}}
{{- end -}}
{{- end -}}

{{- define "maestro.env" -}}
{{- if eq .Values.mode "distributed" }}
- name: MAESTRO_DATABASE
  valueFrom: {secretKeyRef: {{ include "maestro.secretref" (dict "root" . "of" "database" "key" "database") }}}
- name: MAESTRO_REDIS
  valueFrom: {secretKeyRef: {{ include "maestro.secretref" (dict "root" . "of" "redis" "key" "redis") }}}
- name: MAESTRO_KEY
  valueFrom: {secretKeyRef: {{ include "maestro.secretref" (dict "root" . "of" "key" "key" "key") }}}
{{- end }}
{{- if not .Values.operators.insecure }}
- name: MAESTRO_OPERATOR_TOKENS
  valueFrom: {secretKeyRef: {{ include "maestro.secretref" (dict "root" . "of" "operators" "key" "operator-tokens") }}}
{{- end }}
{{- end -}}

{{- /* As the pod security standard "restricted" asks. */ -}}
{{- define "maestro.podsecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "maestro.security" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* pod: the template of a role's pods. Takes root, component, role (the values of this role), args. */ -}}
{{- define "maestro.pod" -}}
{{- $root := .root -}}
{{- $v := $root.Values -}}
metadata:
  labels:
    {{- include "maestro.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
    maestro.dev/scraped: "true"
    {{- with .role.labels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Another configuration is another pod. Scheduler files are not of it: they are read again when they change.
    checksum/config: {{ include "maestro.config" $root | sha256sum }}
    checksum/secret: {{ include "maestro.secret" $root | sha256sum }}
    {{- with .role.annotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "maestro.serviceaccount" $root }}
  automountServiceAccountToken: true
  enableServiceLinks: false
  # Leases are handed over and requests ended in a few seconds; what takes longer than this hangs.
  terminationGracePeriodSeconds: 45
  securityContext:
    {{- include "maestro.podsecurity" $root | nindent 4 }}
  {{- with $v.image.pullSecrets }}
  imagePullSecrets:
    {{- range . }}
    - name: {{ . }}
    {{- end }}
  {{- end }}
  {{- with .role.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  {{- with .role.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .role.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .role.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- if ne .component "single" }}
  # Copies on one node go with it.
  topologySpreadConstraints:
    {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
    - topologyKey: {{ . }}
      maxSkew: 1
      whenUnsatisfiable: ScheduleAnyway
      labelSelector:
        matchLabels:
          {{- include "maestro.selector" $root | nindent 10 }}
          app.kubernetes.io/component: {{ $.component }}
    {{- end }}
  {{- end }}
  containers:
    - name: maestro
      image: {{ include "maestro.image" $root }}
      imagePullPolicy: {{ $v.image.pullPolicy }}
      args:
        {{- toYaml .args | nindent 8 }}
      {{- $env := include "maestro.env" $root }}
      {{- if or $env .role.env }}
      env:
        {{- with $env }}
        {{- trim . | nindent 8 }}
        {{- end }}
        {{- with .role.env }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      {{- end }}
      ports:
        - {name: operators, containerPort: 8080}
        {{- if ne .component "worker" }}
        - {name: rooms, containerPort: 8081}
        {{- end }}
      # A start that compiles policies or waits for a lock may take a while; afterwards 30 s without an answer are the end.
      startupProbe: {httpGet: {path: /livez, port: operators}, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 60}
      livenessProbe: {httpGet: {path: /livez, port: operators}, periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 3}
      readinessProbe: {httpGet: {path: /readyz, port: operators}, periodSeconds: 5, timeoutSeconds: 5, failureThreshold: 2}
      {{- if ne .component "worker" }}
      lifecycle:
        # Until every node has heard that nothing is sent here any more.
        preStop: {sleep: {seconds: 5}}
      {{- end }}
      resources:
        {{- toYaml .role.resources | nindent 8 }}
      securityContext:
        {{- include "maestro.security" $root | nindent 8 }}
      volumeMounts:
        - {name: config, mountPath: /etc/maestro/config, readOnly: true}
        - {name: cache, mountPath: /var/cache/maestro}
        - {name: tmp, mountPath: /tmp}
        {{- if eq .component "single" }}
        - {name: data, mountPath: /var/lib/maestro}
        {{- end }}
        {{- if and (ne .component "api") $v.schedulers }}
        - {name: schedulers, mountPath: /etc/maestro/schedulers, readOnly: true}
        {{- end }}
        {{- range $name := list "database" "redis" }}
        {{- if (index $v $name).caSecret.name }}
        - {name: {{ $name }}-ca, mountPath: /etc/maestro/{{ $name }}-ca, readOnly: true}
        {{- end }}
        {{- end }}
  volumes:
    - name: config
      configMap: {name: {{ include "maestro.fullname" $root }}}
    - name: cache
      emptyDir: {sizeLimit: 1Gi}
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- if and (ne .component "api") $v.schedulers }}
    - name: schedulers
      configMap: {name: {{ include "maestro.fullname" $root }}-schedulers}
    {{- end }}
    {{- range $name := list "database" "redis" }}
    {{- with (index $v $name).caSecret }}
    {{- if .name }}
    - name: {{ $name }}-ca
      secret: {secretName: {{ .name }}, items: [{key: {{ .key }}, path: {{ .key }}}]}
    {{- end }}
    {{- end }}
    {{- end }}
    {{- if and (eq .component "single") $v.single.persistence.existingClaim }}
    - name: data
      persistentVolumeClaim: {claimName: {{ $v.single.persistence.existingClaim }}}
    {{- end }}
{{- end -}}

{{- /* The settings' file. Secrets come by the environment. */ -}}
{{- define "maestro.config" -}}
{{- $file := deepCopy .Values.settings -}}
{{- $_ := set $file "listen" "0.0.0.0:8080" -}}
{{- $_ := set $file "rooms-listen" "0.0.0.0:8081" -}}
{{- $_ := set $file "rooms-url" (include "maestro.roomsurl" .) -}}
{{- $_ := set $file "installation" .Values.installation -}}
{{- $_ := set $file "policy-cache" "/var/cache/maestro" -}}
{{- if eq .Values.mode "single" -}}
{{- $_ := set $file "data" "/var/lib/maestro" -}}
{{- end -}}
{{- if .Values.schedulers -}}
{{- $_ := set $file "files" (list "/etc/maestro/schedulers") -}}
{{- $_ := set $file "prune" .Values.prune -}}
{{- end -}}
{{- if .Values.redis.caSecret.name -}}
{{- $_ := set $file "redis-ca" (printf "/etc/maestro/redis-ca/%s" .Values.redis.caSecret.key) -}}
{{- end -}}
{{- if .Values.operators.insecure -}}
{{- $_ := set $file "insecure" true -}}
{{- end -}}
{{- toYaml $file -}}
{{- end -}}

{{- /* What was given by value. */ -}}
{{- define "maestro.secret" -}}
{{- $data := dict -}}
{{- with .Values.database.url }}{{ $_ := set $data "database" . }}{{ end -}}
{{- with .Values.redis.url }}{{ $_ := set $data "redis" . }}{{ end -}}
{{- with .Values.key.value }}{{ $_ := set $data "key" . }}{{ end -}}
{{- with .Values.operators.tokens }}{{ $_ := set $data "operator-tokens" (join "," .) }}{{ end -}}
{{- if $data }}{{ toYaml $data }}{{ end -}}
{{- end -}}
