//! What a terminal can show, and what somebody wants it to show.

/// Whether the terminal cannot move its cursor.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb" || term.is_empty())
}

/// Whether stdout is shown in colours: `NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE` and dumb terminals
/// are obeyed, and by whatever writes to stderr as well.
pub(crate) fn has_colours() -> bool {
    console::colors_enabled()
}
