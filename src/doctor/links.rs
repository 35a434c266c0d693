//! Links that are there, and where they lead: nowhere, out of the bundle, in a circle.

use std::collections::HashMap;

use crate::path::LinkTarget;
use crate::plan::edit::Edits;
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, Plan};

use super::finding::{Code, Finding};
use super::kind::BundleKind;
use super::lost::Lost;
use super::subject::Subject;

/// What is wrong with the links of `subject`, once those are back that were `lost`.
pub(super) fn check(subject: &Subject<'_>, kind: &BundleKind, lost: &Lost) -> Vec<Finding> {
    // Its links may lead to other packages, and are laid over `/`.
    if *kind == BundleKind::System {
        return Vec::new();
    }
    let plan = subject.plan();
    let mut edits = Edits::default();
    for link in &lost.links {
        edits.link(link.dir, &link.name, &link.target);
    }
    // Too many names for a plan: then as they are.
    let edited = edits.apply(plan).ok();
    let plan = edited.as_ref().map_or(plan, |edited| &edited.plan);
    let mut resolver = Resolver::new(plan);
    let links = plan.symlinks();
    let found = links.filter_map(|link| judge(plan, &mut resolver, link, kind));
    found.collect()
}

fn judge(
    plan: &Plan,
    resolver: &mut Resolver<'_>,
    link: NodeId,
    kind: &BundleKind,
) -> Option<Finding> {
    let target = plan.target(link);
    let is_absolute = target.first() == Some(&b'/');
    let (code, message, fix) = match resolver.resolve(link) {
        Resolution::Inside(_) => return None,
        Resolution::Dangling => (
            Code::DanglingLink,
            "leads to nothing: whoever opens it fails",
            "put what it names into the bundle, or remove the link",
        ),
        Resolution::Loop => (
            Code::LoopingLink,
            "leads in a circle: whoever opens it fails",
            "make it lead to a file or folder",
        ),
        Resolution::Outside if is_own(plan, link, kind) => return None,
        Resolution::Outside if is_absolute => (
            Code::AbsoluteLink,
            "names a place of the machine that it was made on",
            "a relative link to what is in the bundle",
        ),
        Resolution::Outside => (
            Code::EscapingLink,
            "leads out of the bundle, or to a link that does: it breaks when the bundle is moved",
            "put what it names into the bundle",
        ),
    };
    let finding = Finding::new(code, plan.path(link), message).with_fix(fix);
    Some(Finding {
        target: Some(LinkTarget::new(target)),
        ..finding
    })
}

/// Whether a link out of the tree is how bundles of its kind are made: a Python
/// environment has the interpreter from outside.
fn is_own(plan: &Plan, link: NodeId, kind: &BundleKind) -> bool {
    let folder = plan.parent(link);
    let is_python = |node: NodeId| plan.name(node).starts_with(b"python");
    let is_bin = plan.name(folder) == b"bin";
    match kind {
        BundleKind::Venv => is_bin && is_python(link),
        BundleKind::PyInstaller { .. }
        | BundleKind::App
        | BundleKind::Electron
        | BundleKind::Conda
        | BundleKind::NodeModules
        | BundleKind::System
        | BundleKind::Plain => false,
    }
}

/// Content in bytes that would be there again if every link were a copy: as large as
/// what it leads to, the links in that not followed.
pub(super) fn saved(subject: &Subject<'_>) -> u64 {
    let plan = subject.plan();
    let mut resolver = Resolver::new(plan);
    let mut sizes: HashMap<NodeId, u64> = HashMap::new();
    let mut saved = 0_u64;
    for link in plan.symlinks() {
        if let Some(led) = resolver.follow(link) {
            let size = sizes.entry(led).or_insert_with(|| plan.bytes_below(led));
            saved = saved.saturating_add(*size);
        }
    }
    saved
}
