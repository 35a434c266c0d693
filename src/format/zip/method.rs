//! Compression methods, and the readers that undo them.
//!
//! [`Decoder`] knows where the data ends by itself, where its method can; what
//! it gives is not checked against anything. [`Checked`](super::check::Checked) does.

use std::io::{self, BufRead, Chain, Cursor, Read};

use liblzma::stream::Stream;

use super::records::flag;
use crate::error::{ErrorKind, Refusal};

/// The largest window of a zstd frame, as a power of two: 128 MiB.
const ZSTD_WINDOW_LOG: u32 = 27;
/// The most memory that an xz or LZMA decoder takes: 256 MiB.
const XZ_MEMORY: u64 = 256 << 20;
/// What an LZMA header in the `.lzma` form has for a size that isn't known.
const LZMA_NO_SIZE: u64 = u64::MAX;

/// How a member's content is compressed, 4.4.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Method {
    Stored,
    Deflate,
    Deflate64,
    Bzip2,
    Lzma,
    Zstd,
    Xz,
}

impl Method {
    /// The method of a number.
    pub(super) fn from_number(number: u16) -> Result<Self, Refusal> {
        match number {
            0 => Ok(Method::Stored),
            8 => Ok(Method::Deflate),
            9 => Ok(Method::Deflate64),
            12 => Ok(Method::Bzip2),
            14 => Ok(Method::Lzma),
            93 => Ok(Method::Zstd),
            95 => Ok(Method::Xz),
            _ => Err(Refusal::new(
                ErrorKind::UnknownFormat,
                format!("its compression method {number} isn't known here"),
            )),
        }
    }

    /// The number of the method.
    pub(super) fn number(self) -> u16 {
        match self {
            Method::Stored => 0,
            Method::Deflate => 8,
            Method::Deflate64 => 9,
            Method::Bzip2 => 12,
            Method::Lzma => 14,
            Method::Zstd => 93,
            Method::Xz => 95,
        }
    }

    /// The version of the format that a reader has to know, in tenths, 4.4.3.2.
    pub(super) fn version_needed(self) -> u16 {
        match self {
            Method::Stored => 10,
            Method::Deflate => 20,
            Method::Deflate64 => 21,
            Method::Bzip2 => 46,
            Method::Lzma | Method::Zstd | Method::Xz => 63,
        }
    }

    /// Whether the data says where it ends, with no size known. A Deflate64
    /// decoder does see the end, but takes up to a byte behind it.
    pub(super) fn ends_itself(self, flags: u16) -> bool {
        match self {
            Method::Stored | Method::Deflate64 => false,
            Method::Deflate | Method::Bzip2 | Method::Zstd | Method::Xz => true,
            Method::Lzma => flags & flag::LZMA_MARKER != 0,
        }
    }
}

/// Undoes a method.
pub(super) enum Decoder<R: BufRead> {
    Stored(R),
    Deflate(flate2::bufread::DeflateDecoder<R>),
    Deflate64(deflate64::Deflate64Decoder<R>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
    Lzma(liblzma::bufread::XzDecoder<Chain<Cursor<[u8; 13]>, R>>),
    Xz(liblzma::bufread::XzDecoder<R>),
    Zstd(zstd::stream::read::Decoder<'static, R>),
}

impl<R: BufRead> Decoder<R> {
    /// A reader of `raw` decompressed; `size` is the content's, where known.
    pub(super) fn new(
        method: Method,
        flags: u16,
        mut raw: R,
        size: Option<u64>,
    ) -> io::Result<Self> {
        Ok(match method {
            Method::Stored => Decoder::Stored(raw),
            Method::Deflate => Decoder::Deflate(flate2::bufread::DeflateDecoder::new(raw)),
            Method::Deflate64 => Decoder::Deflate64(deflate64::Deflate64Decoder::with_buffer(raw)),
            Method::Bzip2 => Decoder::Bzip2(bzip2::bufread::BzDecoder::new(raw)),
            Method::Lzma => {
                // With both a marker and a size, liblzma takes the marker for
                // damage where it comes in pieces.
                let size = size.filter(|_| flags & flag::LZMA_MARKER == 0);
                let header = Cursor::new(lzma_header(&mut raw, size)?);
                let stream = Stream::new_lzma_decoder(XZ_MEMORY)?;
                let raw = header.chain(raw);
                Decoder::Lzma(liblzma::bufread::XzDecoder::new_stream(raw, stream))
            }
            Method::Xz => {
                let stream = Stream::new_stream_decoder(XZ_MEMORY, 0)?;
                Decoder::Xz(liblzma::bufread::XzDecoder::new_stream(raw, stream))
            }
            Method::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::with_buffer(raw)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG)?;
                Decoder::Zstd(decoder)
            }
        })
    }

    /// The compressed data, at the first byte that wasn't used.
    pub(super) fn into_inner(self) -> R {
        match self {
            Decoder::Stored(raw) => raw,
            Decoder::Deflate(decoder) => decoder.into_inner(),
            Decoder::Deflate64(decoder) => decoder.into_inner(),
            Decoder::Bzip2(decoder) => decoder.into_inner(),
            Decoder::Lzma(decoder) => decoder.into_inner().into_inner().1,
            Decoder::Xz(decoder) => decoder.into_inner(),
            Decoder::Zstd(decoder) => decoder.into_inner(),
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut R {
        match self {
            Decoder::Stored(raw) => raw,
            Decoder::Deflate(decoder) => decoder.get_mut(),
            Decoder::Deflate64(decoder) => decoder.get_mut(),
            Decoder::Bzip2(decoder) => decoder.get_mut(),
            Decoder::Lzma(decoder) => decoder.get_mut().get_mut().1,
            Decoder::Xz(decoder) => decoder.get_mut(),
            Decoder::Zstd(decoder) => decoder.get_mut(),
        }
    }
}

impl<R: BufRead> Read for Decoder<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = match self {
            Decoder::Stored(raw) => return raw.read(buffer),
            Decoder::Deflate(decoder) => decoder.read(buffer),
            Decoder::Deflate64(decoder) => decoder.read(buffer),
            Decoder::Bzip2(decoder) => decoder.read(buffer),
            Decoder::Lzma(decoder) => decoder.read(buffer),
            Decoder::Xz(decoder) => decoder.read(buffer),
            Decoder::Zstd(decoder) => decoder.read(buffer),
        };
        read.map_err(as_data)
    }
}

/// A decoder's own error, of whatever kind its library chose, as one of the
/// data; an error of the input below stays what it is.
fn as_data(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::UnexpectedEof => {
            error
        }
        _ if error.raw_os_error().is_some() => error,
        _ => io::Error::new(io::ErrorKind::InvalidData, error.to_string()),
    }
}

/// Reads what begins LZMA data in a zip (5.8.8: version, the size of the
/// properties, the properties) and makes of it the header of a `.lzma` file,
/// which has the content's size behind the properties.
fn lzma_header(raw: &mut impl Read, size: Option<u64>) -> io::Result<[u8; 13]> {
    let mut start = [0; 9];
    raw.read_exact(&mut start)?;
    if start[2..4] != [5, 0] {
        let error = "LZMA properties that aren't five bytes";
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    let mut header = [0; 13];
    header[..5].copy_from_slice(&start[4..]);
    header[5..].copy_from_slice(&size.unwrap_or(LZMA_NO_SIZE).to_le_bytes());
    Ok(header)
}
