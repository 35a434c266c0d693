//! Content that is what its header says, or an error.
//!
//! [`Checked`] gives exactly the declared bytes: a decoder that has more, ends
//! early, leaves compressed bytes unused or comes to another CRC-32 is an
//! error, at the latest with the last byte. [`decode_whole`] does the same for
//! small members in memory, faster. Memory never follows a declared size alone.

use std::io::{self, BufRead, Read};

use super::entry::ZipEntry;
use super::inflate::Inflater;
use super::local::Sums;
use super::method::{Decoder, Method};
use crate::error::Refusal;

/// A reader of the content of `entry`, from its compressed data on.
pub(crate) fn decode<R: BufRead>(entry: &ZipEntry, raw: R) -> Result<Checked<R>, Refusal> {
    Checked::known(entry.method, entry.flags, entry.sums(), raw)
        .map_err(|error| entry.blame(&Refusal::io(error)))
}

/// Replaces `out` by the content of `entry`, of which `compressed` is all data.
pub(crate) fn decode_whole(
    entry: &ZipEntry,
    compressed: &[u8],
    out: &mut Vec<u8>,
    inflater: &mut Inflater,
) -> Result<(), Refusal> {
    let decoded = match entry.method {
        // Not cleared: all of it is written over, and zeros would be written first.
        Method::Deflate => inflater.inflate(compressed, &[], entry.sums(), out),
        Method::Stored => {
            out.clear();
            out.extend_from_slice(compressed);
            match_sums(entry, out)
        }
        Method::Deflate64 | Method::Bzip2 | Method::Lzma | Method::Zstd | Method::Xz => {
            out.clear();
            Checked::known(entry.method, entry.flags, entry.sums(), compressed)
                .and_then(|mut reader| reader.read_to_end(out))
                .map(drop)
        }
    };
    decoded.map_err(|error| entry.blame(&Refusal::io(error)))
}

fn match_sums(entry: &ZipEntry, content: &[u8]) -> io::Result<()> {
    let given = content.len() as u64;
    if given < entry.uncompressed_size {
        return Err(too_short());
    }
    if given > entry.uncompressed_size {
        return Err(too_long());
    }
    if crc32fast::hash(content) != entry.crc32 {
        return Err(wrong_crc());
    }
    Ok(())
}

/// Content that is checked while it is read.
pub(crate) struct Checked<R: BufRead> {
    decoder: Decoder<Span<R>>,
    promise: Promise,
    crc: crc32fast::Hasher,
    given: u64,
    progress: Progress,
}

/// What is known of the content before it is read.
#[derive(Debug, Clone, Copy)]
enum Promise {
    /// All of it.
    Sums { crc32: u32, size: u64 },
    /// Nothing: the data ends itself, and what it was is told behind it.
    Later,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    Reading,
    /// Read to the end, and all checks passed.
    Complete,
}

impl<R: BufRead> Checked<R> {
    /// Content of which `sums` are known, at the start of `raw`.
    pub(super) fn known(method: Method, flags: u16, sums: Sums, raw: R) -> io::Result<Self> {
        let (crc32, size) = (sums.crc32, sums.uncompressed_size);
        let span = Span::new(raw, sums.compressed_size);
        let decoder = Decoder::new(method, flags, span, Some(size))?;
        Ok(Self::new(decoder, Promise::Sums { crc32, size }))
    }

    /// Content at the start of `raw` that says itself where it ends, or does
    /// so after `compressed_size` bytes.
    pub(super) fn unknown(
        method: Method,
        flags: u16,
        compressed_size: u64,
        raw: R,
    ) -> io::Result<Self> {
        let span = Span::new(raw, compressed_size);
        let decoder = Decoder::new(method, flags, span, None)?;
        Ok(Self::new(decoder, Promise::Later))
    }

    fn new(decoder: Decoder<Span<R>>, promise: Promise) -> Self {
        Self {
            decoder,
            promise,
            crc: crc32fast::Hasher::new(),
            given: 0,
            progress: Progress::Reading,
        }
    }

    /// What lies behind the data, and what the content was. Only after it was
    /// read to its end.
    pub(super) fn into_parts(self) -> (R, Sums) {
        let span = self.decoder.into_inner();
        let sums = Sums {
            crc32: self.crc.finalize(),
            compressed_size: span.used,
            uncompressed_size: self.given,
        };
        (span.inner, sums)
    }

    /// Checks all that can be only at the end.
    fn close(&mut self) -> io::Result<()> {
        let Promise::Sums { crc32, size } = self.promise else {
            self.progress = Progress::Complete;
            return Ok(());
        };
        if self.given < size {
            return Err(too_short());
        }
        // The decoder may still have to see the end of its own format.
        if self.decode(&mut [0])? != 0 {
            return Err(too_long());
        }
        if self.decoder.get_mut().left != 0 {
            return Err(wrong("its compressed size has unused bytes"));
        }
        if self.crc.clone().finalize() != crc32 {
            return Err(wrong_crc());
        }
        self.progress = Progress::Complete;
        Ok(())
    }

    fn decode(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.decoder.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

impl<R: BufRead> Read for Checked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.progress == Progress::Complete {
            return Ok(0);
        }
        let left = match self.promise {
            Promise::Sums { size, .. } => size - self.given,
            Promise::Later => u64::MAX,
        };
        let most = left.min(buffer.len() as u64) as usize;
        let given = match most {
            0 => 0,
            _ => self.decode(&mut buffer[..most])?,
        };
        self.crc.update(&buffer[..given]);
        self.given += given as u64;
        // With the last byte and not after it: a caller that knows the size
        // may never ask again.
        if given == 0 || given as u64 == left {
            self.close()?;
        }
        Ok(given)
    }
}

pub(super) fn wrong(cause: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

fn too_short() -> io::Error {
    wrong("its content is shorter than declared")
}

fn too_long() -> io::Error {
    wrong("its content is longer than declared")
}

fn wrong_crc() -> io::Error {
    wrong("its content has another CRC-32 than declared")
}

/// The bytes of a reader up to a size, counted.
pub(super) struct Span<R> {
    inner: R,
    left: u64,
    used: u64,
}

impl<R> Span<R> {
    fn new(inner: R, size: u64) -> Self {
        Self {
            inner,
            left: size,
            used: 0,
        }
    }
}

impl<R: BufRead> Read for Span<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Past the inner buffer where there is none to copy from.
        let most = self.left.min(buffer.len() as u64) as usize;
        if most == 0 {
            return Ok(0);
        }
        let read = self.inner.read(&mut buffer[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.left -= read as u64;
        self.used += read as u64;
        Ok(read)
    }
}

impl<R: BufRead> BufRead for Span<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Ok(&[]);
        }
        let bytes = self.inner.fill_buf()?;
        if bytes.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = self.left.min(bytes.len() as u64) as usize;
        Ok(&bytes[..most])
    }

    fn consume(&mut self, amount: usize) {
        self.inner.consume(amount);
        self.left -= amount as u64;
        self.used += amount as u64;
    }
}
