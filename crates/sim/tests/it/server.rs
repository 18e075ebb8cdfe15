//! The server on loopback, over real http and https.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use m365_sim::{Fault, FaultPlan, Listen, Server, SimConfig};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};

use crate::world::{config, split};

fn server(config: SimConfig) -> Server {
    Server::start(config, &Listen::default()).unwrap()
}

/// A response: head, and body with its chunks joined.
struct Response {
    head: String,
    body: Vec<u8>,
}

fn exchange(mut stream: impl Read + Write, request: &str) -> Response {
    stream.write_all(request.as_bytes()).unwrap();
    let mut raw = Vec::new();
    // A peer may close TLS without notice, or cut the connection: the tests look at what came.
    let _ = stream.read_to_end(&mut raw);
    let Some(at) = raw.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Response { head: String::new(), body: raw };
    };
    let head = String::from_utf8(raw[..at].to_vec()).unwrap();
    let mut rest = &raw[at + 4..];
    if !head.to_lowercase().contains("transfer-encoding: chunked") {
        return Response { head, body: rest.to_vec() };
    }
    let mut body = Vec::new();
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
        let from = end + 2;
        body.extend_from_slice(&rest[from..(from + size).min(rest.len())]);
        rest = rest.get(from + size + 2..).unwrap_or_default();
    }
    Response { head, body }
}

fn http(server: &Server, method: &str, path: &str, headers: &str, body: &str) -> Response {
    let url = server.http_url();
    let address = url.strip_prefix("http://").unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\
         {headers}\r\n{body}",
        body.len()
    );
    exchange(TcpStream::connect(address).unwrap(), &request)
}

