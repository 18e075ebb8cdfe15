//! Reads options as somebody wrote them, with every mistake reported at once. Reads no file and no
//! environment; packagings resolve those first.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::table::{Kind, OPTIONS, OptionSpec, find};
use crate::base::origin::Origin;
use crate::base::secret::Secret;
use crate::base::text::closest;

/// Options as somebody wrote them: name to text. Names are those of [`OPTIONS`].
pub type RawOptions = BTreeMap<String, String>;

/// One mistake in a configuration: which option, what it says, what is wrong and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The option's name.
    pub option: String,
    /// Its value as written; `None` if it is missing or secret.
    pub value: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
}

impl ConfigError {
    /// A mistake in `option`. A secret's value is left out, and what may be a password in an
    /// address: all before its last `@`.
    #[must_use]
    pub fn new(option: &str, value: Option<&str>, problem: &str, remedy: &str) -> Self {
        let value = match (find(option).map(|spec| spec.kind), value) {
            (Some(Kind::Secret), _) => None,
            (Some(Kind::Url), Some(text)) => Some(match text.rfind('@') {
                Some(at) => format!("[redacted]{}", &text[at..]),
                None => text.into(),
            }),
            (_, value) => value.map(Into::into),
        };
        Self { option: option.into(), value, problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "{} = {value:?}", self.option)?,
            None => f.write_str(&self.option)?,
        }
        write!(f, ": {}; {}", self.problem, self.remedy)
    }
}

/// Reads options one by one and gathers mistakes, so that all are told at once.
///
/// Packagings use it for the options of their own scopes.
#[derive(Debug)]
pub struct Reader<'a> {
    raw: &'a RawOptions,
    /// Options that one packaging has and no table here.
    own: &'static [OptionSpec],
    errors: Vec<ConfigError>,
}

impl<'a> Reader<'a> {
    /// A reader of `raw`.
    #[must_use]
    pub const fn new(raw: &'a RawOptions) -> Self {
        Self::of(raw, &[])
    }

    /// A reader of `raw` that also knows options which a packaging declares itself.
    #[must_use]
    pub const fn of(raw: &'a RawOptions, own: &'static [OptionSpec]) -> Self {
        Self { raw, own, errors: Vec::new() }
    }

