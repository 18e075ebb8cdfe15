#!/bin/sh
# Needs: fluent-bit plugin jq
# The same records by the collector's own sink and by Fluent Bit's output, to Fluent Bit's input.
. "$(dirname "$0")/../../recipe.sh"
published
OTLP_HOST=127.0.0.1 OTLP_PORT=$(free_port) OTLP_TLS=off
export OTLP_HOST OTLP_PORT OTLP_TLS
receive -i opentelemetry -p port="$OTLP_PORT"
until_so listens "$OTLP_PORT"
# As text: the input keeps 32 bits of whole numbers.
run_once --sink otlp --otlp-endpoint "http://127.0.0.1:$OTLP_PORT" --otlp-body text
arrives "$STATE/received.ndjson" '.[] | strings | fromjson'
rm -f "$STATE"/state.db* && : >"$STATE/received.ndjson"
# All but the numbers, since this way there is no text.
unnumbered='walk(if type == "number" or (type == "string" and test("^-?[0-9]{16,}$")) then 0
    else . end)'
records "$STATE/published.ndjson" "$unnumbered" >"$STATE/published"
collect
arrives "$STATE/received.ndjson" "$unnumbered"
