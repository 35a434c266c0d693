//! Which format a stream is in, by its first bytes.
//!
//! Names are not looked at: `dist.tar` may be compressed and `dist.tar.gz` may
//! not be. A plain tar begins with a member's name, which may be anything, so
//! that a tar whose first name begins with a magic number is taken for that
//! format; callers that know better don't ask.

use super::Codec;

/// How many bytes [`Codec::detect`] looks at.
#[cfg(test)]
pub(super) const HEAD: usize = 10;

/// RFC 1952, 2.3: ID1, ID2, and CM, of which only 8 was ever defined.
const GZIP: [u8; 3] = [0x1F, 0x8B, 8];
/// .xz file format 1.2, 2.1.1.1.
pub(super) const XZ: [u8; 6] = [0xFD, b'7', b'z', b'X', b'Z', 0];
/// RFC 8878, 3.1.1.
const ZSTD: u32 = 0xFD2F_B528;
/// RFC 8878, 3.1.2: sixteen numbers, of which each begins a skippable frame.
pub(super) const SKIPPABLE: u32 = 0x184D_2A50;
/// What follows `BZh1` to `BZh9`: the first block, or the end of an empty stream.
const BZIP2_BLOCK: [u8; 6] = [0x31, 0x41, 0x59, 0x26, 0x53, 0x59];
const BZIP2_END: [u8; 6] = [0x17, 0x72, 0x45, 0x38, 0x50, 0x90];

impl Codec {
    /// The format of the stream that begins with `head`; a head of less than
    /// ten bytes is the whole stream.
    pub(crate) fn detect(head: &[u8]) -> Self {
        if head.starts_with(&GZIP) {
            return Self::Gzip;
        }
        if head.starts_with(&XZ) {
            return Self::Xz;
        }
        if is_bzip2(head) {
            return Self::Bzip2;
        }
        match head.first_chunk().map(|magic| u32::from_le_bytes(*magic)) {
            Some(ZSTD) => Self::Zstd,
            Some(magic) if magic & !0xF == SKIPPABLE => Self::Zstd,
            Some(_) | None => Self::Store,
        }
    }
}

/// `BZh1` is a likely file name; what follows it is not.
fn is_bzip2(head: &[u8]) -> bool {
    let Some((&[b'B', b'Z', b'h', b'1'..=b'9'], rest)) = head.split_first_chunk() else {
        return false;
    };
    let known = rest.len().min(BZIP2_BLOCK.len());
    known > 0 && (BZIP2_BLOCK.starts_with(&rest[..known]) || BZIP2_END.starts_with(&rest[..known]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let cases: &[(&[u8], Codec)] = &[
            (b"", Codec::Store),
            (b"\x1f", Codec::Store),
            (b"\x1f\x8b\x08\0", Codec::Gzip),
            (b"\x1f\x8b\x07\0", Codec::Store),
            (b"BZh91AY&SY", Codec::Bzip2),
            (b"BZh9\x17\x72\x45\x38\x50\x90", Codec::Bzip2),
            (b"BZh1/readme", Codec::Store),
            (b"BZh0\x31AY&SY", Codec::Store),
            (b"\xfd7zXZ\0", Codec::Xz),
            (b"\x28\xb5\x2f\xfd", Codec::Zstd),
            (b"\x50\x2a\x4d\x18", Codec::Zstd),
            (b"\x5f\x2a\x4d\x18", Codec::Zstd),
            (b"\x60\x2a\x4d\x18", Codec::Store),
            (b"dist/app", Codec::Store),
        ];
        for (head, codec) in cases {
            assert_eq!(Codec::detect(head), *codec, "{head:?}");
        }
    }
}
