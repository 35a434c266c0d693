//! Packing trees into archives of the standard formats.
//!
//! [`pack`] scans the sources, puts their members into an order that
//! compresses well and depends on the trees alone, and compresses in parallel;
//! the bytes are the same for any number of threads and on any machine. The
//! archive appears under its name when it is complete, or not at all.

pub(crate) mod archived;
mod bcp;
mod blocks;
mod buffer;
mod crew;
mod deflated;
mod encoder;
pub(crate) mod members;
pub(crate) mod output;
mod parts;
pub(crate) mod place;
mod program;
mod reader;
mod sections;
mod similar;
mod sink;
mod source;
mod survey;
mod tar;
mod trial;
mod unit;
mod zip;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::dest::attributes::Ownership;
use crate::dest::deliver::Sync;
use crate::dest::publish::Existing;
use crate::error::Result;
use crate::pool;
use crate::progress::Progress;
use crate::scan::SpecialFiles;
use crate::sys::{self, Timestamp};

pub use crate::codec::Profile;

/// A format to pack into.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Format {
    /// tar without compression.
    Tar,
    /// tar in gzip members, decoded by every gzip.
    TarGz,
    /// tar in bzip2 streams.
    TarBz2,
    /// tar in the blocks of one xz stream.
    TarXz,
    /// tar in zstd frames, with an index of its members.
    #[default]
    TarZst,
    /// zip, with links as Unix zips have them.
    Zip,
    /// Our own: smaller, hashed, read from any place.
    Bcp,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 7] = [
        Format::Tar,
        Format::TarGz,
        Format::TarBz2,
        Format::TarXz,
        Format::TarZst,
        Format::Zip,
        Format::Bcp,
    ];

    /// Returns the format's name, which is the ending of its files too.
    pub fn name(self) -> &'static str {
        match self {
            Format::Tar => "tar",
            Format::TarGz => "tar.gz",
            Format::TarBz2 => "tar.bz2",
            Format::TarXz => "tar.xz",
            Format::TarZst => "tar.zst",
            Format::Zip => "zip",
            Format::Bcp => "bcp",
        }
    }

    /// Finds the format that a file of this name has.
    pub fn of_name(path: &Path) -> Option<Self> {
        const SHORT: [(&str, Format); 4] = [
            ("tgz", Format::TarGz),
            ("tbz2", Format::TarBz2),
            ("txz", Format::TarXz),
            ("tzst", Format::TarZst),
        ];
        let name = sys::os_to_bytes(path.file_name()?).to_ascii_lowercase();
        let long = Format::ALL.map(|format| (format.name(), format));
        let ends_in = |ending: &str| {
            let stem = name.strip_suffix(ending.as_bytes());
            stem.is_some_and(|stem| stem.ends_with(b".") && stem.len() > 1)
        };
        let mut known = long.into_iter().chain(SHORT);
        known
            .find(|(ending, _)| ends_in(ending))
            .map(|(_, format)| format)
    }
}

/// How the sources' own roots are called in the archive.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum RootName {
    /// By their own names: `app/…`.
    #[default]
    Own,
    /// Not at all: their contents stand at the top.
    Strip,
    /// By this name, for a single source.
    Named(String),
}

/// How zstd frames are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Frames {
    /// Independent frames of several MiB, with an index: extracted in parallel.
    #[default]
    Many,
    /// One frame, for decoders that stop after the first.
    Single,
}

/// How a zip's members are compressed. What doesn't become smaller is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ZipMethod {
    /// As every reader of zips knows it.
    #[default]
    Deflate,
    /// Smaller and faster, for readers that know it. Files of more than 16 MiB
    /// are compressed with Deflate all the same.
    Zstd,
}

/// What to leave out: is given each path from the source's root.
pub type Exclude = Box<dyn Fn(&Path) -> bool + Send + std::marker::Sync>;

/// How to pack. The default makes a reproducible `.tar.zst`.
#[derive(Default)]
#[non_exhaustive]
pub struct Options {
    /// The archive's format.
    pub format: Format,
    /// What to spend time on.
    pub profile: Profile,
    /// How hard to compress, in the format's own numbers: gzip and zip 1 to 12,
    /// bzip2 1 to 9, xz 0 to 9, zstd and bcp 1 to 22. Overrides the profile's.
    pub level: Option<i32>,
    /// How the sources' roots are called.
    pub root: RootName,
    /// How zstd frames are cut.
    pub frames: Frames,
    /// How a zip's members are compressed.
    pub zip_method: ZipMethod,
    /// What to do with devices, FIFOs and sockets.
    pub special_files: SpecialFiles,
    /// Takes junctions, which Windows has besides links, for links: relative ones where they
    /// lead to the same drive. Otherwise they are special files.
    pub junctions_as_links: bool,
    /// Writes down macOS' own attributes, `com.apple.*`, as well, as only tars hold them.
    pub apple_attributes: bool,
    /// Leaves out what this says, with all below it.
    pub exclude: Option<Exclude>,
    /// Times after this are written as this: `SOURCE_DATE_EPOCH`.
    pub latest: Option<Timestamp>,
    /// Whether owners are written down; otherwise everything belongs to 0.
    pub ownership: Ownership,
    /// What to do with an archive that stands already.
    pub existing: Existing,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
    /// Finds out and checks everything, and writes nothing.
    pub dry_run: bool,
    /// Lists every member's path in [`Outcome::entries`].
    pub list_entries: bool,
}

impl Options {
    fn threads(&self) -> usize {
        pool::threads(self.jobs)
    }
}

/// What was packed.
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
    /// The archive's size in bytes; 0 for a dry run.
    pub packed: u64,
    /// The hash that names all of the archive, where its format has one.
    pub root_hash: Option<[u8; 32]>,
    /// The time that it took.
    pub duration: Duration,
    /// Links that lead out of their tree: extracting them takes an option.
    pub external_links: u64,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
    /// Every member's path, if [`Options::list_entries`] asked for them.
    pub entries: Vec<crate::path::RelPath>,
}

/// Packs `sources` into a new archive at `archive`, all of them or none.
///
/// `progress` is called on this thread only.
///
/// # Errors
///
/// Every error leaves what stands at `archive` as it was. [`Error::kind`] tells
/// what went wrong, and [`Error::path`] where.
///
/// [`Error::kind`]: crate::Error::kind
/// [`Error::path`]: crate::Error::path
pub fn pack(
    sources: &[PathBuf],
    archive: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    output::pack_to_file(sources, archive, options, progress)
}

/// Packs `sources` and writes the archive to `writer`, as [`pack`] does. Errors
/// call the writer `shown`. It is written to from other threads; what it got
/// before an error is no archive.
///
/// # Errors
///
/// As [`pack`].
pub fn pack_to(
    sources: &[PathBuf],
    writer: impl Write + Send,
    shown: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    output::pack_to_writer(sources, writer, shown, options, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_name_formats() {
        for (name, format) in [
            ("a.tar", Some(Format::Tar)),
            ("a.b.TAR.GZ", Some(Format::TarGz)),
            ("x/a.tgz", Some(Format::TarGz)),
            ("a.tbz2", Some(Format::TarBz2)),
            ("a.tar.xz", Some(Format::TarXz)),
            ("a.txz", Some(Format::TarXz)),
            ("a.tzst", Some(Format::TarZst)),
            ("a.zip", Some(Format::Zip)),
            ("a.bcp", Some(Format::Bcp)),
            (".zip", None),
            ("zip", None),
            ("a.gz", None),
        ] {
            assert_eq!(Format::of_name(Path::new(name)), format, "{name}");
        }
    }
}
