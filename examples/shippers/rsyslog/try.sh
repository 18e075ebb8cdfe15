#!/bin/sh
# Needs: rsyslogd jq
# rsyslog reads what is collected from the simulator, until all has arrived.
. "$(dirname "$0")/../../recipe.sh"
published
sed "s|/var/log/m365|$STATE|; s|/var/spool/rsyslog|$STATE|" "$here/rsyslog.conf" >"$STATE/rsyslog.conf"
beside rsyslog rsyslogd -n -f "$STATE/rsyslog.conf" -i "$STATE/pid"
run_once --output "$STATE/audit.ndjson"
until_so cmp -s "$STATE/audit.ndjson" "$STATE/received.ndjson"
arrives "$STATE/received.ndjson"
