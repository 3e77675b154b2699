{{- define "frontend.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "frontend.labels" -}}
{{ include "frontend.selector" . }}
app.kubernetes.io/component: edge
app.kubernetes.io/part-of: {{ .Release.Namespace }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{/* Where requests come in when TLS ends here, and when it does not. */}}
{{- define "frontend.listen" -}}
{{- if .Values.tls.secretName -}}
8443 ssl
{{- else -}}
8080
{{- end -}}
{{- end }}
