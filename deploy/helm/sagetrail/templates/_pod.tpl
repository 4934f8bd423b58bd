{{- /* What the pods of the daemon and of the setup job share. */ -}}

{{- define "sagetrail.podSecurityContext" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
# Lets the daemon read the files of secrets, which belong to root.
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sagetrail.securityContext" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "sagetrail.env" -}}
- name: AWS_REGION
  value: {{ .Values.aws.region | quote }}
- name: SAGETRAIL__SOURCE__QUEUE_URL
  value: {{ .Values.queueUrl | quote }}
- name: SAGETRAIL__SINK__URL
  value: {{ .Values.opensearch.url | quote }}
- name: SAGETRAIL__SINK__AUTH
  value: {{ .Values.opensearch.auth }}
{{- if eq .Values.opensearch.auth "sigv4" }}
- name: SAGETRAIL__SINK__SIGV4_SERVICE
  value: {{ .Values.opensearch.sigv4Service }}
{{- else if eq .Values.opensearch.auth "basic" }}
- name: SAGETRAIL__SINK__USERNAME
  valueFrom:
    secretKeyRef:
      name: {{ .Values.opensearch.existingSecret }}
      key: {{ .Values.opensearch.usernameKey }}
- name: SAGETRAIL__SINK__PASSWORD_FILE
  value: /run/secrets/opensearch/{{ .Values.opensearch.passwordKey }}
{{- else if eq .Values.opensearch.auth "certificate" }}
- name: SAGETRAIL__SINK__CLIENT_CERTIFICATE_FILE
  value: /run/secrets/client/tls.crt
- name: SAGETRAIL__SINK__CLIENT_KEY_FILE
  value: /run/secrets/client/tls.key
{{- end }}
{{- if .Values.opensearch.caSecret }}
- name: SAGETRAIL__SINK__CA_FILE
  value: /run/secrets/authorities/{{ .Values.opensearch.caKey }}
{{- end }}
{{- if .Values.redaction.existingSecret }}
- name: SAGETRAIL__REDACTION__KEY_FILE
  value: /run/secrets/redaction/{{ .Values.redaction.key }}
{{- end }}
{{- if .Values.config }}
- name: SAGETRAIL_CONFIG
  value: /etc/sagetrail/sagetrail.toml
{{- end }}
{{- if include "sagetrail.rulesConfigMap" . }}
- name: SAGETRAIL__RULES__FOLDER
  value: /etc/sagetrail-rules
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "sagetrail.volumeMounts" -}}
{{- if .Values.config }}
- {name: config, mountPath: /etc/sagetrail, readOnly: true}
{{- end }}
{{- if include "sagetrail.rulesConfigMap" . }}
- {name: rules, mountPath: /etc/sagetrail-rules, readOnly: true}
{{- end }}
{{- if eq .Values.opensearch.auth "basic" }}
- {name: opensearch, mountPath: /run/secrets/opensearch, readOnly: true}
{{- end }}
{{- if eq .Values.opensearch.auth "certificate" }}
- {name: client, mountPath: /run/secrets/client, readOnly: true}
{{- end }}
{{- if .Values.opensearch.caSecret }}
- {name: authorities, mountPath: /run/secrets/authorities, readOnly: true}
{{- end }}
{{- if .Values.redaction.existingSecret }}
- {name: redaction, mountPath: /run/secrets/redaction, readOnly: true}
{{- end }}
{{- end -}}

{{- define "sagetrail.volumes" -}}
{{- if .Values.config }}
- name: config
  configMap:
    name: {{ include "sagetrail.fullname" . }}
{{- end }}
{{- with include "sagetrail.rulesConfigMap" . }}
- name: rules
  configMap:
    name: {{ . }}
{{- end }}
{{- if eq .Values.opensearch.auth "basic" }}
- name: opensearch
  secret:
    secretName: {{ .Values.opensearch.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.opensearch.passwordKey | quote }}, path: {{ .Values.opensearch.passwordKey | quote }}}
{{- end }}
{{- if eq .Values.opensearch.auth "certificate" }}
- name: client
  secret:
    secretName: {{ .Values.opensearch.clientCertificateSecret }}
    defaultMode: 0440
{{- end }}
{{- if .Values.opensearch.caSecret }}
- name: authorities
  secret:
    secretName: {{ .Values.opensearch.caSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.opensearch.caKey | quote }}, path: {{ .Values.opensearch.caKey | quote }}}
{{- end }}
{{- if .Values.redaction.existingSecret }}
- name: redaction
  secret:
    secretName: {{ .Values.redaction.existingSecret }}
    defaultMode: 0440
    items:
      - {key: {{ .Values.redaction.key | quote }}, path: {{ .Values.redaction.key | quote }}}
{{- end }}
{{- end -}}
