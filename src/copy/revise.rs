//! A tree that takes its own place, with some links put back: a copy beside it, which is
//! looked at and then swapped with it.

use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

use crate::dest::deliver::deliver;
use crate::dest::publish::Existing;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::edit::Edits;
use crate::plan::{NodeId, Plan};
use crate::progress::Progress;
use crate::scan::Totals;
use crate::sys::{self, Dir};

use super::stage::Prepared;
use super::target;
use super::tree::{Change, Mapped};
use super::{Options, Outcome};

/// A tree as it was scanned, and what becomes of it.
pub(crate) struct Revision<'r> {
    pub root: Dir,
    pub plan: Plan,
    pub totals: Totals,
    pub edits: &'r Edits,
    /// By the nodes of `plan`.
    pub attributes: &'r HashMap<NodeId, Change>,
}

/// Makes the folder `dir` what `revision` says. What is to take its place is shown to
/// `check` before; if that fails, all is as it was.
pub(crate) fn revise(
    dir: &Path,
    revision: Revision<'_>,
    options: &Options,
    check: &dyn Fn(&Path) -> Result<()>,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let target = target::in_place(dir, revision.root)?;
    let edited = revision.edits.apply(&revision.plan);
    let edited = edited.map_err(|_| {
        let cause = "too many names or levels";
        Error::new(ErrorKind::Io, "repair", dir, cause)
    })?;
    let mut mapped = Mapped::new(edited.plan, edited.origins);
    mapped.links = edited.links;
    for node in mapped.plan.nodes() {
        let change = revision.attributes.get(&mapped.origins[node.index()]);
        if let Some(change) = change.filter(|_| !mapped.links.contains_key(&node)) {
            mapped.attributes.insert(node, *change);
        }
    }
    let mut totals = revision.totals;
    totals.symlinks = mapped.plan.symlinks().count() as u64;
    let mut outcome = Outcome::default();
    let parent = target.parent_path.clone();
    let prepared = Prepared::revised(target, revision.plan, totals, mapped);
    if let Some(staged) = prepared.stage(options, progress, &mut outcome)? {
        check(&sys::join_bytes(&parent, staged.staging.name()))?;
        outcome
            .notes
            .extend(deliver(vec![staged], Existing::Replace, options.sync)?);
    }
    outcome.duration = started.elapsed();
    Ok(outcome)
}
