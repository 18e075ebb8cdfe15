//! A real PostgreSQL, and pgbouncer in front of it, in folders of their own on free ports. Ends
//! with the process that has started it, however that ends.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;

use crate::needs::skip;

/// The password of every user.
pub const PASSWORD: &str = "s3cret-of-the-database";

/// Who owns the databases, and may do nothing else.
pub const USER: &str = "audit";

/// Longer than a start takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where Debian puts the programs; elsewhere they are in the PATH.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A server, for as long as it lives.
#[derive(Debug)]
pub struct Postgres {
    programs: PathBuf,
    dir: TempDir,
    port: u16,
    /// Whether nobody drops it: then its folder goes with its process.
    is_shared: bool,
    process: Option<Process>,
}

/// A program that ends with this one.
#[derive(Debug)]
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// One server for all tests of a program; says why there is none.
pub fn shared() -> Option<&'static Postgres> {
    static SHARED: OnceLock<Result<Postgres, String>> = OnceLock::new();
    match SHARED.get_or_init(|| Postgres::begin(true)) {
        Ok(server) => Some(server),
        Err(reason) => {
            skip(reason);
            None
        }
    }
}

/// A pgbouncer in front of [`shared`], which gives each transaction another session.
pub fn shared_bouncer() -> Option<&'static Pgbouncer> {
    static SHARED: OnceLock<Result<Pgbouncer, String>> = OnceLock::new();
    let server = shared()?;
    match SHARED.get_or_init(|| Pgbouncer::start(server.port)) {
        Ok(bouncer) => Some(bouncer),
        Err(reason) => {
            skip(reason);
            None
        }
    }
}

impl Postgres {
    /// Starts one of its own, for who stops and kills it.
    ///
    /// # Errors
    /// Why there is none.
    pub fn start() -> Result<Self, String> {
        Self::begin(false)
    }

    fn begin(is_shared: bool) -> Result<Self, String> {
        let programs = programs()?;
        let dir = folder()?;
        let data = dir.path().join("data");
        let secret = dir.path().join("password");
        fs::write(&secret, PASSWORD).map_err(|error| error.to_string())?;
        give(&secret)?;
        let mut initdb = as_user(&programs.join("initdb"))?;
        initdb.args(["--no-sync", "--auth=scram-sha-256", "--username=postgres", "-E", "UTF8"]);
        initdb.args(["--locale=C", "--pwfile"]).arg(&secret).arg("-D").arg(&data);
        finished(&mut initdb)?;
        certificate(&data)?;
        let mut server = Self { programs, dir, port: 0, is_shared, process: None };
        server.rise()?;
        server.try_sql("postgres", &format!("CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'"))?;
        Ok(server)
    }

    /// Starts it, or starts it again on the same port.
    fn rise(&mut self) -> Result<(), String> {
        let data = self.dir.path().join("data");
        let mut problem = String::new();
        for _ in 0..5 {
            let port = if self.port == 0 { free_port()? } else { self.port };
            let mut command = as_user(&self.programs.join("postgres"))?;
            command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
            for setting in [
                "listen_addresses=127.0.0.1",
                "unix_socket_directories=",
                "fsync=off",
                "full_page_writes=off",
                "ssl=on",
                "ssl_cert_file=server.crt",
                "ssl_key_file=server.key",
                "max_connections=200",
            ] {
                command.args(["-c", setting]);
            }
            let log = self.dir.path().join("log");
            // By SIGQUIT it ends at once.
            let sweep = self.is_shared.then(|| self.dir.path());
            let mut process = guarded(&command, &log, "QUIT", sweep)?;
            if answers(port, &mut process) {
                (self.port, self.process) = (port, Some(process));
                if self.is_up() {
                    return Ok(());
                }
            }
            self.process = None;
            problem = fs::read_to_string(&log).unwrap_or_default();
        }
        Err(format!("PostgreSQL does not start: {problem}"))
    }

