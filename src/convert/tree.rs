//! The tree of an archive that is converted: each member is checked as an
//! extraction would, and becomes what a packing asks of a tree.

use std::collections::HashMap;

use crate::archive::limits::Meter;
use crate::dest::looks_staged;
use crate::entry::{Member, MemberKind};
use crate::error::{Error, ErrorKind, Refusal};
use crate::extents::{Extent, Extents};
use crate::pack::archived::{Fact, in_blocks};
use crate::plan::links::{Missing, Resolution, Resolver};
use crate::plan::members::{Added, ExternalLinks, Members, first_external_link, names_of};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::sys::{self, FileType, Stat, Timestamp};
use crate::text::escape_bytes;

use super::{Options, Select};

/// Bytes of user attributes and maps of holes that are kept in memory. Real
/// archives have some KiB of them; a tar may give 1 MiB to each member.
const MAX_KEPT: usize = 64 << 20;

/// The mode of a folder that no member names.
const USUAL: u32 = 0o755;

/// The tree as far as it is known.
pub(super) struct Tree<'o> {
    members: Members,
    /// By node of `members`.
    told: Vec<Told>,
    made: Vec<NodeId>,
    select: Option<&'o Select>,
    pub meter: Meter,
    kept: usize,
    /// A member stands for the whole of the archive, and nothing holds that.
    pub has_root: bool,
}

/// What the archive says of a node.
#[derive(Clone, Default)]
struct Told {
    is_named: bool,
    mode: u32,
    modified: Option<Timestamp>,
    owner: (u32, u32),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    extents: Option<Extents>,
    start: u64,
}

/// A tree that is complete.
pub(super) struct Finished {
    pub plan: Plan,
    /// By node.
    pub stats: Vec<Stat>,
    pub facts: Vec<Fact>,
    /// The name of its root; empty where the members stand at the top.
    pub name: Vec<u8>,
    pub has_root: bool,
    /// Links that lead out of it.
    pub external_links: u64,
}

/// What becomes of folders that no member names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Implied {
    LeaveOut,
    /// The format has to name every folder.
    Write,
}

impl<'o> Tree<'o> {
    pub(super) fn new(options: &'o Options) -> Self {
        Self {
            members: Members::new(),
            told: vec![Told::default()],
            made: Vec::new(),
            select: options.select.as_ref(),
            meter: Meter::new(options.limits),
            kept: 0,
            has_root: false,
        }
    }

    /// Takes the next member into the tree. Returns its node if it is a file,
    /// whose content comes now.
    pub(super) fn accept(&mut self, member: &Member) -> Result<Option<NodeId>, Refusal> {
        let added = self.meter.count(member).and_then(|()| self.add(member));
        added.map_err(|refusal| match refusal.kind() {
            // All members together are too many or too much, not this one.
            ErrorKind::LimitExceeded => refusal,
            _ => refusal.about(named(&member.path)),
        })
    }

    fn add(&mut self, member: &Member) -> Result<Option<NodeId>, Refusal> {
        let names = names_of(&member.path)?;
        let linked = match member.kind {
            MemberKind::Hardlink => names_of(&member.target)?,
            MemberKind::Dir | MemberKind::File | MemberKind::Symlink => Vec::new(),
        };
        if !self.is_chosen(&names) {
            return Ok(None);
        }
        if member.kind == MemberKind::Hardlink && !self.is_chosen(&linked) {
            let target = escape_bytes(&member.target);
            let cause = format!("is a hard link to `{target}`, which is left out");
            let refusal = Refusal::new(ErrorKind::Usage, cause);
            return Err(refusal.with_hint("convert that member too: it has the content"));
        }
        if names.iter().any(|name| looks_staged(name)) {
            let cause = "has the name of a staging folder, which no extraction takes";
            return Err(Refusal::new(ErrorKind::Unsafe, cause));
        }
        let added = self.members.add(&names, member, &linked, &mut self.made)?;
        self.made.clear();
        let (Added::New(node) | Added::Again(node)) = added;
        self.has_root |= node == NodeId::ROOT;
        self.told.resize(self.members.plan().len(), Told::default());
        self.told[node.index()] = self.told_of(member)?;
        Ok((member.kind == MemberKind::File).then_some(node))
    }

    /// Whether the caller wants the member `names`.
    fn is_chosen(&self, names: &[&[u8]]) -> bool {
        let is_selected = |select: &Select| select(&sys::bytes_to_path(&names.join(&b'/')));
        names.is_empty() || self.select.is_none_or(is_selected)
    }

