//! Sees whether Fluent Bit's engine is waiting for events, in what Linux tells a process about its
//! own threads.
//!
//! One thread takes batches out of the ring buffer, counts them, filters them and writes them, and
//! waits for events nowhere in between. So once it is seen to wait, all that was counted before is
//! written.

use std::fs;
use std::path::{Path, PathBuf};

/// The name that Fluent Bit gives the engine's thread, 2.2 to 5.1.
const ENGINE: &str = "flb-pipeline";

/// `epoll_wait` and its like, by which Fluent Bit's event loop waits on Linux. No filter uses them.
const WAITING: &[libc::c_long] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_epoll_wait,
    libc::SYS_epoll_pwait,
    libc::SYS_epoll_pwait2,
];

/// The engine's thread, as its process sees it.
#[derive(Debug)]
pub(crate) struct Engine {
    thread: Thread,
}

#[derive(Debug)]
enum Thread {
    /// This one: with `threaded off` the engine itself calls the input, and is nowhere else.
    This,
    /// What it is waiting in, if it is.
    Other(PathBuf),
    /// There is none by its name, or several.
    Unknown,
}

impl Engine {
    /// Looks for the thread. When the input is called it is there, for as long as the input.
    pub(crate) fn find() -> Self {
        Self::find_in(Path::new("/proc/self/task"), Path::new("/proc/thread-self"))
    }

    fn find_in(threads: &Path, this: &Path) -> Self {
        if is_engine(this) {
            return Self { thread: Thread::This };
        }
        let threads = fs::read_dir(threads).into_iter().flatten().flatten();
        let mut engines = threads.map(|thread| thread.path()).filter(|path| is_engine(path));
        let thread = match (engines.next(), engines.next()) {
            (Some(engine), None) => Thread::Other(engine.join("syscall")),
            _ => Thread::Unknown,
        };
        Self { thread }
    }

    /// Whether it is waiting, now. None if that cannot be seen.
    pub(crate) fn is_waiting(&self) -> Option<bool> {
        match &self.thread {
            Thread::This => Some(true),
            Thread::Other(syscall) => Some(waits(&fs::read_to_string(syscall).ok()?)),
            Thread::Unknown => None,
        }
    }
}

fn is_engine(thread: &Path) -> bool {
    fs::read_to_string(thread.join("comm")).is_ok_and(|name| name.trim_end() == ENGINE)
}

/// Whether a thread with this line waits for events: `232 0x8 …`, or `running`.
fn waits(line: &str) -> bool {
    let number = line.split_whitespace().next().and_then(|number| number.parse().ok());
    number.is_some_and(|number| WAITING.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thread(folder: &Path, id: &str, comm: &str, syscall: &str) {
        fs::create_dir(folder.join(id)).unwrap();
        fs::write(folder.join(id).join("comm"), format!("{comm}\n")).unwrap();
        fs::write(folder.join(id).join("syscall"), syscall).unwrap();
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("engine-{name}-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        folder
    }

    #[test]
    fn an_engine_waits_only_while_it_is_in_its_event_loop() {
        let folder = folder("waits");
        thread(&folder, "10", "fluent-bit", "202 0x0");
        thread(&folder, "11", "flb-pipeline", "running");
        thread(&folder, "12", "flb-in-m365_aud", "232 0x5");
        let engine = Engine::find_in(&folder, &folder.join("12"));
        let syscall = folder.join("11/syscall");
        let pwait = libc::SYS_epoll_pwait;
        for (line, waiting) in [
            ("running\n".to_owned(), false),
            ("1 0x9 0x7f00\n".to_owned(), false),
            (String::new(), false),
            (format!("{pwait} 0x8 0x7f00 0x3ff 0xffffffff\n"), true),
        ] {
            fs::write(&syscall, line).unwrap();
            assert_eq!(engine.is_waiting(), Some(waiting));
        }
        fs::remove_file(syscall).unwrap();
        assert_eq!(engine.is_waiting(), None, "it cannot be seen");
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn where_there_is_no_engine_or_more_than_one_nothing_is_seen() {
        let folder = folder("many");
        thread(&folder, "10", "fluent-bit", "202 0x0");
        assert_eq!(Engine::find_in(&folder, &folder.join("10")).is_waiting(), None);
        thread(&folder, "11", "flb-pipeline", "232 0x8");
        thread(&folder, "12", "flb-pipeline", "232 0x8");
        assert_eq!(Engine::find_in(&folder, &folder.join("10")).is_waiting(), None);
        let called_by_it = Engine::find_in(&folder, &folder.join("12"));
        assert_eq!(called_by_it.is_waiting(), Some(true));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_thread_of_this_process_that_waits_is_seen_to_wait() {
        let (ready, started) = std::sync::mpsc::channel();
        let waiting = std::thread::Builder::new().name(ENGINE.to_owned()).spawn(move || {
            ready.send(()).unwrap();
            std::thread::park();
        });
        started.recv().unwrap();
        // A channel is no event loop: this one is found, and not taken for one that waits.
        assert_eq!(Engine::find().is_waiting(), Some(false));
        let waiting = waiting.unwrap();
        waiting.thread().unpark();
        waiting.join().unwrap();
    }
}
