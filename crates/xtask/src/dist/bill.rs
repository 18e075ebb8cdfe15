//! What is inside of what is shipped: a bill of materials for programs (CycloneDX), and the
//! licences for people. From Cargo's own account of each file's packages, for one processor.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::shell;

/// How files that hold a licence, or what it asks to be told, begin.
const LICENCE_FILES: [&str; 5] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"];

/// What is shipped: Cargo's package, the features of the workspace that it is built with, and how
/// its bill is called.
const SHIPPED: [(&str, Option<&str>, &str); 3] = [
    ("m365-audit", Some("m365-audit/host"), "m365-audit"),
    ("m365-sim", None, "m365-sim"),
    ("in_m365_audit", None, "in_m365_audit"),
];

/// One package, by what Cargo calls it.
type Id = String;

/// All packages that Cargo knows, and what each is made of.
struct Packages {
    all: BTreeMap<Id, Value>,
    /// By `name vVERSION`, as `cargo tree` writes it.
    named: BTreeMap<String, Id>,
    edges: BTreeMap<Id, Vec<Id>>,
    /// Of each package of a registry, by `name@version`.
    checksums: BTreeMap<String, String>,
}

/// Writes a bill for each thing that is shipped, and one file of licences, into `folder`.
///
/// # Errors
/// Cargo does not say what is inside, or a package has no licence.
pub(super) fn write(triple: &str, folder: &Path) -> Result<()> {
    let packages = Packages::read()?;
    let mut everything = BTreeSet::new();
    for (package, features, name) in SHIPPED {
        let inside = packages.inside(package, features, triple)?;
        let bill = packages.bill(package, &inside)?;
        let file = folder.join(format!("{name}.cdx.json"));
        let text = format!("{bill:#}\n");
        fs::write(&file, text).with_context(|| file.display().to_string())?;
        everything.extend(inside);
    }
    let file = folder.join("THIRD-PARTY-LICENSES.txt");
    fs::write(&file, packages.licences(&everything)?).with_context(|| file.display().to_string())
}

