//! Where metadata are, and what is around a record, as Fluent Bit's outputs show it: what arrives
//! by forward, http, es and in a file is what was published, byte for byte, but for what is added.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use fluent_bit_plugin_harness::fluent_bit::{self, FluentBit};
use fluent_bit_plugin_harness::until;
use m365_sim::{ContentType, Server, SimConfig, TenantConfig};
use rmpv::Value;

use crate::json;
use crate::pipeline::{PATIENCE, Section, config, history, secret, serve, tenant, tenant_id};
use crate::receiver::{Received, Receiver};
use crate::truth::complete;

/// What an envelope makes of a record: the options, and the event's body.
struct Case {
    name: &'static str,
    options: &'static [(&'static str, &'static str)],
    /// From the record and what is known of it.
    body: fn(Vec<Member>, &Facts) -> Vec<Member>,
    /// What stands in front of a record in JSON.
    before: &'static str,
    /// What stands behind its last member.
    behind: fn(&Facts) -> String,
}

type Member = (Value, Value);

/// What is known of a record.
struct Facts {
    content_type: &'static str,
    /// All metadata, in their order.
    all: Vec<Member>,
}

const CASES: [Case; 5] = [
    Case {
        name: "event",
        options: &[],
        body: |record, _| record,
        before: "{",
        behind: |_| "}".into(),
    },
    Case {
        name: "off",
        options: &[("metadata", "off")],
        body: |record, _| record,
        before: "{",
        behind: |_| "}".into(),
    },
    Case {
        name: "record",
        options: &[("metadata", "record")],
        body: |record, facts| with(record, "m365_audit", Value::Map(facts.all.clone())),
        before: "{",
        behind: |facts| format!(",\"m365_audit\":{}}}", json_of(&facts.all)),
    },
    Case {
        name: "elastic",
        options: &[("metadata", "off"), ("record_key", "o365audit")],
        body: |record, _| vec![("o365audit".into(), Value::Map(record))],
        before: "{\"o365audit\":{",
        behind: |_| "}}".into(),
    },
    Case {
        name: "wazuh",
        options: &[
            ("metadata", "record"),
            ("metadata_key", "collected"),
            ("record_key", "office365"),
            ("add_fields", "integration=office365"),
            ("content_type_field", "Subscription"),
        ],
        body: |record, facts| {
            let record = with(record, "Subscription", facts.content_type.into());
            let nested = vec![("office365".into(), Value::Map(record))];
            let nested = with(nested, "integration", "office365".into());
            with(nested, "collected", Value::Map(facts.all.clone()))
        },
        before: "{\"office365\":{",
        behind: |facts| {
            let (feed, all) = (facts.content_type, json_of(&facts.all));
            format!(
                ",\"Subscription\":\"{feed}\"}},\"integration\":\"office365\",\"collected\":{all}}}"
            )
        },
    },
];

fn with(mut members: Vec<Member>, name: &str, value: Value) -> Vec<Member> {
    members.push((name.into(), value));
    members
}

/// Texts and `true` as JSON; there is nothing else in metadata here.
fn json_of(members: &[Member]) -> String {
    let member = |(name, value): &Member| match value.as_str() {
        Some(text) => format!("{}:{}", serde_json::json!(name.as_str()), serde_json::json!(text)),
        None => format!("{}:true", serde_json::json!(name.as_str())),
    };
    format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(","))
}

/// Records without anything odd in them: how Fluent Bit writes odd ones as JSON is its business.
fn plain(seed: u64) -> SimConfig {
    SimConfig { days: 0.05, oddness: 0.0, ..history(seed) }
}

/// All bodies that may arrive, by the record that they are: `[body, …]` encoded.
fn expected(server: &Server, case: &Case) -> HashMap<u128, Vec<Vec<u8>>> {
    let mut all: HashMap<u128, Vec<Vec<u8>>> = HashMap::new();
    for owed in server.microsoft().owed() {
        let (Value::Map(record), malformed) = json::body(&owed.bytes) else { panic!("a map") };
        assert!(!malformed);
        let created = jiff::Timestamp::from_millisecond(owed.created_ms).expect("a time");
        let facts = Facts {
            content_type: owed.content_type.name(),
            all: vec![
                ("content_type".into(), owed.content_type.name().into()),
                ("content_id".into(), owed.content_id.to_string().into()),
                ("content_created".into(), format!("{created:.3}").into()),
                ("tenant_id".into(), owed.tenant.to_string().into()),
            ],
        };
        let body = Value::Map((case.body)(record, &facts));
        all.entry(owed.key).or_default().push(encoded(&body));
    }
    all
}

fn encoded(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    rmpv::encode::write_value(&mut bytes, value).expect("memory");
    bytes
}

