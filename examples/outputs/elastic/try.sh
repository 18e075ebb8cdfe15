#!/bin/sh
# Needs: fluent-bit plugin jq
# The collector's Fluent Bit writes to another one's input `elasticsearch`, which speaks the bulk API.
. "$(dirname "$0")/../../recipe.sh"
published
ELASTIC_HOST=127.0.0.1 ELASTIC_PORT=$(free_port) ELASTIC_USER=elastic ELASTIC_PASSWORD=x
ELASTIC_TLS=off
export ELASTIC_HOST ELASTIC_PORT ELASTIC_USER ELASTIC_PASSWORD ELASTIC_TLS
receive -i elasticsearch -p port="$ELASTIC_PORT" -p meta_key=meta
until_so listens "$ELASTIC_PORT"
collect
arrives "$STATE/received.ndjson" 'select(.o365audit) | .o365audit'
