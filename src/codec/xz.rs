//! xz blocks that workers make apart, and the one stream they stand in.
//!
//! liblzma's own encoder makes the blocks. It leaves their sizes out of the
//! block headers unless it runs threads of its own; the headers are therefore
//! written anew, with both sizes, without which no xz decodes blocks in
//! parallel. Index and footer are written here, because only one worker ever
//! sees each block. Sections are those of the .xz file format 1.2.

use liblzma::stream::{Action, Check, Filters, LzmaOptions, Status, Stream};

use super::detect::XZ;
use super::library_failed;
use crate::error::Refusal;

/// Stream flags (2.1.1.2): CRC64, as `xz` itself chooses.
const FLAGS: [u8; 2] = [0, 4];
/// Stream header and footer (2.1.1, 2.1.2), bytes.
const STREAM_HEADER: usize = 12;
/// The check behind each block's padding, bytes.
const CHECK: usize = 8;
/// What `xz -0` to `xz -9` take as LZMA2's dictionary, as powers of two.
const DICTIONARIES: [u32; 10] = [18, 20, 21, 22, 22, 23, 23, 24, 25, 26];
/// The smallest dictionary that LZMA2 knows (5.3.1), bytes.
const SMALLEST_DICTIONARY: usize = 4096;

/// Whether blocks may get a filter for executables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filtering {
    Off,
    /// Each block is compressed with and without at the fastest level; what
    /// was smaller there is taken.
    Trial,
}

/// Makes blocks, keeping liblzma's tables from one to the next.
pub(super) struct BlockEncoder {
    plain: Chain,
    filtered: Option<Filtered>,
    block: Vec<u8>,
}

/// What a trial takes. x86 alone: the filter for ARM64 is known to xz 5.4 and
/// newer only, and any xz is to read what is written here.
struct Filtered {
    x86: Chain,
    plain_trial: Chain,
    x86_trial: Chain,
}

impl BlockEncoder {
    /// `level` is one of 0 to 9; `unit` bounds how far back matches may lie.
    pub(super) fn new(level: u32, unit: usize, filtering: Filtering) -> Result<Self, Refusal> {
        let filtered = match filtering {
            Filtering::Off => None,
            Filtering::Trial => Some(Filtered {
                x86: Chain::new(level, unit, Filter::X86)?,
                plain_trial: Chain::new(0, unit, Filter::None)?,
                x86_trial: Chain::new(0, unit, Filter::X86)?,
            }),
        };
        Ok(Self {
            plain: Chain::new(level, unit, Filter::None)?,
            filtered,
            block: Vec::new(),
        })
    }

    /// Appends `data` as one block, padded to four bytes; returns its size
    /// without the padding. There are no empty blocks: no data is no bytes.
    pub(super) fn block(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<u64, Refusal> {
        if data.is_empty() {
            return Ok(0);
        }
        let block = &mut self.block;
        let mut chain = &mut self.plain;
        if let Some(filtered) = &mut self.filtered {
            filtered.plain_trial.encode(data, block)?;
            let plain = block.len();
            filtered.x86_trial.encode(data, block)?;
            if block.len() < plain {
                chain = &mut filtered.x86;
            }
        }
        chain.encode(data, block)?;
        push_block(block, data.len() as u64, out)
            .ok_or_else(|| library_failed("liblzma", "a block that is not one"))
    }
}

#[derive(Debug, Clone, Copy)]
enum Filter {
    None,
    X86,
}

/// One filter chain in a stream that never ends: flushing it ends a block.
struct Chain {
    stream: Stream,
    /// What stands before the next block: the stream's header at first.
    lead: usize,
}

impl Chain {
    fn new(level: u32, unit: usize, filter: Filter) -> Result<Self, Refusal> {
        let failed = |error| library_failed("liblzma", error);
        let mut options = LzmaOptions::new_preset(level).map_err(failed)?;
        // A dictionary beyond the unit costs the encoder eleven times its size
        // and the decoder once, and finds nothing.
        let preset = 1 << DICTIONARIES[(level as usize).min(9)];
        let dictionary = unit.clamp(SMALLEST_DICTIONARY, preset);
        options.dict_size(dictionary as u32);
        let mut filters = Filters::new();
        match filter {
            Filter::None => {}
            Filter::X86 => {
                filters.x86();
            }
        }
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, Check::Crc64).map_err(failed)?;
        Ok(Self {
            stream,
            lead: STREAM_HEADER,
        })
    }

