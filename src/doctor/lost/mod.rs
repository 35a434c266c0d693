//! Links that were lost: what stands in their place, and what they were.
//!
//! Rules name candidates: this file stands where PyInstaller, a framework, `npm` or
//! `venv` makes a link, and this is what that link says. A candidate counts if what
//! stands there is equal to what the link would lead to, read through all that is a
//! link or will be one. If rules name several targets for one place, nothing is decided.

mod aliases;
mod app;
mod equal;
mod frameworks;
mod node;
mod noted;
mod pyinstaller;
mod stubs;
mod venv;

use std::collections::HashSet;

use crate::error::Result;
use crate::path::{LinkTarget, RelPath};
use crate::plan::{NodeId, NodeKind, Plan};

use super::finding::{Code, Finding};
use super::subject::Subject;

use equal::Equality;

pub(crate) use equal::Likeness;

/// What stands where a link should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// A copy of what the link would lead to.
    Copy,
    /// A text file with the link's target.
    Stub,
    /// An empty folder, as packers leave it that don't follow links to folders.
    Empty,
    /// Nothing.
    Nothing,
}

/// A link that was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostLink {
    /// The folder that it stood in, and its name there.
    pub dir: NodeId,
    pub name: Box<[u8]>,
    pub target: Box<[u8]>,
    pub stand: Stand,
    /// Who makes such links, in words.
    pub rule: &'static str,
}

impl LostLink {
    /// What stands in the link's place.
    pub(crate) fn node(&self, plan: &Plan) -> Option<NodeId> {
        plan.child(self.dir, &self.name)
    }

    pub(crate) fn path(&self, plan: &Plan) -> RelPath {
        let dir = plan.path(self.dir);
        let names = dir.as_bytes().split(|byte| *byte == b'/');
        RelPath::from_names(names.filter(|name| !name.is_empty()).chain([&*self.name]))
    }
}

/// Something in place of a link that nobody can tell, or prove.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    pub node: NodeId,
    /// What it may have been a link to: several that are equal, or one out of the tree.
    pub targets: Vec<Box<[u8]>>,
    pub stand: Stand,
}

/// All that was lost.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub links: Vec<LostLink>,
    pub ambiguous: Vec<Ambiguous>,
    /// The nodes that stand in place of links, and all below them.
    covered: HashSet<NodeId>,
}

/// Finds what was lost.
pub(crate) fn find(subject: &Subject<'_>) -> Result<Lost> {
    let mut search = Search {
        likeness: Likeness::new(subject),
        lost: Lost::default(),
    };
    // What is told comes before what is concluded, and what stands for folders before
    // what stands in them.
    noted::find(&mut search)?;
    stubs::find(&mut search);
    app::find(&mut search)?;
    frameworks::find(&mut search)?;
    pyinstaller::find(&mut search)?;
    venv::find(&mut search)?;
    node::find(&mut search)?;
    aliases::find(&mut search)?;
    Ok(search.finish())
}

/// What the rules work on.
struct Search<'s> {
    likeness: Likeness<'s>,
    lost: Lost,
}

/// A place that a link may have stood in, and what the link may have been.
struct Place<'p> {
    node: NodeId,
    /// The targets in question, and where they lead.
    targets: &'p [(Vec<u8>, NodeId)],
    rule: &'static str,
    evidence: Evidence,
}

/// What says that there was a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Evidence {
    /// A content that is in two places.
    Content,
    /// The place alone: also what is equal without any content was the link.
    Place,
}

impl<'s> Search<'s> {
    fn subject(&self) -> &'s Subject<'s> {
        self.likeness.subject
    }

    fn plan(&self) -> &'s Plan {
        self.subject().plan()
    }

    /// Whether `node` is a file or folder that no rule has explained yet.
    fn is_open(&self, node: NodeId) -> bool {
        let is_real = matches!(self.plan().kind(node), NodeKind::File | NodeKind::Dir);
        is_real && !self.lost.covers(node)
    }

    /// Notes that a link stood in `place` if what stands there is equal to what it would
    /// lead to; that it is open which, if several are.
    fn judge(&mut self, place: &Place<'_>) -> Result<()> {
        if !self.is_open(place.node) {
            return Ok(());
        }
        if self.is_empty_dir(place.node) {
            self.judge_empty(place);
            return Ok(());
        }
        let mut equal = Vec::new();
        let mut is_same = true;
        for (target, led) in place.targets {
            let equality = self.likeness.compare(place.node, *led)?;
            let counts = match equality {
                Equality::Differs => false,
                Equality::WithoutContent => place.evidence == Evidence::Place,
                Equality::SameContent | Equality::Same => true,
            };
            if counts {
                is_same &= equality != Equality::SameContent;
                equal.push(target.clone().into_boxed_slice());
            }
        }
        match equal.len() {
            0 => {}
            1 if is_same => self.note_in(place, equal.remove(0), Stand::Copy),
            _ => self.doubt(place.node, equal, Stand::Copy),
        }
        Ok(())
    }

    fn is_empty_dir(&self, node: NodeId) -> bool {
        self.plan().kind(node) == NodeKind::Dir && self.plan().child_count(node) == 0
    }

    /// Notes that an empty folder was a link, if there is one that it would have led to.
    fn judge_empty(&mut self, place: &Place<'_>) {
        let is_folder = |led: NodeId| {
            self.plan().kind(led) == NodeKind::Dir && self.plan().child_count(led) > 0
        };
        let targets = place.targets.iter().filter(|(_, led)| is_folder(*led));
        let mut targets: Vec<Box<[u8]>> = targets.map(|(target, _)| target[..].into()).collect();
        match targets.len() {
            0 => {}
            1 => self.note_in(place, targets.remove(0), Stand::Empty),
            _ => self.doubt(place.node, targets, Stand::Empty),
        }
    }

    /// Notes that `node` stands for a link, but not which.
    fn doubt(&mut self, node: NodeId, targets: Vec<Box<[u8]>>, stand: Stand) {
        self.lost.cover(self.plan(), node);
        let ambiguous = Ambiguous {
            node,
            targets,
            stand,
        };
        self.lost.ambiguous.push(ambiguous);
    }

    fn note_in(&mut self, place: &Place<'_>, target: Box<[u8]>, stand: Stand) {
        self.note(LostLink {
            dir: self.plan().parent(place.node),
            name: self.plan().name(place.node).into(),
            target,
            stand,
            rule: place.rule,
        });
    }

    fn note(&mut self, link: LostLink) {
        if let Some(node) = link.node(self.plan()) {
            self.lost.cover(self.plan(), node);
        }
        self.lost.links.push(link);
    }

    /// Leaves out what stands below something that is a link itself.
    fn finish(self) -> Lost {
        let plan = self.plan();
        let mut lost = self.lost;
        let whole: HashSet<NodeId> = lost
            .links
            .iter()
            .filter_map(|link| link.node(plan))
            .collect();
        let is_below = |node: NodeId| {
            let mut at = node;
            while at != NodeId::ROOT {
                at = plan.parent(at);
                if whole.contains(&at) {
                    return true;
                }
            }
            false
        };
        lost.links
            .retain(|link| !whole.contains(&link.dir) && !is_below(link.dir));
        lost.ambiguous.retain(|ambiguous| !is_below(ambiguous.node));
        lost.links.sort_by_key(|link| link.path(plan));
        lost.ambiguous
            .sort_by_key(|ambiguous| plan.path(ambiguous.node));
        lost
    }
}

