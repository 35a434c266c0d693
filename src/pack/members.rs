//! The members of an archive in the order in which they are written.
//!
//! Each folder comes before what is in it, names in the order of their bytes:
//! what is in one folder stands together, for whoever extracts it and for the
//! compressor. Ordering files by extension instead made a scientific bundle
//! 0.2 % smaller, a node_modules 0.5 % larger and its extraction a tenth slower.
//! The order depends on the tree alone, so the same tree gives the same bytes.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::entry::{Carried, Member, MemberKind};
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::scan::Scan;
use crate::sys::{self, Dir, FileType, Stat, Timestamp};

use super::RootName;
use super::archived::Archived;

/// One tree that is packed.
pub(crate) struct Source {
    pub root: Root,
    /// The path that the user gave, for messages.
    pub shown: PathBuf,
    /// The name that its root has in the archive; empty for none.
    pub name: Vec<u8>,
    pub scan: Scan,
}

/// Where a tree stands.
pub(crate) enum Root {
    Folder(Dir),
    Archive(Box<Archived>),
}

impl Source {
    pub(super) fn plan(&self) -> &Plan {
        &self.scan.plan
    }

    pub(super) fn stat(&self, node: NodeId) -> &Stat {
        &self.scan.stats[node.index()]
    }

    /// When a node was last modified, if anybody knows.
    fn modified(&self, node: NodeId) -> Option<Timestamp> {
        let is_known = match &self.root {
            Root::Folder(_) => true,
            Root::Archive(archived) => archived.fact(node).has_time,
        };
        is_known.then(|| self.stat(node).modified)
    }

    /// Whether a node is a member of what is written.
    fn is_written(&self, node: NodeId) -> bool {
        match &self.root {
            Root::Folder(_) => true,
            Root::Archive(archived) => archived.fact(node).is_written,
        }
    }

    /// The path of `node` in the archive.
    pub(crate) fn member_path(&self, node: NodeId) -> Vec<u8> {
        let path = self.plan().path(node);
        let mut joined = self.name.clone();
        if !joined.is_empty() && !path.is_root() {
            joined.push(b'/');
        }
        joined.extend_from_slice(path.as_bytes());
        joined
    }

    /// The path of `node` on the disk.
    pub(super) fn path(&self, node: NodeId) -> PathBuf {
        sys::join_bytes(&self.shown, self.plan().path(node).as_bytes())
    }
}

/// What is written, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub source: u32,
    pub node: NodeId,
    pub kind: MemberKind,
    /// For a hard link: the item of the file that it is a name of.
    pub first: u32,
}

/// All members in the order in which they are written.
pub(super) fn in_order(sources: &[Source]) -> Vec<Item> {
    let mut items = Vec::new();
    let mut seen: HashMap<(u64, u64), u32> = HashMap::new();
    for (index, source) in sources.iter().enumerate() {
        let plan = source.plan();
        let skipped = usize::from(source.name.is_empty());
        let nodes = depth_first(plan).into_iter().skip(skipped);
        for node in nodes.filter(|node| source.is_written(*node)) {
            let mut item = Item {
                source: index as u32,
                node,
                kind: match plan.kind(node) {
                    NodeKind::Dir => MemberKind::Dir,
                    NodeKind::File => MemberKind::File,
                    NodeKind::Symlink => MemberKind::Symlink,
                    NodeKind::Special => continue,
                },
                first: 0,
            };
            let stat = source.stat(node);
            if item.kind == MemberKind::File && stat.links > 1 {
                let at = items.len() as u32;
                item.first = *seen.entry((stat.device, stat.inode)).or_insert(at);
                if item.first != at {
                    item.kind = MemberKind::Hardlink;
                }
            }
            items.push(item);
        }
    }
    items
}

/// Makes further names of files into files of their own. Returns how many.
pub(super) fn part_hard_links(items: &mut [Item]) -> u64 {
    let mut count = 0;
    for item in items {
        if item.kind == MemberKind::Hardlink {
            item.kind = MemberKind::File;
            count += 1;
        }
    }
    count
}

/// All nodes, each folder before what is in it, siblings by name.
pub(crate) fn depth_first(plan: &Plan) -> Vec<NodeId> {
    let mut order = Vec::with_capacity(plan.len());
    let mut pending = vec![NodeId::ROOT];
    while let Some(node) = pending.pop() {
        order.push(node);
        pending.extend(plan.children(node).rev());
    }
    order
}

/// What an archive says of an item, before its file was opened.
pub(super) fn member_of(sources: &[Source], items: &[Item], item: &Item, style: Style) -> Member {
    let source = &sources[item.source as usize];
    let stat = source.stat(item.node);
    let mut member = Member::new(item.kind, source.member_path(item.node));
    member.mode = match item.kind {
        MemberKind::Symlink => 0o777,
        MemberKind::Dir | MemberKind::File | MemberKind::Hardlink => stat.mode & 0o7777,
    };
    member.modified = source.modified(item.node).map(|time| match style.latest {
        Some(latest) => time.min(latest),
        None => time,
    });
    if style.keeps_owner {
        (member.uid, member.gid) = (u64::from(stat.uid), u64::from(stat.gid));
    }
    match item.kind {
        MemberKind::File => member.size = stat.size,
        MemberKind::Symlink => member.target = source.plan().target(item.node).to_vec(),
        MemberKind::Hardlink => {
            let first = &items[item.first as usize];
            member.target = sources[first.source as usize].member_path(first.node);
        }
        MemberKind::Dir => {}
    }
    member
}

/// What all members of an archive have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Times after this are written as this.
    pub latest: Option<Timestamp>,
    pub keeps_owner: bool,
    /// The attributes that are written.
    pub carried: Carried,
}

/// Links that lead out of their tree.
pub(super) fn count_external_links(sources: &[Source]) -> u64 {
    let mut count = 0;
    for source in sources {
        let plan = source.plan();
        let mut resolver = Resolver::new(plan);
        for node in plan.nodes() {
            let is_link = plan.kind(node) == NodeKind::Symlink;
            if is_link && resolver.resolve(node) == Resolution::Outside {
                count += 1;
            }
        }
    }
    count
}

/// The name that the root of `path` has in the archive.
pub(super) fn root_name(path: &std::path::Path, name: &RootName) -> Option<Vec<u8>> {
    match name {
        RootName::Own => {
            let own = std::fs::canonicalize(path).ok();
            let last = path.file_name().or_else(|| own.as_deref()?.file_name());
            last.map(|name| sys::os_to_bytes(name).to_vec())
        }
        RootName::Strip => Some(Vec::new()),
        RootName::Named(name) => Some(name.clone().into_bytes()),
    }
}

/// Whether a scan's entry is a regular file with holes.
pub(super) fn has_holes(stat: &Stat) -> bool {
    stat.file_type == FileType::File && stat.allocated < stat.size
}
