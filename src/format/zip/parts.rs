//! Parts of a large member, which are decoded each by itself.
//!
//! A member's data may be several pieces of Deflate, of which each but the last
//! ends on a byte with an empty block and none refers to the ones before. Any reader
//! decodes them one after the other and notices nothing; one that knows where
//! they begin decodes them all at once. That is told by an extra field of our
//! own in the directory (docs/format.md). It is a claim: it is used only if it
//! fits the sizes and the CRC-32 that the directory has of the whole member,
//! and each part is checked against it.

use std::io;
use std::ops::{Range, RangeInclusive};

use super::check::wrong;
use super::inflate::Inflater;
use super::local::Sums;
use super::method::Method;

/// The form of the field, its first byte.
const FORM: u8 = 1;
/// The form, and the content's bytes of every part but the last.
const HEAD: usize = 5;
/// Compressed bytes and CRC-32 of a part.
const RECORD: usize = 8;
/// The most parts: all fields of a header together take 64 KiB at most, and
/// other fields about 100 bytes.
const MOST: usize = 8000;
/// Content of a part. A worker holds a part and its data, twice: 12 MiB.
const SIZES: RangeInclusive<u64> = 1 << 20..=4 << 20;
/// Members with more content than this are packed in parts, and smaller ones
/// decoded whole.
pub(crate) const LARGE: u64 = 8 << 20;
/// Parts that are kept of all members of an archive, 2 MiB in memory and up to
/// 256 GiB of content; the tables behind them are passed over.
pub(super) const MOST_IN_ALL: usize = 64 << 10;
/// How every part but the last ends: an empty stored block, RFC 1951, 3.2.4.
const SYNC: [u8; 4] = [0, 0, 0xff, 0xff];
/// An empty stored block that is the last, from a byte's beginning.
const LAST_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// One part of a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its data, from the beginning of the member's.
    pub(crate) stored: Range<u64>,
    /// Its bytes in the content.
    pub(crate) content: Range<u64>,
    crc32: u32,
    is_last: bool,
}

/// Reads the field of a member with these `sums`; `None` if it is of a form
/// that isn't known, or doesn't fit the member.
pub(super) fn read(field: &[u8], method: Method, sums: Sums) -> Option<Box<[Part]>> {
    let (head, records) = field.split_at_checked(HEAD)?;
    let (form, content) = head.split_first()?;
    let content = u64::from(number(content)?);
    let count = records.len() / RECORD;
    let is_sound = *form == FORM
        && method == Method::Deflate
        && records.len() % RECORD == 0
        && SIZES.contains(&content)
        && sums.uncompressed_size > LARGE
        && count <= MOST
        && count as u64 == sums.uncompressed_size.div_ceil(content);
    if !is_sound {
        return None;
    }
    let mut parts = Vec::with_capacity(count);
    let mut crc32 = crc32fast::Hasher::new();
    let (mut stored, mut at) = (0, 0);
    for record in records.chunks_exact(RECORD) {
        let length = u64::from(number(record)?);
        let part = Part {
            stored: stored..stored + length,
            content: at..(at + content).min(sums.uncompressed_size),
            crc32: number(&record[4..])?,
            is_last: at + content >= sums.uncompressed_size,
        };
        let size = part.content.end - part.content.start;
        // None is empty, and no deflater makes more than this of a part.
        if !(1..=size + size / 8 + 1024).contains(&length) {
            return None;
        }
        let alone = crc32fast::Hasher::new_with_initial_len(part.crc32, size);
        crc32.combine(&alone);
        (stored, at) = (part.stored.end, part.content.end);
        parts.push(part);
    }
    let fits = stored == sums.compressed_size && crc32.finalize() == sums.crc32;
    fits.then(|| parts.into())
}

