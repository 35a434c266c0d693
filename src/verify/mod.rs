//! Comparing two trees, in folders, archives or manifests: what is missing, changed,
//! or lost its links.
//!
//! Both sides are walked together; contents are hashed with BLAKE3 in parallel,
//! in folders only where names, kinds and sizes agree. A link that became a
//! copy of its target ([`DifferenceKind::Flattened`]) is told apart from one
//! that became a text file ([`DifferenceKind::Stub`]), because they come from
//! different tools and are repaired differently.
//!
//! Nothing is written, and no link is followed on disk.

mod content;
mod pair;

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::{Error, ErrorKind, Result};
use crate::format::manifest::Origin;
use crate::path::RelPath;
use crate::pool;
use crate::progress::{Phase, Progress};
use crate::scan::Special;
use crate::tree::hashing::Style;
use crate::tree::{self, Input, Reading, Side};

pub use crate::tree::Tree;

/// What errors call a comparison.
const OPERATION: &str = "verify";

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

/// Compares `left` and `right`, each a folder, an archive or a
/// [manifest](crate::manifest).
///
/// Of an archive, all content is decoded once, so that damage is found wherever
/// it is. What it doesn't tell is not compared: zips have neither hard links
/// nor attributes, those made on DOS or Windows no modes either, and PyInstaller
/// programs no times besides. Times are
/// compared as finely as the archive tells them, which is 100 ns or two seconds
/// in some zips, and a second wherever there is no fraction.
///
/// An archive whose only member at the top is a folder, such as `app/…`, is
/// compared from there on with a folder on the other side; unless that has just
/// one entry too, of the same name. Two archives are compared as they are. A
/// manifest's paths are those of what it was made of, and are compared as that would be;
/// of the root itself, no manifest says anything.
///
/// # Errors
///
/// When a side is no folder, archive or manifest, when something in it can't be
/// read, or when an archive or a manifest is damaged or holds what an extraction would
/// refuse, links that lead out of it excepted. Differences are no error.
///
/// # Examples
///
/// ```
/// # let temp = tempfile::tempdir()?;
/// use bundlecp::{Silent, pack, verify};
///
/// # let (app, archive) = (temp.path().join("app"), temp.path().join("app.tar.zst"));
/// # std::fs::create_dir(&app)?;
/// pack::pack(&[app.clone()], &archive, &pack::Options::default(), &Silent)?;
/// let proof = verify::verify(&archive, &app, &verify::Options::default(), &Silent)?;
/// assert!(proof.is_equal());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn verify(
    left: &Path,
    right: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    verify_trees(Tree::At(left), Tree::At(right), options, progress)
}

/// Compares `left` and `right` as [`verify`] does, where one may come through a pipe.
///
/// # Errors
///
/// As [`verify`]. A zip can't be compared while it comes.
pub fn verify_trees(
    left: Tree<'_>,
    right: Tree<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let left = tree::open(left, OPERATION)?;
    let right = tree::open(right, OPERATION)?;
    let mut reading = reading(options, progress);
    if [&left, &right]
        .iter()
        .any(|(_, input)| matches!(input, Input::Manifest(_)))
    {
        reading.style = Style::Plain;
    }
    let (left, right) = read_sides(left, right, &reading)?;
    let mut found = pair::compare(&left, &right);
    let hashed = content::compare(&left, &right, &found, &reading)?;
    pair::judge(&left, &right, &mut found, &hashed);
    let mut differences = found.differences;
    differences.extend(hashed.differences(&left));
    differences.retain(|difference| !options.ignore.contains(&difference.kind));
    differences.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
    let totals = &left.totals;
    Ok(Outcome {
        differences,
        files: totals.files,
        dirs: totals.dirs,
        symlinks: totals.symlinks,
        bytes_hashed: hashed.bytes + left.hashed() + right.hashed(),
        duration: started.elapsed(),
    })
}

/// What was found in an archive or a manifest that is whole.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Checked {
    /// The archive's format: `tar.zst`, `bcp` and so on; `manifest` of a manifest.
    pub format: &'static str,
    /// Regular files, each name of one counted.
    pub files: u64,
    /// Folders.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// The hash that names all of the archive, where its format has one.
    pub root_hash: Option<[u8; 32]>,
    /// The hash over all entries of a manifest.
    pub tree_hash: Option<[u8; 32]>,
    /// The time that it took.
    pub duration: Duration,
}

/// Reads all of the archive or manifest at `archive`, and checks it by every sum and hash
/// that it has. What only its own lengths prove, as in a plain tar, is no proof
/// of contents.
///
/// # Errors
///
/// When it is no archive or can't be read, when it is damaged, or holds what an
/// extraction would refuse, links that lead out of it excepted.
pub fn check(archive: &Path, options: &Options, progress: &dyn Progress) -> Result<Checked> {
    check_tree(Tree::At(archive), options, progress)
}

/// Checks an archive as [`check`] does, which may come through a pipe.
///
/// # Errors
///
/// As [`check`]. A zip can't be checked while it comes.
pub fn check_tree(tree: Tree<'_>, options: &Options, progress: &dyn Progress) -> Result<Checked> {
    let started = Instant::now();
    let reading = reading(options, progress);
    let (shown, input) = tree::open(tree, OPERATION)?;
    let tree_hash = input.tree_hash();
    let (format, side) = match input {
        Input::Archive(opened) => {
            let format = opened.kind.name();
            (format, Side::of_whole_archive(opened, shown, &reading)?)
        }
        Input::Manifest(_) => ("manifest", Side::of(input, shown, None, &reading)?),
        Input::Folder(_) => {
            let cause = "is a folder, and there is nothing to hold it against";
            let error = Error::new(ErrorKind::Usage, OPERATION, shown, cause);
            return Err(error.with_hint("name what it should be equal to"));
        }
    };
    let totals = &side.totals;
    Ok(Checked {
        format,
        files: totals.files,
        // The folder that all stand in is no member.
        dirs: totals.dirs.saturating_sub(1),
        symlinks: totals.symlinks,
        // What a manifest says of its archive was not read here.
        root_hash: side.root_hash().filter(|_| tree_hash.is_none()),
        tree_hash,
        duration: started.elapsed(),
    })
}

fn reading<'r>(options: &Options, progress: &'r dyn Progress) -> Reading<'r> {
    Reading {
        operation: OPERATION,
        phase: Phase::Verifying,
        special: Special::Keep,
        junctions_as_links: true,
        style: Style::OverHoles,
        threads: pool::threads(options.jobs),
        progress,
    }
}

/// Reads both sides. A folder comes before a manifest and that before an archive: where an
/// archive's tree begins, and what of it has to be hashed, depends on the other side.
fn read_sides<'s>(
    (left, a): (&'s Path, Input<'_>),
    (right, b): (&'s Path, Input<'_>),
    reading: &Reading<'_>,
) -> Result<(Side<'s>, Side<'s>)> {
    let rank = |input: &Input<'_>| match (input.origin(), input) {
        (Origin::Folder, _) => 0,
        (Origin::Archive, Input::Manifest(_)) => 1,
        (Origin::Archive, Input::Archive(_) | Input::Folder(_)) => 2,
    };
    match rank(&a) <= rank(&b) {
        true => {
            let a = Side::of(a, left, None, reading)?;
            let b = Side::of(b, right, Some(&a), reading)?;
            Ok((a, b))
        }
        false => {
            let b = Side::of(b, right, None, reading)?;
            let a = Side::of(a, left, Some(&b), reading)?;
            Ok((a, b))
        }
    }
}
