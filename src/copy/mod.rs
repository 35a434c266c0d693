//! Copying trees, whole or not at all.
//!
//! [`copy`] finds out where everything goes, scans the sources, makes a
//! staging folder beside each destination, probes it, checks what can be known
//! beforehand, copies, and publishes all copies together. Whatever fails on
//! the way leaves the destination as it was.

mod data;
mod file;
mod finish;
mod flatten;
mod preflight;
mod quiet;
pub(crate) mod revise;
mod stage;
mod target;
mod tree;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::dest::attributes::Ownership;
use crate::dest::deliver::deliver;
use crate::dest::publish::Existing;
use crate::entry::Entry;
use crate::error::Result;
use crate::pool;
use crate::progress::Progress;
use crate::scan::SpecialFiles;

pub use crate::dest::attributes::LossCounts;
pub use crate::dest::deliver::Sync;
pub use crate::fit::OnNoSymlinks;
pub use data::{Method, Reflink};
pub use flatten::Growth;
pub use target::DestinationRule;
pub(crate) use tree::Change;

/// What to leave out: is given each path from the source's root.
pub type Exclude = Box<dyn Fn(&Path) -> bool + Send + std::marker::Sync>;

/// How to copy. The default copies like `cp -R`, keeps all, and refuses where
/// it can't.
#[derive(Default)]
#[non_exhaustive]
pub struct Options {
    /// How the destination's path is meant.
    pub destination_rule: DestinationRule,
    /// What to do with a target that exists.
    pub existing: Existing,
    /// What to do with links where the destination can't hold them.
    pub on_no_symlinks: OnNoSymlinks,
    /// What to do with devices, FIFOs and sockets.
    pub special_files: SpecialFiles,
    /// Takes junctions, which Windows has besides links, for links: relative ones where they
    /// lead to the same drive. Otherwise they are special files.
    pub junctions_as_links: bool,
    /// Who owns the copy.
    pub ownership: Ownership,
    /// Whether storage may be shared with the source.
    pub reflink: Reflink,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
    /// Leaves out what this says, with all below it.
    pub exclude: Option<Exclude>,
    /// Finds out and checks everything, and writes nothing.
    pub dry_run: bool,
    /// Lists every entry in [`Outcome::entries`].
    pub list_entries: bool,
}

impl Options {
    fn threads(&self) -> usize {
        pool::threads(self.jobs)
    }
}

/// What was copied.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Outcome {
    /// Regular files, each once however many names it has.
    pub files: u64,
    /// Folders, the copies' own roots included.
    pub dirs: u64,
    /// Symbolic links that were made.
    pub symlinks: u64,
    /// Further names of files.
    pub hardlinks: u64,
    /// Content in bytes, holes included.
    pub bytes: u64,
    /// The time that it took.
    pub duration: Duration,
    /// How bytes moved.
    pub methods: Vec<Method>,
    /// The copies' paths.
    pub targets: Vec<PathBuf>,
    /// What became of links that the destination can't hold.
    pub flattened: Option<Growth>,
    /// Where links were written down, and how many.
    pub links_files: Vec<(PathBuf, u64)>,
    /// What the destination can't hold besides.
    pub losses: LossCounts,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
    /// Every entry, with the target that it belongs to, if
    /// [`Options::list_entries`] asked for them.
    pub entries: Vec<(PathBuf, Entry)>,
}

/// Copies `sources` to `destination`, all of them or none.
///
/// Files, folders and links are copied with their modes, times to the
/// nanosecond, user attributes, holes and hard links; links byte for byte,
/// whatever they point to. `progress` is called on this thread only.
///
/// While it runs, worker threads hold descriptors and a umask of their own,
/// where the system lets them; the process's are untouched.
///
/// # Errors
///
/// Every error leaves the destination as it was. [`Error::kind`] tells what
/// went wrong, and [`Error::path`] where.
///
/// [`Error::kind`]: crate::Error::kind
/// [`Error::path`]: crate::Error::path
///
/// # Examples
///
/// ```
/// # let temp = tempfile::tempdir()?;
/// # let (source, target) = (temp.path().join("app"), temp.path().join("copy"));
/// # std::fs::create_dir(&source)?;
/// # std::fs::write(source.join("main"), "x")?;
/// use bundlecp::copy::{Options, copy};
///
/// let outcome = copy(&[source], &target, &Options::default(), &bundlecp::Silent)?;
/// assert_eq!(outcome.files, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn copy(
    sources: &[PathBuf],
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let rule = options.destination_rule;
    let targets = target::resolve(sources, destination, rule, options.existing)?;
    let mut outcome = Outcome::default();
    let mut staged = Vec::with_capacity(targets.len());
    for target in targets {
        let prepared = stage::Prepared::new(target, options, progress)?;
        if let Some(prepared) = prepared.stage(options, progress, &mut outcome)? {
            staged.push(prepared);
        }
    }
    let notes = deliver(staged, options.existing, options.sync)?;
    outcome.notes.extend(notes);
    outcome.methods.sort_unstable();
    outcome.methods.dedup();
    outcome.duration = started.elapsed();
    Ok(outcome)
}
