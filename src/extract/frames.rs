//! Our own `.tar.zst` in a file: every frame by itself, on all threads.
//!
//! Such an archive ends with an index of its members. The index and the table
//! of frames together say what each frame holds, so everything is checked
//! before the first byte is written, and each frame is compared with the index
//! while it is extracted. So is every frame of which nothing was chosen: one
//! that lies about its members may hide or invent what was. An index that
//! doesn't fit its frames is not used; the archive is then read as a stream,
//! as any other reader does.

use std::fs::File;

use crate::archive::index::{Holding, Index, Then};
use crate::codec::Decompressor;
use crate::dest::writer::{Shared, Site, Writer};
use crate::entry::Member;
use crate::error::{Refusal, Result};
use crate::extents::placed;
use crate::format::ReadAt;
use crate::format::tar::{self, Event, Parser};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::intake::{Intake, Mode};
use super::tree::Accepted;

/// What becomes of a member.
enum Slot {
    LeftOut,
    File(NodeId),
    /// It goes on in another frame.
    Shared(Box<Shared>),
}

/// Extracts the archive `file` by its index.
pub(super) fn extract(
    (file, length): (&File, u64),
    index: &Index,
    intake: &mut Intake<'_>,
    site: &Site<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
    threads: usize,
    progress: &dyn Progress,
) -> Result<()> {
    let slots = plan(index, length, intake, check)?;
    if intake.mode == Mode::Look {
        return Ok(());
    }
    intake.make_dirs(site, threads, progress)?;
    let frames = Frames {
        file,
        members: &index.members,
        slots: &slots,
        intake: &*intake,
    };
    let total = intake.tree.counts.total();
    let work = |queue: &mut Queue<'_, Holding>| {
        let mut worker = Worker {
            frames: &frames,
            writer: site.writer(),
            decompressor: Decompressor::new(),
            stored: Vec::new(),
            raw: Vec::new(),
        };
        while let Some(part) = queue.next() {
            worker.extract(&part)?;
        }
        Ok(())
    };
    let report = || progress.report(&site.counters.status(Phase::Extracting, total));
    // A worker takes the newest of its own jobs, the others the oldest.
    pool::run(threads, index.parts.iter().rev().cloned(), work, report)?;
    Ok(())
}

/// Takes all members into the tree and checks it as a whole. Returns what
/// becomes of each.
fn plan(
    index: &Index,
    length: u64,
    intake: &mut Intake<'_>,
    check: &dyn Fn(&Intake<'_>) -> Result<()>,
) -> Result<Vec<Slot>> {
    let spans: Vec<usize> = index
        .parts
        .iter()
        .filter_map(|part| part.continued.map(|(member, _)| member))
        .collect();
    let mut slots = Vec::with_capacity(index.members.len());
    for (number, member) in index.members.iter().enumerate() {
        let slot = match intake.accept(member)? {
            Accepted::LeftOut | Accepted::Other(_) => Slot::LeftOut,
            Accepted::File(node) if spans.binary_search(&number).is_ok() => {
                let new = intake.tree.new_file(node, member);
                Slot::Shared(Box::new(Shared::new(new, tar::stored_size(member))))
            }
            Accepted::File(node) => Slot::File(node),
        };
        slots.push(slot);
    }
    let announced = intake.tree.meter.check_announced(length);
    announced.map_err(|refusal| intake.refused(refusal))?;
    check(intake)?;
    intake.is_checked = true;
    Ok(slots)
}

/// What all workers look at.
struct Frames<'f> {
    file: &'f File,
    members: &'f [Member],
    slots: &'f [Slot],
    intake: &'f Intake<'f>,
}

impl Frames<'_> {
    /// Writes content of a member: all of it, or a part of one that others
    /// write to as well.
    fn write<'p>(
        &self,
        writer: &mut Writer<'_>,
        member: usize,
        parts: impl Iterator<Item = (u64, &'p [u8])>,
    ) -> Result<()> {
        match &self.slots[member] {
            Slot::LeftOut => Ok(()),
            Slot::File(node) => {
                let new = self.intake.tree.new_file(*node, &self.members[member]);
                writer.write_whole(&new, parts)
            }
            Slot::Shared(shared) => {
                for (offset, bytes) in parts {
                    writer.write_shared(shared, offset, bytes)?;
                }
                Ok(())
            }
        }
    }
}

