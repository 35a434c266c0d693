//! One extraction apart from what the archive is: the staging folder, what is
//! known of its file system, and all that is done once the members were read.
//!
//! Knows no format: whoever runs it says how the archive is read.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::archive::limits::Meter;
use crate::dest::Staging;
use crate::dest::attributes::Rules;
use crate::dest::writer::Site;
use crate::error::Result;
use crate::probe::Capabilities;
use crate::progress::Progress;
use crate::sys::Timestamp;

use super::donors::Donors;
use super::finish::{self, Links};
use super::intake::{Intake, Mode};
use super::target::Target;
use super::tree::{Choice, Tree};
use super::{Options, Outcome};

/// What every extraction has.
pub(super) struct Extraction<'e> {
    pub target: &'e Target,
    pub staging: &'e Staging,
    pub found: &'e Capabilities,
    pub options: &'e Options,
    pub umask: u32,
    /// Files of another version, to share contents with.
    pub donors: Option<&'e Donors>,
    pub progress: &'e dyn Progress,
}

impl Extraction<'_> {
    /// Fills the staging folder with what `read` reads of the archive `shown` into the
    /// tree, which it checks, and onto the disk; `received` counts its bytes.
    pub(super) fn run(
        &self,
        (shown, received): (&Path, &Arc<AtomicU64>),
        read: impl FnOnce(&mut Intake<'_>, &Site<'_>) -> Result<Links>,
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
        let links = read(&mut intake, &site)?;
        if !options.dry_run {
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
            donors: self.donors,
            read,
            mode: match options.dry_run {
                true => Mode::Look,
                false => Mode::Write,
            },
            is_checked: false,
            root_hash: None,
        }
    }
}
