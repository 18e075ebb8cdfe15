//! The simulator's own addresses, under `/_sim/`: the truth, the report, and a few levers. They
//! are not Microsoft's and are not counted.

use std::io::Write;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::{Response, StatusCode};
use serde_json::json;

use super::response::{ServerBody, plain};
use super::shared::Shared;
use crate::answer::quoted;
use crate::content_type::ContentType;
use crate::guid::Guid;
use crate::http::{Query, Request};
use crate::owed::Owed;
use crate::time;

/// Bytes of the truth that are made at once.
const CHUNK_BYTES: usize = 64 * 1024;

pub(super) fn answer(request: &Request, shared: &Arc<Shared>) -> Response<ServerBody> {
    let query = Query::parse(request.query().as_bytes());
    match (request.method.as_str(), request.path()) {
        ("GET", "/_sim/owed") => owed(&query, shared),
        ("GET", "/_sim/activities") => activities(&query, shared),
        ("GET", "/_sim/feedback") => feedback(shared),
        ("GET", "/_sim/report") => report(shared),
        ("POST", "/_sim/heal") => {
            shared.microsoft().heal();
            json_answer(json!({"healed": true}))
        }
        ("POST", "/_sim/publish") => publish(&query, &request.body, shared),
        _ => plain(
            StatusCode::NOT_FOUND,
            "GET /_sim/owed[?records=1], GET /_sim/activities[?records=1], GET /_sim/feedback, \
             GET /_sim/report, POST /_sim/heal, \
             POST /_sim/publish?contentType=TYPE[&tenant=ID]\n",
        ),
    }
}

fn json_answer(value: serde_json::Value) -> Response<ServerBody> {
    let mut response = Response::new(ServerBody::whole(format!("{value}\n").into_bytes()));
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

fn report(shared: &Shared) -> Response<ServerBody> {
    let mut microsoft = shared.microsoft();
    microsoft.advance(shared.now_ms());
    let report = serde_json::to_value(microsoft.report());
    drop(microsoft);
    match report {
        Ok(mut value) => {
            value["connections"] = shared.connections().into();
            value["uptime_s"] =
                shared.started().elapsed().map_or(0, |uptime| uptime.as_secs()).into();
            json_answer(value)
        }
        Err(error) => plain(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn publish(query: &Query, body: &[u8], shared: &Shared) -> Response<ServerBody> {
    let Some(Ok(content_type)) = query.get("contentType").map(str::parse::<ContentType>) else {
        let known = ContentType::ALL.map(ContentType::name).join(", ");
        let text = format!("contentType is missing or unknown: use one of {known}\n");
        return plain(StatusCode::BAD_REQUEST, &text);
    };
    let mut microsoft = shared.microsoft();
    let first = microsoft.tenants()[0].id;
    let tenant = query.get("tenant").map_or(Some(first), Guid::parse);
    let now_ms = shared.now_ms();
    let records = || body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let published = tenant.and_then(|tenant| match body {
        [] => microsoft.publish(now_ms, tenant, content_type),
        _ => {
            let records = records().map(<[u8]>::to_vec).collect();
            microsoft.publish_records(now_ms, tenant, content_type, records)
        }
    });
    match published {
        None => plain(StatusCode::NOT_FOUND, "no such tenant\n"),
        Some(published) => json_answer(json!({
            "content_type": content_type,
            "content_id": published.content_id,
            "content_created": time::millis_z(published.created_ms),
            "created_ms": published.created_ms,
            "ids": published.record_ids,
        })),
    }
}

fn owed(query: &Query, shared: &Shared) -> Response<ServerBody> {
    let records = query.get("records").is_some_and(|value| value == "1");
    let mut microsoft = shared.microsoft();
    microsoft.advance(shared.now_ms());
    let mut owed = microsoft.owed();
    drop(microsoft);
    let chunks = std::iter::from_fn(move || {
        let mut chunk = Vec::with_capacity(CHUNK_BYTES + 1_024);
        while chunk.len() < CHUNK_BYTES {
            match owed.next() {
                Some(record) => line(&record, records, &mut chunk),
                None => break,
            }
        }
        (!chunk.is_empty()).then_some(chunk)
    });
    let mut response = Response::new(ServerBody::lines(chunks));
    let ndjson = hyper::header::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, ndjson);
    response
}

/// Every activity that can be found, a line each.
fn activities(query: &Query, shared: &Shared) -> Response<ServerBody> {
    let records = query.get("records").is_some_and(|value| value == "1");
    let mut microsoft = shared.microsoft();
    microsoft.advance(shared.now_ms());
    let mut body = String::new();
    for owed in microsoft.owed_activities() {
        let mut line = json!({
            "tenant": owed.tenant,
            "id": owed.id,
            "created": time::millis_z(owed.created_ms),
            "available": time::millis_z(owed.available_ms),
            "timestamp": time::millis_z(owed.timestamp_ms),
            "key": format!("{:032x}", owed.key),
            "bytes": owed.bytes.len(),
            "hash": format!("{:032x}", owed.hash),
        });
        if records {
            line["record"] = String::from_utf8_lossy(&owed.bytes).into();
        }
        body.push_str(&line.to_string());
        body.push('\n');
    }
    drop(microsoft);
    let mut response = Response::new(ServerBody::whole(body.into_bytes()));
    let ndjson = hyper::header::HeaderValue::from_static("application/x-ndjson");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, ndjson);
    response
}

/// The remarks that were made about activities of the first tenant.
fn feedback(shared: &Shared) -> Response<ServerBody> {
    let microsoft = shared.microsoft();
    let remarks = microsoft.feedback(microsoft.tenants()[0].id);
    let remarks =
        remarks.iter().map(|remark| json!({"activity": remark.activity, "body": remark.body}));
    json_answer(remarks.collect::<Vec<_>>().into())
}

/// One line of the truth. The record is a JSON string, or base64 when it is not UTF-8.
fn line(owed: &Owed, records: bool, out: &mut Vec<u8>) {
    let id = owed.id.map_or_else(|| "null".to_owned(), |id| format!("\"{id}\""));
    // Writing to memory does not fail.
    let _ = write!(
        out,
        "{{\"tenant\":\"{}\",\"content_type\":\"{}\",\"content_id\":\"{}\",\
         \"content_created\":\"{}\",\"available\":\"{}\",\"expires\":\"{}\",\"index\":{},\
         \"id\":{id},\"key\":\"{:032x}\",\"bytes\":{},\"hash\":\"{:032x}\",\"malformed\":{}",
        owed.tenant,
        owed.content_type,
        owed.content_id,
        time::millis_z(owed.created_ms),
        time::millis_z(owed.available_ms),
        time::millis_z(owed.expires_ms),
        owed.index,
        owed.key,
        owed.bytes.len(),
        owed.hash,
        owed.malformed,
    );
    if records {
        let _ = match std::str::from_utf8(&owed.bytes) {
            Ok(text) => write!(out, r#","record":{}"#, quoted(text)),
            Err(_) => write!(out, r#","record_base64":"{}""#, STANDARD.encode(&owed.bytes)),
        };
    }
    out.extend_from_slice(b"}\n");
}
