//! Listing archives: what they say they hold, without extracting it.
//!
//! Members are listed as the archive spells them, those that an extraction
//! would refuse included. Zips, PyInstaller programs and our own `.tar.zst` are
//! listed from their index; anything else is read from front to end.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use crate::archive::{self, Opened};
use crate::error::{Error, ErrorKind, Result};
use crate::format::tar;
use crate::pool;

pub use crate::entry::Listed;

/// What a listing came to.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// The hash that names all of the archive, where its format has one; `None` if the
    /// caller broke off. From a file, it was compared with what it says of its parts and
    /// with the list of members, and from a pipe with everything. Whether a file's
    /// contents are those of this hash, [`verify::check`](crate::verify::check) tells.
    pub root_hash: Option<[u8; 32]>,
}

/// Calls `each` with every member of the archive at `archive`, in its order,
/// until it breaks: what comes then is neither read nor judged.
///
/// # Errors
///
/// When the archive can't be read or breaks its format's rules.
pub fn list(archive: &Path, each: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<Outcome> {
    run(archive::open(archive)?, each)
}

/// Lists the archive that `reader` brings, as [`list`] does. Errors call it
/// `shown`.
///
/// # Errors
///
/// As [`list`].
pub fn list_from(
    reader: impl Read + Send,
    shown: &Path,
    each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
) -> Result<Outcome> {
    run(archive::from_reader(reader, shown)?, each)
}

fn run(opened: Opened<'_>, each: &mut dyn FnMut(Listed) -> ControlFlow<()>) -> Result<Outcome> {
    let shown = opened.shown.clone();
    let mut is_stopped = false;
    let threads = u32::try_from(pool::default_threads()).unwrap_or(u32::MAX);
    let options = tar::Options::default();
    let done = archive::members::for_each(opened, options, threads, &mut |member| match each(
        Listed::from(&member),
    ) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => {
            is_stopped = true;
            let cause = "stopped by the caller";
            Err(Error::new(ErrorKind::Interrupted, "list", &shown, cause))
        }
    });
    match is_stopped {
        true => Ok(Outcome::default()),
        false => done.map(|root_hash| Outcome { root_hash }),
    }
}
