//! Manifests: what a tree is, in a text that stands beside it. One line an entry, with
//! kind, size, mode, time, link target and the BLAKE3 of each content, and one hash over
//! all of them.
//!
//! The same tree has the same text, byte for byte, on any number of threads and whether it
//! is in a folder or in an archive that tells as much. [`verify`](crate::verify) takes a
//! manifest on either side, in place of the tree that it was made of.
//!
//! A manifest says what a tree was, not who says so: whoever can change the tree and the
//! manifest can make them fit. Keep it, or its tree hash, where they can't.
//!
//! # Examples
//!
//! ```
//! # let temp = tempfile::tempdir()?;
//! use bundlecp::{Silent, manifest, verify};
//!
//! # let (app, text) = (temp.path().join("app"), temp.path().join("app.manifest"));
//! # std::fs::create_dir(&app)?;
//! # std::fs::write(app.join("run"), "x")?;
//! let written = manifest::write(&app, &text, &manifest::Options::default(), &Silent)?;
//!
//! let read = manifest::read(&text)?;
//! assert_eq!(read.tree_hash(), written.tree_hash);
//! for entry in read.entries() {
//!     println!("{} {}", entry.kind.name(), entry.path);
//! }
//!
//! let proof = verify::verify(&text, &app, &verify::Options::default(), &Silent)?;
//! assert!(proof.is_equal());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod read;
mod write;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::error::Result;
use crate::progress::Progress;

pub use crate::archive::limits::Limits;
pub use crate::dest::deliver::Sync;
pub use crate::dest::publish::Existing;
pub use crate::scan::SpecialFiles;
pub use crate::tree::Tree;
pub use read::{Entry, Manifest, read, read_from};

/// How to write a manifest.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// What to do with devices, FIFOs and sockets.
    pub special_files: SpecialFiles,
    /// Takes junctions, which Windows has besides links, for links: relative ones where they
    /// lead to the same drive. Otherwise they are special files.
    pub junctions_as_links: bool,
    /// What to do with a manifest that stands already.
    pub existing: Existing,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
}

/// What a manifest was written of.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Regular files, each once however many names it has; of a zip each name.
    pub files: u64,
    /// Folders, the root left out.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Further names of files.
    pub hardlinks: u64,
    /// Content in bytes, holes included.
    pub bytes: u64,
    /// The hash over all entries: the same for a folder and for each archive of it that
    /// tells as much and stores what is in it, without its own name.
    pub tree_hash: [u8; 32],
    /// The hash that names all of the archive, where it is one and its format has one.
    pub root_hash: Option<[u8; 32]>,
    /// The time that it took.
    pub duration: Duration,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Entries of any kind.
    pub fn entries(&self) -> u64 {
        self.files + self.dirs + self.symlinks + self.hardlinks
    }
}

/// Where a manifest goes.
pub enum Output<'o> {
    /// A file at this path, whole or not at all.
    Path(&'o Path),
    /// This writer, called so in errors. Nothing is written before the whole tree was read.
    Writer(Box<dyn Write + Send + 'o>, &'o Path),
}

/// Writes what the folder or archive at `source` holds into a new manifest at `manifest`.
///
/// All contents are read and hashed, holes as the zeros that they read as: a terabyte of
/// them takes the time of a terabyte. An archive is decoded as a whole; of what it holds, the
/// manifest has what it tells: zips tell neither hard links nor attributes, PyInstaller
/// programs neither modes nor times either. `progress` is called on this thread only.
///
/// # Errors
///
/// When `source` is neither folder nor archive or can't be read, when a file changes while it
/// is read, when an archive is damaged or holds what an extraction would refuse, links that
/// lead out of it excepted. Every error leaves what stands at `manifest` as it was.
pub fn write(
    source: &Path,
    manifest: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    write_stream(Tree::At(source), Output::Path(manifest), options, progress)
}

/// Writes a manifest as [`write`](fn@write) does, where either end may be a pipe.
///
/// # Errors
///
/// As [`write`](fn@write). A zip can't be read while it comes.
pub fn write_stream(
    source: Tree<'_>,
    output: Output<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    write::run(source, output, options, progress)
}
