//! What a run says at its end.

/// What a run that ends by itself and lacks something says at last.
pub(crate) const INCOMPLETE_WORDS: &str = "incomplete: the sign-in was refused, or some \
    content was denied, has no subscription, is lost or could not be read yet; see WARN and ERROR \
    above";

/// What last words say of losses that nobody has acknowledged, those of earlier runs included.
pub(crate) fn losses_words(losses: u64) -> String {
    match losses {
        0 => String::new(),
        _ => format!(
            "; losses not acknowledged: {losses}; see them with `m365-audit state show`, then run \
             `m365-audit state acknowledge`"
        ),
    }
}
