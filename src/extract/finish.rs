//! The last steps of an extracted tree: hard links, then symbolic links, then
//! what is set on folders.
//!
//! A hard link goes only to a file that this extraction made. A symbolic link
//! is made in a folder that is held open, so that links made before can't lead
//! it astray.

use std::io;
use std::path::PathBuf;

use crate::dest::attributes::{self, Attributes, Rules};
use crate::dest::writer::Site;
use crate::error::{Error, Result};
use crate::handles::Handles;
use crate::plan::{Families, NodeId, NodeKind, Plan};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress, Total};
use crate::sys::{self, LinkTo};

use super::tree::Tree;

/// Folders whose attributes one worker sets at a time.
const BATCH: usize = 64;

/// Whether symbolic links are made, or only written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Make,
    LeaveOut,
}

/// Makes the links of the tree and closes its folders.
pub(super) fn finish(
    tree: &Tree<'_>,
    site: &Site<'_>,
    links: Links,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let plan = tree.members.plan();
    let order = depth_first(plan);
    let mut finisher = Finisher::new(tree, site);
    for (node, first) in tree.members.hardlinks() {
        finisher.make_hard_link(*node, *first)?;
    }
    if links == Links::Make {
        let kinds = tree.kinds_of_links();
        let kinds = kinds.map_err(|refusal| refusal.at("extract to", site.shown))?;
        for node in &order {
            if plan.kind(*node) == NodeKind::Symlink {
                finisher.make_symlink(*node, kinds.get(node).copied().unwrap_or_default())?;
            }
        }
    }
    let is_dir = |node: &NodeId| plan.kind(*node) == NodeKind::Dir;
    let dirs: Vec<NodeId> = order.into_iter().filter(is_dir).collect();
    // A folder that its owner can't enter closes after all that is below it.
    let is_open = |node: &NodeId| tree.dir_mode(*node) & 0o700 == 0o700;
    let (open, closed): (Vec<NodeId>, Vec<NodeId>) = dirs.into_iter().partition(is_open);
    let work = |queue: &mut Queue<'_, Vec<NodeId>>| {
        let mut finisher = Finisher::new(tree, site);
        while let Some(dirs) = queue.next() {
            for dir in dirs {
                finisher.close_dir(dir)?;
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, Total::default()));
    pool::run(
        threads,
        open.chunks(BATCH).map(<[NodeId]>::to_vec),
        work,
        report,
    )?;
    for dir in closed.into_iter().rev() {
        finisher.close_dir(dir)?;
    }
    Ok(())
}

/// The nodes of a plan that isn't sorted, each folder before what is in it and
/// all of that before its next sibling.
fn depth_first(plan: &Plan) -> Vec<NodeId> {
    let families = Families::of(plan);
    let mut order = Vec::with_capacity(plan.len());
    let mut pending = vec![NodeId::ROOT];
    while let Some(node) = pending.pop() {
        order.push(node);
        pending.extend(families.children(node).iter().rev());
    }
    order
}

struct Finisher<'f> {
    tree: &'f Tree<'f>,
    site: &'f Site<'f>,
    handles: Handles<'f>,
    /// A second way through the tree, for the files that hard links go to.
    linked: Handles<'f>,
}

impl<'f> Finisher<'f> {
    fn new(tree: &'f Tree<'f>, site: &'f Site<'f>) -> Self {
        Self {
            tree,
            site,
            handles: site.handles(),
            linked: site.handles(),
        }
    }

    fn make_hard_link(&mut self, node: NodeId, first: NodeId) -> Result<()> {
        let plan = self.tree.members.plan();
        let site = self.site;
        let path = |node| path(site, plan, node);
        let from = self.linked.enter(plan, plan.parent(first));
        let from = from.map_err(|lost| site.enter_error(path(lost.node), lost))?;
        let to = self.handles.enter(plan, plan.parent(node));
        let to = to.map_err(|lost| site.enter_error(path(lost.node), lost))?;
        sys::create_hard_link(from, plan.name(first), to, plan.name(node))
            .map_err(|error| site.create_error(path(node), error))?;
        site.counters.add(1, 0);
        Ok(())
    }

    fn make_symlink(&mut self, node: NodeId, leads_to: LinkTo) -> Result<()> {
        let plan = self.tree.members.plan();
        let site = self.site;
        let failed = |error: io::Error| site.create_error(path(site, plan, node), error);
        let entered = self.handles.enter(plan, plan.parent(node));
        let dir = entered.map_err(|lost| site.enter_error(path(site, plan, lost.node), lost))?;
        let name = plan.name(node);
        sys::create_symlink(dir, name, plan.target(node), leads_to).map_err(failed)?;
        if let Some(Attributes { stat, .. }) = self.tree.attributes.get(&node) {
            attributes::finish_link(dir, name, stat, site.rules, &site.losses).map_err(failed)?;
        }
        site.counters.add(1, 0);
        Ok(())
    }

    /// Sets what belongs to a folder in which nothing will be made any more.
    fn close_dir(&mut self, node: NodeId) -> Result<()> {
        let (plan, site) = (self.tree.members.plan(), self.site);
        let path = |node| path(site, plan, node);
        if node == NodeId::ROOT && !self.tree.owns_root {
            return Ok(());
        }
        let entered = self.handles.enter(plan, node);
        let dir = entered.map_err(|lost| site.enter_error(path(lost.node), lost))?;
        let failed = |error| Error::io("write", path(node), error);
        let rules = Rules {
            // The staging folder itself was made for its owner alone.
            exact_modes: site.rules.exact_modes
                && node != NodeId::ROOT
                && !self.tree.is_told_late(node),
            ..site.rules
        };
        match self.tree.attributes.get(&node) {
            Some(attributes) => attributes::finish_dir(dir, attributes, rules, &site.losses),
            // No member says anything of it: only the staging folder has a mode of its own.
            None if node == NodeId::ROOT => sys::set_dir_mode(dir, self.tree.dir_mode(node)),
            None => Ok(()),
        }
        .map_err(failed)
    }
}

fn path(site: &Site<'_>, plan: &Plan, node: NodeId) -> PathBuf {
    sys::join_bytes(site.shown, plan.path(node).as_bytes())
}
