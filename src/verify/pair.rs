//! Walking two trees together: all that can be said without reading contents,
//! and what the contents then decide.

use std::collections::HashMap;

use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::sys;
use crate::text::escape_bytes;
use crate::tree::Side;
use crate::tree::moment::Moment;

use super::content::Hashed;
use super::{Difference, DifferenceKind};

/// What the walk found, and what is still to be read.
#[derive(Default)]
pub(super) struct Found {
    pub differences: Vec<Difference>,
    /// Files that have the same size on both sides, and folders: their
    /// contents and attributes are compared.
    pub pairs: Vec<(NodeId, NodeId)>,
    /// Links of the left side that are no links on the right.
    pub suspects: Vec<Suspect>,
}

/// A link that is a file or folder on the other side.
pub(super) struct Suspect {
    pub link: NodeId,
    pub right: NodeId,
    /// Files that have to be equal for the link to be flattened: a file of the
    /// left side and its copy. `None` if it can't be a copy of the target.
    pub copies: Option<Vec<(NodeId, NodeId)>>,
}

/// Compares names, kinds, sizes, modes, times and the groups of hard links.
pub(super) fn compare(left: &Side<'_>, right: &Side<'_>) -> Found {
    let mut walk = Walk {
        left,
        right,
        resolver: Resolver::new(&left.plan),
        found: Found::default(),
        left_groups: left.first_names(),
        right_groups: right.first_names(),
    };
    let mut pending = vec![(NodeId::ROOT, NodeId::ROOT)];
    while let Some((a, b)) = pending.pop() {
        walk.compare_attributes(a, b);
        walk.found.pairs.push((a, b));
        walk.compare_children(a, b, &mut pending);
    }
    walk.found
}

struct Walk<'w> {
    left: &'w Side<'w>,
    right: &'w Side<'w>,
    resolver: Resolver<'w>,
    found: Found,
    left_groups: HashMap<(u64, u64), NodeId>,
    right_groups: HashMap<(u64, u64), NodeId>,
}

