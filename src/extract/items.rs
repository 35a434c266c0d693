//! An archive with a directory, in a file: members by themselves, on all threads.
//!
//! The directory is held against all that the archive says besides it first, so
//! all is checked before the first byte is written.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use crate::archive::Section;
use crate::archive::directory::{Directory, Item, Unpacker};
use crate::dest::writer::{NewFile, Shared, Site, Writer};
use crate::error::{Refusal, Result};
use crate::format::zip::{LARGE, Part};
use crate::format::{ReadAt, apple_double};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::AppleDouble;
use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// Bytes of an archive that are read at a time, with all members in them.
const BATCH: u64 = 512 << 10;

/// Bytes that are read of a member to see what it begins with.
const HEAD: usize = 4 << 10;

/// Content that is decoded at a time of a large member.
const PIECE: usize = 256 << 10;

/// A file that is to be made, and where its data is.
struct Slot<'d> {
    item: Item<'d>,
    data: Range<u64>,
    new: NewFile,
}

impl Slot<'_> {
    /// Whether it is decoded piece by piece. Data may be much longer than what
    /// it decodes to.
    fn is_large(&self) -> bool {
        self.item.size() > LARGE || self.data.end - self.data.start > LARGE
    }
}

/// A large file that several workers write: each part of the data for itself.
struct Parted<'d> {
    item: Item<'d>,
    data: Range<u64>,
    parts: &'d [Part],
    shared: Shared,
}

/// All files that are to be made.
#[derive(Default)]
struct Files<'d> {
    /// In the order of their data.
    slots: Vec<Slot<'d>>,
    parted: Vec<Parted<'d>>,
}

/// What one worker extracts at a time.
enum Job {
    /// Some slots.
    Slots(Range<usize>),
    /// A part of a large file: the numbers of both.
    Part(usize, usize),
}

/// Extracts the archive `file` of `length` bytes.
pub(super) fn extract(
    (file, length): (&File, u64),
    directory: &Directory,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let files = plan(file, directory, intake)?;
    let announced = intake.tree.meter.check_announced(length);
    announced.map_err(|refusal| intake.refused(refusal))?;
    check(intake)?;
    intake.is_checked = true;
    if intake.mode == Mode::Look {
        return Ok(());
    }
    intake.make_dirs(site, threads, progress)?;
    let total = intake.tree.counts.total();
    let intake = &*intake;
    let work = |queue: &mut Queue<'_, Job>| {
        let mut worker = Worker {
            file,
            intake,
            writer: site.writer(),
            unpacker: Unpacker::new(),
            stored: Vec::new(),
            raw: Vec::new(),
        };
        while let Some(job) = queue.next() {
            match job {
                Job::Slots(range) => worker.extract(&files.slots[range])?,
                Job::Part(file, part) => worker.extract_part(&files.parted[file], part)?,
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, total));
    pool::run(threads, jobs(&files), work, report)?;
    Ok(())
}

/// Takes all members into the tree, and notes the files among them in the order
/// of their data.
fn plan<'d>(file: &File, directory: &'d Directory, intake: &mut Intake<'_>) -> Result<Files<'d>> {
    let ranges = directory.check_all(file);
    let ranges = ranges.map_err(|refusal| intake.refused(refusal))?;
    let mut files = Files::default();
    files.slots.reserve(ranges.len());
    for (item, data) in directory.items().zip(ranges) {
        let is_left_out = intake.apple_double == AppleDouble::Skip
            && is_from_macos(file, item, &data).map_err(|refusal| intake.refused(refusal))?;
        if is_left_out {
            continue;
        }
        let member = directory.member(file, item);
        let member = member.map_err(|refusal| intake.refused(refusal))?;
        match intake.accept(&member)? {
            Accepted::LeftOut | Accepted::Other(_) => {}
            Accepted::File(node) => {
                let new = intake.tree.new_file(node, &member);
                match item.parts() {
                    Some(parts) => files.parted.push(Parted {
                        item,
                        data,
                        parts,
                        shared: Shared::new(new, item.size()),
                    }),
                    None => files.slots.push(Slot { item, data, new }),
                }
            }
        }
    }
    // Empty data may begin where other data does, and has to end first.
    files
        .slots
        .sort_by_key(|slot| (slot.data.start, slot.data.end));
    Ok(files)
}

