//! One extraction, from the archive to the published tree.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::archive::directory::Directory;
use crate::archive::index::{Claim, read_index};
use crate::archive::limits::Meter;
use crate::archive::{Input, Kind, Opened, Sequential, from_pipe};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::dest::Staging;
use crate::dest::deliver::{Staged, deliver};
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::publish::Existing;
use crate::dest::writer::Site;
use crate::entry::Carried;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::fit::{self, Goal, OnNoSymlinks};
use crate::format::tar;
use crate::links_file;
use crate::plan::NodeId;
use crate::plan::links::Missing;
use crate::plan::members::{ExternalLinks, first_external_link};
use crate::probe::{self, Capabilities, Scope};
use crate::progress::Progress;
use crate::sys::{self, Dir, Timestamp};
use crate::text::escape_path;

use super::finish::Links;
use super::intake::{Intake, OPERATION};
use super::stage::Extraction;
use super::target::{self, Target};
use super::tree::Tree;
use super::{AfterEnd, AppleDouble, Options, Outcome, bcp, frames, items, piped, stream};

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
        donors: None,
        progress,
    };
    let (shown, received) = (opened.shown.clone(), Arc::clone(&opened.read));
    let mut links_file = None;
    let read = |intake: &mut Intake<'_>, site: &Site<'_>| {
        let reading = Reading { job: &job };
        reading.run(opened, intake, site)?;
        if !intake.is_checked {
            reading.check(intake)?;
        }
        if !reading.loses_links(intake) {
            return Ok(Links::Make);
        }
        if !options.dry_run {
            links_file = Some(reading.write_links_down(&intake.tree)?);
        }
        Ok(Links::LeaveOut)
    };
    job.run((&shown, &received), read, &mut outcome)?;
    outcome.links_files.extend(links_file);
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
    drop(file);
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

/// Reads archives of all formats.
struct Reading<'r> {
    job: &'r Extraction<'r>,
}

impl Reading<'_> {
    /// Reads the archive into the tree and onto the disk.
    fn run(&self, opened: Opened<'_>, intake: &mut Intake<'_>, site: &Site<'_>) -> Result<()> {
        let threads = self.job.options.threads();
        match (opened.kind, opened.input) {
            (Kind::Zip, Input::File(file, length)) => {
                let directory = Directory::of_zip(&file, length);
                self.read_items((&file, length), directory, intake, site)
            }
            (Kind::PyInstaller, Input::File(file, length)) => {
                let directory = Directory::of_package(&file, length);
                self.read_items((&file, length), directory, intake, site)
            }
            (Kind::PyInstaller, Input::Stream(_)) => Err(intake.refused(from_pipe())),
            (Kind::Zip, Input::Stream(reader)) => {
                piped::extract(reader, intake, site, threads, self.job.progress)
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
                        self.job.progress,
                    ),
                    Input::Stream(reader) => bcp::extract_stream(
                        reader,
                        intake,
                        site,
                        &check,
                        threads,
                        self.job.progress,
                    ),
                }
            }
            (Kind::Tar(codec), Input::File(file, length)) => {
                let mut meter = Meter::new(self.job.options.limits);
                let mut allows = |claim: Claim<'_>| match claim {
                    Claim::Raw(raw) => meter.receive(raw, length),
                    Claim::Member(member) => meter.count(member),
                };
                // An index has no attributes of macOS.
                if codec == Codec::Zstd
                    && !self.job.options.apple_attributes
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
                        self.job.progress,
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

    /// Reads an archive of `length` bytes whose members stand each by itself.
    fn read_items(
        &self,
        (file, length): (&File, u64),
        directory: Result<Directory, Refusal>,
        intake: &mut Intake<'_>,
        site: &Site<'_>,
    ) -> Result<()> {
        let directory = directory.map_err(|refusal| intake.refused(refusal))?;
        let check = |intake: &Intake<'_>| self.check(intake);
        let threads = self.job.options.threads();
        items::extract(
            (file, length),
            &directory,
            intake,
            site,
            &check,
            threads,
            self.job.progress,
        )
    }

    fn read_stream(
        &self,
        codec: Codec,
        reader: Box<dyn std::io::Read + Send + '_>,
        intake: &mut Intake<'_>,
        site: &Site<'_>,
    ) -> Result<()> {
        let threads = self.job.options.threads();
        let options = DecodeOptions {
            threads: u32::try_from(threads).unwrap_or(u32::MAX),
        };
        let mut reader =
            decoder(codec, reader, options).map_err(|refusal| intake.refused(refusal))?;
        let tar = self.tar_options();
        stream::extract(&mut *reader, tar, intake, site, threads, self.job.progress)
    }

    fn tar_options(&self) -> tar::Options {
        tar::Options {
            ignore_zeros: self.job.options.after_end == AfterEnd::Continue,
            skip_apple_double: self.job.options.apple_double == AppleDouble::Skip,
            carried: Carried::with_apple(self.job.options.apple_attributes),
        }
    }

    /// Checks the tree as a whole: before the first byte where there is an
    /// index, before the first link where there is none.
    fn check(&self, intake: &Intake<'_>) -> Result<()> {
        if let Some(path) = self
            .job
            .options
            .missing
            .as_ref()
            .and_then(|missing| missing())
        {
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
        if self.job.options.external_links == ExternalLinks::Refuse {
            let missing = match self.job.target.receives() {
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
            path: &self.job.target.path,
        };
        fit::check_names(&plan, self.job.found, self.job.staging.dir(), goal)?;
        match (self.job.options.existing, self.job.target.receives()) {
            (Existing::Merge, Some(dir)) => fit::check_merge(&plan, dir, &self.job.target.path),
            (Existing::Refuse | Existing::Replace | Existing::Merge, _) => Ok(()),
        }
    }

    fn loses_links(&self, intake: &Intake<'_>) -> bool {
        intake.tree.members.symlinks() > 0 && !self.job.found.symlinks.is_yes()
    }

    /// Writes the links that the destination can't hold into a file.
    fn write_links_down(&self, tree: &Tree<'_>) -> Result<(PathBuf, u64)> {
        let path = self.job.target.path.join(links_file::NAME);
        let failed = |error| Error::io("write", &path, error);
        let (plan, origins) = tree
            .members
            .sorted()
            .map_err(|refusal| refusal.at(OPERATION, &self.job.target.path))?;
        let times: HashMap<NodeId, Timestamp> = plan
            .symlinks()
            .filter_map(|node| {
                let attributes = tree.attributes.get(&origins[node.index()])?;
                Some((node, attributes.stat.modified))
            })
            .collect();
        let document = links_file::document(&plan, &times);
        let name = links_file::NAME.as_bytes();
        let file = sys::create_file(self.job.staging.dir(), name, 0o644).map_err(failed)?;
        sys::write_all_at(&file, &document, 0).map_err(failed)?;
        Ok((path.clone(), tree.members.symlinks()))
    }
}
