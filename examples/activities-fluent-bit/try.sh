#!/bin/sh
# Runs fluent-bit.yaml against the simulator, until it is interrupted. Needs jq.
#   try.sh FLUENT_BIT IN_M365_AUDIT_SO M365_SIM
set -eu
fluent_bit=$1
plugin=$(realpath "$2")
simulator=$3
STATE=$(mktemp -d)
trap 'kill "$serving" 2>/dev/null; rm -rf "$STATE"' EXIT
"$simulator" serve --activities-per-hour 60 --activity-days 1 >"$STATE/ready" &
serving=$!
until [ -s "$STATE/ready" ]; do sleep 0.1; done
of() { jq -r ".$1" "$STATE/ready"; }
export STATE
M365_AUDIT_TENANT_ID=$(of tenant_id) M365_AUDIT_CLIENT_ID=$(of client_id)
M365_AUDIT_CLIENT_SECRET=$(of client_secret) M365_AUDIT_LOGIN_URL=$(of login_url)
M365_AUDIT_API_URL=$(of api_url) M365_AUDIT_PORTAL_URL=$(of portal_url)
export M365_AUDIT_TENANT_ID M365_AUDIT_CLIENT_ID M365_AUDIT_CLIENT_SECRET
export M365_AUDIT_LOGIN_URL M365_AUDIT_API_URL M365_AUDIT_PORTAL_URL
"$fluent_bit" -e "$plugin" -c "$(dirname "$0")/fluent-bit.yaml"
