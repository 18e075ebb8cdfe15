//! Commands over single operations, and the doctor, against the simulated service, from outside.
//! Whatever any of them prints is searched for secrets.

mod activities;
mod doctor;
mod receiver;
mod table;

use std::io::Write;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use m365_sim::{ContentType, Fault, FaultPlan, SimConfig, TenantConfig};
use serde_json::Value;

use crate::support::{World, lines, text, world};

/// A webhook's auth id, which is a secret like others.
const AUTH_ID: &str = "h00k~auth~id";

/// A world where every application is subscribed to everything.
fn subscribed() -> SimConfig {
    SimConfig { subscribed: true, ..world() }
}

/// A world without pause between starts.
fn patient() -> SimConfig {
    let mut config = world();
    config.rules.start_cooldown_ms = 0;
    config
}

/// The first tenant, changed.
fn with_tenant(config: SimConfig, change: impl FnOnce(&mut TenantConfig)) -> SimConfig {
    let mut tenant = TenantConfig::seeded(config.seed, 0);
    change(&mut tenant);
    SimConfig { tenants: vec![tenant], ..config }
}

/// What a command says, when it is searched and found clean.
struct Said {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Said {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|_| panic!("{}", self.stderr))
    }

    #[track_caller]
    fn must(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}{}", self.stdout, self.stderr);
        self
    }
}

#[track_caller]
fn searched(world: &World, output: &Output) -> Said {
    for (name, bytes) in [("stdout", &output.stdout), ("stderr", &output.stderr)] {
        world.assert_clean(name, bytes);
        assert!(!text(bytes).contains(AUTH_ID), "{name} holds the auth id");
    }
    Said {
        code: output.status.code().unwrap(),
        stdout: text(&output.stdout).into(),
        stderr: text(&output.stderr).into(),
    }
}

/// Runs a command to its end.
#[track_caller]
fn say(world: &World, words: &[&str]) -> Said {
    searched(world, &world.call(words).output().unwrap())
}

fn illegal(world: &World) -> Vec<String> {
    let mut microsoft = world.microsoft();
    microsoft.report().illegal.iter().map(|illegal| format!("{:?}", illegal.rule)).collect()
}

fn requests(world: &World, operation: &str) -> u64 {
    world.microsoft().report().operations.get(operation).copied().unwrap_or_default()
}

#[test]
fn subscriptions_are_started_once_and_belong_to_an_application() {
    let world = World::new(world());
    let list = say(&world, &["subscriptions", "list"]).must(0).stdout;
    assert_eq!(list.lines().filter(|line| line.ends_with("none")).count(), 5, "{list}");
    assert!(list.contains("per application id") && list.contains("15 minutes"), "{list}");
    let started = say(&world, &["subscriptions", "start", "audit.exchange", "DLP.All"]).must(0);
    assert!(started.stdout.contains("Audit.Exchange: started, no webhook"), "{}", started.stdout);
    assert!(started.stdout.contains("take up to 12"), "{}", started.stdout);
    let again = say(&world, &["subscriptions", "start", "Audit.Exchange", "--json"]).must(0);
    assert_eq!(again.json()[0]["result"], "unchanged");
    assert_eq!(requests(&world, "start"), 2, "what is enabled is not started again");
    let list = say(&world, &["subscriptions", "list", "--json"]).must(0).json();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["status"], "enabled");
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn a_webhook_is_set_changed_kept_and_removed_as_asked() {
    let world = World::new(patient());
    let address = receiver::listen();
    let start = |flags: &[&str]| {
        let words = ["subscriptions", "start", "Audit.General", "--json"];
        say(&world, &[&words, flags].concat()).must(0).json()[0].clone()
    };
    let hook = || {
        let list = say(&world, &["subscriptions", "list", "--json"]).must(0).json();
        list[0]["webhook"].clone()
    };
    let set = start(&["--webhook-address", &address, "--webhook-auth-id", AUTH_ID]);
    assert_eq!(set["result"], "started");
    assert_eq!(hook()["status"], "enabled");
    assert_eq!(hook()["authId"], "[redacted]");
    assert_eq!(hook()["expiration"], Value::Null);
    // Nothing asked, nothing changed, nothing sent.
    let before = requests(&world, "start");
    assert_eq!(start(&[])["result"], "unchanged");
    assert_eq!(start(&["--webhook-address", &address])["result"], "unchanged");
    assert_eq!(requests(&world, "start"), before);
    // One thing asked, one thing changed.
    start(&["--webhook-expiration", "2090-01-01"]);
    assert_eq!(hook()["expiration"], "2090-01-01T00:00:00.000Z");
    assert_eq!(
        (&hook()["address"], &hook()["authId"]),
        (&address.clone().into(), &"[redacted]".into())
    );
    start(&["--webhook-auth-id", ""]);
    assert_eq!(hook()["authId"], Value::Null);
    start(&["--webhook-expiration", ""]);
    assert_eq!(hook()["expiration"], Value::Null);
    let list = say(&world, &["subscriptions", "list"]).must(0).stdout;
    assert!(list.contains("no auth id, never expires"), "{list}");
    start(&["--webhook-remove"]);
    assert_eq!(hook(), Value::Null);
    let nothing = ["subscriptions", "start", "Audit.General", "--webhook-auth-id", AUTH_ID];
    assert!(say(&world, &nothing).must(2).stderr.contains("add --webhook-address"));
    assert_eq!(illegal(&world), Vec::<String>::new());
}

