//! One extraction, from the archive to the published tree.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

use crate::archive::index::{Claim, read_index};
use crate::archive::limits::Meter;
use crate::archive::{Input, Kind, Opened, Sequential};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::dest::Staging;
use crate::dest::attributes::Rules;
use crate::dest::deliver::{Staged, deliver};
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::publish::Existing;
use crate::dest::writer::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{self, Goal, OnNoSymlinks};
use crate::format::tar;
use crate::links_file;
use crate::plan::links::Missing;
use crate::plan::members::{ExternalLinks, first_external_link};
use crate::plan::{NodeId, NodeKind};
use crate::probe::{self, Capabilities, Scope};
use crate::progress::Progress;
use crate::sys::{self, Dir, Timestamp};
use crate::text::escape_path;

use super::finish::{self, Links};
use super::intake::{Intake, Mode, OPERATION};
use super::target::{self, Target};
use super::tree::{Choice, Tree};
use super::{AfterEnd, AppleDouble, Options, Outcome, bcp, frames, piped, stream, zipped};

/// Extracts `opened` into `destination`.
pub(super) fn run(
    opened: Opened<'_>,
    destination: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    check_options(options, destination)?;
    let target = target::resolve(destination)?;
    let label = match target.name.is_empty() {
        true => &b"extract"[..],
        false => &target.name,
    };
    let before = sys::stat_dir(&target.parent);
    let staging = Staging::create(&target.parent, &target.parent_path, label)?;
    let found = probe::probe_in(staging.dir(), &target.parent_path, Scope::ForWriting)?;
    let umask = umask(staging.dir()).map_err(|error| Error::io("probe", destination, error))?;
    let mut outcome = Outcome {
        format: opened.kind.name(),
        ..Outcome::default()
    };
    let job = Extraction {
        target: &target,
        staging: &staging,
        found: &found,
        options,
        umask,
        progress,
    };
    job.run(opened, &mut outcome)?;
    if options.dry_run {
        staging.discard()?;
        if let Ok(before) = before {
            // The trial came and went: nobody needs to see that it was there.
            let _ = sys::set_dir_times(&target.parent, &before);
        }
    } else {
        let staged = staged(target, staging, &found, options);
        outcome
            .notes
            .extend(deliver(vec![staged], options.existing, options.sync)?);
    }
    outcome.duration = started.elapsed();
    Ok(outcome)
}

fn check_options(options: &Options, destination: &Path) -> Result<()> {
    if options.on_no_symlinks != OnNoSymlinks::Copy {
        return Ok(());
    }
    let cause = "links of an archive can't be replaced by copies while it is extracted";
    let error = Error::new(ErrorKind::Usage, OPERATION, destination, cause);
    Err(error.with_hint("extract to where links can be, then copy with --on-no-symlinks=copy"))
}

/// The permission bits that new files of this process don't get.
fn umask(private: &Dir) -> std::io::Result<u32> {
    const TRIAL: &[u8] = b"umask";
    let file = sys::create_file(private, TRIAL, 0o777)?;
    let stat = sys::stat_file(&file);
    sys::remove_file(private, TRIAL)?;
    Ok(!stat?.mode & 0o777)
}

fn staged(target: Target, staging: Staging, found: &Capabilities, options: &Options) -> Staged {
    Staged {
        is_whole: !target.name.is_empty(),
        is_stuck: Rc::default(),
        operation: OPERATION,
        manner: Manner {
            folders: match found.folder_moves.is_yes() {
                true => Folders::Move,
                false => Folders::MakeAnew,
            },
            ownership: options.ownership,
            root: match target.name.is_empty() {
                true => Root::Kept,
                false => Root::Merged,
            },
        },
        parent: target.parent,
        parent_path: target.parent_path,
        name: target.name,
        staging,
    }
}

struct Extraction<'e> {
    target: &'e Target,
    staging: &'e Staging,
    found: &'e Capabilities,
    options: &'e Options,
    umask: u32,
    progress: &'e dyn Progress,
}

impl Extraction<'_> {
    fn run(&self, opened: Opened<'_>, outcome: &mut Outcome) -> Result<()> {
        let options = self.options;
        let threads = options.threads();
        let rules = Rules {
            ownership: options.ownership,
            exact_modes: true,
            inherits_group: self.staging.inherits_group(),
            keeps_modes: self.found.modes.is_yes(),
        };
        let site = Site::new(self.staging.dir(), &self.target.path, rules, threads);
        let mut intake = self.intake(&opened.shown, Arc::clone(&opened.read));
        self.read(opened, &mut intake, &site)?;
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

    /// Reads the archive into the tree and onto the disk.
    fn read(&self, opened: Opened<'_>, intake: &mut Intake<'_>, site: &Site<'_>) -> Result<()> {
        let threads = self.options.threads();
        match (opened.kind, opened.input) {
            (Kind::Zip, Input::File(file, length)) => {
                let check = |intake: &Intake<'_>| self.check(intake);
                zipped::extract(&file, length, intake, site, &check, threads, self.progress)
            }
            (Kind::Zip, Input::Stream(reader)) => {
                piped::extract(reader, intake, site, threads, self.progress)
            }
            (Kind::Bcp, input) => {
                let check = |intake: &Intake<'_>| self.check(intake);
                match input {
                    Input::File(file, length) => bcp::extract(
                        (&file, length),
                        intake,
                        site,
                        &check,
                        threads,
                        self.progress,
                    ),
                    Input::Stream(reader) => {
                        bcp::extract_stream(reader, intake, site, &check, threads, self.progress)
                    }
                }
            }
            (Kind::Tar(codec), Input::File(file, length)) => {
                let mut meter = Meter::new(self.options.limits);
                let mut allows = |claim: Claim<'_>| match claim {
                    Claim::Raw(raw) => meter.receive(raw, length),
                    Claim::Member(member) => meter.count(member),
                };
                if codec == Codec::Zstd
                    && let Some(index) = read_index(&file, length, self.tar_options(), &mut allows)
                        .map_err(|refusal| intake.refused(refusal))?
                {
                    let check = |intake: &Intake<'_>| self.check(intake);
                    return frames::extract(
                        (&file, length),
                        &index,
                        intake,
                        site,
                        &check,
                        threads,
                        self.progress,
                    );
                }
                let reader = Box::new(Sequential::new(&file));
                self.read_stream(codec, reader, intake, site)
            }
            (Kind::Tar(codec), Input::Stream(reader)) => {
                self.read_stream(codec, reader, intake, site)
            }
        }
    }

    fn read_stream(
        &self,
        codec: Codec,
        reader: Box<dyn std::io::Read + Send + '_>,
        intake: &mut Intake<'_>,
        site: &Site<'_>,
    ) -> Result<()> {
        let threads = self.options.threads();
        let options = DecodeOptions {
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        };
        let mut reader =
            decoder(codec, reader, options).map_err(|refusal| intake.refused(refusal))?;
        let tar = self.tar_options();
        stream::extract(&mut *reader, tar, intake, site, threads, self.progress)
    }

    fn tar_options(&self) -> tar::Options {
        tar::Options {
            ignore_zeros: self.options.after_end == AfterEnd::Continue,
            skip_apple_double: self.options.apple_double == AppleDouble::Skip,
        }
    }

    /// Checks the tree as a whole: before the first byte where there is an
    /// index, before the first link where there is none.
    fn check(&self, intake: &Intake<'_>) -> Result<()> {
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
