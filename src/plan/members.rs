//! The tree of an archive, built member by member from what the archive says.
//!
//! Every rule about names and links is here, and is applied before any system
//! call: a member stands inside the tree, below folders only, under a name of
//! its own; a hard link names a file of the same archive; a symbolic link
//! leads nowhere outside unless that is allowed. What the archive says about
//! its own bytes is the parser's to judge, what the disk holds the writer's.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;

use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::text::escape_bytes;

use super::links::{Missing, Resolution, Resolver};
use super::{Child, NodeId, NodeKind, Plan, TooLarge};

/// Levels of folders, as deep as a tree may be.
pub(crate) const MAX_DEPTH: usize = 1024;

/// The longest target of a symbolic link in bytes: one less than the kernel's
/// buffer for a path.
pub(crate) const MAX_TARGET: usize = 4095;

/// Whether symbolic links may lead out of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ExternalLinks {
    /// Absolute and escaping targets are refused.
    #[default]
    Refuse,
    /// They are made as they are. Nothing is ever written through them.
    Allow,
}

/// A tree that grows by one member at a time.
pub(crate) struct Members {
    plan: Plan,
    /// Every node but the root, with the hash of its parent and name.
    by_name: HashTable<(u64, NodeId)>,
    /// The folder that the last member stands in; the next one is likely near.
    last: NodeId,
    states: Vec<State>,
    hasher: RandomState,
    hardlinks: Vec<(NodeId, NodeId)>,
    symlinks: u64,
}

/// How a node came into the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// A folder that no member names, but the paths of others.
    Implied,
    Named,
    /// A further name of this file.
    Hardlink(NodeId),
}

/// What a member is in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    New(NodeId),
    /// A folder that was there already: what this member says of it counts.
    Again(NodeId),
}

impl Members {
    pub(crate) fn new() -> Self {
        Self {
            plan: Plan::new(),
            by_name: HashTable::new(),
            last: NodeId::ROOT,
            states: vec![State::Implied],
            hasher: RandomState::new(),
            hardlinks: Vec::new(),
            symlinks: 0,
        }
    }

    /// The tree so far. Its children are in no order and can't be listed.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Further names of files, each with the node that has the content.
    pub(crate) fn hardlinks(&self) -> &[(NodeId, NodeId)] {
        &self.hardlinks
    }

    pub(crate) fn symlinks(&self) -> u64 {
        self.symlinks
    }

    /// Adds `member` at `names`, its checked path. Folders on the way that were
    /// not there are appended to `made`, outermost first, and so is the member
    /// itself if it is a new folder. `linked` is the checked target of a hard link.
    pub(crate) fn add(
        &mut self,
        names: &[&[u8]],
        member: &Member,
        linked: &[&[u8]],
        made: &mut Vec<NodeId>,
    ) -> Result<Added, Refusal> {
        if names.len() > MAX_DEPTH {
            return Err(not_safe("lies deeper than 1024 folders"));
        }
        let Some((name, folders)) = names.split_last() else {
            return match member.kind {
                MemberKind::Dir => Ok(Added::Again(NodeId::ROOT)),
                MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink => {
                    Err(not_safe("stands for the destination itself"))
                }
            };
        };
        let parent = self.enter(folders, made)?;
        if let Some(node) = self.find(parent, name) {
            return self.add_again(node, member);
        }
        let node = match member.kind {
            MemberKind::Dir => {
                let node = self.insert(parent, name, NodeKind::Dir, 0, &[], State::Named)?;
                made.push(node);
                node
            }
            MemberKind::File => {
                self.insert(parent, name, NodeKind::File, member.size, &[], State::Named)?
            }
            MemberKind::Symlink => {
                check_target(&member.target)?;
                self.symlinks += 1;
                let target = &member.target;
                self.insert(parent, name, NodeKind::Symlink, 0, target, State::Named)?
            }
            MemberKind::Hardlink => {
                let first = self.content_of(linked)?;
                let size = self.plan.size(first);
                let kind = NodeKind::File;
                let node = self.insert(parent, name, kind, size, &[], State::Hardlink(first))?;
                self.hardlinks.push((node, first));
                node
            }
        };
        Ok(Added::New(node))
    }

    /// Makes a link to `target` of what came as a file: a zip from a pipe tells
    /// at its end which of its members are links.
    pub(crate) fn become_link(&mut self, node: NodeId, target: &[u8]) -> Result<(), Refusal> {
        check_target(target)?;
        self.symlinks += 1;
        self.plan
            .become_link(node, target)
            .map_err(|TooLarge| too_many())
    }

    fn add_again(&mut self, node: NodeId, member: &Member) -> Result<Added, Refusal> {
        let is_dir = self.plan.kind(node) == NodeKind::Dir;
        if !is_dir || member.kind != MemberKind::Dir {
            let cause = "is the name of two members";
            return Err(Refusal::malformed(cause));
        }
        self.states[node.index()] = State::Named;
        Ok(Added::Again(node))
    }

