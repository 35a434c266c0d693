//! Where the links of a plan lead, decided in memory.
//!
//! A target is walked component by component through the arena, as the kernel
//! would walk it on disk: `..` leaves a folder that a link led into by that
//! folder's own parent, never by text. Work is bounded: [`MAX_HOPS`] links for
//! one resolution, and a budget of steps for a whole [`Resolver`].

use super::{NodeId, NodeKind, Plan};
use crate::sys::LinkTo;

/// How many links one resolution follows, as Linux's own limit.
const MAX_HOPS: u32 = 40;

/// Steps that one resolver takes before it gives up, against link bombs. A real
/// environment of 10,000 links needs less than 100,000.
const MAX_STEPS: u64 = 50_000_000;

/// Where a link leads in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Resolution {
    /// To this node, which is no link.
    Inside(NodeId),
    /// To a name that isn't in the tree.
    Dangling,
    /// Out of the tree, or to an absolute path.
    Outside,
    /// Round in a circle, or through more links than are allowed.
    Loop,
}

impl Resolution {
    /// The node that it leads to, if that is in the tree.
    pub(crate) fn inside(self) -> Option<NodeId> {
        match self {
            Resolution::Inside(led) => Some(led),
            Resolution::Dangling | Resolution::Outside | Resolution::Loop => None,
        }
    }
}

/// What may be behind a name that isn't in the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    /// Nothing, or folders: the rest of the way is judged by text.
    Nothing,
    /// A link, as the tree is laid over another: nobody knows where `..` leads
    /// from there, so it leads out.
    Unknown,
}

/// Resolves the links of one plan.
pub(crate) struct Resolver<'p> {
    plan: &'p Plan,
    missing: Missing,
    steps: u64,
}

impl<'p> Resolver<'p> {
    pub(crate) fn new(plan: &'p Plan) -> Self {
        Self::over(plan, Missing::Nothing)
    }

    /// A resolver for a plan whose missing names may be there.
    pub(crate) fn over(plan: &'p Plan, missing: Missing) -> Self {
        Self {
            plan,
            missing,
            steps: 0,
        }
    }

    /// Whether the work for all links together was cut off: what was resolved
    /// after that is no more than a guess.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.steps > MAX_STEPS
    }

    /// Follows `link` to its end. What lies behind a name that isn't there is
    /// judged by text: it may be there when the tree is laid over another.
    pub(crate) fn resolve(&mut self, link: NodeId) -> Resolution {
        self.lead(self.plan.parent(link), self.plan.target(link))
    }

    /// What kind of link `link` is where there are kinds.
    pub(crate) fn leads_to(&mut self, link: NodeId) -> LinkTo {
        match self.resolve(link).inside().map(|led| self.plan.kind(led)) {
            Some(NodeKind::Dir) => LinkTo::Dir,
            Some(NodeKind::File) => LinkTo::File,
            Some(NodeKind::Symlink | NodeKind::Special) | None => LinkTo::Unknown,
        }
    }

    /// The node that `node` is or leads to, if that is in the tree.
    pub(crate) fn follow(&mut self, node: NodeId) -> Option<NodeId> {
        match self.plan.kind(node) {
            NodeKind::Symlink => self.resolve(node).inside(),
            NodeKind::Dir | NodeKind::File | NodeKind::Special => Some(node),
        }
    }

    /// Follows what a link in the folder `at` with this target would lead to.
    pub(crate) fn lead(&mut self, mut at: NodeId, target: &'p [u8]) -> Resolution {
        // What is still to be walked, innermost target last.
        let mut rest: Vec<std::slice::Split<'p, u8, _>> = Vec::new();
        let is_slash: fn(&u8) -> bool = |byte| *byte == b'/';
        let mut hops = 0;
        let mut follow = Some(target);
        loop {
            if let Some(target) = follow.take() {
                hops += 1;
                if hops > MAX_HOPS {
                    return Resolution::Loop;
                }
                match target.first() {
                    None => return Resolution::Dangling,
                    Some(b'/') => return Resolution::Outside,
                    Some(_) => rest.push(target.split(is_slash)),
                }
            }
            let Some(walk) = rest.last_mut() else {
                return Resolution::Inside(at);
            };
            let Some(name) = walk.next() else {
                rest.pop();
                continue;
            };
            self.steps += 1;
            if self.steps > MAX_STEPS {
                return Resolution::Loop;
            }
            if self.plan.kind(at) != NodeKind::Dir {
                // `file/x` and `file/` lead nowhere.
                return self.behind(at, name, rest);
            }
            match name {
                b"" | b"." => {}
                b".." if at == NodeId::ROOT => return Resolution::Outside,
                b".." => at = self.plan.parent(at),
                name => match self.plan.child(at, name) {
                    None => return self.behind(at, name, rest),
                    Some(child) if self.plan.kind(child) == NodeKind::Symlink => {
                        follow = Some(self.plan.target(child));
                    }
                    Some(child) => at = child,
                },
            }
        }
    }
}

