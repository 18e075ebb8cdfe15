#!/bin/sh
# rsyslog reads what is collected from the simulator, until all has arrived. Needs jq.
#   try.sh RSYSLOGD M365_AUDIT M365_SIM
set -eu
rsyslogd=$1
program=$2
simulator=$3
. "$(dirname "$0")/../simulator.sh"
sed "s|/var/log/m365|$folder|; s|/var/spool/rsyslog|$folder|" "$(dirname "$0")/rsyslog.conf" \
    >"$folder/rsyslog.conf"
"$rsyslogd" -n -f "$folder/rsyslog.conf" -i "$folder/pid" &
pids="$pids $!"
"$program" run --once --db "$folder/state.db" --output "$folder/audit.ndjson"
arrived
