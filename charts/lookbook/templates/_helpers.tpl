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

{{- /* A map: the reference of each container image, and the Secrets to pull them with as pullSecrets. */ -}}
{{- define "lookbook.images" -}}
{{- range $name, $image := .Values.images }}
  {{- /* helm upgrade --reuse-values keeps the defaults of 0.1.0. They mean the images of this chart. */}}
  {{- if and (kindIs "string" $image) (regexMatch "^lookbook(-model-init)?:0[.]1[.]0$" (toString $image)) }}
    {{- $image = dict "repository" (first (splitList ":" $image)) }}
  {{- end }}
  {{- if kindIs "string" $image }}
{{ $name }}: {{ $image }}
  {{- else }}
{{ $name }}: {{ with ($.Values.global).imageRegistry | default $image.registry }}{{ . }}/{{ end }}
    {{- $image.repository }}{{ with $image.digest }}@{{ . }}{{ else }}:{{ $image.tag | default $.Chart.AppVersion }}{{ end }}
  {{- end }}
{{- end }}
pullSecrets:
{{- range concat ((.Values.global).imagePullSecrets | default list) .Values.imagePullSecrets | uniq }}
  - name: {{ if kindIs "string" . }}{{ quote . }}{{ else }}{{ quote .name }}{{ end }}
{{- end }}
{{- end }}