    fn find(&self, name: &str) -> Option<&'static OptionSpec> {
        self.own.iter().find(|spec| spec.name == name).or_else(|| find(name))
    }

    /// Adds a mistake that the caller found.
    pub fn report(&mut self, error: ConfigError) {
        self.errors.push(error);
    }

    /// The mistakes so far, without a look at unknown names: for a second reader of the same
    /// options.
    ///
    /// # Errors
    /// Every mistake that was found, in the order of [`OPTIONS`].
    pub fn finish_known(mut self) -> Result<(), Vec<ConfigError>> {
        let mut ordered = Vec::new();
        for spec in OPTIONS {
            ordered.extend(self.errors.extract_if(.., |error| error.option == spec.name));
        }
        ordered.append(&mut self.errors);
        if ordered.is_empty() { Ok(()) } else { Err(ordered) }
    }

    /// The mistakes so far, and names that do not exist.
    ///
    /// # Errors
    /// Every mistake that was found.
    pub fn finish(mut self) -> Result<(), Vec<ConfigError>> {
        let raw = self.raw;
        for name in raw.keys() {
            if self.find(name).is_some() {
                continue;
            }
            let remedy = match nearest(name) {
                Some(known) => format!("did you mean {known}?"),
                None => "see the list of options in the README".into(),
            };
            self.errors.push(ConfigError::new(name, None, "no such option", &remedy));
        }
        self.finish_known()
    }

    /// The text of an option, trimmed; `None` if absent or empty.
    pub fn optional(&self, name: &str) -> Option<String> {
        let text = self.raw.get(name)?.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Refuses options that are set and of which nothing is read, because `source` does not name
    /// what they are about. Whoever sets one believes that it does something.
    pub(crate) fn refuse_unused(&mut self, names: &[&str], source: &str) {
        for name in names {
            if let Some(value) = self.optional(name) {
                let problem = format!("without effect, because source does not name {source}");
                let remedy = format!("add {source} to source, or leave {name} out");
                self.errors.push(ConfigError::new(name, Some(&value), &problem, &remedy));
            }
        }
    }

    /// The words of `text`, the value of the list `name`. One that is set and has none is a
    /// mistake: it is neither the default nor a way to ask for nothing.
    pub(crate) fn words<'t>(&mut self, name: &str, text: &'t str) -> Vec<&'t str> {
        let words: Vec<_> = text.split([',', ' ']).filter(|word| !word.is_empty()).collect();
        if words.is_empty() && !text.is_empty() {
            self.errors.push(no_entries(name, text));
        }
        words
    }

    /// The text of an option, or its default.
    #[must_use]
    pub fn text_or_default(&self, name: &str) -> String {
        let default = self.find(name).and_then(|spec| spec.default).unwrap_or_default();
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// A value that its kind does not take.
    pub(crate) fn refuse(&mut self, name: &str, value: &str) {
        self.refuse_as(name, value, "not a value of this option");
    }

    fn refuse_as(&mut self, name: &str, value: &str, problem: &str) {
        let kind = self.find(name).map(|spec| spec.kind);
        let allowed = format!("allowed: {}", kind.map(Kind::describe).unwrap_or_default());
        let meant = match kind {
            Some(Kind::Choice(words) | Kind::List(words)) => meant(value, words),
            Some(Kind::Boolean) => meant(value, &BOOLEANS),
            _ => None,
        };
        let remedy = match meant {
            Some(word) => format!("did you mean {word}? {allowed}"),
            None => allowed,
        };
        self.errors.push(ConfigError::new(name, Some(value), problem, &remedy));
    }

    /// An option of [`Kind::Choice`], in lower case.
    pub fn word(&mut self, name: &str) -> String {
        let written = self.text_or_default(name);
        let text = written.to_ascii_lowercase();
        if let Some(Kind::Choice(words)) = self.find(name).map(|spec| spec.kind)
            && !words.contains(&&*text)
        {
            self.refuse(name, &written);
        }
        text
    }

    /// An option of [`Kind::Boolean`].
    pub fn boolean(&mut self, name: &str) -> bool {
        let text = self.text_or_default(name);
        let word = text.to_ascii_lowercase();
        match BOOLEANS.iter().position(|known| *known == word) {
            Some(at) => at % 2 == 0,
            None => {
                self.refuse(name, &text);
                false
            }
        }
    }

    /// An option of [`Kind::Duration`].
    pub fn duration(&mut self, name: &str) -> Duration {
        Duration::from_secs(self.number(name))
    }

    /// An option of [`Kind::Integer`], [`Kind::Duration`] (in seconds) or [`Kind::Size`] (in
    /// bytes).
    pub fn number(&mut self, name: &str) -> u64 {
        let text = self.text_or_default(name);
        let spec = self.find(name).map(|spec| spec.kind);
        let (units, min, max): (&[(&str, u64)], u64, u64) = match spec {
            Some(Kind::Integer { min, max }) => (&[], min, max),
            Some(Kind::Duration { min, max }) => {
                (&[("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)], min, max)
            }
            Some(Kind::Size { min, max }) => (
                &[
                    ("kb", 1_000),
                    ("mb", 1_000_000),
                    ("gb", 1_000_000_000),
                    ("k", 1_000),
                    ("m", 1_000_000),
                    ("g", 1_000_000_000),
                ],
                min,
                max,
            ),
            _ => (&[], 0, u64::MAX),
        };
        match parse_with_unit(&text, units) {
            Some(value) if (min..=max).contains(&value) => value,
            Some(value) => {
                self.refuse_as(name, &text, if value < min { "too small" } else { "too large" });
                min
            }
            None => {
                self.refuse(name, &text);
                min
            }
        }
    }

    pub(crate) fn guid(&mut self, name: &str, required: bool) -> Option<String> {
        let Some(text) = self.optional(name) else {
            if required {
                self.errors.push(ConfigError::new(
                    name,
                    None,
                    "required and missing",
                    "write the GUID that the Entra admin center shows for it",
                ));
            }
            return None;
        };
        let refused = match (is_guid(&text), text.bytes().all(|byte| b"0-".contains(&byte))) {
            (false, _) => {
                Some(("not a GUID", "write it like 41463f53-8812-40f4-890f-865bf6e35190"))
            }
            (true, true) => {
                Some(("a placeholder", "write the one that the Entra admin center shows"))
            }
            (true, false) => None,
        };
        if let Some((problem, remedy)) = refused {
            self.errors.push(ConfigError::new(name, Some(&text), problem, remedy));
        }
        Some(text.to_ascii_lowercase())
    }

    pub(crate) fn secret(&mut self, name: &str) -> Option<Secret<String>> {
        let secret = self.optional(name).map(Secret::new);
        if secret.is_none() {
            self.errors.push(ConfigError::new(
                name,
                None,
                "required and missing",
                "set it to the value itself: files are not read here",
            ));
        }
        secret
    }

    pub(crate) fn origin(&mut self, name: &str, default: &str) -> Origin {
        let text = self.optional(name).unwrap_or_else(|| default.to_owned());
        match Origin::parse(&text) {
            Ok(origin) => origin,
            Err(problem) => {
                let problem = problem.to_string();
                self.errors.push(ConfigError::new(
                    name,
                    Some(&text),
                    &problem,
                    "write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)",
                ));
                Origin::unusable()
            }
        }
    }
}

/// What a switch may say: on, then off, and so forth.
const BOOLEANS: [&str; 6] = ["on", "off", "true", "false", "yes", "no"];

/// The word that somebody means who writes `value`.
fn meant(value: &str, words: &[&'static str]) -> Option<&'static str> {
    let value = value.to_ascii_lowercase();
    let lower: Vec<_> = words.iter().map(|word| word.to_ascii_lowercase()).collect();
    let near =
        closest(&value, lower.iter().map(String::as_str)).map(str::to_owned).or_else(|| {
            let parts = |word: &&String| {
                2 < value.len() && word.split(['.', '_', '-']).any(|part| part == value)
            };
            let mut longer = lower.iter().filter(parts);
            longer.next().filter(|_| longer.next().is_none()).cloned()
        })?;
    lower.iter().position(|word| *word == near).map(|at| words[at])
}

/// A list that is set and holds nothing.
#[must_use]
pub fn no_entries(name: &str, value: &str) -> ConfigError {
    ConfigError::new(name, Some(value), "0 entries", "write one or more, or leave it out")
}

/// `90`, `10m`, `512K`: a whole number and, if there are any, one of `units`.
fn parse_with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text[digits.len()..].trim();
    let number: u64 = digits.trim().parse().ok()?;
    if unit.is_empty() {
        return Some(number);
    }
    let (_, factor) = units.iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(*factor)
}

fn is_guid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(i, byte)| match i {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// The option whose name is closest to `name`, if it is close enough to be a typing error, or
/// else the only one that begins with it.
#[must_use]
pub fn nearest(name: &str) -> Option<&'static str> {
    let names = || OPTIONS.iter().map(|option| option.name);
    closest(name, names()).or_else(|| {
        let mut longer = names().filter(|known| known.starts_with(name));
        longer.next().filter(|_| longer.next().is_none())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_those_of_fluent_bit() {
        const SIZES: &[(&str, u64)] = &[("k", 1_000), ("m", 1_000_000)];
        assert_eq!(parse_with_unit("512K", SIZES), Some(512_000));
        assert_eq!(parse_with_unit("10x", SIZES), None);
        assert_eq!(parse_with_unit("", SIZES), None);
        assert_eq!(parse_with_unit("18446744073709551615k", SIZES), None);
    }
}
