//! What a damaged tree tells by itself.

use crate::copy;
use crate::doctor::lost::{self, Stand};
use crate::doctor::modes;
use crate::doctor::subject::Subject;
use crate::error::Result;
use crate::links_file;
use crate::plan::{NodeId, NodeKind};

use super::{Intended, Intent};

/// What the rules say of `subject`.
pub(super) fn intend(subject: &Subject<'_>) -> Result<Intent> {
    let plan = subject.plan();
    let lost = lost::find(subject)?;
    let mut intent = Intent::default();
    for ambiguous in &lost.ambiguous {
        let cause = format!("may have been a link to {}", ambiguous.choice());
        intent.leave(plan.path(ambiguous.node), cause);
    }
    for (node, mode) in modes::lost(subject, &lost) {
        let change = copy::Change {
            mode: Some(mode),
            modified: None,
        };
        intent.attributes.insert(node, change);
    }
    if lost.links.iter().any(|link| link.stand == Stand::Nothing) {
        let list = plan.child(NodeId::ROOT, links_file::NAME.as_bytes());
        let list = list.filter(|node| plan.kind(*node) == NodeKind::File);
        intent.removed.extend(list);
    }
    intent.links = lost.links.into_iter().map(Intended::inferred).collect();
    Ok(intent)
}
