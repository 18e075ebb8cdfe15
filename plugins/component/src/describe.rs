//! What the component says about itself: its name, its versions, and the JSON Schema of its
//! configuration, made from the core's table of options.

use m365_audit_core::STATE_VERSION;
use m365_audit_core::options::{OPTIONS, OptionSpec, Scope, of_type, property};
use serde_json::{Map, Value};

use crate::settings::{METADATA, ONCE};

/// Options that every configuration has. Which others one needs depends on how it signs in.
const REQUIRED: [&str; 1] = ["tenant_id"];

/// The answer of `describe`.
pub(crate) fn describe() -> String {
    let mut described = Map::new();
    described.insert("name".into(), "m365-audit".into());
    described.insert("version".into(), env!("CARGO_PKG_VERSION").into());
    described.insert("state_version".into(), STATE_VERSION.into());
    described.insert("config_schema".into(), schema());
    serde_json::to_string(&described).expect("what is described always has a JSON form")
}

fn schema() -> Value {
    let has = |spec: &&OptionSpec| spec.scope == Scope::Core;
    let mut properties = Map::new();
    for spec in OPTIONS.iter().filter(has) {
        properties.insert(spec.name.into(), property(spec));
    }
    // Its words, and a boolean for hosts that have a switch.
    if let Some(forms) = properties[METADATA]["anyOf"].as_array_mut() {
        forms.push(of_type("boolean"));
    }
    let mut once = of_type("boolean");
    once["default"] = false.into();
    once["description"] = ONCE.help.into();
    properties.insert(ONCE.name.into(), once);
    let mut schema = of_type("object");
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["properties"] = properties.into();
    schema["required"] = REQUIRED.as_slice().into();
    schema["additionalProperties"] = false.into();
    schema
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use serde_json::json;

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

    #[test]
    fn metadata_may_be_a_switch_and_a_word() {
        let forms = schema()["properties"][METADATA]["anyOf"].clone();
        let forms = forms.as_array().unwrap();
        assert!(forms.contains(&json!({"type": "boolean"})), "{forms:?}");
        assert!(forms.contains(&json!({"enum": ["event", "record", "off"]})), "{forms:?}");
        let guid = "41463f53-8812-40f4-890f-865bf6e35190";
        for value in [json!(true), json!(false), json!("event"), json!("record"), json!("off")] {
            let mut written = json!({"tenant_id": guid, "client_id": guid, "client_secret": "x"});
            written[METADATA] = value.clone();
            assert!(Settings::parse(&written.to_string()).is_ok(), "{value}");
        }
    }
}
