#!/bin/sh
# syslog-ng reads what is collected from the simulator, until all has arrived. Needs jq.
#   try.sh SYSLOG_NG M365_AUDIT M365_SIM
set -eu
syslog_ng=$1
program=$2
simulator=$3
. "$(dirname "$0")/../simulator.sh"
sed "s|/var/log/m365|$folder|" "$(dirname "$0")/syslog-ng.conf" >"$folder/syslog-ng.conf"
"$program" run --once --db "$folder/state.db" --output "$folder/audit.ndjson"
"$syslog_ng" --foreground --no-caps --cfgfile "$folder/syslog-ng.conf" \
    --persist-file "$folder/persist" --pidfile "$folder/pid" --control "$folder/control" &
pids="$pids $!"
arrived
