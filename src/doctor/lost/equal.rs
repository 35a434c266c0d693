//! Whether what stands in one place is equal to what stands in another, read through
//! the links.
//!
//! Content is hashed only where names, kinds and sizes agree, and each file once.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind};

use super::super::subject::{Files, Subject};

/// Entries that one comparison looks at: more than any bundle has, fewer than links to
/// folders of links can pretend to have.
pub(crate) const MOST: usize = 1_000_000;

/// What two places have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Equality {
    Differs,
    /// They have the same names, and no content.
    WithoutContent,
    /// They read the same, but some file may be run in one of them only.
    SameContent,
    Same,
}

/// Compares places of one tree.
pub(crate) struct Likeness<'s> {
    pub subject: &'s Subject<'s>,
    files: Files<'s>,
    hashes: HashMap<NodeId, blake3::Hash>,
}

impl<'s> Likeness<'s> {
    pub(crate) fn new(subject: &'s Subject<'s>) -> Self {
        Self {
            subject,
            files: subject.files(),
            hashes: HashMap::new(),
        }
    }

    /// The first `most` bytes of the file `node`.
    pub(crate) fn read(&mut self, node: NodeId, most: u64) -> Result<Vec<u8>> {
        self.files.read(node, most)
    }

    /// Compares two places. A place inside of the other is
    /// never equal to it.
    pub(crate) fn compare(&mut self, copy: NodeId, original: NodeId) -> Result<Equality> {
        if copy == original || self.is_within(copy, original) || self.is_within(original, copy) {
            return Ok(Equality::Differs);
        }
        let subject = self.subject;
        let mut resolver = Resolver::new(subject.plan());
        let Some(pairs) = pairs(subject, &mut resolver, copy, original) else {
            return Ok(Equality::Differs);
        };
        if pairs.iter().all(|(a, _)| subject.plan().size(*a) == 0) {
            return Ok(Equality::WithoutContent);
        }
        for (a, b) in &pairs {
            if !self.same_content(*a, *b)? {
                return Ok(Equality::Differs);
            }
        }
        let runs = |node: NodeId| subject.mode(node) & 0o111 != 0;
        Ok(match pairs.iter().all(|(a, b)| runs(*a) == runs(*b)) {
            true => Equality::Same,
            false => Equality::SameContent,
        })
    }

    fn is_within(&self, node: NodeId, dir: NodeId) -> bool {
        self.subject.plan().above(node).any(|above| above == dir)
    }

    /// Whether two files have the same bytes.
    pub(crate) fn same_content(&mut self, a: NodeId, b: NodeId) -> Result<bool> {
        let (left, right) = (self.subject.stat(a), self.subject.stat(b));
        Ok(left.is_same_object(right) || self.hash(a)? == self.hash(b)?)
    }

    /// The BLAKE3 of the file `node`, read once.
    pub(crate) fn hash(&mut self, node: NodeId) -> Result<blake3::Hash> {
        if let Some(hash) = self.hashes.get(&node) {
            return Ok(*hash);
        }
        let hash = self.files.hash(node)?;
        self.hashes.insert(node, hash);
        Ok(hash)
    }
}

/// The files of two places side by side, if names, kinds and sizes agree, and `copy` has
/// no links but where `original` has some.
fn pairs(
    subject: &Subject<'_>,
    resolver: &mut Resolver<'_>,
    copy: NodeId,
    original: NodeId,
) -> Option<Vec<(NodeId, NodeId)>> {
    let plan = subject.plan();
    let mut pairs = Vec::new();
    let mut seen = HashSet::new();
    let mut pending = vec![(copy, original)];
    while let Some((a, b)) = pending.pop() {
        // What flattens a tree leaves no links in a copy that its original hasn't.
        if plan.kind(a) == NodeKind::Symlink && plan.kind(b) != NodeKind::Symlink {
            return None;
        }
        let (a, b) = (resolver.follow(a)?, resolver.follow(b)?);
        if a == b || !seen.insert((a, b)) {
            continue;
        }
        if plan.kind(a) != plan.kind(b) || seen.len() > MOST {
            return None;
        }
        match plan.kind(a) {
            NodeKind::Dir => {
                if plan.child_count(a) != plan.child_count(b) {
                    return None;
                }
                for (left, right) in plan.children(a).zip(plan.children(b)) {
                    if plan.name(left) != plan.name(right) {
                        return None;
                    }
                    pending.push((left, right));
                }
            }
            NodeKind::File => {
                if plan.size(a) != plan.size(b) {
                    return None;
                }
                pairs.push((a, b));
            }
            NodeKind::Symlink | NodeKind::Special => return None,
        }
    }
    Some(pairs)
}
