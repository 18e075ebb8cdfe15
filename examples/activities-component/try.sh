#!/bin/sh
# Collects the activities of the simulator once, by the component in its host. Needs jq.
#   try.sh M365_AUDIT M365_AUDIT_WASM M365_SIM
set -eu
program=$1
component=$2
simulator=$3
folder=$(mktemp -d)
trap 'kill "$serving" 2>/dev/null; rm -rf "$folder"' EXIT
"$simulator" serve --activities-per-hour 60 --activity-days 1 >"$folder/ready" &
serving=$!
until [ -s "$folder/ready" ]; do sleep 0.1; done
of() { jq -r ".$1" "$folder/ready"; }
M365_AUDIT_TENANT_ID=$(of tenant_id) M365_AUDIT_CLIENT_ID=$(of client_id)
M365_AUDIT_CLIENT_SECRET=$(of client_secret) M365_AUDIT_LOGIN_URL=$(of login_url)
M365_AUDIT_PORTAL_URL=$(of portal_url)
export M365_AUDIT_TENANT_ID M365_AUDIT_CLIENT_ID M365_AUDIT_CLIENT_SECRET
export M365_AUDIT_LOGIN_URL M365_AUDIT_PORTAL_URL
"$program" host run --component "$component" --config "$(dirname "$0")/m365-audit.toml" --once
