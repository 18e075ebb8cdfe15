//! Lines become log records: time, attributes, body; and the resource that they are of.

use m365_audit_core::json::Timestamp;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::body::Bodies;
use super::options::BodyForm;
use crate::lines::{Body, Flow, Lines};

/// Who makes the records, as OpenTelemetry calls it.
const SERVICE: &str = "m365-audit";

/// What kind of event each of them is.
const EVENT_NAME: &str = "m365.audit";

/// Makes requests.
#[derive(Debug)]
pub(super) struct Records {
    form: BodyForm,
    bodies: Bodies,
}

impl Records {
    pub(super) fn new(form: BodyForm) -> Self {
        Self { form, bodies: Bodies::new() }
    }

    /// The request of these lines, which were seen at `observed`, in nanoseconds since 1970.
    pub(super) fn request(
        &mut self,
        flow: &Flow,
        lines: Lines<'_>,
        observed: u64,
    ) -> ExportLogsServiceRequest {
        let log_records = lines.ndjson.lines().map(|line| self.record(flow, line, observed));
        let scope_logs = vec![ScopeLogs {
            scope: Some(InstrumentationScope {
                name: SERVICE.into(),
                version: env!("CARGO_PKG_VERSION").into(),
                ..InstrumentationScope::default()
            }),
            log_records: log_records.collect(),
            ..ScopeLogs::default()
        }];
        let resource = Some(resource(flow));
        let logs = ResourceLogs { resource, scope_logs, ..ResourceLogs::default() };
        ExportLogsServiceRequest { resource_logs: vec![logs] }
    }

    fn record(&mut self, flow: &Flow, line: &str, observed: u64) -> LogRecord {
        let opened = flow.open(line);
        let body = match (self.form, opened.body) {
            (BodyForm::Text, Body::Bare(text)) => text_value(text),
            (BodyForm::Text, Body::Nested(member)) => text_value(&format!("{{{member}}}")),
            (BodyForm::Map, Body::Bare(text)) => self.bodies.of(text),
            (BodyForm::Map, Body::Nested(member)) => self.bodies.of(&format!("{{{member}}}")),
        };
        LogRecord {
            // 0 says that it is not known.
            time_unix_nano: flow.time(line).map_or(0, nanoseconds),
            observed_time_unix_nano: observed,
            severity_number: SeverityNumber::Info.into(),
            severity_text: "INFO".into(),
            body: Some(body),
            attributes: opened.beside.into_iter().flat_map(attributes).collect(),
            event_name: EVENT_NAME.into(),
            ..LogRecord::default()
        }
    }
}

/// A request that holds no record.
pub(super) fn nothing() -> ExportLogsServiceRequest {
    ExportLogsServiceRequest { resource_logs: vec![ResourceLogs::default()] }
}

/// Whose records they are.
fn resource(flow: &Flow) -> Resource {
    let mut attributes = vec![
        attribute("service.name", text_value(SERVICE)),
        attribute("service.version", text_value(env!("CARGO_PKG_VERSION"))),
        attribute("cloud.provider", text_value("azure")),
        // The account in Microsoft's cloud that an organisation has is its tenant.
        attribute("cloud.account.id", text_value(&flow.tenant_id)),
        attribute("m365.tenant.id", text_value(&flow.tenant_id)),
    ];
    let name = flow.tenant_name.as_deref();
    attributes.extend(name.map(|name| attribute("m365.tenant.name", text_value(name))));
    Resource { attributes, ..Resource::default() }
}

/// Attributes of a record: what stands beside it in its line.
fn attributes(members: &str) -> Vec<KeyValue> {
    let object = serde_json::from_str(&format!("{{{members}}}"));
    let object: serde_json::Map<String, serde_json::Value> = object.unwrap_or_default();
    let named = object.into_iter().filter_map(|(name, value)| {
        let value = match value {
            serde_json::Value::String(text) => Value::StringValue(text),
            serde_json::Value::Bool(flag) => Value::BoolValue(flag),
            serde_json::Value::Number(number) => match number.as_i64() {
                Some(number) => Value::IntValue(number),
                None => Value::StringValue(number.to_string()),
            },
            // Nothing that stands beside a record looks like this.
            serde_json::Value::Null
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => Value::StringValue(value.to_string()),
        };
        let name = match &*name {
            // It is the resource's.
            "tenant_id" | "tenant_name" => return None,
            "client_address" => "client.address".into(),
            "client_port" => "client.port".into(),
            "content_type" | "content_id" | "content_created" | "record_type_name"
            | "user_type_name" | "redacted" => format!("m365.{name}"),
            // A field that somebody has asked for by its name.
            _ => name,
        };
        Some(attribute(&name, AnyValue { value: Some(value) }))
    });
    named.collect()
}

