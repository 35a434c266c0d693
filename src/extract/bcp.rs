//! A `.bcp`: the manifest tells all before the first block, from a file as from
//! a pipe, so everything is checked before anything is written.
//!
//! From a file, every worker reads, checks, decodes and writes blocks by itself.
//! From a pipe, one reads; that the manifest is the right one shows at the end,
//! before anything is published.

use std::fs::File;
use std::io::Read;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::codec::Decompressor;
use crate::dest::writer::{NewFile, Shared, Site, Span, Writer};
use crate::error::{Error, Refusal, Result};
use crate::extents::{placed, places};
use crate::format::ReadAt;
use crate::format::bcp::{
    Block, Claim, Filter, Index, Layout, Piece, Restorer, StreamReader, decode_start, read_index,
};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::Sharing;
use super::donors::{Donors, Sharer};
use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// Blocks of a pipe that may wait for a worker, each at most 16 MiB: more would
/// not make it faster, as one is decoded while the next comes.
const WAITING: usize = 4;

/// What is shorter is written: on XFS that is faster than to share it, bytes.
const SHARED: usize = 64 << 10;

/// Files without any content that one worker makes at a time.
const BATCH: usize = 64;

/// Extracts the archive `file` of `length` bytes.
pub(super) fn extract(
    (file, length): (&File, u64),
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let mut judge = |claim: Claim<'_>| intake.tree.judge(claim);
    let index = read_index(file, length, &mut judge);
    let index = index.map_err(|refusal| intake.refused(refusal))?;
    extract_index(
        (file, length, &index),
        intake,
        site,
        check,
        threads,
        progress,
    )
}

/// Extracts the archive in `file`, `length` bytes in all, that `index` is of.
pub(super) fn extract_index(
    (file, length, index): (&File, u64, &Index),
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    intake.root_hash = Some(index.root_hash);
    let mut slots = plan(&index.layout, intake, check)?;
    let announced = intake.tree.meter.check_announced(length);
    announced.map_err(|refusal| intake.refused(refusal))?;
    if intake.mode == Mode::Look {
        return Ok(());
    }
    let checked = index.check_others(file);
    checked.map_err(|refusal| intake.refused(refusal))?;
    let Index { layout, blocks, .. } = index;
    let task = Task {
        layout,
        slots: &slots,
        intake: &*intake,
    };
    let shares = task.shares(index, file, site)?;
    intake.make_dirs(site, threads, progress)?;
    if let Some(donors) = intake.donors.filter(|donors| !donors.is_empty()) {
        share_with(donors, layout, &mut slots, intake, site, threads, progress)?;
    }
    let task = Task {
        layout,
        slots: &slots,
        intake: &*intake,
    };
    let total = intake.tree.counts.total();
    let work = |queue: &mut Queue<'_, Job>| {
        let mut worker = task.worker(site);
        let mut payload = Vec::new();
        while let Some(job) = queue.next() {
            match job {
                Job::Empty(contents) => worker.make_empty(&contents)?,
                Job::Block(number) => {
                    let raw = layout.manifest.blocks[number];
                    if shares && task.is_shared(number) {
                        let stored = blocks[number].stored(file, raw);
                        let stored = stored.map_err(|refusal| task.intake.refused(refusal))?;
                        if let Some(start) = stored {
                            worker.share(number, file, start)?;
                            continue;
                        }
                    }
                    let read = blocks[number].read_block(file, &mut payload, raw);
                    read.map_err(|refusal| task.intake.refused(refusal))?;
                    worker.extract(number, &payload)?;
                }
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, total));
    let wanted = (0..blocks.len()).filter(|number| task.is_wanted(*number));
    let jobs: Vec<Job> = task.empty().chain(wanted.map(Job::Block)).collect();
    // No job makes others.
    let threads = threads.min(jobs.len());
    // A worker takes the newest of its own jobs, the others the oldest.
    pool::run(threads, jobs.into_iter().rev(), work, report)?;
    Ok(())
}

/// What a worker does with an archive in a file.
enum Job {
    Block(usize),
    Empty(Vec<usize>),
}

