//! `cargo xtask dist`: what is released, for every processor: archives and packages with checksums,
//! bills of materials, licences, and what a debugger needs.

mod archive;
mod bill;
mod build;
mod elf;
mod packages;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::component::{self, Choice, NO_OPTIMISER};
use crate::shell::{self, print};
use build::{TARGETS, Target};
use tools::Tools;

/// Files of the workspace that go with the programs.
const DOCUMENTS: [&str; 10] = [
    "LICENSE",
    "README.md",
    "OPERATING.md",
    "CHANGELOG.md",
    "plugins/fluent-bit/README.md",
    "crates/cli/README.md",
    "crates/client/README.md",
    "crates/core/README.md",
    "crates/host/README.md",
    "wit/source.wit",
];

/// Shells that completions are written for, with the file that each shell's manager looks for.
const COMPLETIONS: [(&str, &str); 3] =
    [("bash", "m365-audit"), ("zsh", "_m365-audit"), ("fish", "m365-audit.fish")];

/// Kept beside the release, not part of it.
const STAGES: &str = "stage";

/// What one release is made of.
#[derive(Debug)]
pub(crate) struct Options<'a> {
    /// One processor alone.
    pub(crate) only: Option<&'a str>,
    /// A folder with what was built before, which is then not built.
    pub(crate) built: Option<&'a Path>,
}

/// Builds everything into `dist` of the target directory.
///
/// # Errors
/// Something does not build, is not to be shipped, or a tool cannot be had.
pub(crate) fn run(options: &Options<'_>) -> Result<()> {
    let targets = targets(options)?;
    let place = shell::target_directory()?;
    let tools = Tools::install(&place)?;
    let epoch = epoch()?;
    let [component, command] = components(options)?;
    let dist = place.join("dist");
    if dist.exists() {
        fs::remove_dir_all(&dist).with_context(|| format!("emptying {}", dist.display()))?;
    }
    let mut manual = None;
    for target in targets {
        let Release { name, folder, debug } = Release::new(&dist, target)?;
        let built = match options.built {
            Some(folder) => build::found(folder),
            None => build::run(&tools, target, &component, &epoch)?,
        };
        build::ship(&tools, target, &built, &folder, &debug)?;
        let manual = manual.get_or_insert_with(|| folder.join("m365-audit")).clone();
        add_manual(&manual, &folder)?;
        copy(&component, &folder, &component)?;
        copy(&command, &folder, &command)?;
        for document in DOCUMENTS {
            copy(&shell::root().join(document), &folder, Path::new(&flat(document)))?;
        }
        bill::write(target.triple, &folder)?;
        packages::change_logs(&epoch, &dist.join(STAGES))?;
        packages::write(&tools, target, &epoch, &folder, &dist)?;
        archive::pack(&dist, &name, &epoch)?;
        archive::pack(&dist, &format!("{name}-debug"), &epoch)?;
    }
    sums(&dist)
}

/// The processors, the one of this machine first: its program writes the manual for all.
fn targets(options: &Options<'_>) -> Result<Vec<Target>> {
    let names = TARGETS.map(|target| target.name);
    let is_wanted = |name| options.only.is_none_or(|only| only == name);
    let here = std::env::consts::ARCH;
    let mut targets: Vec<_> = TARGETS.into_iter().filter(|target| is_wanted(target.name)).collect();
    targets.sort_by_key(|target| target.name != here);
    let Some(first) = targets.first() else {
        let only = options.only.unwrap_or_default();
        bail!("{only:?} is no processor that is built for; allowed: {}", names.join(", "));
    };
    ensure!(
        first.name == here,
        "the manual is written by a program that runs here: build for {here} as well"
    );
    ensure!(
        options.built.is_none() || targets.len() == 1,
        "--built names files for one processor: name it too, as --only {here}"
    );
    Ok(targets)
}

