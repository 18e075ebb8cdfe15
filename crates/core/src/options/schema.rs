//! Options as JSON Schema (2020-12): what a value may look like, for editors and for hosts. Says no
//! more than a schema can: bounds of a number that has a unit are the reader's to hold.

use std::fmt::Write;

use serde_json::Value;

use super::table::{Kind, OptionSpec};

/// What an option takes, what for, and what it is without one.
#[must_use]
pub fn property(spec: &OptionSpec) -> Value {
    let mut schema = kind(spec.kind);
    schema["description"] = format!("{} ({})", spec.help, spec.kind.describe()).into();
    if let Some(default) = spec.default {
        schema["default"] = default.into();
    }
    schema
}

fn kind(kind: Kind) -> Value {
    match kind {
        Kind::Text | Kind::Path => of_type("string"),
        Kind::Secret => with(of_type("string"), "writeOnly", true),
        Kind::Url => with(of_type("string"), "format", "uri"),
        Kind::Integer { min, max } => number(min, max, "^ *[0-9]+ *$"),
        Kind::Duration { min, max } => number(min, max, "^ *[0-9]+ *[smhdSMHD]? *$"),
        Kind::Size { min, max } => number(min, max, "^ *[0-9]+ *([kmgKMG][bB]?)? *$"),
        Kind::Boolean => {
            any_of([of_type("boolean"), written(&["on", "off", "true", "false", "yes", "no"])])
        }
        Kind::Choice(words) => one_of(words),
        Kind::List(words) => list(one_of(words)),
        Kind::FreeList(_) => list(of_type("string")),
    }
}

/// A schema of this type and nothing else.
#[must_use]
pub fn of_type(name: &str) -> Value {
    with(Value::Null, "type", name)
}

/// The same schema, and one word more.
fn with(mut schema: Value, name: &str, value: impl Into<Value>) -> Value {
    schema[name] = value.into();
    schema
}

fn any_of(schemas: [Value; 2]) -> Value {
    with(Value::Null, "anyOf", schemas.to_vec())
}

/// One of these words: for editors as they are, and as they may be written.
fn one_of(words: &[&str]) -> Value {
    any_of([with(Value::Null, "enum", words), written(words)])
}

/// One of these words in any case.
fn written(words: &[&str]) -> Value {
    with(of_type("string"), "pattern", pattern(words))
}

fn number(min: u64, max: u64, pattern: &str) -> Value {
    let number = with(Value::Null, "type", ["integer", "string"].as_slice());
    with(with(with(number, "minimum", min), "maximum", max), "pattern", pattern)
}

/// An array, or one text with commas, which is read as well and not looked into.
fn list(word: Value) -> Value {
    let list = with(Value::Null, "type", ["string", "array"].as_slice());
    with(with(with(list, "items", word), "minItems", 1), "minLength", 1)
}

/// One of these words in any case, with blanks around it.
fn pattern(words: &[&str]) -> String {
    let mut pattern = String::from("^ *(");
    for (i, word) in words.iter().enumerate() {
        pattern.push_str(if i == 0 { "" } else { "|" });
        for c in word.chars() {
            if c.is_ascii_alphabetic() {
                let (upper, lower) = (c.to_ascii_uppercase(), c.to_ascii_lowercase());
                // Writing to a string does not fail.
                let _ = write!(pattern, "[{upper}{lower}]");
            } else if c == '.' {
                pattern.push_str("[.]");
            } else {
                pattern.push(c);
            }
        }
    }
    pattern.push_str(") *$");
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_taken_in_any_case() {
        assert_eq!(pattern(&["on", "a.b-1"]), "^ *([Oo][Nn]|[Aa][.][Bb]-1) *$");
    }
}
