//! Content that is as long as its entry says, or an error.
//!
//! A package has no checksums of what it stores; a zlib stream ends with one of
//! its content. Memory never follows a declared size alone.

use std::io::{self, BufRead, Read};

use flate2::{Decompress, FlushDecompress, Status};
use libdeflater::Decompressor;
use memchr::memmem;

use crate::error::Refusal;

use super::package::Item;
use super::toc::Form;

/// The content of an entry, checked while it is read: at the latest with its
/// last byte.
pub(crate) struct Content<R: BufRead> {
    raw: R,
    /// Bytes of data that were not used yet.
    left: u64,
    /// Bytes of content that are still to come.
    missing: u64,
    decoder: Decoder,
}

enum Decoder {
    Stored,
    Zlib(Box<Decompress>),
    /// The stream has ended where it has to.
    Complete,
}

impl<R: BufRead> Content<R> {
    /// The content of `item`, whose data begins at the start of `raw`.
    pub(crate) fn new(item: Item<'_>, raw: R) -> Self {
        let data = item.data();
        Self {
            raw,
            left: data.end - data.start,
            missing: item.size(),
            decoder: match item.form() {
                Form::Stored => Decoder::Stored,
                Form::Zlib => Decoder::Zlib(Box::new(Decompress::new(true))),
            },
        }
    }

    /// Reads what is stored as it is.
    fn copy(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most =
            usize::try_from(self.missing).map_or(buffer.len(), |left| left.min(buffer.len()));
        let count = self.raw.read(&mut buffer[..most])?;
        if count == 0 && most > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.missing -= count as u64;
        Ok(count)
    }
}

/// Fills `buffer` with what comes next of a stream, of which `raw` has `left`
/// bytes. Returns how much that is: nothing at the stream's end.
fn inflate(
    decompress: &mut Decompress,
    raw: &mut impl BufRead,
    left: &mut u64,
    buffer: &mut [u8],
) -> io::Result<(usize, Status)> {
    loop {
        let bytes = match *left {
            0 => &[][..],
            _ => raw.fill_buf()?,
        };
        if bytes.is_empty() && *left > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let most = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
        let before = (decompress.total_in(), decompress.total_out());
        let status = decompress
            .decompress(&bytes[..most], buffer, FlushDecompress::None)
            .map_err(|_| wrong("its data is no zlib stream, or a damaged one"))?;
        let used = decompress.total_in() - before.0;
        let given = (decompress.total_out() - before.1) as usize;
        raw.consume(used as usize);
        *left -= used;
        match status {
            Status::StreamEnd => return Ok((given, status)),
            Status::Ok | Status::BufError if given > 0 => return Ok((given, status)),
            Status::Ok | Status::BufError if *left == 0 => {
                return Err(wrong("its data ends within the zlib stream"));
            }
            Status::Ok | Status::BufError => {}
        }
    }
}

impl<R: BufRead> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let decompress = match &mut self.decoder {
            Decoder::Stored => return self.copy(buffer),
            Decoder::Complete => return Ok(0),
            Decoder::Zlib(decompress) => decompress,
        };
        let most =
            usize::try_from(self.missing).map_or(buffer.len(), |left| left.min(buffer.len()));
        let (mut given, mut status) = (0, Status::Ok);
        if most > 0 {
            let out = &mut buffer[..most];
            (given, status) = inflate(decompress, &mut self.raw, &mut self.left, out)?;
            self.missing -= given as u64;
        }
        // With the last byte, the end has to come.
        if self.missing == 0 && status != Status::StreamEnd {
            let mut excess = [0];
            let (more, end) = inflate(decompress, &mut self.raw, &mut self.left, &mut excess)?;
            if more > 0 {
                return Err(wrong("it has more content than it declares"));
            }
            status = end;
        }
        if status == Status::StreamEnd {
            if self.missing > 0 {
                return Err(wrong("it has less content than it declares"));
            }
            if self.left > 0 {
                return Err(wrong("it has unused bytes behind its zlib stream"));
            }
            self.decoder = Decoder::Complete;
        }
        Ok(given)
    }
}

/// Decodes entries of which all data is at hand.
pub(crate) struct Inflater {
    decompressor: Decompressor,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
        }
    }

    /// Replaces `out` by the content of `item`, of which `stored` is all data.
    pub(crate) fn decode(
        &mut self,
        item: Item<'_>,
        stored: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if item.form() == Form::Zlib && self.inflate(item, stored, out) {
            return Ok(());
        }
        out.clear();
        let read = Content::new(item, stored).read_to_end(out);
        read.map(drop)
            .map_err(|error| item.blame(&Refusal::io(error)))
    }

    /// Decodes a zlib stream, unless something about it is left for a slower
    /// decoder to judge: libdeflate is the fastest there is, but doesn't tell
    /// where in its input the stream ended. It ended with the Adler-32 of the
    /// content; if that is the end of the input and stands nowhere before, that
    /// was the place.
    fn inflate(&mut self, item: Item<'_>, stored: &[u8], out: &mut Vec<u8>) -> bool {
        // At most 1032 times what is there: the table was checked for that.
        let Ok(size) = usize::try_from(item.size()) else {
            return false;
        };
        out.resize(size, 0);
        let given = self.decompressor.zlib_decompress(stored, out);
        if given != Ok(size) {
            return false;
        }
        let sum = libdeflater::adler32(out).to_be_bytes();
        let last = stored.len().saturating_sub(1);
        stored.ends_with(&sum) && memmem::find(&stored[..last], &sum).is_none()
    }
}

fn wrong(cause: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}
