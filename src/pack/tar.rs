//! Packing into a tar, plain or compressed.
//!
//! Each unit becomes one member, stream, block or frame of the compression, so
//! that units are compressed by all workers and every frame of a `.tar.zst`
//! begins with a member or in the content of one.

use std::io::Write;
use std::ops::Range;

use crate::codec::{self, Codec, Compressor, Framing, Level, Settings};
use crate::entry::MemberKind;
use crate::error::{Error, Refusal, Result};
use crate::extents::{Extents, places};
use crate::format::tar::{self, IndexWriter};
use crate::progress::Progress;

use super::buffer::Buffer;
use super::crew::{Packer, Place, pack_all};
use super::output::Job;
use super::reader::Reader;
use super::sink::{Ledger, Product, Sink};
use super::unit::{Holes, Sizes, Unit};

/// How large units are.
pub(super) fn sizes(codec: Codec) -> Sizes {
    let unit = codec.unit_size() as u64;
    Sizes {
        unit,
        whole: unit + unit / 2,
        part: unit,
        holes: Holes::Keep,
    }
}

/// A unit, compressed.
struct Packed {
    bytes: Vec<u8>,
    unit: codec::Unit,
    /// The index of its members, as a zstd frame.
    headers: Vec<u8>,
}

impl Product for Packed {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// What stands around the units.
struct Frame {
    framing: Framing,
    index: Vec<u8>,
}

impl Ledger<Packed> for Frame {
    fn note(&mut self, product: &mut Packed, _: u64) -> Result<(), Refusal> {
        self.framing.push(&product.unit)?;
        self.index.extend_from_slice(&product.headers);
        Ok(())
    }
}

/// How many workers compress: at most 128 MiB for each thread, and xz takes
/// about 200 MiB for each worker above level 6 (463 MiB with two, measured).
fn workers(job: &Job<'_>, codec: Codec) -> Result<usize, Refusal> {
    const LAST_SMALL: i32 = 6;
    Ok(match codec {
        Codec::Xz if job.level.resolve(codec)? > LAST_SMALL => (job.threads / 2).max(1),
        Codec::Xz | Codec::Store | Codec::Gzip | Codec::Bzip2 | Codec::Zstd => job.threads,
    })
}

/// Whether an index is written behind the frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    Write,
    None,
}

/// Packs `units` into `writer`. Returns it, with the bytes written.
pub(super) fn pack<W: Write + Send>(
    (job, units): (&Job<'_>, &[Unit]),
    codec: Codec,
    index: Index,
    writer: W,
    progress: &dyn Progress,
) -> Result<(W, u64)> {
    let refused = |refusal: Refusal| refusal.at("pack", job.shown);
    let settings = Settings::new(codec, job.level);
    let framing = Framing::new(codec);
    let mut edge = Vec::new();
    framing.begin(&mut edge);
    let frame = Frame {
        framing,
        index: Vec::new(),
    };
    let workers = workers(job, codec).map_err(refused)?;
    let sink = Sink::new(writer, frame, 2 * workers + 2);
    sink.write(&edge).map_err(|error| job.write_error(error))?;
    let start = || {
        Ok(TarPacker {
            job,
            index,
            reader: job.reader(),
            compressor: Compressor::new(codec, settings).map_err(refused)?,
            headers: Compressor::new(Codec::Zstd, index_settings()).map_err(refused)?,
            raw: Buffer::default(),
            header: Vec::new(),
        })
    };
    pack_all(job, units, workers, &sink, start, progress)?;
    let (mut writer, frame, written) = sink.into_parts();
    let edge = close(frame, index).map_err(refused)?;
    writer
        .write_all(&edge)
        .map_err(|error| job.write_error(error))?;
    Ok((writer, written + edge.len() as u64))
}

fn index_settings() -> Settings {
    Settings::new(Codec::Zstd, Level::default())
}

/// What stands behind the last unit.
fn close(mut frame: Frame, index: Index) -> Result<Vec<u8>, Refusal> {
    let mut edge = Vec::new();
    if index == Index::Write {
        frame
            .framing
            .push_skippable(tar::INDEX_NIBBLE, &frame.index, &mut edge)?;
    }
    frame.framing.end(&mut edge)?;
    Ok(edge)
}

/// One worker.
struct TarPacker<'p> {
    job: &'p Job<'p>,
    index: Index,
    reader: Reader<'p>,
    compressor: Compressor,
    headers: Compressor,
    raw: Buffer,
    header: Vec<u8>,
}

