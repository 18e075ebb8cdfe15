//! Archives that come out the same wherever and whenever they are made: sorted, without owners,
//! with one time for every file.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::shell;

/// Packs the folder `name` of `dist` into `name.tar.gz` beside it, and answers that name.
///
/// # Errors
/// It cannot be read or written.
pub(super) fn pack(dist: &Path, name: &str, epoch: &str) -> Result<String> {
    settle_modes(&dist.join(name))?;
    let archive = format!("{name}.tar.gz");
    let file = dist.join(&archive);
    let to = fs::File::create(&file).with_context(|| file.display().to_string())?;
    let mut tar = shell::command("tar");
    tar.current_dir(dist).env("LC_ALL", "C");
    tar.args(["--create", "--format=ustar", "--sort=name", "--owner=0", "--group=0"]);
    tar.args(["--numeric-owner", &format!("--mtime=@{epoch}"), name]);
    let mut child = tar.stdout(Stdio::piped()).spawn().context("tar cannot be started")?;
    let packed = child.stdout.take().context("its output is piped")?;
    // Without the name and the time of what it packs.
    let zipped = shell::command("gzip").args(["-n", "-9"]).stdin(packed).stdout(to).status();
    ensure!(zipped.context("gzip cannot be started")?.success(), "gzip failed");
    ensure!(child.wait().context("tar")?.success(), "tar failed; it has to be GNU's");
    Ok(archive)
}

/// A umask must not show.
fn settle_modes(folder: &Path) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.context("a file of the release")?.path();
        let metadata = fs::metadata(&path).with_context(|| path.display().to_string())?;
        if metadata.is_dir() {
            settle_modes(&path)?;
        }
        let runs = metadata.is_dir() || metadata.permissions().mode() & 0o100 != 0;
        set_mode(&path, if runs { 0o755 } else { 0o644 })?;
    }
    set_mode(folder, 0o755)
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_files_are_the_same_archive() {
        let archives = [(0o600, "b", "a"), (0o666, "a", "b")].map(|(mode, first, second)| {
            let dist = tempfile::tempdir().unwrap();
            let folder = dist.path().join("x");
            fs::create_dir_all(folder.join("inside")).unwrap();
            for name in [first, second] {
                let path = folder.join("inside").join(name);
                fs::write(&path, name).unwrap();
                set_mode(&path, mode).unwrap();
            }
            let name = pack(dist.path(), "x", "1700000000").unwrap();
            fs::read(dist.path().join(name)).unwrap()
        });
        assert_eq!(archives[0], archives[1]);
    }
}
