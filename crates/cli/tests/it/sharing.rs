//! Several processes on one PostgreSQL: they share the tenants of a file, and whatever happens to
//! one of them, or to the database, nothing is lost.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use m365_audit_test_support::needs::skip;
use m365_audit_test_support::postgres::{self, PASSWORD, Postgres, Proxy};
use m365_sim::{ContentType, Listen, Server, SimConfig, Span, TenantConfig};

use crate::support::kills::Dice;
use crate::support::{
    PATIENCE, Running, World, assert_code, lines, one_line, program, text, world,
};
use crate::tenants::table;

/// Rounds, unless `M365_AUDIT_ROUNDS` says it.
const ROUNDS: u64 = KINDS;

/// What may happen in a round: see [`Party::round`].
const KINDS: u64 = 5;

/// Sets a process's clock wrong, where Debian puts it (`apt-get install libfaketime`).
const FAKETIME: &str = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1";

/// Commits that a replica lacks when it takes over.
const FORGOTTEN: u64 = 10;
const MEMBERS: usize = 3;
const TENANTS: u64 = 4;
const LEASE: Duration = Duration::from_secs(2);

/// How long a take-over may take, beyond the lease.
const TAKE_OVER: Duration = Duration::from_secs(10);

/// What was published this long ago can be listed for certain.
const SETTLED: Duration = Duration::from_secs(90);

fn rounds() -> u64 {
    std::env::var("M365_AUDIT_ROUNDS").map_or(ROUNDS, |text| text.parse().expect("a number"))
}

/// Much small content, slowly answered, so that every round finds the members at work.
fn service() -> Server {
    let tenants = (0..TENANTS).map(|n| TenantConfig::seeded(7, n)).collect();
    let config = SimConfig {
        tenants,
        live: true,
        days: 0.1,
        blobs_per_hour: Span::new(40, 40),
        live_blobs_per_hour: Some(Span::new(1_200, 1_200)),
        records_per_blob: Span::new(1, 3),
        record_bytes: Span::new(500, 1_000),
        oddness: 0.0,
        latency_ms: 60,
        ..world()
    };
    Server::start(config, &Listen::default()).unwrap()
}

/// `run` for a member, with what it writes in a file of its own.
fn command(server: &Server, dir: &Path, db: &str, lease: Duration, n: usize) -> Command {
    let base = server.http_url();
    let mut command = program("run");
    command
        .args(["--lookback", "2h", "--progress", "never", "--interval-sec", "1"])
        .args(["--max-in-flight", "2", "--db-lease", &lease.as_secs().to_string()])
        .args(["--login-url", &base, "--api-url", &base, "--db", db])
        .arg("--tenants-file")
        .arg(dir.join("tenants.toml"))
        .arg("--output")
        .arg(dir.join(format!("audit-{n}.ndjson")));
    command
}

fn write_tenants(server: &Server, dir: &Path, count: usize) {
    let tables: String = (0..count).map(|n| table(server, n)).collect();
    fs::write(dir.join("tenants.toml"), tables).unwrap();
}

/// Lets the others have the machine until the next look at it.
fn look_again() {
    thread::park_timeout(Duration::from_millis(20));
}

/// Looks at the database until `sql` answers this.
#[track_caller]
fn wait_for(db: &Postgres, name: &str, sql: &str, answer: &str) {
    let until = Instant::now() + PATIENCE;
    while db.sql(name, sql) != answer {
        let leases = "SELECT l.tenant, l.holder, l.epoch, l.until > clock_timestamp(), l.wanted \
            FROM m365_audit_lease l";
        assert!(Instant::now() < until, "{sql}: {}", db.sql(name, leases));
        look_again();
    }
}

/// How many tenants are held by members that are alive and no process of this number.
fn held_without(process: u32) -> String {
    format!(
        "SELECT count(*) FROM m365_audit_lease l JOIN m365_audit_member m ON m.id = l.holder \
         WHERE clock_timestamp() < l.until AND clock_timestamp() < m.until \
         AND l.holder NOT LIKE '%:{process}-%'"
    )
}

