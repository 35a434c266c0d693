//! Packing into a zip.
//!
//! Members are compressed whole, by all workers; a file too large for that is
//! cut into parts of one Deflate stream, each ending on a byte, with its sizes
//! in a descriptor behind it. What doesn't become smaller is stored. Where a
//! member begins shows when its unit is written, and so the directory is made
//! then.

use std::io::Write;
use std::ops::Range;

use flate2::{Compress, Compression, FlushCompress, Status};
use libdeflater::{CompressionLvl, Compressor};

use crate::codec::{Codec, Level, Profile, compresses};
use crate::dest::attributes::Losses;
use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal, Result};
use crate::format::zip::{
    LARGE, Method, NewEntry, PartsWriter, SizesIn, Width, central_header, data_descriptor,
    end_records, local_header,
};
use crate::progress::Progress;

use super::ZipMethod;
use super::buffer::Buffer;
use super::crew::{Packer, Place, pack_all};
use super::output::Job;
use super::reader::Reader;
use super::sink::{Ledger, Product, Sink};
use super::unit::{Holes, Sizes, Unit};

/// Bytes of members that one worker packs at a time.
const UNIT: u64 = 1 << 20;

/// How large units are. Files that are larger than one that is compressed whole
/// are cut into parts, which have no Zstandard.
pub(super) fn sizes(method: ZipMethod) -> Sizes {
    Sizes {
        unit: UNIT,
        whole: match method {
            ZipMethod::Deflate => LARGE,
            ZipMethod::Zstd => 16 << 20,
        },
        part: PART,
        holes: Holes::Fill,
    }
}

/// Content of one part of a large file. A part can't refer to the one before:
/// at this size that costs less than a hundredth of a per cent.
const PART: u64 = 4 << 20;

/// libdeflate's level where none is asked for. A zip's members are compressed
/// one by one: with 6, node_modules (37,000 small files) came out 1.3 % larger
/// than `zip -6` makes it, with 8 still 0.4 %, with 9 it is 0.9 % smaller, in
/// less than half of zip's time.
const DEFAULT_LEVEL: i32 = 9;

/// From this size on the members that follow may not fit into four bytes.
const WIDE: u64 = 0xF000_0000;

/// Content from this size on is tried before it is compressed whole.
const TRIED_FROM: usize = 64 << 10;

/// How much of it is tried, at two places.
const TRIAL: usize = 16 << 10;

/// A unit, compressed.
struct Packed {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    part: Option<Part>,
}

/// A member of a unit.
struct Entry {
    member: Member,
    method: Method,
    crc32: u32,
    compressed_size: u64,
    uncompressed_size: u64,
    /// From the beginning of its unit.
    offset: u64,
}

/// A part of a large file.
struct Part {
    /// What it is a part of, with the first one.
    begins: Option<Member>,
    crc32: crc32fast::Hasher,
    compressed: u64,
    uncompressed: u64,
    is_last: bool,
}

impl Product for Packed {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// The directory, as far as members are written.
#[derive(Default)]
struct Directory {
    bytes: Vec<u8>,
    count: u64,
    large: Option<Large>,
}

/// A large file of which parts are written.
struct Large {
    member: Member,
    offset: u64,
    crc32: crc32fast::Hasher,
    compressed: u64,
    uncompressed: u64,
    parts: PartsWriter,
}

impl Ledger<Packed> for Directory {
    fn note(&mut self, product: &mut Packed, offset: u64) -> Result<(), Refusal> {
        for entry in &product.entries {
            let new = NewEntry {
                offset: offset + entry.offset,
                ..new_entry(entry)
            };
            central_header(&new, &mut self.bytes)?;
            self.count += 1;
        }
        match product.part.take() {
            Some(part) => self.note_part(part, &mut product.bytes, offset),
            None => Ok(()),
        }
    }
}

impl Directory {
    fn note_part(&mut self, part: Part, bytes: &mut Vec<u8>, offset: u64) -> Result<(), Refusal> {
        if let Some(member) = part.begins {
            self.large = Some(Large {
                member,
                offset,
                crc32: crc32fast::Hasher::new(),
                compressed: 0,
                uncompressed: 0,
                parts: PartsWriter::default(),
            });
        }
        let large = self.large.as_mut().expect("a first part comes first");
        large.crc32.combine(&part.crc32);
        large.parts.push(part.compressed, part.crc32.finalize());
        large.compressed += part.compressed;
        large.uncompressed += part.uncompressed;
        if !part.is_last {
            return Ok(());
        }
        let parts = large.parts.field(PART);
        let new = NewEntry {
            member: &large.member,
            method: Method::Deflate,
            crc32: large.crc32.clone().finalize(),
            compressed_size: large.compressed,
            uncompressed_size: large.uncompressed,
            offset: large.offset,
            sizes: SizesIn::Descriptor(width(large.member.size)),
            parts: parts.as_deref(),
        };
        data_descriptor(&new, bytes)?;
        central_header(&new, &mut self.bytes)?;
        self.count += 1;
        Ok(())
    }
}

fn new_entry(entry: &Entry) -> NewEntry<'_> {
    NewEntry {
        member: &entry.member,
        method: entry.method,
        crc32: entry.crc32,
        compressed_size: entry.compressed_size,
        uncompressed_size: entry.uncompressed_size,
        offset: 0,
        sizes: SizesIn::Header,
        parts: None,
    }
}

