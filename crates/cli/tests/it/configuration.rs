//! Where settings come from, and what is said when they are wrong.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use expect_test::{Expect, expect};

const GUID: &str = "41463f53-8812-40f4-890f-865bf6e35190";

/// The program with nothing in its environment but `variables`, in `dir`.
fn program(dir: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_m365-audit"))
        .env_clear()
        .envs(variables.iter().copied())
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// What `run` says about these sources, which all have something wrong.
#[track_caller]
fn check(file: &str, variables: &[(&str, &str)], arguments: &[&str], expect: Expect) {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("m365.toml"), file).unwrap();
    let arguments = [&["run", "--config", "m365.toml"], arguments].concat();
    let output = program(dir.path(), variables, &arguments);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(output.stdout.is_empty());
    assert!(!stderr.contains("s3cret"), "{stderr}");
    expect.assert_eq(&stderr);
}

#[test]
fn nothing_set_names_every_place_to_set_it() {
    check(
        "",
        &[],
        &[],
        expect![[r#"
        configuration: 3 mistakes, nothing was started
          - tenant_id: required and missing; write the GUID that the Entra admin center shows for it
              (--tenant-id, M365_AUDIT_TENANT_ID or tenant_id in the --config file)
          - client_id: required and missing; write the GUID that the Entra admin center shows for it
              (--client-id, M365_AUDIT_CLIENT_ID or client_id in the --config file)
          - client_secret: no credential is configured; set one of client_secret, client_secret_file, certificate_file and federated_token_file, or auth managed_identity
              (--client-secret, M365_AUDIT_CLIENT_SECRET or client_secret in the --config file)
    "#]],
    );
}

#[test]
fn every_mistake_is_told_at_once_with_its_source() {
    check(
        "tenant_id = \"contoso\"\nclient_secret = \"s3cret\"\ntag_per_content_type = true\n\
         clientid = \"x\"\n\"db.sync\" = \"never\"\n",
        &[("M365_AUDIT_CLIENT_ID", "app"), ("M365_AUDIT_LOOKBACK", "8d")],
        &["--api-url", "http://manage.office.com", "--output", "missing/audit.ndjson"],
        expect![[r#"
            configuration: 8 mistakes, nothing was started
              - tenant_id = "contoso": not a GUID; write it like 41463f53-8812-40f4-890f-865bf6e35190
                  (in m365.toml)
              - client_id = "app": not a GUID; write it like 41463f53-8812-40f4-890f-865bf6e35190
                  (given as M365_AUDIT_CLIENT_ID)
              - api_url = "http://manage.office.com": http:// would send the token in the clear; write https://HOST (http:// only to 127.0.0.1, [::1] or localhost)
                  (given as --api-url)
              - lookback = "8d": too large; allowed: time from 0s to 7d
                  (given as M365_AUDIT_LOOKBACK)
              - db.sync = "never": not a value of this option; allowed: one of extra, full, normal, off
                  (in m365.toml)
              - tag_per_content_type: an option of the Fluent Bit plugin; remove it
                  (in m365.toml)
              - output = "missing/audit.ndjson": cannot be opened: No such file or directory (os error 2); name a file that can be written
                  (given as --output)
              - clientid: no such option; did you mean client_id?
                  (in m365.toml)
        "#]],
    );
}

#[test]
fn a_flag_comes_before_its_variable_and_a_variable_before_the_file() {
    let file = format!(
        "tenant_id = \"{GUID}\"\nclient_id = \"{GUID}\"\nclient_secret = \"s3cret\"\n\
         cloud = \"in the file\"\nlookback = \"in the file\"\nverify_tls = \"in the file\"\n"
    );
    check(
        &file,
        &[
            ("M365_AUDIT_CLOUD", "in the variable"),
            ("M365_AUDIT_LOOKBACK", "in the variable"),
            ("M365_AUDIT_VERIFY_TLS", ""),
        ],
        &["--cloud", "in the flag"],
        expect![[r#"
            configuration: 3 mistakes, nothing was started
              - cloud = "in the flag": not a value of this option; allowed: one of enterprise, gcc, gcc-high, dod, china
                  (given as --cloud)
              - lookback = "in the variable": not a value of this option; allowed: time from 0s to 7d
                  (given as M365_AUDIT_LOOKBACK)
              - verify_tls = "in the file": not a value of this option; allowed: on or off
                  (in m365.toml)
        "#]],
    );
}

#[test]
fn the_stronger_source_decides_between_the_secret_and_its_file() {
    let file = format!(
        "tenant_id = \"{GUID}\"\nclient_id = \"{GUID}\"\nclient_secret_file = \"missing\"\n"
    );
    check(
        &file,
        &[("M365_AUDIT_CLIENT_SECRET", "s3cret")],
        &["--cloud", "x"],
        expect![[r#"
        configuration: 1 mistake, nothing was started
          - cloud = "x": not a value of this option; allowed: one of enterprise, gcc, gcc-high, dod, china
              (given as --cloud)
    "#]],
    );
    check(
        &file,
        &[],
        &[],
        expect![[r#"
        configuration: 1 mistake, nothing was started
          - client_secret_file = "missing": cannot be read: No such file or directory (os error 2); name a readable file that holds the secret's value and nothing else
              (in m365.toml)
    "#]],
    );
    check(
        &format!("{file}client_secret = \"s3cret\""),
        &[],
        &[],
        expect![[r#"
        configuration: 1 mistake, nothing was started
          - client_secret_file = "missing": client_secret is set too; keep one of the two
              (in m365.toml)
    "#]],
    );
}

#[test]
fn a_broken_file_does_not_hide_what_else_is_wrong() {
    check(
        "client_secret = s3cret\n",
        &[("M365_AUDIT_TENANT_ID", "contoso")],
        &[],
        expect![[r#"
            configuration: 2 mistakes, nothing was started
              - tenant_id = "contoso": not a GUID; write it like 41463f53-8812-40f4-890f-865bf6e35190
                  (given as M365_AUDIT_TENANT_ID)
              - config = "m365.toml": not TOML, line 1, column 17: string values must be quoted, expected literal string; write lines like: db = "state.db" (an option with a dot in its name is written in quotes: "db.sync" = "full")
        "#]],
    );
}

#[test]
fn help_teaches_and_shows_no_value() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [("M365_AUDIT_CLIENT_SECRET", "s3cret")];
    let output = program(dir.path(), &variables, &["run", "--help"]);
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    for part in [
        "--client-secret <TEXT>",
        "M365_AUDIT_CLIENT_SECRET",
        "other users of the machine",
        "--db-journal-mode",
        "[default: 60]",
        "Example:",
    ] {
        assert!(help.contains(part), "{part}: {help}");
    }
    assert!(!help.contains("s3cret"));
    assert!(!help.contains("commit-delay"), "an option of Fluent Bit");
}

#[test]
fn the_toml_sample_needs_nothing_but_its_blanks_filled() {
    let dir = tempfile::tempdir().unwrap();
    let sample = program(dir.path(), &[], &["options", "--format", "toml"]);
    let sample = String::from_utf8(sample.stdout).unwrap();
    let blank = "00000000-0000-0000-0000-000000000000";
    let filled = sample.replace(blank, "41463f53-8812-40f4-890f-865bf6e35190");
    assert_ne!(filled, sample);
    fs::write(dir.path().join("m365.toml"), filled).unwrap();
    let variables = [("M365_AUDIT_CLIENT_SECRET", "s3cret"), ("M365_AUDIT_DB", "none/state.db")];
    let output = program(dir.path(), &variables, &["run", "--config", "m365.toml"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    // The one mistake that was made on purpose, so that nothing is started.
    assert!(stderr.starts_with("configuration: 1 mistake, nothing was started\n"), "{stderr}");
    assert!(stderr.contains("there is no directory none"), "{stderr}");
}

#[test]
fn a_db_that_is_none_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let notes = dir.path().join("notes.txt");
    fs::write(&notes, "my notes\n").unwrap();
    let variables = [
        ("M365_AUDIT_TENANT_ID", GUID),
        ("M365_AUDIT_CLIENT_ID", GUID),
        ("M365_AUDIT_CLIENT_SECRET", "s3cret"),
    ];
    let run = program(dir.path(), &variables, &["run", "--db", "notes.txt"]);
    let show = program(dir.path(), &[], &["state", "show", "--db", "notes.txt"]);
    for output in [run, show] {
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("notes.txt: not a SQLite file; remedy:"), "{stderr}");
    }
    assert_eq!(fs::read_to_string(&notes).unwrap(), "my notes\n");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_flag_in_the_file_is_told_as_one_and_a_number_with_its_place() {
    check(
        &format!(
            "tenant_id = \"{GUID}\"\nclient_id = \"{GUID}\"\nclient_secret = \"s3cret\"\n\
             output = \"audit.ndjson\"\nonce = true\nlog_level = \"debug\"\n\
             content_types = []\nmax_in_flight = 1.5\nactivities_lookback = \"30d\"\n"
        ),
        &[],
        &["--redact-fields", ","],
        expect![[r#"
            configuration: 6 mistakes, nothing was started
              - activities_lookback = "30d": without effect, because source does not name cloud_app_activities; add cloud_app_activities to source, or leave activities_lookback out
                  (in m365.toml)
              - content_types = "[]": 0 entries; write one or more, or leave it out
                  (--content-types, M365_AUDIT_CONTENT_TYPES or content_types in the --config file)
              - max_in_flight = "1.5": not a value of this option; allowed: number from 2 to 256
                  (in m365.toml)
              - redact_fields = ",": without effect, because redact is off; set redact on, or leave redact_fields out
                  (given as --redact-fields)
              - redact_fields = ",": 0 entries; write one or more, or leave it out
                  (given as --redact-fields)
              - once: a flag, not an option of this file; remove it, and give it as --once
        "#]],
    );
}

#[test]
fn a_variable_that_is_no_option_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let variables = [
        ("M365_AUDIT_TENANT_ID", GUID),
        ("M365_AUDIT_CLIENT_ID", GUID),
        ("M365_AUDIT_CLIENT_SECRET", "s3cret"),
        ("M365_AUDIT_LOGIN_URL", "http://127.0.0.1:9"),
        ("M365_AUDIT_INTERVAL", "s3cret"),
    ];
    let output = program(dir.path(), &variables, &["subscriptions", "list"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    let told = "WARN  M365_AUDIT_INTERVAL: no such option, and ignored; did you mean \
                M365_AUDIT_INTERVAL_SEC?";
    assert!(stderr.contains(told) && !stderr.contains("s3cret"), "{stderr}");
    // And where nothing answers, what does not, and what to look at.
    assert!(stderr.contains("cannot connect: http://127.0.0.1:9: "), "{stderr}");
    assert!(stderr.contains("check the network, proxy_url, and login_url"), "{stderr}");
}
