//! The header before each member, held against the central one.
//!
//! A reader of streams believes this header, a reader of files the central
//! one. Whatever they say differently, one of the two would unpack something
//! else: each disagreement is refused with its own message.

use std::ops::Range;

use super::entry::{ZipEntry, refuse_flags};
use super::extra::{Extras, Wide};
use super::method::Method;
use super::records::{Descriptor, Descriptor64, LocalHeader, flag};
use super::time;
use crate::error::Refusal;
use crate::format::ReadAt;
use crate::sys::Timestamp;

/// What a local header says, with the sizes of its Zip64 field.
#[derive(Debug, Clone, Copy)]
pub(super) struct Local {
    pub(super) flags: u16,
    pub(super) method: u16,
    pub(super) sums: Sums,
    pub(super) modified: Option<Timestamp>,
}

/// What a header or a descriptor says of a member's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    pub(super) crc32: u32,
    pub(super) compressed_size: u64,
    pub(super) uncompressed_size: u64,
}

impl Local {
    pub(super) fn new(header: &LocalHeader, name: &[u8], extra: &[u8]) -> Result<Self, Refusal> {
        refuse_flags(header.flags)?;
        let extras = Extras::parse(extra, name)?;
        let mut wide = Wide {
            uncompressed_size: header.uncompressed_size.into(),
            compressed_size: header.compressed_size.into(),
            header_offset: 0,
            disk: 0,
        };
        extras.widen(&mut wide)?;
        Ok(Self {
            flags: header.flags,
            method: header.method,
            sums: Sums {
                crc32: header.crc32,
                compressed_size: wide.compressed_size,
                uncompressed_size: wide.uncompressed_size,
            },
            modified: extras
                .modified()
                .or_else(|| time::from_dos(header.dos_date, header.dos_time)),
        })
    }

    /// Whether the sizes may be missing here and stand behind the data. Some
    /// writers set the bit for that here alone, so this header decides.
    pub(super) fn has_descriptor(&self) -> bool {
        self.flags & flag::DESCRIPTOR != 0
    }

    /// Refuses this header where it isn't `entry`'s, the name apart.
    pub(super) fn agrees(&self, entry: &ZipEntry) -> Result<(), Refusal> {
        if self.method != entry.method.number() {
            return Err(disagree("compression method"));
        }
        let differs = self.flags ^ entry.flags;
        if differs & flag::UTF8 != 0 {
            return Err(disagree("encoding of the name"));
        }
        if entry.method == Method::Lzma && differs & flag::LZMA_MARKER != 0 {
            return Err(disagree("end of the data"));
        }
        let (here, there) = (self.sums, entry.sums());
        let may_lack = self.has_descriptor();
        let differs = |here: u64, there: u64| here != there && !(may_lack && here == 0);
        if differs(here.crc32.into(), there.crc32.into()) {
            return Err(disagree("CRC-32"));
        }
        if differs(here.compressed_size, there.compressed_size) {
            return Err(disagree("compressed size"));
        }
        if differs(here.uncompressed_size, there.uncompressed_size) {
            return Err(disagree("uncompressed size"));
        }
        Ok(())
    }
}

impl ZipEntry {
    /// Refuses another name in the local header, stored bytes against stored
    /// bytes.
    pub(super) fn is_called(&self, name: &[u8]) -> Result<(), Refusal> {
        if name == &*self.name {
            Ok(())
        } else {
            Err(disagree("name"))
        }
    }

    pub(super) fn sums(&self) -> Sums {
        Sums {
            crc32: self.crc32,
            compressed_size: self.compressed_size,
            uncompressed_size: self.uncompressed_size,
        }
    }
}

fn disagree(what: &str) -> Refusal {
    Refusal::malformed(format!(
        "its local header and the directory disagree on the {what}"
    ))
}

/// The shapes of a descriptor: sizes of eight bytes or four, with or without
/// the signature, 4.3.9.
pub(super) const DESCRIPTOR_SIZES: [usize; 4] = [
    Descriptor64::SIZE,
    Descriptor::SIZE,
    Descriptor64::SIZE - 4,
    Descriptor::SIZE - 4,
];

