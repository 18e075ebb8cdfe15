#!/bin/sh
# Needs: syslog-ng jq
# syslog-ng reads what is collected from the simulator, until all has arrived.
. "$(dirname "$0")/../../recipe.sh"
published
sed "s|/var/log/m365|$STATE|" "$here/syslog-ng.conf" >"$STATE/syslog-ng.conf"
run_once --output "$STATE/audit.ndjson"
beside syslog-ng syslog-ng --foreground --no-caps --cfgfile "$STATE/syslog-ng.conf" \
    --persist-file "$STATE/persist" --pidfile "$STATE/pid" --control "$STATE/control"
until_so cmp -s "$STATE/audit.ndjson" "$STATE/received.ndjson"
arrives "$STATE/received.ndjson"