impl Walk<'_> {
    fn compare_children(&mut self, a: NodeId, b: NodeId, pending: &mut Vec<(NodeId, NodeId)>) {
        let (left, right) = (&self.left.plan, &self.right.plan);
        for (a, b) in merge_children(left, a, right, b) {
            match (a, b) {
                (Some(a), Some(b)) => self.compare_entries(a, b, pending),
                (Some(a), None) => {
                    let words = describe(self.left, a);
                    self.differ(a, DifferenceKind::Missing, Some(words), None);
                }
                (None, Some(b)) => self.found.differences.push(Difference {
                    path: right.path(b),
                    kind: DifferenceKind::Extra,
                    left: None,
                    right: Some(describe(self.right, b)),
                }),
                (None, None) => {}
            }
        }
    }

    fn compare_entries(&mut self, a: NodeId, b: NodeId, pending: &mut Vec<(NodeId, NodeId)>) {
        let (left, right) = (&self.left.plan, &self.right.plan);
        match (left.kind(a), right.kind(b)) {
            (NodeKind::Dir, NodeKind::Dir) => pending.push((a, b)),
            (NodeKind::File, NodeKind::File) => self.compare_files(a, b),
            (NodeKind::Symlink, NodeKind::Symlink) => self.compare_links(a, b),
            (NodeKind::Special, NodeKind::Special) => {}
            (NodeKind::Symlink, NodeKind::File | NodeKind::Dir) => {
                let copies = self.copies_of_target(a, b);
                self.found.suspects.push(Suspect {
                    link: a,
                    right: b,
                    copies,
                });
            }
            _ => self.differ_in_type(a, b),
        }
    }

    fn compare_files(&mut self, a: NodeId, b: NodeId) {
        self.compare_attributes(a, b);
        let (left, right) = (self.left.plan.size(a), self.right.plan.size(b));
        if left == right {
            self.found.pairs.push((a, b));
        } else {
            let words = |size: u64| Some(format!("{size} bytes"));
            self.differ(a, DifferenceKind::Content, words(left), words(right));
        }
        if self.left.holds_hard_links() && self.right.holds_hard_links() {
            self.compare_names(a, b);
        }
    }

    /// Compares which other names a file has.
    fn compare_names(&mut self, a: NodeId, b: NodeId) {
        let first = |groups: &HashMap<_, NodeId>, side: &Side<'_>, node: NodeId| {
            let group = side.identity(node).and_then(|group| groups.get(&group));
            side.plan.path(group.copied().unwrap_or(node))
        };
        let left = first(&self.left_groups, self.left, a);
        let right = first(&self.right_groups, self.right, b);
        if left != right {
            let own = self.left.plan.path(a);
            let words = |first| match first == own {
                true => "a file of its own".to_owned(),
                false => format!("another name of `{first}`"),
            };
            self.differ(
                a,
                DifferenceKind::Hardlink,
                Some(words(left)),
                Some(words(right)),
            );
        }
    }

    fn compare_links(&mut self, a: NodeId, b: NodeId) {
        let (left, right) = (self.left.plan.target(a), self.right.plan.target(b));
        if left != right {
            let words = |target| Some(format!("link to `{}`", escape_bytes(target)));
            self.differ(a, DifferenceKind::Retargeted, words(left), words(right));
        }
        self.compare_times(a, b);
    }

    fn compare_attributes(&mut self, a: NodeId, b: NodeId) {
        if let (Some(left), Some(right)) = (self.left.mode(a), self.right.mode(b))
            && left != right
        {
            let words = |mode: u32| Some(format!("{mode:04o}"));
            self.differ(a, DifferenceKind::Mode, words(left), words(right));
        }
        self.compare_times(a, b);
    }

    fn compare_times(&mut self, a: NodeId, b: NodeId) {
        if let (Some(left), Some(right)) = (self.left.modified(a), self.right.modified(b))
            && !left.agrees(right)
        {
            let words = |moment: Moment| Some(crate::json::rfc3339(moment.time));
            self.differ(a, DifferenceKind::Mtime, words(left), words(right));
        }
    }

    /// Which files would be copies of which, if `right` were what `link` leads
    /// to; `None` if the shapes differ already.
    fn copies_of_target(&mut self, link: NodeId, right: NodeId) -> Option<Vec<(NodeId, NodeId)>> {
        let Resolution::Inside(target) = self.resolver.resolve(link) else {
            return None;
        };
        let (left_plan, right_plan) = (&self.left.plan, &self.right.plan);
        let mut copies = Vec::new();
        let mut pending = vec![(target, right)];
        while let Some((a, b)) = pending.pop() {
            let a = match (left_plan.kind(a), right_plan.kind(b)) {
                // A copy may keep the links inside it, or have flattened them too.
                (NodeKind::Symlink, NodeKind::Symlink) => a,
                (NodeKind::Symlink, _) => match self.resolver.resolve(a) {
                    Resolution::Inside(target) => target,
                    _ => return None,
                },
                _ => a,
            };
            match (left_plan.kind(a), right_plan.kind(b)) {
                (NodeKind::Dir, NodeKind::Dir) => {
                    for (a, b) in merge_children(left_plan, a, right_plan, b) {
                        match (a, b) {
                            (Some(a), Some(b)) => pending.push((a, b)),
                            // A flattener leaves out links that lead nowhere.
                            (Some(a), None) if left_plan.kind(a) == NodeKind::Symlink => {}
                            _ => return None,
                        }
                    }
                }
                (NodeKind::File, NodeKind::File) if left_plan.size(a) == right_plan.size(b) => {
                    copies.push((a, b));
                }
                (NodeKind::Symlink, NodeKind::Symlink) => {}
                _ => return None,
            }
        }
        Some(copies)
    }

    fn differ_in_type(&mut self, a: NodeId, b: NodeId) {
        let (left, right) = (describe(self.left, a), describe(self.right, b));
        self.differ(a, DifferenceKind::Type, Some(left), Some(right));
    }

    fn differ(
        &mut self,
        a: NodeId,
        kind: DifferenceKind,
        left: Option<String>,
        right: Option<String>,
    ) {
        self.found.differences.push(Difference {
            path: self.left.plan.path(a),
            kind,
            left,
            right,
        });
    }
}

/// Decides what became of each link that is none on the right side.
pub(super) fn judge(left: &Side<'_>, right: &Side<'_>, found: &mut Found, hashed: &Hashed) {
    for (index, suspect) in found.suspects.iter().enumerate() {
        let kind = match (hashed.is_stub(index), hashed.is_copy(index)) {
            (true, _) => DifferenceKind::Stub,
            (false, true) => DifferenceKind::Flattened,
            (false, false) => DifferenceKind::Type,
        };
        found.differences.push(Difference {
            path: left.plan.path(suspect.link),
            kind,
            left: Some(describe(left, suspect.link)),
            right: Some(describe(right, suspect.right)),
        });
    }
}

/// The children of two folders side by side, by name.
fn merge_children(
    left: &Plan,
    a: NodeId,
    right: &Plan,
    b: NodeId,
) -> Vec<(Option<NodeId>, Option<NodeId>)> {
    let mut merged = Vec::with_capacity(left.child_count(a));
    let mut others = right.children(b).peekable();
    for child in left.children(a) {
        let name = left.name(child);
        while let Some(other) = others.next_if(|other| right.name(*other) < name) {
            merged.push((None, Some(other)));
        }
        let same = others.next_if(|other| right.name(*other) == name);
        merged.push((Some(child), same));
    }
    merged.extend(others.map(|other| (None, Some(other))));
    merged
}

fn describe(side: &Side<'_>, node: NodeId) -> String {
    let plan = &side.plan;
    match plan.kind(node) {
        NodeKind::Dir => "folder".to_owned(),
        NodeKind::File => format!("file of {} bytes", plan.size(node)),
        NodeKind::Symlink => format!("link to `{}`", escape_bytes(plan.target(node))),
        NodeKind::Special => sys::SPECIAL.to_owned(),
    }
}
