# What the try.sh of all recipes share; read by them with `.`, not run. Where things are, unless they
# are in PATH: M365_AUDIT, M365_SIM, FLUENT_BIT, and M365_AUDIT_PLUGIN for in_m365_audit.so. Each
# try.sh says in a line `# Needs:` what else it takes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
program=${M365_AUDIT:-m365-audit}
simulator=${M365_SIM:-m365-sim}
fluent_bit=${FLUENT_BIT:-fluent-bit}
plugin=${M365_AUDIT_PLUGIN:-/usr/lib/m365-audit/in_m365_audit.so}
for each in "$program" "$simulator" jq curl; do
    command -v "$each" >/dev/null || { echo "not found: $each" >&2; exit 1; }
done
# STATE is where configurations keep what they keep.
STATE=$(mktemp -d)
export STATE
pids=

end() {
    code=$?
    trap - EXIT
    for pid in $pids; do kill "$pid" 2>/dev/null || true; done
    wait 2>/dev/null || true
    [ "$code" = 0 ] || tail -n 30 "$STATE"/*.log >&2 || true
    rm -rf "$STATE"
    exit "$code"
}
trap end EXIT
trap 'exit 1' INT TERM

# Runs a program beside, with its words in NAME.log.
beside() {
    log=$STATE/$1.log
    shift
    "$@" >"$log" 2>&1 &
    pids="$pids $!"
}

# Waits for a condition, up to two minutes.
until_so() {
    left=600
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || { echo "in vain: $*" >&2; exit 1; }
        sleep 0.2
    done
}

# A port on which nobody listens.
free_port() {
    while :; do
        port=$(($(od -An -N2 -tu2 /dev/urandom) % 28000 + 4000))
        grep -qi ":$(printf %04x "$port") " /proc/net/tcp /proc/net/tcp6 2>/dev/null || break
    done
    echo "$port"
}

# Whether somebody listens on a port of this machine.
listens() { grep -qi ":$(printf %04x "$1") .* 0A " /proc/net/tcp; }

# What numbers and texts of numbers come to, whatever they went through: beyond 64 bits they travel as
# text.
plain='walk(if type == "number" then tostring
    elif type == "string" and test("^-?[0-9]{16,}$") then (tonumber | tostring) else . end)'

# The records of FILE in what FILTER of jq makes of it, one a line, to be compared.
records() { jq -cS "${2:-.} | $plain" "$1" 2>/dev/null | sort -u; }

# Collects it all, until the last of what was published a moment ago is there.
collected() {
    "$program" run --once --progress never >"$STATE/published.ndjson" 2>"$STATE/published.log"
    [ ! -f "$STATE/last" ] || grep -qFf "$STATE/last" "$STATE/published.ndjson"
}

# An hour of a tenant that is over, with the shapes of records of tests/spec, and what there is of it,
# a record a line. What the simulator is to do beside may be said.
published() {
    "$simulator" serve --days 0.05 --oddness 0 --lag-seconds 0 "$@" \
        >"$STATE/ready" 2>"$STATE/sim.log" &
    pids="$pids $!"
    until_so test -s "$STATE/ready"
    of() { jq -r ".$1" "$STATE/ready"; }
    M365_AUDIT_TENANT_ID=$(of tenant_id) M365_AUDIT_CLIENT_ID=$(of client_id)
    M365_AUDIT_CLIENT_SECRET=$(of client_secret) M365_AUDIT_LOGIN_URL=$(of login_url)
    M365_AUDIT_API_URL=$(of api_url)
    export M365_AUDIT_TENANT_ID M365_AUDIT_CLIENT_ID M365_AUDIT_CLIENT_SECRET
    export M365_AUDIT_LOGIN_URL M365_AUDIT_API_URL
    for shapes in "$here"/../../../tests/spec/records/*.ndjson; do
        [ -f "$shapes" ] || continue
        case $shapes in
            */entra.ndjson) type=Audit.AzureActiveDirectory ;;
            */exchange.ndjson) type=Audit.Exchange ;;
            */sharepoint.ndjson) type=Audit.SharePoint ;;
            *) type=Audit.General ;;
        esac
        curl -sSf --data-binary "@$shapes" "$(of api_url)/_sim/publish?contentType=$type" \
            >/dev/null
        tail -n 1 "$shapes" | jq -r .Id >"$STATE/last"
    done
    until_so collected
    records "$STATE/published.ndjson" >"$STATE/published"
    test -s "$STATE/published"
}

# Whether FILE has, in what FILTER of jq makes of it, the records that were published and no others.
has_all() {
    [ -s "$1" ] && records "$@" >"$STATE/arrived" &&
        cmp -s "$STATE/published" "$STATE/arrived"
}

# Waits for that, and says so.
arrives() {
    until_so has_all "$@"
    echo "$(wc -l <"$STATE/arrived") records arrived as they were published"
}

# The command line with this recipe's options, to its end.
run_once() { "$program" run --once --progress never --db "$STATE/state.db" "$@" 2>"$STATE/run.log"; }

# Another Fluent Bit with these options, which writes to received.ndjson, as a receiver.
receive() {
    beside receiver "$fluent_bit" -q -f 0.5 "$@" -p listen=127.0.0.1 -p buffer_max_size=64M \
        -o file -m '*' -p path="$STATE" -p file=received.ndjson -p format=plain
}

# Fluent Bit with the plugin and this recipe's configuration.
collect() { beside collector "$fluent_bit" -q -e "$plugin" -c "$here/fluent-bit.yaml"; }
