//! What the component says about itself: its name, its versions, and the JSON Schema of its
//! configuration, made from the core's table of options.

use m365_audit_core::STATE_VERSION;
use m365_audit_core::options::{Kind, OPTIONS, OptionSpec, Scope};
use serde_json::{Map, Value, json};

use crate::settings::{METADATA, ONCE};

/// Options that every configuration has. Which others one needs depends on how it signs in.
const REQUIRED: [&str; 1] = ["tenant_id"];

/// The answer of `describe`.
pub(crate) fn describe() -> String {
    json!({
        "name": "m365-audit",
        "version": env!("CARGO_PKG_VERSION"),
        "state_version": STATE_VERSION,
        "config_schema": schema(),
    })
    .to_string()
}

fn schema() -> Value {
    let has = |spec: &&OptionSpec| spec.scope == Scope::Core;
    let mut properties = Map::new();
    for spec in OPTIONS.iter().filter(has) {
        properties.insert(spec.name.to_owned(), property(spec));
    }
    properties[METADATA]["type"] = json!(["boolean", "string"]);
    let schema = json!({"type": "boolean", "default": false, "description": ONCE.help});
    properties.insert(ONCE.name.into(), schema);
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": properties,
        "required": REQUIRED,
        "additionalProperties": false,
    })
}

fn property(spec: &OptionSpec) -> Value {
    let mut schema = kind(spec.kind);
    schema["description"] = format!("{} ({})", spec.help, spec.kind.describe()).into();
    if let Some(default) = spec.default {
        schema["default"] = default.into();
    }
    schema
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Path => json!({"type": "string"}),
        Kind::Secret => json!({"type": "string", "writeOnly": true}),
        Kind::Url => json!({"type": "string", "format": "uri"}),
        Kind::Integer { min, max } => {
            json!({"type": ["integer", "string"], "minimum": min, "maximum": max})
        }
        Kind::Boolean => json!({"type": ["boolean", "string"]}),
        Kind::Duration { min, max } | Kind::Size { min, max } => json!({
            "type": ["integer", "string"],
            "minimum": min,
            "maximum": max,
            "pattern": "^[0-9]+ *[A-Za-z]*$",
        }),
        // In any case of letters, which an enum could not say.
        Kind::Choice(_) => json!({"type": "string"}),
        Kind::List(_) | Kind::FreeList(_) => {
            json!({"type": ["string", "array"], "items": {"type": "string"}})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_has_the_options_of_the_core_and_no_other() {
        let described: Value = serde_json::from_str(&describe()).unwrap();
        assert_eq!(described["state_version"], STATE_VERSION);
        let properties = described["config_schema"]["properties"].as_object().unwrap();
        let core = OPTIONS.iter().filter(|spec| spec.scope == Scope::Core).count();
        assert_eq!(properties.len(), core + 1);
        assert!(!properties.contains_key("db"));
        for required in REQUIRED {
            assert!(properties.contains_key(required));
        }
        assert_eq!(properties["client_secret"]["writeOnly"], true);
        assert_eq!(properties["max_in_flight"]["maximum"], 256);
    }
}