fn width(size: u64) -> Width {
    match size < WIDE {
        true => Width::Four,
        false => Width::Eight,
    }
}

/// Packs `units` into `writer`. Returns it, with the bytes written.
pub(super) fn pack<W: Write + Send>(
    (job, units): (&Job<'_>, &[Unit]),
    method: ZipMethod,
    writer: W,
    progress: &dyn Progress,
) -> Result<(W, u64)> {
    let refused = |refusal: Refusal| refusal.at("pack", job.shown);
    let sink = Sink::new(writer, Directory::default(), 4 * job.threads + 4);
    let start = || {
        Ok(ZipPacker {
            job,
            coder: Coder::new(method, job.level).map_err(refused)?,
            reader: job.reader(),
            raw: Buffer::default(),
        })
    };
    pack_all(job, units, job.threads, &sink, start, progress)?;
    let (mut writer, directory, written) = sink.into_parts();
    let mut edge = directory.bytes;
    let size = edge.len() as u64;
    end_records(directory.count, written, size, &mut edge);
    writer
        .write_all(&edge)
        .map_err(|error| job.write_error(error))?;
    Ok((writer, written + edge.len() as u64))
}

/// One worker.
struct ZipPacker<'p> {
    job: &'p Job<'p>,
    coder: Coder,
    reader: Reader<'p>,
    raw: Buffer,
}

impl Packer<Unit, Packed> for ZipPacker<'_> {
    fn pack(&mut self, unit: &Unit, _: Place, spare: Vec<u8>) -> Result<Packed> {
        let mut packed = Packed {
            bytes: spare,
            entries: Vec::new(),
            part: None,
        };
        match unit {
            Unit::Members(range) => {
                for number in range.clone() {
                    self.append_member(number, &mut packed)?;
                }
            }
            Unit::Part {
                item,
                stored,
                is_last,
                extents: _,
            } => self.append_part(*item, stored.clone(), *is_last, &mut packed)?,
        }
        Ok(packed)
    }
}

impl ZipPacker<'_> {
    fn append_member(&mut self, number: usize, packed: &mut Packed) -> Result<()> {
        let item = *self.reader.item(number);
        self.raw.clear();
        let member = match item.kind {
            MemberKind::Dir => {
                let member = self.reader.member(&item)?;
                self.note_xattrs(&member);
                member
            }
            MemberKind::Symlink => {
                let member = self.reader.member(&item)?;
                self.raw.append(&member.target);
                member
            }
            // A zip has no hard links: every name has the content, and is a
            // file by now.
            MemberKind::File | MemberKind::Hardlink => {
                let (opened, mut member) = self.reader.open(&item)?;
                member.kind = MemberKind::File;
                self.note_xattrs(&member);
                member.target.clear();
                member.size = opened.size();
                self.reader
                    .read(&item, &opened, 0..member.size, &mut self.raw)?;
                self.reader.check(&item, &opened)?;
                member
            }
        };
        self.job.counters.add(1, self.raw.len() as u64);
        let refused = |refusal: Refusal| refusal.at("pack", self.reader.path(&item));
        let (method, data) = self.coder.compress(&self.raw).map_err(refused)?;
        let entry = Entry {
            member,
            method,
            crc32: crc32fast::hash(&self.raw),
            compressed_size: data.map_or(self.raw.len(), <[u8]>::len) as u64,
            uncompressed_size: self.raw.len() as u64,
            offset: packed.bytes.len() as u64,
        };
        local_header(&new_entry(&entry), &mut packed.bytes).map_err(refused)?;
        packed.bytes.extend_from_slice(data.unwrap_or(&self.raw));
        packed.entries.push(entry);
        Ok(())
    }

    fn note_xattrs(&self, member: &Member) {
        if !member.xattrs.is_empty() {
            Losses::count(&self.job.losses.xattrs);
        }
    }

    fn append_part(
        &mut self,
        number: usize,
        stored: Range<u64>,
        is_last: bool,
        packed: &mut Packed,
    ) -> Result<()> {
        let item = *self.reader.item(number);
        let (opened, member) = self.reader.open(&item)?;
        self.raw.clear();
        let begins = (stored.start == 0).then(|| member.clone());
        begins.iter().for_each(|member| self.note_xattrs(member));
        let uncompressed = stored.end - stored.start;
        self.reader.read(&item, &opened, stored, &mut self.raw)?;
        self.reader.check(&item, &opened)?;
        let refused = |refusal: Refusal| refusal.at("pack", self.reader.path(&item));
        if begins.is_some() {
            let new = NewEntry {
                member: &member,
                method: Method::Deflate,
                crc32: 0,
                compressed_size: 0,
                uncompressed_size: 0,
                offset: 0,
                sizes: SizesIn::Descriptor(width(member.size)),
                parts: None,
            };
            local_header(&new, &mut packed.bytes).map_err(refused)?;
        }
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(&self.raw);
        let before = packed.bytes.len();
        self.coder
            .deflate_part(&self.raw, is_last, &mut packed.bytes)
            .map_err(refused)?;
        packed.part = Some(Part {
            begins,
            crc32,
            compressed: (packed.bytes.len() - before) as u64,
            uncompressed,
            is_last,
        });
        self.job
            .counters
            .add(u64::from(is_last), self.raw.len() as u64);
        Ok(())
    }
}