/// Takes whatever is posted, as Elasticsearch or as anybody.
#[derive(Clone, Default)]
struct Posted(Arc<Mutex<Vec<String>>>);

impl Posted {
    fn start() -> (Self, u16) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let port = listener.local_addr().expect("its port").port();
        let posted = Self::default();
        let kept = posted.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                // It ends when Fluent Bit does, at whatever point.
                thread::spawn(move || kept.take(&stream));
            }
        });
        (posted, port)
    }

    fn take(&self, stream: &TcpStream) -> Option<()> {
        let mut reader = BufReader::new(stream);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).ok().filter(|read| 0 < *read)?;
                let line = line.trim_end().to_ascii_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().ok()?;
                }
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            let text = String::from_utf8(body).ok()?;
            self.0.lock().expect("nobody panicked").extend(text.lines().map(str::to_owned));
            let answer = "{\"took\":1,\"errors\":false,\"items\":[]}";
            let mut writer = stream;
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length";
            write!(writer, "{head}: {}\r\n\r\n{answer}", answer.len()).ok()?;
        }
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("nobody panicked").clone()
    }
}

/// What the outputs have.
struct Arrived {
    events: Vec<Received>,
    http: Vec<String>,
    es: Vec<String>,
    file: Vec<String>,
}

fn collect(case: &Case, server: &Server) -> Option<Arrived> {
    let executable = fluent_bit::find()?;
    let receiver = Receiver::start();
    let (http, http_port) = Posted::start();
    let (es, es_port) = Posted::start();
    let outputs = format!(
        "{}    - {{ name: http, match: '*', host: 127.0.0.1, port: {http_port}, \
         format: json_lines, json_date_key: 'false' }}\n    \
         - {{ name: es, match: '*', host: 127.0.0.1, port: {es_port}, suppress_type_name: on, \
         write_operation: create }}\n    \
         - {{ name: file, match: '*', path: '{{dir}}', file: out, format: plain, workers: 1 }}\n",
        receiver.output("*")
    );
    let section = Section::new(server, &tenant(server, 0));
    let section =
        case.options.iter().fold(section, |section, (name, value)| section.set(name, value));
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &outputs));
    let wanted = expected(server, case);
    let start = std::time::Instant::now();
    loop {
        let bodies: HashSet<_> =
            receiver.events().iter().map(|event| encoded(&event.body)).collect();
        if wanted.values().all(|one_of| one_of.iter().any(|body| bodies.contains(body))) {
            break;
        }
        let sample = receiver.events().first().map(|event| event.body.to_string());
        assert!(start.elapsed() < PATIENCE, "{}: {sample:?}\n{}", case.name, fluent_bit.log());
        receiver.wait_for(receiver.count() + 1, PATIENCE / 60);
    }
    let count = || receiver.count();
    until("all outputs have all", || {
        [http.lines().len(), es.lines().len() / 2, fluent_bit.lines("out").len()]
            == [count(), count(), count()]
    });
    let file = fluent_bit.lines("out");
    Some(Arrived { events: receiver.events(), http: http.lines(), es: es.lines(), file })
}

/// What a line of es says without what es adds: its action, and a time.
fn without_time(line: &str) -> String {
    let rest = line.strip_prefix("{\"@timestamp\":\"").expect(line);
    format!("{{{}", rest.split_once("\",").expect(line).1)
}

