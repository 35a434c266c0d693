//! One tree, such as a side of a comparison, and what is known of each node.
//!
//! A folder tells everything, and its contents are read when they are
//! compared. An archive was read before, once, and tells what its format and
//! its maker wrote down; what it doesn't tell is `None` and not compared.

use std::collections::HashSet;
use std::path::Path;

use crate::archive::Opened;
use crate::error::{Refusal, Result};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::scan::{self, Detail, Special, Totals};
use crate::sys::{Dir, Stat};

use super::Reading;
use super::moment::Moment;
use super::packed::{self, Fact, HardLinks, Packed};

/// One side. See the module's documentation.
pub(crate) struct Side<'s> {
    pub shown: &'s Path,
    pub plan: Plan,
    pub totals: Totals,
    source: Source,
}

/// Where a side comes from.
enum Source {
    /// What the file system said, by node.
    Folder { root: Dir, stats: Vec<Stat> },
    /// What the archive says, by node.
    Archive {
        facts: Vec<Fact>,
        hard_links: HardLinks,
        hashed: u64,
        root_hash: Option<[u8; 32]>,
    },
}

/// Sizes of files whose content may be compared.
pub(crate) enum Sizes {
    All,
    /// These, and any that a link's target has as text.
    Some(HashSet<u64>),
}

impl Sizes {
    pub(crate) fn has(&self, size: u64) -> bool {
        match self {
            Sizes::All => true,
            Sizes::Some(sizes) => size <= LONGEST_STUB || sizes.contains(&size),
        }
    }
}

/// The longest target of a link, and a newline.
const LONGEST_STUB: u64 = 4096;

impl<'s> Side<'s> {
    /// The folder `root`, which is `shown` in messages.
    pub(crate) fn of_folder(root: Dir, shown: &'s Path, reading: &Reading<'_>) -> Result<Self> {
        let options = scan::Options {
            detail: Detail::Stats,
            special: Special::Keep,
            is_excluded: None,
            threads: reading.threads,
        };
        let scan = scan::scan(&root, shown, options, reading.progress)?;
        Ok(Self {
            shown,
            plan: scan.plan,
            totals: scan.totals,
            source: Source::Folder {
                root,
                stats: scan.stats,
            },
        })
    }

    /// The archive `opened`, to be held against `other` if that is known.
    pub(crate) fn of_archive(
        opened: Opened<'_>,
        shown: &'s Path,
        other: Option<&Side<'_>>,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let sizes = other.map_or(Sizes::All, Side::sizes);
        let packed = packed::read(opened, &sizes, reading)?;
        let top = match other {
            Some(other) if other.root().is_some() => top_for(&packed, &other.plan),
            Some(_) | None => NodeId::ROOT,
        };
        Self::of_packed(packed, top, shown, reading)
    }

    /// The archive `opened`, of which no content is compared with anything.
    pub(crate) fn of_whole_archive(
        opened: Opened<'_>,
        shown: &'s Path,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let packed = packed::read(opened, &Sizes::Some(HashSet::new()), reading)?;
        Self::of_packed(packed, NodeId::ROOT, shown, reading)
    }

