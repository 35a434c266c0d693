//! One packing, from the sources to the published archive.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use crate::codec::{Codec, Level, SingleFrame};
use crate::dest::attributes::{Losses, Ownership};
use crate::dest::deliver::{Staged, Sync, deliver, open_parent, parent_of};
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::publish::{Existing, already_exists};
use crate::dest::{Staging, looks_staged};
use crate::entry::MemberKind;
use crate::error::{Error, ErrorKind, Result};
use crate::path::RelPath;
use crate::plan::NodeId;
use crate::progress::{Counters, Progress, Total};
use crate::scan::{self, Detail};
use crate::sys::{self, Dir};

use super::members::{self, Item, Source, Style};
use super::reader::Reader;
use super::unit::{Sizes, Unit, cut};
use super::{Format, Frames, Options, Outcome, RootName, bcp, tar, zip};

/// What all workers of a packing have in common.
pub(super) struct Job<'j> {
    pub sources: &'j [Source],
    pub items: &'j [Item],
    pub style: Style,
    pub level: Level,
    pub threads: usize,
    /// The archive's path, for messages.
    pub shown: &'j Path,
    pub counters: Counters,
    pub losses: Losses,
    pub total: Total,
}

impl Job<'_> {
    /// One worker's way to the files.
    pub(super) fn reader(&self) -> Reader<'_> {
        Reader::new(self.sources, self.items, self.style, self.threads)
    }

    /// The members in units, at least one.
    fn units(&self, sizes: Sizes) -> Result<Vec<Unit>> {
        let mut reader = Reader::new(self.sources, self.items, self.style, 1);
        let mut units = cut(&mut reader, sizes)?;
        if units.is_empty() {
            units.push(Unit::Members(0..0));
        }
        Ok(units)
    }

    /// The error of an archive that can't be written.
    pub(super) fn write_error(&self, error: io::Error) -> Error {
        Error::io("write", self.shown, error)
    }
}

const OPERATION: &str = "pack to";

/// Packs into a file that appears when it is complete.
pub(super) fn pack_to_file(
    sources: &[PathBuf],
    archive: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let (parent_path, name) = split(archive)?;
    let parent = open_parent(&parent_path)?;
    check_standing(&parent, &name, archive, options.existing)?;
    // Before there is a staging folder that it could find.
    let sources = scan_all(sources, options, progress)?;
    let (items, mut outcome) = prepare(&sources, options);
    if !options.dry_run {
        let staging = Staging::create(&parent, &parent_path, &name)?;
        let failed = |error| Error::io("write", archive, error);
        let file = sys::create_file(staging.dir(), &name, 0o666).map_err(failed)?;
        write(
            &sources,
            &items,
            &file,
            archive,
            options,
            progress,
            &mut outcome,
        )?;
        if options.sync != Sync::None {
            file.sync_all().map_err(failed)?;
        }
        drop(file);
        let staged = Staged {
            staging,
            parent,
            parent_path,
            name: Vec::new(),
            is_whole: false,
            manner: Manner {
                folders: Folders::Move,
                ownership: Ownership::Caller,
                root: Root::Kept,
            },
            is_stuck: Rc::default(),
            operation: OPERATION,
        };
        let existing = match options.existing {
            Existing::Refuse => Existing::Refuse,
            Existing::Replace | Existing::Merge => Existing::Replace,
        };
        outcome
            .notes
            .extend(deliver(vec![staged], existing, options.sync)?);
    }
    outcome.duration = started.elapsed();
    Ok(outcome)
}

/// Packs into a writer.
pub(super) fn pack_to_writer(
    sources: &[PathBuf],
    writer: impl Write + Send,
    shown: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let sources = scan_all(sources, options, progress)?;
    let (items, mut outcome) = prepare(&sources, options);
    if !options.dry_run {
        write(
            &sources,
            &items,
            writer,
            shown,
            options,
            progress,
            &mut outcome,
        )?;
    }
    outcome.duration = started.elapsed();
    Ok(outcome)
}

/// The folder that the archive goes into, and its name there.
fn split(archive: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let name = archive.file_name().ok_or_else(|| {
        let cause = "is not the name of a file";
        Error::new(ErrorKind::Usage, OPERATION, archive, cause)
    })?;
    let parent = parent_of(archive);
    Ok((parent, sys::os_to_bytes(name).to_vec()))
}

