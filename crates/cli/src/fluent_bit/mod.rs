//! A configuration of Fluent Bit, read as Fluent Bit reads it: both of its formats, the files that
//! they include, and its variables. Judges no value. Never repeats a line of a file in a message:
//! it may hold the secret.

mod classic;
mod pipeline;
mod variables;
mod yaml;

use std::path::Path;

pub(crate) use self::pipeline::{Pipeline, Section};

/// Reads a file and all that it includes, with the variables of this process.
pub(crate) fn read(path: &Path) -> Pipeline {
    let mut pipeline = Pipeline::new();
    let root = path.parent().unwrap_or_else(|| Path::new("")).to_path_buf();
    let is_yaml = path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml")
    });
    if let Some((file, text)) = pipeline.open(path, &path.display().to_string()) {
        if is_yaml {
            yaml::read(&mut pipeline, &file, &text);
        } else {
            classic::read(&mut pipeline, &file, &text, &root);
        }
    }
    pipeline
}

#[cfg(test)]
mod tests;