    fn of_packed(
        packed: Packed,
        top: NodeId,
        shown: &'s Path,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let Packed {
            hard_links,
            hashed,
            root_hash,
            ..
        } = packed;
        let refused = |refusal: Refusal| refusal.at(reading.operation, shown);
        let (plan, facts) = packed.into_tree(top).map_err(refused)?;
        Ok(Self {
            shown,
            totals: totals(&plan),
            plan,
            source: Source::Archive {
                facts,
                hard_links,
                hashed,
                root_hash,
            },
        })
    }

    /// The hash that names all of an archive, where its format has one.
    pub(crate) fn root_hash(&self) -> Option<[u8; 32]> {
        match &self.source {
            Source::Folder { .. } => None,
            Source::Archive { root_hash, .. } => *root_hash,
        }
    }

    /// The folder; `None` for an archive.
    pub(crate) fn root(&self) -> Option<&Dir> {
        match &self.source {
            Source::Folder { root, .. } => Some(root),
            Source::Archive { .. } => None,
        }
    }

    /// What the file system says; `None` for an archive.
    pub(crate) fn stat(&self, node: NodeId) -> Option<&Stat> {
        match &self.source {
            Source::Folder { stats, .. } => Some(&stats[node.index()]),
            Source::Archive { .. } => None,
        }
    }

    /// What an archive says; `None` for a folder.
    pub(crate) fn fact(&self, node: NodeId) -> Option<&Fact> {
        match &self.source {
            Source::Folder { .. } => None,
            Source::Archive { facts, .. } => Some(&facts[node.index()]),
        }
    }

    /// The permission bits of a file or folder: 0 to 0o7777.
    pub(crate) fn mode(&self, node: NodeId) -> Option<u32> {
        match &self.source {
            Source::Folder { stats, .. } => Some(stats[node.index()].mode),
            Source::Archive { facts, .. } => facts[node.index()].mode,
        }
    }

    /// When a node was last modified.
    pub(crate) fn modified(&self, node: NodeId) -> Option<Moment> {
        match &self.source {
            Source::Folder { stats, .. } => Some(Moment::exact(stats[node.index()].modified)),
            Source::Archive { facts, .. } => facts[node.index()].modified,
        }
    }

    /// Whether anything is known of the user attributes of a node.
    pub(crate) fn tells_xattrs(&self, node: NodeId) -> bool {
        self.fact(node).is_none_or(|fact| fact.xattrs.is_some())
    }

    /// Whether the side can say that two names are one file.
    pub(crate) fn holds_hard_links(&self) -> bool {
        match self.source {
            Source::Folder { .. } => true,
            Source::Archive { hard_links, .. } => hard_links == HardLinks::Kept,
        }
    }

    /// What all names of one file have in common, if it may have several.
    pub(crate) fn identity(&self, node: NodeId) -> Option<(u64, u64)> {
        match &self.source {
            Source::Folder { stats, .. } => {
                let stat = &stats[node.index()];
                (stat.links > 1).then_some((stat.device, stat.inode))
            }
            Source::Archive { facts, .. } => {
                let first = facts[node.index()].first?;
                Some((0, first.index() as u64))
            }
        }
    }

    /// Bytes that were hashed to know the side.
    pub(crate) fn hashed(&self) -> u64 {
        match self.source {
            Source::Folder { .. } => 0,
            Source::Archive { hashed, .. } => hashed,
        }
    }

    fn sizes(&self) -> Sizes {
        let is_file = |node: &NodeId| self.plan.kind(*node) == NodeKind::File;
        let files = self.plan.nodes().filter(is_file);
        Sizes::Some(files.map(|node| self.plan.size(node)).collect())
    }
}

/// The folder of an archive that is compared with the folder `other`: its only
/// member at the top, unless `other` has just that one too.
fn top_for(packed: &Packed, other: &Plan) -> NodeId {
    let Some(only) = packed.only_folder() else {
        return NodeId::ROOT;
    };
    let name = packed.name(only);
    let is_same = other.child_count(NodeId::ROOT) == 1 && other.child(NodeId::ROOT, name).is_some();
    match is_same {
        true => NodeId::ROOT,
        false => only,
    }
}

fn totals(plan: &Plan) -> Totals {
    let mut totals = Totals::default();
    for node in plan.nodes() {
        match plan.kind(node) {
            NodeKind::Dir => totals.dirs += 1,
            NodeKind::File => totals.files += 1,
            NodeKind::Symlink => totals.symlinks += 1,
            NodeKind::Special => {}
        }
        totals.bytes = totals.bytes.saturating_add(plan.size(node));
    }
    totals
}
