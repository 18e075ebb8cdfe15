//! The classic format: `[SECTION]`, indented lines of a key and a value, `@INCLUDE` and `@SET`.

use std::path::Path;
use std::rc::Rc;

use crate::fluent_bit::pipeline::{Pipeline, Place, Section, Setting};

/// Reads a file's text, and what it includes; `root` is where the first file is.
pub(super) fn read(pipeline: &mut Pipeline, file: &Rc<Path>, text: &str, root: &Path) {
    let mut current: Option<(String, Section)> = None;
    let mut in_group = false;
    for (at, line) in text.lines().enumerate() {
        let place = Place { file: Rc::clone(file), line: at + 1 };
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let indented = line.starts_with([' ', '\t']);
        if !indented && line.starts_with('@') {
            command(pipeline, line, &place, root);
        } else if !indented && line.starts_with('[') {
            keep(pipeline, current.take());
            in_group = false;
            match line[1..].split_once(']') {
                Some((name, _)) => {
                    current = Some((name.trim().to_ascii_lowercase(), Section::new(place)));
                }
                None => {
                    pipeline.fail(&place.to_string(), "a section without its ]", "write [INPUT]")
                }
            }
        } else if let Some((_, section)) = &mut current {
            if trimmed.starts_with('[') {
                in_group = true;
                section.has_processors |= trimmed.to_ascii_lowercase().starts_with("[processors");
            } else if !in_group {
                match setting(trimmed, place) {
                    Ok(setting) => section.settings.push(setting),
                    Err(place) => pipeline.fail(
                        &place.to_string(),
                        "a key without a value",
                        "write a key, a space and its value, or leave the line out",
                    ),
                }
            }
        } else {
            pipeline.fail(&place.to_string(), "stands in no section", "write [INPUT] above it");
        }
    }
    keep(pipeline, current);
}

fn keep(pipeline: &mut Pipeline, section: Option<(String, Section)>) {
    if let Some((kind, section)) = section {
        pipeline.add(&kind, section);
    }
}

fn setting(line: &str, place: Place) -> Result<Setting, Place> {
    match line.split_once([' ', '\t']) {
        Some((key, value)) if !value.trim().is_empty() => {
            let values = vec![value.trim().to_owned()];
            Ok(Setting { key: key.to_ascii_lowercase(), values, place })
        }
        _ => Err(place),
    }
}

/// `@INCLUDE PATTERN`, `@SET NAME=VALUE`.
fn command(pipeline: &mut Pipeline, line: &str, place: &Place, root: &Path) {
    let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    match &*word.to_ascii_uppercase() {
        "@INCLUDE" => {
            // Here, or beside the first file.
            let base = if Path::new(rest.trim()).exists() { Path::new("") } else { root };
            for path in pipeline.included(rest.trim(), base, place) {
                if let Some((file, text)) = pipeline.open(&path, &place.to_string()) {
                    read(pipeline, &file, &text, root);
                }
            }
        }
        "@SET" => match rest.split_once('=') {
            Some((name, value)) => pipeline.variables.set(name.trim(), value.trim()),
            None => pipeline.fail(&place.to_string(), "@SET without =", "write @SET NAME=VALUE"),
        },
        _ => {}
    }
}
