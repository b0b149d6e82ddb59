{{- /* The labels that select the release's pods. Immutable: never add a version here. */ -}}
{{- define "lookbook.selector" -}}
app.kubernetes.io/name: lookbook
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lookbook.labels" -}}
{{ include "lookbook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- /* Environment variables that the service and the schema Job have in common. */ -}}
{{- define "lookbook.settings" -}}
- name: LOOKBOOK_STORE
  value: cassandra
- name: LOOKBOOK_CASSANDRA_CONTACT_POINTS
  value: {{ .Values.cassandra.contactPoints | default (printf "%s-cassandra" .Release.Name) | quote }}
- name: LOOKBOOK_CASSANDRA_PORT
  value: {{ .Values.cassandra.port | quote }}
- name: LOOKBOOK_CASSANDRA_LOCAL_DC
  value: {{ .Values.cassandra.localDataCenter | quote }}
{{- if .Values.cassandra.caSecret }}
- name: LOOKBOOK_CASSANDRA_CA_FILE
  value: /etc/lookbook/cassandra/ca.crt
{{- end }}
{{- range $name, $value := .Values.settings }}
- name: LOOKBOOK_{{ upper $name }}
  {{- /* toJson, because Helm reads numbers as floats and would print 2.592e+06. */}}
  value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}
{{- end }}
{{- end }}