fn attribute(name: &str, value: AnyValue) -> KeyValue {
    KeyValue { key: name.into(), value: Some(value), ..KeyValue::default() }
}

fn text_value(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.into())) }
}

/// Since 1970; 0 for what is before or beyond what 64 bits hold.
fn nanoseconds(time: Timestamp) -> u64 {
    let seconds = u64::try_from(time.seconds).unwrap_or(0);
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|nanoseconds| nanoseconds.checked_add(time.nanoseconds.into()))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::{Envelope, MetadataPlace};

    const RECORD: &str = r#"{"CreationTime":"2026-07-29T21:35:19.5","n": 1.50}"#;

    fn made(form: BodyForm, envelope: &Envelope, line: &str) -> (Resource, LogRecord) {
        let named = Envelope { tenant_name: Some("contoso".into()), ..envelope.clone() };
        let flow = Flow::new("t", &named);
        let ndjson = format!("{line}\n");
        let lines = Lines { ndjson: &ndjson, count: 1 };
        let request = Records::new(form).request(&flow, lines, 7);
        let [logs] = <[ResourceLogs; 1]>::try_from(request.resource_logs).unwrap();
        let record = logs.scope_logs[0].log_records[0].clone();
        (logs.resource.unwrap(), record)
    }

    fn shown(attributes: &[KeyValue]) -> Vec<String> {
        let text = |value: &Option<AnyValue>| match value.as_ref().unwrap().value.clone().unwrap() {
            Value::StringValue(text) => text,
            other => format!("{other:?}"),
        };
        attributes.iter().map(|one| format!("{}={}", one.key, text(&one.value))).collect()
    }

    #[test]
    fn a_record_keeps_its_time_and_its_bytes_and_what_is_known_stands_beside_it() {
        let envelope = Envelope { metadata: Some(MetadataPlace::Event), ..Envelope::bare() };
        let line = format!(
            r#"{{"content_type":"Audit.General","tenant_id":"t","client_address":"::1","client_port":99,"redacted":true,"record":{RECORD}}}"#
        );
        let (resource, record) = made(BodyForm::Text, &envelope, &line);
        assert_eq!(record.body, Some(text_value(RECORD)));
        assert_eq!(record.time_unix_nano, 1_785_360_919_500_000_000);
        assert_eq!(record.observed_time_unix_nano, 7);
        assert_eq!(record.event_name, "m365.audit");
        let mut attributes = shown(&record.attributes);
        attributes.sort();
        assert_eq!(
            attributes,
            [
                "client.address=::1",
                "client.port=IntValue(99)",
                "m365.content_type=Audit.General",
                "m365.redacted=BoolValue(true)"
            ]
        );
        let resource = shown(&resource.attributes);
        for one in ["service.name=m365-audit", "m365.tenant.id=t", "m365.tenant.name=contoso"] {
            assert!(resource.iter().any(|known| known == one), "{resource:?}");
        }
        let nested = Envelope { record_key: Some("o365audit".into()), ..envelope };
        let line = line.replace("\"record\":", "\"o365audit\":");
        let (_, record) = made(BodyForm::Text, &nested, &line);
        assert_eq!(record.body, Some(text_value(&format!("{{\"o365audit\":{RECORD}}}"))));
    }

    #[test]
    fn a_record_without_a_time_has_none() {
        for line in
            ["{}", r#"{"CreationTime":"then"}"#, r#"{"CreationTime":"0001-01-01T00:00:00"}"#]
        {
            let (_, record) = made(BodyForm::Text, &Envelope::bare(), line);
            assert_eq!((record.time_unix_nano, record.body), (0, Some(text_value(line))), "{line}");
            assert!(record.attributes.is_empty());
        }
    }
}
