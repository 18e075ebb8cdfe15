# For the try.sh of each shipper, which names its programs: starts the simulator, and sets folder,
# pids, and what m365-audit reads of the environment. Needs jq.
#   simulator=M365_SIM; . simulator.sh
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

# Waits until all that was collected has arrived.
arrived() {
    until cmp -s "$folder/audit.ndjson" "$folder/received.ndjson"; do sleep 0.1; done
    echo "$(wc -l <"$folder/received.ndjson") records arrived, byte for byte"
}