/// The number of the process that holds most.
fn busiest(db: &Postgres, name: &str) -> u32 {
    let sql = "SELECT holder FROM m365_audit_lease WHERE clock_timestamp() < until \
        GROUP BY holder ORDER BY count(*) DESC LIMIT 1";
    let holder = db.sql(name, sql);
    let process = holder.rsplit_once('-').and_then(|(name, _)| name.rsplit(':').next());
    process.unwrap().parse().unwrap()
}

/// Notes who writes what by which epoch, from within each commit.
fn watch(db: &Postgres, name: &str) {
    let sql = "CREATE TABLE noted (seq bigserial, tenant text, holder text, epoch bigint, \
            backend int); \
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
            INSERT INTO public.noted (tenant, holder, epoch, backend) \
            SELECT DISTINCT l.tenant, l.holder, l.epoch, pg_backend_pid() \
            FROM new_rows n JOIN public.m365_audit_lease l ON l.tenant = n.tenant; \
            RETURN NULL; END $$; \
        CREATE TRIGGER one AFTER INSERT ON m365_audit_state REFERENCING NEW TABLE AS new_rows \
            FOR EACH STATEMENT EXECUTE FUNCTION note(); \
        CREATE TRIGGER two AFTER UPDATE ON m365_audit_state REFERENCING NEW TABLE AS new_rows \
            FOR EACH STATEMENT EXECUTE FUNCTION note()";
    db.sql(name, sql);
}

/// No connection has written for a holder other than its own, and no epoch after a later one.
fn assert_fenced(db: &Postgres, name: &str) {
    let strange = "SELECT count(*) FROM (SELECT 1 FROM noted GROUP BY backend \
        HAVING 1 < count(DISTINCT holder)) x";
    assert_eq!(db.sql(name, strange), "0", "a connection wrote for another holder");
    let back = "SELECT count(*) FROM (SELECT epoch < lag(epoch) OVER \
        (PARTITION BY tenant ORDER BY seq) AS back FROM noted) x WHERE back";
    assert_eq!(db.sql(name, back), "0", "an epoch came after a later one");
}

/// The records that all members together have written, and how many lines that are.
fn arrived(server: &Server, dir: &Path) -> (HashSet<u128>, usize) {
    let owed = server.microsoft().owed();
    let known: HashMap<_, _> = owed.map(|owed| (one_line(&owed.bytes), owed.key)).collect();
    let (mut keys, mut count) = (HashSet::new(), 0);
    for n in 0..MEMBERS {
        let text = fs::read(dir.join(format!("audit-{n}.ndjson"))).unwrap_or_default();
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        for line in lines(&text[..whole]) {
            count += 1;
            // What a kill has cut is followed by the rest of another line.
            keys.extend(known.get(line));
        }
    }
    (keys, count)
}

/// What must have arrived by now.
fn owed(server: &Server) -> HashSet<u128> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let settled = i64::try_from((now - SETTLED).as_millis()).unwrap();
    let hours_ago = settled - 7_000_000;
    let microsoft = server.microsoft();
    let all = microsoft.owed();
    all.filter(|owed| owed.created_ms < settled && hours_ago < owed.created_ms)
        // DLP.All is not among the default content types.
        .filter(|owed| owed.content_type != ContentType::Dlp)
        .map(|owed| owed.key)
        .collect()
}

struct Member {
    running: Running,
    proxy: Proxy,
}

struct Party {
    server: Server,
    dir: tempfile::TempDir,
    db: Postgres,
    name: String,
    members: Vec<Member>,
    starts: usize,
}

impl Party {
    fn start(db: Postgres) -> Self {
        let server = service();
        let dir = tempfile::tempdir().unwrap();
        write_tenants(&server, dir.path(), usize::try_from(TENANTS).unwrap());
        let name = db.database();
        let mut party = Self { server, dir, db, name, members: Vec::new(), starts: 0 };
        for n in 0..MEMBERS {
            let proxy = Proxy::start(party.db.port());
            let running = party.member(n, &proxy);
            party.members.push(Member { running, proxy });
            if n == 0 {
                let there = "SELECT count(to_regclass('m365_audit_member'))";
                wait_for(&party.db, &party.name, there, "1");
                watch(&party.db, &party.name);
            }
        }
        party
    }

