//! What a packing finds out about every file before the first byte is written:
//! its hash, where it has data, what it is like, and whether a filter helps.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codec::{Codec, Compressor, Level, Settings, arm64, x86};
use crate::entry::{Extent, Member, MemberKind, places};
use crate::error::{Refusal, Result};
use crate::format::bcp::{Content, Filter};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::buffer::Buffer;
use super::deflated::Finder;
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
    /// What the archive says of it.
    pub member: Member,
    pub content: Content,
    pub class: Class,
    pub features: Features,
}

/// What to find out besides what every archive needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Depth {
    /// Hashes, and nothing else.
    Hashes,
    /// What is alike, and whether a filter helps.
    Likeness,
    /// Deflate streams as well, which takes a second for 40 MB of them.
    Streams,
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

/// A file that is open.
struct Source<'s> {
    item: &'s Item,
    opened: &'s Opened,
    extents: &'s [Extent],
}

impl Source<'_> {
    /// Appends a range of its data to `buffer`.
    fn read(&self, reader: &mut Reader<'_>, range: Range<u64>, buffer: &mut Buffer) -> Result<()> {
        for range in places(self.extents, range) {
            reader.read(self.item, self.opened, range, buffer)?;
        }
        Ok(())
    }
}

struct Surveyor<'j> {
    job: &'j Job<'j>,
    depth: Depth,
    reader: Reader<'j>,
    buffer: Buffer,
    trial: Compressor,
    finder: Finder,
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
            finder: Finder::new(),
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
        let source = Source {
            item,
            opened: &opened,
            extents: extents_or_all,
        };
        let mut at = 0;
        while at < stored {
            let end = (at + READ).min(stored);
            self.buffer.clear();
            source.read(&mut self.reader, at..end, &mut self.buffer)?;
            if at == 0 {
                class = class_of(&self.buffer);
                code = code_of(&self.buffer, stored);
            }
            hasher.update(&self.buffer);
            if self.depth >= Depth::Likeness {
                sketch.update(&self.buffer);
            }
            at = end;
        }
        let filter = self.filter(&source, stored, class, code)?;
        self.reader.check(item, &opened)?;
        Ok(Found {
            item: number,
            member,
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

    /// The filter that makes a file of `data` bytes smaller.
    fn filter(
        &mut self,
        source: &Source<'_>,
        data: u64,
        class: Class,
        code: Range<u64>,
    ) -> Result<Filter> {
        if self.depth >= Depth::Streams {
            let reader = &mut self.reader;
            let read = |range, buffer: &mut Buffer| source.read(reader, range, buffer);
            let streams = self.finder.find(data, read)?;
            if !streams.is_empty() {
                return Ok(Filter::Inflated(streams));
            }
        }
        let convert = match class {
            Class::X86 => x86::encode,
            Class::Arm64 => arm64::encode,
            Class::OtherProgram | Class::Other => return Ok(Filter::None),
        };
        if self.depth < Depth::Likeness || !self.is_smaller(source, &code, convert)? {
            return Ok(Filter::None);
        }
        Ok(match class {
            Class::Arm64 => Filter::Arm64(code),
            Class::X86 | Class::OtherProgram | Class::Other => Filter::X86(code),
        })
    }

    /// Whether `convert` makes the middle of a program's code smaller.
    fn is_smaller(
        &mut self,
        source: &Source<'_>,
        code: &Range<u64>,
        convert: fn(&mut [u8], u64),
    ) -> Result<bool> {
        let middle = code.start + (code.end - code.start) / 2;
        let start = middle.saturating_sub(TRIAL / 2).max(code.start);
        let end = (start + TRIAL).min(code.end);
        self.buffer.clear();
        source.read(&mut self.reader, start..end, &mut self.buffer)?;
        let refused = |refusal: Refusal| refusal.at("pack", self.job.shown);
        let (mut plain, mut filtered) = (Vec::new(), Vec::new());
        let compressed = self.trial.compress(&self.buffer, &mut plain);
        compressed.map_err(refused)?;
        convert(self.buffer.filled_mut(0), start);
        let compressed = self.trial.compress(&self.buffer, &mut filtered);
        compressed.map_err(refused)?;
        Ok(filtered.len() < plain.len())
    }
}
