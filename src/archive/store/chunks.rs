//! Contents in chunks that each are decoded alone. Decoding checks: checksums,
//! hashes, and what the index says of the chunk.

use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::archive::directory::Unpacker;
use crate::archive::index::Index;
use crate::archive::spool::Spool;
use crate::codec::Decompressor;
use crate::error::{Refusal, Result};
use crate::format::{ReadAt, bcp};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Total};

use super::items::Items;
use super::{Manner, Order, Stored, frame};

/// Bytes of decoded chunks that are remembered, and how many of them.
const REMEMBERED: u64 = 64 << 20;
const MOST: usize = 32;

/// How often a chunk may be decoded, on average, before all are kept instead.
const TIMES: u64 = 3;

/// Contents in chunks.
pub(crate) struct Chunks {
    file: File,
    /// Where each begins in the row, and where the last ends.
    starts: Vec<u64>,
    kind: Kind,
    /// Bytes that are remembered: at least a chunk for every thread.
    room: u64,
    /// The newest last.
    decoded: Mutex<Vec<(usize, Arc<Slot>)>>,
    spare: Mutex<Vec<Scratch>>,
}

/// What the chunks are.
pub(super) enum Kind {
    Frames(Index),
    Blocks(Box<bcp::Index>),
    Items(Box<Items>),
}

/// A chunk that was decoded, or is just now.
type Slot = Mutex<Option<Arc<Vec<u8>>>>;

/// What decoding takes.
pub(super) struct Scratch {
    pub decompressor: Decompressor,
    pub unpacker: Unpacker,
    pub stored: Vec<u8>,
    /// A block of a `.bcp` as it is decoded, before filters are undone.
    pub block: Vec<u8>,
    pub restorer: bcp::Restorer,
}

impl Chunks {
    pub(super) fn new(file: File, starts: Vec<u64>, kind: Kind) -> Self {
        Self {
            file,
            starts,
            kind,
            room: REMEMBERED,
            decoded: Mutex::default(),
            spare: Mutex::default(),
        }
    }

    /// Lets `threads` threads read a chunk each, piece by piece, without that one
    /// drops what another reads.
    pub(super) fn make_room(&mut self, threads: usize) {
        let decoded = (0..self.count()).filter(|number| !self.is_kept(*number));
        let largest = decoded.map(|number| self.size(number)).max();
        let needed = largest.unwrap_or(0).saturating_mul(threads as u64);
        self.room = self.room.max(needed);
    }

    /// Whether a chunk is read from a spool.
    fn is_kept(&self, number: usize) -> bool {
        match &self.kind {
            Kind::Items(items) => items.is_kept(number),
            Kind::Frames(_) | Kind::Blocks(_) => false,
        }
    }

    fn count(&self) -> usize {
        self.starts.len() - 1
    }

    fn size(&self, number: usize) -> u64 {
        self.starts[number + 1] - self.starts[number]
    }

