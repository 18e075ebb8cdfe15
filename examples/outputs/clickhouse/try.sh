#!/bin/sh
# Needs: fluent-bit plugin jq python3:chdb
# The collector's Fluent Bit inserts into chdb, which is ClickHouse's engine as a library, behind a
# small server that knows of the HTTP interface what an insert takes.
. "$(dirname "$0")/../../recipe.sh"
published
CLICKHOUSE_HOST=127.0.0.1 CLICKHOUSE_PORT=$(free_port) CLICKHOUSE_TLS=off CLICKHOUSE_USER=default
CLICKHOUSE_PASSWORD= CLICKHOUSE_FORMAT=JSONAsString
export CLICKHOUSE_HOST CLICKHOUSE_PORT CLICKHOUSE_TLS CLICKHOUSE_USER CLICKHOUSE_PASSWORD
export CLICKHOUSE_FORMAT
cat >"$STATE/server.py" <<'PYTHON'
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit
from chdb.session import Session

session = Session(os.environ["STATE"] + "/chdb")
session.query("CREATE DATABASE audit ENGINE = Atomic; USE audit")
session.query(open(sys.argv[1]).read())

class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        [query] = parse_qs(urlsplit(self.path).query)["query"]
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        session.query(query + "\n" + body)
        rows = "SELECT Record FROM m365_audit FINAL WHERE CreationTime > '2000-01-01' AND Id != ''"
        with open(os.environ["STATE"] + "/received.new", "w") as file:
            file.write(str(session.query(rows, "TSVRaw")))
        os.rename(file.name, os.environ["STATE"] + "/received.ndjson")
        self.send_response(200)
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["CLICKHOUSE_PORT"])), Handler).serve_forever()
PYTHON
beside server python3 "$STATE/server.py" "$here/table.sql"
until_so listens "$CLICKHOUSE_PORT"
collect
arrives "$STATE/received.ndjson"
