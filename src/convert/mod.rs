//! Converting an archive into one of another format, without unpacking it.
//!
//! [`convert`] checks every member as an extraction would, and packs the tree
//! that they make as [`pack`](crate::pack::pack) packs a folder: contents come
//! from the archive, in memory. Where the archive holds everything, the bytes are
//! those of packing what it was packed from. What the new format can't hold is
//! told in [`Outcome::losses`].
//!
//! Only what can't be read from any place, such as a `.tar.gz`, is decoded into
//! a private file without a name first: contents, never a tree.

mod losses;
mod read;
mod run;
mod tree;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::archive;
use crate::dest::attributes::Ownership;
use crate::dest::deliver::Sync;
use crate::dest::publish::Existing;
use crate::error::Result;
use crate::path::RelPath;
use crate::plan::members::ExternalLinks;
use crate::pool;
use crate::progress::Progress;
use crate::sys::Timestamp;

pub use crate::archive::limits::Limits;
pub use crate::pack::{Format, Frames, Profile, ZipMethod};
pub use losses::{Loss, LossKind};

/// What to convert: is given each member's path as the archive has it.
pub type Select = Box<dyn Fn(&Path) -> bool + Send + std::marker::Sync>;

/// How to convert. The default makes a reproducible `.tar.zst`, refuses what an
/// extraction refuses, and sets no limit to the archive's size.
#[derive(Default)]
#[non_exhaustive]
pub struct Options {
    /// The new archive's format.
    pub format: Format,
    /// What to spend time on.
    pub profile: Profile,
    /// How hard to compress, in the new format's own numbers, as in
    /// [`pack::Options::level`](crate::pack::Options::level).
    pub level: Option<i32>,
    /// How zstd frames are cut.
    pub frames: Frames,
    /// How a zip's members are compressed.
    pub zip_method: ZipMethod,
    /// Whether links may lead out of the tree.
    pub external_links: ExternalLinks,
    /// How much the archive may hold.
    pub limits: Limits,
    /// Converts only what this says.
    pub select: Option<Select>,
    /// Times after this are written as this: `SOURCE_DATE_EPOCH`.
    pub latest: Option<Timestamp>,
    /// Whether owners are written down; otherwise everything belongs to 0.
    pub ownership: Ownership,
    /// What to do with an archive that stands where the new one goes. It may be
    /// the one that is converted.
    pub existing: Existing,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
    /// A folder for the private file of what can be read only once; `None` is
    /// the one that the new archive goes into.
    pub scratch: Option<PathBuf>,
    /// Checks all members, and writes nothing. Contents are checked only where
    /// finding the members takes reading them.
    pub dry_run: bool,
    /// Lists every member's path in [`Outcome::entries`].
    pub list_entries: bool,
}

impl Options {
    fn threads(&self) -> usize {
        pool::threads(self.jobs)
    }
}

/// What was converted.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Regular files, each once however many names it has; in a zip each name.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files; none in a zip.
    pub hardlinks: u64,
    /// Content in bytes, holes included.
    pub bytes: u64,
    /// The new archive's size in bytes; 0 for a dry run.
    pub packed: u64,
    /// The hash that names all of the new archive, where its format has one.
    pub root_hash: Option<[u8; 32]>,
    /// The time that it took.
    pub duration: Duration,
    /// The format of the archive that was converted: `tar.zst`, `zip` and so on.
    pub from: &'static str,
    /// Links that lead out of the tree: extracting them takes an option.
    pub external_links: u64,
    /// What the new format doesn't hold, each kind once.
    pub losses: Vec<Loss>,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
    /// Every member's path, if [`Options::list_entries`] asked for them.
    pub entries: Vec<RelPath>,
}

/// Where an archive comes from.
pub enum Input<'i> {
    /// A file, or a pipe that has a path.
    Path(&'i Path),
    /// A reader, which is read on other threads, to its end; and what errors
    /// call it.
    Reader(Box<dyn Read + Send + 'i>, &'i Path),
}

/// Where the new archive goes.
pub enum Output<'o> {
    /// A file, which appears when it is complete.
    Path(&'o Path),
    /// A writer, which is written to from other threads; and what errors call
    /// it. What it got before an error is no archive.
    Writer(Box<dyn Write + Send + 'o>, &'o Path),
}

/// Converts the archive at `input` into a new one at `output`.
///
/// `progress` is called on this thread only.
///
/// # Errors
///
/// Every error leaves what stands at `output` as it was. [`Error::kind`] tells
/// what went wrong, and [`Error::path`] where.
///
/// # Examples
///
/// ```
/// use bundlecp::convert::{self, Format, LossKind, convert};
/// use bundlecp::{Silent, pack};
/// # let temp = tempfile::tempdir()?;
/// # let (app, archive) = (temp.path().join("app"), temp.path().join("app.tar.zst"));
/// # let zip = temp.path().join("app.zip");
/// # std::fs::create_dir(&app)?;
/// # std::fs::write(app.join("version.txt"), "1.2")?;
/// # pack::pack(&[app], &archive, &pack::Options::default(), &Silent)?;
///
/// let mut options = convert::Options::default();
/// options.format = Format::Zip;
/// let converted = convert(&archive, &zip, &options, &Silent)?;
/// assert_eq!((converted.from, converted.files), ("tar.zst", 1));
/// // A zip has no nanoseconds.
/// assert!(converted.losses.iter().all(|loss| loss.kind == LossKind::Times));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [`Error::kind`]: crate::Error::kind
/// [`Error::path`]: crate::Error::path
pub fn convert(
    input: &Path,
    output: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    convert_stream(Input::Path(input), Output::Path(output), options, progress)
}

/// Converts an archive as [`convert`] does, from a reader or into a writer.
///
/// # Errors
///
/// As [`convert`]; also when what comes can be read only once and there is no
/// folder to keep it in: a writer needs [`Options::scratch`] for that.
pub fn convert_stream(
    input: Input<'_>,
    output: Output<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let open = || match input {
        Input::Path(path) => archive::open(path),
        Input::Reader(reader, shown) => archive::from_reader(reader, shown),
    };
    match output {
        Output::Path(path) => run::to_file(open, path, options, progress),
        Output::Writer(writer, shown) => run::to_writer(open()?, writer, shown, options, progress),
    }
}