/// The WASM components, as small as they can be: the source, and the command.
fn components(options: &Options<'_>) -> Result<[PathBuf; 2]> {
    if let Some(folder) = options.built {
        return Ok(["m365_audit.wasm", "m365_audit_cli.wasm"].map(|name| folder.join(name)));
    }
    let toolchain = component::find(Choice::Auto)?;
    let built = [component::build(&toolchain)?, component::build_command(&toolchain)?];
    let are_optimised = built.iter().all(|component| component.size.optimised.is_some());
    ensure!(are_optimised, "components would be larger than they have to be: {NO_OPTIMISER}");
    Ok(built.map(|component| component.path))
}

/// The folders of one processor's release.
struct Release {
    name: String,
    folder: PathBuf,
    debug: PathBuf,
}

impl Release {
    fn new(dist: &Path, target: Target) -> Result<Self> {
        let name = format!("m365-audit-{}-{}-linux", env!("CARGO_PKG_VERSION"), target.name);
        let (folder, debug) = (dist.join(&name), dist.join(format!("{name}-debug")));
        for folder in [&folder, &debug, &dist.join(STAGES)] {
            fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        }
        Ok(Self { name, folder, debug })
    }
}

/// Manual pages, completions and schemas, written by the program itself.
fn add_manual(program: &Path, folder: &Path) -> Result<()> {
    let man = folder.join("man");
    fs::create_dir_all(&man).with_context(|| man.display().to_string())?;
    shell::read(shell::command(program).args(["man", "--output"]).arg(&man))?;
    for section in ["man1", "man5"] {
        let pages = man.join(section);
        let mut names = Vec::new();
        for page in fs::read_dir(&pages).with_context(|| pages.display().to_string())? {
            names.push(page.context("a page of the manual")?.path());
        }
        // As packages have to have them, and `man` reads them.
        shell::read(shell::command("gzip").args(["-n", "-9"]).args(names))?;
    }
    let completions = folder.join("completions");
    fs::create_dir_all(&completions).with_context(|| completions.display().to_string())?;
    let printed =
        COMPLETIONS.map(|(shell, file)| (vec!["completions", shell], completions.join(file)));
    let schemas = [("json-schema", "m365-audit"), ("tenants-json-schema", "tenants")];
    let schemas = schemas.map(|(format, name)| {
        (vec!["options", "--format", format], folder.join(format!("{name}.schema.json")))
    });
    for (arguments, file) in printed.into_iter().chain(schemas) {
        let text = shell::read(shell::command(program).args(arguments))?;
        fs::write(&file, text).with_context(|| file.display().to_string())?;
    }
    Ok(())
}

/// Most documents have the same name.
fn flat(document: &str) -> String {
    if document.ends_with(".wit") { "source.wit".into() } else { document.replace('/', "-") }
}

fn copy(from: &Path, folder: &Path, name: &Path) -> Result<()> {
    let to = folder.join(name.file_name().context("a file has a name")?);
    fs::copy(from, &to).with_context(|| format!("{} cannot be copied", from.display()))?;
    Ok(())
}

/// The time that all files of the release have: that of the commit, unless the surroundings say
/// another one.
fn epoch() -> Result<String> {
    const VARIABLE: &str = "SOURCE_DATE_EPOCH";
    if let Ok(epoch) = std::env::var(VARIABLE) {
        let is_number = epoch.parse::<u64>().is_ok();
        ensure!(is_number, "{VARIABLE} is {epoch:?}, and has to be a number of seconds");
        return Ok(epoch);
    }
    let time = shell::read(shell::command("git").args(["log", "-1", "--format=%ct"]));
    let time = time.with_context(|| format!("no commit to take the time from; set {VARIABLE}"))?;
    Ok(time.trim().to_owned())
}

/// The checksums of all that is released, which are what is signed.
fn sums(dist: &Path) -> Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dist).with_context(|| dist.display().to_string())? {
        let path = entry.context("a file of the release")?.path();
        if path.is_file() {
            names.push(path.file_name().unwrap_or_default().to_owned());
        }
    }
    names.sort();
    let sums = shell::read(shell::command("sha256sum").current_dir(dist).args(&names))?;
    fs::write(dist.join("SHA256SUMS"), &sums).context("SHA256SUMS")?;
    print(&format!("{}\n{}", dist.display(), sums.trim_end()));
    Ok(())
}
