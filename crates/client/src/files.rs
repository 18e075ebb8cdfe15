//! Files that are made for their owner alone, and that nobody else can turn into others.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Opens, and creates if `options` say so, a file that only its owner can read. One that exists
/// keeps its mode.
///
/// In a directory that others can write to, a symbolic link is not followed: whoever has put it
/// there would choose which file is written to. Nor is a file used there that belongs to somebody
/// else, who could read along.
///
/// # Errors
/// As [`OpenOptions::open`]; also, with the remedy, in these cases.
pub fn open_private(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
        let writers = writers(&directory_of(path));
        if writers != Writers::Owner {
            refuse_link(path)?;
            // Somebody may be faster than this look at it.
            options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
        }
        let file = options.open(path)?;
        if writers == Writers::Everybody {
            refuse_stranger(path, &file)?;
        }
        Ok(file)
    }
    #[cfg(not(unix))]
    options.open(path)
}

/// Refuses a path that is a symbolic link in a directory that others can write to.
///
/// # Errors
/// With the remedy.
pub fn refuse_link(path: &Path) -> io::Result<()> {
    let link = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_symlink());
    let directory = directory_of(path);
    if link && writers(&directory) != Writers::Owner {
        return Err(io::Error::other(format!(
            "a symbolic link in {}, where others can write; remedy: name the file that it leads \
             to, or use a directory that is yours alone",
            directory.display()
        )));
    }
    Ok(())
}

/// Makes names in the directory of `path` safe: a file that was created, renamed or removed there.
///
/// # Errors
/// If the disk fails. Where the directory cannot be read, so that nothing was created there either,
/// or its file system knows no such thing, this does nothing.
pub fn sync_directory(path: &Path) -> io::Result<()> {
    match File::open(directory_of(path)).and_then(|directory| directory.sync_all()) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::InvalidInput | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        result => result,
    }
}

fn directory_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent.into(),
        Some(_) | None => Path::new(".").into(),
    }
}

/// Who can put files into a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Writers {
    /// Its owner.
    Owner,
    /// A group too.
    Group,
    /// All who have an account.
    Everybody,
}

#[cfg(unix)]
fn writers(directory: &Path) -> Writers {
    use std::os::unix::fs::MetadataExt;
    match fs::metadata(directory).map(|found| found.mode()) {
        Ok(mode) if mode & 0o002 != 0 => Writers::Everybody,
        Ok(mode) if mode & 0o020 != 0 => Writers::Group,
        // Opening a file there will say what is wrong with it.
        Ok(_) | Err(_) => Writers::Owner,
    }
}

#[cfg(not(unix))]
fn writers(_: &Path) -> Writers {
    Writers::Owner
}

#[cfg(unix)]
fn refuse_stranger(path: &Path, file: &File) -> io::Result<()> {
    use std::os::unix::fs::MetadataExt;
    let owner = file.metadata()?.uid();
    // The owner of a file is who has made it, and root can read all of them anyhow.
    let us = rustix::process::geteuid().as_raw();
    if owner == us || owner == 0 {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "it belongs to user {owner}, in {}, where everybody can write; remedy: use a directory \
         that is yours alone",
        directory_of(path).display()
    )))
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#[allow(clippy::print_stdout, reason = "what is skipped is said")]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    fn create(path: &Path) -> io::Result<File> {
        open_private(path, OpenOptions::new().append(true).create(true))
    }

    fn directory(mode: u32) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(mode)).unwrap();
        dir
    }

    #[test]
    fn a_link_is_followed_only_where_nobody_else_can_put_one() {
        for (mode, followed) in [(0o755, true), (0o775, false), (0o757, false), (0o1777, false)] {
            let dir = directory(mode);
            let (target, link) = (dir.path().join("target"), dir.path().join("link"));
            symlink(&target, &link).unwrap();
            let opened = create(&link);
            assert_eq!(opened.is_ok(), followed, "{mode:o}: {opened:?}");
            assert_eq!(target.exists(), followed, "{mode:o}");
            if let Err(error) = opened {
                assert!(error.to_string().contains("a symbolic link in"), "{error}");
            }
        }
    }

    #[test]
    fn what_is_created_is_for_its_owner_and_what_exists_stays_as_it_is() {
        let dir = directory(0o1777);
        let path = dir.path().join("file");
        assert_eq!(create(&path).unwrap().metadata().unwrap().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(create(&path).unwrap().metadata().unwrap().mode() & 0o777, 0o640);
        sync_directory(&path).unwrap();
    }

    #[test]
    fn a_file_of_somebody_else_is_not_used_where_everybody_can_put_one() {
        let dir = directory(0o1777);
        let path = dir.path().join("file");
        create(&path).unwrap();
        if std::os::unix::fs::chown(&path, Some(65_534), None).is_err() {
            println!("SKIPPED: only root can give a file to somebody else");
            return;
        }
        // Where the kernel is told to (fs.protected_regular), it is the one that refuses.
        let error = create(&path).unwrap_err();
        let is_refused = error.kind() == io::ErrorKind::PermissionDenied;
        assert!(is_refused || error.to_string().contains("it belongs to user 65534"), "{error}");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        create(&path).unwrap();
    }
}
