//! Deflate data that is in memory, decoded at once and to its last byte.
//!
//! libdeflate is the fastest decoder there is, but doesn't tell where in its
//! input the data ended, and bytes behind the end would go unnoticed. It does
//! read gzip: a CRC-32 and a size, directly behind the end of the data. So the
//! data gets a gzip file's header and trailer. If the trailer is right, it stood
//! at the end of the data; if those eight bytes stand nowhere before the one
//! that was put there, that end is the end of the input. All else, an error or a
//! trailer found twice, is left to a slower decoder that knows where it is.

use std::io::{self, Read};

use libdeflater::Decompressor;
use memchr::memmem;

use super::check::{Checked, wrong};
use super::local::Sums;
use super::method::Method;

/// What Deflate makes at most of one byte: 258 bytes from two bits, less the
/// bits of the block around them.
const RATIO: u64 = 1032;

/// What begins a gzip file that says nothing of itself, RFC 1952.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// Decodes members of which all data is at hand.
pub(crate) struct Inflater {
    decompressor: Decompressor,
    /// The data as a gzip file.
    dressed: Vec<u8>,
}

impl Inflater {
    pub(crate) fn new() -> Self {
        Self {
            decompressor: Decompressor::new(),
            dressed: Vec::new(),
        }
    }

    /// Replaces `out` by the content of `sums` that is `data` and then `more`,
    /// all of it.
    pub(super) fn inflate(
        &mut self,
        data: &[u8],
        more: &[u8],
        sums: Sums,
        out: &mut Vec<u8>,
    ) -> io::Result<()> {
        if sums.uncompressed_size > sums.compressed_size.saturating_mul(RATIO) {
            return Err(wrong("it declares more content than its data can hold"));
        }
        let size = usize::try_from(sums.uncompressed_size)
            .map_err(|_| wrong("its content is too large for this machine"))?;
        out.resize(size, 0);
        let mut trailer = [0; 8];
        trailer[..4].copy_from_slice(&sums.crc32.to_le_bytes());
        trailer[4..].copy_from_slice(&(size as u32).to_le_bytes());
        self.dressed.clear();
        self.dressed.extend_from_slice(&HEADER);
        self.dressed.extend_from_slice(data);
        self.dressed.extend_from_slice(more);
        self.dressed.extend_from_slice(&trailer);
        let given = self.decompressor.gzip_decompress(&self.dressed, out);
        let is_right = given.is_ok_and(|given| given == size);
        if is_right && !is_before_the_end(&self.dressed[HEADER.len()..], trailer) {
            return Ok(());
        }
        out.clear();
        let mut reader = Checked::known(Method::Deflate, 0, sums, data.chain(more))?;
        reader.read_to_end(out).map(drop)
    }
}

/// Whether `bytes`, which end with `trailer`, have it in another place too.
fn is_before_the_end(bytes: &[u8], trailer: [u8; 8]) -> bool {
    memmem::find(&bytes[..bytes.len() - 1], &trailer).is_some()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn deflate(content: &[u8]) -> Vec<u8> {
        let level = flate2::Compression::new(6);
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), level);
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    }

    fn inflate(data: &[u8], content: &[u8]) -> io::Result<Vec<u8>> {
        let sums = Sums {
            crc32: crc32fast::hash(content),
            compressed_size: data.len() as u64,
            uncompressed_size: content.len() as u64,
        };
        let mut out = vec![9; 3];
        let read = Inflater::new().inflate(data, &[], sums, &mut out);
        read.map(|()| out)
    }

    fn trailer(content: &[u8]) -> Vec<u8> {
        let crc32 = crc32fast::hash(content).to_le_bytes();
        [crc32, (content.len() as u32).to_le_bytes()].concat()
    }

    #[test]
    fn no_byte_behind_the_end_goes_unnoticed() {
        for content in [&b""[..], b"x", &b"some text, again and again. ".repeat(500)] {
            let data = deflate(content);
            assert_eq!(inflate(&data, content).unwrap(), content);
            // What would make a trailer too, whole or with the one behind it.
            let whole = trailer(content);
            let mut unused = vec![b"x".to_vec(), vec![0; 9], b"PK unused".to_vec()];
            for part in 1..=whole.len() {
                unused.push(whole[..part].to_vec());
                unused.push([&whole[..part], b"hidden"].concat());
            }
            unused.push([&whole[..], &[7; 9000]].concat());
            for unused in unused {
                let error = inflate(&[&data[..], &unused].concat(), content).unwrap_err();
                assert!(error.to_string().contains("unused bytes"), "{error}");
            }
            for cut in 0..data.len() {
                assert!(inflate(&data[..cut], content).is_err(), "{cut}");
            }
        }
    }

    #[test]
    fn a_second_trailer_is_found_wherever_it_is() {
        let mut bytes = [&[1; 9000][..], b"trailers"].concat();
        let end = bytes.len() - 8;
        assert!(!is_before_the_end(&bytes, *b"trailers"));
        for at in [0, 1, 4096, end - 8, end - 7, end] {
            bytes.fill(1);
            bytes[at..at + 8].copy_from_slice(b"trailers");
            let is_last = at + 8 == bytes.len();
            assert_eq!(is_before_the_end(&bytes, *b"trailers"), !is_last, "{at}");
        }
        assert!(is_before_the_end(&[0; 9], [0; 8]));
        assert!(!is_before_the_end(&[0; 8], [0; 8]));
    }
}
