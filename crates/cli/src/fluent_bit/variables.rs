//! `${NAME}` and `${NAME:-default}`, as Fluent Bit puts values in their place.

use std::collections::BTreeMap;

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(String),
    /// Fluent Bit reads it from elsewhere while it runs.
    Elsewhere,
}

/// Those that the configuration sets, over those of the process.
#[derive(Debug)]
pub(crate) struct Variables(BTreeMap<String, Value>);

/// A text with values in the place of its variables.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Filled {
    pub(crate) text: String,
    /// Names that stand for nothing here.
    pub(crate) unset: Vec<String>,
}

impl Variables {
    pub(crate) fn of_this_process() -> Self {
        let all = std::env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, Value::Text(value.into_string().ok()?)))
        });
        Self(all.collect())
    }

    pub(super) fn set(&mut self, name: &str, text: &str) {
        // What it is made of has been set before.
        let text = self.fill(text).text;
        self.0.insert(name.to_owned(), Value::Text(text));
    }

    pub(super) fn set_elsewhere(&mut self, name: &str) {
        self.0.insert(name.to_owned(), Value::Elsewhere);
    }

    /// Puts in the values. What stands between braces and is no variable stays away, as in Fluent
    /// Bit.
    pub(crate) fn fill(&self, text: &str) -> Filled {
        let mut filled = Filled::default();
        let mut rest = text;
        while let Some(start) = rest.find("${")
            && let Some(length) = rest[start..].find('}')
        {
            filled.text.push_str(&rest[..start]);
            let inner = &rest[start + 2..start + length];
            let (name, default) = match inner.split_once(":-") {
                Some((name, default)) => (name, Some(default)),
                None => (inner, None),
            };
            match (self.0.get(name), default) {
                (Some(Value::Text(value)), None) => filled.text.push_str(value),
                (Some(Value::Text(value)), Some(_)) if !value.is_empty() => {
                    filled.text.push_str(value);
                }
                (_, Some(default)) => filled.text.push_str(default),
                (None | Some(Value::Elsewhere), None) => filled.unset.push(name.to_owned()),
            }
            rest = &rest[start + length + 1..];
        }
        filled.text.push_str(rest);
        filled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_replaced_and_those_without_a_value_told() {
        let mut variables = Variables(BTreeMap::new());
        variables.set("HOST", "a.example");
        variables.set("URL", "https://${HOST}");
        variables.set("NONE", "");
        variables.set_elsewhere("VAULT");
        let fill = |text: &str| {
            let Filled { text, unset } = variables.fill(text);
            format!("{text} {unset:?}")
        };
        assert_eq!(fill("plain $HOME {x}"), "plain $HOME {x} []");
        assert_eq!(fill("${URL}/v1 ${HOST}"), "https://a.example/v1 a.example []");
        assert_eq!(fill("${SECRET}${VAULT}"), " [\"SECRET\", \"VAULT\"]");
        assert_eq!(fill("${NONE:-x}${GONE:-y}${HOST:-z}${NONE}"), "xya.example []");
        assert_eq!(fill("${open"), "${open []");
    }
}
