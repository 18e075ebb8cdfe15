#!/bin/sh
# Needs: jq
# What the agent would read: each line as Wazuh's own module makes it.
. "$(dirname "$0")/../../recipe.sh"
published
env M365_AUDIT="$program" M365_AUDIT_SPOOL_FOLDER="$STATE" sh "$here/collect.sh" --once \
    --progress never --db "$STATE/state.db" 2>"$STATE/run.log"
cat "$STATE"/wazuh*.ndjson >"$STATE/received.ndjson"
arrives "$STATE/received.ndjson" 'select(.integration == "office365" and keys == ["integration", "office365"])
    | .office365 | select(.Subscription | startswith("Audit.")) | del(.Subscription)'
