//! The index of a `.tar.zst`: what its headers say, in few bytes.
//!
//! An index is a row of records, one a member in the archive's order, in
//! independent parts of one unit each. It lets a reader list the archive and
//! plan its extraction without decoding content. It is a claim like any other:
//! whoever extracts compares each header with it. docs/format.md has the table.

use crate::entry::{Carried, Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::extents::Extents;
use crate::sys::Timestamp;

/// Bits of a record's first byte, above the two of the member's kind.
const HAS_TIME: u8 = 1 << 2;
const HAS_OWNER: u8 = 1 << 3;
const HAS_XATTRS: u8 = 1 << 4;
const HAS_EXTENTS: u8 = 1 << 5;
const KNOWN: u8 = 0x3f;

/// The longest path, target or attribute that is read, in bytes.
const LONGEST: u64 = 1 << 20;

/// Writes one part of an index.
#[derive(Debug, Default)]
pub(crate) struct IndexWriter {
    bytes: Vec<u8>,
    before: Vec<u8>,
}

impl IndexWriter {
    /// Adds the next member, whose headers take `header` bytes.
    pub(crate) fn push(&mut self, member: &Member, header: u64) {
        let out = &mut self.bytes;
        let has_owner = member.uid != 0 || member.gid != 0;
        // Who wants others reads the headers.
        let is_carried = |(name, _): &&(Vec<u8>, Vec<u8>)| Carried::Users.has(name);
        let xattrs: Vec<_> = member.xattrs.iter().filter(is_carried).collect();
        let flag = |is_set: bool, bit: u8| if is_set { bit } else { 0 };
        out.push(
            kind_number(member.kind)
                | flag(member.modified.is_some(), HAS_TIME)
                | flag(has_owner, HAS_OWNER)
                | flag(!xattrs.is_empty(), HAS_XATTRS)
                | flag(member.extents.is_some(), HAS_EXTENTS),
        );
        let equal = self.before.iter().zip(&member.path);
        let shared = equal.take_while(|(a, b)| a == b).count();
        number(out, shared as u64);
        bytes(out, &member.path[shared..]);
        number(out, header);
        number(out, u64::from(member.mode));
        match member.kind {
            MemberKind::File => number(out, member.size),
            MemberKind::Symlink | MemberKind::Hardlink => bytes(out, &member.target),
            MemberKind::Dir => {}
        }
        if let Some(time) = member.modified {
            number(out, zigzag(time.secs));
            number(out, u64::from(time.nanos));
        }
        if has_owner {
            number(out, member.uid);
            number(out, member.gid);
        }
        if !xattrs.is_empty() {
            number(out, xattrs.len() as u64);
            for (name, value) in xattrs {
                bytes(out, name);
                bytes(out, value);
            }
        }
        if let Some(extents) = &member.extents {
            number(out, extents.len() as u64);
            for (offset, length) in extents.iter() {
                number(out, offset);
                number(out, length);
            }
        }
        self.before.clear();
        self.before.extend_from_slice(&member.path);
    }

    /// The part's bytes.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

/// Reads one part of an index: `each` takes every member, with the bytes of all
/// its headers in the archive.
///
/// # Errors
///
/// When a record is cut off, or says what no record can say; or that of `each`.
pub(crate) fn read_index(
    part: &[u8],
    mut each: impl FnMut(Member, u64) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut path = Vec::new();
    let mut rest = part;
    while !rest.is_empty() {
        let (member, header) = read_record(&mut rest, &mut path)?;
        each(member, header)?;
    }
    Ok(())
}

/// Reads one record. `path` is that of the record before, and then its own.
fn read_record(rest: &mut &[u8], path: &mut Vec<u8>) -> Result<(Member, u64), Refusal> {
    let (flags, tail) = rest.split_first().ok_or_else(cut_off)?;
    *rest = tail;
    if flags & !KNOWN != 0 {
        return Err(wrong("has a record with unknown bits"));
    }
    let kind = match flags & 3 {
        0 => MemberKind::Dir,
        1 => MemberKind::File,
        2 => MemberKind::Symlink,
        _ => MemberKind::Hardlink,
    };
    let shared = take_size(rest)?;
    if shared > path.len() {
        return Err(wrong("shares more of a path than there is"));
    }
    path.truncate(shared);
    path.extend_from_slice(take_bytes(rest)?);
    let header = take_number(rest)?;
    let mut member = Member::new(kind, path.as_slice());
    let mode = take_number(rest)?;
    member.mode = u32::try_from(mode)
        .ok()
        .filter(|mode| *mode <= 0o7777)
        .ok_or_else(|| wrong("has a mode that is none"))?;
    match kind {
        MemberKind::File => member.size = take_number(rest)?,
        MemberKind::Symlink | MemberKind::Hardlink => member.target = take_bytes(rest)?.to_vec(),
        MemberKind::Dir => {}
    }
    if flags & HAS_TIME != 0 {
        let secs = unzigzag(take_number(rest)?);
        let nanos = u32::try_from(take_number(rest)?)
            .ok()
            .filter(|nanos| *nanos < 1_000_000_000);
        let nanos = nanos.ok_or_else(|| wrong("has a time that is none"))?;
        member.modified = Some(Timestamp { secs, nanos });
    }
    if flags & HAS_OWNER != 0 {
        (member.uid, member.gid) = (take_number(rest)?, take_number(rest)?);
    }
    if flags & HAS_XATTRS != 0 {
        for _ in 0..take_number(rest)? {
            let name = take_bytes(rest)?.to_vec();
            member.xattrs.push((name, take_bytes(rest)?.to_vec()));
        }
    }
    if flags & HAS_EXTENTS != 0 {
        member.extents = Some(take_extents(rest, member.size)?);
    }
    Ok((member, header))
}

/// Reads a sparse map, which runs forwards and stays within the file.
fn take_extents(rest: &mut &[u8], size: u64) -> Result<Extents, Refusal> {
    let mut extents = Extents::default();
    let mut end = 0;
    for _ in 0..take_number(rest)? {
        let (offset, length) = (take_number(rest)?, take_number(rest)?);
        let next = offset.checked_add(length);
        end = next
            .filter(|next| offset >= end && *next <= size)
            .ok_or_else(|| wrong("has a map of data that overlaps or leaves the file"))?;
        extents.push((offset, length));
    }
    Ok(extents)
}

fn kind_number(kind: MemberKind) -> u8 {
    match kind {
        MemberKind::Dir => 0,
        MemberKind::File => 1,
        MemberKind::Symlink => 2,
        MemberKind::Hardlink => 3,
    }
}

/// Appends a number in LEB128: seven bits a byte, the lowest first.
fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    number(out, value.len() as u64);
    out.extend_from_slice(value);
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Refusal> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or_else(cut_off)?;
        *rest = tail;
        let bits = u64::from(byte & 0x7f);
        if shift == 63 && bits > 1 {
            break;
        }
        value |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(wrong("has a number of more than 64 bits"))
}

fn take_size(rest: &mut &[u8]) -> Result<usize, Refusal> {
    let size = take_number(rest)?;
    let fits = usize::try_from(size).ok().filter(|_| size <= LONGEST);
    fits.ok_or_else(|| wrong("has a name of more than 1 MiB"))
}

fn take_bytes<'b>(rest: &mut &'b [u8]) -> Result<&'b [u8], Refusal> {
    let size = take_size(rest)?;
    let (value, tail) = rest.split_at_checked(size).ok_or_else(cut_off)?;
    *rest = tail;
    Ok(value)
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)).cast_unsigned()
}