/// Looks for what stands where the archive goes, before anything is read.
fn check_standing(parent: &Dir, name: &[u8], archive: &Path, existing: Existing) -> Result<()> {
    let Some(standing) = crate::fit::standing(parent, name) else {
        return Ok(());
    };
    if standing == sys::FileType::Dir {
        let cause = "is a folder";
        return Err(Error::new(
            ErrorKind::AlreadyExists,
            OPERATION,
            archive,
            cause,
        ));
    }
    match existing {
        Existing::Refuse => Err(already_exists(OPERATION, archive).with_hint("-f replaces it")),
        Existing::Replace | Existing::Merge => Ok(()),
    }
}

fn scan_all(paths: &[PathBuf], options: &Options, progress: &dyn Progress) -> Result<Vec<Source>> {
    if paths.len() > 1 && options.root != RootName::Own {
        let cause = "several folders keep their own names";
        return Err(Error::new(ErrorKind::Usage, "pack", &paths[1], cause));
    }
    let mut sources: Vec<Source> = Vec::with_capacity(paths.len());
    for path in paths {
        let source = scan_one(path, options, progress)?;
        if sources.iter().any(|other| other.name == source.name) {
            let cause = "two folders have this name";
            return Err(Error::new(ErrorKind::Usage, "pack", path, cause));
        }
        sources.push(source);
    }
    Ok(sources)
}

fn scan_one(path: &Path, options: &Options, progress: &dyn Progress) -> Result<Source> {
    let root = sys::open_root(path).map_err(|error| {
        let is_file = sys::is_not_a_real_dir(&error);
        let error = Error::io("open", path, error);
        match is_file {
            true => error.with_hint("pack takes folders"),
            false => error,
        }
    })?;
    let is_excluded = options.exclude.as_ref();
    let scan = scan::Options {
        detail: Detail::Stats,
        special: options.special_files.into(),
        is_excluded: is_excluded
            .map(|exclude| &**exclude as &(dyn Fn(&Path) -> bool + std::marker::Sync)),
        threads: options.threads(),
    };
    let name = members::root_name(path, &options.root).ok_or_else(|| {
        let cause = "has no name of its own";
        Error::new(ErrorKind::Usage, "pack", path, cause)
            .with_hint("--root NAME gives it one, --strip-root packs its contents")
    })?;
    let scan = scan::scan(&root, path, scan, progress)?;
    let is_staged = |node: &NodeId| looks_staged(scan.plan.name(*node));
    if let Some(node) = scan.plan.nodes().find(is_staged) {
        let path = sys::join_bytes(path, scan.plan.path(node).as_bytes());
        let cause = "has the name of a staging folder, which no extraction takes";
        let error = Error::new(ErrorKind::Unsafe, "pack", path, cause);
        return Err(error.with_hint("remove what a killed run left, or --exclude it"));
    }
    Ok(Source {
        root,
        shown: path.to_owned(),
        name,
        scan,
    })
}

/// The members that are written, in order, and what they amount to.
fn prepare(sources: &[Source], options: &Options) -> (Vec<Item>, Outcome) {
    let mut items = members::in_order(sources);
    let mut outcome = outcome_of(sources, options);
    if options.format == Format::Zip {
        let parted = members::part_hard_links(&mut items);
        outcome.notes.extend(parted_note(parted));
    }
    for item in &items {
        match item.kind {
            MemberKind::File => {
                outcome.files += 1;
                outcome.bytes += sources[item.source as usize].stat(item.node).size;
            }
            MemberKind::Hardlink => outcome.hardlinks += 1,
            MemberKind::Dir | MemberKind::Symlink => {}
        }
    }
    (items, outcome)
}

fn parted_note(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some(
            "1 further name of a file became a file of its own: a zip has no hard links".into(),
        ),
        _ => Some(format!(
            "{count} further names of files became files of their own: a zip has no hard links"
        )),
    }
}

fn xattrs_note(count: u64) -> Option<String> {
    match count {
        0 => None,
        1 => Some("1 entry lost its user attributes: a zip has none".into()),
        _ => Some(format!(
            "{count} entries lost their user attributes: a zip has none"
        )),
    }
}

