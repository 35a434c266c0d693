//! Extracting archives, whole or not at all.
//!
//! [`extract`] finds out what the archive is by its content, makes a staging
//! folder beside or in the destination, probes it, writes what the archive
//! holds, and publishes it. Where the archive has an index, all of it is
//! checked before the first byte is written; a stream is checked as it comes.
//! Whatever fails on the way leaves the destination as it was.

mod bcp;
mod chunks;
pub(crate) mod donors;
mod finish;
mod frames;
mod intake;
mod items;
mod piped;
mod run;
mod stage;
mod stream;
mod target;
mod tree;
pub(crate) mod unpack;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive;
use crate::dest::attributes::{LossCounts, Ownership};
use crate::dest::deliver::Sync;
use crate::dest::publish::Existing;
use crate::entry::Entry;
use crate::error::Result;
use crate::fit::OnNoSymlinks;
use crate::plan::members::ExternalLinks;
use crate::pool;
use crate::progress::Progress;

pub use crate::archive::limits::Limits;

/// What to extract: is given each member's path as the archive has it.
pub type Select = Box<dyn Fn(&Path) -> bool + Send + std::marker::Sync>;

/// What had to be among the members: returns the path of one that wasn't.
pub type Missing = Box<dyn Fn() -> Option<PathBuf> + Send + std::marker::Sync>;

/// What to do with the files that macOS adds to hold its attributes: those
/// called `._name` that hold such, and in a zip all that is below `__MACOSX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AppleDouble {
    /// Leave them out.
    #[default]
    Skip,
    /// Extract them as the files that they are.
    Keep,
}

/// What to do with what stands behind the end of a tar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AfterEnd {
    /// Anything but zeros is an error: two readers may see two archives.
    #[default]
    Refuse,
    /// Go on reading, as for archives that were laid one behind another.
    Continue,
}

/// Whether files share storage with the archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sharing {
    /// Where the file system can, and the archive is a `.bcp` that isn't compressed. What
    /// is shared isn't read, and so isn't compared with a hash; `verify` does that.
    #[default]
    Auto,
    /// Never: everything is read and compared.
    Never,
}

/// How to extract. The default refuses what could do harm, whoever made the
/// archive, and sets no limit to its size.
#[derive(Default)]
#[non_exhaustive]
pub struct Options {
    /// What to do with what stands at the destination.
    pub existing: Existing,
    /// What to do with links where the destination can't hold them:
    /// [`OnNoSymlinks::Copy`] is for copies only and is refused.
    pub on_no_symlinks: OnNoSymlinks,
    /// Whether links may lead out of the tree.
    pub external_links: ExternalLinks,
    /// Who owns what is extracted.
    pub ownership: Ownership,
    /// Names to leave out at the beginning of each path. Members with no more
    /// names than that are left out.
    pub strip_components: usize,
    /// Extracts only what this says.
    pub select: Option<Select>,
    /// Is asked once, when [`select`](Self::select) has seen every member and
    /// nothing was published: with a path for an answer, the extraction fails.
    pub missing: Option<Missing>,
    /// How much the archive may hold.
    pub limits: Limits,
    /// What to do with the files that macOS adds.
    pub apple_double: AppleDouble,
    /// Takes macOS' own attributes, `com.apple.*`, from tars as well.
    pub apple_attributes: bool,
    /// What to do with what stands behind the end of a tar.
    pub after_end: AfterEnd,
    /// Whether files share storage with the archive.
    pub sharing: Sharing,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
    /// Reads and checks everything, and writes nothing.
    pub dry_run: bool,
    /// Lists every member in [`Outcome::entries`].
    pub list_entries: bool,
}

impl Options {
    fn threads(&self) -> usize {
        pool::threads(self.jobs)
    }
}

/// What was extracted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Regular files, each once however many names it has.
    pub files: u64,
    /// Folders, those that no member names included.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files.
    pub hardlinks: u64,
    /// Content in bytes, holes included.
    pub bytes: u64,
    /// The time that it took.
    pub duration: Duration,
    /// The archive's format: `tar.zst`, `zip` and so on.
    pub format: &'static str,
    /// The hash that names all of the archive, where its format has one. Of an
    /// archive that was extracted as a whole, everything was compared with it, but for
    /// what is [shared](Sharing).
    pub root_hash: Option<[u8; 32]>,
    /// Whether files were copied from the archive inside the kernel, which shares their
    /// storage where the file system can.
    pub copied_inside: bool,
    /// Where links were written down, and how many.
    pub links_files: Vec<(PathBuf, u64)>,
    /// What the destination can't hold besides.
    pub losses: LossCounts,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
    /// Every member, if [`Options::list_entries`] asked for them.
    pub entries: Vec<Entry>,
}

/// Extracts the archive at `archive` into `destination`, all of it or nothing.
///
/// A destination that doesn't exist is made and appears whole. One that does
/// receives each member at the top of the archive by one rename; what stands
/// there already is an error unless [`Options::existing`] says otherwise.
/// `progress` is called on this thread only.
///
/// # Errors
///
/// Every error leaves the destination as it was. [`Error::kind`] tells what
/// went wrong, and [`Error::path`] where.
///
/// [`Error::kind`]: crate::Error::kind
/// [`Error::path`]: crate::Error::path
pub fn extract(
    archive: &Path,
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    run::run(archive::open(archive)?, destination, options, progress)
}

/// Extracts the archive that `reader` brings, as [`extract`] does. Errors call
/// it `shown`. The reader is read on other threads, to its end.
///
/// # Errors
///
/// As [`extract`].
pub fn extract_from(
    reader: impl Read + Send,
    shown: &Path,
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let opened = archive::from_reader(reader, shown)?;
    run::run(opened, destination, options, progress)
}
