//! The links between `Contents/Frameworks`, where an application that PyInstaller made
//! has its code, and `Contents/Resources`, where it has its data: each is in both, once
//! for real. A folder with a dot in its name is `a__dot__b` and a link `a.b` to that.

use crate::error::Result;
use crate::plan::{NodeId, NodeKind};

use super::super::subject::Head;
use super::{Rule, Search, way};

const RULE: Rule = Rule::by_content(
    "PyInstaller's applications link code and data between Frameworks and Resources",
);

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let (subject, plan) = (search.subject(), search.plan());
    let contents: Vec<NodeId> = subject
        .all_dirs()
        .filter(|dir| plan.name(*dir) == b"Contents")
        .collect();
    for contents in contents {
        let dir = |name: &[u8]| {
            let node = plan.child(contents, name)?;
            (plan.kind(node) == NodeKind::Dir).then_some(node)
        };
        if let (Some(code), Some(data)) = (dir(b"Frameworks"), dir(b"Resources")) {
            dotted(search, code)?;
            dotted(search, data)?;
            cross(search, code, data)?;
        }
    }
    Ok(())
}

/// Folders with a dot in their names, beside what they were moved to.
fn dotted(search: &mut Search<'_>, dir: NodeId) -> Result<()> {
    let plan = search.plan();
    for node in plan
        .children(dir)
        .filter(|node| plan.kind(*node) == NodeKind::Dir)
    {
        let name = plan.name(node);
        let parts: Vec<&[u8]> = name.split(|byte| *byte == b'.').collect();
        let moved = parts.join(&b"__dot__"[..]);
        if parts.len() > 1
            && let Some(led) = plan.child(dir, &moved)
        {
            search.judge(node, &[(moved, led)], RULE)?;
        }
    }
    Ok(())
}

/// What both folders have.
fn cross(search: &mut Search<'_>, code: NodeId, data: NodeId) -> Result<()> {
    let plan = search.plan();
    for in_code in plan.children(code) {
        let Some(in_data) = plan.child(data, plan.name(in_code)) else {
            continue;
        };
        if !search.is_open(in_code) || !search.is_open(in_data) {
            continue;
        }
        let holds = holds(search, in_code);
        let (link, led) = match holds {
            Holds::Code => (in_data, in_code),
            Holds::Data | Holds::Both | Holds::Nothing => (in_code, in_data),
        };
        let is_whole = plan.kind(in_code) == NodeKind::File || holds != Holds::Both;
        if is_whole {
            let target = way(plan, plan.parent(link), led);
            search.judge(link, &[(target, led)], RULE)?;
        }
        let is_dir = |node| plan.kind(node) == NodeKind::Dir;
        if search.is_open(link) && is_dir(in_code) && is_dir(in_data) {
            cross(search, in_code, in_data)?;
        }
    }
    Ok(())
}

/// What is in a folder, or what a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Nothing,
    Code,
    Data,
    Both,
}

fn holds(search: &Search<'_>, node: NodeId) -> Holds {
    let (subject, plan) = (search.subject(), search.plan());
    // A bundle in the bundle is code, whatever else it has.
    if plan.name(node).ends_with(b".framework") {
        return Holds::Code;
    }
    let mut holds = Holds::Nothing;
    let mut pending = vec![node];
    while let Some(node) = pending.pop() {
        pending.extend(plan.children(node));
        if plan.kind(node) != NodeKind::File {
            continue;
        }
        let is_code = matches!(subject.head(node), Head::MachO(_));
        holds = match (holds, is_code) {
            (Holds::Nothing | Holds::Code, true) => Holds::Code,
            (Holds::Nothing | Holds::Data, false) => Holds::Data,
            (Holds::Data | Holds::Both, true) | (Holds::Code | Holds::Both, false) => Holds::Both,
        };
    }
    holds
}
