//! Links that PyInstaller makes at the top of its contents folder, to libraries that
//! are deeper in it: `libz.so.1 -> pillow.libs/libz.so.1`.

use std::collections::HashMap;

use crate::error::Result;
use crate::plan::{NodeId, NodeKind};

use super::super::kind::contents_folders;
use super::super::subject::Head;
use super::{Rule, Search, way};

const RULE: Rule = Rule::by_content("PyInstaller makes a link to a library in a subfolder");

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let folders: Vec<NodeId> = contents_folders(search.subject()).collect();
    for folder in folders {
        find_in(search, folder)?;
    }
    Ok(())
}

fn find_in(search: &mut Search<'_>, folder: NodeId) -> Result<()> {
    let (subject, plan) = (search.subject(), search.plan());
    let is_library = |node: NodeId| {
        let is_code = matches!(subject.head(node), Head::Elf(_) | Head::MachO(_));
        is_code && plan.kind(node) == NodeKind::File
    };
    let tops: Vec<NodeId> = plan
        .children(folder)
        .filter(|node| is_library(*node))
        .collect();
    let mut deeper: HashMap<&[u8], Vec<NodeId>> = HashMap::new();
    let mut pending: Vec<NodeId> = plan.children(folder).collect();
    while let Some(node) = pending.pop() {
        if search.lost.covers(node) {
            continue;
        }
        pending.extend(plan.children(node));
        if plan.parent(node) != folder && is_library(node) {
            deeper.entry(plan.name(node)).or_default().push(node);
        }
    }
    for top in tops {
        let Some(nodes) = deeper.get(plan.name(top)) else {
            continue;
        };
        let mut targets: Vec<_> = nodes
            .iter()
            .map(|node| (way(plan, folder, *node), *node))
            .collect();
        targets.sort();
        search.judge(top, &targets, RULE)?;
    }
    Ok(())
}
