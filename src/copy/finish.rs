//! The last steps of a copied tree: hard links, then symbolic links, then the
//! folders that had to stay open for them, deepest first.
//!
//! A hard link goes only to a file that this operation made. A symbolic link
//! is made in a folder that is held open and was checked, so that links made
//! before can't lead it astray.

use std::io;

use crate::dest::attributes;
use crate::error::Result;
use crate::handles::Handles;
use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind};
use crate::progress::{Phase, Progress, Total};
use crate::sys::{self, LinkTo, Stat};

use super::tree::{Leftover, Shared, Sides, report_step};

/// Whether links are made, or written down instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Make,
    LeaveOut,
}

/// How many links were made.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Linked {
    pub hardlinks: u64,
    pub symlinks: u64,
}

/// How many links are made between two reports.
const REPORT_LINKS: usize = 256;

/// Does what `leftover` lists.
pub(super) fn finish(
    shared: &Shared<'_>,
    leftover: &Leftover,
    links: Links,
    total: Total,
    progress: &dyn Progress,
) -> Result<Linked> {
    let mut finisher = Finisher::new(shared);
    let report = || report_step(progress, &shared.counters, Phase::Copying, total);
    let mut linked = Linked::default();
    for chunk in leftover.hardlinks.chunks(REPORT_LINKS) {
        for (node, first) in chunk {
            finisher.make_hard_link(*node, *first)?;
        }
        shared.counters.add(chunk.len() as u64, 0);
        linked.hardlinks += chunk.len() as u64;
        report()?;
    }
    if links == Links::Make {
        for dirs in leftover.with_links.chunks(REPORT_LINKS) {
            for dir in dirs {
                linked.symlinks += finisher.make_symlinks(*dir)?;
            }
            report()?;
        }
    }
    let mut dirs = leftover.open_dirs.clone();
    dirs.sort_by_key(|dir| std::cmp::Reverse(shared.target_plan().depth(*dir)));
    for dir in dirs {
        finisher.finish_dir(dir)?;
    }
    Ok(linked)
}

struct Finisher<'s> {
    shared: &'s Shared<'s>,
    source: Handles<'s>,
    target: Handles<'s>,
    /// A second way through the target, for the files that links go to.
    linked: Handles<'s>,
}

impl<'s> Finisher<'s> {
    fn new(shared: &'s Shared<'s>) -> Self {
        let (source, target) = shared.handles();
        let (_, linked) = shared.handles();
        Self {
            shared,
            source,
            target,
            linked,
        }
    }

    fn make_hard_link(&mut self, node: NodeId, first: NodeId) -> Result<()> {
        let shared = self.shared;
        let plan = shared.target_plan();
        let failed = |node, error| shared.create_error(node, error);
        let from = self.linked.enter(plan, plan.parent(first));
        let from = from.map_err(|lost| failed(lost.node, lost.source))?;
        let to = self.target.enter(plan, plan.parent(node));
        let to = to.map_err(|lost| failed(lost.node, lost.source))?;
        sys::create_hard_link(from, plan.name(first), to, plan.name(node))
            .map_err(|error| failed(node, error))
    }

    /// Makes the links of one folder and returns how many.
    fn make_symlinks(&mut self, dir: NodeId) -> Result<u64> {
        let shared = self.shared;
        let plan = shared.target_plan();
        let sides = shared.enter(&mut self.source, &mut self.target, dir)?;
        let is_link = |child: &NodeId| plan.kind(*child) == NodeKind::Symlink;
        let mut count = 0;
        for link in plan.children(dir).filter(is_link) {
            make_symlink(shared, sides, link)?;
            count += 1;
        }
        shared.counters.add(count, 0);
        Ok(count)
    }

    fn finish_dir(&mut self, dir: NodeId) -> Result<()> {
        let shared = self.shared;
        let sides = shared.enter(&mut self.source, &mut self.target, dir)?;
        let stat =
            sys::stat_dir(sides.from).map_err(|error| shared.source_error("read", dir, error))?;
        if !shared.is_as_listed(dir, &stat) {
            return Err(shared.changed(dir));
        }
        shared.finish_dir(sides, dir, stat, shared.rules(false))
    }
}

fn make_symlink(shared: &Shared<'_>, sides: Sides<'_>, link: NodeId) -> Result<()> {
    let name = shared.target_plan().name(link);
    let (target, stat, leads_to) = match shared.new_link(link) {
        None => read_link(shared, sides, link)?,
        Some(modified) => {
            let stat = sys::stat_dir(sides.from);
            let mut stat = stat.map_err(|error| shared.source_error("read", link, error))?;
            stat.modified = modified.unwrap_or(stat.modified);
            let plan = shared.target_plan();
            let leads_to = Resolver::new(plan).leads_to(link);
            (plan.target(link).to_vec(), stat, leads_to)
        }
    };
    sys::create_symlink(sides.to, name, &target, leads_to)
        .map_err(|error| shared.create_error(link, error))?;
    attributes::finish_link(sides.to, name, &stat, shared.rules(false), &shared.losses)
        .map_err(|error| shared.create_error(link, error))
}

/// The target of a link of the source, what the file system says of it, and its kind.
fn read_link(
    shared: &Shared<'_>,
    sides: Sides<'_>,
    link: NodeId,
) -> Result<(Vec<u8>, Stat, LinkTo)> {
    let origin = shared.source_plan().name(shared.origin(link));
    let failed = |error| shared.source_error("read", link, error);
    let stat = sys::stat_at(sides.from, origin).map_err(failed)?;
    let target = sys::read_link(sides.from, origin).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => shared.changed(link),
        _ => failed(error),
    })?;
    let leads_to = sys::kind_of_link(sides.from, origin).map_err(failed)?;
    Ok((target, stat, leads_to))
}
