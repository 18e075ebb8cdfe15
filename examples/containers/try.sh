#!/bin/sh
# Needs: buildah mmdebstrap dpkg fluent-bit plugin jq
# The Containerfiles build, on a base of Debian's packages under the official names, and what they
# make runs as nobody in particular, in a file system without a shell.
. "$(dirname "$0")/../recipe.sh"
[ "$(id -u)" = 0 ] || { echo "buildah's chroot isolation and mmdebstrap want root here" >&2; exit 1; }
store="--root $STATE/store --runroot $STATE/run --storage-driver vfs"
# shellcheck disable=SC2086 # Words.
build() { buildah $store "$@"; }

# Whose libraries they are.
libraries() { ldd "$@" 2>/dev/null | awk '/=> \//{print $3}' | sort -u; }
packages=$(libraries "$fluent_bit" "$program" | sed 's|.*/|*/|' | xargs dpkg -S | cut -d: -f1 |
    sort -u | paste -sd,)
codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
mmdebstrap --quiet --variant=extract --include="$packages" "$codename" "$STATE/debian" \
    >"$STATE/mmdebstrap.log" 2>&1
test ! -e "$STATE/debian/bin/sh"

# base NAME: an image of that under an official name.
base() {
    container=$(build from scratch)
    build copy --quiet "$container" "$STATE/debian" / >/dev/null
    build copy --quiet "$container" "$fluent_bit" /fluent-bit/bin/fluent-bit >/dev/null
    build config --entrypoint '["/fluent-bit/bin/fluent-bit"]' "$container"
    build commit --quiet "$container" "$1" >/dev/null
    build rm "$container" >/dev/null
}
official=docker.io/fluent/fluent-bit:5.1.1
base "$official"
base gcr.io/distroless/cc-debian13:nonroot

# A release's folder.
release=$STATE/release
mkdir "$release"
cp "$plugin" "$release/in_m365_audit.so"
cp "$program" "$release/m365-audit"
cp "$here/../../LICENSE" "$release/"
for name in THIRD-PARTY-LICENSES.txt in_m365_audit.cdx.json m365-audit.cdx.json; do
    echo {} >"$release/$name"
done
for name in fluent-bit plugin m365-audit; do
    build build --quiet --pull-never --isolation chroot --file "$here/$name.Containerfile" \
        --tag "$name" "$release" >/dev/null
done
for name in fluent-bit m365-audit; do
    user=$(build inspect --type image --format '{{.OCIv1.Config.User}}' "$name")
    [ "$user" = 65532:65532 ] || { echo "$name runs as $user" >&2; exit 1; }
done

# inside IMAGE MOUNT COMMAND...: as Kubernetes would run it. In a shell of its own, which it becomes.
inside() {
    image=$1 mount=$2
    shift 2
    container=$(build from --pull-never "$image")
    # shellcheck disable=SC2086 # Words.
    exec buildah $store run --isolation chroot --user 65532:65532 --volume "$STATE/data:/data" $mount \
        "$container" -- "$@"
}
published
mkdir "$STATE/data"
chmod 777 "$STATE/data"
entry=$(build inspect --type image --format '{{index .OCIv1.Config.Entrypoint 0}}' m365-audit)
(inside m365-audit "" "$entry" --version)
(inside m365-audit "" "$entry" run --once --progress never --db /data/run.db \
    --output /data/run.ndjson --tenant-id "$M365_AUDIT_TENANT_ID" \
    --client-id "$M365_AUDIT_CLIENT_ID" --client-secret "$M365_AUDIT_CLIENT_SECRET" \
    --login-url "$M365_AUDIT_LOGIN_URL" --api-url "$M365_AUDIT_API_URL" 2>"$STATE/run.log")
[ "$(stat -c %u "$STATE/data/run.ndjson")" = 65532 ]
arrives "$STATE/data/run.ndjson"

cat >"$STATE/data/fluent-bit.yaml" <<END
service: { flush: 0.5, storage.path: /data/storage }
pipeline:
  inputs:
    - name: m365_audit
      tenant_id: $M365_AUDIT_TENANT_ID
      client_id: $M365_AUDIT_CLIENT_ID
      client_secret: $M365_AUDIT_CLIENT_SECRET
      login_url: $M365_AUDIT_LOGIN_URL
      api_url: $M365_AUDIT_API_URL
      storage.type: filesystem
  outputs:
    - { name: file, match: '*', path: /data, file: out.ndjson, format: plain }
END
# With the plugin in it, and the official one with the plugin's image beside it.
container=$(build from --pull-never plugin)
beside_it=$(build mount "$container")
[ "$(find "$beside_it" -type f | wc -l)" = 4 ] || { echo "more than the plugin" >&2; exit 1; }
for image in fluent-bit "$official"; do
    mount=
    [ "$image" = fluent-bit ] || mount="--volume $beside_it:/usr/lib/m365-audit:ro"
    beside fluent-bit inside "$image" "$mount" /fluent-bit/bin/fluent-bit \
        -e /usr/lib/m365-audit/in_m365_audit.so -c /data/fluent-bit.yaml
    arrives "$STATE/data/out.ndjson"
    kill "$!"
    wait "$!" || true
    rm -rf "$STATE/data/out.ndjson" "$STATE/data/storage"
done
