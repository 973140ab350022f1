{{/* The image of the webhook's server. */}}
{{- define "diyadm.webhookImage" -}}
{{- if .Values.image.webhook -}}
{{ .Values.image.webhook }}
{{- else if .Values.image.registry -}}
{{ trimSuffix "/" .Values.image.registry }}/admissionwebhook:latest
{{- else -}}
admissionwebhook:latest
{{- end -}}
{{- end -}}

{{/* The flags of `diyadm serve` that say how workloads are emptied. */}}
{{- define "diyadm.serveFlags" -}}
{{- with .Values.image.emptyContainer }}
- {{ printf "--image=%s" . | quote }}
{{- end }}
{{- with .Values.emptying.idle }}
- {{ printf "--idle=%s" . | quote }}
{{- end }}
{{- with .Values.emptying.containers }}
- {{ printf "--containers=%s" . | quote }}
{{- end }}
{{- with .Values.emptying.level }}
- {{ printf "--level=%s" . | quote }}
{{- end }}
{{- with .Values.emptying.ready }}
- {{ printf "--ready=%s" . | quote }}
{{- end }}
{{- if .Values.emptying.standIn }}
- "--stand-in=true"
{{- end }}
{{- with .Values.image.registry }}
- {{ printf "--registry=%s" (trimSuffix "/" .) | quote }}
{{- end }}
{{- with .Values.image.agent }}
- {{ printf "--agent-image=%s" . | quote }}
{{- end }}
{{- range .Values.imagePullSecrets }}
- {{ printf "--image-pull-secret=%s" .name | quote }}
{{- end }}
{{- end -}}

{{/* The namespaces whose workloads are sent to the webhook. */}}
{{- define "diyadm.namespaceSelector" -}}
{{- if .Values.namespaces }}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ toJson .Values.namespaces }}
{{- else }}
matchLabels:
  {{ .Values.namespaceLabel.key | quote }}: {{ .Values.namespaceLabel.value | quote }}
{{- end }}
{{- end -}}

{{/*
ca.crt, server.crt and server.key in base64: of the values, else of the Secret in the cluster, so
that an upgrade keeps them, else new ones.
*/}}
{{- define "diyadm.certificates" -}}
{{- $given := .Values.certificates }}
{{- $found := lookup "v1" "Secret" .Release.Namespace $given.secret }}
{{- if and $given.create $given.serverCrt }}
ca.crt: {{ required "certificates.caCrt is missing" $given.caCrt | b64enc }}
server.crt: {{ $given.serverCrt | b64enc }}
server.key: {{ required "certificates.serverKey is missing" $given.serverKey | b64enc }}
{{- else if and (not $given.create) $given.caCrt }}
ca.crt: {{ $given.caCrt | b64enc }}
{{- else if $found }}
{{- range $key := list "ca.crt" "server.crt" "server.key" }}
{{ $key }}: {{ required (printf "Secret %s has no %s" $given.secret $key) (index $found.data $key) }}
{{- end }}
{{- else if $given.create }}
{{- $host := printf "%s.%s.svc" .Values.name .Release.Namespace }}
{{- $days := int $given.days }}
{{- $ca := genCA (printf "diyadm CA of %s" .Values.name) $days }}
{{- $server := genSignedCert $host nil (list $host) $days $ca }}
ca.crt: {{ $ca.Cert | b64enc }}
server.crt: {{ $server.Cert | b64enc }}
server.key: {{ $server.Key | b64enc }}
{{- else }}
{{- fail (printf "Namespace %s has no Secret %s: create it with `diyadm init`, or set certificates.create or certificates.caCrt." .Release.Namespace $given.secret) }}
{{- end }}
{{- end -}}
