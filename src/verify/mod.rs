//! Comparing two trees: what is missing, changed, or lost its links.
//!
//! Both sides are scanned and walked together; contents are hashed with BLAKE3
//! in parallel, and only where names, kinds and sizes agree. A link that
//! became a copy of its target ([`DifferenceKind::Flattened`]) is told apart
//! from one that became a text file ([`DifferenceKind::Stub`]), because they
//! come from different tools and are repaired differently.
//!
//! Nothing is written, and no link is followed on disk.

mod content;
mod pair;

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;
use crate::pool;
use crate::progress::{Counters, Progress};
use crate::scan::{self, Detail, Scan, Special};
use crate::sys::{self, Dir};

/// In what way two entries of the same path differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum DifferenceKind {
    /// The right side lacks it, with all below it.
    Missing,
    /// Only the right side has it, with all below it.
    Extra,
    /// The kinds differ in another way than by a lost link.
    Type,
    /// A link became a copy of what it points to.
    Flattened,
    /// A link became a text file that holds its target.
    Stub,
    /// Both are links, to different targets.
    Retargeted,
    /// The bytes differ.
    Content,
    /// The permission bits differ.
    Mode,
    /// The modification times differ.
    Mtime,
    /// The names that share one file differ.
    Hardlink,
    /// The user attributes differ.
    Xattr,
}

impl DifferenceKind {
    /// Every kind, in the order of this list.
    pub const ALL: [DifferenceKind; 11] = [
        DifferenceKind::Missing,
        DifferenceKind::Extra,
        DifferenceKind::Type,
        DifferenceKind::Flattened,
        DifferenceKind::Stub,
        DifferenceKind::Retargeted,
        DifferenceKind::Content,
        DifferenceKind::Mode,
        DifferenceKind::Mtime,
        DifferenceKind::Hardlink,
        DifferenceKind::Xattr,
    ];

    /// Returns the kind's name as JSON documents and messages write it.
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::Missing => "missing",
            DifferenceKind::Extra => "extra",
            DifferenceKind::Type => "type",
            DifferenceKind::Flattened => "flattened",
            DifferenceKind::Stub => "stub",
            DifferenceKind::Retargeted => "retargeted",
            DifferenceKind::Content => "content",
            DifferenceKind::Mode => "mode",
            DifferenceKind::Mtime => "mtime",
            DifferenceKind::Hardlink => "hardlink",
            DifferenceKind::Xattr => "xattr",
        }
    }
}

/// One difference between two trees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The path from both roots.
    #[serde(flatten)]
    pub path: RelPath,
    /// In what way the sides differ.
    pub kind: DifferenceKind,
    /// What the left side has, in words; `None` where it has nothing.
    pub left: Option<String>,
    /// What the right side has, in words; `None` where it has nothing.
    pub right: Option<String>,
}

/// How to compare. The default compares everything.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Kinds of difference that don't count.
    pub ignore: Vec<DifferenceKind>,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
}

/// What a comparison found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// The differences, sorted by path.
    pub differences: Vec<Difference>,
    /// Regular files on the left.
    pub files: u64,
    /// Folders on the left.
    pub dirs: u64,
    /// Symbolic links on the left.
    pub symlinks: u64,
    /// Bytes that were hashed, on both sides together.
    pub bytes_hashed: u64,
    /// The time that it took.
    pub duration: Duration,
}

impl Outcome {
    /// Whether nothing differs.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// One side of a comparison.
struct Side<'s> {
    root: Dir,
    shown: &'s Path,
    scan: Scan,
}

/// Compares the folders `left` and `right`.
///
/// # Errors
///
/// When a side is no folder, or something in it can't be read. Differences are
/// no error.
///
/// # Examples
///
/// ```
/// # let temp = tempfile::tempdir()?;
/// use bundlecp::verify::{Options, verify};
///
/// let outcome = verify(temp.path(), temp.path(), &Options::default(), &bundlecp::Silent)?;
/// assert!(outcome.is_equal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    left: &Path,
    right: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let threads = options.jobs.unwrap_or_else(pool::default_threads).max(1);
    let left = open_side(left, threads, progress)?;
    let right = open_side(right, threads, progress)?;
    let counters = Counters::default();
    let mut found = pair::compare(&left, &right);
    let hashed = content::compare(&left, &right, &found, threads, &counters, progress)?;
    pair::judge(&left, &right, &mut found, &hashed);
    let mut differences = found.differences;
    differences.extend(hashed.differences(&left));
    differences.retain(|difference| !options.ignore.contains(&difference.kind));
    differences.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    let totals = &left.scan.totals;
    Ok(Outcome {
        differences,
        files: totals.files,
        dirs: totals.dirs,
        symlinks: totals.symlinks,
        bytes_hashed: hashed.bytes,
        duration: started.elapsed(),
    })
}

fn open_side<'s>(shown: &'s Path, threads: usize, progress: &dyn Progress) -> Result<Side<'s>> {
    let root = sys::open_root(shown).map_err(|error| {
        let is_no_dir = sys::is_not_a_real_dir(&error);
        let error = Error::io("open", shown, error);
        match is_no_dir {
            true => error
                .with_kind(ErrorKind::Usage)
                .with_hint("verify compares two folders"),
            false => error,
        }
    })?;
    let options = scan::Options {
        detail: Detail::Stats,
        special: Special::Keep,
        is_excluded: None,
        threads,
    };
    let scan = scan::scan(&root, shown, options, progress)?;
    Ok(Side { root, shown, scan })
}
