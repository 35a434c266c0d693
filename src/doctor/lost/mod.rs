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

pub(crate) use equal::{Likeness, MOST};

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

impl Ambiguous {
    /// The targets in words: `a` or `b`.
    pub(crate) fn choice(&self) -> String {
        let targets = self.targets.iter();
        let targets = targets.map(|target| format!("`{}`", LinkTarget::new(target.clone())));
        targets.collect::<Vec<_>>().join(" or ")
    }
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

/// Who makes such links.
#[derive(Debug, Clone, Copy)]
struct Rule {
    words: &'static str,
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

impl Rule {
    /// A rule by which a content in two places tells of a link.
    const fn by_content(words: &'static str) -> Self {
        let evidence = Evidence::Content;
        Self { words, evidence }
    }

    /// A rule that knows every place of a link.
    const fn by_place(words: &'static str) -> Self {
        let evidence = Evidence::Place;
        Self { words, evidence }
    }
}

/// What a link may have been: its target, and where that leads.
type Candidate = (Vec<u8>, NodeId);

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

    /// Notes that `node` stands for a link if it is equal to what one of `candidates` would
    /// lead to; that it is open which, if it is to several.
    fn judge(&mut self, node: NodeId, candidates: &[Candidate], rule: Rule) -> Result<()> {
        if !self.is_open(node) {
            return Ok(());
        }
        if self.plan().is_empty_dir(node) {
            self.judge_empty(node, candidates, rule);
            return Ok(());
        }
        let mut equal = Vec::new();
        let mut is_same = true;
        for (target, led) in candidates {
            let equality = self.likeness.compare(node, *led)?;
            let counts = match equality {
                Equality::Differs => false,
                Equality::WithoutContent => rule.evidence == Evidence::Place,
                Equality::SameContent | Equality::Same => true,
            };
            if counts {
                is_same &= equality != Equality::SameContent;
                equal.push(target.clone().into_boxed_slice());
            }
        }
        match equal.len() {
            0 => {}
            1 if is_same => self.note_at(node, equal.remove(0), Stand::Copy, rule),
            _ => self.doubt(node, equal, Stand::Copy),
        }
        Ok(())
    }

    /// Notes that an empty folder was a link, if there is one that it would have led to.
    fn judge_empty(&mut self, node: NodeId, candidates: &[Candidate], rule: Rule) {
        let is_folder = |led: NodeId| {
            self.plan().kind(led) == NodeKind::Dir && self.plan().child_count(led) > 0
        };
        let targets = candidates.iter().filter(|(_, led)| is_folder(*led));
        let mut targets: Vec<Box<[u8]>> = targets.map(|(target, _)| target[..].into()).collect();
        match targets.len() {
            0 => {}
            1 => self.note_at(node, targets.remove(0), Stand::Empty, rule),
            _ => self.doubt(node, targets, Stand::Empty),
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

    /// Notes that `node` stands for a link to `target`.
    fn note_at(&mut self, node: NodeId, target: Box<[u8]>, stand: Stand, rule: Rule) {
        self.note(LostLink {
            dir: self.plan().parent(node),
            name: self.plan().name(node).into(),
            target,
            stand,
            rule: rule.words,
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
        let is_below = |node: NodeId| plan.above(node).any(|above| whole.contains(&above));
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
    let what = match ambiguous.stand {
        Stand::Copy | Stand::Nothing => "a copy",
        Stand::Stub => "a text file",
        Stand::Empty => "an empty folder",
    };
    let why = match (ambiguous.targets.len(), ambiguous.stand) {
        (_, Stand::Empty) => "",
        (1, _) => ", which isn't in the bundle, or may be run otherwise",
        (..) => ", which are equal",
    };
    let targets = ambiguous.choice();
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
