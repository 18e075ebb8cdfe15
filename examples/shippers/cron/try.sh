#!/bin/sh
# Needs: jq
# Two runs of a cron job: the second finds nothing new.
. "$(dirname "$0")/../../recipe.sh"
published
unset M365_AUDIT_STATE_FOLDER M365_AUDIT_SPOOL_FOLDER M365_AUDIT_LIMIT
run() {
    env M365_AUDIT="$program" M365_AUDIT_STATE_FOLDER="$STATE" M365_AUDIT_SPOOL_FOLDER="$STATE" \
        sh "$here/collect.sh" 2>"$STATE/run.log"
}
run
cp "$STATE/audit.ndjson" "$STATE/first.ndjson"
run
cmp "$STATE/audit.ndjson" "$STATE/first.ndjson"
arrives "$STATE/audit.ndjson"
