#!/bin/sh
# Needs: fluent-bit plugin jq
# The collector's Fluent Bit writes to another one's input `elasticsearch`, which speaks the bulk API.
. "$(dirname "$0")/../../recipe.sh"
published
OPENSEARCH_HOST=127.0.0.1 OPENSEARCH_PORT=$(free_port) OPENSEARCH_USER=admin OPENSEARCH_PASSWORD=x
OPENSEARCH_TLS=off
export OPENSEARCH_HOST OPENSEARCH_PORT OPENSEARCH_USER OPENSEARCH_PASSWORD OPENSEARCH_TLS
receive -i elasticsearch -p port="$OPENSEARCH_PORT" -p meta_key=meta
until_so listens "$OPENSEARCH_PORT"
collect
arrives "$STATE/received.ndjson" \
    'select(.m365_audit.content_id) | del(.m365_audit, .["@timestamp"], .meta)'
