//! The modules of a crate as its `mod` items declare them, and what each file names. Modules that
//! are compiled for tests or fuzz targets only are not looked at: they may name anything.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use syn::visit::Visit;
use syn::{Attribute, Item, Path};

use super::names::Names;

/// Path of a module below the root of its crate.
pub(super) type ModulePath = Vec<String>;

/// A path that code writes down.
#[derive(Clone, Debug)]
pub(super) struct Named {
    /// The module that it is written in.
    pub(super) within: ModulePath,
    pub(super) segments: Vec<String>,
    pub(super) line: usize,
}

/// What a name of a module stands for.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// Something that is defined there.
    Defined,
    /// Something from elsewhere.
    Imported(Vec<String>),
}

#[derive(Clone, Debug, Default)]
pub(super) struct Module {
    pub(super) file: String,
    pub(super) meanings: BTreeMap<String, Meaning>,
    /// From where everything is imported.
    pub(super) globs: Vec<Vec<String>>,
}

/// A source file.
#[derive(Clone, Debug, Default)]
pub(super) struct File {
    pub(super) module: ModulePath,
    pub(super) named: Vec<Named>,
    /// Every word of its code that is a name, and its line.
    pub(super) words: BTreeSet<(usize, String)>,
    /// Types that it holds methods of.
    pub(super) implemented: BTreeSet<String>,
}

/// A crate without its tests.
#[derive(Debug, Default)]
pub(super) struct Crate {
    pub(super) modules: BTreeMap<ModulePath, Module>,
    /// By path below `src`.
    pub(super) files: BTreeMap<String, File>,
}

/// A file that a `mod` item refers to.
struct Pending {
    module: ModulePath,
    file: String,
}

impl Crate {
    /// Reads the files of a crate, which `files` holds by their paths below `src`.
    ///
    /// # Errors
    /// A module has no file, or a file is not Rust.
    pub(super) fn read(files: &BTreeMap<String, String>) -> Result<Self> {
        let mut read = Self::default();
        let root = ["lib.rs", "main.rs"].into_iter().find(|root| files.contains_key(*root));
        let root = root.context("there is neither lib.rs nor main.rs")?;
        let mut pending = vec![Pending { module: Vec::new(), file: root.to_owned() }];
        while let Some(next) = pending.pop() {
            let text = &files[&next.file];
            let parsed = syn::parse_file(text).with_context(|| next.file.clone())?;
            let mut file = File { module: next.module.clone(), ..File::default() };
            let folder = folder_of_children(&next);
            let place = Place { module: &next.module, file: &next.file, folder: &folder };
            read.take(&parsed.items, &place, &mut file, files, &mut pending)?;
            read.files.insert(next.file, file);
        }
        Ok(read)
    }

    /// Takes the items of one module.
    fn take(
        &mut self,
        items: &[Item],
        place: &Place<'_>,
        file: &mut File,
        files: &BTreeMap<String, String>,
        pending: &mut Vec<Pending>,
    ) -> Result<()> {
        let mut names = Names::new(place.module);
        for item in items.iter().filter(|item| !is_for_tests(super::names::attributes(item))) {
            let Item::Mod(inner) = item else {
                names.take(item);
                continue;
            };
            names.visit_ident(&inner.ident);
            let name = inner.ident.to_string();
            let mut module = place.module.to_vec();
            module.push(name.clone());
            let folder = format!("{}{name}/", place.folder);
            if let Some((_, items)) = &inner.content {
                let place = Place { module: &module, file: place.file, folder: &folder };
                self.take(items, &place, file, files, pending)?;
                continue;
            }
            let candidates = [format!("{}{name}.rs", place.folder), format!("{folder}mod.rs")];
            let Some(found) = candidates.into_iter().find(|path| files.contains_key(path)) else {
                bail!("{}: `mod {name}` has no file", place.file);
            };
            pending.push(Pending { module, file: found });
        }
        let (meanings, globs) = (names.meanings, names.globs);
        let module = Module { file: place.file.to_owned(), meanings, globs };
        self.modules.insert(place.module.to_vec(), module);
        file.named.extend(names.named);
        file.words.extend(names.words);
        file.implemented.extend(names.implemented);
        Ok(())
    }
}

/// Where items stand.
struct Place<'a> {
    module: &'a [String],
    file: &'a str,
    /// Where the files of its modules are.
    folder: &'a str,
}

fn folder_of_children(of: &Pending) -> String {
    match of.file.strip_suffix("mod.rs") {
        Some(folder) => folder.to_owned(),
        None if of.module.is_empty() => String::new(),
        None => format!("{}/", of.file.trim_end_matches(".rs")),
    }
}

/// Whether this is compiled for tests or fuzz targets only.
pub(super) fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let mut is_test = false;
        if attribute.path().is_ident("cfg") {
            // What else stands in it has no bearing: `all(test, …)`, never `any(test, …)`.
            let is_one = |path: &Path| path.is_ident("test") || path.is_ident("fuzzing");
            let _ = attribute.parse_nested_meta(|meta| {
                is_test |= is_one(&meta.path);
                if meta.path.is_ident("all") {
                    meta.parse_nested_meta(|meta| {
                        is_test |= is_one(&meta.path);
                        Ok(())
                    })?;
                }
                Ok(())
            });
        }
        is_test
    })
}
