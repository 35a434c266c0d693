//! What the new format doesn't hold of what the archive does.

use std::collections::HashSet;

use crate::dest::attributes::Ownership;
use crate::format::zip;
use crate::pack::Format;
use crate::pack::archived::Fact;
use crate::pack::members::depth_first;
use crate::path::RelPath;
use crate::plan::NodeId;
use crate::sys::Stat;

use super::Options;
use super::tree::Finished;

/// What entries lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LossKind {
    /// Further names of a file became files of their own.
    Hardlinks,
    /// User attributes.
    Xattrs,
    /// Holes became zeros.
    Holes,
    /// Times, or what of them is finer than the format has.
    Times,
    /// Owners, where they were asked for.
    Owners,
    /// The archive's own folder `.`: its mode, time and attributes.
    Root,
}

impl LossKind {
    /// All kinds.
    pub const ALL: [LossKind; 6] = [
        LossKind::Hardlinks,
        LossKind::Xattrs,
        LossKind::Holes,
        LossKind::Times,
        LossKind::Owners,
        LossKind::Root,
    ];

    /// Returns the kind's name as JSON documents write it.
    pub fn name(self) -> &'static str {
        match self {
            LossKind::Hardlinks => "hardlinks",
            LossKind::Xattrs => "xattrs",
            LossKind::Holes => "holes",
            LossKind::Times => "times",
            LossKind::Owners => "owners",
            LossKind::Root => "root",
        }
    }
}

/// A kind of loss.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// What was lost.
    pub kind: LossKind,
    /// Of how many entries: at least 1.
    pub count: u64,
    /// The first of them.
    pub path: RelPath,
}

/// What `options.format` doesn't hold of `tree`, by kind.
pub(super) fn find(tree: &Finished, options: &Options) -> Vec<Loss> {
    let mut losses = Vec::new();
    let mut seen = HashSet::new();
    for node in depth_first(&tree.plan) {
        let (fact, stat) = (&tree.facts[node.index()], &tree.stats[node.index()]);
        let is_root = node == NodeId::ROOT && tree.name.is_empty();
        if !fact.is_written || is_root {
            continue;
        }
        let is_further = stat.links > 1 && !seen.insert(stat.inode);
        for kind in LossKind::ALL {
            if loses(kind, fact, stat, is_further, options) {
                add(&mut losses, kind, tree, node);
            }
        }
    }
    if tree.has_root {
        losses.push(Loss {
            kind: LossKind::Root,
            count: 1,
            path: RelPath::from_names([b".".as_slice()]),
        });
    }
    losses.sort_by_key(|loss| LossKind::ALL.iter().position(|kind| *kind == loss.kind));
    losses
}

/// Whether an entry loses this.
fn loses(kind: LossKind, fact: &Fact, stat: &Stat, is_further: bool, options: &Options) -> bool {
    let is_zip = options.format == Format::Zip;
    match kind {
        LossKind::Hardlinks => is_zip && is_further,
        LossKind::Xattrs => is_zip && !fact.xattrs.is_empty(),
        // A file with more parts than readers take is written without its holes.
        LossKind::Holes => {
            let has_holes = fact
                .stored
                .as_ref()
                .is_some_and(|extents| extents.data() < stat.size);
            has_holes && !is_further && (is_zip || fact.extents.is_none())
        }
        LossKind::Times => {
            let time = match options.latest {
                Some(latest) => stat.modified.min(latest),
                None => stat.modified,
            };
            // Without a time in the archive there is none to lose, but a zip
            // gives each entry one.
            is_zip && (!fact.has_time || !zip::holds_time(time))
        }
        LossKind::Owners => {
            let is_asked = options.ownership == Ownership::Original;
            is_zip && is_asked && (stat.uid, stat.gid) != (0, 0)
        }
        LossKind::Root => false,
    }
}

fn add(losses: &mut Vec<Loss>, kind: LossKind, tree: &Finished, node: NodeId) {
    match losses.iter_mut().find(|loss| loss.kind == kind) {
        Some(loss) => loss.count += 1,
        None => {
            let path = tree.plan.path(node);
            let names = [tree.name.as_slice(), path.as_bytes()];
            let names = names.into_iter().filter(|name| !name.is_empty());
            losses.push(Loss {
                kind,
                count: 1,
                path: RelPath::from_names(names),
            });
        }
    }
}