/// The descriptor that `bytes` are, whole; their number tells its shape.
pub(super) fn descriptor(bytes: &[u8]) -> Option<Sums> {
    let mut whole = Descriptor::SIGNATURE.to_vec();
    let bytes = match bytes.len() {
        Descriptor::SIZE | Descriptor64::SIZE => bytes,
        _ => {
            whole.extend_from_slice(bytes);
            &whole
        }
    };
    match bytes.len() {
        Descriptor::SIZE => Descriptor::parse(bytes).map(|found| Sums {
            crc32: found.crc32,
            compressed_size: found.compressed_size.into(),
            uncompressed_size: found.uncompressed_size.into(),
        }),
        Descriptor64::SIZE => Descriptor64::parse(bytes).map(|found| Sums {
            crc32: found.crc32,
            compressed_size: found.compressed_size,
            uncompressed_size: found.uncompressed_size,
        }),
        _ => None,
    }
}

/// A part of a source that is read on in large pieces.
pub(super) struct Window<'s, S: ReadAt + ?Sized> {
    source: &'s S,
    /// No byte from here on is read.
    end: u64,
    piece: usize,
    start: u64,
    bytes: Vec<u8>,
}

impl<'s, S: ReadAt + ?Sized> Window<'s, S> {
    /// Reads `source` up to `end` in pieces of `piece` bytes.
    pub(super) fn new(source: &'s S, end: u64, piece: usize) -> Self {
        Self {
            source,
            end,
            piece,
            start: 0,
            bytes: Vec::new(),
        }
    }

    /// `size` bytes from `at` on, of which there have to be as many.
    fn get(&mut self, at: u64, size: usize) -> Result<&[u8], Refusal> {
        let end = at.saturating_add(size as u64);
        if at < self.start || end > self.start + self.bytes.len() as u64 {
            let left = self.end.saturating_sub(at);
            if (size as u64) > left {
                return Err(Refusal::malformed("its local header isn't complete"));
            }
            let piece = self.piece.max(size) as u64;
            self.bytes.resize(piece.min(left) as usize, 0);
            self.start = at;
            let read = self.source.read_exact_at(&mut self.bytes, at);
            if let Err(error) = read {
                self.bytes.clear();
                return Err(Refusal::io(error));
            }
        }
        let from = (at - self.start) as usize;
        Ok(&self.bytes[from..from + size])
    }

    /// Where the data of `entry` is, once its local header and its descriptor
    /// say what the directory says, and leave no byte to nobody.
    pub(super) fn check(&mut self, entry: &ZipEntry) -> Result<Range<u64>, Refusal> {
        let at = entry.header_offset;
        let fixed = self.get(at, LocalHeader::SIZE)?;
        let header = LocalHeader::parse(fixed)
            .ok_or_else(|| Refusal::malformed("no local header where the directory says"))?;
        let name_size = usize::from(header.name_size);
        let size = LocalHeader::SIZE + name_size + usize::from(header.extra_size);
        let (name, extra) = self.get(at, size)?[LocalHeader::SIZE..].split_at(name_size);
        entry.is_called(name)?;
        let local = Local::new(&header, name, extra)?;
        local.agrees(entry)?;
        let start = at + size as u64;
        let end = start
            .checked_add(entry.compressed_size)
            .filter(|end| *end <= entry.span_end)
            .ok_or_else(|| Refusal::malformed("its data overlaps what comes next"))?;
        let rest = entry.span_end - end;
        if !local.has_descriptor() {
            return if rest == 0 {
                Ok(start..end)
            } else {
                Err(Refusal::malformed(
                    "bytes of no member between its data and what comes next",
                ))
            };
        }
        let Some(&size) = DESCRIPTOR_SIZES.iter().find(|size| **size as u64 == rest) else {
            return Err(Refusal::malformed(
                "no data descriptor where its local header promises one",
            ));
        };
        match descriptor(self.get(end, size)?) {
            Some(sums) if sums == entry.sums() => Ok(start..end),
            Some(_) | None => Err(Refusal::malformed(
                "its data descriptor and the directory disagree",
            )),
        }
    }
}
