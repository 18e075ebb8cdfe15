//! A private Rust toolchain for WASM from Debian's packages: unpacked into a folder of its own and
//! run by its own loader, so that nothing on the system changes and its version does not matter.
//!
//! For machines where rustup cannot fetch the target but the Debian mirror can be reached. The
//! mirror is the one that the machine's apt is set up for; apt checks the signatures as always.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::toolchain::{TARGET, sysroot};
use crate::shell::{self, say};

/// The suite whose compiler is at least as new as ours. The stable ones are frozen for years.
const SUITE: &str = "forky";

/// The only architecture for which this was tried: Debian's name, and its library folder.
const ARCHITECTURE: &str = "amd64";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Where the linkers are, in a sysroot.
const LINKERS: &str = "lib/rustlib/x86_64-unknown-linux-gnu/bin";

/// Who signs Debian's indexes.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The compiler in `cache`, which is made if it is not there or does not run.
///
/// # Errors
/// It cannot be made here.
pub(crate) fn toolchain(cache: &Path) -> Result<PathBuf> {
    let folder = cache.join(format!("rust-{SUITE}"));
    let rustc = folder.join("bin/rustc");
    if works(&rustc) {
        return Ok(rustc);
    }
    let made = cache.join(format!("rust-{SUITE}.{}", std::process::id()));
    say(&format!(
        "Making a Rust toolchain for WASM from Debian {SUITE} in {} ...",
        cache.display()
    ));
    let result = make(&made).and_then(|()| {
        remove(&folder)?;
        fs::rename(&made, &folder).with_context(|| folder.display().to_string())
    });
    if let Err(error) = result {
        // What is left of it would only take room.
        let _ = remove(&made);
        return Err(error);
    }
    ensure!(works(&rustc), "{} does not run", rustc.display());
    Ok(rustc)
}

fn works(rustc: &Path) -> bool {
    let mut version = Command::new(rustc);
    version.args(["--target", TARGET, "--print", "target-libdir"]);
    let output = shell::output(&mut version);
    let folder = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    folder.is_some_and(|folder| Path::new(folder.trim()).is_dir())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", folder.display()))
        }
        _ => Ok(()),
    }
}

fn make(folder: &Path) -> Result<()> {
    ensure!(std::env::consts::ARCH == "x86_64", "only for x86-64");
    let apt = Apt::new(&folder.join("apt"))?;
    apt.run("apt-get", &["-qq", "update"])?;
    let packages = apt.packages()?;
    let debs = folder.join("debs");
    fs::create_dir_all(&debs).context("a folder for packages")?;
    let mut download = apt.command("apt-get");
    download.current_dir(&debs).args(["-qq", "download"]).args(&packages);
    shell::read(&mut download)?;
    let root = folder.join("root");
    fs::create_dir_all(&root).context("a folder for the toolchain")?;
    for deb in fs::read_dir(&debs).context("the packages")? {
        unpack(&deb.context("a package")?.path(), &root)?;
    }
    remove(&debs)?;
    remove(&folder.join("apt"))?;
    link_linkers(&root)?;
    write_wrapper(folder)
}

/// apt with folders of its own.
struct Apt {
    config: PathBuf,
}

impl Apt {
    fn new(folder: &Path) -> Result<Self> {
        for name in ["lists/partial", "cache/archives/partial"] {
            fs::create_dir_all(folder.join(name)).context("folders for apt")?;
        }
        ensure!(Path::new(KEYRING).exists(), "there is no {KEYRING}; is this Debian?");
        let mirror = mirror()?;
        let sources = folder.join("sources.list");
        let options = format!("arch={ARCHITECTURE} signed-by={KEYRING}");
        write(&sources, &format!("deb [{options}] {mirror} {SUITE} main\n"))?;
        write(&folder.join("status"), "")?;
        let path = |name: &str| folder.join(name).display().to_string();
        let config = folder.join("apt.conf");
        let text = format!(
            "Dir::State::Lists \"{}\";\nDir::State::status \"{}\";\nDir::Cache \"{}\";\n\
             Dir::Etc::sourcelist \"{}\";\nDir::Etc::sourceparts \"-\";\n\
             Acquire::Languages \"none\";\nAcquire::Retries \"3\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
             APT::Architecture \"{ARCHITECTURE}\";\nAPT::Install-Recommends \"false\";\n\
             APT::Sandbox::User \"root\";\n",
            path("lists"),
            path("status"),
            path("cache"),
            sources.display(),
        );
        write(&config, &text)?;
        Ok(Self { config })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = shell::command(program);
        command.env("APT_CONFIG", &self.config);
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        shell::read(self.command(program).args(arguments))
    }

    /// What is downloaded: the compiler, both standard libraries, and every shared library that
    /// the compiler needs.
    fn packages(&self) -> Result<Vec<String>> {
        let show = self.run("apt-cache", &["show", "--no-all-versions", "rustc"])?;
        let version = field(&show, "Version: ").context("rustc has no version in apt's index")?;
        let mut packages: Vec<_> = ["rustc", "libstd-rust-dev", "libstd-rust-dev-wasm32"]
            .iter()
            .map(|name| format!("{name}={version}"))
            .collect();
        let show = self.run("apt-cache", &["show", "--no-all-versions", "libstd-rust-dev"])?;
        let depends = field(&show, "Depends: ").context("libstd-rust-dev depends on nothing")?;
        let std = depends
            .split([',', ' '])
            .find(|word| word.starts_with("libstd-rust-") && *word != "libstd-rust-dev")
            .context("libstd-rust-dev names no shared library")?;
        let no = ["recommends", "suggests", "conflicts", "breaks", "replaces", "enhances"];
        let no = no.map(|kind| format!("--no-{kind}"));
        let mut depends = self.command("apt-cache");
        depends.args(["depends", "--recurse"]).args(no).arg(std);
        packages.extend(libraries(&shell::read(&mut depends)?));
        Ok(packages)
    }
}

