//! Putting back what a bundle has lost: links, executable bits, times.
//!
//! [`plan`] finds out what is to be done and writes nothing: by what the tree itself
//! tells ([`doctor`](crate::doctor)'s rules), or exactly, by a manifest, an archive or a
//! folder of the bundle as it was. Nothing is replaced by a link unless it reads the same
//! through that link. [`apply`] makes the repaired tree beside the old one, compares both
//! anew, and swaps them; the old one is removed last.

mod infer;
mod original;
mod proof;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::copy::revise::{Revision, revise};
use crate::copy::{self, Sync};
use crate::doctor::lost::{LostLink, Stand};
use crate::doctor::subject::Subject;
use crate::error::{Error, ErrorKind, Result};
use crate::path::{LinkTarget, RelPath};
use crate::plan::edit::{Edit, Edits};
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, Plan as Nodes};
use crate::pool;
use crate::progress::Progress;
use crate::scan::Totals;
use crate::sys::{self, Dir, Timestamp};
use crate::verify::{self, Difference, DifferenceKind};

/// How to repair.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// The bundle as it was: a manifest, an archive or a folder. `None` goes by what the
    /// damaged tree tells.
    pub from: Option<PathBuf>,
    /// What is durable at the end.
    pub sync: Sync,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
}

/// What is done to one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ChangeKind {
    /// A link takes the place of a copy, a text file, or nothing.
    Link,
    /// A link gets another target.
    Retarget,
    /// The permission bits change.
    Mode,
    /// The modification time changes.
    Mtime,
    /// The file goes: what it told is done.
    Remove,
}

impl ChangeKind {
    /// Returns the kind's name as JSON documents and messages write it.
    pub fn name(self) -> &'static str {
        match self {
            ChangeKind::Link => "link",
            ChangeKind::Retarget => "retarget",
            ChangeKind::Mode => "mode",
            ChangeKind::Mtime => "mtime",
            ChangeKind::Remove => "remove",
        }
    }
}

/// One thing that is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Change {
    /// Where, from the bundle's root.
    #[serde(flatten)]
    pub path: RelPath,
    /// What is done there.
    pub kind: ChangeKind,
    /// The target of the link that is made.
    #[serde(flatten)]
    pub target: Option<LinkTarget>,
    /// What it is done for, in words.
    pub reason: String,
}

/// Something that is not as it was, or may not be, and stays as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Undecided {
    /// Where, from the bundle's root.
    #[serde(flatten)]
    pub path: RelPath,
    /// Why nothing is done, in words.
    pub cause: String,
}

/// What is to be done to a tree, proven and not done yet.
pub struct Plan {
    dir: PathBuf,
    root: Dir,
    nodes: Nodes,
    totals: Totals,
    edits: Edits,
    attributes: HashMap<NodeId, copy::Change>,
    /// Links that nothing in the old tree reads as.
    unlike: HashSet<RelPath>,
    /// What is done, sorted by path.
    pub changes: Vec<Change>,
    /// What is left as it is, sorted by path.
    pub undecided: Vec<Undecided>,
    /// Content in bytes of the copies that go.
    pub bytes_saved: u64,
}

impl Plan {
    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl fmt::Debug for Plan {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut plan = out.debug_struct("Plan");
        plan.field("changes", &self.changes);
        plan.field("undecided", &self.undecided);
        plan.finish_non_exhaustive()
    }
}

/// What was done.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// How many changes were made.
    pub changes: u64,
    /// Links that were made, or got another target.
    pub links: u64,
    /// Content in bytes of the copies that went.
    pub bytes_saved: u64,
    /// What a reader should know that is no error.
    pub notes: Vec<String>,
    /// The time that it took.
    pub duration: Duration,
}

/// Finds out what would make the bundle in the folder `dir` what it was. Nothing is written.
///
/// # Errors
///
/// When `dir` is no folder, when something in it can't be read, or when
/// [`Options::from`] is damaged or none of what it may be.
pub fn plan(dir: &Path, options: &Options, progress: &dyn Progress) -> Result<Plan> {
    let threads = pool::threads(options.jobs);
    let root = sys::open_root(dir).map_err(|error| {
        let error = Error::io("open", dir, error);
        match error.kind() {
            ErrorKind::NotFound => error,
            _ => error.with_hint("repair works on folders: extract an archive first"),
        }
    })?;
    let again = sys::reopen_dir(&root).map_err(|error| Error::io("open", dir, error))?;
    let subject = Subject::read(root, dir, "repair", threads, progress)?;
    let intent = match &options.from {
        None => infer::intend(&subject)?,
        Some(from) => original::intend(&subject, from, progress)?,
    };
    let intent = proof::prove(&subject, intent)?;
    Ok(intent.into_plan(subject, again))
}

