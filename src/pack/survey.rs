//! What a packing finds out about every file before the first byte is written:
//! its hash, where it has data, what it is like, and whether a filter helps.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codec::{Codec, Compressor, Level, Settings, x86};
use crate::entry::{Extent, MemberKind, places};
use crate::error::{Refusal, Result};
use crate::format::bcp::{Content, Filter};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::buffer::Buffer;
use super::members::Item;
use super::output::Job;
use super::program::{Class, class_of, code_of};
use super::reader::{Opened, Reader};
use super::similar::{Features, Sketch};

/// Bytes of a file that are read at a time.
const READ: u64 = 1 << 20;

/// Bytes in the middle of a program that a filter is tried on.
const TRIAL: u64 = 512 << 10;

/// One file.
pub(super) struct Found {
    /// The number of its item.
    pub item: usize,
    pub content: Content,
    pub class: Class,
    pub features: Features,
}

/// What to find out besides what every archive needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Hashes, and nothing else.
    Hashes,
    /// What makes an archive smaller as well.
    All,
}

/// Reads all files. Returns them in the order of their items.
pub(super) fn survey(job: &Job<'_>, depth: Depth, progress: &dyn Progress) -> Result<Vec<Found>> {
    let next = AtomicUsize::new(0);
    let work = |queue: &mut Queue<'_, ()>| {
        let mut surveyor = Surveyor::new(job, depth)?;
        let mut found = Vec::new();
        while queue.next().is_some() {
            while !queue.is_stopped() {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(item) = job.items.get(number) else {
                    break;
                };
                if item.kind == MemberKind::File {
                    found.push(surveyor.look(number, item)?);
                }
            }
        }
        Ok(found)
    };
    let report = || progress.report(&job.counters.status(Phase::Scanning, job.total));
    let found = pool::run(job.threads, vec![(); job.threads], work, report)?;
    let mut found: Vec<Found> = found.into_iter().flatten().collect();
    found.sort_by_key(|one| one.item);
    Ok(found)
}

struct Surveyor<'j> {
    job: &'j Job<'j>,
    depth: Depth,
    reader: Reader<'j>,
    buffer: Buffer,
    trial: Compressor,
}

impl<'j> Surveyor<'j> {
    fn new(job: &'j Job<'j>, depth: Depth) -> Result<Self> {
        let settings = Settings::new(Codec::Zstd, Level::default());
        let trial = Compressor::new(Codec::Zstd, settings);
        Ok(Self {
            job,
            depth,
            reader: job.reader(),
            buffer: Buffer::default(),
            trial: trial.map_err(|refusal| refusal.at("pack", job.shown))?,
        })
    }

    fn look(&mut self, number: usize, item: &Item) -> Result<Found> {
        let (opened, member) = self.reader.open(item)?;
        let extents = self.reader.extents(item, &opened)?;
        let size = member.size;
        let (mut hasher, mut sketch) = (blake3::Hasher::new(), Sketch::default());
        let (mut class, mut code) = (Class::Other, 0..0);
        let whole = [(0, size)];
        let extents_or_all = extents.as_deref().unwrap_or(&whole);
        let stored: u64 = extents_or_all.iter().map(|(_, length)| length).sum();
        let mut at = 0;
        while at < stored {
            let end = (at + READ).min(stored);
            self.buffer.clear();
            for range in places(extents_or_all, at..end) {
                self.reader.read(item, &opened, range, &mut self.buffer)?;
            }
            if at == 0 {
                class = class_of(&self.buffer);
                code = code_of(&self.buffer, stored);
            }
            hasher.update(&self.buffer);
            if self.depth == Depth::All {
                sketch.update(&self.buffer);
            }
            at = end;
        }
        let has_code = self.depth == Depth::All && class == Class::X86;
        let filter = match has_code && self.is_filtered(item, &opened, extents_or_all, &code)? {
            true => Filter::X86(code),
            false => Filter::None,
        };
        self.reader.check(item, &opened)?;
        Ok(Found {
            item: number,
            content: Content {
                size,
                hash: *hasher.finalize().as_bytes(),
                filter,
                extents: extents.map(|extents| match extents.is_empty() {
                    true => vec![(0, 0)],
                    false => extents,
                }),
            },
            class,
            features: sketch.features(),
        })
    }

    /// Whether the filter makes the middle of a program's code smaller.
    fn is_filtered(
        &mut self,
        item: &Item,
        opened: &Opened,
        extents: &[Extent],
        code: &Range<u64>,
    ) -> Result<bool> {
        let middle = code.start + (code.end - code.start) / 2;
        let start = middle.saturating_sub(TRIAL / 2).max(code.start);
        let end = (start + TRIAL).min(code.end);
        self.buffer.clear();
        for range in places(extents, start..end) {
            self.reader.read(item, opened, range, &mut self.buffer)?;
        }
        let refused = |refusal: Refusal| refusal.at("pack", self.job.shown);
        let (mut plain, mut filtered) = (Vec::new(), Vec::new());
        let compressed = self.trial.compress(&self.buffer, &mut plain);
        compressed.map_err(refused)?;
        x86::encode(self.buffer.filled_mut(0), start);
        let compressed = self.trial.compress(&self.buffer, &mut filtered);
        compressed.map_err(refused)?;
        Ok(filtered.len() < plain.len())
    }
}
