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
TENANT_ID=$(of tenant_id) CLIENT_ID=$(of client_id) CLIENT_SECRET=$(of client_secret)
LOGIN_URL=$(of login_url) API_URL=$(of api_url) PORTAL_URL=$(of portal_url)
export TENANT_ID CLIENT_ID CLIENT_SECRET LOGIN_URL API_URL PORTAL_URL
"$fluent_bit" -e "$plugin" -c "$(dirname "$0")/fluent-bit.yaml"