#[test]
fn a_webhook_that_does_not_answer_or_has_passed_is_refused_with_the_reason() {
    let world = World::new(world());
    let refused = |flags: &[&str], code: &str| {
        let words = ["subscriptions", "start", "Audit.General"];
        let said = say(&world, &[&words, flags].concat()).must(2);
        assert!(said.stderr.contains(code) && said.stderr.contains("remedy: "), "{}", said.stderr);
    };
    refused(&["--webhook-address", "http://127.0.0.1:1/nobody"], "AF20021");
    refused(&["--webhook-address", "ftp://x"], "AF20021");
    let past = ["--webhook-address", "https://a.example", "--webhook-expiration", "2020-01-01"];
    refused(&past, "AF20003");
    let soon = ["subscriptions", "start", "DLP.All", "--webhook-expiration", "soon"];
    assert!(say(&world, &soon).must(2).stderr.contains("2027-01-01"));
    assert!(say(&world, &["subscriptions", "list", "--json"]).must(0).json()[0].is_null());
}

#[test]
fn a_stop_asks_first_and_the_next_start_must_wait() {
    let world = World::new(world());
    say(&world, &["subscriptions", "start", "Audit.Exchange"]).must(0);
    let unasked = say(&world, &["subscriptions", "stop", "Audit.Exchange"]).must(2);
    assert!(unasked.stderr.contains("--yes"), "{}", unasked.stderr);
    assert_eq!(requests(&world, "stop"), 0);
    let stopped = say(&world, &["subscriptions", "stop", "Audit.Exchange", "--yes"]).must(0);
    assert!(stopped.stdout.contains("content is lost until it is started"), "{}", stopped.stdout);
    let list = say(&world, &["subscriptions", "list", "--json"]).must(0).json();
    assert_eq!(list[0]["status"], "disabled");
    let early = say(&world, &["subscriptions", "start", "Audit.Exchange", "--json"]).must(1);
    assert_eq!(early.json()[0]["result"], "failed");
    // Of a quarter of an hour, some seconds may have passed since the stop.
    let wait = ["again after 15m", "again after 14m 5"];
    assert!(wait.iter().any(|wait| early.stderr.contains(wait)), "{}", early.stderr);
    assert!(early.stderr.contains("leave it alone for that long"), "{}", early.stderr);
    let never = say(&world, &["subscriptions", "stop", "DLP.All", "--yes"]).must(0);
    assert!(never.stdout.contains("no subscription to stop"), "{}", never.stdout);
    let disabled = say(&world, &["content", "list", "Audit.Exchange"]).must(1);
    assert!(disabled.stderr.contains("AF20023"), "{}", disabled.stderr);
}

