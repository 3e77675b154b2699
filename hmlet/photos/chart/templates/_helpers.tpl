{{/* Each of these takes a dict of `root` (the chart's context) and `component`. */}}

{{- define "backend.selector" -}}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "backend.labels" -}}
{{ include "backend.selector" . }}
app.kubernetes.io/part-of: {{ .root.Release.Namespace }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{/* A pod's labels: the last ones open the doors of the data releases' network policies. */}}
{{- define "backend.podLabels" -}}
{{ include "backend.labels" . }}
{{- range tuple .root.Values.database.host .root.Values.redis.host (include "backend.storageHost" .root) }}
{{- if not (contains "." .) }}
{{ . }}-client: "true"
{{- end }}
{{- end }}
{{- end }}

{{- define "backend.storageHost" -}}
{{ (urlParse .Values.storage.endpoint).hostname }}
{{- end }}

{{- define "backend.storagePort" -}}
{{- $url := urlParse .Values.storage.endpoint -}}
{{- if contains ":" $url.host }}{{ regexFind "[0-9]+$" $url.host }}{{ else if eq $url.scheme "https" }}443{{ else }}80{{ end }}
{{- end }}

{{- define "backend.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- range . }}
  - name: {{ . }}
{{- end }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "backend.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: {{ not .root.Values.development }}
capabilities: {drop: [ALL]}
{{- end }}

{{/* The flesh's settings: the table in doc/architecture.rst. Also takes `identity`. */}}
{{- define "backend.env" -}}
{{- $values := .root.Values -}}
- {name: PUBLIC_URL, value: {{ $values.publicUrl | quote }}}
- {name: LOG_LEVEL, value: {{ $values.logLevel | quote }}}
- {name: LOG_FORMAT, value: json}
- {name: PHOTO_MAX_BYTES, value: {{ $values.photoMaxBytes | int64 | quote }}}
- {name: JOBS_KEPT_DAYS, value: {{ $values.jobs.keptDays | int | quote }}}
- {name: JOBS_BACKGROUND_AT_ONCE, value: {{ $values.jobs.backgroundAtOnce | int | quote }}}
- {name: THUMBNAILS_KEPT_HOURS, value: {{ $values.thumbnails.keptHours | int | quote }}}
- {name: DIFFS_KEEP, value: {{ ternary "1" "0" $values.diffs.kept | quote }}}
- {name: DIFFS_KEPT_HOURS, value: {{ $values.diffs.keptHours | int | quote }}}
- {name: LOGIN_WINDOW_S, value: {{ $values.logins.windowSeconds | int | quote }}}
- {name: LOGIN_FAILURES_MAX, value: {{ $values.logins.failures | int | quote }}}
- {name: LOGIN_FAILURES_OF_ADDRESS_MAX, value: {{ $values.logins.failuresOfAddress | int | quote }}}
- {name: LOGIN_FAILURES_OF_ACCOUNT_MAX, value: {{ $values.logins.failuresOfAccount | int | quote }}}
- {name: TRUSTED_PROXIES, value: {{ join " " $values.trustedProxies | quote }}}
- {name: DJANGO_SECRET_KEY_FILE, value: /run/secrets/hmlet/django-secret-key}
- {name: DATABASE_HOST, value: {{ $values.database.host | quote }}}
- {name: DATABASE_PORT, value: {{ $values.database.port | int | quote }}}
- {name: DATABASE_NAME, value: {{ $values.database.name | quote }}}
- {name: DATABASE_USER, value: {{ $values.database.user | quote }}}
- {name: DATABASE_SSLMODE, value: {{ $values.database.sslMode | quote }}}
- {name: DATABASE_PASSWORD_FILE, value: /run/secrets/hmlet/database-password}
- {name: REDIS_HOST, value: {{ $values.redis.host | quote }}}
- {name: REDIS_PORT, value: {{ $values.redis.port | int | quote }}}
- {name: REDIS_TLS, value: {{ ternary "1" "0" $values.redis.tls | quote }}}
- {name: REDIS_PASSWORD_FILE, value: /run/secrets/hmlet/redis-password}
- {name: S3_ENDPOINT_URL, value: {{ $values.storage.endpoint | quote }}}
- {name: S3_PUBLIC_ENDPOINT_URL, value: {{ $values.storage.publicEndpoint | quote }}}
- {name: S3_REGION, value: {{ $values.storage.region | quote }}}
- {name: S3_ORIGINALS_BUCKET, value: {{ $values.storage.buckets.originals | quote }}}
- {name: S3_THUMBNAILS_BUCKET, value: {{ $values.storage.buckets.thumbnails | quote }}}
- {name: S3_ENCRYPTION, value: {{ $values.storage.encryption.kind | quote }}}
{{- with $values.storage.encryption.key }}
- {name: S3_ENCRYPTION_KEY, value: {{ . | quote }}}
{{- end }}
{{- if $values.authorities.secretName }}
{{- range tuple "DATABASE" "REDIS" "S3" }}
- {name: {{ . }}_CA_PATH, value: /run/secrets/hmlet/authorities.crt}
{{- end }}
{{- end }}
- {name: S3_ACCESS_KEY_FILE, value: /run/secrets/hmlet/s3-access-key}
- {name: S3_SECRET_KEY_FILE, value: /run/secrets/hmlet/s3-secret-key}
# The sweep's rights are its own: here a CronJob does what beat does on a stage of processes.
- {name: SWEEP_BY_BEAT, value: "0"}
{{- end }}

{{/* What the settings' files are made of: the identity's Secret, less what a reference takes from elsewhere. */}}
{{- define "backend.secrets" -}}
{{- $values := .root.Values -}}
{{- $own := (index $values.auth .identity).secretName -}}
{{- $storage := index $values.storage.secretNames .identity -}}
projected:
  defaultMode: 0440
  sources:
    - secret:
        name: {{ $own }}
        items:
          - {key: django-secret-key, path: django-secret-key}
    - secret:
        name: {{ $values.database.secretName | default $own }}
        items:
          - {key: {{ ternary $values.database.secretKey "database-password" (ne $values.database.secretName "") }}, path: database-password}
    - secret:
        name: {{ $values.redis.secretName | default $own }}
        items:
          - {key: {{ ternary $values.redis.secretKey "redis-password" (ne $values.redis.secretName "") }}, path: redis-password}
    - secret:
        name: {{ $storage | default $own }}
        items:
          - {key: {{ ternary $values.storage.accessKeyKey "s3-access-key" (ne $storage "") }}, path: s3-access-key}
          - {key: {{ ternary $values.storage.secretKeyKey "s3-secret-key" (ne $storage "") }}, path: s3-secret-key}
    {{- with $values.authorities }}
    {{- if .secretName }}
    - secret:
        name: {{ .secretName }}
        items:
          - {key: {{ .key }}, path: authorities.crt}
    {{- end }}
    {{- end }}
{{- end }}

{{- define "backend.workerResources" -}}
{{- $resources := deepCopy .Values.worker.resources -}}
{{- $limits := $resources.limits | default dict -}}
{{- if not (hasKey $limits "memory") -}}
{{- $limits = set $limits "memory" (printf "%dMi" (add 512 (mul 1280 (int .Values.worker.concurrency)))) -}}
{{- end -}}
{{- toYaml (set $resources "limits" $limits) -}}
{{- end }}

{{/* Takes seconds: whether the heartbeat's file was touched within so many. */}}
{{- define "backend.beatenWithin" -}}
command:
  - sh
  - -c
  - test $(( $(date +%s) - $(stat -c %Y /run/heartbeat/beaten) )) -le {{ . }}
{{- end }}
