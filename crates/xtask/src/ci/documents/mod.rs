//! The check *documents*: what the documents name exists. Links between them lead to files and
//! headings that there are, paths in them to files; what INVARIANTS.md names, stands in the code;
//! ARCHITECTURE.md stays a map, and README.md the first page; phrases that were replaced stay away.
//! Looks at nothing outside the workspace.

mod code;
mod markdown;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::code::Code;
use self::markdown::Page;
use super::tidy;
use crate::shell;

/// A map that is longer is not read.
const MAP_BYTES_MAX: usize = 15_000;

/// What a newcomer reads in a few minutes.
const FIRST_PAGE_LINES_MAX: usize = 150;

const FIRST_PAGE: &str = "README.md";
const MAP: &str = "ARCHITECTURE.md";
const INVARIANTS: &str = "INVARIANTS.md";
/// Tells of files as they were.
const PAST: &str = "CHANGELOG.md";

const CORE: &str = "crates/core/src";

/// The map names each folder in these.
const MAPPED: [&str; 4] = ["crates", "plugins", "tests", CORE];

/// What begins so is a path.
const FOLDERS: [&str; 7] =
    ["crates/", "plugins/", "tests/", "examples/", "wit/", ".ci/", ".cargo/"];

/// Applies every rule to every document.
///
/// # Errors
/// Some document breaks one; all that is wrong is listed.
pub(crate) fn check() -> Result<()> {
    let root = &shell::root();
    let mut broken = Vec::new();
    for path in tidy::files(|name| Path::new(name).extension().is_some_and(|e| e == "md"))? {
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let page = Page::read(&read(&path)?);
        let problems = links(&page, &path)?.into_iter().chain(paths(&page, &path, &shown));
        broken.extend(problems.map(|why| format!("{shown}: {why}")));
    }
    for path in tidy::files(|name| name.ends_with(".md") || name.ends_with(".rs"))? {
        // The one that lists them.
        if !path.ends_with("documents/words.rs") {
            let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            let problems = words::problems(&read(&path)?);
            broken.extend(problems.into_iter().map(|why| format!("{shown}: {why}")));
        }
    }
    let invariants = Page::read(&read(&root.join(INVARIANTS))?);
    let code = Code::read(root)?;
    ensure!(!invariants.spans.is_empty(), "{INVARIANTS} names nothing");
    let unknown = invariants.spans.iter().filter(|span| !code.knows(span, root));
    broken.extend(unknown.map(|span| format!("{INVARIANTS}: nothing is called `{span}`")));
    broken.extend(map(&read(&root.join(MAP))?, &mapped(root)?));
    broken.extend(first_page(&read(&root.join(FIRST_PAGE))?));
    if !broken.is_empty() {
        bail!("{} names or links to put right:\n{}", broken.len(), broken.join("\n"));
    }
    Ok(())
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| path.display().to_string())
}

/// Links of a page that lead nowhere.
fn links(page: &Page, path: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    for link in page.links.iter().filter(|link| !is_elsewhere(link)) {
        let (file, heading) = link.split_once('#').unwrap_or((link, ""));
        let target = match file {
            "" => path.to_path_buf(),
            file => path.with_file_name(file),
        };
        if !target.exists() {
            broken.push(format!("the link {link} leads to no file"));
        } else if !heading.is_empty()
            && target.extension().is_some_and(|extension| extension == "md")
            && !Page::read(&read(&target)?).headings.iter().any(|known| known == heading)
        {
            broken.push(format!("the link {link} leads to no heading"));
        }
    }
    Ok(broken)
}

fn is_elsewhere(link: &str) -> bool {
    link.contains("://") || link.starts_with("mailto:")
}

/// Paths that a page names and that do not exist: neither from the root of the workspace, nor from
/// the page's own folder or the sources in it, nor from the sources of the core.
fn paths(page: &Page, path: &Path, shown: &str) -> Vec<String> {
    let root = &shell::root();
    let own = path.parent().unwrap_or(root);
    let bases = [root.to_path_buf(), own.to_path_buf(), own.join("src"), root.join(CORE)];
    let exists = |name: &str| bases.iter().any(|base| base.join(name).exists());
    let spans = page.spans.iter().filter(|span| shown != PAST && is_path(span));
    spans.filter(|name| !exists(name)).map(|name| format!("there is no `{name}`")).collect()
}

