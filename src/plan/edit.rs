//! A plan with some of its nodes made links, or left out.

use std::collections::HashMap;

use crate::sys::Timestamp;

use super::{NewNode, NodeId, NodeKind, Plan, TooLarge};

/// What becomes of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Edit {
    /// A link with this target stands there, whatever stood there before, last modified
    /// at this time if that is known.
    Link(Box<[u8]>, Option<Timestamp>),
    /// Nothing stands there.
    Remove,
}

/// A plan that was edited.
#[derive(Debug)]
pub(crate) struct Edited {
    pub plan: Plan,
    /// What each node was in the plan before: of a new link, the folder around it.
    pub origins: Vec<NodeId>,
    /// The links that are new, and when they were last modified.
    pub links: HashMap<NodeId, Option<Timestamp>>,
}

impl Edited {
    /// What the folder `dir` of `before` has become, if it is still one.
    pub(crate) fn folder(&self, before: &Plan, dir: NodeId) -> Option<NodeId> {
        if dir == NodeId::ROOT {
            return Some(dir);
        }
        let parent = self.folder(before, before.parent(dir))?;
        let node = self.plan.child(parent, before.name(dir))?;
        (self.plan.kind(node) == NodeKind::Dir).then_some(node)
    }
}

/// Edits by folder and name, as they are before.
#[derive(Debug, Clone, Default)]
pub(crate) struct Edits(HashMap<NodeId, HashMap<Box<[u8]>, Edit>>);

impl Edits {
    /// Sets what becomes of `name` in the folder `dir`.
    pub(crate) fn set(&mut self, dir: NodeId, name: Box<[u8]>, edit: Edit) {
        self.0.entry(dir).or_default().insert(name, edit);
    }

    /// Makes `name` in the folder `dir` a link.
    pub(crate) fn link(&mut self, dir: NodeId, name: &[u8], target: &[u8]) {
        self.set(dir, name.into(), Edit::Link(target.into(), None));
    }

    /// What becomes of `plan`. Edits below what becomes a link, or goes, do nothing.
    pub(crate) fn apply(&self, plan: &Plan) -> Result<Edited, TooLarge> {
        let mut edited = Edited {
            plan: Plan::new(),
            origins: vec![NodeId::ROOT],
            links: HashMap::new(),
        };
        let mut at = 0;
        while at < edited.origins.len() {
            // A plan has at most as many nodes as its numbers have.
            let node = NodeId(at as u32);
            if edited.plan.kind(node) == NodeKind::Dir {
                self.fill(plan, &mut edited, node)?;
            }
            at += 1;
        }
        Ok(edited)
    }

    /// Gives the folder `dir` of `edited` what it has.
    fn fill(&self, plan: &Plan, edited: &mut Edited, dir: NodeId) -> Result<(), TooLarge> {
        let origin = edited.origins[dir.index()];
        let none = HashMap::new();
        let edits = self.0.get(&origin).unwrap_or(&none);
        let children = children(plan, origin, edits);
        let nodes = children.iter().map(|(node, _)| node.into());
        edited.plan.set_sorted(dir, nodes)?;
        edited
            .origins
            .extend(children.iter().map(|(_, origin)| *origin));
        for node in edited.plan.children(dir) {
            if let Some(Edit::Link(_, modified)) = edits.get(edited.plan.name(node)) {
                edited.links.insert(node, *modified);
            }
        }
        let (time, mode) = (plan.fingerprint(origin), plan.dir_mode(origin));
        edited.plan.set_dir(dir, time, mode);
        Ok(())
    }
}

/// What a folder has after `edits`, sorted, and what each was before.
fn children(plan: &Plan, dir: NodeId, edits: &HashMap<Box<[u8]>, Edit>) -> Vec<(NewNode, NodeId)> {
    let mut children = Vec::with_capacity(plan.child_count(dir));
    for child in plan.children(dir) {
        let name = plan.name(child);
        let is_link = plan.kind(child) == NodeKind::Symlink;
        let node = match edits.get(name) {
            Some(Edit::Remove) => continue,
            Some(Edit::Link(target, _)) => link(name, target),
            None => NewNode {
                name: name.into(),
                kind: plan.kind(child),
                size: plan.size(child),
                target: is_link.then(|| plan.target(child).into()),
            },
        };
        children.push((node, child));
    }
    for (name, edit) in edits {
        if let (Edit::Link(target, _), None) = (edit, plan.child(dir, name)) {
            children.push((link(name, target), dir));
        }
    }
    children.sort_unstable_by(|a, b| a.0.name.cmp(&b.0.name));
    children
}

fn link(name: &[u8], target: &[u8]) -> NewNode {
    NewNode {
        name: name.into(),
        kind: NodeKind::Symlink,
        size: 0,
        target: Some(target.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dir, file, link};
    use super::*;

    #[test]
    fn names_become_links_come_and_go() {
        let mut plan = Plan::new();
        plan.set_children(NodeId::ROOT, vec![dir("lib"), dir("lib64"), file("list")])
            .unwrap();
        let [lib, lib64] =
            [&b"lib"[..], b"lib64"].map(|name| plan.child(NodeId::ROOT, name).unwrap());
        plan.set_children(lib, vec![file("a"), link("b", "a")])
            .unwrap();
        plan.set_children(lib64, vec![file("a"), file("b")])
            .unwrap();
        let mut edits = Edits::default();
        edits.set(
            NodeId::ROOT,
            b"lib64"[..].into(),
            Edit::Link(b"lib"[..].into(), None),
        );
        edits.set(NodeId::ROOT, b"list"[..].into(), Edit::Remove);
        edits.set(lib, b"c"[..].into(), Edit::Link(b"a"[..].into(), None));
        edits.set(lib64, b"a"[..].into(), Edit::Remove);
        let edited = edits.apply(&plan).unwrap();
        let shown = |node| {
            let target = String::from_utf8_lossy(edited.plan.target(node)).into_owned();
            (edited.plan.path(node).to_string(), target)
        };
        let nodes: Vec<_> = edited.plan.nodes().map(shown).collect();
        let expected = [
            (".", ""),
            ("lib", ""),
            ("lib64", "lib"),
            ("lib/a", ""),
            ("lib/b", "a"),
            ("lib/c", "a"),
        ];
        assert_eq!(
            nodes,
            expected.map(|(path, target)| (path.into(), target.into()))
        );
        assert_eq!(edited.origins[2], lib64);
    }
}
