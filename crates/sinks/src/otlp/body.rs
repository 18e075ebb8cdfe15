//! Records as values of OpenTelemetry, by way of the same msgpack that `forward` sends: one rule
//! for what a number is, what nests too deep, and what is no JSON object.

use m365_audit_core::json::Timestamp;
use m365_audit_msgpack::Encoder;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use rmpv::ValueRef;

/// How deep a body may nest. Each object takes three levels of protobuf, of which decoders take
/// a hundred by default, and what stands around a body takes five.
const DEPTH_MAX: usize = 29;

/// Makes bodies, one after the other.
#[derive(Debug)]
pub(super) struct Bodies(Encoder);

impl Bodies {
    pub(super) fn new() -> Self {
        Self(Encoder::new(DEPTH_MAX))
    }

    /// A record's members.
    pub(super) fn of(&mut self, record: &str) -> AnyValue {
        self.0.clear();
        self.0.push(record.as_bytes(), Timestamp { seconds: 0, nanoseconds: 0 });
        let event = rmpv::decode::read_value_ref(&mut self.0.events());
        match event {
            Ok(ValueRef::Array(mut parts)) if parts.len() == 2 => {
                parts.pop().map_or_else(AnyValue::default, any)
            }
            // What the encoder writes is an event; if it is none, the text is what there is.
            _ => AnyValue { value: Some(Value::StringValue(record.into())) },
        }
    }
}

fn any(value: ValueRef<'_>) -> AnyValue {
    let value = match value {
        ValueRef::Nil => None,
        ValueRef::Boolean(flag) => Some(Value::BoolValue(flag)),
        ValueRef::Integer(number) => Some(match number.as_i64() {
            Some(number) => Value::IntValue(number),
            // Larger than what OpenTelemetry has a number for: its digits.
            None => Value::StringValue(number.to_string()),
        }),
        ValueRef::F32(number) => Some(Value::DoubleValue(number.into())),
        ValueRef::F64(number) => Some(Value::DoubleValue(number)),
        ValueRef::String(text) => {
            Some(Value::StringValue(String::from_utf8_lossy(text.as_bytes()).into_owned()))
        }
        ValueRef::Binary(bytes) | ValueRef::Ext(_, bytes) => Some(Value::BytesValue(bytes.into())),
        ValueRef::Array(values) => {
            let values = values.into_iter().map(any).collect();
            Some(Value::ArrayValue(ArrayValue { values }))
        }
        ValueRef::Map(members) => {
            let values = members.into_iter().map(|(key, value)| member(&key, value)).collect();
            Some(Value::KvlistValue(KeyValueList { values }))
        }
    };
    AnyValue { value }
}

fn member(key: &ValueRef<'_>, value: ValueRef<'_>) -> KeyValue {
    let key = match key {
        ValueRef::String(text) => String::from_utf8_lossy(text.as_bytes()).into_owned(),
        // The encoder writes no other keys.
        other => other.to_string(),
    };
    KeyValue { key, value: Some(any(value)), ..KeyValue::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::expect;
    use opentelemetry_proto::tonic::logs::v1::LogRecord;
    use prost::Message;

    /// Values, in the notation of JSON, but with what they are.
    fn shown(value: &AnyValue) -> String {
        let list = |texts: Vec<String>| texts.join(", ");
        match value.value.as_ref() {
            None => "nothing".into(),
            Some(Value::StringValue(text)) => format!("{text:?}"),
            Some(Value::BoolValue(flag)) => flag.to_string(),
            Some(Value::IntValue(number)) => format!("int {number}"),
            Some(Value::DoubleValue(number)) => format!("double {number:?}"),
            Some(Value::ArrayValue(array)) => {
                format!("[{}]", list(array.values.iter().map(shown).collect()))
            }
            Some(Value::KvlistValue(members)) => {
                let members = members.values.iter();
                let member =
                    |one: &KeyValue| format!("{}: {}", one.key, shown(one.value.as_ref().unwrap()));
                format!("{{{}}}", list(members.map(member).collect()))
            }
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_record_keeps_its_members_in_their_order_and_every_number_its_value() {
        let record = r#"{"z":1,"a":[true,null,-9223372036854775808],"big":18446744073709551615,
            "huge":1e400,"half":0.5,"z":{"\u00fc":"x"}}"#;
        expect![[r#"{z: int 1, a: [true, nothing, int -9223372036854775808], big: "18446744073709551615", huge: "1e400", half: double 0.5, z: {ü: "x"}}"#]]
        .assert_eq(&shown(&Bodies::new().of(record)));
        expect![[r#"{malformed: true, raw: "[1]"}"#]].assert_eq(&shown(&Bodies::new().of("[1]")));
    }

    #[test]
    fn every_depth_is_decoded_again() {
        for depth in [1, DEPTH_MAX - 1, DEPTH_MAX, DEPTH_MAX + 1, 100] {
            let record = format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
            let body = Bodies::new().of(&record);
            let whole = shown(&body).contains("raw: ");
            assert_eq!(whole, DEPTH_MAX < depth, "{depth}: {}", shown(&body));
            let record = LogRecord { body: Some(body), ..LogRecord::default() };
            let bytes = record.encode_to_vec();
            assert_eq!(LogRecord::decode(&*bytes).unwrap(), record, "{depth}");
        }
    }
}