fn outcome_of(sources: &[Source], options: &Options) -> Outcome {
    let mut outcome = Outcome::default();
    for source in sources {
        let totals = &source.scan.totals;
        outcome.dirs += totals.dirs - u64::from(source.name.is_empty());
        outcome.symlinks += totals.symlinks;
        if options.list_entries {
            let skipped = usize::from(source.name.is_empty());
            let nodes = source.plan().nodes().skip(skipped);
            let path = |node| RelPath::from_names([source.member_path(node).as_slice()]);
            outcome.entries.extend(nodes.map(path));
        }
    }
    outcome.entries.sort();
    outcome.external_links = members::count_external_links(sources);
    outcome
}

/// Writes the archive, and notes how many bytes it has.
fn write(
    sources: &[Source],
    items: &[Item],
    writer: impl Write + Send,
    shown: &Path,
    options: &Options,
    progress: &dyn Progress,
    outcome: &mut Outcome,
) -> Result<()> {
    let level = Level {
        profile: options.profile,
        number: options.level,
    };
    let job = Job {
        sources,
        items,
        style: Style {
            latest: options.latest,
            keeps_owner: options.ownership == Ownership::Original,
        },
        level: match (options.format, options.frames) {
            // Its units are stored: the frame around them is what compresses.
            (Format::TarZst, Frames::Single) => Level::default(),
            _ => level,
        },
        threads: options.threads(),
        shown,
        counters: Counters::default(),
        losses: Losses::default(),
        total: Total {
            entries: Some(items.len() as u64),
            bytes: Some(outcome.bytes),
        },
    };
    let (mut writer, written) = match (options.format, options.frames) {
        (Format::Zip, _) => {
            let units = job.units(zip::sizes(options.zip_method))?;
            zip::pack((&job, &units), options.zip_method, writer, progress)?
        }
        (Format::Bcp, _) => {
            let (writer, written, root_hash) = bcp::pack(&job, writer, progress)?;
            outcome.root_hash = Some(root_hash);
            (writer, written)
        }
        (Format::TarZst, Frames::Single) => pack_single_frame(&job, level, writer, progress)?,
        (Format::TarZst, Frames::Many) => {
            pack_tar(&job, Codec::Zstd, tar::Index::Write, writer, progress)?
        }
        (Format::Tar, _) => pack_tar(&job, Codec::Store, tar::Index::None, writer, progress)?,
        (Format::TarGz, _) => pack_tar(&job, Codec::Gzip, tar::Index::None, writer, progress)?,
        (Format::TarBz2, _) => pack_tar(&job, Codec::Bzip2, tar::Index::None, writer, progress)?,
        (Format::TarXz, _) => pack_tar(&job, Codec::Xz, tar::Index::None, writer, progress)?,
    };
    writer
        .flush()
        .map_err(|error| Error::io("write", shown, error))?;
    outcome.packed = written;
    outcome
        .notes
        .extend(xattrs_note(job.losses.counts().xattrs));
    Ok(())
}

fn pack_tar<W: Write + Send>(
    job: &Job<'_>,
    codec: Codec,
    index: tar::Index,
    writer: W,
    progress: &dyn Progress,
) -> Result<(W, u64)> {
    let units = job.units(tar::sizes(codec))?;
    tar::pack((job, &units), codec, index, writer, progress)
}

fn pack_single_frame<W: Write + Send>(
    job: &Job<'_>,
    level: Level,
    writer: W,
    progress: &dyn Progress,
) -> Result<(W, u64)> {
    let failed = |error| job.write_error(error);
    let workers = u32::try_from(job.threads).unwrap_or(u32::MAX);
    let counted = Counted { writer, written: 0 };
    let frame = SingleFrame::new(BufWriter::new(counted), level, workers)
        .map_err(|refusal| refusal.at("pack", job.shown))?;
    let units = job.units(tar::sizes(Codec::Zstd))?;
    let (frame, _) = tar::pack(
        (job, &units),
        Codec::Store,
        tar::Index::None,
        frame,
        progress,
    )?;
    let buffered = frame.finish().map_err(failed)?;
    let counted = buffered
        .into_inner()
        .map_err(|error| failed(error.into_error()))?;
    Ok((counted.writer, counted.written))
}

/// Counts what is written.
struct Counted<W> {
    writer: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.writer.write(bytes)?;
        self.written += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
