//! Log lines on stderr, as text or JSON, without tearing the progress bars.

use std::io::Write;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use indicatif::MultiProgress;
use m365_audit_core::{Level, Utc, one_line};

use crate::arguments;

/// How a line is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `TIME LEVEL message`.
    Text,
    /// One JSON object a line: `time`, `level`, `message`.
    Json,
}

/// Where log lines go.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// The least important that are shown; none at all for `None`.
    level: Option<Level>,
    format: Format,
    bars: MultiProgress,
    /// Whom the lines are about, where there are several.
    tenant: Option<Arc<str>>,
}

impl Log {
    /// Shows lines of `level` and graver ones, above `bars`.
    pub(crate) const fn new(level: Level, format: Format, bars: MultiProgress) -> Self {
        Self { level: Some(level), format, bars, tenant: None }
    }

    /// Shows nothing.
    #[cfg(test)]
    pub(crate) fn silent() -> Self {
        Self { level: None, format: Format::Text, bars: MultiProgress::new(), tenant: None }
    }

    /// The same for lines about one tenant of several.
    pub(crate) fn of(&self, tenant: &str) -> Self {
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

    /// Takes the bars away while something else is written.
    pub(crate) fn suspend(&self, write: impl FnOnce()) {
        self.bars.suspend(write);
    }

    /// Writes a line, whatever levels are shown.
    pub(crate) fn write_always(&self, level: Level, message: &str) {
        let line = line(self.format, now(), level, self.tenant.as_deref(), message);
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

fn line(format: Format, time: Utc, level: Level, tenant: Option<&str>, message: &str) -> String {
    let word = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    match format {
        Format::Text => {
            // What a server says may hold anything.
            let message = one_line(message);
            let tenant = tenant.map(|tenant| format!("{tenant}: ")).unwrap_or_default();
            format!("{time} {:5} {tenant}{message}\n", word.to_uppercase())
        }
        Format::Json => {
            let time = time.to_string();
            let mut line = serde_json::json!({ "time": time, "level": word, "message": message });
            if let Some(tenant) = tenant {
                line["tenant"] = tenant.into();
            }
            format!("{line}\n")
        }
    }
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
        let line = line(Format::Text, time, Level::Error, None, "not \u{202e}ecnad\u{2069}");
        assert!(line.ends_with("ERROR not \\u{202e}ecnad\\u{2069}\n"), "{line}");
    }

    #[test]
    fn a_message_is_one_line_in_both_formats() {
        let time = Utc::parse("2026-07-15T20:45:11.875Z").unwrap();
        let message = "a \"b\"\n\u{1b}[31mc";
        assert_eq!(
            line(Format::Text, time, Level::Warn, None, message),
            "2026-07-15T20:45:11.875Z WARN  a \"b\"  [31mc\n"
        );
        let json = line(Format::Json, time, Level::Error, Some("contoso"), message);
        let value: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(value["message"], message);
        assert_eq!(value["level"], "error");
        assert_eq!(value["tenant"], "contoso");
        assert_eq!(json.lines().count(), 1);
    }
}