/// The number in the first four bytes.
fn number(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

/// Replaces `out` by the content of `part`, of which `data` is all.
pub(crate) fn decode_part(
    part: &Part,
    data: &[u8],
    out: &mut Vec<u8>,
    inflater: &mut Inflater,
) -> io::Result<()> {
    let closing = match part.is_last {
        true => &[][..],
        false if data.ends_with(&SYNC) => &LAST_BLOCK,
        false => {
            return Err(wrong(
                "a part of its data ends elsewhere than its table says",
            ));
        }
    };
    let sums = Sums {
        crc32: part.crc32,
        compressed_size: (data.len() + closing.len()) as u64,
        uncompressed_size: part.content.end - part.content.start,
    };
    inflater.inflate(data, closing, sums, out)
}

/// Collects the field of a member while its parts are written.
#[derive(Debug, Default)]
pub(crate) struct PartsWriter {
    records: Vec<u8>,
}

impl PartsWriter {
    /// Notes the next part: its compressed bytes, and the CRC-32 of its content.
    pub(crate) fn push(&mut self, stored: u64, crc32: u32) {
        let stored = u32::try_from(stored).expect("a part has some MiB");
        self.records.extend_from_slice(&stored.to_le_bytes());
        self.records.extend_from_slice(&crc32.to_le_bytes());
    }

    /// The field, if the parts have `content` bytes each and there are no more
    /// of them than a field can hold.
    pub(crate) fn field(&self, content: u64) -> Option<Vec<u8>> {
        let content = u32::try_from(content).ok()?;
        let fits = (2..=MOST).contains(&(self.records.len() / RECORD));
        fits.then(|| [&[FORM], &content.to_le_bytes()[..], &self.records].concat())
    }
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::super::{Directory, NewEntry, SizesIn, central_header, end_records, local_header};
    use super::*;
    use crate::entry::{Member, MemberKind};

    const PART: usize = 4 << 20;

    fn piece(raw: &[u8], flush: FlushCompress) -> Vec<u8> {
        let mut out = Vec::with_capacity(raw.len() + 100);
        let mut stream = Compress::new(Compression::new(6), false);
        stream.compress_vec(raw, &mut out, flush).unwrap();
        out
    }

    struct Made {
        content: Vec<u8>,
        data: Vec<u8>,
        field: Vec<u8>,
    }

    impl Made {
        fn new() -> Self {
            let content: Vec<u8> = (0..9_000_000_u32).map(|at| (at >> 9) as u8).collect();
            let mut writer = PartsWriter::default();
            let mut data = Vec::new();
            for raw in content.chunks(PART) {
                let flush = match raw.len() == PART {
                    true => FlushCompress::Sync,
                    false => FlushCompress::Finish,
                };
                let piece = piece(raw, flush);
                writer.push(piece.len() as u64, crc32fast::hash(raw));
                data.extend(piece);
            }
            let field = writer.field(PART as u64).unwrap();
            Self {
                content,
                data,
                field,
            }
        }

        fn sums(&self) -> Sums {
            Sums {
                crc32: crc32fast::hash(&self.content),
                compressed_size: self.data.len() as u64,
                uncompressed_size: self.content.len() as u64,
            }
        }

        fn read(&self, field: &[u8]) -> Option<Box<[Part]>> {
            read(field, Method::Deflate, self.sums())
        }

        fn decode(&self, parts: &[Part]) -> io::Result<Vec<u8>> {
            let mut content = vec![0; self.content.len()];
            let (mut out, mut inflater) = (Vec::new(), Inflater::new());
            // In any order.
            for part in parts.iter().rev() {
                let data = &self.data[part.stored.start as usize..part.stored.end as usize];
                decode_part(part, data, &mut out, &mut inflater)?;
                content[part.content.start as usize..part.content.end as usize]
                    .copy_from_slice(&out);
            }
            Ok(content)
        }
    }

    #[test]
    fn parts_give_the_whole() {
        let made = Made::new();
        let parts = made.read(&made.field).unwrap();
        assert_eq!(parts.len(), 3);
        assert!(made.decode(&parts).unwrap() == made.content);
        // What readers do that know nothing of parts.
        let mut whole = Vec::new();
        let sums = made.sums();
        let inflated = Inflater::new().inflate(&made.data, &[], sums, &mut whole);
        inflated.unwrap();
        assert!(whole == made.content);
    }

    #[test]
    fn a_changed_table_is_not_used_or_not_believed() {
        let made = Made::new();
        for at in 0..made.field.len() {
            for bit in 0..8 {
                let mut field = made.field.clone();
                field[at] ^= 1 << bit;
                // Other sizes of parts leave the sums as they are.
                if let Some(parts) = made.read(&field) {
                    assert!(made.decode(&parts).is_err(), "{at} {bit}");
                }
            }
        }
        for end in 0..made.field.len() {
            assert!(made.read(&made.field[..end]).is_none());
        }
        let sums = made.sums();
        assert!(read(&made.field, Method::Stored, sums).is_none());
        let longer = Sums {
            uncompressed_size: sums.uncompressed_size + 1,
            ..sums
        };
        assert!(read(&made.field, Method::Deflate, longer).is_none());
    }

    #[test]
    fn a_part_has_to_end_where_its_table_says() {
        let made = Made::new();
        let parts = made.read(&made.field).unwrap();
        for by in [1, 4, 5, 6] {
            let mut moved = parts.clone();
            moved[0].stored.end -= by;
            moved[1].stored.start -= by;
            assert!(made.decode(&moved).is_err(), "{by}");
        }
        // A part that ends the whole stream: other readers stop there.
        let mut ended = Made::new();
        let early = piece(&ended.content[..PART], FlushCompress::Finish);
        let first = parts[0].stored.end as usize;
        ended.data.splice(..first, [&early[..], &SYNC].concat());
        let mut cut = parts.clone();
        cut[0].stored.end = (early.len() + SYNC.len()) as u64;
        assert!(ended.decode(&cut[..1]).is_err());
    }

    #[test]
    fn a_table_of_too_many_parts_is_left_out() {
        let mut writer = PartsWriter::default();
        writer.push(1, 0);
        assert!(writer.field(1 << 20).is_none(), "one part is the whole");
        for _ in 1..MOST {
            writer.push(1, 0);
        }
        assert!(
            writer
                .field(1 << 20)
                .is_some_and(|field| field.len() < 65_000)
        );
        writer.push(1, 0);
        assert!(writer.field(1 << 20).is_none());
    }

    #[test]
    fn tables_of_all_members_together_are_bounded() {
        let (size, data) = ((MOST as u64) << 20, vec![0; MOST]);
        let mut writer = PartsWriter::default();
        let mut crc32 = crc32fast::Hasher::new();
        for _ in 0..MOST {
            writer.push(1, 7);
            crc32.combine(&crc32fast::Hasher::new_with_initial_len(7, 1 << 20));
        }
        let (field, crc32) = (writer.field(1 << 20).unwrap(), crc32.finalize());
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for number in 0..10 {
            let member = Member::new(MemberKind::File, format!("f{number}"));
            let entry = NewEntry {
                member: &member,
                method: Method::Deflate,
                crc32,
                compressed_size: MOST as u64,
                uncompressed_size: size,
                offset: bytes.len() as u64,
                sizes: SizesIn::Header,
                parts: Some(&field),
            };
            local_header(&entry, &mut bytes).unwrap();
            bytes.extend_from_slice(&data);
            central_header(&entry, &mut directory).unwrap();
        }
        let (at, length) = (bytes.len() as u64, directory.len() as u64);
        bytes.append(&mut directory);
        end_records(10, at, length, &mut bytes);
        let read = Directory::read(&bytes[..], bytes.len() as u64).unwrap();
        let kept = read
            .entries()
            .iter()
            .filter_map(|entry| entry.parts.as_deref());
        assert_eq!(kept.map(<[_]>::len).sum::<usize>(), 8 * MOST);
    }
}
