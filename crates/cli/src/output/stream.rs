//! What cannot be looked at again: pipes, devices, sockets, and a file on stdout that has no name.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::ioctl_fionread;

/// The first and the longest pause between two looks at how much of a pipe is unread.
const PAUSE_MIN_NS: i64 = 100_000;
const PAUSE_MAX_NS: i64 = 10_000_000;

/// What it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Pipe,
    Terminal,
    /// `/dev/null`, which is also what a closed stdout becomes.
    Null,
    File,
    Socket,
    Device,
}

/// An open one.
#[derive(Debug)]
pub(super) struct Stream {
    file: File,
    kind: Kind,
}

impl Stream {
    pub(super) fn at(path: &Path) -> io::Result<Self> {
        Self::of(OpenOptions::new().write(true).open(path)?)
    }

    pub(super) fn stdout() -> io::Result<Self> {
        Self::of(File::from(io::stdout().as_fd().try_clone_to_owned()?))
    }

    fn of(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        let found = metadata.file_type();
        let null = || fs::metadata("/dev/null").is_ok_and(|null| null.rdev() == metadata.rdev());
        let kind = if found.is_fifo() {
            Kind::Pipe
        } else if found.is_file() {
            Kind::File
        } else if found.is_socket() {
            Kind::Socket
        } else if file.is_terminal() {
            Kind::Terminal
        } else if found.is_char_device() && null() {
            Kind::Null
        } else {
            Kind::Device
        };
        Ok(Self { file, kind })
    }

    pub(super) const fn kind(&self) -> Kind {
        self.kind
    }

    /// The path of a file on stdout, if it still has the name under which it was opened.
    pub(super) fn path(&self) -> Option<PathBuf> {
        if self.kind != Kind::File {
            return None;
        }
        let path = path_of_stdout()?;
        let (named, open) = (fs::metadata(&path).ok()?, self.file.metadata().ok()?);
        ((named.dev(), named.ino()) == (open.dev(), open.ino())).then_some(path)
    }

    /// What it means here that a record counts as delivered.
    pub(super) const fn promise(&self) -> &'static str {
        match self.kind {
            Kind::Pipe => {
                "records go into a pipe: they count as delivered when its reader has read them, \
                 whatever it does with them; what it loses is not sent again. --output FILE and \
                 `m365-audit host run --sink forward` promise more"
            }
            Kind::Terminal => {
                "records go to the terminal: they count as delivered when they are shown, and are \
                 kept nowhere; --output FILE keeps them"
            }
            Kind::Null => "records go to /dev/null: they count as delivered and are kept nowhere",
            Kind::File => {
                "records go to a file that has no name here: it cannot be seen whether somebody \
                 cuts, renames or removes it; --output FILE can"
            }
            Kind::Socket => {
                "records go into a socket: they count as delivered when they are written to it, \
                 whatever its reader does; --output FILE and `m365-audit host run --sink forward` \
                 promise more"
            }
            Kind::Device => {
                "records go to a device: they count as delivered when they are written to it"
            }
        }
    }

    /// Writes lines; answers when they have left this process for good, as far as that can be
    /// known.
    pub(super) fn deliver(&mut self, lines: &[u8]) -> io::Result<()> {
        self.file.write_all(lines)?;
        match self.kind {
            Kind::Pipe => self.drain(),
            Kind::File => self.file.sync_data(),
            Kind::Terminal | Kind::Null | Kind::Socket | Kind::Device => Ok(()),
        }
    }

    /// Waits until all that is in the pipe has been read. What is in it when its reader ends, such
    /// as a `head` that has seen enough, nobody has.
    fn drain(&self) -> io::Result<()> {
        let mut pause = PAUSE_MIN_NS;
        // Where the system does not tell, written is all that can be known.
        while ioctl_fionread(&self.file).unwrap_or_default() > 0 {
            let mut waited = [PollFd::new(&self.file, PollFlags::empty())];
            let timeout = Timespec { tv_sec: 0, tv_nsec: pause };
            match poll(&mut waited, Some(&timeout)).map_err(io::Error::from) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            // Comes without being asked for, when the last reader has closed its end.
            if waited[0].revents().intersects(PollFlags::ERR | PollFlags::HUP) {
                return Err(ErrorKind::BrokenPipe.into());
            }
            pause = (pause * 2).min(PAUSE_MAX_NS);
        }
        Ok(())
    }
}

/// The file that is on stdout, if it is one with a name.
fn path_of_stdout() -> Option<PathBuf> {
    fs::read_link("/proc/self/fd/1").ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn pipe() -> (io::PipeReader, Stream) {
        let (reader, writer) = io::pipe().unwrap();
        let writer: std::os::fd::OwnedFd = writer.into();
        (reader, Stream::of(File::from(writer)).unwrap())
    }

    #[test]
    fn what_a_reader_leaves_in_the_pipe_is_not_delivered() {
        let (mut reader, mut stream) = pipe();
        assert_eq!(stream.kind(), Kind::Pipe);
        // It reads one of two lines and ends.
        let reading = std::thread::spawn(move || reader.read_exact(&mut [0; 3]).unwrap());
        let error = stream.deliver(b"{}\n{}\n").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        reading.join().unwrap();

        let (mut reader, mut stream) = pipe();
        let reading = std::thread::spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            read
        });
        let large = b"{}\n".repeat(100_000);
        stream.deliver(&large).unwrap();
        drop(stream);
        assert_eq!(reading.join().unwrap(), large);
    }

    #[test]
    fn nothing_is_told_from_a_device() {
        let null = Stream::at(Path::new("/dev/null")).unwrap();
        assert_eq!(null.kind(), Kind::Null);
        let mut full = Stream::at(Path::new("/dev/full")).unwrap();
        assert_eq!(full.kind(), Kind::Device);
        assert_eq!(full.deliver(b"{}\n").unwrap_err().kind(), ErrorKind::StorageFull);
    }
}
