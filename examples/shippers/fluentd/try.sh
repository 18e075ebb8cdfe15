#!/bin/sh
# Needs: fluentd jq
. "$(dirname "$0")/../../recipe.sh"
published
FLUENTD_PORT=$(free_port)
export FLUENTD_PORT
beside fluentd fluentd -q -c "$here/fluentd.conf"
until_so listens "$FLUENTD_PORT"
run_once --sink forward --metadata=record --forward-address "127.0.0.1:$FLUENTD_PORT"
gathered() {
    cat "$STATE"/received*.log >"$STATE/received.ndjson" 2>/dev/null
    has_all "$STATE/received.ndjson" 'select(.m365_audit.content_id) | del(.m365_audit)'
}
until_so gathered
echo "$(wc -l <"$STATE/arrived") records arrived as they were published"
