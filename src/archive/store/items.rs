//! The members of an archive with a directory as chunks: each is decoded alone, a large one in the
//! parts that our own zips have, or once into a spool.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::Range;

use crate::archive::Section;
use crate::archive::directory::Directory;
use crate::archive::spool::Spool;
use crate::error::{ErrorKind, Refusal, Result};
use crate::format::ReadAt;
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Total};

use super::chunks::{Chunks, Kind, Scratch};
use super::{Manner, Store, sums};

/// A member with more content, or more data, than this is not decoded whole:
/// as much as a block of a `.bcp`.
const WHOLE: u64 = 16 << 20;

/// Bytes that are decoded at a time of a member that is kept.
const PIECE: usize = 256 << 10;

/// A member to be read: its number in the directory, and where its data is.
pub(crate) type Chosen = (usize, Range<u64>);

/// What each chunk is.
pub(super) struct Items {
    directory: Directory,
    places: Vec<Place>,
    /// What is neither small nor in parts.
    kept: Option<Spool>,
}

enum Place {
    Whole {
        item: usize,
        data: Range<u64>,
    },
    /// A part of an item whose data begins at `data`.
    Part {
        item: usize,
        part: usize,
        data: u64,
    },
    /// In the spool, from this byte on.
    Kept {
        item: usize,
        data: Range<u64>,
        at: u64,
    },
}

/// The contents of the members `chosen`: in the row, one stands behind the
/// other. `spool` makes a file for those that are kept.
pub(crate) fn of_items(
    file: File,
    directory: Directory,
    chosen: Vec<Chosen>,
    spool: &dyn Fn() -> Result<Spool>,
    manner: &Manner<'_>,
) -> Result<Store> {
    let mut places = Vec::with_capacity(chosen.len());
    let mut sizes = Vec::with_capacity(chosen.len());
    let mut kept = 0_u64;
    for (number, data) in chosen {
        let item = directory.item(number);
        if let Some(parts) = item.parts() {
            for (part, about) in parts.iter().enumerate() {
                places.push(Place::Part {
                    item: number,
                    part,
                    data: data.start,
                });
                sizes.push(about.content.end - about.content.start);
            }
            continue;
        }
        sizes.push(item.size());
        let is_small = item.size() <= WHOLE && data.end - data.start <= WHOLE;
        places.push(match is_small {
            true => Place::Whole { item: number, data },
            false => {
                let at = kept;
                let end = kept.checked_add(item.size());
                kept = end.ok_or_else(|| (manner.refused)(too_large()))?;
                Place::Kept {
                    item: number,
                    data,
                    at,
                }
            }
        });
    }
    let mut items = Items {
        directory,
        places,
        kept: None,
    };
    if items.places.iter().any(Place::is_kept) {
        let spool = spool()?;
        items.keep(&file, &spool, manner)?;
        items.kept = Some(spool);
    }
    let starts = sums(sizes.into_iter());
    let chunks = Chunks::new(file, starts, Kind::Items(Box::new(items)));
    Ok(Store::Chunks(chunks))
}

fn too_large() -> Refusal {
    let cause = "its members have more bytes than a file can have";
    Refusal::new(ErrorKind::LimitExceeded, cause)
}

impl Place {
    fn is_kept(&self) -> bool {
        match self {
            Place::Kept { .. } => true,
            Place::Whole { .. } | Place::Part { .. } => false,
        }
    }
}

impl Items {
    /// Whether a chunk stands in the spool.
    pub(super) fn is_kept(&self, number: usize) -> bool {
        self.places[number].is_kept()
    }

    /// Fills `buffer` from the byte `within` of a chunk that is kept.
    pub(super) fn read_kept(
        &self,
        number: usize,
        within: u64,
        buffer: &mut [u8],
    ) -> Result<(), Refusal> {
        match (&self.places[number], &self.kept) {
            (Place::Kept { at, .. }, Some(spool)) => spool.read(buffer, at + within),
            (Place::Kept { .. } | Place::Whole { .. } | Place::Part { .. }, _) => {
                Err(Refusal::malformed("a content has no such bytes"))
            }
        }
    }

    /// Replaces `raw` by the content of a chunk, which is checked.
    pub(super) fn decode(
        &self,
        file: &File,
        number: usize,
        scratch: &mut Scratch,
        raw: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut read = |range: Range<u64>| {
            // Not more than a part or a whole member may have.
            scratch.stored.resize((range.end - range.start) as usize, 0);
            let read = file.read_exact_at(&mut scratch.stored, range.start);
            read.map_err(Refusal::io)
        };
        match &self.places[number] {
            Place::Whole { item, data } => {
                read(data.clone())?;
                let item = self.directory.item(*item);
                item.decode_whole(&scratch.stored, raw, &mut scratch.unpacker)
            }
            Place::Part { item, part, data } => {
                let item = self.directory.item(*item);
                let part = &item.parts().unwrap_or_default()[*part];
                read(data + part.stored.start..data + part.stored.end)?;
                item.decode_part(part, &scratch.stored, raw, &mut scratch.unpacker)
            }
            Place::Kept { .. } => Ok(()),
        }
    }

    /// Decodes all that is kept into `spool`.
    fn keep(&self, file: &File, spool: &Spool, manner: &Manner<'_>) -> Result<()> {
        let counters = Counters::default();
        let refused = manner.refused;
        let work = |queue: &mut Queue<'_, usize>| {
            let mut buffer = vec![0; PIECE];
            while let Some(number) = queue.next() {
                let Place::Kept { item, data, at } = &self.places[number] else {
                    continue;
                };
                let item = self.directory.item(*item);
                let section = BufReader::with_capacity(PIECE, Section::new(file, data.clone()));
                let mut reader = item.decode(section).map_err(refused)?;
                let mut at = *at;
                while !queue.is_stopped() {
                    match reader.read(&mut buffer) {
                        Ok(0) => break,
                        Ok(count) => {
                            spool.write_at(&buffer[..count], at)?;
                            at += count as u64;
                            counters.add(0, count as u64);
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) => {
                            return Err(refused(item.blame(&Refusal::io(error))));
                        }
                    }
                }
            }
            Ok(())
        };
        let report = || {
            let status = counters.status(Phase::Scanning, Total::default());
            manner.progress.report(&status)
        };
        let kept = (0..self.places.len()).filter(|number| self.is_kept(*number));
        pool::run(manner.threads, kept, work, report)?;
        Ok(())
    }
}
