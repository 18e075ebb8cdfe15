//! The real Fluent Bit, if there is one: in a folder of its own, on a free port, watched through
//! its log, its HTTP interface and the files it writes.

use std::env;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::time::{Duration, Instant};

use m365_audit_test_support::needs;
use tempfile::TempDir;

use crate::{PATIENCE, until};

/// Where packages install it.
const USUAL_PLACE: &str = "/opt/fluent-bit/bin/fluent-bit";

/// The executable, as [`look`] finds it. Says so if there is none; the caller then passes.
///
/// # Panics
/// `FLUENT_BIT` names no file.
#[must_use]
pub fn find() -> Option<PathBuf> {
    let found = look();
    if found.is_none() {
        needs::skip(
            "no Fluent Bit; install it (https://docs.fluentbit.io/manual/installation), or set \
             FLUENT_BIT to its executable",
        );
    }
    found
}

/// The executable: `FLUENT_BIT`, else in `PATH`, else in the usual place.
///
/// # Panics
/// `FLUENT_BIT` names no file.
#[must_use]
pub fn look() -> Option<PathBuf> {
    if let Some(path) = env::var_os("FLUENT_BIT").map(PathBuf::from) {
        assert!(path.is_file(), "FLUENT_BIT is {}, which is no file", path.display());
        return Some(path);
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .map(|folder| folder.join("fluent-bit"))
        .chain([PathBuf::from(USUAL_PLACE)])
        .find(|path| path.is_file())
}

/// Each executable that is there: those of the list `FLUENT_BITS`, written as `PATH` is, else that
/// of [`look`]. Says so if there is none; the caller then passes.
///
/// # Panics
/// `FLUENT_BITS` or `FLUENT_BIT` names what is no file.
#[must_use]
pub fn all() -> Vec<PathBuf> {
    let Some(list) = env::var_os("FLUENT_BITS") else { return find().into_iter().collect() };
    let all: Vec<_> = env::split_paths(&list).filter(|path| !path.as_os_str().is_empty()).collect();
    for path in &all {
        assert!(path.is_file(), "FLUENT_BITS names {}, which is no file", path.display());
    }
    all
}

/// What an executable says it is: `v5.1.1`.
///
/// # Panics
/// It cannot be started, or is no Fluent Bit.
#[must_use]
pub fn version(executable: &Path) -> String {
    let said = run(executable, &["--version"]).stdout;
    let said = String::from_utf8_lossy(&said);
    let version = said.split_whitespace().find(|word| word.starts_with('v'));
    version.unwrap_or_else(|| panic!("{}: {said}", executable.display())).to_owned()
}

/// A running Fluent Bit. Dropped, it is killed and its folder removed.
#[derive(Debug)]
pub struct FluentBit {
    executable: PathBuf,
    folder: TempDir,
    port: u16,
    how: How,
    child: Child,
}

/// How it is started.
#[derive(Clone, Debug, Default)]
struct How {
    /// Options of the disk that `{dir}/storage` lies on, if it has one of its own.
    disk: Option<String>,
    /// A plugin that is loaded by `-e`, as every version can, and not by the configuration.
    plugin: Option<PathBuf>,
}

impl FluentBit {
    /// Starts with a YAML configuration in which `{dir}` is the folder of this run and `{port}` a
    /// free port for `http_port`. Waits until the HTTP server answers, or the process has ended.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start(executable: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for this run");
        Self::start_in(executable, folder, config, How::default())
    }

    /// The same with a plugin that the command line names: `plugins:` is for 3.2 and later.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start_with(executable: &Path, plugin: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for this run");
        let how = How { plugin: Some(plugin.to_owned()), ..How::default() };
        Self::start_in(executable, folder, config, how)
    }

    /// The same with a disk of its own for `{dir}/storage`: a tmpfs with these options, such as
    /// `size=4m`. None, and a word, where such a disk cannot be had.
    ///
    /// # Panics
    /// It cannot be started.
    #[must_use]
    pub fn start_on_disk(executable: &Path, config: &str, disk: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for this run");
        let storage = folder.path().join("storage");
        fs::create_dir(&storage).expect("a place for the disk");
        let probe = on_disk(Path::new("true"), &storage, disk).status();
        if !probe.is_ok_and(|status| status.success()) {
            needs::skip("no mount namespace for a small disk");
            return None;
        }
        let how = How { disk: Some(disk.to_owned()), ..How::default() };
        Some(Self::start_in(executable, folder, config, how))
    }

    fn start_in(executable: &Path, folder: TempDir, config: &str, how: How) -> Self {
        let port = free_port();
        write_config(folder.path(), port, config);
        let child = spawn(executable, folder.path(), &how);
        let mut this = Self { executable: executable.to_owned(), folder, port, how, child };
        this.wait_until_ready();
        this
    }

    fn wait_until_ready(&mut self) {
        let deadline = Instant::now() + PATIENCE;
        until("Fluent Bit answers or ends", || {
            let ended = self.child.try_wait().expect("a child can be waited for").is_some();
            let answers = ended || self.get("/api/v1/uptime").is_ok();
            let in_time = Instant::now() < deadline;
            assert!(answers || in_time, "Fluent Bit neither answers nor ends: {}", self.log());
            answers
        });
    }

    /// Replaces the configuration; a reload or the next start reads it.
    pub fn configure(&self, config: &str) {
        write_config(self.folder.path(), self.port, config);
    }

    /// Starts again in the same folder, after the process has ended.
    ///
    /// # Panics
    /// It is still running.
    pub fn restart(&mut self) {
        let ended = self.child.try_wait().expect("a child can be waited for");
        assert!(ended.is_some(), "it is still running");
        self.child = spawn(&self.executable, self.folder.path(), &self.how);
        self.wait_until_ready();
    }

    /// The folder of this run: `{dir}`.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where chunks are, also if they are on a disk that only Fluent Bit sees.
    #[must_use]
    pub fn storage(&self) -> PathBuf {
        let seen = self.folder.path().join("storage");
        let inside = seen.strip_prefix("/").expect("a temporary folder has a whole path");
        Path::new("/proc").join(self.pid().to_string()).join("root").join(inside)
    }

    /// Lets it open no more files than so many beyond those that it has open; `None`: as many as it
    /// could at the start.
    ///
    /// # Panics
    /// There is no `prlimit` command.
    pub fn limit_files(&self, more: Option<usize>) {
        let open = || {
            let files = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("its files");
            files.count()
        };
        let most = more.map_or(1_024, |more| open() + more);
        let status = Command::new("prlimit")
            .args(["--pid", &self.pid().to_string(), &format!("--nofile={most}:")])
            .status()
            .expect("prlimit runs");
        assert!(status.success(), "prlimit failed");
    }

    /// Where its HTTP server is: `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}:{}", Ipv4Addr::LOCALHOST, self.port)
    }

    /// The process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything printed so far, of all starts.
    #[must_use]
    pub fn log(&self) -> String {
        let bytes = fs::read(self.folder.path().join("log")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Lines of a file that an output writes in the folder; none if it is not there yet.
    #[must_use]
    pub fn lines(&self, file: &str) -> Vec<String> {
        let bytes = fs::read(self.folder.path().join(file)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        // A line that is being written is not a line yet.
        let complete = text.rfind('\n').map_or("", |end| &text[..end]);
        complete.lines().map(str::to_owned).collect()
    }

    /// Waits for a text in the log.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        until(text, || self.log().contains(text));
    }

    /// The value of a series in the metrics, such as `fluentbit_uptime{hostname="x"}`; the part in
    /// braces may be left out if there is only one.
    #[must_use]
    pub fn metric(&self, series: &str) -> Option<f64> {
        let text = self.get("/api/v2/metrics/prometheus").ok()?;
        let line = text.lines().find(|line| {
            let rest = line.strip_prefix(series);
            rest.is_some_and(|rest| rest.starts_with([' ', '{']))
        })?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// What the HTTP server answers.
    ///
    /// # Errors
    /// It does not, or not with status 200.
    pub fn get(&self, path: &str) -> std::io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        let mut part = [0; 64 << 10];
        let body = loop {
            if let Some(body) = body(&answer) {
                break body;
            }
            match stream.read(&mut part)? {
                0 => break Vec::new(),
                len => answer.extend_from_slice(&part[..len]),
            }
        };
        let answer = String::from_utf8_lossy(&answer).into_owned();
        match answer.split_whitespace().nth(1) {
            Some("200") => Ok(String::from_utf8_lossy(&body).into_owned()),
            _ => Err(std::io::Error::other(answer)),
        }
    }

    /// Sends a signal: `TERM`, `HUP`, `KILL`, `STOP`, `CONT`.
    ///
    /// # Panics
    /// There is no `kill` command.
    pub fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([format!("-{signal}"), self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{signal} failed");
    }

    /// SIGHUP, and waits until the new pipeline answers.
    ///
    /// # Panics
    /// It never does.
    pub fn reload(&self) {
        let count = || {
            let text = self.get("/api/v2/reload").ok()?;
            let answer: serde_json::Value = serde_json::from_str(&text).ok()?;
            answer["hot_reload_count"].as_u64()
        };
        let mut before = None;
        until("the number of reloads", || {
            before = count();
            before.is_some()
        });
        self.signal("HUP");
        until("a hot reload", || count() > before);
    }

    /// SIGTERM, and waits for the end. How it ended, and after how long.
    pub fn stop(&mut self) -> (ExitStatus, Duration) {
        let begin = Instant::now();
        self.signal("TERM");
        (self.wait(), begin.elapsed())
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Panics
    /// Something else ended it.
    pub fn kill(&mut self) {
        self.signal("KILL");
        assert_eq!(self.wait().signal(), Some(9));
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// It does not end.
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("Fluent Bit ends", || {
            status = self.child.try_wait().expect("a child can be waited for");
            status.is_some()
        });
        status.expect("just set")
    }
}

impl Drop for FluentBit {
    fn drop(&mut self) {
        // Nothing is left to do about failures here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs Fluent Bit with arguments until it ends: for mistakes that it reports and ends with.
///
/// # Panics
/// It cannot be started.
#[must_use]
pub fn run(executable: &Path, arguments: &[&str]) -> Output {
    Command::new(executable).args(arguments).output().expect("Fluent Bit runs")
}

/// Runs a command until it has printed `text`, then kills it: for configurations that are not of
/// this harness.
///
/// # Panics
/// It cannot be started, or ends without having printed that.
#[track_caller]
pub fn run_until(command: &mut Command, text: &str) {
    let folder = tempfile::tempdir().expect("a folder for the log");
    let path = folder.path().join("log");
    let log = File::create(&path).expect("a file for the log");
    let mut child = command
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("Fluent Bit starts");
    until(text, || {
        let ended = child.try_wait().expect("a child can be waited for");
        let log = String::from_utf8_lossy(&fs::read(&path).expect("its log")).into_owned();
        let printed = log.contains(text);
        assert!(printed || ended.is_none(), "it has ended: {log}");
        printed
    });
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// The body of an answer, if all of it is there: the server keeps the connection open. Its length
/// stands in its head, or, before 3.2, in front of each chunk.
fn body(answer: &[u8]) -> Option<Vec<u8>> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    let (head, mut rest) = (String::from_utf8_lossy(&answer[..end]), &answer[end + 4..]);
    let value = |wanted: &str| {
        let fields = head.lines().filter_map(|line| line.split_once(':'));
        let mut found = fields.filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.next().map(|(_, value)| value.trim().to_owned())
    };
    if let Some(length) = value("content-length") {
        return rest.get(..length.parse().ok()?).map(<[u8]>::to_vec);
    }
    value("transfer-encoding").filter(|encoding| encoding == "chunked")?;
    let mut body = Vec::new();
    loop {
        let line = rest.windows(2).position(|bytes| bytes == b"\r\n")?;
        let length = std::str::from_utf8(&rest[..line]).ok()?;
        let length = usize::from_str_radix(length.trim(), 16).ok()?;
        if length == 0 {
            return Some(body);
        }
        rest = &rest[line + 2..];
        body.extend_from_slice(rest.get(..length)?);
        rest = rest.get(length + 2..)?;
    }
}

/// A command that sees a disk of its own in this folder. It is no process of its own: what is sent
/// to the command's reaches the executable.
fn on_disk(executable: &Path, mounted: &Path, options: &str) -> Command {
    let script = "mount -t tmpfs -o \"$1\" tmpfs \"$2\" && shift 2 && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", options]);
    command.arg(mounted).arg(executable);
    command
}

fn spawn(executable: &Path, folder: &Path, how: &How) -> Child {
    let log = File::options().create(true).append(true).open(folder.join("log"));
    let log = log.expect("a file for the log");
    let mut command = match &how.disk {
        None => Command::new(executable),
        Some(disk) => on_disk(executable, &folder.join("storage"), disk),
    };
    if let Some(plugin) = &how.plugin {
        command.arg("-e").arg(plugin);
    }
    command
        .arg("--config")
        .arg(folder.join("fluent-bit.yaml"))
        .current_dir(folder)
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("Fluent Bit starts")
}

fn write_config(folder: &Path, port: u16, config: &str) {
    let config = config
        .replace("{dir}", folder.to_str().expect("a temporary folder has a plain name"))
        .replace("{port}", &port.to_string());
    fs::write(folder.join("fluent-bit.yaml"), config).expect("a file for the configuration");
}

/// A port that was free a moment ago: Fluent Bit cannot be asked to choose one.
///
/// # Panics
/// There is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("a bound address").port()
}

#[cfg(test)]
mod tests {
    use super::body;

    #[test]
    fn a_body_is_whole_or_none() {
        let sized = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
        let chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                        3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n";
        assert_eq!(body(sized).unwrap(), b"hello");
        assert_eq!(body(chunked).unwrap(), b"hello");
        // Without the empty line at the end all of it is there as well.
        let all = chunked.len() - 2;
        assert!((0..sized.len()).all(|len| body(&sized[..len]).is_none()));
        assert!((0..all).all(|len| body(&chunked[..len]).is_none()));
    }
}