    /// The chunk that has the byte at `offset`.
    fn at(&self, offset: u64) -> usize {
        self.starts.partition_point(|start| *start <= offset) - 1
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(super) fn read(&self, mut buffer: &mut [u8], mut offset: u64) -> Result<(), Refusal> {
        while !buffer.is_empty() {
            let number = self.at(offset);
            if number >= self.count() {
                return Err(Refusal::malformed("a content has no such bytes"));
            }
            let within = offset - self.starts[number];
            let left = usize::try_from(self.size(number) - within).unwrap_or(usize::MAX);
            let (here, rest) = buffer.split_at_mut(left.min(buffer.len()));
            match &self.kind {
                Kind::Items(items) if items.is_kept(number) => {
                    items.read_kept(number, within, here)?;
                }
                Kind::Frames(_) | Kind::Blocks(_) | Kind::Items(_) => {
                    let raw = self.chunk(number)?;
                    let within = within as usize;
                    here.copy_from_slice(&raw[within..within + here.len()]);
                }
            }
            offset += here.len() as u64;
            buffer = rest;
        }
        Ok(())
    }

    /// A chunk, decoded once however many ask for it at a time.
    fn chunk(&self, number: usize) -> Result<Arc<Vec<u8>>, Refusal> {
        let slot = self.slot(number);
        let mut held = lock(&slot);
        if let Some(raw) = &*held {
            return Ok(Arc::clone(raw));
        }
        let mut raw = Vec::new();
        let mut scratch = lock(&self.spare).pop().unwrap_or_else(Scratch::new);
        self.decode(number, &mut scratch, &mut raw)?;
        lock(&self.spare).push(scratch);
        let raw = Arc::new(raw);
        *held = Some(Arc::clone(&raw));
        Ok(raw)
    }

    /// The place of a chunk among those that are remembered.
    fn slot(&self, number: usize) -> Arc<Slot> {
        let mut decoded = lock(&self.decoded);
        let found = decoded.iter().position(|(chunk, _)| *chunk == number);
        let slot = match found {
            Some(at) => decoded.remove(at).1,
            None => Arc::default(),
        };
        decoded.push((number, Arc::clone(&slot)));
        let mut bytes: u64 = decoded.iter().map(|(chunk, _)| self.size(*chunk)).sum();
        while decoded.len() > 1 && (bytes > self.room || decoded.len() > MOST) {
            let (oldest, _) = decoded.remove(0);
            bytes -= self.size(oldest);
        }
        slot
    }

    /// Replaces `raw` by what a chunk decodes to.
    fn decode(
        &self,
        number: usize,
        scratch: &mut Scratch,
        raw: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match &self.kind {
            Kind::Frames(index) => {
                let part = &index.parts[number];
                // A frame is a unit of ours: the table of frames was checked for that.
                scratch.stored.resize(part.frame.stored as usize, 0);
                let read = self
                    .file
                    .read_exact_at(&mut scratch.stored, part.frame.offset);
                read.map_err(Refusal::io)?;
                let decompressor = &mut scratch.decompressor;
                decompressor.zstd_frame(&scratch.stored, part.frame.raw, raw)?;
                frame::check(index, part, self.starts[number], raw)
            }
            Kind::Blocks(index) => {
                let layout = &index.layout;
                let size = layout.manifest.blocks[number];
                let payload = &mut scratch.stored;
                index.blocks[number].read_block(&self.file, payload, size)?;
                let block = &mut scratch.block;
                bcp::decode_block(&mut scratch.decompressor, payload, size, block)?;
                raw.reserve_exact(self.size(number) as usize);
                for piece in layout.pieces(number) {
                    let content = &layout.manifest.contents[piece.content];
                    let stored = &mut block[piece.range.clone()];
                    raw.extend_from_slice(scratch.restorer.restore(content, &piece, stored)?);
                }
                Ok(())
            }
            Kind::Items(items) => items.decode(&self.file, number, scratch, raw),
        }
    }

    /// Whether reading `wanted` decodes so much again that it is better kept.
    pub(super) fn is_costly(&self, wanted: &[Stored], order: Order) -> bool {
        let all = *self.starts.last().unwrap_or(&0);
        // A member of a zip is decoded for itself alone, whatever the order.
        let is_alone = matches!(self.kind, Kind::Items(_));
        if is_alone || (all <= REMEMBERED && self.count() <= MOST) {
            return false;
        }
        match order {
            Order::Any => true,
            Order::Once => {
                let mut decoded = 0_u64;
                let mut last = None;
                for &(start, length) in wanted.iter().filter(|(_, length)| *length > 0) {
                    for chunk in self.at(start)..=self.at(start + length - 1) {
                        if last != Some(chunk) {
                            decoded = decoded.saturating_add(self.size(chunk));
                            last = Some(chunk);
                        }
                    }
                }
                decoded > all.saturating_mul(TIMES)
            }
        }
    }

    /// Decodes all chunks into `spool`, each where it stands in the row.
    pub(super) fn keep(&self, spool: Spool, manner: &Manner<'_>) -> Result<Spool> {
        self.each(0..self.count(), manner, &|number, raw| {
            spool.write_at(raw, self.starts[number])
        })?;
        self.check_rest(manner)?;
        Ok(spool)
    }

    /// Checks the chunks that nothing of `wanted` stands in; the others are
    /// checked when they are read.
    pub(super) fn check_unread(&self, wanted: &[Stored], manner: &Manner<'_>) -> Result<()> {
        let mut is_read = vec![false; self.count()];
        for &(start, length) in wanted.iter().filter(|(_, length)| *length > 0) {
            is_read[self.at(start)..=self.at(start + length - 1)].fill(true);
        }
        let is_unread = |number: &usize| !is_read[*number] && !self.is_kept(*number);
        let unread = (0..self.count()).filter(is_unread);
        self.each(unread, manner, &|_, _| Ok(()))?;
        self.check_rest(manner)
    }

    /// Checks what stands beside the chunks.
    fn check_rest(&self, manner: &Manner<'_>) -> Result<()> {
        match &self.kind {
            Kind::Blocks(index) => index.check_others(&self.file).map_err(manner.refused),
            Kind::Frames(_) | Kind::Items(_) => Ok(()),
        }
    }

    /// Calls `take` with each of these chunks, on all threads.
    fn each(
        &self,
        numbers: impl Iterator<Item = usize>,
        manner: &Manner<'_>,
        take: &(dyn Fn(usize, &[u8]) -> Result<()> + Sync),
    ) -> Result<()> {
        let counters = Counters::default();
        let refused = manner.refused;
        let work = |queue: &mut Queue<'_, usize>| {
            let mut scratch = Scratch::new();
            let mut raw = Vec::new();
            while let Some(number) = queue.next() {
                let decoded = self.decode(number, &mut scratch, &mut raw);
                decoded.map_err(refused)?;
                take(number, &raw)?;
                counters.add(0, raw.len() as u64);
            }
            Ok(())
        };
        let report = || {
            let status = counters.status(Phase::Scanning, Total::default());
            manner.progress.report(&status)
        };
        let mut numbers: Vec<usize> = numbers.collect();
        // A worker takes the newest of its own jobs, the others the oldest.
        numbers.reverse();
        pool::run(manner.threads, numbers, work, report)?;
        Ok(())
    }
}

