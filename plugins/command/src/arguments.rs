//! What the command is told: by flags, by a file in JSON, and by variables. Judges no option; that
//! is the component's.

use std::fs;
use std::path::PathBuf;

use serde_json::{Map, Value};

/// How variables begin that are options: `M365_AUDIT_CLIENT_SECRET` is `client_secret`.
const PREFIX: &str = "M365_AUDIT_";

const HELP: &str = "\
Collects Microsoft 365 audit records, and writes one a line to stdout.

  wasmtime run -S http --dir state m365_audit_cli.wasm --config state/config.json

  --config FILE   options as a JSON object; M365_AUDIT_* variables come before it
  --state FOLDER  where the state is kept; `state`, if nothing is said
  --once          ends when everything that existed at the start is collected
  --version, --help

Each file and folder has to lie in one that the runtime lends (--dir), and each variable has to be
passed on (--env). Two at once on one folder collect everything twice.";

/// What the command is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// The component's configuration, as JSON.
    pub(crate) config: String,
    pub(crate) state: PathBuf,
}

/// Why nothing is collected.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) text: String,
    pub(crate) is_mistake: bool,
}

impl Arguments {
    /// Reads flags and variables, and the file that they name.
    ///
    /// # Errors
    /// A mistake in them, or there is something to be told instead.
    pub(crate) fn read(
        flags: impl IntoIterator<Item = String>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Ended> {
        let (mut file, mut once) = (None, false);
        let mut state = PathBuf::from("state");
        let mut flags = flags.into_iter();
        while let Some(flag) = flags.next() {
            let mut path = || {
                let next = flags.next().filter(|value| !value.starts_with("--"));
                next.map(PathBuf::from).ok_or_else(|| mistake(format!("{flag} needs a path")))
            };
            match flag.as_str() {
                "--config" => file = Some(path()?),
                "--state" => state = path()?,
                "--once" => once = true,
                "--help" => return Err(Ended { text: HELP.into(), is_mistake: false }),
                "--version" => {
                    let text = format!("m365_audit_cli {}", env!("CARGO_PKG_VERSION"));
                    return Err(Ended { text, is_mistake: false });
                }
                other => return Err(mistake(format!("{other:?} is unknown\n\n{HELP}"))),
            }
        }
        let mut options = file.map_or_else(|| Ok(Map::new()), |file| object(&file))?;
        for (name, value) in variables {
            if let Some(option) = name.strip_prefix(PREFIX) {
                options.insert(option.to_lowercase(), value.into());
            }
        }
        if once {
            options.insert("once".into(), true.into());
        }
        Ok(Self { config: Value::from(options).to_string(), state })
    }
}

fn object(file: &PathBuf) -> Result<Map<String, Value>, Ended> {
    let shown = file.display();
    let text = fs::read_to_string(file).map_err(|error| {
        let remedy = "has its folder been lent, as by --dir?";
        mistake(format!("{shown} cannot be read: {error}; {remedy}"))
    })?;
    // Its errors name a place and never a value, so no secret shows.
    serde_json::from_str(&text)
        .map_err(|error| mistake(format!("{shown} is not a JSON object: {error}")))
}

const fn mistake(text: String) -> Ended {
    Ended { text, is_mistake: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(flags: &[&str], variables: &[(&str, &str)]) -> Result<Arguments, Ended> {
        let variables = variables.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Arguments::read(flags.iter().map(|flag| (*flag).to_owned()), variables)
    }

    #[test]
    fn variables_come_before_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, "{\"tenant_id\":\"a\",\"interval_sec\":5}").unwrap();
        let file = file.to_str().unwrap();
        let variables = [("M365_AUDIT_TENANT_ID", "b"), ("HOME", "/")];
        let read = read(&["--config", file, "--once", "--state", "s"], &variables).unwrap();
        let config: Value = serde_json::from_str(&read.config).unwrap();
        assert_eq!(config, serde_json::json!({"tenant_id": "b", "interval_sec": 5, "once": true}));
        assert_eq!(read.state, PathBuf::from("s"));
    }

    #[test]
    fn mistakes_are_told_and_are_no_help() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.json");
        fs::write(&file, "{\"client_secret\": hush}").unwrap();
        for (flags, text) in [
            (&["--config"][..], "--config needs a path"),
            (&["--state", "--once"], "--state needs a path"),
            (&["--config", "absent/x.json"], "absent/x.json cannot be read: "),
            (&["--config", file.to_str().unwrap()], "is not a JSON object: expected value"),
            (&["--onec"], "\"--onec\" is unknown"),
        ] {
            let ended = read(flags, &[]).unwrap_err();
            assert!(ended.is_mistake && ended.text.contains(text), "{ended:?}");
            assert!(!ended.text.contains("hush"), "{ended:?}");
        }
        assert!(!read(&["--help"], &[]).unwrap_err().is_mistake);
    }
}
