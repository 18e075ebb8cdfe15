#!/bin/sh
# Needs: fluent-bit plugin jq python3:moto.server
# The collector's Fluent Bit uploads to moto, a simulation of Amazon's services.
. "$(dirname "$0")/../../recipe.sh"
published
port=$(free_port)
S3_BUCKET=audit AWS_REGION=eu-central-1 S3_ENDPOINT=http://127.0.0.1:$port S3_UPLOAD_TIMEOUT=3s
AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
export S3_BUCKET AWS_REGION S3_ENDPOINT S3_UPLOAD_TIMEOUT AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY
beside moto python3 -m moto.server -H 127.0.0.1 -p "$port"
until_so listens "$port"
python3 -c 'import boto3, os; boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"]).create_bucket(
    Bucket="audit", CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})'
collect
download() {
    python3 - >"$STATE/received.ndjson" 2>"$STATE/reader.log" <<'PYTHON'
import boto3, gzip, os, sys
s3 = boto3.client("s3", endpoint_url=os.environ["S3_ENDPOINT"])
for page in s3.get_paginator("list_objects_v2").paginate(Bucket="audit"):
    for entry in page.get("Contents", []):
        body = s3.get_object(Bucket="audit", Key=entry["Key"])["Body"].read()
        sys.stdout.buffer.write(gzip.decompress(body))
PYTHON
    has_all "$STATE/received.ndjson" 'select(.m365_audit.content_id) | del(.m365_audit)'
}
until_so download
echo "$(wc -l <"$STATE/arrived") records arrived as they were published"
