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

{{/* Browsers come by https alone from now on, where it is what people type. */}}
{{- define "frontend.hsts" -}}
{{- if eq (urlParse .Values.publicUrl).scheme "https" -}}
add_header Strict-Transport-Security "max-age=31536000" always;
{{- end -}}
{{- end }}

{{- define "frontend.storageScheme" -}}
{{ ternary "https" "http" (ne .Values.storage.authorities.secretName "") }}
{{- end }}
