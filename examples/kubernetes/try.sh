#!/bin/sh
# Needs: python3:yaml python3:kubernetes_validate kubectl fluent-bit plugin jq
# The manifests are valid; and what runs in each of the pods brings what was published, signed in by
# the token of a service account.
. "$(dirname "$0")/../recipe.sh"
check() { python3 "$here/check/check.py" "$@"; }
check validate
published --credentials-dir "$STATE/credentials"
tenant=$M365_AUDIT_TENANT_ID client=$M365_AUDIT_CLIENT_ID login=$M365_AUDIT_LOGIN_URL
api=$M365_AUDIT_API_URL
# Only what stands in the files counts.
unset M365_AUDIT_TENANT_ID M365_AUDIT_CLIENT_ID M365_AUDIT_CLIENT_SECRET
unset M365_AUDIT_LOGIN_URL M365_AUDIT_API_URL

nobody=00000000-0000-0000-0000-000000000000

# Writes what NAME's pod runs to FILE, with this machine's ids, folders and ports.
adapted() {
    check render "$1" "$STATE/rendered"
    data=$(mktemp -d "$STATE/data.XXXXXX")
    status=$(free_port)
    sed -e "/tenant_id/s/$nobody/$tenant/; /client_id/s/$nobody/$client/" \
        -e "s|/var/run/secrets/m365-audit/token|$STATE/credentials/federated-token|" \
        -e "s|/usr/lib/m365-audit/in_m365_audit.so|$plugin|" \
        -e "s|/fluent-bit/data|$data|; s|/var/lib/m365-audit|$data|" \
        -e "s|0.0.0.0:9477|127.0.0.1:$status|; s|\(ort[: ]*\)2020|\1$(free_port)|" \
        -e "s|fluentd.observability.svc|127.0.0.1|; s|24224|$port|" \
        -e "s|https://collector.observability.svc:4318|http://127.0.0.1:$port|" \
        -e "/ca_file/d" "$STATE/rendered" >"$2"
}

# Whose addresses are the simulator's, which is no line of a file that users get.
simulated() {
    sed -i "s|^\( *\)federated_token_file\(:\{0,1\}\) .*|&\n\1login_url\2 $login\n\1api_url\2 $api|" "$1"
}

# Whether the records are there, and the probes content.
settles() {
    arrives "$@"
    until_so check probe "$status"
    for pid in $pids; do [ "$pid" = "$first" ] || kill "$pid"; done
    for pid in $pids; do [ "$pid" = "$first" ] || wait "$pid" || true; done
    pids=$first
    rm -f "$STATE/received.ndjson"
}
first=${pids# }

for each in fluent-bit-aggregator fluent-bit fluent-operator; do
    port=$(free_port)
    receive -i forward -p port="$port"
    until_so listens "$port"
    case $each in
        fluent-bit-aggregator) config=$STATE/$each.yaml loaded= ;;
        *) config=$STATE/$each.conf loaded="-e $plugin" ;;
    esac
    adapted $each "$config"
    simulated "$config"
    # shellcheck disable=SC2086 # Two words, or none.
    beside $each "$fluent_bit" $loaded -c "$config"
    settles "$STATE/received.ndjson"
done

port=$(free_port)
receive -i opentelemetry -p port="$port"
until_so listens "$port"
adapted m365-audit "$STATE/m365-audit.toml"
beside m365-audit "$program" run --config "$STATE/m365-audit.toml" --progress never \
    --login-url "$login" --api-url "$api" --otlp-body text
settles "$STATE/received.ndjson" '.[] | strings | fromjson'