    fn is_up(&self) -> bool {
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            if self.try_sql("postgres", "SELECT 1").is_ok() {
                return true;
            }
            thread::park_timeout(Duration::from_millis(10));
        }
        false
    }

    /// Kills it as a crash does.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was.
    pub fn restart(&mut self) {
        self.stop();
        self.rise().expect("it was there before");
    }

    /// A replica that follows this one.
    ///
    /// # Errors
    /// Why there is none.
    pub fn replica(&self) -> Result<Self, String> {
        let dir = folder()?;
        let mut copy = as_user(&self.programs.join("pg_basebackup"))?;
        copy.env("PGPASSWORD", PASSWORD)
            .args(["-h", "127.0.0.1", "-p", &self.port.to_string(), "-U", "postgres"])
            .args(["-R", "-X", "stream", "-c", "fast", "--no-sync", "-D"])
            .arg(dir.path().join("data"));
        finished(&mut copy)?;
        let programs = self.programs.clone();
        let mut replica = Self { programs, dir, port: 0, is_shared: false, process: None };
        replica.rise()?;
        Ok(replica)
    }

    /// A replica hears nothing more of the one that it follows.
    pub fn deafen(&self) {
        self.sql("postgres", "ALTER SYSTEM SET primary_conninfo = ''");
        self.sql("postgres", "SELECT pg_reload_conf()");
        let hears = "SELECT count(*) FROM pg_stat_wal_receiver";
        let until = Instant::now() + PATIENCE;
        while self.sql("postgres", hears) != "0" {
            assert!(Instant::now() < until, "it goes on to hear");
            thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// A replica takes over.
    pub fn promote(&self) {
        self.sql("postgres", "SELECT pg_promote()");
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The certificate that it shows, for `localhost`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("data/server.crt")
    }

    /// A new database, which belongs to [`USER`].
    #[must_use]
    pub fn database(&self) -> String {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("state_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name} OWNER {USER}"));
        name
    }

    /// The URL of a database, without a password.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    /// Asks as the superuser; rows on lines, columns between bars.
    ///
    /// # Panics
    /// The server refuses it.
    #[track_caller]
    pub fn sql(&self, database: &str, sql: &str) -> String {
        self.try_sql(database, sql).expect("the server knows it")
    }

    fn try_sql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut psql = Command::new(self.programs.join("psql"));
        psql.env("PGPASSWORD", PASSWORD)
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &self.port.to_string(), "-U", "postgres", "-d", database, "-c", sql]);
        finished(&mut psql)
    }
}

/// The URL of a database at a port of this machine, with the password.
#[must_use]
pub fn url(port: u16, database: &str) -> String {
    format!("postgres://{USER}:{PASSWORD}@127.0.0.1:{port}/{database}")
}

/// A pgbouncer in transaction mode.
#[derive(Debug)]
pub struct Pgbouncer {
    _dir: TempDir,
    port: u16,
    _process: Process,
}

impl Pgbouncer {
    /// Starts one in front of a server.
    ///
    /// # Errors
    /// Why there is none.
    pub fn start(server: u16) -> Result<Self, String> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].map(PathBuf::from);
        let program = program.into_iter().find(|path| path.exists());
        let program = program.ok_or("no pgbouncer (Debian: apt-get install pgbouncer)")?;
        let dir = folder()?;
        let users = dir.path().join("users");
        fs::write(&users, format!("\"{USER}\" \"{PASSWORD}\"\n")).map_err(|e| e.to_string())?;
        give(&users)?;
        for _ in 0..5 {
            let port = free_port()?;
            let mut ini = String::from("[databases]\n");
            let _ = writeln!(
                ini,
                "* = host=127.0.0.1 port={server} user={USER} password={PASSWORD}\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
                 auth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
                 default_pool_size = 4\nserver_round_robin = 1\n",
                users.display()
            );
            let file = dir.path().join("pgbouncer.ini");
            fs::write(&file, ini).map_err(|error| error.to_string())?;
            give(&file)?;
            let mut command = as_user(&program)?;
            command.arg(&file);
            let mut process = guarded(&command, &dir.path().join("log"), "TERM", Some(dir.path()))?;
            if answers(port, &mut process) {
                return Ok(Self { _dir: dir, port, _process: process });
            }
        }
        Err("pgbouncer does not start".into())
    }

    /// The URL of a database through it.
    #[must_use]
    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }
}

fn programs() -> Result<PathBuf, String> {
    let missing = "no PostgreSQL (Debian: apt-get install postgresql)";
    let version = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.and_then(|name| name.parse::<u32>().ok())
    };
    let mut found: Vec<PathBuf> = fs::read_dir(DEBIAN)
        .map_err(|_| missing)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| version(path).is_some() && path.join("bin/postgres").exists())
        .collect();
    found.sort_unstable_by_key(version);
    found.pop().map(|path| path.join("bin")).ok_or_else(|| missing.into())
}

/// The user that servers run as, which root is not allowed to be; `None`: who we are.
fn user() -> Option<&'static str> {
    let is = |args: &[&str]| {
        let output = Command::new("id").args(args).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if is(&["-u"])? != "0" {
        return None;
    }
    ["postgres", "nobody"].into_iter().find(|name| is(&["-u", name]).is_some())
}

fn as_user(program: &Path) -> Result<Command, String> {
    let Some(user) = user() else { return Ok(Command::new(program)) };
    let mut command = Command::new("setpriv");
    let group = Command::new("id").args(["-g", user]).output().map_err(|e| e.to_string())?;
    let group = String::from_utf8_lossy(&group.stdout).trim().to_owned();
    command.args(["--reuid", user, "--regid", &group, "--clear-groups", "--"]).arg(program);
    Ok(command)
}

