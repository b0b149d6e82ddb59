{{- /* The prefix of all names: the name of the release, followed by nameOverride or an alias if there is one. */ -}}
{{- define "lookbook.fullname" -}}
{{- $name := .Release.Name }}
{{- with .Values.nameOverride | default .Chart.Name }}
  {{- $name = ternary $name (printf "%s-%s" $name .) (eq . "lookbook") }}
{{- end }}
{{- $name = .Values.fullnameOverride | default $name }}
{{- /* Kubernetes allows 63 characters; 23 are left for the suffixes that the chart and Kubernetes append. */}}
{{- if gt (len $name) 40 }}
  {{- $name = printf "%s-%s" (trunc 31 $name | trimSuffix "-") (sha256sum $name | trunc 8) }}
{{- end }}
{{- $name }}
{{- end }}

{{- /* The labels that select the release's pods. Immutable: never add a version here. */ -}}
{{- define "lookbook.selector" -}}
app.kubernetes.io/name: {{ .Values.nameOverride | default .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- /* The labels of objects, but not of pods or claims. */ -}}
{{- define "lookbook.labels" -}}
{{ include "lookbook.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Environment variables that the service and the schema Job have in common. */ -}}
{{- define "lookbook.settings" -}}
- name: LOOKBOOK_STORE
  value: cassandra
- name: LOOKBOOK_CASSANDRA_CONTACT_POINTS
  value: {{ .Values.cassandra.contactPoints | default (printf "%s-cassandra" (include "lookbook.fullname" .)) | quote }}
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

{{- /* The init container that pulls the model into the volume `model` and verifies it. */ -}}
{{- define "lookbook.modelInit" -}}
- name: model-init
  image: {{ (include "lookbook.images" . | fromYaml).modelInit }}
  args:
    - pull
    - --source={{ if .Values.model.existingClaim }}/volume{{ else }}http://{{ include "lookbook.fullname" . }}-models:8080{{ end }}
    - --name={{ .Values.model.name }}
    - --version={{ .Values.model.version }}
    {{- with .Values.model.digest }}
    - --digest={{ . }}
    {{- end }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      drop:
        - ALL
    readOnlyRootFilesystem: true
  resources:
    requests:
      cpu: 50m
      memory: 64Mi
    limits:
      memory: 128Mi
  volumeMounts:
    - name: model
      mountPath: /model
    {{- if .Values.model.existingClaim }}
    - name: models
      mountPath: /volume
      readOnly: true
    {{- end }}
{{- end }}

{{- /* Arguments: a pod block's securityContext, and the defaults for its keys. A key that is null is left out. */ -}}
{{- define "lookbook.securityContext" -}}
{{- $context := index . 1 }}
{{- range $key, $value := index . 0 }}
  {{- $context = kindIs "invalid" $value | ternary (omit $context $key) (merge (dict $key $value) $context) }}
{{- end }}
{{- toYaml $context }}
{{- end }}