struct Worker<'w> {
    frames: &'w Frames<'w>,
    writer: Writer<'w>,
    decompressor: Decompressor,
    stored: Vec<u8>,
    raw: Vec<u8>,
}

impl Worker<'_> {
    fn extract(&mut self, part: &Holding) -> Result<()> {
        let refused = |refusal| self.frames.intake.refused(refusal);
        self.stored.resize(part.frame.stored as usize, 0);
        let read = self
            .frames
            .file
            .read_exact_at(&mut self.stored, part.frame.offset);
        read.map_err(|error| refused(Refusal::io(error)))?;
        let mut raw = std::mem::take(&mut self.raw);
        let decoded = self
            .decompressor
            .zstd_frame(&self.stored, part.frame.raw, &mut raw);
        decoded.map_err(refused)?;
        let begin = match part.continued {
            Some((member, offset)) => self.go_on(member, offset, &raw)?,
            None => 0,
        };
        self.parse(part, &raw[begin..])?;
        self.raw = raw;
        Ok(())
    }

    /// Writes what `raw` begins with: more of a member, from `offset` in its
    /// stored bytes on. Returns where the next member begins.
    fn go_on(&mut self, member: usize, offset: u64, raw: &[u8]) -> Result<usize> {
        let (about, slot) = (&self.frames.members[member], &self.frames.slots[member]);
        let stored = tar::stored_size(about);
        let left = stored.saturating_sub(offset);
        let here = usize::try_from(left).map_or(raw.len(), |left| left.min(raw.len()));
        if let Slot::Shared(shared) = slot {
            for (at, bytes) in placed(about.extents.as_ref(), offset, &raw[..here]) {
                self.writer.write_shared(shared, at, bytes)?;
            }
        }
        let end = stored + tar::padding(stored) as u64;
        let skipped = end.saturating_sub(offset);
        Ok(usize::try_from(skipped).map_or(raw.len(), |skipped| skipped.min(raw.len())))
    }

    /// Extracts the members that begin in `bytes`, which have to be those that
    /// the index names.
    fn parse(&mut self, part: &Holding, bytes: &[u8]) -> Result<()> {
        let frames = self.frames;
        let differs = || Refusal::malformed("its index names other members than it holds");
        let mut next = part.first;
        let mut content: Vec<(u64, std::ops::Range<usize>)> = Vec::new();
        let mut failed = None;
        let mut parser = Parser::new(tar::Options::default());
        let writer = &mut self.writer;
        let parsed = parser.feed(bytes, &mut |event| match event {
            Event::Member(member) => {
                if next == part.first + part.count || frames.members[next] != member {
                    return Err(differs());
                }
                next += 1;
                content.clear();
                Ok(())
            }
            Event::Data {
                offset,
                bytes: range,
            } => {
                content.push((offset, range));
                Ok(())
            }
            Event::Held { .. } => Ok(()),
            Event::MemberEnd => {
                let parts = content
                    .drain(..)
                    .map(|(offset, range)| (offset, &bytes[range]));
                let written = frames.write(writer, next - 1, parts);
                written.map_err(|error| {
                    failed = Some(error);
                    differs()
                })
            }
        });
        match failed {
            Some(error) => return Err(error),
            None => parsed.map_err(|refusal| frames.intake.refused(refusal))?,
        }
        // Whoever reads from the front is where the next worker believes to be.
        let fits = part.count == 0
            || match part.then {
                Then::Members(left) => parser.left() == Some(left),
                Then::End => true,
            };
        if next != part.first + part.count || !fits {
            return Err(frames.intake.refused(differs()));
        }
        // The last member goes on in the next frame.
        if let Some(last) = next.checked_sub(1)
            && !content.is_empty()
        {
            let parts = content
                .into_iter()
                .map(|(offset, range)| (offset, &bytes[range]));
            match &frames.slots[last] {
                Slot::LeftOut => {}
                Slot::Shared(_) => frames.write(&mut self.writer, last, parts)?,
                Slot::File(_) => return Err(frames.intake.refused(differs())),
            }
        }
        Ok(())
    }
}
