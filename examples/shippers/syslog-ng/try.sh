#!/bin/sh
# syslog-ng reads what is collected from the simulator, until all has arrived. Needs jq.
#   try.sh SYSLOG_NG M365_AUDIT M365_SIM
set -eu
syslog_ng=$1
program=$2
simulator=$3
folder=$(mktemp -d)
trap 'kill $pids 2>/dev/null || true; rm -rf "$folder"' EXIT
pids=
"$simulator" serve --days 0.05 >"$folder/ready" &
pids=$!
until [ -s "$folder/ready" ]; do sleep 0.1; done
of() { jq -r ".$1" "$folder/ready"; }
M365_AUDIT_TENANT_ID=$(of tenant_id) M365_AUDIT_CLIENT_ID=$(of client_id)
M365_AUDIT_CLIENT_SECRET=$(of client_secret) M365_AUDIT_LOGIN_URL=$(of login_url)
M365_AUDIT_API_URL=$(of api_url)
export M365_AUDIT_TENANT_ID M365_AUDIT_CLIENT_ID M365_AUDIT_CLIENT_SECRET
export M365_AUDIT_LOGIN_URL M365_AUDIT_API_URL
sed "s|/var/log/m365|$folder|" "$(dirname "$0")/syslog-ng.conf" >"$folder/syslog-ng.conf"
"$program" run --once --db "$folder/state.db" --output "$folder/audit.ndjson"
"$syslog_ng" --foreground --no-caps --cfgfile "$folder/syslog-ng.conf" \
    --persist-file "$folder/persist" --pidfile "$folder/pid" --control "$folder/control" &
pids="$pids $!"
until cmp -s "$folder/audit.ndjson" "$folder/received.ndjson"; do sleep 0.1; done
echo "$(wc -l <"$folder/received.ndjson") records arrived, byte for byte"
