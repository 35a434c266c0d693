//! The tree of an operation: an arena of names that knows no file system.
//!
//! A plan is complete before the first byte is written, so that whatever can
//! be known beforehand (links, colliding names, depth) is decided in memory.
//! Children of a folder lie side by side, sorted by their names' bytes; a
//! node takes 32 bytes and its name.
//!
//! The plan never follows a link on disk: [`links`] resolves them inside the
//! arena.

pub(crate) mod collide;
pub(crate) mod edit;
pub(crate) mod links;
pub(crate) mod members;

use std::ops::Range;

use crate::entry::{Entry, EntryKind};
use crate::path::{LinkTarget, RelPath};

/// The number of a node in its plan. The root is [`NodeId::ROOT`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(u32);

impl NodeId {
    pub(crate) const ROOT: NodeId = NodeId(0);

    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeKind {
    Dir,
    File,
    Symlink,
    /// A device, FIFO or socket, which no operation carries.
    Special,
}

/// A node before it has a place in a plan.
#[derive(Debug, Clone)]
pub(crate) struct NewNode {
    pub name: Box<[u8]>,
    pub kind: NodeKind,
    /// The content's bytes of a file, where they are known; else 0.
    pub size: u64,
    /// The target of a link, where it is known.
    pub target: Option<Box<[u8]>>,
}

/// What a plan stores of a node.
#[derive(Clone, Copy)]
struct Child<'c> {
    name: &'c [u8],
    kind: NodeKind,
    size: u64,
    target: &'c [u8],
}

impl<'c> From<&'c NewNode> for Child<'c> {
    fn from(node: &'c NewNode) -> Self {
        Self {
            name: &node.name,
            kind: node.kind,
            size: node.size,
            target: node.target.as_deref().unwrap_or_default(),
        }
    }
}

/// Why a tree doesn't fit into a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLarge;

#[derive(Debug, Clone, Copy)]
struct Node {
    parent: u32,
    name: u32,
    name_len: u16,
    depth: u16,
    kind: NodeKind,
    /// A folder's mode; 0 for all else.
    mode: u16,
    /// Bytes of a file; the fingerprint of a folder's time.
    size: u64,
    /// A folder's first child, or where a link's target begins in the heap.
    first: u32,
    /// How many children, or the length of a link's target.
    count: u32,
}

/// A tree of names. See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    nodes: Vec<Node>,
    heap: Vec<u8>,
}

impl Plan {
    /// Makes a plan that has only a root folder.
    pub(crate) fn new() -> Self {
        let root = Node {
            parent: 0,
            name: 0,
            name_len: 0,
            depth: 0,
            kind: NodeKind::Dir,
            mode: 0,
            size: 0,
            first: 0,
            count: 0,
        };
        Self {
            nodes: vec![root],
            heap: Vec::new(),
        }
    }

    /// Gives the folder `dir` its children, which are sorted here. Once a folder.
    pub(crate) fn set_children(
        &mut self,
        dir: NodeId,
        mut children: Vec<NewNode>,
    ) -> Result<(), TooLarge> {
        children.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        self.set_sorted(dir, children.iter().map(Child::from))
    }