    fn member(&mut self, n: usize, proxy: &Proxy) -> Running {
        self.starts += 1;
        let url = postgres::url(proxy.port(), &self.name);
        let log = self.dir.path().join(format!("log-{}", self.starts));
        let mut command = command(&self.server, self.dir.path(), &url, LEASE, n);
        if n == 1 && Path::new(FAKETIME).exists() {
            // Its wall clock is an hour ahead; the other one tells the truth.
            command.env("LD_PRELOAD", FAKETIME).env("FAKETIME", "+1h");
            command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        Running::start(command, log)
    }

    #[track_caller]
    fn wait_all_held_without(&self, process: u32) {
        wait_for(&self.db, &self.name, &held_without(process), &TENANTS.to_string());
    }

    /// How many have not arrived, and what the members say.
    fn missing(&self, owed: &HashSet<u128>) -> String {
        let missing = owed.difference(&arrived(&self.server, self.dir.path()).0).count();
        let logs: String = self.members.iter().map(|member| member.running.log()).collect();
        format!("{missing} of {} are missing: {logs}", owed.len())
    }

    fn noted(db: &Postgres, name: &str) -> u64 {
        db.sql(name, "SELECT count(*) FROM noted").parse().unwrap()
    }

    /// A replica takes over that lacks the last commits.
    fn promote(&mut self) {
        let replica = self.db.replica().unwrap();
        replica.deafen();
        let known = Self::noted(&replica, &self.name);
        let until = Instant::now() + PATIENCE;
        while Self::noted(&self.db, &self.name) < known + FORGOTTEN {
            assert!(Instant::now() < until, "nobody commits");
            look_again();
        }
        self.db.stop();
        replica.promote();
        self.members.iter().for_each(|member| member.proxy.lead_to(replica.port()));
        self.db = replica;
    }

    /// Does something to the member that has most to do; answers how long the others took to take
    /// over what it had.
    fn round(&mut self, what: u64) -> Option<Duration> {
        self.wait_all_held_without(0);
        let process = busiest(&self.db, &self.name);
        let n = self.members.iter().position(|member| member.running.id() == process).unwrap();
        let start = Instant::now();
        match what {
            0 => self.members[n].running.signal("-KILL"),
            1 => self.members[n].running.signal("-STOP"),
            2 => self.members[n].proxy.stall(true),
            database => {
                if database == 3 {
                    self.db.restart();
                } else {
                    self.promote();
                }
                self.wait_all_held_without(0);
                return None;
            }
        }
        self.wait_all_held_without(process);
        let took = start.elapsed();
        let log = self.members[n].running.log();
        assert!(took < LEASE + TAKE_OVER, "{what}: it took {took:?}: {log}");
        // For two leases: its own has ended for certain, and so has what it thinks of it.
        while start.elapsed() < LEASE * 2 {
            look_again();
        }
        match what {
            0 => {
                let proxy = Proxy::start(self.db.port());
                let running = self.member(n, &proxy);
                self.members[n] = Member { running, proxy };
            }
            1 => self.members[n].running.signal("-CONT"),
            _ => self.members[n].proxy.stall(false),
        }
        let alive = "SELECT count(*) FROM m365_audit_member WHERE clock_timestamp() < until";
        wait_for(&self.db, &self.name, alive, &MEMBERS.to_string());
        Some(took)
    }
}

#[test]
fn whatever_happens_to_one_of_three_members_nothing_is_lost_and_no_two_write_for_a_tenant() {
    let db = match Postgres::start() {
        Ok(db) => db,
        Err(reason) => return skip(reason),
    };
    let mut party = Party::start(db);
    let mut dice = Dice(11);
    let mut took = Vec::new();
    for round in 0..rounds() {
        // Each kind once, then as they come.
        let what = if round < KINDS { round } else { dice.below(KINDS) };
        took.extend(party.round(what));
    }
    let owed = owed(&party.server);
    let until = Instant::now() + PATIENCE;
    while !owed.is_subset(&arrived(&party.server, party.dir.path()).0) {
        assert!(Instant::now() < until, "{}", party.missing(&owed));
        look_again();
    }
    let (keys, lines) = arrived(&party.server, party.dir.path());
    assert_fenced(&party.db, &party.name);
    for member in &mut party.members {
        member.running.stop();
    }
    let left = "SELECT count(*) FROM m365_audit_lease WHERE clock_timestamp() < until";
    assert_eq!(party.db.sql(&party.name, left), "0", "who stops lets go");
    for n in 1..=party.starts {
        let log = fs::read_to_string(party.dir.path().join(format!("log-{n}"))).unwrap();
        assert!(!log.contains(PASSWORD), "{log}");
    }
    println!(
        "{} rounds: {} records owed, 0 lost, {} lines of {} records; take-over {:?} at most, {:?} \
         on average",
        rounds(),
        owed.len(),
        lines,
        keys.len(),
        took.iter().max().unwrap_or(&Duration::ZERO),
        took.iter().sum::<Duration>() / u32::try_from(took.len().max(1)).unwrap(),
    );
}

#[test]
fn members_share_tenants_behind_pgbouncer_hand_over_and_say_who_has_what() {
    const COUNT: usize = 12;
    let Some(db) = postgres::shared() else { return };
    let Some(bouncer) = postgres::shared_bouncer() else { return };
    let name = db.database();
    let url = bouncer.url(&name);
    let tenants = (0..12).map(|n| TenantConfig::seeded(7, n)).collect();
    let config = SimConfig { tenants, days: 0.01, ..world() };
    let server = Server::start(config, &Listen::default()).unwrap();
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write_tenants(&server, one.path(), COUNT);
    // Four of them only the first one knows.
    write_tenants(&server, two.path(), COUNT - 4);
    // So long that nothing of this is waiting for a lease to end.
    let lease = PATIENCE * 2;
    let start =
        |dir: &Path, n| Running::start(command(&server, dir, &url, lease, n), dir.join("log"));
    let held = |running: &Running| {
        let process = running.id();
        format!(
            "SELECT count(*) FROM m365_audit_lease WHERE clock_timestamp() < until \
             AND holder LIKE '%:{process}-%'"
        )
    };
    let mut first = start(one.path(), 0);
    let there = "SELECT count(to_regclass('m365_audit_member'))";
    wait_for(db, &name, there, "1");
    wait_for(db, &name, &held(&first), &COUNT.to_string());
    let mut second = start(two.path(), 1);
    first.wait_until("it hands over", |log| log.contains("handing over to "));
    second.wait_until("it takes", |log| log.contains("taken: this member collects it"));
    for member in [&mut first, &mut second] {
        member.wait_until("another file is told", |log| log.contains("has another tenants_file"));
    }
    let all = "SELECT count(*) FROM m365_audit_lease WHERE clock_timestamp() < until";
    wait_for(db, &name, all, &COUNT.to_string());
    let shown = program("members").args(["--json", "--db", &url]).output().unwrap();
    assert_code(&shown, 0);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["members"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!(shown["tenants"].as_array().unwrap().len(), COUNT, "{shown}");
    let told = program("members").args(["--db", &url]).output().unwrap();
    let told = text(&told.stdout).to_owned();
    let process = format!(":{}", second.id());
    assert!(told.contains("MEMBER") && told.contains(&process), "{told}");
    assert!(told.contains("12 tenants,") && told.contains("8 tenants,"), "{told}");

    second.stop();
    wait_for(db, &name, &held(&first), &COUNT.to_string());
    let file = one.path().join("state.db");
    let copy = || {
        let mut copy = program("state");
        copy.args(["copy", "--from", &url, "--to"]).arg(&file);
        copy.output().unwrap()
    };
    let refused = copy();
    assert_code(&refused, 1);
    assert!(text(&refused.stderr).contains("is collected by"), "{}", text(&refused.stderr));
    first.stop();
    let shown = program("members").args(["--db", &url]).output().unwrap();
    // Nobody collects.
    assert_code(&shown, 1);
    assert!(text(&shown.stdout).contains("nobody"), "{}", text(&shown.stdout));
    let copied = copy();
    assert_code(&copied, 0);
    let words = text(&copied.stdout);
    assert!(words.contains("and compared: 12 tenants"), "{words}");
    let show = |db: &str| program("state").args(["show", "--json", "--db", db]).output().unwrap();
    let (from, to) = (show(&url), show(file.to_str().unwrap()));
    assert_code(&from, 0);
    assert_eq!(text(&from.stdout), text(&to.stdout));
    for output in [refused.stderr, from.stderr, told.into_bytes()] {
        assert!(!text(&output).contains(PASSWORD));
    }
}

#[test]
fn of_two_with_one_tenant_one_stands_by_and_takes_over_from_the_dead() {
    let Some(db) = postgres::shared() else { return };
    let name = db.database();
    let service = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let start = |n: usize| {
        let mut command = service.run();
        let output = dir.path().join(format!("audit-{n}.ndjson"));
        command.args(["--db-lease", "2", "--interval-sec", "1", "--db", &db.url(&name)]);
        command.arg("--output").arg(output);
        command
    };
    let records = |n: usize| {
        let text = fs::read(dir.path().join(format!("audit-{n}.ndjson"))).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    };
    let mut first = Running::start(start(0), dir.path().join("log-0"));
    first.wait_until("it collects", |_| 0 < records(0));
    let mut second = Running::start(start(1), dir.path().join("log-1"));
    second.wait_until("it stands by", |log| log.contains("standing by"));
    // Who collects once waits for nobody.
    let once = start(2).arg("--once").output().unwrap();
    assert_code(&once, 1);
    assert!(text(&once.stderr).contains("is collected by"), "{}", text(&once.stderr));
    let died = Instant::now();
    first.signal("-KILL");
    let process = second.id();
    let held = format!(
        "SELECT count(*) FROM m365_audit_lease WHERE clock_timestamp() < until \
         AND holder LIKE '%:{process}-%'"
    );
    wait_for(db, &name, &held, "1");
    assert!(died.elapsed() < LEASE + TAKE_OVER, "{:?}", died.elapsed());
    assert_eq!(second.log().matches("standing by").count(), 1, "{}", second.log());
    second.stop();
}

#[test]
fn a_mistake_in_what_is_said_of_a_database_is_told_before_anything_is_collected() {
    let service = World::new(world());
    let dir = tempfile::tempdir().unwrap();
    let secret = dir.path().join("password");
    fs::write(&secret, "s3cret-of-a-file\n").unwrap();
    let refused = |args: &[&str], words: &str| {
        let output = service.run().args(args).output().unwrap();
        assert_code(&output, 2);
        let told = text(&output.stderr);
        assert!(told.contains(words), "{told}");
        assert!(!told.contains("s3cret"), "{told}");
    };
    let file = secret.to_str().unwrap();
    refused(&["--db", "postgres://audit:s3cret@:x/d"], "no URL of PostgreSQL");
    refused(&["--db", "postgres://a:s3cret@h/d?sslmode=verify-ca"], "sslmode=verify-ca");
    refused(&["--db", "postgres:///d"], "names no host");
    let twice = ["--db", "postgres://a:s3cret@h/d", "--db-password-file", file];
    refused(&twice, "db holds a password too");
    refused(&["--db", "x.db", "--db-password-file", file], "without effect, because db is a file");
    let none = ["--db", "postgres://a@h/d", "--db-password-file", "/nowhere/at-all"];
    refused(&none, "cannot be read");
    refused(&["--db", "postgres://a@h/d", "--db-lease", "0"], "db.lease");
    let members = program("members").args(["--db", "state.db"]).output().unwrap();
    assert_code(&members, 2);
    assert!(text(&members.stderr).contains("name a PostgreSQL"), "{}", text(&members.stderr));
}