#[test]
fn content_is_listed_over_windows_and_pages_and_read_whole() {
    // More than a window, and more than a page.
    let world = World::new(SimConfig { days: 2.0, page_size: 7, oddness: 0.0, ..subscribed() });
    let list = say(&world, &["content", "list", "Audit.Exchange", "--since", "3d", "--json"]);
    let list = list.must(0).json();
    let listed: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|e| e["contentId"].as_str().unwrap().to_owned())
        .collect();
    let owed: Vec<_> = world.microsoft().owed().collect();
    let owed = || owed.iter().filter(|owed| owed.content_type == ContentType::Exchange);
    let ids: std::collections::BTreeSet<_> =
        owed().map(|owed| owed.content_id.to_string()).collect();
    assert_eq!(listed.iter().cloned().collect::<std::collections::BTreeSet<_>>(), ids);
    assert_eq!(listed.len(), ids.len(), "each once");
    assert!(2 < requests(&world, "content"));

    // All of them by stdin, by id and by address.
    let uris = list.as_array().unwrap().iter().map(|entry| entry["contentUri"].as_str().unwrap());
    let names: Vec<_> =
        listed.iter().map(String::as_str).step_by(2).chain(uris.skip(1).step_by(2)).collect();
    let output = fed(world.call(&["content", "get", "--expand", "-"]), &names.join("\n"));
    let keys = world.keys(lines(&output.stdout));
    let said = searched(&world, &output).must(0);
    assert_eq!(said.stdout.lines().count(), owed().count());
    assert_eq!(
        keys.len(),
        owed().map(|owed| owed.key).collect::<std::collections::BTreeSet<_>>().len()
    );

    // One as an array: the same records.
    let array = say(&world, &["content", "get", &listed[0]]).must(0);
    let expanded = say(&world, &["content", "get", "--expand", &listed[0]]).must(0);
    let records: Vec<Value> =
        expanded.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(array.json(), Value::from(records));
    // Options stand behind what they are about, too.
    let behind = say(&world, &["content", "get", &listed[0], "--expand"]).must(0);
    assert_eq!(behind.stdout, expanded.stdout);
    let table = say(&world, &["content", "list", "Audit.Exchange", "--since", "3d"]).must(0).stdout;
    assert!(table.contains(&format!("{} blobs of Audit.Exchange", listed.len())), "{table}");
    assert_eq!(illegal(&world), Vec::<String>::new());
}

