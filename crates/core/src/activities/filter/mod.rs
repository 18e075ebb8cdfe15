//! The filters of the Activities API as types. Which filters there are, and what each takes, stands
//! in `table`; the two notations are read in `text` and `json`.
//!
//! Knows no request: whoever sends one asks for [`Filters::to_json`].

mod check;
mod json;
mod spec;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod value;

pub use check::{Finding, Mismatch};
pub use spec::{
    Clause, Entity, FILTERS_BYTES_MAX, FilterError, FilterSpec, Filters, Kind, Operator,
    VALUES_MAX, Value,
};
pub use table::FILTERS;

impl Filters {
    /// Reads filters in either notation: JSON as the API takes it (text that begins with `{`), or
    /// the short one, `user.domain eq contoso.com and activity.type eq true`.
    ///
    /// # Errors
    /// Every mistake, in the order of the text.
    pub fn parse(text: &str) -> Result<Self, Vec<FilterError>> {
        let text = text.trim();
        if text.len() > FILTERS_BYTES_MAX {
            return Err(vec![FilterError::new(
                format!("the filters are {} bytes long", text.len()),
                format!("write at most {FILTERS_BYTES_MAX}"),
            )]);
        }
        let clauses = if text.starts_with('{') { json::read(text) } else { text::read(text) }?;
        Self::of(clauses)
    }

    /// Reads several texts, each in either notation: all of their conditions must be met.
    ///
    /// # Errors
    /// Every mistake, in the order of the texts.
    pub fn parse_all<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<FilterError>> {
        let (mut clauses, mut errors) = (Vec::new(), Vec::new());
        for text in texts {
            match Self::parse(text) {
                Ok(filters) => clauses.extend(filters.clauses().iter().cloned()),
                Err(found) => errors.extend(found),
            }
        }
        if errors.is_empty() { Self::of(clauses) } else { Err(errors) }
    }
}