    fn told_of(&mut self, member: &Member) -> Result<Told, Refusal> {
        let id = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
        let xattrs = match member.kind {
            // Links have none, and further names those of the first.
            MemberKind::Symlink | MemberKind::Hardlink => Vec::new(),
            MemberKind::Dir | MemberKind::File => member.xattrs.clone(),
        };
        let pairs = xattrs.iter().map(|(name, value)| name.len() + value.len());
        let extents = member.extents.as_ref().map_or(0, Extents::len);
        self.kept += pairs.sum::<usize>() + extents * size_of::<Extent>();
        if self.kept > MAX_KEPT {
            let cause = "its attributes and maps of holes take more than 64 MiB";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        Ok(Told {
            is_named: true,
            mode: member.mode & 0o7777,
            modified: member.modified,
            owner: (id(member.uid), id(member.gid)),
            xattrs,
            extents: member.extents.clone(),
            start: 0,
        })
    }

    /// Notes where the stored bytes of a file begin.
    pub(super) fn set_start(&mut self, node: NodeId, start: u64) {
        self.told[node.index()].start = start;
    }

    /// Checks the tree as a whole, and makes of it what a packing reads.
    /// `refused` names the archive in an error.
    pub(super) fn finish(
        mut self,
        external_links: ExternalLinks,
        implied: Implied,
        refused: &dyn Fn(Refusal) -> Error,
    ) -> Result<Finished, Error> {
        let (whole, _) = self.members.sorted().map_err(refused)?;
        let found = match external_links {
            ExternalLinks::Refuse => {
                first_external_link(&whole, Missing::Nothing).map_err(refused)?
            }
            ExternalLinks::Allow => None,
        };
        if let Some((node, refusal)) = found {
            let path = whole.path(node);
            return Err(refused(refusal.about(named(path.as_bytes()))));
        }
        let external_links = match external_links {
            ExternalLinks::Refuse => 0,
            ExternalLinks::Allow => count_external(&whole),
        };
        let top = only_folder(&whole);
        let name = top.map_or_else(Vec::new, |node| whole.name(node).to_vec());
        drop(whole);
        let top = match top {
            Some(_) => self.only_child(),
            None => NodeId::ROOT,
        };
        let (plan, origins) = self.members.sorted_below(top).map_err(refused)?;
        let firsts: HashMap<NodeId, NodeId> = self.members.hardlinks().iter().copied().collect();
        for (node, first) in &firsts {
            self.told[node.index()] = self.told[first.index()].clone();
        }
        let linked: HashMap<NodeId, NodeId> = firsts
            .iter()
            .flat_map(|(node, first)| [(*node, *first), (*first, *first)])
            .collect();
        let (mut stats, mut facts) = (Vec::new(), Vec::new());
        for (node, origin) in plan.nodes().zip(&origins) {
            let told = std::mem::take(&mut self.told[origin.index()]);
            let first = linked.get(origin).copied();
            stats.push(stat(&plan, node, &told, first));
            facts.push(fact(told, plan.size(node), implied));
        }
        Ok(Finished {
            plan,
            stats,
            facts,
            name,
            has_root: self.has_root,
            external_links,
        })
    }

    /// The only node at the top.
    fn only_child(&self) -> NodeId {
        let plan = self.members.plan();
        let mut top = plan.nodes().filter(|node| plan.depth(*node) == 1);
        top.next().unwrap_or(NodeId::ROOT)
    }
}

fn named(path: &[u8]) -> String {
    format!("its member `{}`", escape_bytes(path))
}

/// The only node at the top of a sorted plan, if that is a folder.
fn only_folder(plan: &Plan) -> Option<NodeId> {
    let mut top = plan.children(NodeId::ROOT);
    match (top.next(), top.next()) {
        (Some(only), None) if plan.kind(only) == NodeKind::Dir => Some(only),
        _ => None,
    }
}

fn count_external(plan: &Plan) -> u64 {
    let mut resolver = Resolver::new(plan);
    let links = plan
        .nodes()
        .filter(|node| plan.kind(*node) == NodeKind::Symlink);
    links
        .filter(|node| resolver.resolve(*node) == Resolution::Outside)
        .count() as u64
}

/// What a file system would say of a node.
fn stat(plan: &Plan, node: NodeId, told: &Told, first: Option<NodeId>) -> Stat {
    let modified = told.modified.unwrap_or_default();
    let size = plan.size(node);
    Stat {
        file_type: match plan.kind(node) {
            NodeKind::Dir => FileType::Dir,
            NodeKind::File => FileType::File,
            NodeKind::Symlink => FileType::Symlink,
            NodeKind::Special => FileType::Special,
        },
        mode: match told.is_named {
            true => told.mode,
            false => USUAL,
        },
        size,
        allocated: allocated(told.extents.as_ref(), size),
        modified,
        accessed: modified,
        changed: modified,
        device: 0,
        inode: first.map_or(0, |first| first.index() as u64),
        links: match first {
            Some(_) => 2,
            None => 1,
        },
        uid: told.owner.0,
        gid: told.owner.1,
    }
}

/// The storage that a file of `size` bytes with these extents takes on a disk:
/// less than its size if it has holes.
fn allocated(extents: Option<&Extents>, size: u64) -> u64 {
    const BLOCK: u64 = 4096;
    let Some(extents) = extents.and_then(|extents| in_blocks(extents, size)) else {
        return size;
    };
    let blocks = extents
        .iter()
        .map(|(_, length)| length.next_multiple_of(BLOCK));
    blocks.sum::<u64>().min(size.saturating_sub(1))
}

fn fact(mut told: Told, size: u64, implied: Implied) -> Fact {
    told.xattrs.sort();
    Fact {
        is_written: told.is_named || implied == Implied::Write,
        has_time: told.modified.is_some(),
        xattrs: told.xattrs,
        start: told.start,
        extents: told
            .extents
            .as_ref()
            .and_then(|extents| in_blocks(extents, size)),
        stored: told.extents,
    }
}
