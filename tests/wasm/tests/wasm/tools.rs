//! What the examples need from npm and PyPI, installed once into the user's cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The examples.
pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")
}

/// A folder with the packages of `examples/wasm-node` below `node_modules`.
///
/// # Errors
/// Why there is none.
pub(crate) fn node() -> Result<PathBuf, String> {
    for program in ["node", "npm"] {
        run(Command::new(program).arg("--version"))?;
    }
    let manifest = examples().join("wasm-node/package.json");
    install("node", &manifest, |folder| {
        fs::copy(&manifest, folder.join("package.json")).map_err(|error| error.to_string())?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--fetch-retries=1"]);
        run(npm.args(["--fetch-timeout=60000", "--loglevel=error"]).current_dir(folder))
    })
}

/// A folder with the packages of `examples/wasm-python`, for `PYTHONPATH`.
///
/// # Errors
/// Why there is none.
pub(crate) fn python() -> Result<PathBuf, String> {
    let requirements = examples().join("wasm-python/requirements.txt");
    install("python", &requirements, |folder| {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--retries", "1", "--timeout", "60"]);
        run(pip.arg("--target").arg(folder).arg("--requirement").arg(&requirements))
    })
}

/// The folder `name` of the cache, made by `install` unless it was made from the same list.
fn install(
    name: &str,
    list: &Path,
    install: impl Fn(&Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let said = |error: std::io::Error| error.to_string();
    let absolute = |name: &str| env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .ok_or("neither XDG_CACHE_HOME nor HOME is set")?
        .join("m365-audit");
    let (folder, wanted) = (cache.join(name), fs::read(list).map_err(said)?);
    let mark = folder.join("installed-from");
    if fs::read(&mark).is_ok_and(|made| made == wanted) {
        return Ok(folder);
    }
    let made = cache.join(format!("{name}.{}", std::process::id()));
    fs::create_dir_all(&made).map_err(said)?;
    let result = install(&made).and_then(|()| {
        fs::write(made.join("installed-from"), &wanted).map_err(said)?;
        if folder.exists() {
            fs::remove_dir_all(&folder).map_err(said)?;
        }
        fs::rename(&made, &folder).map_err(said)
    });
    if result.is_err() {
        // What is left of it would only take room.
        let _ = fs::remove_dir_all(&made);
    }
    result.map(|()| folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output =
        command.stdin(Stdio::null()).output().map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{name} failed ({}): {}", output.status, said.trim()))
}
