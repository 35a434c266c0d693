//! Streams that zlib itself has made: `tests/data/zlib-streams.bin`, by the script
//! beside it. Nothing of the crate has a part in them.

use std::io::Read;

const STREAMS: &[u8] = include_bytes!("../data/zlib-streams.bin");

/// The rows of the file, by what they are.
pub(crate) const LEVELS_1_6_9: std::ops::Range<usize> = 0..3;
pub(crate) const IMAGE: usize = 3;
pub(crate) const ZIPPED: std::ops::Range<usize> = 4..6;
/// Those of a few KB, all of which come back.
pub(crate) const SMALL: std::ops::Range<usize> = 0..23;
/// 3, 4 and 5 MiB, which come back.
pub(crate) const LARGE: std::ops::Range<usize> = 23..26;
/// 8 MiB less a byte, and 8 MiB, which come back.
pub(crate) const LARGEST: std::ops::Range<usize> = 26..28;
/// 9 MiB, which is left as it is.
pub(crate) const TOO_LARGE: usize = 28;

/// One stream, with zlib's header and checksum.
#[derive(Clone, Copy)]
pub(crate) struct Stream {
    /// How it was made, as in column 53.
    pub(crate) setup: u16,
    pub(crate) zlib: &'static [u8],
}

impl Stream {
    /// Without header and checksum.
    pub(crate) fn raw(&self) -> &'static [u8] {
        &self.zlib[2..self.zlib.len() - 4]
    }

    /// What it inflates to.
    pub(crate) fn plain(&self) -> Vec<u8> {
        inflate(self.raw())
    }
}

/// What a raw stream inflates to: all of it has to be one.
pub(crate) fn inflate(raw: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut decoder = flate2::bufread::DeflateDecoder::new(raw);
    decoder.read_to_end(&mut plain).unwrap();
    assert_eq!(decoder.total_in(), raw.len() as u64);
    plain
}

/// All streams, in the order of the file.
pub(crate) fn streams() -> Vec<Stream> {
    let mut rest = STREAMS;
    let mut streams = Vec::new();
    while let Some((setup, behind)) = rest.split_first_chunk() {
        let (length, behind) = behind.split_first_chunk().unwrap();
        let (zlib, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        streams.push(Stream {
            setup: u16::from_le_bytes(*setup),
            zlib,
        });
        rest = behind;
    }
    streams
}

/// A member of a zip: its local header, and the stream.
pub(crate) fn zip_member(name: &str, stream: &Stream) -> Vec<u8> {
    let plain = stream.plain();
    let mut member = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\x21\0".to_vec();
    member.extend(crc32fast::hash(&plain).to_le_bytes());
    member.extend((stream.raw().len() as u32).to_le_bytes());
    member.extend((plain.len() as u32).to_le_bytes());
    member.extend((name.len() as u32).to_le_bytes());
    member.extend(name.as_bytes());
    member.extend(stream.raw());
    member
}

/// A member of gzip with a name in its header.
pub(crate) fn gzip(stream: &Stream) -> Vec<u8> {
    let plain = stream.plain();
    let mut member = b"\x1F\x8B\x08\x08\0\0\0\0\0\x03name\0".to_vec();
    member.extend(stream.raw());
    member.extend(crc32fast::hash(&plain).to_le_bytes());
    member.extend((plain.len() as u32).to_le_bytes());
    member
}

/// An image's data, as PNG has it.
pub(crate) fn png(stream: &Stream) -> Vec<u8> {
    let mut image = b"\x89PNG\r\n\x1A\n".to_vec();
    image.extend((stream.zlib.len() as u32).to_be_bytes());
    image.extend(b"IDAT");
    image.extend(stream.zlib);
    image.extend(crc32fast::hash(&image[12..]).to_be_bytes());
    image
}