/// What is meant to be done.
#[derive(Default)]
struct Intent {
    links: Vec<Intended>,
    removed: Vec<NodeId>,
    attributes: HashMap<NodeId, copy::Change>,
    undecided: Vec<Undecided>,
}

/// A link that is meant to be made.
struct Intended {
    link: LostLink,
    kind: ChangeKind,
    /// When it was last modified, if that is known.
    modified: Option<Timestamp>,
    /// It leads out of the tree, to a file that was compared.
    is_proven: bool,
}

impl Intended {
    fn inferred(link: LostLink) -> Self {
        Self {
            link,
            kind: ChangeKind::Link,
            modified: None,
            is_proven: false,
        }
    }
}

impl Intent {
    /// All that is meant to be done to names.
    fn edits(&self, nodes: &Nodes) -> Edits {
        self.some_edits(nodes, |_| true)
    }

    /// As [`edits`](Self::edits), with files in place of the links that lead out of the tree
    /// to files that are equal to them.
    fn edits_within(&self, nodes: &Nodes) -> Edits {
        self.some_edits(nodes, |intended| !intended.is_proven)
    }

    fn some_edits(&self, nodes: &Nodes, is_meant: impl Fn(&Intended) -> bool) -> Edits {
        let mut edits = Edits::default();
        for intended in self.links.iter().filter(|intended| is_meant(intended)) {
            let link = &intended.link;
            let edit = Edit::Link(link.target.clone(), intended.modified);
            edits.set(link.dir, link.name.clone(), edit);
        }
        for node in &self.removed {
            edits.set(nodes.parent(*node), nodes.name(*node).into(), Edit::Remove);
        }
        edits
    }

    /// The links that nothing in the old tree reads as: those that lead out of it, or through
    /// one that does, to files that were compared; and those in place of empty folders.
    fn unlike(&self, nodes: &Nodes, edits: &Edits) -> HashSet<RelPath> {
        // It was applied when it was proven.
        let Ok(edited) = edits.apply(nodes) else {
            return HashSet::new();
        };
        let mut resolver = Resolver::new(&edited.plan);
        let mut unlike = HashSet::new();
        for Intended { link, .. } in &self.links {
            let folder = edited.folder(nodes, link.dir);
            let led = folder.map(|folder| resolver.lead(folder, &link.target));
            if led == Some(Resolution::Outside) || link.stand == Stand::Empty {
                unlike.insert(link.path(nodes));
            }
        }
        unlike
    }

    fn leave(&mut self, path: RelPath, cause: impl Into<String>) {
        self.undecided.push(Undecided {
            path,
            cause: cause.into(),
        });
    }

    fn into_plan(mut self, subject: Subject<'_>, root: Dir) -> Plan {
        let edits = self.edits(subject.plan());
        let nodes = subject.plan();
        let mut changes: Vec<Change> = self.links.iter().map(|link| linked(nodes, link)).collect();
        let removed = self.removed.iter().map(|node| Change {
            path: nodes.path(*node),
            kind: ChangeKind::Remove,
            target: None,
            reason: "all that it tells is done".to_owned(),
        });
        changes.extend(removed);
        for (node, change) in &self.attributes {
            changes.extend(changed(&subject, *node, *change));
        }
        changes.sort_by(|a, b| (&a.path, a.kind).cmp(&(&b.path, b.kind)));
        self.undecided.sort_by(|a, b| a.path.cmp(&b.path));
        let copies = self
            .links
            .iter()
            .filter_map(|intended| intended.link.node(nodes));
        let unlike = self.unlike(nodes, &edits);
        let bytes_saved = copies.map(|node| nodes.bytes_below(node)).sum();
        Plan {
            dir: subject.side.shown.to_owned(),
            root,
            totals: subject.side.totals,
            nodes: subject.side.plan,
            edits,
            attributes: self.attributes,
            unlike,
            changes,
            undecided: self.undecided,
            bytes_saved,
        }
    }
}

fn linked(nodes: &Nodes, intended: &Intended) -> Change {
    let link = &intended.link;
    let what = match link.stand {
        Stand::Copy => "in place of a copy",
        Stand::Stub => "in place of a text file",
        Stand::Empty => "in place of an empty folder",
        Stand::Nothing => "where nothing is",
    };
    Change {
        path: link.path(nodes),
        kind: intended.kind,
        target: Some(LinkTarget::new(link.target.clone())),
        reason: match intended.kind {
            ChangeKind::Link => format!("{what}: {}", link.rule),
            _ => link.rule.to_owned(),
        },
    }
}

