//! The short notation: `user.domain eq contoso.com and ip.category eq (1, 3)`. Reads the shape
//! only; what the parts mean is for `value`.
//!
//! ```text
//! filters   = condition { "and" condition }
//! condition = FILTER OPERATOR [ value ]
//! value     = item | "(" item { "," item } ")"
//! item      = WORD | "quoted text" | 'quoted text' | {JSON object}
//! ```

use serde_json::Value as Json;

use super::spec::{Clause, FilterError};
use super::value::{Notation, Written, clause};
use crate::json::to_text;

/// A piece of the text.
#[derive(Clone, Debug, PartialEq)]
enum Token {
    Word(String),
    Quoted(String),
    Object(Json),
    Open,
    Close,
    Comma,
}

pub(super) fn read(text: &str) -> Result<Vec<Clause>, Vec<FilterError>> {
    let tokens = tokens(text).map_err(|error| vec![error])?;
    if tokens.is_empty() {
        return Ok(Vec::new());
    }
    let (mut clauses, mut errors) = (Vec::new(), Vec::new());
    let and =
        |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case("and"));
    for condition in tokens.split(and) {
        match read_condition(condition) {
            Ok(clause) => clauses.push(clause),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(clauses) } else { Err(errors) }
}

fn read_condition(tokens: &[Token]) -> Result<Clause, FilterError> {
    let [Token::Word(filter), Token::Word(operator), rest @ ..] = tokens else {
        let shown: Vec<_> = tokens.iter().map(Token::show).collect();
        let problem = match &*shown.join(" ") {
            "" => "a condition is missing beside an \"and\"".to_owned(),
            shown => format!("{shown} is no condition"),
        };
        return Err(FilterError::new(problem, "write FILTER OPERATOR VALUE, joined by and"));
    };
    let value = read_value(rest).ok_or_else(|| {
        let shown: Vec<_> = rest.iter().map(Token::show).collect();
        FilterError::new(
            format!("{filter} {operator} is followed by {}", shown.join(" ")),
            "write one value, or several as (a, b), and text with blanks or commas in quotes",
        )
    })?;
    clause(Written { filter, operator, value, notation: Notation::Short })
}

/// `None` if it is no value; `Some(None)` if there is none.
fn read_value(tokens: &[Token]) -> Option<Option<Json>> {
    match tokens {
        [] => Some(None),
        [Token::Open, items @ .., Token::Close] => {
            let mut values = Vec::new();
            if !items.is_empty() {
                for item in items.split(|token| *token == Token::Comma) {
                    let [item] = item else { return None };
                    values.push(item.value()?);
                }
            }
            Some(Some(Json::Array(values)))
        }
        [item] => Some(Some(item.value()?)),
        _ => None,
    }
}

impl Token {
    fn value(&self) -> Option<Json> {
        match self {
            Self::Word(text) | Self::Quoted(text) => Some(Json::String(text.clone())),
            Self::Object(object) => Some(object.clone()),
            Self::Open | Self::Close | Self::Comma => None,
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Word(word) => word.clone(),
            Self::Quoted(text) => format!("{text:?}"),
            Self::Object(object) => to_text(object),
            Self::Open => "(".into(),
            Self::Close => ")".into(),
            Self::Comma => ",".into(),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, length) = match first {
            '(' => (Token::Open, 1),
            ')' => (Token::Close, 1),
            ',' => (Token::Comma, 1),
            '"' | '\'' => quoted_token(rest, first)?,
            '{' => object(rest)?,
            _ => {
                let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | ','));
                let end = end.unwrap_or(rest.len());
                (Token::Word(rest[..end].to_owned()), end)
            }
        };
        tokens.push(token);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

/// The quoted text at the start of `rest`. A backslash takes the next character as it is.
fn quoted_token(rest: &str, quote: char) -> Result<(Token, usize), FilterError> {
    let mut text = String::new();
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => text.extend(characters.next().map(|(_, escaped)| escaped)),
            _ if character == quote => return Ok((Token::Quoted(text), at + 1)),
            _ => text.push(character),
        }
    }
    Err(FilterError::new(
        format!("the quoted text {rest} does not end"),
        format!("write a {quote} behind it; a {quote} within is written \\{quote}"),
    ))
}

/// The JSON object at the start of `rest`.
fn object(rest: &str) -> Result<(Token, usize), FilterError> {
    let mut values = serde_json::Deserializer::from_slice(rest.as_bytes()).into_iter::<Json>();
    match values.next() {
        Some(Ok(value)) => Ok((Token::Object(value), values.byte_offset())),
        _ => Err(FilterError::new(
            format!("{rest} does not begin with a JSON object"),
            "write text that begins with a brace in quotes",
        )),
    }
}