/// Whether these words are meant as the path of one file or folder of ours.
fn is_path(words: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '-' | '_');
    let begins = FOLDERS.iter().any(|folder| words.starts_with(folder));
    let is_source = words.contains('/') && words.ends_with(".rs") && !words.starts_with('/');
    words.chars().all(is_plain) && (begins || is_source)
}

/// The names of folders that the map has a line for.
fn mapped(root: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for folder in MAPPED {
        let folder = root.join(folder);
        for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
            let path: PathBuf = entry.with_context(|| folder.display().to_string())?.path();
            if path.is_dir() {
                names.extend(path.file_name().and_then(|name| name.to_str()).map(str::to_owned));
            }
        }
    }
    names.sort();
    Ok(names)
}

/// What is wrong with the first page: too long.
fn first_page(text: &str) -> Option<String> {
    let lines = text.lines().count();
    (FIRST_PAGE_LINES_MAX < lines).then(|| {
        format!(
            "{FIRST_PAGE}: {lines} lines, more than {FIRST_PAGE_LINES_MAX}: how to run it stands in \
             OPERATING.md, the rest in the README of the crate that it is about"
        )
    })
}

/// What is wrong with the map: too long, or a folder is missing.
fn map(text: &str, folders: &[String]) -> Vec<String> {
    let spans = Page::read(text).spans;
    let is_named = |folder: &&String| {
        spans.iter().any(|span| span.trim_end_matches('/').rsplit('/').next() == Some(folder))
    };
    let missing = folders.iter().filter(|folder| !is_named(folder));
    let missing = missing.map(|folder| format!("{MAP}: has no line on the folder `{folder}`"));
    let too_long = (MAP_BYTES_MAX < text.len()).then(|| {
        format!(
            "{MAP}: {} bytes, more than {MAP_BYTES_MAX}: it is a map; what a module decides \
             stands in the module's head",
            text.len()
        )
    });
    missing.chain(too_long).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page in a folder with one file beside it.
    fn with_page(text: &str, check: impl Fn(&Page, &Path)) {
        let folder = tempfile::tempdir().expect("a folder can be made");
        fs::create_dir(folder.path().join("src")).expect("a folder can be made");
        fs::write(folder.path().join("src/there.rs"), "").expect("a file can be written");
        let path = folder.path().join("README.md");
        fs::write(&path, text).expect("a file can be written");
        check(&Page::read(text), &path);
    }

    #[test]
    fn what_our_documents_name_exists() {
        check().unwrap();
    }

    #[test]
    fn a_link_leads_to_a_file_and_a_heading() {
        let text = "# The top\n[a](src/there.rs) [b](#the-top) [c](README.md#the-top) \
                    [d](https://nowhere.example/x) [e](src/gone.rs) [f](#gone) [g](GONE.md#top)";
        with_page(text, |page, path| {
            let broken = links(page, path).expect("files can be read");
            assert_eq!(
                broken,
                [
                    "the link src/gone.rs leads to no file",
                    "the link #gone leads to no heading",
                    "the link GONE.md#top leads to no file",
                ]
            );
        });
    }

    #[test]
    fn a_path_is_one_of_the_workspace_or_of_the_pages_folder() {
        let text = "`src/there.rs` `there.rs` `crates/xtask` `base/mod.rs` `src/gone.rs` `crates/gone` \
                    `tests/*` `words` `/dev/gone.rs`";
        with_page(text, |page, path| {
            assert_eq!(
                paths(page, path, "README.md"),
                ["there is no `src/gone.rs`", "there is no `crates/gone`"]
            );
            assert_eq!(paths(page, path, PAST), [""; 0]);
        });
    }

    #[test]
    fn a_first_page_is_short() {
        assert_eq!(first_page(&"line\n".repeat(FIRST_PAGE_LINES_MAX)), None);
        let problem = first_page(&"line\n".repeat(FIRST_PAGE_LINES_MAX + 1)).expect("too long");
        assert!(problem.contains("151 lines"), "{problem}");
    }

    #[test]
    fn a_map_is_short_and_names_each_folder() {
        let folders = ["base".to_owned(), "sim".to_owned()];
        assert_eq!(map("`base/` and `crates/sim`", &folders), [""; 0]);
        let long = format!("`base` is based {}", "x".repeat(MAP_BYTES_MAX));
        let problems = map(&long, &folders);
        assert_eq!(problems.len(), 2);
        assert!(problems[0].contains("`sim`") && problems[1].contains("15016 bytes"));
    }
}
