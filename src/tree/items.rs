//! The contents of archives with a directory, on all threads.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use crate::archive::Section;
use crate::archive::directory::{Directory, Item};
use crate::error::{Refusal, Result};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::Total;

use super::Reading;
use super::hashing::Hashing;
use super::moment::Clock;
use super::packed::{HardLinks, Packed, Task, Tells};

/// Compressed bytes that one job decodes, if they are of several members.
const BATCH: u64 = 512 << 10;

/// Bytes that are read, and decoded, at a time.
const PIECE: usize = 128 << 10;

/// A file, and where its data is.
struct Slot<'d> {
    item: Item<'d>,
    data: Range<u64>,
    node: NodeId,
}

/// Reads the archive `file`.
pub(super) fn read(
    file: &File,
    directory: &Directory,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let mut packed = Packed::new(HardLinks::Lost);
    let slots = plan(file, directory, &mut packed).map_err(task.refused)?;
    // Nobody has checked yet what the sizes are said to be.
    let add = |sum: u64, slot: &Slot<'_>| sum.saturating_add(slot.item.size());
    let total = Total {
        entries: Some(slots.len() as u64),
        bytes: Some(slots.iter().fold(0, add)),
    };
    let work = |queue: &mut Queue<'_, Range<usize>>| {
        let mut hashes = Vec::new();
        let mut buffer = vec![0; PIECE];
        while let Some(batch) = queue.next() {
            let stops = || queue.is_stopped();
            for slot in &slots[batch] {
                let hash = hash(file, slot, &mut buffer, task, &stops);
                hashes.push(hash.map_err(task.refused)?);
            }
        }
        Ok(hashes)
    };
    let report = || reading.report(&task.counters, total);
    let batches = batches(&slots).into_iter().rev();
    for hashes in pool::run(task.threads, batches, work, report)? {
        packed.set_hashes(hashes);
    }
    Ok(packed)
}

/// Takes all members into the tree, and returns the files in the order of
/// their data.
fn plan<'d>(
    file: &File,
    directory: &'d Directory,
    packed: &mut Packed,
) -> Result<Vec<Slot<'d>>, Refusal> {
    let ranges = directory.check_all(file)?;
    let mut slots = Vec::with_capacity(ranges.len());
    for (item, data) in directory.items().zip(ranges) {
        let member = directory.member(file, item)?;
        if let Some(node) = packed.accept(&member, tells(item))? {
            slots.push(Slot { item, data, node });
        }
    }
    slots.sort_by_key(|slot| slot.data.start);
    Ok(slots)
}

fn tells(item: Item<'_>) -> Tells {
    match item {
        Item::Zip(entry) => Tells {
            mode: entry.tells_mode,
            xattrs: false,
            clock: match entry.has_dos_time {
                true => Clock::TwoSeconds,
                false => Clock::Ticks,
            },
        },
        // It says what may be run, but no modes, and no times at all.
        Item::Package(_) => Tells {
            mode: false,
            xattrs: false,
            clock: Clock::Seconds,
        },
    }
}

fn batches(slots: &[Slot<'_>]) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let mut first = 0;
    for next in 1..=slots.len() {
        let begin = slots[first].data.start;
        if next == slots.len() || slots[next].data.end - begin > BATCH {
            batches.push(first..next);
            first = next;
        }
    }
    batches
}

fn hash(
    file: &File,
    slot: &Slot<'_>,
    buffer: &mut [u8],
    task: &Task<'_>,
    stops: &dyn Fn() -> bool,
) -> Result<(NodeId, Option<blake3::Hash>), Refusal> {
    let length = slot.data.end - slot.data.start;
    let capacity = usize::try_from(length).map_or(PIECE, |length| length.clamp(1, PIECE));
    let section = Section::new(file, slot.data.clone());
    let mut reader = slot
        .item
        .decode(BufReader::with_capacity(capacity, section))?;
    let mut hashing = Hashing::new(slot.node, slot.item.size(), task);
    let mut at = 0;
    while !stops() {
        match reader.read(buffer) {
            Ok(0) => break,
            Ok(count) => {
                hashing.take(at, &buffer[..count], stops);
                task.counters.add(0, count as u64);
                at += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(slot.item.blame(&Refusal::io(error))),
        }
    }
    task.counters.add(1, 0);
    Ok(hashing.finish(stops))
}