/// Makes what `donors` have, and takes it out of `slots`.
fn share_with(
    donors: &Donors,
    layout: &Layout,
    slots: &mut Slots,
    intake: &Intake<'_>,
    site: &Site<'_>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let contents = &layout.manifest.contents;
    let is_wanted =
        |number: &usize| !slots[*number].is_empty() && donors.may_have(&contents[*number]);
    let wanted: Vec<usize> = (0..contents.len()).filter(is_wanted).collect();
    let way = donors.way(wanted.iter().map(|number| &contents[*number]), site)?;
    let (total, all) = (intake.tree.counts.total(), &*slots);
    let work = |queue: &mut Queue<'_, usize>| {
        let mut sharer = Sharer::new(donors, site, way);
        let mut made = Vec::new();
        while let Some(number) = queue.next() {
            let files = all[number].iter().map(|slot| slot.new_file(layout, intake));
            let files: Vec<NewFile> = files.collect();
            made.push((number, sharer.share(&contents[number], &files)?));
        }
        Ok(made)
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, total));
    let made = pool::run(threads.min(wanted.len()), wanted, work, report)?;
    for (number, made) in made.into_iter().flatten() {
        let mut made = made.into_iter();
        slots[number].retain(|_| !made.next().unwrap_or_default());
    }
    Ok(())
}

/// What becomes of a content: each file that has it.
type Slots = Vec<Vec<Slot>>;

/// One file of a content.
enum Slot {
    Whole {
        node: NodeId,
        entry: usize,
    },
    /// It goes on in another block.
    Shared(Box<Shared>),
}

impl Slot {
    fn new_file(&self, layout: &Layout, intake: &Intake<'_>) -> NewFile {
        match self {
            Slot::Whole { node, entry } => {
                let member = &layout.manifest.entries[*entry].member;
                intake.tree.new_file(*node, member)
            }
            Slot::Shared(shared) => shared.file.clone(),
        }
    }
}

/// Takes all members into the tree and checks it as a whole.
fn plan(
    layout: &Layout,
    intake: &mut Intake<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
) -> Result<Slots> {
    let mut slots: Slots = Vec::new();
    slots.resize_with(layout.manifest.contents.len(), Vec::new);
    for (number, entry) in layout.manifest.entries.iter().enumerate() {
        let accepted = intake.accept(&entry.member)?;
        let (Accepted::File(node), Some(content)) = (accepted, entry.content) else {
            continue;
        };
        let content = content as usize;
        slots[content].push(match layout.is_cut(content) {
            true => {
                let new = intake.tree.new_file(node, &entry.member);
                let data = layout.manifest.contents[content].data();
                Slot::Shared(Box::new(Shared::new(new, data)))
            }
            false => Slot::Whole {
                node,
                entry: number,
            },
        });
    }
    check(intake)?;
    intake.is_checked = true;
    Ok(slots)
}

/// What all workers look at.
struct Task<'t> {
    layout: &'t Layout,
    slots: &'t Slots,
    intake: &'t Intake<'t>,
}

impl<'t> Task<'t> {
    fn worker(&'t self, site: &'t Site<'t>) -> Worker<'t> {
        Worker {
            task: self,
            writer: site.writer(),
            decompressor: Decompressor::new(),
            restorer: Restorer::default(),
            raw: Vec::new(),
        }
    }

    /// Whether a block has something that was chosen.
    fn is_wanted(&self, block: usize) -> bool {
        let mut pieces = self.layout.pieces(block);
        pieces.any(|piece| !self.slots[piece.content].is_empty())
    }

    /// Bytes of a block up to the end of the last piece that was chosen.
    fn wanted_of(&self, block: usize) -> usize {
        let pieces = self.layout.pieces(block);
        let chosen = pieces.filter(|piece| !self.slots[piece.content].is_empty());
        chosen.last().map_or(0, |piece| piece.range.end)
    }

    /// Whether files can share storage with the archive, and some are worth it: found out by
    /// sharing all of it with a file that is removed again.
    fn shares(&self, index: &Index, archive: &File, site: &Site<'_>) -> Result<bool> {
        let first = (0..index.blocks.len()).find(|number| self.is_shared(*number));
        let Some(first) = first.filter(|_| self.intake.sharing == Sharing::Auto) else {
            return Ok(false);
        };
        let raw = self.layout.manifest.blocks[first];
        let stored = index.blocks[first].stored(archive, raw);
        let stored = stored.map_err(|refusal| self.intake.refused(refusal))?;
        Ok(stored.is_some() && site.can_share(archive)?)
    }

    /// Whether a block has what is worth to be shared with the archive.
    fn is_shared(&self, block: usize) -> bool {
        let mut pieces = self.layout.pieces(block);
        pieces.any(|piece| self.may_share(&piece))
    }

    fn may_share(&self, piece: &Piece) -> bool {
        let filter = &self.layout.manifest.contents[piece.content].filter;
        piece.range.len() >= SHARED && *filter == Filter::None
    }

    /// Bytes that a block brings to files.
    fn written_of(&self, block: usize) -> u64 {
        let pieces = self.layout.pieces(block);
        let written = pieces.map(|piece| {
            (piece.data.end - piece.data.start)
                .saturating_mul(self.slots[piece.content].len() as u64)
        });
        written.sum()
    }

    fn new_file(&self, node: NodeId, entry: usize) -> NewFile {
        let member = &self.layout.manifest.entries[entry].member;
        self.intake.tree.new_file(node, member)
    }

    /// Contents that no block has anything of, and that were chosen.
    fn empty(&self) -> impl Iterator<Item = Job> {
        let contents = &self.layout.manifest.contents;
        let is_empty =
            |number: &usize| contents[*number].stored() == 0 && !self.slots[*number].is_empty();
        let empty: Vec<usize> = (0..contents.len()).filter(is_empty).collect();
        let batches: Vec<_> = empty.chunks(BATCH).map(<[usize]>::to_vec).collect();
        batches.into_iter().map(Job::Empty)
    }
}

struct Worker<'w> {
    task: &'w Task<'w>,
    writer: Writer<'w>,
    decompressor: Decompressor,
    restorer: Restorer,
    raw: Vec<u8>,
}