    /// Finds the folder `names`, and makes what isn't there.
    fn enter(&mut self, names: &[&[u8]], made: &mut Vec<NodeId>) -> Result<NodeId, Refusal> {
        let mut at = self.last_above(names);
        for name in &names[self.plan.depth(at)..] {
            at = match self.find(at, name) {
                Some(node) => match self.plan.kind(node) {
                    NodeKind::Dir => node,
                    NodeKind::Symlink => {
                        return Err(not_safe("stands below a link of the same archive"));
                    }
                    NodeKind::File | NodeKind::Special => {
                        return Err(not_safe("stands below a file of the same archive"));
                    }
                },
                None => {
                    let node = self.insert(at, name, NodeKind::Dir, 0, &[], State::Implied)?;
                    made.push(node);
                    node
                }
            };
        }
        self.last = at;
        Ok(at)
    }

    /// The deepest folder that both the last one and the folder `names` are in,
    /// or are.
    fn last_above(&self, names: &[&[u8]]) -> NodeId {
        let plan = &self.plan;
        let mut at = self.last;
        while plan.depth(at) > names.len() {
            at = plan.parent(at);
        }
        let mut shared = at;
        while at != NodeId::ROOT {
            let above = plan.parent(at);
            if plan.name(at) != names[plan.depth(above)] {
                shared = above;
            }
            at = above;
        }
        shared
    }

    /// The file that a hard link is a further name of.
    fn content_of(&self, names: &[&[u8]]) -> Result<NodeId, Refusal> {
        let mut at = NodeId::ROOT;
        for name in names {
            at = self
                .find(at, name)
                .ok_or_else(|| not_safe("is a hard link to what isn't in the archive before it"))?;
        }
        if self.plan.kind(at) != NodeKind::File {
            return Err(not_safe("is a hard link to what is no file"));
        }
        Ok(match self.states[at.index()] {
            State::Hardlink(first) => first,
            State::Implied | State::Named => at,
        })
    }

    fn find(&self, parent: NodeId, name: &[u8]) -> Option<NodeId> {
        let is_it = |(_, node): &(u64, NodeId)| {
            self.plan.parent(*node) == parent && self.plan.name(*node) == name
        };
        let found = self.by_name.find(self.hash(parent, name), is_it);
        found.map(|(_, node)| *node)
    }

    fn hash(&self, parent: NodeId, name: &[u8]) -> u64 {
        self.hasher.hash_one((parent, name))
    }

    fn insert(
        &mut self,
        parent: NodeId,
        name: &[u8],
        kind: NodeKind,
        size: u64,
        target: &[u8],
        state: State,
    ) -> Result<NodeId, Refusal> {
        let child = Child {
            name,
            kind,
            size,
            target,
        };
        let node = self
            .plan
            .push(parent, child)
            .map_err(|TooLarge| too_many())?;
        let hash = self.hash(parent, name);
        self.by_name
            .insert_unique(hash, (hash, node), |(hash, _)| *hash);
        self.states.push(state);
        Ok(node)
    }

    /// The same tree, its children sorted, with the node here of each node there.
    pub(crate) fn sorted(&self) -> Result<(Plan, Vec<NodeId>), Refusal> {
        self.sorted_below(NodeId::ROOT)
    }

    /// As [`sorted`](Self::sorted), with the folder `top` for a root.
    pub(crate) fn sorted_below(&self, top: NodeId) -> Result<(Plan, Vec<NodeId>), Refusal> {
        self.plan.sorted(top).map_err(|TooLarge| too_many())
    }
}

fn too_many() -> Refusal {
    let cause = "there are more members, or longer names, than a tree can hold";
    Refusal::new(ErrorKind::LimitExceeded, cause)
}

/// Splits a member's path into names. No name leads out of the tree; the root
/// itself has none.
pub(crate) fn names_of(path: &[u8]) -> Result<Vec<&[u8]>, Refusal> {
    if path.first() == Some(&b'/') {
        return Err(not_safe("has an absolute path"));
    }
    if path.contains(&0) {
        return Err(not_safe("has a NUL in its path"));
    }
    let is_name = |name: &&[u8]| !name.is_empty() && *name != b".";
    let names: Vec<&[u8]> = path.split(|byte| *byte == b'/').filter(is_name).collect();
    match names.iter().any(|name| *name == b"..") {
        true => Err(not_safe("leads out of the destination with `..`")),
        false => Ok(names),
    }
}

fn check_target(target: &[u8]) -> Result<(), Refusal> {
    if target.is_empty() {
        return Err(Refusal::malformed("is a link without a target"));
    }
    if target.len() > MAX_TARGET {
        return Err(not_safe("is a link with a target of more than 4095 bytes"));
    }
    match target.contains(&0) {
        true => Err(not_safe("is a link with a NUL in its target")),
        false => Ok(()),
    }
}

