{{- /* What the pods of the daemon and of the jobs share. */ -}}

{{- /* The settings of a pod, but for its containers, its service account and how it ends. */ -}}
{{- define "sagetrail.podSettings" -}}
# Nothing here talks to Kubernetes; the token of IRSA comes another way.
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .Values.podSecurityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.dnsPolicy }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.extraInitContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "sagetrail.volumes" . | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The settings of a container, but for its name, its arguments and its variables. */ -}}
{{- define "sagetrail.containerSettings" -}}
image: {{ include "sagetrail.image" . }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "sagetrail.volumeMounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* What the pods of a job are called, in the 63 characters of a label. */ -}}
{{- define "sagetrail.jobName" -}}
{{- printf "%s-%s" (include "sagetrail.name" .root | trunc 56 | trimSuffix "-") .job -}}
{{- end -}}

{{- /* A job's own labels: by the daemon's the disruption budget and the spread over zones count. */ -}}
{{- define "sagetrail.jobLabels" -}}
app.kubernetes.io/name: {{ include "sagetrail.jobName" . }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .root.Values.podLabels }}
{{ toYaml . }}
{{- end }}
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
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
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
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}
