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

{{- define "lookbook.restricted" -}}
allowPrivilegeEscalation: false
capabilities: {drop: [ALL]}
readOnlyRootFilesystem: true
{{- end }}

{{- /* What the service and the schema Job both need to know. */ -}}
{{- define "lookbook.settings" -}}
- {name: LOOKBOOK_STORE, value: cassandra}
- {name: LOOKBOOK_CASSANDRA_CONTACT_POINTS, value: {{ .Values.cassandra.contactPoints | default (printf "%s-cassandra" .Release.Name) | quote }}}
- {name: LOOKBOOK_CASSANDRA_PORT, value: {{ .Values.cassandra.port | quote }}}
- {name: LOOKBOOK_CASSANDRA_LOCAL_DC, value: {{ .Values.cassandra.localDataCenter | quote }}}
{{- if .Values.cassandra.caSecret }}
- {name: LOOKBOOK_CASSANDRA_CA_FILE, value: /etc/lookbook/cassandra/ca.crt}
{{- end }}
{{- /* Helm reads numbers as floats, whose text would be 2.592e+06. */ -}}
{{- range $name, $value := .Values.settings }}
- {name: LOOKBOOK_{{ upper $name }}, value: {{ ternary $value (toJson $value) (kindIs "string" $value) | quote }}}
{{- end }}
{{- end }}