/// Finds the first symbolic link that leads out of the sorted tree `plan`.
pub(crate) fn first_external_link(
    plan: &Plan,
    missing: Missing,
) -> Result<Option<(NodeId, Refusal)>, Refusal> {
    let mut resolver = Resolver::over(plan, missing);
    for node in plan
        .nodes()
        .filter(|node| plan.kind(*node) == NodeKind::Symlink)
    {
        let resolution = resolver.resolve(node);
        if resolver.is_exhausted() {
            let cause = "its links lead through too many others to follow them all";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        if resolution == Resolution::Outside {
            let target = escape_bytes(plan.target(node));
            let refusal = not_safe(format!(
                "is a link that leads out of the tree, to `{target}`"
            ))
            .with_hint("--allow-external-links keeps such links as they are");
            return Ok(Some((node, refusal)));
        }
    }
    Ok(None)
}

fn not_safe(cause: impl Into<String>) -> Refusal {
    Refusal::new(ErrorKind::Unsafe, cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (&'static str, &'static str, &'static str);

    /// Adds members written as `kind path [target]` and says what refused them.
    fn build(members: &[(&str, &str, &str)]) -> Result<Members, String> {
        let mut built = Members::new();
        for (kind, path, target) in members {
            let kind = match *kind {
                "d" => MemberKind::Dir,
                "f" => MemberKind::File,
                "l" => MemberKind::Symlink,
                _ => MemberKind::Hardlink,
            };
            let mut member = Member::new(kind, *path);
            member.target = target.as_bytes().to_vec();
            let names = names_of(path.as_bytes()).map_err(|refusal| refusal.to_string())?;
            let linked = match kind {
                MemberKind::Hardlink => {
                    names_of(target.as_bytes()).map_err(|refusal| refusal.to_string())?
                }
                MemberKind::Dir | MemberKind::File | MemberKind::Symlink => Vec::new(),
            };
            let added = built.add(&names, &member, &linked, &mut Vec::new());
            added.map_err(|refusal| format!("{path} {refusal}"))?;
        }
        Ok(built)
    }

    fn external(members: &[(&str, &str, &str)]) -> Option<String> {
        let (plan, _) = build(members).unwrap().sorted().unwrap();
        let found = first_external_link(&plan, Missing::Nothing).unwrap();
        found.map(|(node, _)| plan.path(node).to_string())
    }

    #[test]
    fn members_that_could_leave_the_tree_or_meet_a_link_are_refused() {
        let cases: &[(&[Written], &str)] = &[
            (&[("f", "../x", "")], "`..`"),
            (&[("f", "a/../../x", "")], "`..`"),
            (&[("f", "/etc/x", "")], "absolute"),
            (&[("f", "a\0b", "")], "NUL"),
            (&[("f", ".", "")], "destination itself"),
            (&[("l", "./", "x")], "destination itself"),
            (&[("l", "a", "b"), ("f", "a/x", "")], "below a link"),
            (&[("f", "a", ""), ("d", "a/b", "")], "below a file"),
            (&[("f", "a", ""), ("f", "./a", "")], "two members"),
            (&[("d", "a", ""), ("l", "a", "/etc")], "two members"),
            (&[("l", "a", "b"), ("d", "a", "")], "two members"),
            (&[("h", "a", "b")], "isn't in the archive"),
            (&[("l", "b", "c"), ("h", "a", "b")], "no file"),
            (&[("d", "b", ""), ("h", "a", "b")], "no file"),
            (&[("h", "a", "/etc/passwd")], "absolute"),
            (&[("h", "a", "../x")], "`..`"),
            (&[("l", "a", "")], "without a target"),
        ];
        for (members, expected) in cases {
            let refusal = build(members).err().unwrap_or_default();
            assert!(refusal.contains(expected), "{members:?}: {refusal:?}");
        }
    }

    #[test]
    fn a_hard_link_to_a_hard_link_has_the_content_of_the_first() {
        let members = [("f", "a", ""), ("h", "b", "a"), ("h", "c", "./b")];
        let built = build(&members).unwrap();
        let first = built.hardlinks()[0].1;
        assert!(built.hardlinks().iter().all(|(_, to)| *to == first));
    }

    #[test]
    fn external_links_are_found_by_where_they_lead() {
        for (target, is_external) in [
            ("../x", false),
            ("../../x", true),
            ("/etc/passwd", true),
            ("missing/../../../x", true),
            ("../in/../../../x", true),
            ("../in/x", false),
        ] {
            let members = [
                ("d", "app/deep/er", ""),
                ("l", "in", "app/deep"),
                ("l", "app/l", target),
            ];
            assert_eq!(external(&members).is_some(), is_external, "{target}");
        }
    }

    #[test]
    fn sorted_trees_know_where_their_nodes_came_from() {
        let members = [
            ("f", "b/z", ""),
            ("f", "a", ""),
            ("f", "b/c/d", ""),
            ("d", "b", ""),
        ];
        let built = build(&members).unwrap();
        let (plan, origins) = built.sorted().unwrap();
        for node in plan.nodes() {
            assert_eq!(plan.path(node), built.plan().path(origins[node.index()]));
        }
        let top: Vec<_> = plan.children(NodeId::ROOT).map(|n| plan.name(n)).collect();
        assert_eq!(top, [&b"a"[..], b"b"]);
    }
}
