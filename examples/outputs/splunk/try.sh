#!/bin/sh
# Needs: fluent-bit plugin jq
# The collector's Fluent Bit writes to another one's input `splunk`, which speaks the HEC.
. "$(dirname "$0")/../../recipe.sh"
published
SPLUNK_HOST=127.0.0.1 SPLUNK_PORT=$(free_port) SPLUNK_TOKEN=0d3f8e1a-0000-4000-8000-000000000001
SPLUNK_TLS=off SPLUNK_INDEX=m365
export SPLUNK_HOST SPLUNK_PORT SPLUNK_TOKEN SPLUNK_TLS SPLUNK_INDEX
receive -i splunk -p port="$SPLUNK_PORT" -p splunk_token="$SPLUNK_TOKEN" \
    -p store_token_in_metadata=off
until_so listens "$SPLUNK_PORT"
collect
arrives "$STATE/received.ndjson" \
    'select(.sourcetype == "o365:management:activity" and .source == "m365-audit") | .event'
