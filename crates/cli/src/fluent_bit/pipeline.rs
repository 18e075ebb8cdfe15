//! What the files of a configuration say, and which of them were read.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::fluent_bit::variables::Variables;

/// Bounds what is read: no configuration is as large.
const FILE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// As many files as Fluent Bit reads.
const FILES_MAX: usize = 32;

/// A file and a line in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(super) file: Rc<Path>,
    pub(super) line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One key of a section.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    /// In lower case: Fluent Bit takes any.
    pub(crate) key: String,
    /// What stands there, with its variables; several for a sequence.
    pub(crate) values: Vec<String>,
    pub(crate) place: Place,
}

/// An input, a filter, an output, or the service.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) place: Place,
    pub(crate) settings: Vec<Setting>,
    /// Whether it has processors.
    pub(crate) has_processors: bool,
}

impl Section {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, settings: Vec::new(), has_processors: false }
    }

    /// The first value under this key, as it stands there.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        setting.values.first().map(String::as_str)
    }
}

/// Something that keeps Fluent Bit from reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) place: String,
    pub(crate) problem: String,
    pub(crate) remedy: String,
}

/// All that the files say.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) service: Option<Section>,
    pub(crate) inputs: Vec<Section>,
    pub(crate) outputs: Vec<Section>,
    pub(crate) variables: Variables,
    pub(crate) problems: Vec<Problem>,
    read: BTreeSet<PathBuf>,
}

impl Pipeline {
    /// Nothing yet, with the variables of this process.
    pub(super) fn new() -> Self {
        Self {
            service: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            variables: Variables::of_this_process(),
            problems: Vec::new(),
            read: BTreeSet::new(),
        }
    }

    /// The text of a file that was not read before, and what messages call it.
    pub(super) fn open(&mut self, path: &Path, told_at: &str) -> Option<(Rc<Path>, String)> {
        let shown = path.display();
        if FILES_MAX <= self.read.len() {
            let problem = format!("{shown}: more than {FILES_MAX} files");
            self.fail(told_at, problem, "Fluent Bit reads no more; join some");
            return None;
        }
        let known = fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf());
        if !self.read.insert(known) {
            self.fail(told_at, format!("{shown} is included twice"), "include it once");
            return None;
        }
        match read_bounded(path) {
            Ok(text) => Some((Rc::from(path), text)),
            Err(problem) => {
                self.fail(told_at, format!("{shown} {problem}"), "name a readable file");
                None
            }
        }
    }

    /// The files that an include names. `base` is where it begins.
    pub(super) fn included(&mut self, pattern: &str, base: &Path, place: &Place) -> Vec<PathBuf> {
        let path = base.join(pattern);
        if !pattern.contains('*') {
            return vec![path];
        }
        let found = glob::glob(&path.to_string_lossy()).ok().into_iter().flatten().flatten();
        let found: Vec<_> = found.collect();
        if found.is_empty() {
            let remedy = "Fluent Bit refuses an include that matches nothing: leave it out";
            self.fail(&place.to_string(), "no file matches this include", remedy);
        }
        found
    }

    pub(super) fn fail(&mut self, place: &str, problem: impl Into<String>, remedy: &str) {
        let (problem, remedy) = (problem.into(), remedy.to_owned());
        self.problems.push(Problem { place: place.to_owned(), problem, remedy });
    }

    /// Where sections of this kind go, in the words of both formats; `None` for those that are of
    /// no interest.
    pub(super) fn add(&mut self, kind: &str, section: Section) {
        match kind {
            "service" => self.service = Some(section),
            "input" | "inputs" => self.inputs.push(section),
            "output" | "outputs" => self.outputs.push(section),
            _ => {}
        }
    }
}

fn read_bounded(path: &Path) -> Result<String, String> {
    let told = |error: std::io::Error| format!("cannot be read: {error}");
    let length = fs::metadata(path).map_err(told)?.len();
    if FILE_BYTES_MAX < length {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes"));
    }
    let bytes = fs::read(path).map_err(told)?;
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}
