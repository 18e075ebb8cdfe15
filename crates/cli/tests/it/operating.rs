//! What OPERATING.md tells somebody to type at night does what it says, and so does what README.md
//! tells a newcomer.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use m365_sim::SimConfig;

use crate::support::{World, assert_code, lines, program, text, world};

const MANUAL: &str = include_str!("../../../../OPERATING.md");
const FIRST_PAGE: &str = include_str!("../../../../README.md");

/// What a section has in blocks of this kind, line by line.
fn lines_of(page: &'static str, heading: &str, kind: &str) -> Vec<&'static str> {
    let head = format!("\n## {heading}\n");
    let section = page.split(&head).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let begin = format!("```{kind}\n");
    let blocks = section.split(&begin).skip(1);
    blocks.map(|block| block.split("```").next().unwrap()).flat_map(str::lines).collect()
}

/// A folder with what the commands name: a configuration, a state, and what has arrived.
fn folder(world: &World) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let (tenant, client, secret) = world.credentials();
    let url = world.http_url();
    for name in ["client_secret", "new-secret"] {
        fs::write(dir.path().join(name), &secret).unwrap();
    }
    let config = format!(
        "tenant_id = \"{tenant}\"\nclient_id = \"{client}\"\nclient_secret_file = \
         \"client_secret\"\nlogin_url = \"{url}\"\napi_url = \"{url}\"\ndb = \"state.db\"\n"
    );
    fs::write(dir.path().join("m365-audit.toml"), config).unwrap();
    dir
}

fn shell(line: &str, dir: &Path, variables: &[(&str, &str)]) -> Output {
    let program_path = PathBuf::from(env!("CARGO_BIN_EXE_m365-audit"));
    let programs = program_path.parent().unwrap().display().to_string();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    // Without what the environment says to the program.
    for (name, _) in program("run").get_envs() {
        command.env_remove(name);
    }
    command.args(["-c", line]).current_dir(dir).env("PATH", path).envs(variables.iter().copied());
    command.output().unwrap()
}

#[test]
fn every_command_on_call_works_as_it_is_written() {
    let world = World::new(SimConfig { oddness: 0.0, ..world() });
    let dir = folder(&world);
    let run = "m365-audit run --config m365-audit.toml --once --output audit.ndjson";
    assert_code(&shell(run, dir.path(), &[]), 0);
    let arrived = fs::read(dir.path().join("audit.ndjson")).unwrap();
    // One that has what names it.
    let known = |line: &[u8]| {
        let record: serde_json::Value = serde_json::from_slice(line).ok()?;
        let [id, time] =
            ["Id", "CreationTime"].map(|name| record[name].as_str().map(str::to_owned));
        Some((id.filter(|id| id.len() == 36)?, time.filter(|time| time.len() == 19)?))
    };
    let (id, time) = lines(&arrived).find_map(known).unwrap();
    let variables = [("ID", &*id), ("TIME", &*time)];
    let commands = lines_of(MANUAL, "On call", "sh");
    assert!(15 < commands.len(), "{commands:?}");
    for line in &commands {
        let output = shell(line, dir.path(), &variables);
        let told = text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{line}: {}{told}", text(&output.stdout));
        let silent = line.starts_with("install") || output.stdout.len() + told.len() > 0;
        assert!(silent, "{line} says nothing");
    }
    // Each question of the night has its command, by the word that it begins with.
    for word in [
        "top",
        "state show",
        "report",
        "state acknowledge",
        "verify",
        "replay",
        "check",
        "doctor",
        "errors",
        "state backup",
        "state restore",
        "run",
        "subscriptions list",
    ] {
        let is_there = commands.iter().any(|line| line.starts_with(&format!("m365-audit {word}")));
        assert!(is_there, "{word}");
    }
    // What the page says of a loss holds of one.
    let output = shell(
        "m365-audit verify --config m365-audit.toml --since 3h --until 1h --against \
        /dev/null",
        dir.path(),
        &[],
    );
    assert_code(&output, 1);
}

#[test]
fn the_command_line_of_the_first_page_works_as_it_is_written() {
    let world = World::new(SimConfig { oddness: 0.0, subscribed: true, ..world() });
    let dir = tempfile::tempdir().unwrap();
    let (tenant, client, secret) = world.credentials();
    let url = world.http_url();
    let variables = [
        ("M365_AUDIT_CLIENT_SECRET", &*secret),
        ("M365_AUDIT_LOGIN_URL", &url),
        ("M365_AUDIT_API_URL", &url),
    ];
    let [export, doctor, run] = lines_of(FIRST_PAGE, "Command line", "sh")[..] else {
        panic!("three lines")
    };
    assert_eq!(export, "export M365_AUDIT_CLIENT_SECRET=...");
    // It goes on until it is stopped.
    for line in [doctor.to_owned(), format!("{run} --once")] {
        let line = line.replacen("GUID", &tenant, 1).replacen("GUID", &client, 1);
        let output = shell(&line, dir.path(), &variables);
        assert_code(&output, 0);
    }
    let members = |line: &[u8]| -> Option<Vec<String>> {
        let record: serde_json::Value = serde_json::from_slice(line).ok()?;
        Some(record.as_object()?.keys().cloned().collect())
    };
    let [shown] = lines_of(FIRST_PAGE, "Command line", "json")[..] else { panic!("one line") };
    let shown = members(shown.as_bytes()).unwrap();
    let arrived = fs::read(dir.path().join("audit.ndjson")).unwrap();
    let is_alike = |line: &[u8]| {
        members(line).is_some_and(|members| shown.iter().all(|name| members.contains(name)))
    };
    assert!(lines(&arrived).any(is_alike), "no record has {shown:?}");
    let tried = lines_of(FIRST_PAGE, "Try it", "sh");
    assert!(tried[0].starts_with("m365-audit try "), "{tried:?}");
    assert_code(&shell(tried[0], dir.path(), &[]), 0);
}
