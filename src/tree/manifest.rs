//! A tree from and into the lines of a manifest: no contents, but their hashes.
//!
//! A manifest is somebody else's word like any archive: its paths and links are judged by
//! the same rules, and every folder has to be an entry before what stands in it.

use std::io::{BufReader, Read};

use crate::archive::limits::{Limits, Meter};
use crate::entry::{Carried, Member, MemberKind};
use crate::error::{Refusal, Result};
use crate::format::manifest::{Header, Lines, Precision, Record, TreeHasher, Untold};
use crate::path::RelPath;
use crate::plan::members::names_of;
use crate::plan::{NodeId, NodeKind};
use crate::text::escape_bytes;

use super::Side;
use super::moment::{Clock, Moment};
use super::packed::{HardLinks, Packed, Tells};

/// A manifest that was read.
pub(crate) struct Noted {
    pub header: Header,
    pub packed: Packed,
}

/// Reads all of a manifest, and calls `each` with its entries. They are true only when this
/// returns.
pub(crate) fn read(
    reader: impl Read,
    limits: Limits,
    each: &mut dyn FnMut(Record),
) -> Result<Noted, Refusal> {
    let mut lines = Lines::new(BufReader::new(reader));
    let first = lines.next()?;
    let first = first.ok_or_else(|| Refusal::truncated("it is empty"))?;
    let header = Header::read(first).map_err(|refusal| refusal.about("its first line"))?;
    let mut meter = Meter::new(limits);
    meter.check_entries(header.entries)?;
    let mut taking = Taking::new(header);
    let mut again = Vec::new();
    for number in 0..header.entries {
        let Some(line) = lines.next()? else {
            let cause = format!("it ends after {number} of {} entries", header.entries);
            return Err(Refusal::truncated(cause));
        };
        let record = Record::read(line, &mut again);
        // The header is line 1.
        let record = record.map_err(|refusal| refusal.about(format!("its line {}", number + 2)))?;
        meter.count(&record.member)?;
        taking.hasher.take(line);
        taking.take(&record)?;
        each(record);
    }
    if lines.next()?.is_some() {
        let cause = format!("it goes on after {} entries", header.entries);
        return Err(Refusal::malformed(cause));
    }
    match taking.hasher.finish() == header.tree_hash {
        true => Ok(Noted {
            header,
            packed: taking.packed,
        }),
        false => Err(Refusal::malformed("its entries don't have its tree hash")),
    }
}

/// A tree that is made of lines.
struct Taking {
    header: Header,
    packed: Packed,
    hasher: TreeHasher,
    last: Vec<u8>,
}

impl Taking {
    fn new(header: Header) -> Self {
        let mut packed = Packed::new(match header.untold.hardlinks {
            true => HardLinks::Lost,
            false => HardLinks::Kept,
        });
        packed.root_hash = header.root_hash;
        Self {
            header,
            packed,
            hasher: TreeHasher::new(header.untold),
            last: Vec::new(),
        }
    }

    fn take(&mut self, record: &Record) -> Result<(), Refusal> {
        let member = &record.member;
        let wrong = |cause: &str| {
            let path = escape_bytes(&member.path);
            Refusal::malformed(format!("its entry `{path}` {cause}"))
        };
        if member.path <= self.last {
            return Err(wrong(match member.path == self.last {
                true => "is there twice",
                false => "isn't in its place by the order of paths",
            }));
        }
        let before = self.packed.len();
        let node = self
            .packed
            .accept(member, tells(record, self.header.untold))?;
        if !is_plain(&member.path) {
            return Err(wrong("has a path that can be written in another way"));
        }
        if self.packed.len() > before + 1 {
            return Err(wrong("stands in a folder that isn't an entry before it"));
        }
        if member.kind == MemberKind::Hardlink {
            let first = self.packed.last_linked();
            if first.is_none_or(|first| first.as_bytes() != member.target) {
                return Err(wrong("is a hard link to another name than the first"));
            }
        }
        let untold = self.header.untold;
        if untold.hardlinks && member.kind == MemberKind::Hardlink
            || untold.xattrs && !member.xattrs.is_empty()
        {
            return Err(wrong("tells what isn't told"));
        }
        if let (Some(node), Some(hash)) = (node, record.hash) {
            self.packed.note_hash(node, hash);
        }
        self.last.clone_from(&member.path);
        Ok(())
    }
}

