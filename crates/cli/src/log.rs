//! Log lines on stderr, as text or JSON, without tearing the progress bars.

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::MultiProgress;
use m365_audit_core::{Event, Feed, Level, Operation, Utc, one_line};

use crate::arguments;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `TIME LEVEL message`.
    Text,
    /// One JSON object a line: `time`, `level`, `message`, and what the line is about.
    Json,
}

/// Where log lines go.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The least important that are shown; none at all for `None`.
    level: Option<Level>,
    format: Format,
    bars: MultiProgress,
    /// Whom the lines are about.
    tenant: Option<Arc<str>>,
    /// Whether there are several, so that each line begins with it.
    several: bool,
}

impl Log {
    /// Shows lines of `level` and graver ones, above `bars`.
    pub(crate) const fn new(level: Level, format: Format, bars: MultiProgress) -> Self {
        Self { level: Some(level), format, bars, tenant: None, several: false }
    }

    /// Shows nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        let bars = MultiProgress::new();
        Self { level: None, format: Format::Text, bars, tenant: None, several: false }
    }

    /// The same for lines about one tenant of several.
    pub(crate) fn of(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.into()), several: true, ..self.clone() }
    }

    /// The same for lines about the only tenant: programs read who it is, people know.
    pub(crate) fn of_only(&self, tenant: &str) -> Self {
        Self { tenant: Some(tenant.into()), ..self.clone() }
    }

    /// Whether lines at level info are not shown.
    pub(crate) fn is_quiet(&self) -> bool {
        self.level.is_none_or(|shown| shown < Level::Info)
    }

    /// Writes a line, if its level is shown.
    pub(crate) fn write(&self, level: Level, message: &str) {
        if self.level.is_some_and(|shown| level <= shown) {
            self.write_always(level, message);
        }
    }

    /// Writes an event, if its level is shown: to programs also by its parts.
    pub(crate) fn write_event(&self, event: &Event) {
        let (level, subject) = (event.level(), event.subject());
        let fields = [
            ("code", Some(event.code())),
            ("content_type", subject.feed.map(Feed::as_str)),
            ("content_id", subject.content_id),
            ("request", subject.operation.map(Operation::as_str)),
            ("error", subject.error),
        ];
        if self.level.is_some_and(|shown| level <= shown) {
            self.put(level, &event.to_string(), &fields);
        }
    }

    /// Takes the bars away while something else is written.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bars.suspend(write);
    }

    /// Writes a line, whatever levels are shown.
    pub(crate) fn write_always(&self, level: Level, message: &str) {
        self.put(level, message, &[]);
    }

    fn put(&self, level: Level, message: &str, fields: &[(&str, Option<&str>)]) {
        let tenant = self.tenant.as_deref();
        let line = match self.format {
            Format::Text => text(now(), level, tenant.filter(|_| self.several), message),
            Format::Json => {
                let fields = [("tenant", tenant)].iter().chain(fields).copied().collect::<Vec<_>>();
                json(now(), level, message, &fields)
            }
        };
        // Nothing can be told any more if stderr is gone.
        self.bars.suspend(|| drop(std::io::stderr().write_all(line.as_bytes())));
    }

    /// Tells of variables that look like options and are none.
    pub(crate) fn warn_of_variables(&self) {
        let names = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
        for told in arguments::unknown_variables(names) {
            self.write(Level::Warn, &told);
        }
    }
}

const fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    }
}

fn text(time: Utc, level: Level, tenant: Option<&str>, message: &str) -> String {
    // What a server says may hold anything.
    let message = one_line(message);
    let tenant = tenant.map(|tenant| format!("{tenant}: ")).unwrap_or_default();
    format!("{time} {:5} {tenant}{message}\n", word(level).to_uppercase())
}

fn json(time: Utc, level: Level, message: &str, fields: &[(&str, Option<&str>)]) -> String {
    let time = time.to_string();
    let mut line = serde_json::json!({ "time": time, "level": word(level), "message": message });
    for (name, value) in fields {
        if let Some(value) = value {
            line[name] = (*value).into();
        }
    }
    format!("{line}\n")
}

/// What the local clock says.
pub(crate) fn now() -> Utc {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Utc::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_cannot_turn_a_line_around() {
        let time = Utc::parse("2026-07-15T20:45:11.875Z").unwrap();
        let line = text(time, Level::Error, None, "not \u{202e}ecnad\u{2069}");
        assert!(line.ends_with("ERROR not \\u{202e}ecnad\\u{2069}\n"), "{line}");
    }

    #[test]
    fn a_message_is_one_line_in_both_formats() {
        let time = Utc::parse("2026-07-15T20:45:11.875Z").unwrap();
        let message = "a \"b\"\n\u{1b}[31mc";
        assert_eq!(
            text(time, Level::Warn, None, message),
            "2026-07-15T20:45:11.875Z WARN  a \"b\"  [31mc\n"
        );
        let fields =
            [("tenant", Some("contoso")), ("content_type", None), ("code", Some("Throttled"))];
        let json = json(time, Level::Error, message, &fields);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["message"], message);
        assert_eq!(value["level"], "error");
        assert_eq!((&value["tenant"], &value["code"]), (&"contoso".into(), &"Throttled".into()));
        assert!(value.get("content_type").is_none(), "{value}");
        assert_eq!(json.lines().count(), 1);
    }
}