/// Runs a command with something on its stdin.
fn fed(mut command: Command, input: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn a_foreign_address_is_refused_before_anything_is_sent() {
    let world = World::new(subscribed());
    let own = "https://manage.office.com.attacker.example/api/v1.0/x/activity/feed/audit/1$2";
    for words in [["content", "get", own, "1$2$audit_general"], ["content", "get", "1$2", own]] {
        let said = say(&world, &words).must(2);
        assert!(said.stderr.contains("the token is not sent there"), "{}", said.stderr);
        assert!(said.stdout.is_empty());
    }
    assert_eq!(world.microsoft().report().requests, 0);
}

#[test]
fn one_blob_that_is_gone_leaves_the_others() {
    let world = World::new(subscribed());
    let id = world.microsoft().owed().next().unwrap().content_id.to_string();
    let said = say(&world, &["content", "get", "--expand", "492638008028$04", &id]).must(1);
    assert!(said.stderr.contains("AF20052"), "{}", said.stderr);
    assert!(0 < said.stdout.lines().count());
    // Without --expand there is one array: a blob that is not there is not an empty one.
    let said = say(&world, &["content", "get", "492638008028$04", &id]).must(1);
    assert!(said.stdout.starts_with("[{") && said.stdout.ends_with("}]\n"), "{}", said.stdout);
    assert_eq!(said.stdout.lines().count(), 1);
}

#[test]
fn a_blob_that_breaks_off_is_no_array() {
    let config = SimConfig { oddness: 0.0, ..subscribed() };
    let faults = FaultPlan::none().with(Fault::Truncated, 1.0);
    // The token and whatever else is small come whole: only a blob is long enough to break off.
    let world = World::new(SimConfig { faults, ..config });
    let id = world.microsoft().owed().next().unwrap().content_id.to_string();
    let said = say(&world, &["content", "get", &id]).must(1);
    assert!(!said.stdout.trim_end().ends_with(']'), "{}", said.stdout);
    assert!(said.stderr.contains("connection lost"), "{}", said.stderr);
}

#[test]
fn what_a_webhook_was_told_is_listed() {
    let world = World::new(patient());
    let address = receiver::listen();
    let words = ["subscriptions", "start", "Audit.General", "--webhook-address", &address];
    say(&world, &[&words[..], &["--webhook-auth-id", AUTH_ID]].concat()).must(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let tenant = world.microsoft().tenants()[0].id;
    let now = i64::try_from(now).unwrap();
    let published = world.microsoft().publish(now, tenant, ContentType::General).unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let told = loop {
        let told =
            say(&world, &["notifications", "list", "Audit.General", "--json"]).must(0).json();
        if told[0].is_object() || deadline < Instant::now() {
            break told;
        }
    };
    assert!(told[0]["contentId"].as_str().unwrap().starts_with(&published.content_id), "{told}");
    assert_eq!(told[0]["notificationStatus"], "Succeeded");
    let table = say(&world, &["notifications", "list", "Audit.General"]).must(0).stdout;
    assert!(table.contains("Succeeded") && table.contains("1 attempts"), "{table}");
}

#[test]
fn names_of_types_come_in_a_language() {
    let world = World::new(world());
    let spanish = say(&world, &["dlp-types", "--language", "es"]).must(0).stdout;
    assert!(spanish.contains("Número de tarjeta de crédito"), "{spanish}");
    let english = say(&world, &["dlp-types", "--json"]).must(0).json();
    assert_eq!(english[0]["name"], "CreditCardNumber");
}

#[test]
fn bad_input_says_what_to_write_instead() {
    let world = World::new(subscribed());
    for (words, code, expected) in [
        (&["content", "list", "Audit.Teams"][..], 2, "possible values: Audit.AzureActiveDirectory"),
        (&["subscriptions", "start", "Teams"], 2, "possible values"),
        (&["content", "list", "DLP.All", "--since", "8d"], 2, "7 days only"),
        (
            &["content", "list", "DLP.All", "--since", "1h", "--until", "2h"],
            2,
            "not after its start",
        ),
        (&["notifications", "list", "DLP.All", "--since", "9d"], 2, "7 days only"),
        (&["content", "list", "DLP.All", "--since", "yesterday"], 2, "how long ago"),
        (
            &["content", "list", "DLP.All", "--since", "2090-01-01", "--until", "2090-01-02"],
            2,
            "not come",
        ),
        (&["content", "get", "a b"], 2, "neither a content id nor an address"),
        (&["dlp-types", "--language", "en, es"], 2, "AF20053"),
        (&["dlp-types", "--language", "no such tongue"], 2, "AF20054"),
        (&["content", "list", "DLP.All", "--tenant-id", "contoso"], 2, "not a GUID"),
    ] {
        let said = say(&world, words).must(code);
        assert!(said.stderr.contains(expected), "{words:?}: {}", said.stderr);
        assert!(said.stdout.is_empty(), "{words:?}: {}", said.stdout);
    }
}

#[test]
fn options_come_from_the_file_of_run() {
    let world = World::new(subscribed());
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m365.toml");
    std::fs::write(&file, "lookback = \"1h\"\nmetadata_typo = 1\n").unwrap();
    let words = ["subscriptions", "list", "--config", file.to_str().unwrap()];
    assert!(say(&world, &words).must(2).stderr.contains("metadata_typo: no such option"));
    std::fs::write(&file, "lookback = \"1h\"\ndb = \"state.db\"\n").unwrap();
    say(&world, &words).must(0);
}

#[test]
fn nothing_that_is_printed_holds_a_secret() {
    let world = World::new(patient());
    let address = receiver::listen();
    let id = world.microsoft().owed().next().unwrap().content_id.to_string();
    let commands: &[&[&str]] = &[
        &["subscriptions", "start", "Audit.General", "Audit.Exchange", "Audit.SharePoint"],
        &[
            "subscriptions",
            "start",
            "DLP.All",
            "--webhook-address",
            &address,
            "--webhook-auth-id",
            AUTH_ID,
        ],
        &["subscriptions", "list"],
        &["content", "list", "Audit.General"],
        &["content", "get", &id],
        &["notifications", "list", "DLP.All"],
        &["dlp-types"],
        &["doctor"],
        &["subscriptions", "stop", "DLP.All", "--yes"],
        &["subscriptions", "stop", "DLP.All", "--nonsense"],
        &["content", "get", "https://elsewhere.example/x"],
    ];
    for words in commands {
        for more in [&[][..], &["--json"], &["--log-level", "debug", "--log-format", "json"]] {
            if words[1..].contains(&"get") && more == ["--json"] {
                continue;
            }
            let mut command = world.call(&[words, more].concat());
            command.env("RUST_LOG", "trace").env("RUST_BACKTRACE", "full");
            let said = searched(&world, &command.output().unwrap());
            assert!(!said.stdout.is_empty() || !said.stderr.is_empty() || words.contains(&"get"));
        }
    }
    let mut refused = world.call(&["subscriptions", "list", "--log-level", "debug"]);
    let output = refused.env("M365_AUDIT_CLIENT_SECRET", "wr0ng~secret").output().unwrap();
    let said = searched(&world, &output).must(1);
    assert!(said.stderr.contains("AADSTS7000215") && !said.stderr.contains("wr0ng"));
}