#[test]
fn every_output_has_the_record_and_where_it_is_asked_for_what_is_known_of_it() {
    let server = serve(plain(91));
    let Some(bare) = collect(&CASES[1], &server) else { return };
    // Fluent Bit's own JSON of a record, whatever the output: to this things are added.
    let records: BTreeSet<&String> = bare.http.iter().collect();
    assert!(50 < records.len(), "{} records", records.len());
    for case in &CASES {
        let Some(arrived) = collect(case, &server) else { return };
        let name = case.name;
        let wanted: HashSet<Vec<u8>> = expected(&server, case).into_values().flatten().collect();
        let mut lines = BTreeSet::new();
        for event in &arrived.events {
            assert!(wanted.contains(&encoded(&event.body)), "{name}: {}", event.body);
            let has_metadata = event.metadata.as_map().is_some_and(|map| !map.is_empty());
            assert_eq!(has_metadata, name == "event", "{name}: {}", event.metadata);
        }
        for owed in server.microsoft().owed() {
            let created = jiff::Timestamp::from_millisecond(owed.created_ms).expect("a time");
            let facts = Facts {
                content_type: owed.content_type.name(),
                all: vec![
                    ("content_type".into(), owed.content_type.name().into()),
                    ("content_id".into(), owed.content_id.to_string().into()),
                    ("content_created".into(), format!("{created:.3}").into()),
                    ("tenant_id".into(), owed.tenant.to_string().into()),
                ],
            };
            lines.insert((case.behind)(&facts));
        }
        let check = |output: &str, line: &str| {
            let inner = line.strip_prefix(case.before).unwrap_or_else(|| panic!("{name} {line}"));
            let bare = lines.iter().any(|behind| {
                let members = inner.strip_suffix(behind.as_str());
                members.is_some_and(|members| records.contains(&format!("{{{members}}}")))
            });
            assert!(bare, "{name}, {output}: {line}");
        };
        for line in &arrived.http {
            // What http adds by itself, and only where events have metadata.
            match line.strip_prefix("{\"__internal__\":{\"log_metadata\":{") {
                Some(rest) if name == "event" => {
                    check("http", &format!("{{{}", rest.split_once("}},").expect(line).1));
                }
                _ => {
                    assert!(!line.contains("__internal__") && name != "event", "{name}: {line}");
                    check("http", line);
                }
            }
        }
        for pair in arrived.es.chunks(2) {
            assert!(pair[0].starts_with("{\"create\":"), "{}", pair[0]);
            check("es", &without_time(&pair[1]));
        }
        arrived.file.iter().for_each(|line| check("file", line));
    }
}

#[test]
fn odd_records_arrive_in_every_envelope_too() {
    let Some(executable) = fluent_bit::find() else { return };
    let server = serve(SimConfig { days: 0.1, ..history(92) });
    for key in [None, Some("o365audit")] {
        let receiver = Receiver::start();
        let mut section = Section::new(&server, &tenant(&server, 0)).set("metadata", "event");
        if let Some(key) = key {
            section = section.set("record_key", key);
        }
        let outputs = receiver.output("*");
        let _fluent_bit = FluentBit::start(&executable, &config(&[section], &outputs));
        if key.is_none() {
            complete(&server, tenant_id(&server), &ContentType::ALL, &receiver).assert_complete();
            continue;
        }
        // Nested by one more, the deepest travel as text; all are there.
        let owed: HashSet<u128> = server.microsoft().owed().map(|owed| owed.key).collect();
        assert!(receiver.wait_for(owed.len(), PATIENCE));
        for event in receiver.events() {
            let members = event.body.as_map().unwrap();
            assert_eq!(members.len(), 1, "{}", event.body);
            assert!(event.body["o365audit"].is_map(), "{}", event.body);
        }
    }
}

#[test]
fn tags_name_the_tenant_of_each_event() {
    let Some(executable) = fluent_bit::find() else { return };
    let tenants: Vec<_> = (0..2).map(|n| TenantConfig::seeded(93, n)).collect();
    let server = serve(SimConfig { tenants, ..plain(93) });
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tenants.toml");
    let table = |n: usize, name: &str, more: &str| {
        let tenant = tenant(&server, n);
        format!(
            "[\"{name}\"]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nclient_secret = \"{}\"\n{more}",
            tenant.id,
            tenant.apps[0].client_id,
            secret(&tenant)
        )
    };
    let second = "add_fields = \"customer=Fabrikam\"\n";
    let text = table(0, "contoso", "") + &table(1, "fabrikam.de", second);
    std::fs::write(&file, text).unwrap();
    let receiver = Receiver::start();
    let section = ["tenant_id", "client_id", "client_secret"]
        .iter()
        .fold(Section::new(&server, &tenant(&server, 0)), |section, name| section.unset(name))
        .set("tenants_file", file.to_str().unwrap())
        .set("tag_per_tenant", "on")
        .set("tag_per_content_type", "on")
        .set("tag_prefix", "m365");
    let fluent_bit = FluentBit::start(&executable, &config(&[section], &receiver.output("m365.*")));
    let mut seen = BTreeSet::new();
    let start = std::time::Instant::now();
    while seen.len() < 2 {
        assert!(start.elapsed() < PATIENCE, "{seen:?}\n{}", fluent_bit.log());
        receiver.wait_for(receiver.count() + 1, PATIENCE / 60);
        for event in receiver.events() {
            let second = tenant(&server, 1).id.to_string();
            let is_second = event.metadata["tenant_id"].as_str() == Some(&second);
            let name = if is_second { "fabrikam_de" } else { "contoso" };
            let feed = event.metadata["content_type"].as_str().unwrap().to_owned();
            assert_eq!(event.tag, format!("m365.{name}.{feed}"));
            // Each tenant may have an envelope of its own.
            let customer = event.body["customer"].as_str();
            assert_eq!(customer, is_second.then_some("Fabrikam"), "{}", event.body);
            seen.insert(name);
        }
    }
}
