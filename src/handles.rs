//! Open directories along the way that a worker takes through a tree.
//!
//! A worker goes depth first, so the folders it needs next are below the ones
//! that it just used: those stay open, the rest are closed. What was closed is
//! opened again name by name from the root, never by a path and never through
//! a link.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use crate::plan::{NodeId, Plan};
use crate::sys::{self, Dir};

/// The folders of one tree that one worker holds open.
pub(crate) struct Handles<'r> {
    root: &'r Dir,
    /// The deepest folders of the present way, outermost first.
    open: VecDeque<Held>,
    limit: usize,
}

/// A folder of a tree that still grows: the way to it, without the plan.
#[derive(Debug)]
pub(crate) struct Folder {
    pub node: NodeId,
    pub depth: usize,
    pub name: Box<[u8]>,
    /// The folder above; `None` for the root.
    pub parent: Option<Arc<Folder>>,
}

/// One folder that is held open.
struct Held {
    node: NodeId,
    depth: usize,
    dir: Dir,
}

/// A folder that could not be opened, and why.
#[derive(Debug)]
pub(crate) struct CannotEnter {
    pub node: NodeId,
    pub source: io::Error,
}

impl<'r> Handles<'r> {
    /// Starts at `root`, holding at most `limit` folders open, at least one.
    pub(crate) fn new(root: &'r Dir, limit: usize) -> Self {
        Self {
            root,
            open: VecDeque::new(),
            limit: limit.max(1),
        }
    }

    /// Opens the folder `node`, or finds it open.
    pub(crate) fn enter(&mut self, plan: &Plan, node: NodeId) -> Result<&Dir, CannotEnter> {
        let missing = self.rewind(plan, node);
        for (node, name) in missing {
            self.step(node, plan.depth(node), name)?;
        }
        Ok(self.deepest())
    }

    /// Opens `folder`, or finds it open.
    pub(crate) fn enter_folder(&mut self, folder: &Folder) -> Result<&Dir, CannotEnter> {
        let mut missing = Vec::new();
        let mut at = folder;
        while let Some(parent) = &at.parent {
            if self.leads_to(at.node, at.depth) {
                break;
            }
            missing.push(at);
            at = parent;
        }
        if at.parent.is_none() {
            self.leads_to(NodeId::ROOT, 0);
        }
        for folder in missing.into_iter().rev() {
            self.step(folder.node, folder.depth, &folder.name)?;
        }
        Ok(self.deepest())
    }

    /// Closes what is not above `node` and says what is to be opened for it:
    /// the part of [`enter`](Self::enter) that needs the plan.
    pub(crate) fn rewind<'p>(&mut self, plan: &'p Plan, node: NodeId) -> Vec<(NodeId, &'p [u8])> {
        let mut missing = Vec::new();
        let mut at = node;
        loop {
            let depth = plan.depth(at);
            if self.leads_to(at, depth) {
                break;
            }
            missing.push((at, plan.name(at)));
            at = plan.parent(at);
        }
        missing.reverse();
        missing
    }

    /// Closes what is deeper than `node`, which lies at `depth`, and says
    /// whether `node` itself is what is left: the next step is below it.
    pub(crate) fn leads_to(&mut self, node: NodeId, depth: usize) -> bool {
        while let Some(last) = self.open.back()
            && (last.depth > depth || (last.depth == depth && last.node != node))
        {
            self.open.pop_back();
        }
        node == NodeId::ROOT || self.open.back().is_some_and(|last| last.node == node)
    }

    /// Opens the folder `node`, which lies at `depth` below the last one.
    pub(crate) fn step(
        &mut self,
        node: NodeId,
        depth: usize,
        name: &[u8],
    ) -> Result<(), CannotEnter> {
        let parent = self.deepest();
        let dir = sys::open_dir(parent, name).map_err(|source| CannotEnter { node, source })?;
        if self.open.len() == self.limit {
            self.open.pop_front();
        }
        self.open.push_back(Held { node, depth, dir });
        Ok(())
    }

    /// The folder that was entered last.
    pub(crate) fn deepest(&self) -> &Dir {
        self.open.back().map_or(self.root, |last| &last.dir)
    }
}

/// How many folders one of `threads` workers may hold open, of both trees
/// together: a quarter of the process's limit, shared by those workers that
/// share a descriptor table.
pub(crate) fn limit_for(threads: usize) -> usize {
    let limit = usize::try_from(sys::open_file_limit()).unwrap_or(usize::MAX);
    // More than this many levels of one way are hardly ever needed again.
    (limit / 4 / threads.max(1) / 2).clamp(1, 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::dir;

    #[test]
    fn any_order_of_visits_ends_in_the_right_folder_with_one_handle_open() {
        let temp = tempfile::tempdir().unwrap();
        let mut plan = Plan::new();
        plan.set_children(NodeId::ROOT, vec![dir("a"), dir("b")])
            .unwrap();
        for name in [b"a", b"b"] {
            let node = plan.child(NodeId::ROOT, name).unwrap();
            plan.set_children(node, vec![dir("x"), dir("y")]).unwrap();
        }
        for path in ["a/x", "a/y", "b/x", "b/y"] {
            std::fs::create_dir_all(temp.path().join(path)).unwrap();
        }
        let root = sys::open_root(temp.path()).unwrap();
        for limit in [1, 2, 64] {
            let mut handles = Handles::new(&root, limit);
            let mut order: Vec<_> = plan.nodes().collect();
            order.extend(plan.nodes().collect::<Vec<_>>().into_iter().rev());
            for node in order {
                let found = sys::stat_dir(handles.enter(&plan, node).unwrap()).unwrap();
                let path = temp.path().join(plan.path(node).to_path_buf());
                let expected = sys::stat_path(&path).unwrap();
                assert!(found.is_same_object(&expected), "{path:?} with {limit}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_never_entered() {
        let temp = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/", temp.path().join("a")).unwrap();
        let mut plan = Plan::new();
        plan.set_children(NodeId::ROOT, vec![dir("a")]).unwrap();
        let node = plan.child(NodeId::ROOT, b"a").unwrap();
        let root = sys::open_root(temp.path()).unwrap();
        let mut handles = Handles::new(&root, 4);
        let error = handles.enter(&plan, node).map(drop).unwrap_err();
        assert!(sys::is_not_a_real_dir(&error.source));
    }
}
