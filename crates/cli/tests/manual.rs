//! The manual, the completions and the schemas: read by the programs that they are for.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use m365_audit_test_support::needs;
use serde_json::{Value, json};

/// The program, with nothing from outside.
fn program() -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_m365-audit"));
    program.env_clear().stdin(Stdio::null());
    program
}

/// What a command of the program prints.
fn printed(words: &[&str]) -> String {
    let output = program().args(words).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What a program that may be missing says; `None`, and a word, if it is.
fn other(name: &str, command: &mut Command) -> Option<Output> {
    match command.stdin(Stdio::null()).output() {
        Ok(output) => Some(output),
        Err(error) => {
            needs::skip(format_args!("no {name}: {error}; `apt-get install` brings it"));
            None
        }
    }
}

/// A folder with the completions of a shell in a file.
fn completions(shell: &str, file: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    fs::write(&path, printed(&["completions", shell])).unwrap();
    (folder, path)
}

/// What a shell has printed; it has said nothing on stderr.
#[track_caller]
fn words_of(output: &Output) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && stderr.is_empty(), "{stderr}");
    let stdout = String::from_utf8_lossy(&output.stdout);
    stdout.split_whitespace().map(str::to_owned).collect()
}

#[track_caller]
fn has(words: &[String], wanted: &str) {
    assert!(words.iter().any(|word| word == wanted), "{wanted} is not among {words:?}");
}

#[test]
fn bash_completes_commands_flags_and_words() {
    let (_folder, file) = completions("bash", "m365-audit");
    // What readline does: it calls the function that `complete` names, and shows COMPREPLY.
    let complete = |line: &[&str]| {
        let words: Vec<_> = line.iter().map(|word| format!("'{word}'")).collect();
        let script = format!(
            "source '{}'; set -- $(complete -p m365-audit); \
             while [ \"$1\" != -F ]; do shift; done; COMP_WORDS=({}); \
             COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE=${{COMP_WORDS[*]}}; \
             COMP_POINT=${{#COMP_LINE}}; \"$2\" m365-audit \"${{COMP_WORDS[COMP_CWORD]}}\" \
             \"${{COMP_WORDS[COMP_CWORD-1]}}\"; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            file.display(),
            words.join(" ")
        );
        let mut bash = Command::new("bash");
        other("bash", bash.args(["--norc", "--noprofile", "-c", &script])).map(|o| words_of(&o))
    };
    let Some(commands) = complete(&["m365-audit", "d"]) else { return };
    assert_eq!(commands, ["dlp-types", "doctor"]);
    let of = |line: &[&str]| complete(line).expect("bash is there");
    assert_eq!(of(&["m365-audit", "state", "sh"]), ["show"]);
    assert_eq!(of(&["m365-audit", "run", "--log-l"]), ["--log-level"]);
    assert_eq!(of(&["m365-audit", "run", "--log-level", ""]), ["error", "warn", "info", "debug"]);
}

/// Has an interactive zsh complete a line, and prints what it would offer: its `compadd` is the one
/// thing that says so.
const ZSH: &str = r#"
zmodload zsh/zpty || exit 3
zpty shell zsh -f -i
zpty -w shell "source $1/rc"
while zpty -r shell line; do [[ $line == *loaded* ]] && break; done
zpty -w shell "$2"$'\t'
integer inside=0
while zpty -r shell line; do
    line=${line//$'\r'/}
    [[ $line == *END* ]] && exit 0
    (( inside )) && print -rn -- $line
    [[ $line == *BEGIN* ]] && inside=1
done
exit 4
"#;

/// What that zsh reads when it starts.
const ZSHRC: &str = r#"
PROMPT=
fpath=(${0:h}/site $fpath)
autoload -Uz compinit && compinit -D -u
bindkey '^M' undefined
bindkey '^J' undefined
bindkey '^I' complete-word
begins () { print; print -r -- BEGIN }
ends () { print; print -r -- END; exit }
compprefuncs=(begins)
comppostfuncs=(ends)
compadd () {
    if [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\ * ]]; then
        builtin compadd "$@"
        return
    fi
    typeset -a hits
    builtin compadd -A hits "$@"
    (( $#hits )) && print -rl -- $hits
    return 0
}
print loaded
"#;

#[test]
fn zsh_completes_commands_flags_and_words() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    fs::create_dir(&site).unwrap();
    fs::write(site.join("_m365-audit"), printed(&["completions", "zsh"])).unwrap();
    fs::write(folder.path().join("rc"), ZSHRC).unwrap();
    let complete = |line: &str| {
        let mut zsh = Command::new("zsh");
        zsh.args(["-f", "-c", ZSH, "zsh"]).arg(folder.path()).arg(line);
        other("zsh", zsh.env("HOME", folder.path())).map(|output| words_of(&output))
    };
    let Some(commands) = complete("m365-audit doc") else { return };
    assert_eq!(commands, ["doctor"]);
    let of = |line: &str| complete(line).expect("zsh is there");
    assert_eq!(of("m365-audit state sh"), ["show"]);
    assert_eq!(of("m365-audit run --log-l"), ["--log-level"]);
    assert_eq!(of("m365-audit run --log-level "), ["error", "warn", "info", "debug"]);
}

#[test]
fn fish_completes_commands_flags_and_words() {
    let (folder, file) = completions("fish", "m365-audit.fish");
    let complete = |line: &str| {
        let script = format!("source '{}'; complete -C '{line}'", file.display());
        let mut fish = Command::new("fish");
        fish.env("HOME", folder.path()).args(["--no-config", "-c", &script]);
        other("fish", &mut fish).map(|output| words_of(&output))
    };
    let Some(commands) = complete("m365-audit doc") else { return };
    has(&commands, "doctor");
    let of = |line: &str| complete(line).expect("fish is there");
    has(&of("m365-audit state sh"), "show");
    has(&of("m365-audit run --log-l"), "--log-level");
    has(&of("m365-audit run --log-level "), "debug");
}

#[test]
fn every_page_of_the_manual_is_shown_without_complaint() {
    let folder = tempfile::tempdir().unwrap();
    printed(&["man", "--output", folder.path().to_str().unwrap()]);
    let pages = |section: &str| {
        let files = fs::read_dir(folder.path().join(section)).unwrap();
        files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
    };
    let (commands, files) = (pages("man1"), pages("man5"));
    let names: Vec<_> = commands.iter().map(|page| page.file_name().unwrap()).collect();
    for name in ["m365-audit.1", "m365-audit-run.1", "m365-audit-state-show.1"] {
        assert!(names.iter().any(|known| *known == name), "{name} is not among {names:?}");
    }
    for page in commands.iter().chain(&files) {
        let mut man = Command::new("man");
        man.args(["--warnings", "-l"]).arg(page).env("MANWIDTH", "100").env("LC_ALL", "C.UTF-8");
        let Some(output) = other("man", &mut man) else { return };
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{}: {stderr}", page.display());
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("NAME"), "{}: {text}", page.display());
    }
}