impl Resolver<'_> {
    /// Where the rest of a way leads that goes from `at` to `name`, which isn't
    /// there: out of the tree, or nowhere.
    fn behind<'n>(
        &mut self,
        at: NodeId,
        name: &'n [u8],
        rest: Vec<impl Iterator<Item = &'n [u8]>>,
    ) -> Resolution {
        let mut depth = self.plan.depth(at);
        let steps = std::iter::once(name).chain(rest.into_iter().rev().flatten());
        for name in steps {
            self.steps += 1;
            match name {
                b"" | b"." => {}
                b".." if depth == 0 || self.missing == Missing::Unknown => {
                    return Resolution::Outside;
                }
                b".." => depth -= 1,
                _ => depth += 1,
            }
        }
        Resolution::Dangling
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{dir, file, link};
    use super::*;

    /// `a/{f, up -> ../b/g, back -> ../b/in/..}`, `b/{g, in -> ../a}`, and links at the top.
    fn plan(top: Vec<crate::plan::NewNode>) -> Plan {
        let mut plan = Plan::new();
        let mut children = vec![dir("a"), dir("b")];
        children.extend(top);
        plan.set_children(NodeId::ROOT, children).unwrap();
        let a = plan.child(NodeId::ROOT, b"a").unwrap();
        let links = vec![file("f"), link("up", "../b/g"), link("back", "../b/in/..")];
        plan.set_children(a, links).unwrap();
        let b = plan.child(NodeId::ROOT, b"b").unwrap();
        plan.set_children(b, vec![file("g"), link("in", "../a")])
            .unwrap();
        plan
    }

    fn resolve(target: &str) -> String {
        let plan = plan(vec![link("l", target), link("x", "y"), link("y", "x")]);
        let l = plan.child(NodeId::ROOT, b"l").unwrap();
        match Resolver::new(&plan).resolve(l) {
            Resolution::Inside(node) => plan.path(node).to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn targets_lead_where_the_kernel_would_go() {
        for (target, expected) in [
            ("a", "a"),
            ("a/f", "a/f"),
            ("./a//f", "a/f"),
            ("a/up", "b/g"),
            ("b/in/f", "a/f"),
            ("a/../b/g", "b/g"),
            ("a/back", "."),
            ("missing", "Dangling"),
            ("missing/../a", "Dangling"),
            ("missing/../..", "Outside"),
            ("a/f/../../..", "Outside"),
            ("b/in/missing/../../..", "Outside"),
            ("a/f/", "Dangling"),
            ("a/f/..", "Dangling"),
            ("", "Dangling"),
            ("/etc", "Outside"),
            ("..", "Outside"),
            ("a/../..", "Outside"),
            ("l", "Loop"),
            ("x", "Loop"),
            ("l/f", "Loop"),
        ] {
            assert_eq!(resolve(target), expected, "target {target:?}");
        }
    }

    #[test]
    fn lexically_inside_but_physically_outside_is_outside() {
        // `in` leads to `a`, whose `..` is the root: one more leaves the tree.
        assert_eq!(resolve("b/in/../.."), "Outside");
    }

    #[test]
    fn nobody_knows_the_way_back_from_what_may_be_a_link() {
        let plan = plan(vec![
            link("l", "a/missing/../f"),
            link("m", "a/../b/missing"),
        ]);
        let mut resolver = Resolver::over(&plan, Missing::Unknown);
        let mut resolve = |name: &[u8]| resolver.resolve(plan.child(NodeId::ROOT, name).unwrap());
        assert_eq!(resolve(b"l"), Resolution::Outside);
        assert_eq!(resolve(b"m"), Resolution::Dangling);
    }

    #[test]
    fn a_chain_of_many_links_is_cut_off() {
        let mut links: Vec<_> = (0..60)
            .map(|n| link(&format!("n{n}"), &format!("n{}", n + 1)))
            .collect();
        links.push(file("n60"));
        let plan = plan(links);
        let first = plan.child(NodeId::ROOT, b"n0").unwrap();
        assert_eq!(Resolver::new(&plan).resolve(first), Resolution::Loop);
        let late = plan.child(NodeId::ROOT, b"n30").unwrap();
        assert!(matches!(
            Resolver::new(&plan).resolve(late),
            Resolution::Inside(_)
        ));
    }
}