    fn set_sorted<'c>(
        &mut self,
        dir: NodeId,
        children: impl ExactSizeIterator<Item = Child<'c>>,
    ) -> Result<(), TooLarge> {
        let first = u32::try_from(self.nodes.len()).map_err(|_| TooLarge)?;
        let count = u32::try_from(children.len()).map_err(|_| TooLarge)?;
        first.checked_add(count).ok_or(TooLarge)?;
        for child in children {
            self.push(dir, child)?;
        }
        let node = &mut self.nodes[dir.index()];
        node.first = first;
        node.count = count;
        Ok(())
    }

    /// Adds one child to `dir`, wherever the others are: what
    /// [`children`](Self::children) and [`child`](Self::child) need is made by
    /// [`sorted`](Self::sorted).
    fn push(&mut self, dir: NodeId, child: Child<'_>) -> Result<NodeId, TooLarge> {
        let node = NodeId(u32::try_from(self.nodes.len()).map_err(|_| TooLarge)?);
        let depth = self.nodes[dir.index()].depth;
        let made = Node {
            parent: dir.0,
            name: self.store(child.name)?,
            name_len: u16::try_from(child.name.len()).map_err(|_| TooLarge)?,
            depth: depth.checked_add(1).ok_or(TooLarge)?,
            kind: child.kind,
            mode: 0,
            size: child.size,
            first: self.store(child.target)?,
            count: u32::try_from(child.target.len()).map_err(|_| TooLarge)?,
        };
        self.nodes.push(made);
        Ok(node)
    }

    /// Makes a link to `target` of a file.
    fn become_link(&mut self, node: NodeId, target: &[u8]) -> Result<(), TooLarge> {
        let first = self.store(target)?;
        let count = u32::try_from(target.len()).map_err(|_| TooLarge)?;
        let node = &mut self.nodes[node.index()];
        (node.kind, node.size) = (NodeKind::Symlink, 0);
        (node.first, node.count) = (first, count);
        Ok(())
    }

    /// The tree below the folder `top` with its children side by side, and for
    /// each of its nodes the one of this plan.
    fn sorted(&self, top: NodeId) -> Result<(Plan, Vec<NodeId>), TooLarge> {
        let mut families = Families::of(self);
        let mut plan = Plan::new();
        let mut origins = vec![top];
        let mut at = 0;
        while at < origins.len() {
            let origin = origins[at];
            if self.kind(origin) == NodeKind::Dir {
                let children = families.children_mut(origin);
                children.sort_unstable_by(|a, b| self.name(*a).cmp(self.name(*b)));
                let children = children.iter();
                let new = children.clone().map(|child| Child {
                    name: self.name(*child),
                    kind: self.kind(*child),
                    size: self.size(*child),
                    target: self.target(*child),
                });
                plan.set_sorted(NodeId(at as u32), new)?;
                origins.extend(children);
            }
            at += 1;
        }
        Ok((plan, origins))
    }

    fn store(&mut self, bytes: &[u8]) -> Result<u32, TooLarge> {
        let at = u32::try_from(self.heap.len()).map_err(|_| TooLarge)?;
        self.heap.extend_from_slice(bytes);
        Ok(at)
    }

    /// Remembers when the folder `dir` was last changed, to notice it later,
    /// and its mode.
    pub(crate) fn set_dir(&mut self, dir: NodeId, fingerprint: u64, mode: u32) {
        let node = &mut self.nodes[dir.index()];
        node.size = fingerprint;
        node.mode = (mode & 0o7777) as u16;
    }

    /// The mode of a folder.
    pub(crate) fn dir_mode(&self, dir: NodeId) -> u32 {
        u32::from(self.nodes[dir.index()].mode)
    }

    /// The fingerprint of a folder's time.
    pub(crate) fn fingerprint(&self, dir: NodeId) -> u64 {
        self.nodes[dir.index()].size
    }

    /// How many nodes there are, the root included.
    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// All nodes, parents before their children.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        ids(0..self.nodes.len() as u32)
    }

    /// The children of a folder, sorted; none for all else.
    pub(crate) fn children(&self, node: NodeId) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
        ids(self.child_range(node))
    }

    /// How many children a folder has.
    pub(crate) fn child_count(&self, node: NodeId) -> usize {
        self.child_range(node).len()
    }

    /// The child of the folder `node` that has this name.
    pub(crate) fn child(&self, node: NodeId, name: &[u8]) -> Option<NodeId> {
        let range = self.child_range(node);
        let (first, last) = (range.start as usize, range.end as usize);
        let found = self.nodes[first..last].binary_search_by(|child| self.name_of(child).cmp(name));
        found.ok().map(|offset| NodeId((first + offset) as u32))
    }

    fn child_range(&self, node: NodeId) -> Range<u32> {
        let node = &self.nodes[node.index()];
        match node.kind {
            NodeKind::Dir => node.first..node.first + node.count,
            NodeKind::File | NodeKind::Symlink | NodeKind::Special => 0..0,
        }
    }

    pub(crate) fn kind(&self, node: NodeId) -> NodeKind {
        self.nodes[node.index()].kind
    }

    /// The folder that `node` stands in; the root is its own parent.
    pub(crate) fn parent(&self, node: NodeId) -> NodeId {
        NodeId(self.nodes[node.index()].parent)
    }

    /// How many folders lie above `node`: 0 for the root.
    pub(crate) fn depth(&self, node: NodeId) -> usize {
        usize::from(self.nodes[node.index()].depth)
    }

    pub(crate) fn name(&self, node: NodeId) -> &[u8] {
        self.name_of(&self.nodes[node.index()])
    }

    fn name_of(&self, node: &Node) -> &[u8] {
        let at = node.name as usize;
        &self.heap[at..at + usize::from(node.name_len)]
    }

    /// The bytes of a file's content, or 0 where nobody asked for them.
    pub(crate) fn size(&self, node: NodeId) -> u64 {
        match self.kind(node) {
            NodeKind::File => self.nodes[node.index()].size,
            NodeKind::Dir | NodeKind::Symlink | NodeKind::Special => 0,
        }
    }

    /// Content in bytes of `node` and all below it.
    pub(crate) fn bytes_below(&self, node: NodeId) -> u64 {
        let mut bytes = 0_u64;
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            bytes = bytes.saturating_add(self.size(node));
            pending.extend(self.children(node));
        }
        bytes
    }

    /// The target of a link.
    pub(crate) fn target(&self, node: NodeId) -> &[u8] {
        let node = &self.nodes[node.index()];
        match node.kind {
            NodeKind::Symlink => {
                &self.heap[node.first as usize..node.first as usize + node.count as usize]
            }
            NodeKind::Dir | NodeKind::File | NodeKind::Special => &[],
        }
    }

    /// The folders that `node` is in, the nearest first and the root last.
    pub(crate) fn above(&self, node: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        let up = |node: NodeId| (node != NodeId::ROOT).then(|| self.parent(node));
        std::iter::successors(up(node), move |node| up(*node))
    }

    /// The nodes of symbolic links.
    pub(crate) fn symlinks(&self) -> impl Iterator<Item = NodeId> + '_ {
        let is_link = |node: &NodeId| self.kind(*node) == NodeKind::Symlink;
        self.nodes().filter(is_link)
    }

    /// Whether `node` is a folder with nothing in it.
    pub(crate) fn is_empty_dir(&self, node: NodeId) -> bool {
        self.kind(node) == NodeKind::Dir && self.child_count(node) == 0
    }

    /// The way from the root to `node`, as names joined by `/`.
    pub(crate) fn path(&self, node: NodeId) -> RelPath {
        let mut names = Vec::with_capacity(self.depth(node));
        let mut at = node;
        while at != NodeId::ROOT {
            names.push(self.name(at));
            at = self.parent(at);
        }
        names.reverse();
        RelPath::from_names(names)
    }

    /// The node as a caller sees it; `None` for a special file.
    pub(crate) fn entry(&self, node: NodeId) -> Option<Entry> {
        let kind = match self.kind(node) {
            NodeKind::Dir => EntryKind::Dir,
            NodeKind::File => EntryKind::File,
            NodeKind::Symlink => EntryKind::Symlink,
            NodeKind::Special => return None,
        };
        let is_link = kind == EntryKind::Symlink;
        Some(Entry {
            path: self.path(node),
            kind,
            size: self.size(node),
            target: is_link.then(|| LinkTarget::new(self.target(node))),
        })
    }
}

