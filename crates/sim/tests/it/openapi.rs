//! The facts of Microsoft's API description, and answers held against them.
//!
//! `tests/spec/management-activity-api.json` holds names and types of the description, nothing of
//! its prose. The description uses so little of JSON Schema that looking is a page of code; a
//! validator would bring forty crates into every test build, and could not say which fields it saw.

use std::collections::BTreeSet;

use serde_json::Value;

const SPEC: &str = include_str!("../../../../tests/spec/management-activity-api.json");

/// Fields that the description does not allow to be null, and the wire does: Microsoft's own
/// reference shows a subscription whose webhook is null.
const NULL_ON_THE_WIRE: [&str; 2] = ["Subscription.webhook", "WebhookStatus.authId"];

/// Fields whose format the wire does not keep: times of records have no zone.
const FREE_ON_THE_WIRE: [&str; 1] = ["ActivityRecord.CreationTime"];

/// The description, and the fields that were seen.
pub(crate) struct Spec {
    value: Value,
    /// `Schema.field`.
    pub(crate) seen: BTreeSet<String>,
}

/// An operation: id, method, path, and where it takes what.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) method: String,
    pub(crate) path: String,
    /// Query, header and body parameters; those of the body with the name of their object.
    pub(crate) parameters: Vec<String>,
    /// The schema of a good answer.
    pub(crate) answer: Option<Value>,
}

impl Spec {
    pub(crate) fn read() -> Self {
        Self { value: serde_json::from_str(SPEC).unwrap(), seen: BTreeSet::new() }
    }

    pub(crate) fn error_codes(&self) -> Vec<String> {
        let codes = self.value["x-error-codes"].as_array().unwrap();
        codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect()
    }

    pub(crate) fn operations(&self) -> Vec<Operation> {
        let mut operations = Vec::new();
        for (path, methods) in self.value["paths"].as_object().unwrap() {
            for (method, operation) in methods.as_object().unwrap() {
                let parameters = operation["parameters"].as_array().unwrap();
                let mut names: Vec<String> =
                    parameters.iter().map(|p| p["name"].as_str().unwrap().to_owned()).collect();
                let body = &operation["requestBody"]["content"]["application/json"]["schema"];
                for (name, schema) in body["properties"].as_object().into_iter().flatten() {
                    let fields = self.resolve(schema)["properties"].as_object().unwrap();
                    names.extend(fields.keys().map(|field| format!("{name}.{field}")));
                }
                let good = &operation["responses"]["200"]["content"]["application/json"]["schema"];
                operations.push(Operation {
                    id: operation["operationId"].as_str().unwrap().to_owned(),
                    method: method.to_uppercase(),
                    path: path.trim_start_matches('/').to_owned(),
                    parameters: names,
                    answer: Some(good.clone()).filter(|schema| !schema.is_null()),
                });
            }
        }
        operations
    }

    /// Every field of every schema of answers.
    pub(crate) fn fields(&self) -> BTreeSet<String> {
        let mut fields = BTreeSet::new();
        for (name, schema) in self.value["components"]["schemas"].as_object().unwrap() {
            // A request's; and the envelope, which is looked at by its inner fields.
            if name != "WebhookRequest" {
                let names = schema["properties"].as_object().unwrap().keys();
                fields.extend(names.map(|field| format!("{name}.{field}")));
            }
        }
        fields
    }

    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            Some(name) => self.value.pointer(name.trim_start_matches('#')).unwrap(),
            None => schema,
        }
    }

    /// Holds `value` against a named schema.
    pub(crate) fn check_named(&mut self, name: &str, value: &Value) -> Result<(), String> {
        let schema = serde_json::json!({ "$ref": format!("#/components/schemas/{name}") });
        self.check(&schema, value)
    }

    /// Holds `value` against `schema`; what it does not name is not allowed, but in records.
    pub(crate) fn check(&mut self, schema: &Value, value: &Value) -> Result<(), String> {
        let name = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()).unwrap_or("");
        let schema = self.resolve(schema).clone();
        self.check_resolved(name, &schema, value)
    }

    fn check_resolved(&mut self, name: &str, schema: &Value, value: &Value) -> Result<(), String> {
        let fits = match schema["type"].as_str() {
            Some("array") => value.is_array(),
            Some("object") => value.is_object(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            other => return Err(format!("{name}: a type that nobody looks at: {other:?}")),
        };
        if !fits {
            return Err(format!("{name}: {value} is no {}", schema["type"]));
        }
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return Err(format!("{name}: {value} is none of {words:?}"));
        }
        if let (Some(format), Some(text)) = (schema["format"].as_str(), value.as_str())
            && !FREE_ON_THE_WIRE.contains(&name)
            && !has_format(format, text)
        {
            return Err(format!("{name}: {text:?} is no {format}"));
        }
        for element in value.as_array().into_iter().flatten() {
            self.check(&schema["items"], element)?;
        }
        for (field, value) in value.as_object().into_iter().flatten() {
            let path = format!("{name}.{field}");
            let Some(schema) = schema["properties"].get(field).cloned() else {
                if name == "ActivityRecord" {
                    continue;
                }
                return Err(format!("{path} is not in the description"));
            };
            let nullable = self.resolve(&schema)["nullable"] == true
                || NULL_ON_THE_WIRE.contains(&path.as_str());
            self.seen.insert(path.clone());
            if value.is_null() && nullable {
                continue;
            }
            if schema.get("$ref").is_some() {
                self.check(&schema, value)?;
            } else {
                self.check_resolved(&path, &schema, value)?;
            }
        }
        Ok(())
    }
}

fn has_format(format: &str, text: &str) -> bool {
    let shape = |pattern: &str| {
        text.len() == pattern.len()
            && pattern.bytes().zip(text.bytes()).all(|(expected, found)| match expected {
                b'0' => found.is_ascii_digit(),
                b'x' => found.is_ascii_hexdigit(),
                other => found == other,
            })
    };
    match format {
        "date-time" => shape("0000-00-00T00:00:00.000Z"),
        "uuid" => shape("xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"),
        "uri" => text.starts_with("https://") && !text.contains(' '),
        _ => false,
    }
}

#[test]
fn what_does_not_fit_is_found() {
    let mut spec = Spec::read();
    let mut refused = |json: &str| {
        spec.check_named("Subscription", &serde_json::from_str(json).unwrap()).unwrap_err()
    };
    assert!(refused(r#"{"contentType":1}"#).contains("is no"));
    assert!(refused(r#"{"status":"stopped"}"#).contains("none of"));
    assert!(refused(r#"{"state":"x"}"#).contains("not in the description"));
    assert!(refused(r#"{"contentType":null}"#).contains("null"));
    assert!(refused(r#"{"webhook":{"expiration":"tomorrow"}}"#).contains("date-time"));
    assert!(refused(r#"{"webhook":{"address":"x"}}"#).contains("uri"));
}
