//! The configuration from JSON. Knows the one property that is no option of the core; all others
//! are the core's to judge.

use m365_audit_core::config::no_entries;
use m365_audit_core::options::{self, Scope};
use m365_audit_core::{Config, ConfigError, RawOptions};
use serde_json::{Map, Value};

use crate::bindings::exports::m365_audit::source::source::{Cause, Failure};
use crate::fault;

/// One collector's settings.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) config: Config,
}

/// A property that is no option of the core: a boolean.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Switch {
    pub(crate) name: &'static str,
    pub(crate) help: &'static str,
}

/// Collect to the end.
pub(crate) const ONCE: Switch = Switch {
    name: "once",
    help: "Come to an end when everything that existed at the start is collected.",
};

/// An option that may also be a boolean: `true` is `event`, `false` is `off`.
pub(crate) const METADATA: &str = "metadata";

impl Settings {
    /// Reads an object of options.
    ///
    /// # Errors
    /// Of cause `config`, with a line for every mistake.
    pub(crate) fn parse(text: &str) -> Result<Self, Failure> {
        // serde_json's errors name a place and never a value, so no secret shows.
        let object: Map<String, Value> =
            serde_json::from_slice(text.as_bytes()).map_err(|error| {
                let problem = format!("the configuration is not a JSON object: {error}");
                fault::new(
                    Cause::Config,
                    format!("{problem}; remedy: see config_schema of describe"),
                )
            })?;
        let mut errors = Vec::new();
        let mut raw = RawOptions::new();
        let switch = |of: Switch, errors: &mut Vec<ConfigError>| match object.get(of.name) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(on)) => *on,
            Some(other) => {
                let value = serde_json::to_string(other).unwrap_or_default();
                errors.push(ConfigError::new(of.name, Some(&value), "not a boolean", BOOLEAN));
                false
            }
        };
        let once = switch(ONCE, &mut errors);
        for (name, value) in &object {
            if name == ONCE.name {
                continue;
            }
            match option(name, value) {
                Ok(Some(text)) => drop(raw.insert(name.clone(), text)),
                Ok(None) => {}
                Err(error) => errors.push(error),
            }
        }
        match Config::parse(&raw) {
            Ok(config) if errors.is_empty() => {
                return Ok(Self { config: config.once(once) });
            }
            Ok(_) => {}
            Err(more) => errors.extend(more.into_iter().filter(|error| {
                // Told already: it was there, in another form than text.
                raw.contains_key(&error.option) || !object.contains_key(&error.option)
            })),
        }
        let lines: Vec<_> = errors.iter().map(ToString::to_string).collect();
        Err(fault::new(Cause::Config, lines.join("\n")))
    }
}

const BOOLEAN: &str = "allowed: true or false";

/// The text of an option; `None` for one that is null.
fn option(name: &str, value: &Value) -> Result<Option<String>, ConfigError> {
    if options::find(name).is_some_and(|spec| spec.scope != Scope::Core) {
        let remedy = "leave it out: the host reads it, if it has it";
        return Err(ConfigError::new(name, None, "not an option of the component", remedy));
    }
    let unfit = |value: Option<&str>| {
        ConfigError::new(name, value, "neither text, number nor boolean", "write a text")
    };
    match value {
        Value::Null => Ok(None),
        Value::Bool(true) if name == METADATA => Ok(Some("event".into())),
        Value::Bool(on) => Ok(Some(if *on { "on" } else { "off" }.into())),
        Value::Number(number) => Ok(Some(number.to_string())),
        Value::String(text) => Ok(Some(text.clone())),
        Value::Array(list) if list.is_empty() => Err(no_entries(name, "[]")),
        Value::Array(list) => {
            let words: Option<Vec<_>> = list.iter().map(Value::as_str).collect();
            words.map(|words| Some(words.join(", "))).ok_or_else(|| unfit(None))
        }
        Value::Object(_) => Err(unfit(None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use m365_audit_core::MetadataPlace;

    const GUID: &str = "41463f53-8812-40f4-890f-865bf6e35190";

    fn parse(rest: &str) -> Result<Settings, String> {
        let text = format!(
            "{{\"tenant_id\":\"{GUID}\",\"client_id\":\"{GUID}\",\"client_secret\":\"hush\"{rest}}}"
        );
        Settings::parse(&text).map_err(|failure| {
            assert_eq!(failure.cause, Cause::Config);
            failure.message
        })
    }

    #[test]
    fn values_may_have_their_natural_types() {
        let settings = parse(
            ",\"interval_sec\":30,\"start_subscriptions\":false,\"once\":true,\"metadata\":true,\
             \"content_types\":[\"Audit.Exchange\",\"dlp.all\"],\"publisher_id\":null",
        )
        .unwrap();
        assert_eq!(settings.config.envelope().metadata, Some(MetadataPlace::Event));
        let names: Vec<_> = settings.config.content_types().iter().map(|ct| ct.as_str()).collect();
        assert_eq!(names, ["Audit.Exchange", "DLP.All"]);
        assert_eq!(parse("").unwrap().config.envelope().metadata, None);
        let off = parse(",\"metadata\":false").unwrap();
        assert_eq!(off.config.envelope().metadata, Some(MetadataPlace::Off));
        let empty = parse(",\"content_types\":[]").unwrap_err();
        assert!(empty.starts_with("content_types = \"[]\": 0 entries"), "{empty}");
    }

    #[test]
    fn every_mistake_is_told_at_once_and_no_secret() {
        let text = parse(
            ",\"once\":1,\"db\":\"x\",\"intervalsec\":5,\"lookback\":{},\"max_in_flight\":1.5",
        )
        .unwrap_err();
        let lines: Vec<_> = text.lines().collect();
        for (line, start) in lines.iter().zip([
            "once = \"1\": not a boolean",
            "db: not an option of the component; leave it out",
            "lookback: neither text, number nor boolean",
            "max_in_flight = \"1.5\"",
            "intervalsec: no such option; did you mean interval_sec?",
        ]) {
            assert!(line.starts_with(start), "{line}");
        }
        assert_eq!(lines.len(), 5, "{text}");
        let text = Settings::parse("{\"client_secret\":\"hush\", nonsense").unwrap_err().message;
        assert!(text.contains("not a JSON object") && !text.contains("hush"), "{text}");
        let text = Settings::parse("{\"client_secret\":{\"a\":\"hush\"}}").unwrap_err().message;
        assert!(text.contains("tenant_id") && !text.contains("hush"), "{text}");
    }
}
