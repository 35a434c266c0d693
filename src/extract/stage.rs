//! One extraction apart from what the archive is: the staging folder, what is
//! known of its file system, and all that is done once the members were read.
//!
//! Knows no format: whoever runs it says how the archive is read.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::archive::limits::Meter;
use crate::dest::Staging;
use crate::dest::attributes::Rules;
use crate::dest::publish::Existing;
use crate::dest::writer::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{self, Goal};
use crate::links_file;
use crate::plan::links::Missing;
use crate::plan::members::{ExternalLinks, first_external_link};
use crate::plan::{NodeId, NodeKind};
use crate::probe::Capabilities;
use crate::progress::Progress;
use crate::sys::{self, Timestamp};
use crate::text::escape_path;

use super::finish::{self, Links};
use super::intake::{Intake, Mode, OPERATION};
use super::target::Target;
use super::tree::{Choice, Tree};
use super::{Options, Outcome};

pub(super) struct Extraction<'e> {
    pub target: &'e Target,
    pub staging: &'e Staging,
    pub found: &'e Capabilities,
    pub options: &'e Options,
    pub umask: u32,
    pub progress: &'e dyn Progress,
}

impl Extraction<'_> {
    /// Fills the staging folder with what `read` reads of the archive `shown` into the
    /// tree and onto the disk; `received` counts its bytes.
    pub(super) fn run(
        &self,
        (shown, received): (&Path, &Arc<AtomicU64>),
        read: impl FnOnce(&mut Intake<'_>, &Site<'_>) -> Result<()>,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let options = self.options;
        let threads = options.threads();
        let rules = Rules {
            ownership: options.ownership,
            exact_modes: true,
            inherits_group: self.staging.inherits_group(),
            keeps_modes: self.found.modes.is_yes(),
        };
        let site = Site::new(self.staging.dir(), &self.target.path, rules, threads);
        let mut intake = self.intake(shown, Arc::clone(received));
        read(&mut intake, &site)?;
        if !intake.is_checked {
            self.check(&intake)?;
        }
        let links = match self.loses_links(&intake) {
            true => Links::LeaveOut,
            false => Links::Make,
        };
        if !options.dry_run {
            if links == Links::LeaveOut {
                self.write_links_down(&intake.tree, outcome)?;
            }
            finish::finish(&intake.tree, &site, links, threads, self.progress)?;
        }
        let counts = intake.tree.counts;
        outcome.files = counts.files;
        outcome.dirs = counts.dirs + u64::from(intake.tree.owns_root);
        outcome.hardlinks = counts.hardlinks;
        outcome.bytes = counts.bytes;
        outcome.symlinks = match links {
            Links::Make => counts.symlinks,
            Links::LeaveOut => 0,
        };
        outcome.losses = site.losses.counts();
        outcome.root_hash = intake.root_hash;
        outcome.copied_inside = site.copied_inside.into_inner();
        if options.list_entries {
            let entries = intake.tree.entries();
            outcome.entries = entries.map_err(|refusal| intake.refused(refusal))?;
        }
        Ok(())
    }

    fn intake(&self, archive: &Path, read: Arc<AtomicU64>) -> Intake<'_> {
        let options = self.options;
        let choice = Choice {
            strip_components: options.strip_components,
            select: options.select.as_ref(),
            umask: self.umask,
            now: Timestamp::now(),
        };
        let owns_root = self.target.receives().is_none();
        Intake {
            tree: Tree::new(choice, Meter::new(options.limits), owns_root),
            archive: archive.to_owned(),
            target: self.target,
            found: self.found,
            existing: options.existing,
            on_no_symlinks: options.on_no_symlinks,
            apple_double: options.apple_double,
            sharing: options.sharing,
            read,
            mode: match options.dry_run {
                true => Mode::Look,
                false => Mode::Write,
            },
            is_checked: false,
            root_hash: None,
        }
    }

    /// Checks the tree as a whole: before the first byte where there is an
    /// index, before the first link where there is none.
    pub(super) fn check(&self, intake: &Intake<'_>) -> Result<()> {
        if let Some(path) = self.options.missing.as_ref().and_then(|missing| missing()) {
            let cause = format!("no such member: `{}`", escape_path(&path));
            let error = Error::new(ErrorKind::NotFound, "extract", &intake.archive, cause);
            return Err(error.with_hint("bundlecp list shows what it holds"));
        }
        if intake.tree.members.symlinks() > 0 {
            intake.check_links()?;
        }
        let (plan, _) = intake
            .tree
            .members
            .sorted()
            .map_err(|refusal| intake.refused(refusal))?;
        if self.options.external_links == ExternalLinks::Refuse {
            let missing = match self.target.receives() {
                Some(_) => Missing::Unknown,
                None => Missing::Nothing,
            };
            let found = first_external_link(&plan, missing);
            let found = found.map_err(|refusal| intake.refused(refusal))?;
            if let Some((node, refusal)) = found {
                let path = plan.path(node);
                return Err(intake.refused_member(refusal, path.as_bytes()));
            }
        }
        let goal = Goal {
            operation: OPERATION,
            path: &self.target.path,
        };
        fit::check_names(&plan, self.found, self.staging.dir(), goal)?;
        match (self.options.existing, self.target.receives()) {
            (Existing::Merge, Some(dir)) => fit::check_merge(&plan, dir, &self.target.path),
            (Existing::Refuse | Existing::Replace | Existing::Merge, _) => Ok(()),
        }
    }

    fn loses_links(&self, intake: &Intake<'_>) -> bool {
        intake.tree.members.symlinks() > 0 && !self.found.symlinks.is_yes()
    }

    /// Writes the links that the destination can't hold into a file.
    fn write_links_down(&self, tree: &Tree<'_>, outcome: &mut Outcome) -> Result<()> {
        let path = self.target.path.join(links_file::NAME);
        let failed = |error| Error::io("write", &path, error);
        let (plan, origins) = tree
            .members
            .sorted()
            .map_err(|refusal| refusal.at(OPERATION, &self.target.path))?;
        let is_link = |node: &NodeId| plan.kind(*node) == NodeKind::Symlink;
        let times: HashMap<NodeId, Timestamp> = plan
            .nodes()
            .filter(is_link)
            .filter_map(|node| {
                let attributes = tree.attributes.get(&origins[node.index()])?;
                Some((node, attributes.stat.modified))
            })
            .collect();
        let document = links_file::document(&plan, &times);
        let name = links_file::NAME.as_bytes();
        let file = sys::create_file(self.staging.dir(), name, 0o644).map_err(failed)?;
        sys::write_all_at(&file, &document, 0).map_err(failed)?;
        let links = tree.members.symlinks();
        outcome.links_files.push((path.clone(), links));
        Ok(())
    }
}
