//! Holds what a crate names against its rows.

use std::collections::{BTreeMap, BTreeSet};

use super::circles::circles;
use super::rows::Layered;
use super::tree::{Crate, ModulePath};

/// An import that the rows do not allow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Offence {
    pub(super) from: String,
    pub(super) line: usize,
    pub(super) to: String,
    pub(super) text: String,
}

impl Offence {
    /// As the lists of exceptions spell it.
    pub(super) fn key(&self) -> String {
        format!("{} -> {}", self.from, self.to)
    }
}

/// What was found in a crate.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    pub(super) offences: Vec<Offence>,
    pub(super) figures: Figures,
}

/// How a crate stands, in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Figures {
    pub(super) modules: usize,
    pub(super) files: usize,
    /// Pairs of files of which the first names the second, the root aside.
    pub(super) imports: usize,
    /// Those of them that go up, aside, or to what re-exports them.
    pub(super) against: usize,
    /// The files of each circle, the longest first.
    pub(super) circles: Vec<Vec<String>>,
}

/// Why nobody names what is above it in its own folder.
const HEAD: &str = "what is inside a folder does not name its head";

/// Who names whom, and where first.
type Imports = BTreeMap<(String, String), usize>;

/// Judges a crate.
pub(super) fn judge(read: &Crate, layered: &Layered) -> Findings {
    let mut judge = Judge { read, layered, offences: BTreeMap::new(), imports: Imports::new() };
    judge.rows();
    judge.paths();
    judge.circles();
    judge.sources();
    judge.findings()
}

struct Judge<'a> {
    read: &'a Crate,
    layered: &'a Layered,
    /// One a pair.
    offences: BTreeMap<(String, String), Offence>,
    imports: Imports,
}

impl Judge<'_> {
    fn accuse(&mut self, from: &str, line: usize, to: &str, why: &str) {
        self.note(from, line, to, format!("{from} names {to}: {why}"));
    }

    fn note(&mut self, from: &str, line: usize, to: &str, text: String) {
        let key = (from.to_owned(), to.to_owned());
        let (from, to) = key.clone();
        self.offences.entry(key).or_insert(Offence { from, line, to, text });
    }

    /// Every module stands in a row, and every name of a row is a module.
    fn rows(&mut self) {
        let read = self.read;
        for (path, module) in read.modules.iter().filter(|(path, _)| path.len() == 1) {
            if self.row(path).is_none() {
                self.note(&module.file, 1, "no row", "stands in no row".to_owned());
            }
        }
        let root = read.file_of(&Vec::new());
        for name in self.layered.rows.iter().copied().flatten() {
            if !read.modules.contains_key(&vec![(*name).to_owned()]) {
                let text = format!("declares no module `{name}`, which stands in a row");
                self.note(root, 1, name, text);
            }
        }
    }

    fn row(&self, module: &[String]) -> Option<usize> {
        let top = module.first()?;
        self.layered.rows.iter().position(|row| row.contains(&top.as_str()))
    }

    /// Every path that is written down.
    fn paths(&mut self) {
        let read = self.read;
        for (from, file) in &read.files {
            for named in &file.named {
                let Some(target) = read.resolve(named) else { continue };
                let (asked, to) = (read.file_of(&target.asked), read.file_of(&target.defined));
                // Its head may hold the state that its methods are about: private fields of a head
                // are seen below it, and nowhere else.
                let holds_methods = asked == to
                    && named.segments.last().is_some_and(|name| file.implemented.contains(name));
                let names_head = asked != from && file.module.starts_with(&target.asked);
                if names_head && holds_methods {
                    continue;
                }
                if to != from && !target.defined.is_empty() && !file.module.is_empty() {
                    self.imports.entry((from.clone(), to.to_owned())).or_insert(named.line);
                }
                if names_head {
                    let why = match target.asked.as_slice() {
                        [] => "nobody names the root of the crate",
                        _ => HEAD,
                    };
                    let instead = match to == asked {
                        true => String::new(),
                        false => format!(" (the name is defined in {to})"),
                    };
                    self.accuse(from, named.line, asked, &format!("{why}{instead}"));
                } else if to != from && file.module.starts_with(&target.defined) {
                    // By way of who passes the name on.
                    self.accuse(from, named.line, to, HEAD);
                } else if let Some(why) = self.direction(&file.module, &target.defined) {
                    self.accuse(from, named.line, to, &why);
                }
            }
        }
    }

    /// Why one module may not name the other.
    fn direction(&self, from: &[String], to: &[String]) -> Option<String> {
        let (here, there) = (from.first()?, to.first()?);
        if here == there {
            return None;
        }
        // What stands in no row is told once.
        let (lower, upper) = (self.row(from)?, self.row(to)?);
        match lower.cmp(&upper) {
            std::cmp::Ordering::Greater => None,
            std::cmp::Ordering::Equal => Some(format!("{here} and {there} stand in one row")),
            std::cmp::Ordering::Less => Some(format!("{there} stands above {here}")),
        }
    }

    /// Files of one folder that name each other in a circle. Who names the head of its folder is
    /// accused of that already.
    fn circles(&mut self) {
        let read = self.read;
        let within: BTreeSet<_> = self
            .imports
            .keys()
            .filter(|(from, to)| {
                let (from, to) = (&read.files[from].module, &read.files[to].module);
                from.first() == to.first() && !from.starts_with(to)
            })
            .cloned()
            .collect();
        for circle in circles(&within) {
            for (from, to) in within
                .iter()
                .filter(|(from, to)| circle.contains(from.as_str()) && circle.contains(to.as_str()))
            {
                let line = self.imports[&(from.clone(), to.clone())];
                let files: Vec<_> = circle.iter().copied().collect();
                let why = format!("a circle of {} files: {}", files.len(), files.join(", "));
                self.accuse(from, line, to, &why);
            }
        }
    }

    /// What all sources share knows none of them.
    fn sources(&mut self) {
        let read = self.read;
        let names = self.layered.sources;
        let row_of = |name: &&str| self.row(&[(*name).to_owned()]);
        let Some(lowest) = names.iter().filter_map(row_of).min() else { return };
        for (from, file) in &read.files {
            let lists = from == self.layered.list_of_sources;
            if lists || self.row(&file.module).is_none_or(|row| lowest <= row) {
                continue;
            }
            for (line, word) in &file.words {
                if names.contains(&word.as_str()) {
                    let why = "all sources share it, so it knows the name of none";
                    self.accuse(from, *line, word, why);
                }
            }
        }
    }

    fn findings(self) -> Findings {
        let pairs: BTreeSet<_> = self.imports.keys().cloned().collect();
        let owned = |circle: BTreeSet<&str>| circle.into_iter().map(str::to_owned).collect();
        let mut found: Vec<Vec<String>> = circles(&pairs).into_iter().map(owned).collect();
        found.sort_by_key(|files| std::cmp::Reverse(files.len()));
        let is_import = |(from, to): &&(String, String)| {
            self.read.files.contains_key(from) && self.read.files.contains_key(to)
        };
        let figures = Figures {
            modules: self.read.modules.keys().filter(|path| path.len() == 1).count(),
            files: self.read.files.len(),
            imports: pairs.len(),
            against: self.offences.keys().filter(is_import).count(),
            circles: found,
        };
        Findings { offences: self.offences.into_values().collect(), figures }
    }
}

impl Crate {
    fn file_of(&self, module: &ModulePath) -> &str {
        self.modules.get(module).map_or("", |module| &module.file)
    }
}
