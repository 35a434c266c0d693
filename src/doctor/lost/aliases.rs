//! Links that name the version in use: `current` and `latest`, to what is beside them or
//! in a folder there.

use crate::error::Result;
use crate::plan::{NodeId, NodeKind};

use super::{Rule, Search, Stand, way};

const RULE: Rule = Rule::by_content("its name stands for the version that it is equal to");

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let plan = search.plan();
    let is_alias = |node: &NodeId| {
        let name = plan.name(*node).to_ascii_lowercase();
        name == b"current" || name == b"latest"
    };
    // Folders first: what is in them is no place of its own then.
    let all: Vec<NodeId> = plan.nodes().filter(is_alias).collect();
    let is_dir = |node: &NodeId| plan.kind(*node) == NodeKind::Dir;
    let (dirs, files): (Vec<NodeId>, Vec<NodeId>) = all.into_iter().partition(is_dir);
    for node in dirs.into_iter().chain(files) {
        let folder = plan.parent(node);
        let mut targets = Vec::new();
        if search.is_open(node) && plan.is_empty_dir(node) {
            empty(search, node);
            continue;
        }
        for sibling in plan.children(folder).filter(|sibling| *sibling != node) {
            let below = plan.children(sibling);
            let open = std::iter::once(sibling)
                .chain(below)
                .filter(|led| search.is_open(*led));
            targets.extend(open.map(|led| (way(plan, folder, led), led)));
        }
        search.judge(node, &targets, RULE)?;
    }
    Ok(())
}

/// Python's `make_archive` leaves an empty folder of a link to one. That its name is one for
/// a version isn't enough to be certain of that, nor of which.
fn empty(search: &mut Search<'_>, node: NodeId) {
    let plan = search.plan();
    let is_version =
        |sibling: &NodeId| plan.kind(*sibling) == NodeKind::Dir && plan.child_count(*sibling) > 0;
    let siblings = plan.children(plan.parent(node)).filter(is_version);
    let targets: Vec<Box<[u8]>> = siblings.map(|led| plan.name(led).into()).collect();
    if !targets.is_empty() {
        search.doubt(node, targets, Stand::Empty);
    }
}
