//! What the program's exit codes mean.

/// Everything that was asked for is done.
pub(crate) const COMPLETE: u8 = 0;
/// Something failed, or was left undone.
pub(crate) const INCOMPLETE: u8 = 1;
/// The configuration is wrong; nothing was done. clap uses the same code.
pub(crate) const MISCONFIGURED: u8 = 2;
