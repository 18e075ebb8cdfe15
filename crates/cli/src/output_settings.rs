//! What can be said about the file of `--output`: when it is rotated, how many are kept, who may
//! read it, how long a line may be. Declared and read here, below whatever lists options; `run` and
//! `host` have them.

use std::time::Duration;

use m365_audit_core::config::Reader;
use m365_audit_core::options::{Kind, OptionSpec, Scope};
use m365_audit_core::{ConfigError, RawOptions};

const DAY: u64 = 24 * 60 * 60;

/// The options of what people see of a run.
pub(crate) const SHOWN_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "log_level",
        kind: Kind::Choice(&["error", "warn", "info", "debug"]),
        default: Some("info"),
        scope: Scope::Native,
        help: "The least important lines to show on stderr.",
    },
    OptionSpec {
        name: "log_format",
        kind: Kind::Choice(&["text", "json"]),
        default: Some("text"),
        scope: Scope::Native,
        help: "How lines on stderr look.",
    },
    OptionSpec {
        name: "progress",
        kind: Kind::Choice(&["auto", "never", "always"]),
        default: Some("auto"),
        scope: Scope::Native,
        help: "Rows if stderr is a terminal, else a line once a minute while something moves; \
               always shows the line whatever log_level says.",
    },
];

/// The options of output files.
pub(crate) const OUTPUT_OPTIONS: &[OptionSpec] = &[
    OptionSpec {
        name: "output",
        kind: Kind::Path,
        default: None,
        scope: Scope::Native,
        help: "Append to this file; - and nothing are stdout. Progress is recorded only when the \
               records are on the disk.",
    },
    OptionSpec {
        name: "output_rotate_bytes",
        kind: Kind::Size { min: 100_000, max: 1_000_000_000_000 },
        default: None,
        scope: Scope::Native,
        help: "Rotate the output file before it would grow larger than this. A single longer line \
               makes a file of its own.",
    },
    OptionSpec {
        name: "output_rotate_after",
        kind: Kind::Duration { min: 1, max: 366 * DAY },
        default: None,
        scope: Scope::Native,
        help: "Rotate the output file when it is so old, unless it is empty.",
    },
    OptionSpec {
        name: "output_keep",
        kind: Kind::Integer { min: 0, max: 1_000_000 },
        default: Some("0"),
        scope: Scope::Native,
        help: "With rotation, how many rotated files to keep; 0 keeps all. None is deleted within \
               an hour of its rotation, and each deletion is told.",
    },
    OptionSpec {
        name: "output_mode",
        kind: Kind::Text,
        default: Some("0600"),
        scope: Scope::Native,
        help: "Permissions of output files that are created, in octal: 0640 lets the group read.",
    },
    OptionSpec {
        name: "output_line_bytes_max",
        kind: Kind::Size { min: 1_000, max: 1_000_000_000 },
        default: None,
        scope: Scope::Native,
        help: "Longer lines go to a file beside the output, NAME.oversized.ndjson, with a WARN: \
               for readers that would cut them, such as syslog daemons.",
    },
];

/// When a file is rotated, and how many stay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rotation {
    /// Before it has more bytes than these.
    pub(crate) bytes: Option<u64>,
    /// When it is so old.
    pub(crate) after: Option<Duration>,
    /// How many rotated files stay; 0: all.
    pub(crate) keep: usize,
}

impl Rotation {
    /// Whether anything is rotated at all.
    pub(crate) const fn is_set(self) -> bool {
        self.bytes.is_some() || self.after.is_some()
    }
}

/// What the options say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutputSettings {
    pub(crate) rotation: Rotation,
    pub(crate) mode: u32,
    pub(crate) line_bytes_max: Option<usize>,
}

