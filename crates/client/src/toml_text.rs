//! Options in TOML become the texts that options are. Both files that hold options are read by it:
//! that of the command line, and the tables of tenants.

use m365_audit_core::ConfigError;
use m365_audit_core::config::no_entries;
use m365_audit_core::options::{self, Kind};
use toml::Value;

/// What is wrong with a `text` that is not TOML, and where: the parser's reason, never the line
/// itself, which may hold a secret.
#[must_use]
pub fn toml_problem(text: &str, error: &toml::de::Error) -> String {
    let at = error.span().map_or(0, |span| span.start.min(text.len()));
    let before = text.get(..at).unwrap_or_default();
    let line = 1 + before.matches('\n').count();
    let column = 1 + before.rsplit('\n').next().unwrap_or_default().chars().count();
    // What it expected comes on lines of its own.
    let reason = error.message().lines().collect::<Vec<_>>().join(", ");
    format!("not TOML, line {line}, column {column}: {reason}")
}

/// The text of `value`, written for the option `name`. Lists of texts are joined by commas.
///
/// # Errors
/// It is a table, a list without entries or of something else than text, or a fraction or date
/// where any text would do: quotes are missing then.
pub fn toml_text(name: &str, value: &Value) -> Result<String, ConfigError> {
    let mistake = |problem, remedy| Err(ConfigError::new(name, None, problem, remedy));
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Integer(number) => Ok(number.to_string()),
        Value::Boolean(value) => Ok(value.to_string()),
        Value::Array(values) if values.is_empty() => Err(no_entries(name, "[]")),
        Value::Array(values) => {
            let words: Option<Vec<&str>> = values.iter().map(Value::as_str).collect();
            words.map(|words| words.join(", ")).map_or_else(
                || {
                    mistake(
                        "a list of something else than text",
                        "write the values in quotes: [\"Audit.Exchange\", \"DLP.All\"]",
                    )
                },
                Ok,
            )
        }
        Value::Float(_) | Value::Datetime(_) if !takes_any_text(name) => Ok(value.to_string()),
        Value::Table(_) | Value::Float(_) | Value::Datetime(_) => {
            mistake("neither text, whole number nor true/false", "write the value in quotes")
        }
    }
}

/// Whether an option takes whatever text is written. Of the others, a number with a fraction or a
/// date is told as a mistake by its value.
fn takes_any_text(name: &str) -> bool {
    options::find(name).is_some_and(|spec| {
        matches!(spec.kind, Kind::Text | Kind::Secret | Kind::Path | Kind::FreeList(_))
    })
}