/// Holds instances against a schema: one line for each, empty if nothing is wrong.
const JUDGE: &str = "\
import json, sys
from jsonschema import Draft202012Validator as Dialect
asked = json.load(sys.stdin)
Dialect.check_schema(asked['schema'])
judge = Dialect(asked['schema'])
for instance in asked['instances']:
    print(json.dumps([error.message for error in judge.iter_errors(instance)]))
";

/// What is wrong with TOML files by a schema, each with nothing if nothing is. `None` without a
/// Python that has jsonschema, which is not ours and so a judge.
fn judged(schema: &Value, files: &[String]) -> Option<Vec<Vec<String>>> {
    let has = Command::new("python3").args(["-c", "import jsonschema"]).output();
    if !has.is_ok_and(|output| output.status.success()) {
        needs::skip("no Python with jsonschema; `apt-get install python3-jsonschema` brings it");
        return None;
    }
    let instances: Vec<_> = files
        .iter()
        .map(|text| serde_json::to_value(text.parse::<toml::Table>().unwrap()).unwrap())
        .collect();
    let mut python = Command::new("python3");
    python.args(["-c", JUDGE]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut python = python.spawn().unwrap();
    let asked = json!({"schema": schema, "instances": instances}).to_string();
    python.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let judged: Vec<_> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(judged.len(), files.len());
    Some(judged)
}

/// Each of these files is as the schema says.
#[track_caller]
fn takes(schema: &Value, files: &[String]) {
    for (text, wrong) in files.iter().zip(judged(schema, files).into_iter().flatten()) {
        assert!(wrong.is_empty(), "{text}: {wrong:?}");
    }
}

/// None of these files is as the schema says.
#[track_caller]
fn refuses(schema: &Value, files: &[String]) {
    for (text, wrong) in files.iter().zip(judged(schema, files).into_iter().flatten()) {
        assert!(!wrong.is_empty(), "taken: {text}");
    }
}

fn schema(format: &str) -> Value {
    serde_json::from_str(&printed(&["options", "--format", format])).unwrap()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn the_schema_takes_every_sample() {
    let samples = [
        "examples/m365-audit.toml",
        "examples/activities-component/m365-audit.toml",
        "crates/cli/packaging/m365-audit.toml",
    ];
    let mut files =
        samples.map(|name| fs::read_to_string(workspace().join(name)).unwrap()).to_vec();
    // Every option that has a default, with that default.
    let text = printed(&["options", "--format", "toml"]);
    let lines = text.lines().map(|line| line.strip_prefix("# ").unwrap_or(line));
    let all: String = lines
        .filter(|line| line.contains(" = ") && !line.ends_with("\"\""))
        .flat_map(|line| [line, "\n"])
        .collect();
    assert!(40 < all.lines().count(), "{all}");
    files.push(all);
    files.extend(
        [
            "[db]\npath = \"x\"\nsync = \"full\"",
            "db = \"x\"\n\"db.sync\" = \"NORMAL\"",
            "content_types = \"Audit.Exchange, dlp.all\"",
            "content_types = [\"audit.exchange\"]",
            "interval_sec = \"10m\"",
            "start_subscriptions = \"Off\"",
            "metadata = \"Record\"",
            "output_rotate_bytes = \"1G\"",
        ]
        .map(str::to_owned),
    );
    takes(&schema("json-schema"), &files);
}

/// The TOML that a document shows.
fn shown(document: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join(document)).unwrap();
    let after = text.split("```toml\n").skip(1);
    after.filter_map(|rest| rest.split("```").next()).map(str::to_owned).collect()
}

#[test]
fn the_schemas_take_what_documents_show() {
    let documents = ["crates/client/README.md", "crates/core/README.md"];
    let all = documents.iter().flat_map(|document| shown(document));
    let (tenants, configuration): (Vec<_>, Vec<_>) =
        all.partition(|text| text.starts_with("# tenants"));
    assert!(!tenants.is_empty() && 2 <= configuration.len(), "{tenants:?} {configuration:?}");
    takes(&schema("json-schema"), &configuration);
    takes(&schema("tenants-json-schema"), &tenants);
}

#[test]
fn the_schema_refuses_what_the_program_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("m365.toml");
    let all = [
        "clientid = \"x\"",
        "tag_per_content_type = true",
        "once = true",
        "interval_sec = 0",
        "interval_sec = -1",
        "interval_sec = \"soon\"",
        "interval_sec = true",
        "max_in_flight = 1000",
        "max_in_flight = 2.5",
        "start_subscriptions = \"perhaps\"",
        "start_subscriptions = 1",
        "cloud = \"moon\"",
        "metadata = true",
        "output_rotate_bytes = \"much\"",
        "content_types = [\"Audit.Exchange\", \"Audit.Nothing\"]",
        "content_types = []",
        "content_types = [1]",
        "\"db.sync\" = \"never\"",
        "[db]\nsink = \"full\"",
    ];
    for wrong in all {
        fs::write(&file, wrong).unwrap();
        let output = program().args(["run", "--config"]).arg(&file).output().unwrap();
        let (name, _) = wrong.split_once(" = ").unwrap();
        let name = name.replace("[db]\n", "db.").replace('"', "");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("  - {name}")), "{wrong}: {said}");
    }
    refuses(&schema("json-schema"), &all.map(str::to_owned));
}