/// Whether the path is the only one of its names.
fn is_plain(path: &[u8]) -> bool {
    names_of(path).is_ok_and(|names| RelPath::from_names(names).as_bytes() == path)
}

fn tells(record: &Record, untold: Untold) -> Tells {
    Tells {
        mode: record.tells_mode,
        xattrs: record.tells_mode && !untold.xattrs,
        clock: match record.precision {
            Precision::Nanoseconds => Clock::Nanoseconds,
            Precision::Ticks => Clock::Ticks,
            Precision::TwoSeconds => Clock::TwoSeconds,
        },
    }
}

/// The entries of a tree in a manifest's order.
pub(crate) struct Entries<'s> {
    side: &'s Side<'s>,
    nodes: Vec<NodeId>,
    /// By node: the first name of a file that has several, by path.
    firsts: Vec<NodeId>,
}

impl<'s> Entries<'s> {
    /// All of `side` but its root. It has to be known.
    pub(crate) fn of(side: &'s Side<'s>) -> Self {
        let plan = &side.plan;
        let nodes = plan.nodes().skip(1);
        let is_entry = |node: &NodeId| plan.kind(*node) != NodeKind::Special;
        let mut nodes: Vec<NodeId> = nodes.filter(is_entry).collect();
        nodes.sort_by_cached_key(|node| plan.path(*node));
        let mut firsts: Vec<NodeId> = plan.nodes().collect();
        let groups = side.first_names();
        for node in &nodes {
            if let Some(first) = side.identity(*node).and_then(|group| groups.get(&group)) {
                firsts[node.index()] = *first;
            }
        }
        Self {
            side,
            nodes,
            firsts,
        }
    }

    pub(crate) fn len(&self) -> u64 {
        self.nodes.len() as u64
    }

    /// What can't be told of any of them.
    pub(crate) fn untold(&self) -> Untold {
        let facts = || {
            self.side
                .plan
                .nodes()
                .filter_map(|node| self.side.fact(node))
        };
        Untold {
            hardlinks: !self.side.holds_hard_links(),
            xattrs: facts().all(|fact| fact.xattrs.is_none()) && !self.nodes.is_empty(),
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = Record> {
        self.nodes.iter().filter_map(|node| self.record(*node))
    }

    fn record(&self, node: NodeId) -> Option<Record> {
        let plan = &self.side.plan;
        let first = self.firsts[node.index()];
        let kind = match plan.kind(node) {
            NodeKind::Dir => MemberKind::Dir,
            NodeKind::File if first == node => MemberKind::File,
            NodeKind::File => MemberKind::Hardlink,
            NodeKind::Symlink => MemberKind::Symlink,
            NodeKind::Special => return None,
        };
        let mut member = Member::new(kind, plan.path(node).as_bytes());
        member.size = plan.size(node);
        member.target = match kind {
            MemberKind::Hardlink => plan.path(first).as_bytes().to_vec(),
            MemberKind::Dir | MemberKind::File | MemberKind::Symlink => plan.target(node).to_vec(),
        };
        let mode = self.side.mode(node);
        member.mode = mode.unwrap_or_default();
        let modified = self.side.modified(node);
        member.modified = modified.map(|moment| moment.time);
        let xattrs = self.side.fact(node).and_then(|fact| fact.xattrs.as_ref());
        member.xattrs = xattrs.cloned().unwrap_or_default();
        member.xattrs.retain(|(name, _)| Carried::Users.has(name));
        member.xattrs.dedup_by(|a, b| a.0 == b.0);
        Some(Record {
            member,
            tells_mode: mode.is_some(),
            precision: modified.map_or(Precision::Nanoseconds, Moment::precision),
            hash: self.side.hash(node).map(Into::into),
        })
    }
}
