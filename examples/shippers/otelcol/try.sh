#!/bin/sh
# Needs: otelcol fluent-bit jq
# The Collector passes on to a Fluent Bit.
. "$(dirname "$0")/../../recipe.sh"
published
port=$(free_port)
OTELCOL_ENDPOINT=127.0.0.1:$port
next=$(free_port)
OTELCOL_NEXT=http://127.0.0.1:$next
export OTELCOL_ENDPOINT OTELCOL_NEXT
receive -i opentelemetry -p port="$next"
beside otelcol otelcol --config "$here/otelcol.yaml"
until_so listens "$port"
until_so listens "$next"
run_once --sink otlp --otlp-endpoint "http://$OTELCOL_ENDPOINT" --otlp-body text
arrives "$STATE/received.ndjson" '.[] | strings | fromjson'
