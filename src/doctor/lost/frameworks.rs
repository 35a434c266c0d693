//! The links of a macOS framework: `Versions/Current -> A`, and from its top to what
//! that version has.

use crate::error::Result;
use crate::plan::{NodeId, NodeKind};

use super::{LostLink, Rule, Search, Stand};

const RULE: Rule =
    Rule::by_content("frameworks have a link to their current version, and links through that");

const CURRENT: &[u8] = b"Current";

const ENDING: &[u8] = b".framework";

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let (subject, plan) = (search.subject(), search.plan());
    let is_framework = |dir: &NodeId| plan.name(*dir).ends_with(ENDING);
    let frameworks: Vec<NodeId> = subject.all_dirs().filter(is_framework).collect();
    for framework in frameworks {
        let versions = plan.child(framework, b"Versions");
        let versions = versions.filter(|node| plan.kind(*node) == NodeKind::Dir);
        if let Some(versions) = versions.filter(|node| !search.lost.covers(*node)) {
            find_in(search, framework, versions)?;
        }
    }
    Ok(())
}

fn find_in(search: &mut Search<'_>, framework: NodeId, versions: NodeId) -> Result<()> {
    let plan = search.plan();
    let is_version =
        |node: &NodeId| plan.kind(*node) == NodeKind::Dir && plan.name(*node) != CURRENT;
    let all: Vec<NodeId> = plan.children(versions).filter(is_version).collect();
    let current = plan.child(versions, CURRENT);
    match current {
        Some(node) => {
            let targets: Vec<_> = all
                .iter()
                .map(|node| (plan.name(*node).to_vec(), *node))
                .collect();
            search.judge(node, &targets, RULE)?;
        }
        None => {
            if let [only] = all[..] {
                search.note(missing(versions, CURRENT, plan.name(only).to_vec()));
            }
        }
    }
    let Some(version) = version_of(search, versions, &all) else {
        return Ok(());
    };
    for inner in plan.children(version) {
        let name = plan.name(inner);
        let target = [b"Versions/Current/", name].concat();
        match plan.child(framework, name) {
            Some(node) => search.judge(node, &[(target, inner)], RULE)?,
            None if is_required(plan.name(framework), name) => {
                search.note(missing(framework, name, target));
            }
            None => {}
        }
    }
    Ok(())
}

/// The version that `Current` is, or was, a link to.
fn version_of(search: &Search<'_>, versions: NodeId, all: &[NodeId]) -> Option<NodeId> {
    let plan = search.plan();
    let told = plan
        .child(versions, CURRENT)
        .and_then(|node| match plan.kind(node) {
            NodeKind::Symlink => plan.child(versions, plan.target(node)),
            NodeKind::Dir | NodeKind::File | NodeKind::Special => None,
        });
    let lost = || {
        let is_current = |link: &&LostLink| link.dir == versions && *link.name == *CURRENT;
        let link = search.lost.links.iter().find(is_current)?;
        plan.child(versions, &link.target)
    };
    let only = || match all {
        [only] => Some(*only),
        _ => None,
    };
    told.or_else(lost).or_else(only)
}

/// Whether every framework has a link of this name at its top.
fn is_required(framework: &[u8], name: &[u8]) -> bool {
    framework.strip_suffix(ENDING) == Some(name) || name == b"Resources"
}

fn missing(dir: NodeId, name: &[u8], target: Vec<u8>) -> LostLink {
    LostLink {
        dir,
        name: name.into(),
        target: target.into(),
        stand: Stand::Nothing,
        rule: RULE.words,
    }
}
