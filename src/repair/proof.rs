//! That whoever reads any path of the repaired tree reads what was there before, and that
//! no link of the old tree is a copy in it.
//!
//! Every copy that becomes a link is compared with what that link will lead to, through
//! all links, old and new. What can't be proven is left as it is; as other links may lead
//! through it, all is compared again then.

use std::collections::HashSet;

use crate::doctor::lost::{Likeness, MOST, Stand};
use crate::doctor::subject::Subject;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::edit::Edited;
use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind};

use super::Intent;

/// Leaves out of `intent` what can't be proven.
pub(super) fn prove(subject: &Subject<'_>, mut intent: Intent) -> Result<Intent> {
    let plan = subject.plan();
    let mut likeness = Likeness::new(subject);
    loop {
        let edited = intent.edits_within(plan).apply(plan).map_err(|_| {
            let cause = "too many names or levels";
            Error::new(ErrorKind::Io, "repair", subject.side.shown, cause)
        })?;
        let mut proof = Proof {
            before: Resolver::new(plan),
            after: Resolver::new(&edited.plan),
            edited: &edited,
            likeness: &mut likeness,
        };
        let mut doubted = Vec::new();
        for (index, intended) in intent.links.iter().enumerate() {
            if let Some(node) = intended.link.node(plan)
                && intended.link.stand == Stand::Copy
                && !intended.is_proven
                && plan.kind(node) != NodeKind::Symlink
                && !proof.reads_same(node)?
            {
                doubted.push(index);
            }
        }
        if doubted.is_empty() {
            return Ok(intent);
        }
        for index in doubted.into_iter().rev() {
            let intended = intent.links.remove(index);
            let path = intended.link.path(plan);
            intent.leave(path, "isn't proven equal to what the link would lead to");
        }
    }
}

struct Proof<'p, 's> {
    before: Resolver<'p>,
    after: Resolver<'p>,
    edited: &'p Edited,
    likeness: &'p mut Likeness<'s>,
}

impl Proof<'_, '_> {
    /// Whether the link that takes the place of `node` reads as that does.
    fn reads_same(&mut self, node: NodeId) -> Result<bool> {
        let place = self.place(node);
        let Some(place) = place else {
            // It goes with a folder that becomes a link itself, and is compared there.
            return Ok(true);
        };
        let mut seen = HashSet::new();
        let mut pending = vec![(node, place)];
        while let Some((old, new)) = pending.pop() {
            // Nothing would have that link any more.
            if self.is_link_lost(old, new) {
                return Ok(false);
            }
            let old = self.before.follow(old);
            let new = self.after.follow(new);
            let (Some(old), Some(new)) = (old, new) else {
                return Ok(false);
            };
            if !seen.insert((old, new)) {
                continue;
            }
            if seen.len() > MOST || !self.is_same(old, new, &mut pending)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether `old` is a link, and `new` none.
    fn is_link_lost(&self, old: NodeId, new: NodeId) -> bool {
        let before = self.likeness.subject.plan();
        before.kind(old) == NodeKind::Symlink && self.edited.plan.kind(new) != NodeKind::Symlink
    }

    /// Where a name is in the repaired tree.
    fn place(&self, node: NodeId) -> Option<NodeId> {
        let plan = self.likeness.subject.plan();
        let folder = self.edited.folder(plan, plan.parent(node))?;
        self.edited.plan.child(folder, plan.name(node))
    }

    /// Compares a file or folder of the old tree with one of the new, and adds what is in
    /// them to `pending`.
    fn is_same(
        &mut self,
        old: NodeId,
        new: NodeId,
        pending: &mut Vec<(NodeId, NodeId)>,
    ) -> Result<bool> {
        let (before, after) = (self.likeness.subject.plan(), &self.edited.plan);
        match (before.kind(old), after.kind(new)) {
            (NodeKind::File, NodeKind::File) => {
                let origin = self.edited.origins[new.index()];
                self.likeness.same_content(old, origin)
            }
            (NodeKind::Dir, NodeKind::Dir) => {
                if before.child_count(old) != after.child_count(new) {
                    return Ok(false);
                }
                for (a, b) in before.children(old).zip(after.children(new)) {
                    if before.name(a) != after.name(b) {
                        return Ok(false);
                    }
                    pending.push((a, b));
                }
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