/// The mirror that this machine's apt uses for Debian itself.
fn mirror() -> Result<String> {
    let mut files: Vec<PathBuf> = vec!["/etc/apt/sources.list".into()];
    if let Ok(folder) = fs::read_dir("/etc/apt/sources.list.d") {
        files.extend(folder.flatten().map(|entry| entry.path()));
    }
    files.sort();
    let texts = files.iter().filter_map(|file| fs::read_to_string(file).ok());
    let found = texts.filter_map(|text| first_mirror(&text)).next();
    found.context("apt's sources name no Debian mirror")
}

/// The first address of Debian's main archive in a file of either form.
fn first_mirror(text: &str) -> Option<String> {
    let words = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("URIs:").or_else(|| line.strip_prefix("deb "))?;
        rest.split_whitespace().find(|word| word.contains("://"))
    });
    let main = |word: &&str| word.contains("debian") && !word.contains("security");
    words.into_iter().find(main).map(ToOwned::to_owned)
}

/// The value of the first line that begins with `name`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name))
}

/// The packages among apt's dependencies that are shared libraries.
fn libraries(depends: &str) -> Vec<String> {
    let is_name = |line: &&str| {
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".+-".contains(c);
        (line.starts_with("lib") || *line == "zlib1g") && line.chars().all(legal)
    };
    let mut names: Vec<String> = depends.lines().filter(is_name).map(ToOwned::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Unpacks what a compiler needs of a package.
fn unpack(deb: &Path, root: &Path) -> Result<()> {
    let name = deb.file_name().unwrap_or_default().to_string_lossy();
    let tar = deb.with_extension("tar");
    let file = fs::File::create(&tar).with_context(|| tar.display().to_string())?;
    let status = Command::new("dpkg-deb").arg("--fsys-tarfile").arg(deb).stdout(file).status();
    ensure!(status.context("dpkg-deb cannot be started")?.success(), "{name} is no package");
    let mut extract = shell::command("tar");
    extract.arg("-xf").arg(&tar).arg("-C").arg(root).arg("--wildcards");
    if name.starts_with("libstd-rust-dev-wasm32_") {
        extract.arg(format!("./usr/lib/rustlib/{TARGET}/*"));
    } else {
        extract.args(["--exclude", "./usr/share/*", "--exclude", "*/gconv/*", "./usr/*"]);
    }
    shell::read(&mut extract)?;
    fs::remove_file(&tar).with_context(|| tar.display().to_string())
}

/// Debian's compiler has no linkers for WASM; those of the toolchain at hand serve. By a link and
/// not a copy, for they find their own libraries from where they are.
fn link_linkers(root: &Path) -> Result<()> {
    let linkers = sysroot()?.join(LINKERS);
    if !linkers.join("wasm-component-ld").exists() {
        bail!("{} has no wasm-component-ld", linkers.display());
    }
    let link = root.join("usr").join(LINKERS);
    remove(&link)?;
    symlink(&linkers, &link).with_context(|| link.display().to_string())
}

/// A script that runs the compiler by its own loader.
fn write_wrapper(folder: &Path) -> Result<()> {
    let script = format!(
        "#!/bin/sh\nroot=$(dirname \"$(dirname \"$(readlink -f \"$0\")\")\")/root\n\
         exec \"$root/{LIBRARIES}/ld-linux-x86-64.so.2\" --argv0 \"$root/usr/bin/rustc\" \
         --library-path \"$root/{LIBRARIES}\" \"$root/usr/bin/rustc\" \"$@\"\n"
    );
    let bin = folder.join("bin");
    fs::create_dir_all(&bin).context("a folder for the compiler")?;
    let path = bin.join("rustc");
    write(&path, &script)?;
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&path, executable).with_context(|| path.display().to_string())
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_sources_are_read() {
        let old = "# deb http://x\ndeb [arch=amd64] http://mirror.example/debian-security a main\n\
                   deb [signed-by=/k] http://mirror.example/debian bookworm main\n";
        assert_eq!(first_mirror(old).as_deref(), Some("http://mirror.example/debian"));
        let new = "Types: deb\nURIs: https://mirror.example/debian/\nSuites: bookworm\n";
        assert_eq!(first_mirror(new).as_deref(), Some("https://mirror.example/debian/"));
        assert_eq!(first_mirror("deb http://mirror.example/ubuntu noble main"), None);
    }

    #[test]
    fn only_libraries_are_taken() {
        let depends = "libstd-rust-1.97\n  Depends: libc6\n  Depends: libllvm22\nlibc6\nlibllvm22\n\
                       zlib1g\nlibc6\ngcc-16-base\n<libfoo>\n";
        assert_eq!(libraries(depends), ["libc6", "libllvm22", "libstd-rust-1.97", "zlib1g"]);
    }
}