    /// Replaces `block` by `data` as liblzma writes it.
    fn encode(&mut self, data: &[u8], block: &mut Vec<u8>) -> Result<(), Refusal> {
        block.clear();
        let start = self.stream.total_in();
        // Incompressible data grows by three bytes in 64 KiB.
        block.reserve(data.len() + data.len() / 4096 + 1024);
        loop {
            let rest = &data[(self.stream.total_in() - start) as usize..];
            let status = self.stream.process_vec(rest, block, Action::FullFlush);
            match status.map_err(|error| library_failed("liblzma", error))? {
                Status::StreamEnd => break,
                Status::Ok | Status::GetCheck | Status::MemNeeded => block.reserve(1 << 16),
            }
        }
        block.drain(..self.lead);
        self.lead = 0;
        Ok(())
    }
}

/// Appends `block` with both sizes in its header (3.1); returns its unpadded
/// size (4.3), or `None` if it is no block of LZMA2.
fn push_block(block: &[u8], raw: u64, out: &mut Vec<u8>) -> Option<u64> {
    let header = (usize::from(*block.first()?) + 1) * 4;
    let flags = *block.get(1)?;
    let filters = block.get(2..header - 4)?;
    let packed = packed_size(block.get(header..)?)?;
    let padded = packed.next_multiple_of(4);
    let body = block.get(header..)?;
    if body.len() != padded + CHECK {
        return None;
    }
    let start = out.len();
    // 3.1.2: both sizes are present.
    out.extend_from_slice(&[0, flags | 0xC0]);
    push_number(packed as u64, out);
    push_number(raw, out);
    out.extend_from_slice(filters);
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    let new_header = out.len() - start + 4;
    out[start] = u8::try_from(new_header / 4 - 1).ok()?;
    push_crc32(start, out);
    out.extend_from_slice(body);
    Some((new_header + packed + CHECK) as u64)
}

/// Where the LZMA2 data (5.3.1, and xz-embedded's description of its chunks)
/// at the front of `body` ends. Its last byte is a zero like the padding.
fn packed_size(body: &[u8]) -> Option<usize> {
    let size = |at: usize| {
        let bytes = body.get(at..at + 2)?;
        Some(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
    };
    let mut at = 0;
    loop {
        at += match *body.get(at)? {
            0 => return Some(at + 1),
            // Control, size less one, that many bytes as they are.
            1 | 2 => 3 + size(at + 1)? + 1,
            // Control, low bits of the raw size, packed size less one.
            0x80..=0xBF => 5 + size(at + 3)? + 1,
            // The same, and a byte of properties.
            0xC0.. => 6 + size(at + 3)? + 1,
            3..=0x7F => return None,
        };
    }
}

/// A multibyte integer (1.2).
fn push_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends the CRC32 of all of `out` from `start` on.
fn push_crc32(start: usize, out: &mut Vec<u8>) {
    let sum = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&sum.to_le_bytes());
}

/// Appends the stream header (2.1.1).
pub(super) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&XZ);
    let start = out.len();
    out.extend_from_slice(&FLAGS);
    push_crc32(start, out);
}

/// Appends index (4) and footer (2.1.2) for `records`: each block's unpadded
/// size and the size of its data.
pub(super) fn end(records: &[(u64, u64)], out: &mut Vec<u8>) {
    let start = out.len();
    out.push(0);
    push_number(records.len() as u64, out);
    for (unpadded, raw) in records {
        push_number(*unpadded, out);
        push_number(*raw, out);
    }
    while !(out.len() - start).is_multiple_of(4) {
        out.push(0);
    }
    push_crc32(start, out);
    let size = out.len() - start;

    let mut footer = Vec::with_capacity(STREAM_HEADER);
    // Backward size (2.1.2.2) counts in fours, less one: up to 16 GiB.
    footer.extend_from_slice(&((size / 4 - 1) as u32).to_le_bytes());
    footer.extend_from_slice(&FLAGS);
    out.extend_from_slice(&crc32fast::hash(&footer).to_le_bytes());
    out.extend_from_slice(&footer);
    out.extend_from_slice(b"YZ");
}
