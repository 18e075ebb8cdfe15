#!/bin/sh
# Needs: telegraf jq
. "$(dirname "$0")/../../recipe.sh"
published
mkdir "$STATE/bin"
ln -s "$(command -v "$program")" "$STATE/bin/m365-audit"
PATH=$STATE/bin:$PATH
export PATH
beside telegraf telegraf --quiet --config "$here/telegraf.conf"
arrives "$STATE/received.json" '.. | .value? | strings | fromjson'