#[test]
fn the_schema_of_tenants_knows_what_a_table_may_have() {
    let schema = schema("tenants-json-schema");
    let tenant = "tenant_id = \"00000000-0000-0000-0000-000000000000\"\n";
    takes(
        &schema,
        &[
            format!("[contoso]\n{tenant}\n[fabrikam]\n{tenant}client_secret_file = \"x\"\n"),
            format!("[contoso]\n{tenant}content_types = [\"DLP.All\"]\n"),
        ],
    );
    refuses(
        &schema,
        &[
            String::new(),
            tenant.to_owned(),
            "[contoso]\nclient_id = \"x\"\n".to_owned(),
            format!("[contoso]\n{tenant}db = \"x\"\n"),
            format!("[contoso]\n{tenant}webhook_listen = \"x\"\n"),
            format!("[contoso]\n{tenant}clientid = \"x\"\n"),
        ],
    );
    // Whoever names the dialect is understood by editors.
    assert_eq!(schema["$schema"], json!("https://json-schema.org/draft/2020-12/schema"));
}

/// A unit's lines, without what is said in comments.
fn unit(name: &str) -> Vec<String> {
    let text = fs::read_to_string(workspace().join("crates/cli/packaging").join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_template_is_the_unit_with_names_in_it() {
    let template: Vec<_> = unit("m365-audit@.service")
        .into_iter()
        .map(|line| line.replace(" (%i)", "").replace("/%i.", "/m365-audit.").replace("-%i", ""))
        .collect();
    assert_eq!(template, unit("m365-audit.service"));
}

#[test]
fn the_command_of_the_unit_is_understood_with_the_file_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let command = unit("m365-audit.service")
        .into_iter()
        .find_map(|line| line.strip_prefix("ExecStart=/usr/bin/m365-audit ").map(str::to_owned))
        .unwrap();
    let output = folder.path().join("audit.ndjson");
    let words = command
        .replace(
            "/etc/m365-audit/",
            &format!("{}/", workspace().join("crates/cli/packaging").display()),
        )
        .replace("/var/log/m365-audit/audit.ndjson", output.to_str().unwrap());
    let output = program().args(words.split(' ')).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    // What the administrator writes, and what systemd makes; nothing else.
    let told: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("  - ")).collect();
    let wanted = ["tenant_id", "client_id", "client_secret_file", "db"];
    for wrong in &told {
        assert!(wanted.iter().any(|name| wrong.starts_with(name)), "{said}");
    }
    assert!(told.iter().any(|line| line.starts_with("tenant_id: required")), "{said}");
}