impl Packer<Unit, Packed> for TarPacker<'_> {
    fn pack(&mut self, unit: &Unit, place: Place, spare: Vec<u8>) -> Result<Packed> {
        self.raw.clear();
        let mut headers = IndexWriter::default();
        match unit {
            Unit::Members(range) => {
                for number in range.clone() {
                    self.append_member(number, &mut headers)?;
                }
            }
            Unit::Part {
                item,
                stored,
                is_last,
                extents,
            } => {
                let extents = extents.as_deref();
                self.append_part(*item, extents, stored.clone(), *is_last, &mut headers)?;
            }
        }
        if place == Place::Last {
            self.raw.append(&tar::END);
        }
        let mut bytes = spare;
        let refused = |refusal: Refusal| refusal.at("pack", self.job.shown);
        let unit = self.compressor.compress(&self.raw, &mut bytes);
        let mut index = Vec::new();
        let headers = headers.into_bytes();
        if !headers.is_empty() {
            self.headers
                .compress(&headers, &mut index)
                .map_err(refused)?;
        }
        Ok(Packed {
            bytes,
            unit: unit.map_err(refused)?,
            headers: index,
        })
    }
}

impl TarPacker<'_> {
    /// Appends a whole member to the unit, and its header to `headers`.
    fn append_member(&mut self, number: usize, headers: &mut IndexWriter) -> Result<()> {
        let item = *self.reader.item(number);
        match item.kind {
            MemberKind::Dir | MemberKind::Symlink | MemberKind::Hardlink => {
                let member = self.reader.member(&item)?;
                self.append_header(&member, &item, headers)?;
            }
            MemberKind::File => {
                let (opened, mut member) = self.reader.open(&item)?;
                member.extents = self.reader.extents(&item, &opened)?;
                self.append_header(&member, &item, headers)?;
                let stored = 0..tar::stored_size(&member);
                for range in places(member.extents.as_ref(), stored) {
                    self.reader.read(&item, &opened, range, &mut self.raw)?;
                }
                self.reader.check(&item, &opened)?;
                self.pad(tar::stored_size(&member));
                self.job.counters.add(0, member.size);
            }
        }
        self.job.counters.add(1, 0);
        Ok(())
    }

    fn append_part(
        &mut self,
        number: usize,
        extents: Option<&Extents>,
        stored: Range<u64>,
        is_last: bool,
        headers: &mut IndexWriter,
    ) -> Result<()> {
        let item = *self.reader.item(number);
        let (opened, mut member) = self.reader.open(&item)?;
        member.extents = extents.cloned();
        if stored.start == 0 {
            self.append_header(&member, &item, headers)?;
        }
        let mut length = stored.end - stored.start;
        for range in places(extents, stored) {
            self.reader.read(&item, &opened, range, &mut self.raw)?;
        }
        self.reader.check(&item, &opened)?;
        if is_last {
            let stored = tar::stored_size(&member);
            self.pad(stored);
            length += member.size - stored;
            self.job.counters.add(1, 0);
        }
        self.job.counters.add(0, length);
        Ok(())
    }

    fn append_header(
        &mut self,
        member: &crate::entry::Member,
        item: &super::members::Item,
        headers: &mut IndexWriter,
    ) -> Result<()> {
        self.header.clear();
        tar::append_header(member, &mut self.header)
            .map_err(|refusal| -> Error { refusal.at("pack", self.reader.path(item)) })?;
        self.raw.append(&self.header);
        if self.index == Index::Write {
            headers.push(member, self.header.len() as u64);
        }
        Ok(())
    }

    fn pad(&mut self, stored: u64) {
        self.raw.append_zeros(tar::padding(stored));
    }
}
