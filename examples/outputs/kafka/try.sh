#!/bin/sh
# Needs: fluent-bit fluent-bit:kafka plugin kcat jq
# The collector's Fluent Bit writes to the simulated broker in a kcat, which reads what is there.
. "$(dirname "$0")/../../recipe.sh"
published
kcat -C -u -t m365-audit -b simulated -X test.mock.num.brokers=1 -X debug=mock \
    -X auto.offset.reset=earliest -X fetch.message.max.bytes=50000000 \
    >"$STATE/received.ndjson" 2>"$STATE/broker" &
pids="$pids $!"
until_so grep -q 'bootstrap.servers=[0-9.:]' "$STATE/broker"
KAFKA_BROKERS=$(sed -n 's/.*bootstrap.servers=\([0-9.:]*\).*/\1/p' "$STATE/broker" | head -n 1)
export KAFKA_BROKERS
collect
arrives "$STATE/received.ndjson" \
    'select(.m365_audit.content_id) | del(.m365_audit, .["@timestamp"])'