/// Compresses what goes into a zip.
struct Coder {
    whole: Whole,
    /// For parts, at the same level as far as zlib has it.
    parts: Compress,
    trial: Compressor,
    out: Vec<u8>,
}

/// Compresses whole members.
enum Whole {
    Deflate(Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Coder {
    fn new(method: ZipMethod, level: Level) -> Result<Self, Refusal> {
        let (whole, parts) = match method {
            ZipMethod::Deflate => {
                let level = match (level.number, level.profile) {
                    (None, Profile::Stored) => return Err(compresses("zip")),
                    (None, Profile::Default) => DEFAULT_LEVEL,
                    (Some(_), _) | (None, Profile::Fast | Profile::Small) => {
                        level.resolve(Codec::Gzip)?
                    }
                };
                (Whole::Deflate(Compressor::new(deflate_level(level))), level)
            }
            ZipMethod::Zstd => {
                let level = level.resolve(Codec::Zstd)?;
                let coder = zstd::bulk::Compressor::new(level).map_err(Refusal::io)?;
                (Whole::Zstd(coder), 6)
            }
        };
        Ok(Self {
            whole,
            parts: Compress::new(Compression::new(parts.clamp(1, 9) as u32), false),
            trial: Compressor::new(deflate_level(1)),
            out: Vec::new(),
        })
    }

    /// Compresses `raw`; `None` where it is stored as it is.
    fn compress(&mut self, raw: &[u8]) -> Result<(Method, Option<&[u8]>), Refusal> {
        if raw.is_empty() || self.is_incompressible(raw) {
            return Ok((Method::Stored, None));
        }
        let (method, length) = match &mut self.whole {
            Whole::Deflate(coder) => {
                self.out.resize(coder.deflate_compress_bound(raw.len()), 0);
                let length = coder.deflate_compress(raw, &mut self.out);
                let length = length.map_err(|error| {
                    Refusal::new(ErrorKind::Io, format!("Deflate failed: {error}"))
                })?;
                (Method::Deflate, length)
            }
            Whole::Zstd(coder) => {
                self.out = coder.compress(raw).map_err(Refusal::io)?;
                (Method::Zstd, self.out.len())
            }
        };
        Ok(match length < raw.len() {
            true => (method, Some(&self.out[..length])),
            false => (Method::Stored, None),
        })
    }

    /// Whether two places of `raw` don't become smaller: it is compressed
    /// already.
    fn is_incompressible(&mut self, raw: &[u8]) -> bool {
        if raw.len() < TRIED_FROM {
            return false;
        }
        let middle = raw.len() / 2;
        let places = [&raw[raw.len() / 8..][..TRIAL], &raw[middle..][..TRIAL]];
        self.out.resize(self.trial.deflate_compress_bound(TRIAL), 0);
        places.into_iter().all(|place| {
            let tried = self.trial.deflate_compress(place, &mut self.out);
            tried.is_ok_and(|length| length >= TRIAL)
        })
    }

    /// Appends `raw` as a part of a Deflate stream.
    fn deflate_part(
        &mut self,
        raw: &[u8],
        is_last: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let flush = match is_last {
            true => FlushCompress::Finish,
            false => FlushCompress::Sync,
        };
        self.parts.reset();
        // More than Deflate adds to what it can't compress, and a flush.
        out.reserve(raw.len() + raw.len() / 100 + 1024);
        let mut used = 0;
        loop {
            let before = self.parts.total_in();
            let status = self.parts.compress_vec(&raw[used..], out, flush);
            let status = status.map_err(|error| Refusal::malformed(format!("Deflate: {error}")))?;
            used += (self.parts.total_in() - before) as usize;
            let is_full = out.len() == out.capacity();
            match status {
                Status::StreamEnd => return Ok(()),
                Status::Ok | Status::BufError if is_full => out.reserve(64 << 10),
                Status::Ok | Status::BufError if used == raw.len() && !is_last => return Ok(()),
                Status::Ok | Status::BufError => {}
            }
        }
    }
}

fn deflate_level(level: i32) -> CompressionLvl {
    CompressionLvl::new(level).unwrap_or_default()
}

#[cfg(test)]
mod tests;