impl Worker<'_> {
    /// Extracts a block whose hash was checked, or will be before the end.
    fn extract(&mut self, number: usize, payload: &[u8]) -> Result<()> {
        let layout = self.task.layout;
        let size = layout.manifest.blocks[number];
        let wanted = self.task.wanted_of(number);
        let mut raw = std::mem::take(&mut self.raw);
        let decoded = decode_start(&mut self.decompressor, payload, size, wanted, &mut raw);
        decoded.map_err(|refusal| self.task.intake.refused(refusal))?;
        for piece in layout.pieces(number) {
            if !self.task.slots[piece.content].is_empty() {
                self.write(&piece, &mut raw[piece.range.clone()])?;
            }
        }
        self.raw = raw;
        Ok(())
    }

    /// Writes a piece to all files that have its content.
    fn write(&mut self, piece: &Piece, bytes: &mut [u8]) -> Result<()> {
        let content = &self.task.layout.manifest.contents[piece.content];
        let data = self.restorer.restore(content, piece, bytes);
        let data = data.map_err(|refusal| self.task.intake.refused(refusal))?;
        let extents = content.extents.as_ref();
        for slot in &self.task.slots[piece.content] {
            let parts = placed(extents, piece.data.start, data);
            match slot {
                Slot::Whole { node, entry } => {
                    let new = self.task.new_file(*node, *entry);
                    self.writer.write_whole(&new, parts)?;
                }
                Slot::Shared(shared) => {
                    for (offset, bytes) in parts {
                        self.writer.write_shared(shared, offset, bytes)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Extracts a block that is stored in `source` from `start` on. Nothing is compared with
    /// a hash: that would read all of what is shared.
    fn share(&mut self, number: usize, source: &File, start: u64) -> Result<()> {
        let refused = |refusal: Refusal| self.task.intake.refused(refusal);
        for piece in self.task.layout.pieces(number) {
            if self.task.slots[piece.content].is_empty() {
                continue;
            }
            let start = start + piece.range.start as u64;
            if self.task.may_share(&piece) {
                if !self.share_piece(&piece, source, start)? {
                    return Err(refused(Refusal::truncated("it is shorter than it says")));
                }
                continue;
            }
            let mut raw = std::mem::take(&mut self.raw);
            raw.resize(piece.range.len(), 0);
            let read = source.read_exact_at(&mut raw, start);
            read.map_err(|error| refused(Refusal::io(error)))?;
            self.write(&piece, &mut raw)?;
            self.raw = raw;
        }
        Ok(())
    }

    /// Whether `source` has all of the piece, which begins there at `start`.
    fn share_piece(&mut self, piece: &Piece, source: &File, start: u64) -> Result<bool> {
        let content = &self.task.layout.manifest.contents[piece.content];
        let extents = content.extents.as_ref();
        for slot in &self.task.slots[piece.content] {
            let mut from = start;
            let mut parts = places(extents, piece.data.clone()).map(|place| {
                let length = place.end - place.start;
                let part = Span {
                    from,
                    to: place.start,
                    length,
                };
                from += length;
                part
            });
            let is_there = match slot {
                Slot::Whole { node, entry } => {
                    let new = self.task.new_file(*node, *entry);
                    self.writer.share_whole(&new, source, parts)?
                }
                Slot::Shared(shared) => {
                    let mut is_there = true;
                    while let Some(part) = parts.next().filter(|_| is_there) {
                        is_there = self.writer.share_part(shared, source, part)?;
                    }
                    is_there
                }
            };
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn make_empty(&mut self, contents: &[usize]) -> Result<()> {
        for content in contents {
            for slot in &self.task.slots[*content] {
                if let Slot::Whole { node, entry } = slot {
                    let new = self.task.new_file(*node, *entry);
                    self.writer.write_whole(&new, None)?;
                }
            }
        }
        Ok(())
    }
}

/// What a worker does with an archive that comes through a pipe.
enum PipeJob {
    Read,
    Empty(Vec<usize>),
    Block(Block),
}

/// Extracts the archive that `reader` brings.
pub(super) fn extract_stream(
    reader: Box<dyn Read + Send + '_>,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let mut judge = |claim: Claim<'_>| intake.tree.judge(claim);
    let opened = StreamReader::new(reader, &mut judge);
    let (reader, manifest) = opened.map_err(|refusal| intake.refused(refusal))?;
    let layout = Layout::new(manifest);
    let slots = plan(&layout, intake, check)?;
    if intake.mode == Mode::Write {
        intake.make_dirs(site, threads, progress)?;
    }
    let total = intake.tree.counts.total();
    let mode = intake.mode;
    let hashes = Mutex::new(vec![[0; 32]; layout.manifest.blocks.len()]);
    let reading = Mutex::new(reader);
    let waiting = AtomicUsize::new(0);
    let task = Task {
        layout: &layout,
        slots: &slots,
        intake: &*intake,
    };
    let take = |worker: &mut Worker<'_>, block: Block| {
        let hash = block.hash();
        hashes.lock().unwrap_or_else(PoisonError::into_inner)[block.number] = hash;
        if mode == Mode::Write && task.is_wanted(block.number) {
            worker.extract(block.number, &block.payload)?;
        }
        waiting.fetch_sub(1, Ordering::Relaxed);
        Ok(())
    };
    let refused = |refusal: Refusal| -> Error { task.intake.refused(refusal) };
    let work = |queue: &mut Queue<'_, PipeJob>| {
        let mut worker = task.worker(site);
        while let Some(job) = queue.next() {
            match job {
                PipeJob::Empty(contents) => worker.make_empty(&contents)?,
                PipeJob::Block(block) => take(&mut worker, block)?,
                PipeJob::Read => {
                    let mut reader = reading.lock().unwrap_or_else(PoisonError::into_inner);
                    let mut written = 0_u64;
                    while let Some(block) = reader.next_block(&layout.manifest).map_err(refused)? {
                        if queue.is_stopped() {
                            break;
                        }
                        written = written.saturating_add(task.written_of(block.number));
                        let meter = &task.intake.tree.meter;
                        let read = task.intake.read.load(Ordering::Relaxed);
                        meter.check_ratio(written, read).map_err(refused)?;
                        waiting.fetch_add(1, Ordering::Relaxed);
                        queue.push([PipeJob::Block(block)]);
                        while waiting.load(Ordering::Relaxed) >= WAITING {
                            let has_helped = queue.help(|job| match job {
                                PipeJob::Read => Ok(()),
                                PipeJob::Empty(contents) => worker.make_empty(&contents),
                                PipeJob::Block(block) => take(&mut worker, block),
                            })?;
                            if !has_helped {
                                break;
                            }
                        }
                    }
                }
            }
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, total));
    let empty = task.empty().filter(|_| mode == Mode::Write);
    let empty = empty.filter_map(|job| match job {
        Job::Empty(contents) => Some(PipeJob::Empty(contents)),
        Job::Block(_) => None,
    });
    let jobs: Vec<_> = empty.chain([PipeJob::Read]).collect();
    pool::run(threads, jobs, work, report)?;
    let mut reader = reading.into_inner().unwrap_or_else(PoisonError::into_inner);
    let hashes = hashes.into_inner().unwrap_or_else(PoisonError::into_inner);
    let root_hash = reader.finish(&hashes).map_err(refused)?;
    // Holes as well, as from a file: how long the archive is shows only now.
    let read = task.intake.read.load(Ordering::Relaxed);
    let announced = task.intake.tree.meter.check_announced(read);
    announced.map_err(refused)?;
    intake.root_hash = Some(root_hash);
    Ok(())
}
