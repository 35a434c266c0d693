//! What a packing finds out about every file before the first byte is written:
//! its hash, where it has data, what it is like, and whether a filter helps.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::codec::{arm64, x86};
use crate::entry::{Member, MemberKind};
use crate::error::Result;
use crate::extents::Extents;
use crate::format::bcp::{Content, Filter};
use crate::pool::{self, Queue};
use crate::progress::{Phase, Progress};

use super::buffer::Buffer;
use super::members::Item;
use super::output::Job;
use super::parts::PartFinder;
use super::program::Class;
use super::reader::Reader;
use super::similar::{Features, Sketch};
use super::source::{Begin, Source};
use super::trial::Trial;

/// Bytes of a file that are read at a time.
const READ: u64 = 1 << 20;

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
    /// All that is worth another form. To find deflate streams takes a second for 40 MB of
    /// them.
    Parts,
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
    depth: Depth,
    reader: Reader<'j>,
    buffer: Buffer,
    trial: Trial<'j>,
    parts: PartFinder,
}

impl<'j> Surveyor<'j> {
    fn new(job: &'j Job<'j>, depth: Depth) -> Result<Self> {
        Ok(Self {
            depth,
            reader: job.reader(),
            buffer: Buffer::default(),
            trial: Trial::new(job)?,
            parts: PartFinder::new(),
        })
    }

    fn look(&mut self, number: usize, item: &Item) -> Result<Found> {
        let (opened, member) = self.reader.open(item)?;
        let extents = self.reader.extents(item, &opened)?;
        let size = member.size;
        let (mut hasher, mut sketch) = (blake3::Hasher::new(), Sketch::default());
        let mut begin = Begin::of(&[], 0);
        let stored = extents.as_ref().map_or(size, Extents::data);
        let source = Source {
            item,
            opened: &opened,
            extents: extents.as_ref(),
        };
        let mut at = 0;
        while at < stored {
            let end = (at + READ).min(stored);
            self.buffer.clear();
            source.read(&mut self.reader, at..end, &mut self.buffer)?;
            if at == 0 {
                begin = Begin::of(&self.buffer, stored);
            }
            hasher.update(&self.buffer);
            if self.depth >= Depth::Likeness {
                sketch.update(&self.buffer);
            }
            at = end;
        }
        let filter = self.filter(&source, stored, &begin)?;
        self.reader.check(item, &opened)?;
        Ok(Found {
            item: number,
            member,
            content: Content {
                size,
                hash: *hasher.finalize().as_bytes(),
                filter,
                extents: extents.map(|extents| match extents.is_empty() {
                    true => vec![(0, 0)].into(),
                    false => extents,
                }),
            },
            class: begin.class,
            features: sketch.features(),
        })
    }

    /// The filter that makes a file of `data` bytes, which begin like `begin`, smaller.
    fn filter(&mut self, source: &Source<'_>, data: u64, begin: &Begin) -> Result<Filter> {
        match self.depth {
            Depth::Hashes => Ok(Filter::None),
            Depth::Likeness => self.filter_of_code(source, begin),
            Depth::Parts => {
                let (reader, trial) = (&mut self.reader, &mut self.trial);
                let parts = self.parts.find(source, reader, trial, data, begin)?;
                Ok(match parts.is_empty() {
                    true => Filter::None,
                    false => Filter::Parts(parts),
                })
            }
        }
    }

    /// The one that makes the middle of a program's code smaller.
    fn filter_of_code(&mut self, source: &Source<'_>, begin: &Begin) -> Result<Filter> {
        let (filter, convert): (_, fn(&mut [u8], u64)) = match begin.class {
            Class::X86 => (Filter::X86(begin.code.clone()), x86::encode),
            Class::Arm64 => (Filter::Arm64(begin.code.clone()), arm64::encode),
            Class::OtherProgram | Class::Other => return Ok(Filter::None),
        };
        let sample = Trial::middle(&begin.code);
        let start = sample.start;
        let convert = |data: &[u8], out: &mut Vec<u8>| {
            out.extend_from_slice(data);
            convert(out, start);
        };
        let helps = self
            .trial
            .helps(source, &mut self.reader, sample, convert)?;
        Ok(match helps {
            true => filter,
            false => Filter::None,
        })
    }
}
