#!/bin/sh
# Needs: fluent-bit plugin jq
# The collector's Fluent Bit pushes to another one's input `http`, which keeps what it is given.
. "$(dirname "$0")/../../recipe.sh"
published
LOKI_HOST=127.0.0.1 LOKI_PORT=$(free_port) LOKI_TLS=off
export LOKI_HOST LOKI_PORT LOKI_TLS
receive -i http -p port="$LOKI_PORT" -p successful_response_code=204
until_so listens "$LOKI_PORT"
collect
arrives "$STATE/received.ndjson" '.streams[]
    | select(.stream.job == "m365-audit" and (.stream | keys | length) == 3) | .values[]
    | select(.[2].content_id) | .[1] | fromjson | del(.m365_audit)'
