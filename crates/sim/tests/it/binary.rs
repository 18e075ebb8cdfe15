//! The program: its ready line, its end, and how it refuses bad options.

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_m365-sim"))
}

fn refused(arguments: &[&str]) -> String {
    let Output { status, stderr, stdout } = program().args(arguments).output().unwrap();
    assert!(!status.success(), "{arguments:?}");
    assert!(stdout.is_empty(), "{arguments:?}");
    String::from_utf8(stderr).unwrap()
}

#[test]
fn it_says_where_it_is_and_ends_on_a_signal() {
    for signal in ["-TERM", "-INT"] {
        let mut running = program()
            .args([
                "serve",
                "--days",
                "0.1",
                "--seed",
                "9",
                "--content-types",
                "audit.exchange,DLP.All",
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(running.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert!(ready["http"].as_str().unwrap().starts_with("http://127.0.0.1:"));
        assert!(ready["https"].as_str().unwrap().starts_with("https://127.0.0.1:"));
        assert_eq!(ready["seed"], 9);
        assert_eq!(ready["content_types"], serde_json::json!(["Audit.Exchange", "DLP.All"]));
        let ca_file = ready["ca_file"].as_str().unwrap();
        assert!(std::fs::read_to_string(ca_file).unwrap().contains("BEGIN CERTIFICATE"));
        for name in ["tenant_id", "client_id", "client_secret", "login_url", "api_url"] {
            assert!(ready[name].is_string(), "{name}");
        }
        let pid = running.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert!(running.wait().unwrap().success());
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "", "one line and no more");
    }
}

#[test]
fn bad_options_are_named() {
    assert!(refused(&["serve", "--listen", "0.0.0.0:0"]).contains("not a loopback address"));
    assert!(refused(&["serve", "--faults", "/no/such.toml"]).contains("/no/such.toml"));
    assert!(refused(&["serve", "--content-types", "Audit.Teams"]).contains("Audit.General"));
    assert!(refused(&["serve", "--blobs-per-hour", "5..2"]).contains("5 is more than 2"));
    assert!(refused(&["serve", "--live-blobs-per-hour", "5"]).contains("--live"));
    let told = refused(&["serve", "--ca-file", "/nonexistent/x"]);
    assert!(told.contains("--ca-file /nonexistent/x: No such file"), "{told}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for option in ["--listen", "--listen-tls"] {
        let told = refused(&["serve", option, &address]);
        assert!(told.contains(&format!("{option} {address}: Address already in use")), "{told}");
    }
}

#[test]
fn numbers_that_mean_nothing_are_refused() {
    let wrong = [
        ["--days", "nan"],
        ["--days", "-1"],
        ["--activity-days", "inf"],
        ["--oddness", "5"],
        ["--megabyte-records", "nan"],
        ["--quota", "0"],
        ["--page-size", "0"],
        ["--portal-quota", "0"],
        ["--search-page-size", "0"],
        ["--scan-page-size", "0"],
    ];
    for [option, value] in wrong {
        let told = refused(&["serve", &format!("{option}={value}")]);
        assert!(told.contains(option) && told.contains(value), "{told}");
    }
}

#[test]
fn a_bad_rate_is_told_with_what_would_be_right() {
    let expected = "a probability from 0 to 1, or a table of probability, every";
    for rate in ["\"often\"", "1.5", "nan", "2", "{ probability = 7.0 }", "[0.1]"] {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, format!("[rates]\nlate_blob = {rate}\n").as_bytes())
            .unwrap();
        let path = file.path().to_str().unwrap();
        let told = refused(&["serve", "--faults", path]);
        assert!(told.contains(expected) && told.contains("line 2"), "{rate}: {told}");
    }
}

#[test]
fn a_printed_preset_is_a_good_fault_file() {
    for preset in ["none", "field", "hostile"] {
        let printed = program().args(["faults", preset]).output().unwrap();
        assert!(printed.status.success());
        let mut file = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut file, &printed.stdout).unwrap();
        let again = program().arg("faults").arg(file.path()).output().unwrap();
        assert_eq!(again.stdout, printed.stdout);
        assert!(!printed.stdout.is_empty());
    }
}