impl Scratch {
    pub(super) fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
            unpacker: Unpacker::new(),
            stored: Vec::new(),
            block: Vec::new(),
            restorer: bcp::Restorer::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn chunks(count: u64, size: u64) -> Chunks {
        let index = Index {
            members: Vec::new(),
            contents: Vec::new(),
            parts: Vec::new(),
        };
        let starts = (0..=count).map(|number| number * size).collect();
        Chunks::new(tempfile::tempfile().unwrap(), starts, Kind::Frames(index))
    }

    #[test]
    fn what_would_be_decoded_again_and_again_is_kept() {
        let in_order: Vec<Stored> = (0..400).map(|at| (at * MIB / 4, MIB / 4)).collect();
        let to_and_fro: Vec<Stored> = (0..400)
            .map(|at| ((at % 2 * 99 * MIB) + at * 100, 100))
            .collect();
        let cut = [(0, 100 * MIB)];
        for (count, wanted, order, is_costly) in [
            (100, &in_order[..], Order::Once, false),
            (100, &cut, Order::Once, false),
            (100, &to_and_fro, Order::Once, true),
            (100, &in_order, Order::Any, true),
            (30, &[], Order::Any, false),
        ] {
            let found = chunks(count, MIB).is_costly(wanted, order);
            assert_eq!(found, is_costly, "{count} {order:?}");
        }
    }

    #[test]
    fn every_thread_has_room_for_a_chunk() {
        let mut chunks = chunks(3, 16 * MIB);
        chunks.make_room(2);
        assert_eq!(chunks.room, REMEMBERED);
        chunks.make_room(16);
        assert_eq!(chunks.room, 256 * MIB);
    }
}
