//! One tree, such as a side of a comparison, and what is known of each node.
//!
//! A folder tells everything, and its contents are read when they are
//! compared. An archive was read before, once, and tells what its format and
//! its maker wrote down; what it doesn't tell is `None` and not compared.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::archive::Opened;
use crate::error::{Refusal, Result};
use crate::format::manifest::Origin;
use crate::plan::{NodeId, NodeKind, Plan};
use crate::scan::{self, Detail, Totals};
use crate::sys::{self, Dir, Stat};

use super::moment::Moment;
use super::packed::{self, Fact, HardLinks, Packed};
use super::{Input, Reading, reader};

/// One side. See the module's documentation.
pub(crate) struct Side<'s> {
    pub shown: &'s Path,
    pub plan: Plan,
    pub totals: Totals,
    /// What its paths begin with: a manifest has those of what it was made of.
    pub origin: Origin,
    source: Source,
}

/// Where a side comes from.
enum Source {
    /// What the file system said, by node, and what reading the contents added.
    Folder {
        root: Dir,
        stats: Vec<Stat>,
        /// `None` until [`Side::learn`] has read them.
        facts: Option<Vec<Fact>>,
    },
    /// What an archive or a manifest says, by node.
    Told {
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
    /// What `input` is, shown as `shown` in messages, to be held against `other` if that is
    /// known: then only contents that can be equal to one of `other`'s are hashed.
    pub(crate) fn of(
        input: Input<'_>,
        shown: &'s Path,
        other: Option<&Side<'_>>,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let sizes = other.map_or(Sizes::All, Side::sizes);
        Self::read(input, shown, other, &sizes, reading)
    }

    /// As [`of`](Self::of), and all contents are read: [`hash`](Self::hash) tells that of
    /// each file, [`fact`](Self::fact) the rest. For files to be compared with those of
    /// another side, both need the same [`Style`](super::hashing::Style).
    pub(crate) fn known(
        input: Input<'_>,
        shown: &'s Path,
        other: Option<&Side<'_>>,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let mut side = Self::read(input, shown, other, &Sizes::All, reading)?;
        side.learn(reading)?;
        Ok(side)
    }

    /// The archive `opened`, of which no content is compared with anything.
    pub(crate) fn of_whole_archive(
        opened: Opened<'_>,
        shown: &'s Path,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let none = Sizes::Some(HashSet::new());
        Self::read(Input::Archive(opened), shown, None, &none, reading)
    }

    fn read(
        input: Input<'_>,
        shown: &'s Path,
        other: Option<&Side<'_>>,
        sizes: &Sizes,
        reading: &Reading<'_>,
    ) -> Result<Self> {
        let (packed, origin) = match input {
            Input::Folder(root) => return Self::of_folder(root, shown, reading),
            Input::Archive(opened) => (packed::read(opened, sizes, reading)?, Origin::Archive),
            Input::Manifest(noted) => (noted.packed, noted.header.origin),
        };
        let top = match (origin, other) {
            (Origin::Archive, Some(other)) if other.origin == Origin::Folder => {
                top_for(&packed, &other.plan)
            }
            (Origin::Archive | Origin::Folder, _) => NodeId::ROOT,
        };
        Self::of_packed(packed, origin, top, shown, reading)
    }

    fn of_folder(root: Dir, shown: &'s Path, reading: &Reading<'_>) -> Result<Self> {
        let options = scan::Options {
            detail: Detail::Stats,
            special: reading.special,
            junctions_as_links: reading.junctions_as_links,
            is_excluded: None,
            threads: reading.threads,
        };
        let scan = scan::scan(&root, shown, options, reading.progress)?;
        Ok(Self {
            shown,
            plan: scan.plan,
            totals: scan.totals,
            origin: Origin::Folder,
            source: Source::Folder {
                root,
                stats: scan.stats,
                facts: None,
            },
        })
    }

    fn of_packed(
        packed: Packed,
        origin: Origin,
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
            origin,
            source: Source::Told {
                facts,
                hard_links,
                hashed,
                root_hash,
            },
        })
    }

    /// Reads all that a folder holds. Of all else it is known already.
    fn learn(&mut self, reading: &Reading<'_>) -> Result<()> {
        if self.is_folder() {
            let learned = reader::learn(self, reading)?;
            if let Source::Folder { facts, .. } = &mut self.source {
                *facts = Some(learned);
            }
        }
        Ok(())
    }

    /// The hash that names all of an archive, where its format has one.
    pub(crate) fn root_hash(&self) -> Option<[u8; 32]> {
        match &self.source {
            Source::Folder { .. } => None,
            Source::Told { root_hash, .. } => *root_hash,
        }
    }

    /// The folder; `None` for an archive or a manifest.
    pub(crate) fn root(&self) -> Option<&Dir> {
        match &self.source {
            Source::Folder { root, .. } => Some(root),
            Source::Told { .. } => None,
        }
    }

    /// What the file system says; `None` for an archive or a manifest.
    pub(crate) fn stat(&self, node: NodeId) -> Option<&Stat> {
        match &self.source {
            Source::Folder { stats, .. } => Some(&stats[node.index()]),
            Source::Told { .. } => None,
        }
    }

    /// What is known of a node by its contents; `None` of a folder that wasn't read.
    pub(crate) fn fact(&self, node: NodeId) -> Option<&Fact> {
        match &self.source {
            Source::Folder { facts, .. } => Some(&facts.as_ref()?[node.index()]),
            Source::Told { facts, .. } => Some(&facts[node.index()]),
        }
    }

    /// The hash of a file's content, if it was asked for; `None` for all else.
    pub(crate) fn hash(&self, node: NodeId) -> Option<blake3::Hash> {
        self.fact(node)?.hash
    }

    /// The permission bits of a file or folder: 0 to 0o7777; `None` where nobody tells.
    pub(crate) fn mode(&self, node: NodeId) -> Option<u32> {
        match &self.source {
            Source::Folder { stats, .. } => {
                sys::HAS_PERMISSION_BITS.then(|| stats[node.index()].mode)
            }
            Source::Told { facts, .. } => facts[node.index()].mode,
        }
    }

    /// When a node was last modified.
    pub(crate) fn modified(&self, node: NodeId) -> Option<Moment> {
        match &self.source {
            Source::Folder { stats, .. } => Some(Moment::exact(stats[node.index()].modified)),
            Source::Told { facts, .. } => facts[node.index()].modified,
        }
    }

    /// Whether it is read from a folder, not from an archive or a manifest.
    pub(crate) fn is_folder(&self) -> bool {
        matches!(self.source, Source::Folder { .. })
    }

    /// Whether anything is known of the user attributes of a node.
    pub(crate) fn tells_xattrs(&self, node: NodeId) -> bool {
        self.fact(node).is_none_or(|fact| fact.xattrs.is_some())
    }

    /// Whether the side can say that two names are one file.
    pub(crate) fn holds_hard_links(&self) -> bool {
        match self.source {
            Source::Folder { .. } => true,
            Source::Told { hard_links, .. } => hard_links == HardLinks::Kept,
        }
    }

    /// What all names of one file have in common, if it may have several.
    pub(crate) fn identity(&self, node: NodeId) -> Option<(u64, u64)> {
        match &self.source {
            Source::Folder { stats, .. } => {
                let stat = &stats[node.index()];
                (stat.links > 1).then_some((stat.device, stat.inode))
            }
            Source::Told { facts, .. } => {
                let first = facts[node.index()].first?;
                Some((0, first.index() as u64))
            }
        }
    }

    /// Bytes that were hashed to know the side.
    pub(crate) fn hashed(&self) -> u64 {
        match self.source {
            Source::Folder { .. } => 0,
            Source::Told { hashed, .. } => hashed,
        }
    }

    /// The first name, by path, of every file that may have several names in the tree.
    pub(crate) fn first_names(&self) -> HashMap<(u64, u64), NodeId> {
        let plan = &self.plan;
        let mut groups: HashMap<(u64, u64), NodeId> = HashMap::new();
        let is_file = |node: &NodeId| plan.kind(*node) == NodeKind::File;
        for node in plan.nodes().filter(is_file) {
            let Some(group) = self.identity(node) else {
                continue;
            };
            let first = groups.entry(group).or_insert(node);
            if plan.path(node) < plan.path(*first) {
                *first = node;
            }
        }
        groups
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
