//! The members of an archive in the order in which they are written.
//!
//! Folders come first, then files, then further names of files, then links:
//! whoever extracts a stream has a place for everything when it comes. Files
//! are ordered by extension and then by path, so that what is alike stands
//! close together, and what is in one folder mostly too. The order depends on
//! the tree alone, so the same tree gives the same bytes.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::entry::{Member, MemberKind};
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::scan::Scan;
use crate::sys::{self, Dir, FileType, Stat, Timestamp};

use super::RootName;

/// One tree that is packed.
pub(super) struct Source {
    pub root: Dir,
    /// The path that the user gave, for messages.
    pub shown: PathBuf,
    /// The name that its root has in the archive; empty for none.
    pub name: Vec<u8>,
    pub scan: Scan,
}

impl Source {
    pub(super) fn plan(&self) -> &Plan {
        &self.scan.plan
    }

    pub(super) fn stat(&self, node: NodeId) -> &Stat {
        &self.scan.stats[node.index()]
    }

    /// The path of `node` in the archive.
    pub(super) fn member_path(&self, node: NodeId) -> Vec<u8> {
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
    let mut dirs = Vec::new();
    let mut files = Vec::new();
    let mut links = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        let plan = source.plan();
        let skipped = usize::from(source.name.is_empty());
        for node in depth_first(plan).into_iter().skip(skipped) {
            let (list, kind) = match plan.kind(node) {
                NodeKind::Dir => (&mut dirs, MemberKind::Dir),
                NodeKind::File => (&mut files, MemberKind::File),
                NodeKind::Symlink => (&mut links, MemberKind::Symlink),
                NodeKind::Special => continue,
            };
            list.push(Item {
                source: index as u32,
                node,
                kind,
                first: 0,
            });
        }
    }
    files.sort_by(|a: &Item, b: &Item| extension(sources, a).cmp(extension(sources, b)));
    let mut items = dirs;
    let mut seen: HashMap<(u64, u64), u32> = HashMap::new();
    let mut further = Vec::new();
    for file in files {
        let stat = sources[file.source as usize].stat(file.node);
        let at = items.len() as u32;
        match stat.links > 1 {
            true => match seen.get(&(stat.device, stat.inode)) {
                Some(first) => further.push(Item {
                    kind: MemberKind::Hardlink,
                    first: *first,
                    ..file
                }),
                None => {
                    seen.insert((stat.device, stat.inode), at);
                    items.push(file);
                }
            },
            false => items.push(file),
        }
    }
    items.extend(further);
    items.extend(links);
    items
}

/// What follows the last dot of a name that doesn't begin with it.
fn extension<'s>(sources: &'s [Source], item: &Item) -> &'s [u8] {
    let name = sources[item.source as usize].plan().name(item.node);
    match name.iter().rposition(|byte| *byte == b'.') {
        Some(0) | None => b"",
        Some(at) => &name[at + 1..],
    }
}

/// All nodes, each folder before what is in it, siblings by name.
fn depth_first(plan: &Plan) -> Vec<NodeId> {
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
    member.modified = Some(match style.latest {
        Some(latest) => stat.modified.min(latest),
        None => stat.modified,
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
