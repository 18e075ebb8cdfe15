#!/bin/sh
# Needs: fluent-bit plugin jq
# The collector's Fluent Bit makes events of OCSF of what it collects, one of each record.
. "$(dirname "$0")/../../recipe.sh"
published
jq -cS '{Id, Operation, CreationTime, OrganizationId}' "$STATE/published.ndjson" |
    sort -u >"$STATE/published"
collect
until_so has_all "$STATE/received.ndjson" 'select(.metadata.log_name) | {Id: .metadata.uid,
    Operation: .metadata.event_code, CreationTime: .metadata.original_time,
    OrganizationId: .metadata.tenant_uid}'
jq -r .class_name "$STATE/received.ndjson" | sort | uniq -c
echo "$(wc -l <"$STATE/arrived") records arrived, each as an event"