impl Lost {
    /// Whether `node` stands in place of a link, or below something that does.
    pub(crate) fn covers(&self, node: NodeId) -> bool {
        self.covered.contains(&node)
    }

    fn cover(&mut self, plan: &Plan, node: NodeId) {
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            self.covered.insert(node);
            pending.extend(plan.children(node));
        }
    }

    pub(crate) fn findings(&self, subject: &Subject<'_>) -> Vec<Finding> {
        let links = self.links.iter().map(|link| found(subject, link));
        let ambiguous = self.ambiguous.iter();
        let ambiguous = ambiguous.map(|ambiguous| undecided(subject, ambiguous));
        links.chain(ambiguous).collect()
    }

    /// Bytes that are saved when all that is certain is linked again.
    pub(crate) fn bytes_repairable(&self, subject: &Subject<'_>) -> u64 {
        let plan = subject.plan();
        let nodes = self.links.iter().filter_map(|link| link.node(plan));
        nodes.map(|node| plan.bytes_below(node)).sum()
    }
}

/// What a link is that was lost, in words.
fn found(subject: &Subject<'_>, link: &LostLink) -> Finding {
    let plan = subject.plan();
    let (code, what) = match link.stand {
        Stand::Copy => (
            Code::FlattenedLink,
            "a copy stands where a link should: it is loaded or stored twice",
        ),
        Stand::Stub => (
            Code::StubLink,
            "a text file with a link's target stands where the link should: it can't be loaded",
        ),
        Stand::Empty => (
            Code::FlattenedLink,
            "an empty folder stands where a link should: what it leads to isn't found",
        ),
        Stand::Nothing => (Code::MissingLink, "nothing stands where a link should"),
    };
    let message = format!("{what} ({})", link.rule);
    let finding = Finding::new(code, link.path(plan), message);
    let wasted = link.node(plan).map_or(0, |node| plan.bytes_below(node));
    Finding {
        target: Some(LinkTarget::new(link.target.clone())),
        bytes_wasted: wasted,
        ..finding.with_fix("`bundlecp repair --apply` puts the link back")
    }
}

/// What stands for a link that can't be told, in words.
fn undecided(subject: &Subject<'_>, ambiguous: &Ambiguous) -> Finding {
    let plan = subject.plan();
    let quoted = |target: &[u8]| format!("`{}`", LinkTarget::new(target));
    let targets = ambiguous.targets.iter().map(|target| quoted(target));
    let targets: Vec<String> = targets.collect();
    let what = match ambiguous.stand {
        Stand::Copy | Stand::Nothing => "a copy",
        Stand::Stub => "a text file",
        Stand::Empty => "an empty folder",
    };
    let why = match (targets.len(), ambiguous.stand) {
        (_, Stand::Empty) => "",
        (1, _) => ", which isn't in the bundle, or may be run otherwise",
        (..) => ", which are equal",
    };
    let targets = targets.join(" or ");
    let message = format!("{what} stands where a link should, to {targets}{why}");
    let finding = Finding::new(Code::AmbiguousLink, plan.path(ambiguous.node), message);
    Finding {
        bytes_wasted: plan.bytes_below(ambiguous.node),
        ..finding.with_fix(
            "`bundlecp repair --from` a manifest, an archive or a copy of the bundle as it was",
        )
    }
}

/// The way from the folder `from` to `to`, as a link in `from` says it.
fn way(plan: &Plan, from: NodeId, to: NodeId) -> Vec<u8> {
    let (mut up, mut names) = (0, Vec::new());
    let (mut from, mut at) = (from, to);
    while from != at {
        if plan.depth(from) > plan.depth(at) {
            from = plan.parent(from);
            up += 1;
        } else {
            names.push(plan.name(at));
            at = plan.parent(at);
        }
    }
    names.reverse();
    let ups = std::iter::repeat_n(&b".."[..], up);
    ups.chain(names).collect::<Vec<_>>().join(&b'/')
}
