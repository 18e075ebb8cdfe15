#!/bin/sh
# Needs: vector jq
. "$(dirname "$0")/../../recipe.sh"
published
mkdir "$STATE/vector"
port=$(free_port)
VECTOR_ADDRESS=127.0.0.1:$port
export VECTOR_ADDRESS
beside vector vector --quiet --config "$here/vector.yaml"
until_so listens "$port"
run_once --sink forward --metadata=record --forward-address "$VECTOR_ADDRESS"
arrives "$STATE/received.ndjson" 'select(.m365_audit.content_id) | del(.m365_audit)'