impl OutputSettings {
    /// An option that has no effect without a file.
    pub(crate) fn of_a_file(self) -> Option<&'static str> {
        let Self { rotation, line_bytes_max, .. } = self;
        let set = [
            (rotation.bytes.is_some(), "output_rotate_bytes"),
            (rotation.after.is_some(), "output_rotate_after"),
            (line_bytes_max.is_some(), "output_line_bytes_max"),
        ];
        set.into_iter().find(|(is_set, _)| *is_set).map(|(_, name)| name)
    }

    /// Reads the options; all mistakes at once.
    ///
    /// # Errors
    /// Every mistake in them.
    pub(crate) fn parse(raw: &RawOptions) -> Result<Self, Vec<ConfigError>> {
        let mut reader = Reader::of(raw, OUTPUT_OPTIONS);
        let rotation = Rotation {
            bytes: number(&mut reader, "output_rotate_bytes"),
            after: number(&mut reader, "output_rotate_after").map(Duration::from_secs),
            keep: usize::try_from(reader.number("output_keep")).unwrap_or(usize::MAX),
        };
        if !rotation.is_set() && 0 < rotation.keep {
            reader.report(ConfigError::new(
                "output_keep",
                Some(&rotation.keep.to_string()),
                "without effect, because nothing is rotated",
                "set output_rotate_bytes or output_rotate_after, or leave output_keep out",
            ));
        }
        let line_bytes_max = number(&mut reader, "output_line_bytes_max");
        let mode = mode(&mut reader);
        reader.finish_known()?;
        let line_bytes_max =
            line_bytes_max.map(|bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
        Ok(Self { rotation, mode, line_bytes_max })
    }
}

/// A number, if one is set.
fn number(reader: &mut Reader<'_>, name: &str) -> Option<u64> {
    reader.optional(name).map(|_| reader.number(name))
}

fn mode(reader: &mut Reader<'_>) -> u32 {
    const PRIVATE: u32 = 0o600;
    let Some(text) = reader.optional("output_mode") else { return PRIVATE };
    let digits = (3..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let parsed = u32::from_str_radix(&text, 8).ok().filter(|_| digits);
    let (problem, remedy) = match parsed {
        None => ("not a mode in octal", "write it like 0640"),
        Some(mode) if mode & PRIVATE != PRIVATE => {
            ("the owner could not read and write the file", "begin it with 06, as in 0640")
        }
        Some(mode) if mode & !0o664 != 0 => {
            ("files of records need no more than 0664", "write it like 0640")
        }
        Some(mode) => return mode,
    };
    reader.report(ConfigError::new("output_mode", Some(&text), problem, remedy));
    PRIVATE
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(pairs: &[(&str, &str)], expect: Expect) {
        let raw = pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let text = match OutputSettings::parse(&raw) {
            Ok(settings) => format!("{settings:?}\n"),
            Err(errors) => errors.iter().map(|error| format!("{error}\n")).collect(),
        };
        expect.assert_eq(&text);
    }

    #[test]
    fn settings_are_read_and_every_mistake_is_told() {
        check(
            &[],
            expect![[r#"
            OutputSettings { rotation: Rotation { bytes: None, after: None, keep: 0 }, mode: 384, line_bytes_max: None }
        "#]],
        );
        check(
            &[
                ("output_rotate_bytes", "100M"),
                ("output_rotate_after", "1d"),
                ("output_keep", "30"),
                ("output_mode", "0640"),
                ("output_line_bytes_max", "60K"),
            ],
            expect![[r#"
                OutputSettings { rotation: Rotation { bytes: Some(100000000), after: Some(86400s), keep: 30 }, mode: 416, line_bytes_max: Some(60000) }
            "#]],
        );
        check(
            &[
                ("output_rotate_bytes", "1K"),
                ("output_rotate_after", "soon"),
                ("output_mode", "0888"),
                ("output_line_bytes_max", "-1"),
            ],
            expect![[r#"
                output_rotate_bytes = "1K": too small; allowed: size from 100K to 1000G
                output_rotate_after = "soon": not a value of this option; allowed: time from 1s to 366d
                output_line_bytes_max = "-1": not a value of this option; allowed: size from 1K to 1G
                output_mode = "0888": not a mode in octal; write it like 0640
            "#]],
        );
        check(
            &[("output_keep", "3"), ("output_mode", "0444")],
            expect![[r#"
                output_keep = "3": without effect, because nothing is rotated; set output_rotate_bytes or output_rotate_after, or leave output_keep out
                output_mode = "0444": the owner could not read and write the file; begin it with 06, as in 0640
            "#]],
        );
        check(
            &[("output_mode", "0666")],
            expect![[r#"
                output_mode = "0666": files of records need no more than 0664; write it like 0640
            "#]],
        );
    }
}