/// Gives a file or folder to the user that the servers run as.
fn give(path: &Path) -> Result<(), String> {
    let Some(user) = user() else { return Ok(()) };
    finished(Command::new("chown").arg(user).arg(path)).map(drop)
}

fn folder() -> Result<TempDir, String> {
    let dir = tempfile::Builder::new().prefix("m365-db-").tempdir();
    let dir = dir.map_err(|error| error.to_string())?;
    give(dir.path())?;
    Ok(dir)
}

fn certificate(data: &Path) -> Result<(), String> {
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).map_err(|e| e.to_string())?;
    for (name, text) in [("server.crt", cert.pem()), ("server.key", signing_key.serialize_pem())] {
        let path = data.join(name);
        fs::File::create(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|error| error.to_string())?;
        let mode = if name == "server.key" { "600" } else { "644" };
        finished(Command::new("chmod").arg(mode).arg(&path))?;
        give(&path)?;
    }
    Ok(())
}

/// Starts a program that gets the signal when this process has gone, whatever has ended it: a shell
/// waits for the end of its input, and then removes the folder `sweep`.
fn guarded(
    command: &Command,
    log: &Path,
    signal: &str,
    sweep: Option<&Path>,
) -> Result<Process, String> {
    const GUARD: &str = "signal=$1 log=$2 sweep=$3; shift 3; \
        \"$@\" >>\"$log\" 2>&1 </dev/null & child=$!; \
        { while kill -0 \"$child\" 2>/dev/null; do sleep 0.2; done; kill $$; } & \
        read -r _; trap '' TERM; kill -\"$signal\" \"$child\"; wait \"$child\"; \
        [ -z \"$sweep\" ] || rm -rf \"$sweep\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", GUARD, "sh", signal]).arg(log).arg(sweep.unwrap_or_else(|| Path::new("")));
    shell.arg(command.get_program());
    shell.args(command.get_args());
    // Of the output of tests it keeps nothing open.
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.current_dir("/");
    shell.spawn().map(Process).map_err(|error| error.to_string())
}

/// Waits until somebody listens there.
fn answers(port: u16, process: &mut Process) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        if process.0.try_wait().is_ok_and(|ended| ended.is_some()) {
            return false;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    false
}

fn free_port() -> Result<u16, String> {
    let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    listener.local_addr().map(|address| address.port()).map_err(|error| error.to_string())
}

fn finished(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).current_dir("/").output();
    let output = output.map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned());
    }
    Err(format!("{:?}: {}", command.get_program(), String::from_utf8_lossy(&output.stderr)))
}

/// Stands between a program and a server, and can let nothing through.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    gate: Arc<Gate>,
}

#[derive(Debug)]
struct Gate {
    /// Where new connections lead to.
    server: AtomicU16,
    shut: Mutex<bool>,
    changed: Condvar,
}

impl Gate {
    fn wait(&self) {
        let shut = self.shut.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.wait_while(shut, |shut| *shut));
    }
}

impl Proxy {
    /// Leads to a port of this machine.
    ///
    /// # Panics
    /// The system gives no port.
    #[must_use]
    pub fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("the system gives a port");
        let port = listener.local_addr().expect("it has one").port();
        let server = AtomicU16::new(server);
        let gate = Arc::new(Gate { server, shut: Mutex::default(), changed: Condvar::default() });
        let shared = Arc::clone(&gate);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                shared.wait();
                let Ok(far) =
                    TcpStream::connect(("127.0.0.1", shared.server.load(Ordering::Relaxed)))
                else {
                    continue;
                };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let ends = from.try_clone().and_then(|from| Ok((from, to.try_clone()?)));
                    let Ok((from, to)) = ends else { continue };
                    let gate = Arc::clone(&shared);
                    thread::spawn(move || carry(from, to, &gate));
                }
            }
        });
        Self { port, gate }
    }

    /// Leads new connections to another port.
    pub fn lead_to(&self, server: u16) {
        self.gate.server.store(server, Ordering::Relaxed);
    }

    /// Lets nothing through any more, nor drops it; or all that has waited, and what follows.
    pub fn stall(&self, stalls: bool) {
        *self.gate.shut.lock().unwrap_or_else(PoisonError::into_inner) = stalls;
        self.gate.changed.notify_all();
    }

    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, gate: &Gate) {
    let mut buffer = [0; 16_384];
    while let Ok(read) = from.read(&mut buffer)
        && 0 < read
    {
        gate.wait();
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // Whoever is left learns of the end.
    gate.wait();
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
