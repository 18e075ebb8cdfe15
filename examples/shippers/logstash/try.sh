#!/bin/sh
# Needs: logstash jq
. "$(dirname "$0")/../../recipe.sh"
published
SPOOL=$STATE
export SPOOL
run_once --output "$STATE/audit.ndjson"
beside logstash logstash --path.data "$STATE/data" --pipeline.ecs_compatibility disabled \
    -f "$here/pipeline.conf"
arrives "$STATE/received.ndjson" 'del(.["@timestamp"], .["@version"], .host, .path)'
