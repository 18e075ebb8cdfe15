//! The YAML format: `env`, `includes`, `service`, and under `pipeline` inputs and outputs.

use std::path::Path;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScanError, Span};

use crate::fluent_bit::pipeline::{Pipeline, Place, Section, Setting};

/// How deep a document may nest; Fluent Bit's own go six deep.
const DEPTH_MAX: usize = 64;

/// A part of a document, and the line that it begins in.
#[derive(Debug)]
struct Node {
    line: usize,
    is: Is,
}

#[derive(Debug)]
enum Is {
    Text(String),
    List(Vec<Node>),
    /// Keys with their lines.
    Map(Vec<(String, usize, Node)>),
}

/// Reads a file's text, and what it includes.
pub(super) fn read(pipeline: &mut Pipeline, file: &Rc<Path>, text: &str) {
    let document = match Document::of(text) {
        Ok(document) => document,
        Err(problem) => {
            let remedy = "put the YAML right there; Fluent Bit does not read it either";
            return pipeline.fail(&file.display().to_string(), problem, remedy);
        }
    };
    let at = |line| Place { file: Rc::clone(file), line };
    let Some(Node { is: Is::Map(parts), .. }) = document else { return };
    // Whatever stands where, variables are there before sections are read.
    for (_, _, node) in parts.iter().filter(|(key, _, _)| key.eq_ignore_ascii_case("env")) {
        env(pipeline, node);
    }
    for (key, line, node) in parts {
        match (&*key.to_ascii_lowercase(), node.is) {
            ("includes", Is::List(names)) => {
                for Node { line, is } in names {
                    if let Is::Text(pattern) = is {
                        include(pipeline, file, &pattern, &at(line));
                    }
                }
            }
            ("service", is) => {
                let section = section(Node { line, is }, &at);
                pipeline.add("service", section);
            }
            ("pipeline", Is::Map(kinds)) => {
                for (kind, _, node) in kinds {
                    if let Is::List(sections) = node.is {
                        for node in sections {
                            let section = section(node, &at);
                            pipeline.add(&kind.to_ascii_lowercase(), section);
                        }
                    }
                }
            }
            _ => {}
        }
    }
}

fn include(pipeline: &mut Pipeline, from: &Path, pattern: &str, place: &Place) {
    let base = from.parent().unwrap_or_else(|| Path::new(""));
    for path in pipeline.included(pattern, base, place) {
        if let Some((file, text)) = pipeline.open(&path, &place.to_string()) {
            read(pipeline, &file, &text);
        }
    }
}

/// A map of names, or a list of entries with `name` and `value` or `uri`.
fn env(pipeline: &mut Pipeline, node: &Node) {
    match &node.is {
        Is::Map(pairs) => {
            let text = |key: &str| {
                let found = pairs.iter().find(|(known, _, _)| known.eq_ignore_ascii_case(key));
                found.and_then(|(_, _, node)| match &node.is {
                    Is::Text(text) => Some(text),
                    Is::List(_) | Is::Map(_) => None,
                })
            };
            match (text("name"), text("value"), text("uri")) {
                (Some(name), Some(value), None) => pipeline.variables.set(name, value),
                (Some(name), _, Some(_)) => pipeline.variables.set_elsewhere(name),
                _ => {
                    for (name, _, node) in pairs {
                        if let Is::Text(value) = &node.is {
                            pipeline.variables.set(name, value);
                        }
                    }
                }
            }
        }
        Is::List(entries) => entries.iter().for_each(|entry| env(pipeline, entry)),
        Is::Text(_) => {}
    }
}

fn section(node: Node, at: &impl Fn(usize) -> Place) -> Section {
    let mut section = Section::new(at(node.line));
    let Is::Map(pairs) = node.is else { return section };
    for (key, line, node) in pairs {
        let values = match node.is {
            Is::Text(text) => vec![text],
            Is::List(nodes) => nodes
                .into_iter()
                .filter_map(|node| match node.is {
                    Is::Text(text) => Some(text),
                    Is::List(_) | Is::Map(_) => None,
                })
                .collect(),
            Is::Map(inner) => {
                let is_processors = key.eq_ignore_ascii_case("processors");
                section.has_processors |= is_processors && !inner.is_empty();
                continue;
            }
        };
        section.settings.push(Setting { key: key.to_ascii_lowercase(), values, place: at(line) });
    }
    section
}

/// Builds a tree from the events of the parser.
struct Document<'a>(Parser<'a, saphyr_parser::StrInput<'a>>);

impl<'a> Document<'a> {
    /// The first document of a text; none if it is empty.
    fn of(text: &'a str) -> Result<Option<Node>, String> {
        let mut document = Document(Parser::new_from_str(text));
        loop {
            match document.next()? {
                Some((Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _)) => {}
                Some((Event::StreamEnd | Event::DocumentEnd, _)) | None => return Ok(None),
                Some((event, span)) => return document.node(event, span, 0).map(Some),
            }
        }
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, String> {
        self.0.next().transpose().map_err(|error: ScanError| {
            let marker = error.marker();
            format!(
                "not YAML, line {}, column {}: {}",
                marker.line(),
                marker.col() + 1,
                error.info()
            )
        })
    }

    fn node(&mut self, event: Event<'a>, span: Span, depth: usize) -> Result<Node, String> {
        let line = span.start.line();
        if DEPTH_MAX < depth {
            return Err(format!("line {line}: nests deeper than {DEPTH_MAX}"));
        }
        let is = match event {
            Event::Scalar(text, ..) => Is::Text(text.into_owned()),
            Event::SequenceStart(..) => Is::List(self.list(depth)?),
            Event::MappingStart(..) => Is::Map(self.map(depth)?),
            Event::Alias(_) => return Err(format!("line {line}: Fluent Bit takes no aliases (*)")),
            _ => return Err(format!("line {line}: ends too early")),
        };
        Ok(Node { line, is })
    }

    fn list(&mut self, depth: usize) -> Result<Vec<Node>, String> {
        let mut nodes = Vec::new();
        loop {
            match self.next()? {
                Some((Event::SequenceEnd, _)) | None => return Ok(nodes),
                Some((event, span)) => nodes.push(self.node(event, span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Vec<(String, usize, Node)>, String> {
        let mut pairs = Vec::new();
        loop {
            let (line, key) = match self.next()? {
                Some((Event::MappingEnd, _)) | None => return Ok(pairs),
                Some((event, span)) => (span.start.line(), self.node(event, span, depth + 1)?),
            };
            let Is::Text(key) = key.is else {
                return Err(format!("line {line}: a key that is no text"));
            };
            let Some((event, span)) = self.next()? else { return Ok(pairs) };
            pairs.push((key, line, self.node(event, span, depth + 1)?));
        }
    }
}
