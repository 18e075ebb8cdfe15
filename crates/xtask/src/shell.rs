//! Running commands: from the root of the workspace, shown before they run, failures with what to
//! do next. Knows nothing of what the commands do.

use std::env;
use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a process that was asked to end is looked at.
const POLL: Duration = Duration::from_millis(20);

/// The root of the workspace: as Cargo says it now, else as it was when this was compiled.
pub(crate) fn root() -> PathBuf {
    let here =
        env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let mut root = PathBuf::from(here);
    root.pop();
    root.pop();
    root
}

/// A command that runs in the root of the workspace.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Cargo, the one that runs this.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    // Set for this crate by the Cargo that runs it; an inner Cargo finds its own. Build scripts
    // that look at them (ring's) would run anew whenever Cargo is called by hand in between.
    for (name, _) in env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command.args(arguments);
    command
}

/// Where Cargo puts what it builds.
///
/// # Errors
/// Cargo does not say.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = read(&mut cargo(&["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: serde_json::Value =
        serde_json::from_str(&metadata).context("Cargo's metadata")?;
    let path = metadata["target_directory"].as_str().context("Cargo names no target directory")?;
    Ok(path.into())
}

/// Says a line about what happens, on stderr.
pub(crate) fn say(text: &str) {
    use std::io::Write;
    // Nobody is left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints a line of the result, on stdout.
pub(crate) fn print(text: &str) {
    use std::io::Write;
    // A reader that has seen enough is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// `program argument argument`, as somebody would type it.
pub(crate) fn spelled(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let name = program.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let words = command.get_args().map(|word| word.to_string_lossy().into_owned());
    std::iter::once(name).chain(words).collect::<Vec<_>>().join(" ")
}

/// Runs a command to its end, showing it and its output.
///
/// # Errors
/// It cannot be started, or ends with another code than 0.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let text = spelled(command);
    say(&format!("$ {text}"));
    let status = command.stdin(Stdio::null()).status();
    let status = status.with_context(|| format!("`{text}` cannot be started"))?;
    if !status.success() {
        bail!("`{text}` failed ({status}); its output above says why");
    }
    Ok(())
}

/// Runs a command to its end and takes its output; what it says on stderr is shown only in the
/// error.
///
/// # Errors
/// It cannot be started, or ends with another code than 0.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let text = spelled(command);
    let output = output(command)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`{text}` failed ({}): {}", output.status, said.trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{text}` printed no UTF-8"))
}

/// Runs a command to its end, whatever that is.
///
/// # Errors
/// It cannot be started.
pub(crate) fn output(command: &mut Command) -> Result<Output> {
    let text = spelled(command);
    let output = command.stdin(Stdio::null()).output();
    output.with_context(|| format!("`{text}` cannot be started; is it installed?"))
}

/// Whether a signal of the terminal is for this program alone.
static SIGNALS_ARE_OURS: AtomicBool = AtomicBool::new(false);

/// From now on Ctrl-C does not reach [`Process`]es: the caller has a handler, and ends them itself
/// when it is done with them.
pub(crate) fn keep_signals_from_processes() {
    SIGNALS_ARE_OURS.store(true, Ordering::Relaxed);
}

/// A child process that does not outlive its owner.
#[derive(Debug)]
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a command.
    ///
    /// # Errors
    /// It cannot be started.
    pub(crate) fn start(name: &'static str, command: &mut Command) -> Result<Self> {
        let text = spelled(command);
        if SIGNALS_ARE_OURS.load(Ordering::Relaxed) {
            command.process_group(0);
        }
        let child = command.spawn().with_context(|| format!("`{text}` cannot be started"))?;
        Ok(Self { name, child })
    }

    /// Its id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its standard output, if it was piped and not taken yet.
    pub(crate) fn stdout(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to end, waits so long, then ends it. How long that took.
    ///
    /// # Errors
    /// It did not end by itself, or not with success.
    pub(crate) fn stop(&mut self, patience: Duration) -> Result<Duration> {
        let start = Instant::now();
        let id = self.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status();
        sent.context("`kill` cannot be started")?;
        while start.elapsed() < patience {
            if let Some(status) = self.ended() {
                if !status.success() {
                    bail!("{} ended with {status}", self.name);
                }
                return Ok(start.elapsed());
            }
            std::thread::sleep(POLL);
        }
        bail!("{} did not end within {} s of SIGTERM", self.name, patience.as_secs())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