fn unzigzag(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

fn cut_off() -> Refusal {
    wrong("ends within a record")
}

fn wrong(what: &str) -> Refusal {
    let hint = "decompress it with `zstd -d` first, which ignores the index";
    Refusal::new(ErrorKind::Malformed, format!("its index {what}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_member() -> impl Strategy<Value = (Member, u64)> {
        let kind = (0_u8..4, "[a-c/]{1,12}", any::<u64>(), 0_u32..=0o7777);
        let more = (
            any::<Option<i64>>(),
            0_u32..1_000_000_000,
            any::<u16>(),
            any::<bool>(),
        );
        (kind, more, any::<u32>()).prop_map(|((kind, path, size, mode), more, header)| {
            let kind = match kind {
                0 => MemberKind::Dir,
                1 => MemberKind::File,
                2 => MemberKind::Symlink,
                _ => MemberKind::Hardlink,
            };
            let mut member = Member::new(kind, path);
            let (secs, nanos, owner, is_sparse) = more;
            member.mode = mode;
            member.modified = secs.map(|secs| Timestamp { secs, nanos });
            member.uid = u64::from(owner);
            match kind {
                MemberKind::File => member.size = size,
                MemberKind::Symlink | MemberKind::Hardlink => member.target = vec![b'x'; 300],
                MemberKind::Dir => member.xattrs.push((b"user.a".to_vec(), vec![0, 1])),
            }
            if is_sparse && kind == MemberKind::File && size > 9 {
                member.extents = Some(vec![(1, 2), (4, 5)].into());
            }
            (member, u64::from(header))
        })
    }

    fn read(part: &[u8]) -> Result<Vec<(Member, u64)>, Refusal> {
        let mut members = Vec::new();
        read_index(part, |member, header| {
            members.push((member, header));
            Ok(())
        })?;
        Ok(members)
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(members in prop::collection::vec(any_member(), 0..20)) {
            let mut writer = IndexWriter::default();
            for (member, header) in &members {
                writer.push(member, *header);
            }
            let bytes = writer.into_bytes();
            prop_assert_eq!(&read(&bytes).unwrap(), &members);
            for end in 0..bytes.len() {
                // A part that ends between two records is whole, but shorter.
                if let Ok(read) = read(&bytes[..end]) {
                    prop_assert!(read.len() < members.len());
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = read(&bytes);
        }
    }
}
