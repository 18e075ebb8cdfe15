//! What is said with each request beside the records: fixed headers, and those of a file that may
//! change. Shows no value to anybody.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use m365_audit_core::config::Reader;
use m365_audit_core::{ConfigError, Secret};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

/// Bytes of the file that are read.
const FILE_BYTES_MAX: u64 = 64 * 1024;

/// Headers that say how the request is made, which nobody else knows.
const OURS: [&str; 5] =
    ["content-type", "content-encoding", "content-length", "host", "transfer-encoding"];

/// What is said with each request.
#[derive(Clone, Debug, Default)]
pub struct HeaderOptions {
    /// Names and values.
    pub fixed: Vec<(Box<str>, Secret<String>)>,
    /// A file with more of them.
    pub file: Option<PathBuf>,
}

impl HeaderOptions {
    /// Reads `otlp.headers` and `otlp.headers_file`. Mistakes stay in `reader`.
    pub(super) fn parse(reader: &mut Reader<'_>) -> Self {
        let mut fixed = Vec::new();
        let text = reader.optional("otlp.headers").unwrap_or_default();
        for (place, member) in text.split(',').enumerate() {
            if member.trim().is_empty() {
                continue;
            }
            let parsed = member
                .split_once('=')
                .ok_or_else(|| "no = in it".to_owned())
                .and_then(|(name, value)| header(name, value));
            match parsed {
                Ok((name, _)) => {
                    let value = member.split_once('=').map_or("", |(_, value)| value.trim());
                    fixed.push((name.as_str().into(), Secret::new(value.to_owned())));
                }
                Err(problem) => {
                    let problem = format!("number {} is no header: {problem}", place + 1);
                    let remedy = "write name=value, several of them with commas between; what has \
                                  commas itself goes into otlp.headers_file";
                    reader.report(ConfigError::new("otlp.headers", None, &problem, remedy));
                }
            }
        }
        let file = reader.optional("otlp.headers_file").map(PathBuf::from);
        if let Some(path) = &file
            && let Err(problem) = of_file(path)
        {
            let remedy = "name a file with a header a line, `Name: value`";
            let shown = path.to_string_lossy();
            reader.report(ConfigError::new("otlp.headers_file", Some(&shown), &problem, remedy));
        }
        Self { fixed, file }
    }
}

/// The headers of requests.
#[derive(Debug)]
pub(super) struct Headers {
    fixed: HeaderMap,
    file: Option<PathBuf>,
}

impl Headers {
    pub(super) fn new(options: &HeaderOptions) -> Self {
        let HeaderOptions { fixed, file } = options;
        // They have been read before.
        let fixed = fixed.iter().filter_map(|(name, value)| header(name, value.expose()).ok());
        Self { fixed: fixed.collect(), file: file.clone() }
    }

    /// All of them, as they are now.
    pub(super) fn read(&self) -> Result<HeaderMap, String> {
        let mut headers = self.fixed.clone();
        if let Some(path) = &self.file {
            let more = of_file(path);
            let more = more.map_err(|problem| format!("otlp.headers_file: {problem}"))?;
            more.into_iter().for_each(|(name, value)| drop(headers.insert(name, value)));
        }
        Ok(headers)
    }
}

/// The headers of a file, one a line; what begins with # is a comment.
fn of_file(path: &Path) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut text = String::new();
    let file = File::open(path).map_err(unreadable)?;
    let length = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    if FILE_BYTES_MAX < u64::try_from(length).unwrap_or(u64::MAX) {
        return Err(format!("has more than {FILE_BYTES_MAX} bytes"));
    }
    let lines = text.lines().enumerate().map(|(number, line)| (number, line.trim()));
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let headers: Result<Vec<_>, String> = lines
        .map(|(number, line)| {
            let (name, value) = line
                .split_once(':')
                .ok_or_else(|| format!("line {}: no colon in it", number + 1))?;
            header(name, value).map_err(|problem| format!("line {}: {problem}", number + 1))
        })
        .collect();
    headers
}

fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue), String> {
    let name = HeaderName::from_bytes(name.trim().as_bytes())
        .map_err(|_| "its name has characters that a header cannot have".to_owned())?;
    if OURS.contains(&name.as_str()) {
        return Err(format!("{name} is set by this program"));
    }
    let mut value = HeaderValue::from_str(value.trim())
        .map_err(|_| format!("the value of {name} has characters that a header cannot have"))?;
    value.set_sensitive(true);
    Ok((name, value))
}
