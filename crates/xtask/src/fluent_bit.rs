//! Finding the real Fluent Bit. Running it is for whoever needs it.

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};

/// Where packages install it.
const USUAL_PLACE: &str = "/opt/fluent-bit/bin/fluent-bit";

/// What to do when there is none.
pub(crate) const REMEDY: &str = "install Fluent Bit (https://docs.fluentbit.io/manual/installation), or \
                          set FLUENT_BIT to its executable";

/// The executable: `FLUENT_BIT`, else in `PATH`, else in the usual place.
///
/// # Errors
/// `FLUENT_BIT` names no file.
pub(crate) fn find() -> Result<Option<PathBuf>> {
    if let Some(path) = env::var_os("FLUENT_BIT").map(PathBuf::from) {
        if !path.is_file() {
            bail!(
                "FLUENT_BIT is {}, which is no file: set it to the executable, or unset it",
                path.display()
            );
        }
        return Ok(Some(path));
    }
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).map(|folder| folder.join("fluent-bit"));
    Ok(places.chain([PathBuf::from(USUAL_PLACE)]).find(|path| path.is_file()))
}