impl Packages {
    fn read() -> Result<Self> {
        let metadata = shell::read(&mut shell::cargo(&[
            "metadata",
            "--locked",
            "--format-version",
            "1",
            "--all-features",
        ]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("Cargo's metadata")?;
        let lock = fs::read_to_string(shell::root().join("Cargo.lock")).context("Cargo.lock")?;
        let mut this = Self {
            all: BTreeMap::new(),
            named: BTreeMap::new(),
            edges: BTreeMap::new(),
            checksums: checksums(&lock),
        };
        for package in metadata["packages"].as_array().context("packages in Cargo's metadata")? {
            let id = text(package, "id")?.to_owned();
            let (name, version) = (text(package, "name")?, text(package, "version")?);
            this.named.insert(format!("{name} v{version}"), id.clone());
            this.all.insert(id, package.clone());
        }
        let nodes = metadata["resolve"]["nodes"].as_array().context("what depends on what")?;
        for node in nodes {
            let to = node["deps"].as_array().into_iter().flatten();
            let to = to.filter_map(|dependency| dependency["pkg"].as_str()).map(str::to_owned);
            this.edges.insert(text(node, "id")?.to_owned(), to.collect());
        }
        Ok(this)
    }

    /// Every package whose code may be in a file: what builds it and does not stay is left out.
    fn inside(&self, package: &str, features: Option<&str>, triple: &str) -> Result<BTreeSet<Id>> {
        let mut arguments = vec!["tree", "--locked", "--package", package, "--target", triple];
        arguments.extend(["--edges", "normal,no-proc-macro", "--prefix", "none", "--no-dedupe"]);
        arguments.extend(features.into_iter().flat_map(|features| ["--features", features]));
        let tree = shell::read(&mut shell::cargo(&arguments))?;
        let ids = tree.lines().map(|line| {
            let words: Vec<_> = line.split(' ').take(2).collect();
            let named = self.named.get(&words.join(" "));
            named.cloned().with_context(|| format!("{line}: not in Cargo's metadata"))
        });
        ids.collect()
    }

    fn bill(&self, root: &str, inside: &BTreeSet<Id>) -> Result<Value> {
        let mut components = Vec::new();
        let mut dependencies = Vec::new();
        let mut subject = Value::Null;
        for id in inside {
            let package = self.package(id)?;
            let component = self.component(package)?;
            let to = self.edges.get(id).into_iter().flatten().filter(|to| inside.contains(*to));
            let to: BTreeSet<String> =
                to.map(|to| self.package(to).and_then(address)).collect::<Result<_>>()?;
            dependencies.push(json!({"ref": address(package)?, "dependsOn": to}));
            if text(package, "name")? == root {
                subject = component
            } else {
                components.push(component)
            }
        }
        ensure!(!subject.is_null(), "{root} is not inside of itself");
        // Neither a time nor a random number: the same release has the same bill.
        Ok(json!({
            "$schema": "http://cyclonedx.org/schema/bom-1.5.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {"component": subject},
            "components": components,
            "dependencies": dependencies,
        }))
    }

    fn component(&self, package: &Value) -> Result<Value> {
        let (name, version) = (text(package, "name")?, text(package, "version")?);
        let purl = address(package)?;
        let mut component = json!({
            "type": "library",
            "bom-ref": purl,
            "name": name,
            "version": version,
            "purl": purl,
            "licenses": [{"expression": licence(package)?}],
        });
        if let Some(sum) = self.checksums.get(&format!("{name}@{version}")) {
            component["hashes"] = json!([{"alg": "SHA-256", "content": sum}]);
        }
        if let Some(repository) = package["repository"].as_str() {
            component["externalReferences"] = json!([{"type": "vcs", "url": repository}]);
        }
        if package["source"].is_null() {
            component["type"] = "application".into();
        }
        Ok(component)
    }

    /// Every package of others with its licence, then each text once.
    fn licences(&self, inside: &BTreeSet<Id>) -> Result<String> {
        let mut list = String::from(
            "What is shipped of m365-audit contains the following packages of others, each under \
             its own licence.\nTheir texts follow the list; a package without a number has none \
             in what its authors publish.\n\n",
        );
        let mut texts: Vec<String> = Vec::new();
        let others = inside.iter().map(|id| self.package(id)).collect::<Result<Vec<_>>>()?;
        for package in others.into_iter().filter(|package| !package["source"].is_null()) {
            let mut numbers = BTreeSet::new();
            for file in licence_files(package)? {
                let known = texts.iter().position(|text| *text == file);
                numbers.insert(
                    1 + known.unwrap_or_else(|| {
                        texts.push(file);
                        texts.len() - 1
                    }),
                );
            }
            let numbers: Vec<_> = numbers.iter().map(|number| format!("[{number}]")).collect();
            let (name, version) = (text(package, "name")?, text(package, "version")?);
            let home = package["repository"].as_str().unwrap_or_default();
            let licence = licence(package)?;
            let line = format!("{name} {version}: {licence} {} {home}", numbers.join(""));
            // Writing to a string does not fail.
            let _ = writeln!(list, "{}", line.trim_end());
        }
        for (i, text) in texts.iter().enumerate() {
            let _ = write!(list, "\n{}\n[{}]\n\n{text}\n", "=".repeat(80), i + 1);
        }
        Ok(list)
    }

    fn package(&self, id: &str) -> Result<&Value> {
        self.all.get(id).with_context(|| format!("{id} is in no package"))
    }
}

/// Where a package comes from, as bills write it.
fn address(package: &Value) -> Result<String> {
    Ok(format!("pkg:cargo/{}@{}", text(package, "name")?, text(package, "version")?))
}

/// A licence as SPDX writes it: some packages still have the slash of old.
fn licence(package: &Value) -> Result<String> {
    let name = text(package, "name")?;
    let licence = package["license"].as_str();
    let licence = licence.with_context(|| format!("{name} names no licence"))?;
    Ok(licence.split('/').map(str::trim).collect::<Vec<_>>().join(" OR "))
}

/// The texts that a package brings, in the order of their names.
fn licence_files(package: &Value) -> Result<Vec<String>> {
    let folder = Path::new(text(package, "manifest_path")?);
    let folder = folder.parent().context("a manifest is in a folder")?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let path = entry.context("a file of a package")?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_uppercase();
        if path.is_file() && LICENCE_FILES.iter().any(|start| name.starts_with(start)) {
            let bytes = fs::read(&path).with_context(|| path.display().to_string())?;
            let text = String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
            files.insert(name, text.trim().to_owned());
        }
    }
    Ok(files.into_values().collect())
}

/// The hashes that Cargo holds packages against.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let value = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().strip_prefix('=').map(|value| value.trim().trim_matches('"').to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) =
            (value("name "), value("version "), value("checksum "))
        {
            sums.insert(format!("{name}@{version}"), sum);
        }
    }
    sums
}

fn text<'a>(value: &'a Value, name: &str) -> Result<&'a str> {
    value[name].as_str().with_context(|| format!("Cargo's metadata has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bill_names_every_package_with_licence_and_hash() {
        let packages = Packages::read().unwrap();
        let triple = "x86_64-unknown-linux-gnu";
        let inside = packages.inside("in_m365_audit", None, triple).unwrap();
        let bill = packages.bill("in_m365_audit", &inside).unwrap();
        assert_eq!(bill["metadata"]["component"]["name"], "in_m365_audit");
        let components = bill["components"].as_array().unwrap();
        let named = |name: &str| components.iter().find(|component| component["name"] == name);
        // What is compiled from C is inside; what only tests or builds need is not.
        for name in ["ring", "libsqlite3-sys", "rustls", "m365-audit-core"] {
            assert!(named(name).is_some(), "{name}");
        }
        for name in ["m365-sim", "cc", "serde_derive", "wasmtime"] {
            assert!(named(name).is_none(), "{name}");
        }
        let ring = named("ring").unwrap();
        assert_eq!(ring["hashes"][0]["content"].as_str().map(str::len), Some(64));
        let refs: BTreeSet<&str> = bill["dependencies"]
            .as_array()
            .unwrap()
            .iter()
            .filter_map(|d| d["ref"].as_str())
            .collect();
        assert_eq!(refs.len(), components.len() + 1);
        let licences = packages.licences(&inside).unwrap();
        assert!(licences.contains("\nring 0."), "{licences}");
        assert!(!licences.contains("\nm365-audit-core "), "{licences}");
    }

    #[test]
    fn old_slashes_become_spdx() {
        let package = json!({"name": "x", "license": "MIT/Apache-2.0"});
        assert_eq!(licence(&package).unwrap(), "MIT OR Apache-2.0");
        assert!(licence(&json!({"name": "x", "license": null})).is_err());
    }
}