/// The nodes of a plan by the folders that they stand in, also of one that isn't
/// sorted: then in the order in which they came.
pub(crate) struct Families {
    nodes: Vec<NodeId>,
    /// Where the children of each node begin in `nodes`, and where they end.
    ranges: Vec<Range<usize>>,
}

impl Families {
    pub(crate) fn of(plan: &Plan) -> Self {
        let mut counts = vec![0; plan.len()];
        for node in plan.nodes().skip(1) {
            counts[plan.parent(node).index()] += 1;
        }
        let mut end = 0;
        let begins = counts.into_iter().map(|count| {
            let begin = end;
            end += count;
            begin..begin
        });
        let mut ranges: Vec<Range<usize>> = begins.collect();
        let mut nodes = vec![NodeId::ROOT; end];
        for node in plan.nodes().skip(1) {
            let range = &mut ranges[plan.parent(node).index()];
            nodes[range.end] = node;
            range.end += 1;
        }
        Self { nodes, ranges }
    }

    pub(crate) fn children(&self, dir: NodeId) -> &[NodeId] {
        &self.nodes[self.ranges[dir.index()].clone()]
    }

    fn children_mut(&mut self, dir: NodeId) -> &mut [NodeId] {
        &mut self.nodes[self.ranges[dir.index()].clone()]
    }
}

fn ids(range: Range<u32>) -> impl DoubleEndedIterator<Item = NodeId> + use<> {
    range.map(NodeId)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn dir(name: &str) -> NewNode {
        node(name, NodeKind::Dir, None)
    }

    pub(crate) fn file(name: &str) -> NewNode {
        node(name, NodeKind::File, None)
    }

    pub(crate) fn link(name: &str, target: &str) -> NewNode {
        node(name, NodeKind::Symlink, Some(target))
    }

    fn node(name: &str, kind: NodeKind, target: Option<&str>) -> NewNode {
        NewNode {
            name: name.as_bytes().into(),
            kind,
            size: 0,
            target: target.map(|target| target.as_bytes().into()),
        }
    }

    #[test]
    fn children_are_sorted_and_found_by_name() {
        let mut plan = Plan::new();
        let children = vec![file("b"), dir("a"), link("c", "b")];
        plan.set_children(NodeId::ROOT, children).unwrap();
        let a = plan.child(NodeId::ROOT, b"a").unwrap();
        plan.set_children(a, vec![file("x")]).unwrap();
        let x = plan.child(a, b"x").unwrap();
        assert_eq!(plan.path(x).as_bytes(), b"a/x");
        assert_eq!(plan.depth(x), 2);
        let names: Vec<_> = plan.children(NodeId::ROOT).map(|n| plan.name(n)).collect();
        assert_eq!(names, [&b"a"[..], b"b", b"c"]);
        assert!(plan.child(NodeId::ROOT, b"x").is_none());
    }

    #[test]
    fn a_node_takes_no_more_than_its_bound() {
        assert!(size_of::<Node>() <= 32);
    }
}