fn https(server: &Server, path: &str, headers: &str) -> Response {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(server.ca_pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let url = server.https_url();
    let address = url.strip_prefix("https://").unwrap();
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let connection = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let stream = rustls::StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n{headers}\r\n");
    exchange(stream, &request)
}

/// A token, as a header line.
fn token(server: &Server) -> String {
    let tenant = server.microsoft().tenants()[0].clone();
    let app = &tenant.apps[0];
    let form = format!(
        "grant_type=client_credentials&client_id={}&client_secret={}&scope={}/.default",
        app.client_id,
        app.secret().unwrap(),
        server.http_url(),
    );
    let path = format!("/{}/oauth2/v2.0/token", tenant.id);
    let answer = http(server, "POST", &path, "", &form);
    let value: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
    format!("Authorization: Bearer {}\r\n", value["access_token"].as_str().unwrap())
}

fn feed(server: &Server, operation: &str) -> String {
    let tenant = server.microsoft().tenants()[0].id;
    let joint = if operation.contains('?') { '&' } else { '?' };
    format!("/api/v1.0/{tenant}/activity/feed/{operation}{joint}PublisherIdentifier={tenant}")
}

fn first_owed(server: &Server) -> m365_sim::Owed {
    server.microsoft().owed().next().unwrap()
}

#[test]
fn the_same_service_answers_over_http_and_https() {
    let server = server(SimConfig { subscribed: true, ..config(5) });
    let token = token(&server);
    let owed = first_owed(&server);
    let path = feed(&server, &format!("audit/{}", owed.content_id));
    let plain = http(&server, "GET", &path, &token, "");
    let secure = https(&server, &path, &token);
    assert!(plain.head.starts_with("HTTP/1.1 200"), "{}", plain.head);
    assert!(secure.head.starts_with("HTTP/1.1 200"), "{}", secure.head);
    assert_eq!(plain.body, secure.body);
    assert_eq!(split(&plain.body)[owed.index as usize], owed.bytes);
    let listed =
        https(&server, &feed(&server, "subscriptions/content?contentType=DLP.All"), &token);
    let text = String::from_utf8(listed.body).unwrap();
    assert!(text.contains(&format!("\"contentUri\":\"{}/api/", server.https_url())), "{text}");
    assert!(server.microsoft().report().is_legal());
    assert!(server.connections() >= 4);
}

#[test]
fn the_truth_and_the_report_are_served() {
    let server = server(SimConfig { subscribed: true, live: false, ..config(5) });
    let owed = http(&server, "GET", "/_sim/owed?records=1", "", "");
    let lines = String::from_utf8(owed.body).unwrap();
    let truth: Vec<_> = server.microsoft().owed().collect();
    assert_eq!(lines.lines().count(), truth.len());
    for (line, owed) in lines.lines().zip(&truth) {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(line["content_id"], *owed.content_id);
        assert_eq!(line["record"].as_str().unwrap().as_bytes(), owed.bytes);
        assert_eq!(line["hash"], format!("{:032x}", owed.hash));
    }
    http(&server, "GET", &feed(&server, "subscriptions/list"), "", "");
    let report = http(&server, "GET", "/_sim/report", "", "");
    let report: serde_json::Value = serde_json::from_slice(&report.body).unwrap();
    assert_eq!(report["operations"]["list"], 1);
    assert_eq!(report["illegal"][0]["rule"], "no_token");
    assert_eq!(report["connections"], 3);
    assert!(http(&server, "GET", "/_sim/other", "", "").head.contains("404"));
}

#[test]
fn a_blob_can_be_published_and_the_world_healed() {
    let faults = FaultPlan::none().with(Fault::Unavailable, 1.0);
    let server = server(SimConfig { subscribed: true, faults, ..config(5) });
    let token = token(&server);
    let published = http(&server, "POST", "/_sim/publish?contentType=Audit.Exchange", "", "");
    let published: serde_json::Value = serde_json::from_slice(&published.body).unwrap();
    let path = feed(&server, &format!("audit/{}", published["content_id"].as_str().unwrap()));
    assert!(http(&server, "GET", &path, &token, "").head.contains("503"));
    assert!(http(&server, "POST", "/_sim/heal", "", "").head.contains("200"));
    let blob = http(&server, "GET", &path, &token, "");
    assert_eq!(split(&blob.body).len(), published["ids"].as_array().unwrap().len());
    assert!(http(&server, "POST", "/_sim/publish?contentType=x", "", "").head.contains("400"));
}

#[test]
fn a_blob_of_given_records_holds_them_byte_for_byte() {
    let server = server(SimConfig { subscribed: true, ..config(5) });
    let token = token(&server);
    let id = "6fa459ea-ee8a-4ca4-894e-db77e160355e";
    let records = format!("{{\"Id\":\"{id}\",\"n\":1e0}}\n{{\"Id\":\"\"}}\n7\n");
    let path = "/_sim/publish?contentType=Audit.General";
    let published = http(&server, "POST", path, "", &records);
    let published: serde_json::Value = serde_json::from_slice(&published.body).unwrap();
    assert_eq!(published["ids"], serde_json::json!([id, null, null]));
    let path = feed(&server, &format!("audit/{}", published["content_id"].as_str().unwrap()));
    let blob = http(&server, "GET", &path, &token, "");
    let expected = format!("[{{\"Id\":\"{id}\",\"n\":1e0}},{{\"Id\":\"\"}},7]");
    assert_eq!(String::from_utf8(blob.body).unwrap(), expected);
    let owed =
        String::from_utf8(http(&server, "GET", "/_sim/owed?records=1", "", "").body).unwrap();
    assert_eq!(owed.lines().filter(|line| line.contains(r#"\"n\":1e0"#)).count(), 1);
}

#[test]
fn bodies_are_compressed_and_cut_on_the_wire() {
    let faults = FaultPlan::none().with(Fault::Gzip, 1.0);
    let compressed = server(SimConfig { subscribed: true, faults, ..config(5) });
    let token_line = token(&compressed);
    let owed = first_owed(&compressed);
    let path = feed(&compressed, &format!("audit/{}", owed.content_id));
    let plain = http(&compressed, "GET", &path, &token_line, "");
    assert_eq!(plain.body[0], b'[');
    let accepting = format!("{token_line}Accept-Encoding: gzip\r\n");
    let packed = http(&compressed, "GET", &path, &accepting, "");
    assert!(packed.head.to_lowercase().contains("content-encoding: gzip"), "{}", packed.head);
    let mut unpacked = Vec::new();
    flate2::read::GzDecoder::new(&packed.body[..]).read_to_end(&mut unpacked).unwrap();
    assert_eq!(unpacked, plain.body);

    for (fault, head) in [(Fault::Truncated, true), (Fault::Reset, true), (Fault::Refused, false)] {
        let schedule = m365_sim::Schedule { every: 2, ..m365_sim::Schedule::default() };
        let faults = FaultPlan::none().with_schedule(fault, schedule);
        let server = server(SimConfig { subscribed: true, faults, ..config(5) });
        let token_line = token(&server);
        let cut = http(&server, "GET", &path, &token_line, "");
        assert_eq!(!cut.head.is_empty(), head, "{fault:?}: {}", cut.head);
        assert!(cut.body.len() < plain.body.len(), "{fault:?}");
    }
}

#[test]
fn a_webhook_on_loopback_is_really_called() {
    let server = server(config(5));
    let token = token(&server);
    let hook = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = hook.local_addr().unwrap();
    let called = std::thread::spawn(move || {
        let (mut stream, _) = hook.accept().unwrap();
        let mut seen = Vec::new();
        let mut buffer = [0u8; 1_024];
        while !String::from_utf8_lossy(&seen).contains("validationCode\":\"") {
            let read = stream.read(&mut buffer).unwrap();
            seen.extend_from_slice(&buffer[..read]);
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8(seen).unwrap()
    });
    let body = format!(r#"{{"webhook":{{"address":"http://{address}/hook","authId":"a1"}}}}"#);
    let path = feed(&server, "subscriptions/start?contentType=Audit.Exchange");
    let started = http(&server, "POST", &path, &token, &body);
    assert!(started.head.starts_with("HTTP/1.1 200"), "{}", started.head);
    let seen = called.join().unwrap().to_lowercase();
    assert!(seen.starts_with("post /hook http/1.1"), "{seen}");
    assert!(seen.contains("webhook-authid: a1") && seen.contains("webhook-validationcode: "));
}

#[test]
fn addresses_beyond_loopback_are_refused() {
    let listen = Listen { http: "0.0.0.0:0".parse().unwrap(), ..Listen::default() };
    let refused = Server::start(config(5), &listen).unwrap_err();
    assert!(refused.to_string().contains("not a loopback address"), "{refused}");
}

#[test]
fn the_certificate_is_removed_with_the_server() {
    let server = server(config(5));
    let path = server.ca_file().to_owned();
    assert!(std::fs::read_to_string(&path).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    drop(server);
    assert!(!path.exists());
}
