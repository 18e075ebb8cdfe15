#!/bin/sh
# One call of the component by the wasmtime command line: poll.sh COMPONENT CONFIG.json
set -eu
config=$(sed 's/[\\"]/\\&/g' "$2" | tr -d '\n')
limits='{max-records: 10000, max-bytes: 1048576, deadline-ms: 20000}'
exec "${WASMTIME:-wasmtime}" run -S http --invoke "poll(\"$config\", fresh, $limits)" "$1"
