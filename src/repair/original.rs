//! What a tree was, by a manifest, an archive or a folder of the original.

use std::path::Path;

use crate::copy;
use crate::doctor::lost::{Likeness, LostLink, Stand};
use crate::doctor::subject::{Head, Subject};
use crate::error::Result;
use crate::links_file;
use crate::plan::{NodeId, NodeKind};
use crate::progress::{Phase, Progress};
use crate::scan::Special;
use crate::sys::{self, Timestamp};
use crate::tree::hashing::Style;
use crate::tree::moment::Moment;
use crate::tree::{self, Reading, Side, Tree};

use super::{ChangeKind, Intended, Intent};

const RULE: &str = "as in the original";

/// What makes `subject` what is at `from`.
pub(super) fn intend(
    subject: &Subject<'_>,
    from: &Path,
    progress: &dyn Progress,
) -> Result<Intent> {
    let reading = Reading {
        operation: "repair from",
        phase: Phase::Examining,
        special: Special::Keep,
        junctions_as_links: true,
        style: Style::Plain,
        threads: subject.threads,
        progress,
    };
    let (shown, input) = tree::open(Tree::At(from), reading.operation)?;
    let original = Side::known(input, shown, Some(&subject.side), &reading)?;
    let mut walk = Walk {
        subject,
        likeness: Likeness::new(subject),
        original: &original,
        intent: Intent::default(),
    };
    walk.compare_attributes(NodeId::ROOT, NodeId::ROOT);
    let mut pending = vec![(NodeId::ROOT, NodeId::ROOT)];
    while let Some((was, is)) = pending.pop() {
        walk.compare_children(was, is, &mut pending)?;
    }
    Ok(walk.intent)
}

struct Walk<'w, 's> {
    subject: &'w Subject<'s>,
    likeness: Likeness<'w>,
    original: &'w Side<'w>,
    intent: Intent,
}

impl Walk<'_, '_> {
    fn compare_children(
        &mut self,
        was: NodeId,
        is: NodeId,
        pending: &mut Vec<(NodeId, NodeId)>,
    ) -> Result<()> {
        let (before, now) = (&self.original.plan, self.subject.plan());
        for child in before.children(was) {
            let standing = now.child(is, before.name(child));
            match (before.kind(child), standing) {
                (NodeKind::Symlink, standing) => self.compare_link(child, is, standing)?,
                (_, None) => self.leave(child, "is gone, with what was in it"),
                (NodeKind::Dir, Some(node)) if now.kind(node) == NodeKind::Dir => {
                    self.compare_attributes(child, node);
                    pending.push((child, node));
                }
                (NodeKind::File, Some(node)) if now.kind(node) == NodeKind::File => {
                    let is_same = before.size(child) == now.size(node)
                        && self.original.hash(child) == Some(self.likeness.hash(node)?);
                    match is_same {
                        true => self.compare_attributes(child, node),
                        false => self.leave(child, "has other content"),
                    }
                }
                (NodeKind::Special, Some(_)) => {}
                (NodeKind::Dir | NodeKind::File, Some(_)) => {
                    self.leave(child, "is of another kind");
                }
            }
        }
        for child in now.children(is) {
            let name = now.name(child);
            let is_list = is == NodeId::ROOT && name == links_file::NAME.as_bytes();
            match before.child(was, name) {
                None if is_list => self.intent.removed.push(child),
                None => self
                    .intent
                    .leave(now.path(child), "isn't in the original, and stays"),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn leave(&mut self, node: NodeId, cause: &str) {
        let cause = format!("{cause}: only the original has it");
        self.intent.leave(self.original.plan.path(node), cause);
    }

    /// Compares the link `was` with what stands in its place in the folder `dir`.
    fn compare_link(&mut self, was: NodeId, dir: NodeId, standing: Option<NodeId>) -> Result<()> {
        let (before, now) = (&self.original.plan, self.subject.plan());
        let target = before.target(was);
        let modified = self.original.modified(was);
        let (kind, stand) = match standing {
            None => (ChangeKind::Link, Stand::Nothing),
            Some(node) if now.kind(node) == NodeKind::Symlink => {
                let kind = match now.target(node) == target {
                    false => ChangeKind::Retarget,
                    true if self.is_as_old(node, modified) => return Ok(()),
                    true => ChangeKind::Mtime,
                };
                (kind, Stand::Copy)
            }
            Some(node) if self.is_stub(node, target) => (ChangeKind::Link, Stand::Stub),
            Some(node) if now.is_empty_dir(node) => (ChangeKind::Link, Stand::Empty),
            Some(_) => (ChangeKind::Link, Stand::Copy),
        };
        let is_proven = match (stand, standing) {
            (Stand::Copy, Some(node)) => self.is_outside(node, target)?,
            _ => false,
        };
        self.intent.links.push(Intended {
            link: LostLink {
                dir,
                name: before.name(was).into(),
                target: target.into(),
                stand,
                rule: RULE,
            },
            kind,
            modified: modified.map(time_of),
            is_proven,
        });
        Ok(())
    }

    /// Whether the file `node` is the text of the link, perhaps with an end.
    fn is_stub(&self, node: NodeId, target: &[u8]) -> bool {
        let now = self.subject.plan();
        now.kind(node) == NodeKind::File
            && matches!(self.subject.head(node), Head::Line(text) if **text == *target)
    }

    /// Whether the file `node` is equal to one of this system that an absolute target names.
    fn is_outside(&mut self, node: NodeId, target: &[u8]) -> Result<bool> {
        let now = self.subject.plan();
        if !target.starts_with(b"/") || now.kind(node) != NodeKind::File {
            return Ok(false);
        }
        // What isn't there proves nothing.
        let Ok(content) = std::fs::read(sys::bytes_to_path(target)) else {
            return Ok(false);
        };
        Ok(content.len() as u64 == now.size(node)
            && blake3::hash(&content) == self.likeness.hash(node)?)
    }

    fn compare_attributes(&mut self, was: NodeId, is: NodeId) {
        let mode = self.original.mode(was);
        let modified = self.original.modified(was);
        let change = copy::Change {
            mode: mode.filter(|mode| *mode != self.subject.mode(is)),
            modified: modified
                .filter(|_| !self.is_as_old(is, modified))
                .map(time_of),
        };
        if change != copy::Change::default() {
            self.intent.attributes.insert(is, change);
        }
    }

    /// Whether `node` was modified when the original was, as finely as that is told.
    fn is_as_old(&self, node: NodeId, modified: Option<Moment>) -> bool {
        let found = Moment::exact(self.subject.stat(node).modified);
        modified.is_none_or(|modified| modified.agrees(found))
    }
}

fn time_of(moment: Moment) -> Timestamp {
    moment.time
}
