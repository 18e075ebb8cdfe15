//! The configuration file: TOML, with the options' names as keys.
//!
//! Knows which text belongs to which name; what a text means is the business of the options table.
//! Never repeats a line of the file in a message: it may hold the secret.

use std::fs;
use std::path::Path;

use m365_audit_client::{toml_problem, toml_text};
use m365_audit_core::{ConfigError, RawOptions};
use toml::{Table, Value};

/// The key by which a table names the option that has the table's own name: `[db]` `path`.
const OWN_KEY: &str = "path";

/// A file's options, and the mistakes of form in it.
#[derive(Debug, Default)]
pub(crate) struct ConfigFile {
    pub(crate) options: RawOptions,
    pub(crate) errors: Vec<ConfigError>,
}

impl ConfigFile {
    /// Reads a file. Its mistakes are among the result's.
    pub(crate) fn read(path: &Path) -> Self {
        let shown = path.display().to_string();
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, &shown),
            Err(error) => Self::broken(
                &shown,
                &format!("cannot be read: {error}"),
                "name a TOML file; `m365-audit options --format toml` writes one",
            ),
        }
    }

    pub(crate) fn parse(text: &str, shown: &str) -> Self {
        match text.parse::<Table>() {
            Ok(table) => {
                let mut file = Self::default();
                file.take(&table, "");
                file
            }
            Err(error) => Self::broken(
                shown,
                &toml_problem(text, &error),
                "write lines like: db = \"state.db\" (an option with a dot in its name is \
                     written in quotes: \"db.sync\" = \"full\")",
            ),
        }
    }

    fn broken(shown: &str, problem: &str, remedy: &str) -> Self {
        let error = ConfigError::new("config", Some(shown), problem, remedy);
        Self { options: RawOptions::new(), errors: vec![error] }
    }

    fn take(&mut self, table: &Table, prefix: &str) {
        for (key, value) in table {
            let name = match (prefix, key.as_str()) {
                ("", key) => key.to_owned(),
                (prefix, OWN_KEY) => prefix.to_owned(),
                (prefix, key) => format!("{prefix}.{key}"),
            };
            match value {
                Value::Table(table) => self.take(table, &name),
                value => match toml_text(&name, value) {
                    Ok(text) => self.put(name, text),
                    Err(mistake) => self.errors.push(mistake),
                },
            }
        }
    }

    fn put(&mut self, name: String, text: String) {
        if self.options.insert(name.clone(), text).is_some() {
            self.errors.push(ConfigError::new(&name, None, "set twice", "keep one of the two"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(text: &str, expect: Expect) {
        let file = ConfigFile::parse(text, "m365.toml");
        let options = file.options.iter().map(|(name, text)| format!("{name} = {text}\n"));
        let errors = file.errors.iter().map(|error| format!("error: {error}\n"));
        expect.assert_eq(&options.chain(errors).collect::<String>());
    }

    #[test]
    fn keys_are_the_names_of_options() {
        check(
            "tenant_id = \"t\"\ninterval_sec = 30\nstart_subscriptions = false\n\
             content_types = [\"Audit.Exchange\", \"DLP.All\"]\ndb = \"state.db\"\n\
             \"db.sync\" = \"normal\"\n",
            expect![[r#"
                content_types = Audit.Exchange, DLP.All
                db = state.db
                db.sync = normal
                interval_sec = 30
                start_subscriptions = false
                tenant_id = t
            "#]],
        );
        check(
            "[db]\npath = \"state.db\"\nsync = \"normal\"\n",
            expect![[r#"
            db = state.db
            db.sync = normal
        "#]],
        );
        check(
            "db.path = \"state.db\"\ndb.journal_mode = \"wal\"\n",
            expect![[r#"
            db = state.db
            db.journal_mode = wal
        "#]],
        );
    }

    #[test]
    fn mistakes_of_form_are_told_without_the_line() {
        check(
            "tenant_id = \"t\"\nclient_secret = s3cret\n",
            expect![[r#"
                error: config = "m365.toml": not TOML, line 2, column 17: string values must be quoted, expected literal string; write lines like: db = "state.db" (an option with a dot in its name is written in quotes: "db.sync" = "full")
            "#]],
        );
        check(
            "db = \"a\"\ndb.sync = \"full\"\n",
            expect![[r#"
                error: config = "m365.toml": not TOML, line 2, column 1: cannot extend value of type string with a dotted key; write lines like: db = "state.db" (an option with a dot in its name is written in quotes: "db.sync" = "full")
            "#]],
        );
        check(
            "lookback = 1.5\ncontent_types = [1]\ninterval_sec = 2020-01-01\n\
             client_secret = 1.5\nexclude_users = []\n",
            expect![[r#"
            interval_sec = 2020-01-01
            lookback = 1.5
            error: client_secret: neither text, whole number nor true/false; write the value in quotes
            error: content_types: a list of something else than text; write the values in quotes: ["Audit.Exchange", "DLP.All"]
            error: exclude_users = "[]": 0 entries; write one or more, or leave it out
        "#]],
        );
        check(
            "\"db.sync\" = \"a\"\n[db]\nsync = \"b\"\n",
            expect![[r#"
            db.sync = a
            error: db.sync: set twice; keep one of the two
        "#]],
        );
    }
}
