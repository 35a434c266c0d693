//! Links that are written down in `.bundlecp-links.json`, as a copy leaves it where
//! links can't be.

use crate::error::Result;
use crate::links_file;
use crate::plan::edit::Edits;
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind};

use super::{LostLink, Rule, Search, Stand};

const RULE: Rule = Rule::by_place("it is written down in .bundlecp-links.json");

/// A hundred thousand links have some 20 MB.
const LONGEST: u64 = 64 << 20;

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let plan = search.plan();
    let root = NodeId::ROOT;
    let Some(file) = plan.child(root, links_file::NAME.as_bytes()) else {
        return Ok(());
    };
    if plan.kind(file) != NodeKind::File || plan.size(file) > LONGEST {
        return Ok(());
    }
    let text = search.likeness.read(file, LONGEST)?;
    // What isn't ours, or was damaged, tells nothing.
    let mut links = Vec::new();
    for (path, target) in links_file::read(&text).unwrap_or_default() {
        let (dir, name) = match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (
                search.subject().at(root, &path[..slash]),
                &path[slash + 1..],
            ),
            None => (Some(root), &path[..]),
        };
        let is_name = !matches!(name, b"" | b"." | b"..");
        let dir = dir.filter(|dir| is_name && plan.kind(*dir) == NodeKind::Dir);
        if let Some(dir) = dir {
            links.push((dir, name.to_vec(), target));
        }
    }
    judge(search, links)
}

fn judge(search: &mut Search<'_>, links: Vec<(NodeId, Vec<u8>, Vec<u8>)>) -> Result<()> {
    let plan = search.plan();
    let mut edits = Edits::default();
    for (dir, name, target) in &links {
        edits.link(*dir, name, target);
    }
    let Ok(edited) = edits.apply(plan) else {
        return Ok(());
    };
    let mut resolver = Resolver::new(&edited.plan);
    for (dir, name, target) in links {
        let led = edited
            .folder(plan, dir)
            .and_then(|dir| edited.plan.child(dir, &name))
            .map(|link| resolver.resolve(link));
        match (plan.child(dir, &name), led) {
            (None, Some(Resolution::Inside(_) | Resolution::Dangling)) => search.note(LostLink {
                dir,
                name: name.into(),
                target: target.into(),
                stand: Stand::Nothing,
                rule: RULE.words,
            }),
            (Some(node), Some(Resolution::Inside(led))) => {
                search.judge(node, &[(target, edited.origins[led.index()])], RULE)?;
            }
            _ => {}
        }
    }
    Ok(())
}