/// Whether a member is one that macOS added.
fn is_from_macos(file: &File, item: Item<'_>, data: &Range<u64>) -> Result<bool, Refusal> {
    if item.is_in_apple_folder() {
        return Ok(true);
    }
    if !item.may_be_apple_double() {
        return Ok(false);
    }
    let section = Section::new(file, data.clone());
    let mut magic = apple_double::MAGIC;
    let mut reader = item.decode(BufReader::with_capacity(HEAD, section))?;
    let read = reader.read_exact(&mut magic);
    read.map_err(|error| item.blame(&Refusal::io(error)))?;
    Ok(magic == apple_double::MAGIC)
}

/// Cuts the files into jobs, the large ones last: a worker takes the last job
/// first, and nobody waits for a large one at the end.
fn jobs(files: &Files<'_>) -> Vec<Job> {
    let slots = &files.slots;
    let mut jobs = Vec::new();
    let mut large = Vec::new();
    let mut first = 0;
    for (number, slot) in slots.iter().enumerate() {
        if slot.is_large() {
            if first < number {
                jobs.push(Job::Slots(first..number));
            }
            large.push(Job::Slots(number..number + 1));
            first = number + 1;
        } else if slot.data.end - slots[first].data.start > BATCH && first < number {
            jobs.push(Job::Slots(first..number));
            first = number;
        }
    }
    if first < slots.len() {
        jobs.push(Job::Slots(first..slots.len()));
    }
    jobs.reverse();
    for (number, file) in files.parted.iter().enumerate() {
        jobs.extend(
            (0..file.parts.len())
                .rev()
                .map(|part| Job::Part(number, part)),
        );
    }
    jobs.extend(large);
    jobs
}

struct Worker<'w> {
    file: &'w File,
    intake: &'w Intake<'w>,
    writer: Writer<'w>,
    unpacker: Unpacker,
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl Worker<'_> {
    fn extract(&mut self, slots: &[Slot<'_>]) -> Result<()> {
        match slots {
            [] => Ok(()),
            [slot] if slot.is_large() => self.extract_large(slot),
            [first, .., last] => self.extract_small(slots, first.data.start..last.data.end),
            [only] => self.extract_small(slots, only.data.clone()),
        }
    }

    fn extract_small(&mut self, slots: &[Slot<'_>], range: Range<u64>) -> Result<()> {
        self.read(range.clone())?;
        for slot in slots {
            let start = (slot.data.start - range.start) as usize;
            let stored = &self.stored[start..start + (slot.data.end - slot.data.start) as usize];
            let item = slot.item;
            let decoded = item.decode_whole(stored, &mut self.raw, &mut self.unpacker);
            decoded.map_err(|refusal| self.intake.refused(refusal))?;
            let part = (!self.raw.is_empty()).then_some((0, self.raw.as_slice()));
            self.writer.write_whole(&slot.new, part)?;
        }
        Ok(())
    }

    fn extract_part(&mut self, file: &Parted<'_>, number: usize) -> Result<()> {
        let (part, start) = (&file.parts[number], file.data.start);
        self.read(start + part.stored.start..start + part.stored.end)?;
        let (stored, raw) = (&self.stored, &mut self.raw);
        file.item
            .decode_part(part, stored, raw, &mut self.unpacker)
            .map_err(|refusal| self.intake.refused(refusal))?;
        self.writer
            .write_shared(&file.shared, part.content.start, &self.raw)
    }

    /// Reads the bytes `range` of the archive into `stored`.
    fn read(&mut self, range: Range<u64>) -> Result<()> {
        self.stored.resize((range.end - range.start) as usize, 0);
        let read = self.file.read_exact_at(&mut self.stored, range.start);
        read.map_err(|error| self.intake.refused(Refusal::io(error)))
    }

    fn extract_large(&mut self, slot: &Slot<'_>) -> Result<()> {
        let refused = |refusal| self.intake.refused(refusal);
        let section = Section::new(self.file, slot.data.clone());
        let raw = BufReader::with_capacity(PIECE, section);
        let mut reader = slot.item.decode(raw).map_err(refused)?;
        let file = self.writer.create(&slot.new)?;
        self.raw.resize(PIECE, 0);
        let mut at = 0;
        loop {
            let count = match reader.read(&mut self.raw) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(refused(slot.item.blame(&Refusal::io(error)))),
            };
            self.writer
                .write(&file, &slot.new, at, &self.raw[..count])?;
            at += count as u64;
        }
        self.writer.finish(file, &slot.new)
    }
}
