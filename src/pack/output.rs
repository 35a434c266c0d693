//! One packing, from the sources to the published archive.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::codec::{Codec, Level, SingleFrame};
use crate::dest::attributes::{Losses, Ownership};
use crate::dest::looks_staged;
use crate::entry::{Carried, MemberKind};
use crate::error::{Error, ErrorKind, Result};
use crate::format::bcp::Launch;
use crate::path::RelPath;
use crate::plan::NodeId;
use crate::progress::{Counters, Progress, Total};
use crate::scan::{self, Detail};
use crate::sys;

use super::members::{self, Item, Root, Source, Style};
use super::place::Place;
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
    /// How what a `.bcp` holds is started.
    pub launch: Option<&'j Launch>,
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

/// Packs into a file that appears when it is complete.
pub(super) fn pack_to_file(
    sources: &[PathBuf],
    archive: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let place = Place::find(archive, options.existing, "pack to")?;
    // Before there is a staging folder that it could find.
    let mut packing = Packing::new(scan_all(sources, options, progress)?, options);
    if !options.dry_run {
        let write = |file: &_| packing.write(file, archive, progress);
        let notes = place.publish(options.sync, write)?;
        packing.notes.extend(notes);
    }
    packing.outcome.duration = started.elapsed();
    Ok(packing.into_outcome())
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
    let mut packing = Packing::new(scan_all(sources, options, progress)?, options);
    if !options.dry_run {
        packing.write(writer, shown, progress)?;
    }
    packing.outcome.duration = started.elapsed();
    Ok(packing.into_outcome())
}

fn scan_all(paths: &[PathBuf], options: &Options, progress: &dyn Progress) -> Result<Vec<Source>> {
    if paths.len() > 1 && options.root != RootName::Own {
        let cause = "several folders keep their own names";
        return Err(Error::new(ErrorKind::Usage, "pack", &paths[1], cause));
    }
    if options.apple_attributes && matches!(options.format, Format::Zip | Format::Bcp) {
        let path = paths.first().map_or(Path::new(""), PathBuf::as_path);
        let cause = "only tars hold macOS' own attributes";
        let error = Error::new(ErrorKind::Usage, "pack", path, cause);
        return Err(error.with_hint("pack to a .tar.zst, or without --apple-attributes"));
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
        junctions_as_links: options.junctions_as_links,
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
        root: Root::Folder(root),
        shown: path.to_owned(),
        name,
        scan,
    })
}

/// Trees that are packed, and what they amount to.
pub(crate) struct Packing<'o> {
    sources: Vec<Source>,
    items: Vec<Item>,
    options: &'o Options,
    pub outcome: Outcome,
    /// What the format didn't hold.
    notes: Vec<String>,
    /// How what a `.bcp` holds is started.
    pub launch: Option<Launch>,
    /// How hard to compress, if not as the profile has it.
    pub level: Option<i32>,
}

impl<'o> Packing<'o> {
    pub(crate) fn new(sources: Vec<Source>, options: &'o Options) -> Self {
        let mut items = members::in_order(&sources);
        let mut notes = Vec::new();
        let mut outcome = Outcome {
            external_links: members::count_external_links(&sources),
            ..Outcome::default()
        };
        for item in &items {
            match item.kind {
                MemberKind::Dir => outcome.dirs += 1,
                MemberKind::Symlink => outcome.symlinks += 1,
                MemberKind::Hardlink => outcome.hardlinks += 1,
                MemberKind::File => {}
            }
        }
        if options.format == Format::Zip {
            notes.extend(parted_note(members::part_hard_links(&mut items)));
            outcome.hardlinks = 0;
        }
        for item in items.iter().filter(|item| item.kind == MemberKind::File) {
            outcome.files += 1;
            outcome.bytes += sources[item.source as usize].stat(item.node).size;
        }
        if options.list_entries {
            let path = |item: &Item| sources[item.source as usize].member_path(item.node);
            let paths = items.iter().map(path);
            let entries = paths.map(|path| RelPath::from_names([path.as_slice()]));
            outcome.entries = entries.collect();
            outcome.entries.sort();
        }
        Self {
            sources,
            items,
            options,
            outcome,
            notes,
            launch: None,
            level: options.level,
        }
    }

    /// Scans the folder `source`, to be packed.
    pub(crate) fn of(source: &Path, options: &'o Options, progress: &dyn Progress) -> Result<Self> {
        let sources = scan_all(&[source.to_owned()], options, progress)?;
        Ok(Self::new(sources, options))
    }

    /// The tree that [`of`](Self::of) scanned.
    pub(crate) fn source(&self) -> &Source {
        &self.sources[0]
    }

    /// What a reader should know that is no error.
    pub(crate) fn into_outcome(self) -> Outcome {
        Outcome {
            notes: self.notes,
            ..self.outcome
        }
    }

    /// Writes the archive, and notes how many bytes it has.
    pub(crate) fn write(
        &mut self,
        writer: impl Write + Send,
        shown: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        let (options, outcome) = (self.options, &mut self.outcome);
        let level = Level {
            profile: options.profile,
            number: self.level,
        };
        let job = Job {
            sources: &self.sources,
            items: &self.items,
            style: Style {
                latest: options.latest,
                keeps_owner: options.ownership == Ownership::Original,
                carried: Carried::with_apple(options.apple_attributes),
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
                entries: Some(self.items.len() as u64),
                bytes: Some(outcome.bytes),
            },
            launch: self.launch.as_ref(),
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
            (Format::TarBz2, _) => {
                pack_tar(&job, Codec::Bzip2, tar::Index::None, writer, progress)?
            }
            (Format::TarXz, _) => pack_tar(&job, Codec::Xz, tar::Index::None, writer, progress)?,
        };
        writer.flush().map_err(|error| job.write_error(error))?;
        outcome.packed = written;
        self.notes.extend(xattrs_note(job.losses.counts().xattrs));
        Ok(())
    }
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