fn changed(subject: &Subject<'_>, node: NodeId, change: copy::Change) -> Vec<Change> {
    let one = |kind, reason| Change {
        path: subject.plan().path(node),
        kind,
        target: None,
        reason,
    };
    let mode = change.mode.map(|mode| {
        let reason = format!("{:04o} becomes {mode:04o}", subject.mode(node));
        one(ChangeKind::Mode, reason)
    });
    let time = change.modified.map(|_| {
        let reason = "as in the original".to_owned();
        one(ChangeKind::Mtime, reason)
    });
    mode.into_iter().chain(time).collect()
}

/// Does what `plan` says, whole or not at all: the repaired tree is made beside the old
/// one, all of both is compared, and they are swapped.
///
/// # Errors
///
/// Every error leaves the folder as it was: when it changed since the plan was made, when
/// the file system can't hold links, or when what was made isn't what was planned.
pub fn apply(plan: Plan, options: &Options, progress: &dyn Progress) -> Result<Outcome> {
    let dir = std::fs::canonicalize(&plan.dir);
    let dir = dir.map_err(|error| Error::io("open", &plan.dir, error))?;
    let copying = copy::Options {
        sync: options.sync,
        jobs: options.jobs,
        ..copy::Options::default()
    };
    let changes = plan.changes;
    let unlike = plan.unlike;
    let expected = Expected {
        changes: &changes,
        unlike: &unlike,
    };
    let check = |staged: &Path| compare(staged, &dir, &expected, options, progress);
    let revision = Revision {
        root: plan.root,
        plan: plan.nodes,
        totals: plan.totals,
        edits: &plan.edits,
        attributes: &plan.attributes,
    };
    let revised = revise(&dir, revision, &copying, &check, progress)?;
    let is_link = |change: &&Change| matches!(change.kind, ChangeKind::Link | ChangeKind::Retarget);
    Ok(Outcome {
        changes: changes.len() as u64,
        links: changes.iter().filter(is_link).count() as u64,
        bytes_saved: plan.bytes_saved,
        notes: revised.notes,
        duration: revised.duration,
    })
}

/// In what a repaired tree is to differ from the old one.
struct Expected<'e> {
    changes: &'e [Change],
    /// Nothing in the old tree reads as these links.
    unlike: &'e HashSet<RelPath>,
}

/// Compares the repaired tree `staged` with the one that it is to replace: they differ in
/// what was planned, and each link reads as what stood in its place.
fn compare(
    staged: &Path,
    dir: &Path,
    expected: &Expected<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<()> {
    let comparing = verify::Options {
        // A name that became a link is none of its file any more.
        ignore: vec![DifferenceKind::Hardlink],
        jobs: options.jobs,
    };
    let outcome = verify::verify(staged, dir, &comparing, progress)?;
    let mut planned: HashMap<&RelPath, Vec<ChangeKind>> = HashMap::new();
    for change in expected.changes {
        planned.entry(&change.path).or_default().push(change.kind);
    }
    let is_planned = |difference: &&Difference| {
        let kinds = planned.get(&difference.path);
        let is_unlike = expected.unlike.contains(&difference.path);
        kinds.is_some_and(|kinds| kinds.iter().any(|kind| explains(*kind, difference.kind)))
            || is_unlike && difference.kind == DifferenceKind::Type
    };
    match outcome
        .differences
        .iter()
        .find(|difference| !is_planned(difference))
    {
        None => Ok(()),
        Some(difference) => {
            let path = sys::join_bytes(dir, difference.path.as_bytes());
            let cause = format!(
                "the repaired one differs otherwise than planned: {}",
                difference.kind.name()
            );
            let error = Error::new(ErrorKind::SourceChanged, "repair", path, cause);
            Err(error.with_hint("something writes to the folder: stop that, and repair again"))
        }
    }
}

/// Whether a difference between the repaired tree and the old one is what a change makes.
fn explains(change: ChangeKind, difference: DifferenceKind) -> bool {
    match change {
        ChangeKind::Link => matches!(
            difference,
            DifferenceKind::Flattened | DifferenceKind::Stub | DifferenceKind::Missing
        ),
        ChangeKind::Retarget => {
            matches!(
                difference,
                DifferenceKind::Retargeted | DifferenceKind::Mtime
            )
        }
        ChangeKind::Mode => difference == DifferenceKind::Mode,
        ChangeKind::Mtime => difference == DifferenceKind::Mtime,
        ChangeKind::Remove => difference == DifferenceKind::Extra,
    }
}
