//! One extraction, from the archive to the published tree.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use crate::archive::index::{Claim, read_index};
use crate::archive::limits::Meter;
use crate::archive::{Input, Kind, Opened, Sequential};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::dest::Staging;
use crate::dest::deliver::{Staged, deliver};
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::writer::Site;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::OnNoSymlinks;
use crate::format::tar;
use crate::probe::{self, Capabilities, Scope};
use crate::progress::Progress;
use crate::sys::{self, Dir};

use super::intake::{Intake, OPERATION};
use super::stage::Extraction;
use super::target::{self, Target};
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
    let (shown, received) = (opened.shown.clone(), Arc::clone(&opened.read));
    let read =
        |intake: &mut Intake<'_>, site: &Site<'_>| Reading { job: &job }.run(opened, intake, site);
    job.run((&shown, &received), read, &mut outcome)?;
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
                let check = |intake: &Intake<'_>| self.job.check(intake);
                zipped::extract(
                    &file,
                    length,
                    intake,
                    site,
                    &check,
                    threads,
                    self.job.progress,
                )
            }
            (Kind::Zip, Input::Stream(reader)) => {
                piped::extract(reader, intake, site, threads, self.job.progress)
            }
            (Kind::Bcp, input) => {
                let check = |intake: &Intake<'_>| self.job.check(intake);
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
                if codec == Codec::Zstd
                    && let Some(index) = read_index(&file, length, self.tar_options(), &mut allows)
                        .map_err(|refusal| intake.refused(refusal))?
                {
                    let check = |intake: &Intake<'_>| self.job.check(intake);
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
        }
    }
}
