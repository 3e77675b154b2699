{{- define "postgresql.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "postgresql.labels" -}}
{{ include "postgresql.selector" . }}
app.kubernetes.io/component: database
app.kubernetes.io/part-of: {{ .Release.Namespace }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "postgresql.confined" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}

{{- define "postgresql.env" -}}
- {name: PGDATA, value: /var/lib/postgresql/18/docker}
- {name: POSTGRES_USER, value: {{ .Values.user | quote }}}
- {name: POSTGRES_DB, value: {{ .Values.database | quote }}}
- {name: POSTGRES_PASSWORD_FILE, value: /run/secrets/postgresql/password}
- {name: POSTGRES_INITDB_ARGS, value: "--locale=C.UTF-8 --encoding=UTF8"}
- {name: POSTGRES_HOST_AUTH_METHOD, value: scram-sha-256}
{{- end }}

{{- define "postgresql.mounts" -}}
- {name: data, mountPath: /var/lib/postgresql}
- {name: config, mountPath: /etc/postgresql, readOnly: true}
- {name: auth, mountPath: /run/secrets/postgresql, readOnly: true}
{{- if .Values.tls.secretName }}
- {name: tls, mountPath: /run/secrets/postgresql-tls, readOnly: true}
{{- end }}
- {name: run, mountPath: /var/run/postgresql}
- {name: tmp, mountPath: /tmp}
- {name: shm, mountPath: /dev/shm}
{{- end }}

{{- define "postgresql.ready" -}}
command: [pg_isready, --quiet, --host, 127.0.0.1, --username, {{ .Values.user | quote }}]
{{- end }}
