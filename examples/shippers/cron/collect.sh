#!/bin/sh
# Collects what there is, and ends: for cron, a systemd timer, or any other scheduler.
#   */15 * * * *  m365  /usr/local/lib/m365-audit/collect.sh
# What M365_AUDIT_* says, and these:
set -eu
state=${M365_AUDIT_STATE_FOLDER:-/var/lib/m365-audit}
spool=${M365_AUDIT_SPOOL_FOLDER:-/var/log/m365}
# A service that is away is tried again until the time is over; the next run goes on from there.
exec timeout "${M365_AUDIT_LIMIT:-14m}" "${M365_AUDIT:-m365-audit}" run --once --progress never \
    --db "$state/state.db" --output "$spool/audit.ndjson" \
    --output-rotate-after 1d --output-keep 14
