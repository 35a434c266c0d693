//! One header block: its fields, its checksum, and the types of members.
//!
//! Offsets are those of POSIX.1-2017, `pax`, "ustar Interchange Format", and
//! of `struct oldgnu_header` in GNU tar's `tar.h`. A block is either
//! understood whole or refused: a field with anything but a number in it is
//! not guessed at.

use std::ops::Range;

use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;
use crate::text::escape_bytes;

use super::BLOCK;

pub(super) type Block = [u8; BLOCK];

// POSIX.1-2017, `pax`, table "ustar Header Block".
pub(super) const NAME: Range<usize> = 0..100;
pub(super) const MODE: Range<usize> = 100..108;
pub(super) const UID: Range<usize> = 108..116;
pub(super) const GID: Range<usize> = 116..124;
pub(super) const SIZE: Range<usize> = 124..136;
pub(super) const MTIME: Range<usize> = 136..148;
pub(super) const CHECKSUM: Range<usize> = 148..156;
pub(super) const TYPEFLAG: usize = 156;
pub(super) const LINKNAME: Range<usize> = 157..257;
/// `magic` and `version` together.
pub(super) const MAGIC: Range<usize> = 257..265;
pub(super) const DEVMAJOR: Range<usize> = 329..337;
pub(super) const DEVMINOR: Range<usize> = 337..345;
pub(super) const PREFIX: Range<usize> = 345..500;

pub(super) const USTAR_MAGIC: &[u8; 8] = b"ustar\x0000";
const GNU_MAGIC: &[u8; 8] = b"ustar  \0";

/// Which rules a header follows where they differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Before POSIX: no prefix.
    V7,
    /// POSIX: with a prefix of the name.
    Ustar,
    /// GNU's own: other fields where POSIX has the prefix.
    Gnu,
}

/// What a header introduces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    File,
    /// A file by type, without a type: before POSIX a folder was one whose
    /// name ends in a slash.
    Untyped,
    Hardlink,
    Symlink,
    Dir,
    GnuSparse,
    /// The name of the whole archive: nothing to extract.
    GnuVolume,
    Record(RecordKind),
}

/// What stands before a member's header and changes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A PAX header for the member that follows.
    Pax,
    /// A PAX header for all members that follow.
    PaxGlobal,
    GnuLongName,
    GnuLongTarget,
}

/// A header as it stands, before records that change it are applied.
#[derive(Debug)]
pub(super) struct Header {
    pub kind: Type,
    /// The name with its prefix; empty if the name is.
    pub path: Vec<u8>,
    pub target: Vec<u8>,
    /// Bytes that follow; `None` if the field is blank.
    pub size: Option<u64>,
    pub mode: u32,
    pub modified: Option<Timestamp>,
    pub uid: u64,
    pub gid: u64,
}

impl Header {
    /// Reads a block that isn't all zeros.
    pub(super) fn parse(block: &Block) -> Result<Self, Refusal> {
        check_sum(block)?;
        let dialect = dialect(block);
        let path = path(block, dialect)?;
        let kind = kind(block[TYPEFLAG], dialect, &path)?;
        let modified = number(&block[MTIME], "time")?;
        Ok(Self {
            kind,
            path,
            target: until_nul(&block[LINKNAME]).to_vec(),
            size: unsigned(&block[SIZE], "size")?,
            mode: (unsigned(&block[MODE], "mode")?.unwrap_or(0) & 0o7777) as u32,
            modified: modified.map(|secs| Timestamp { secs, nanos: 0 }),
            uid: unsigned(&block[UID], "owner")?.unwrap_or(0),
            gid: unsigned(&block[GID], "group")?.unwrap_or(0),
        })
    }
}

/// The sum of a header's bytes, with spaces where the sum itself stands.
pub(super) fn sum(block: &Block) -> i64 {
    // 512 bytes can't overflow 32 bits, which the compiler adds 16 at a time.
    let all: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    let own: u32 = block[CHECKSUM].iter().map(|&byte| u32::from(byte)).sum();
    i64::from(all - own) + CHECKSUM.len() as i64 * i64::from(b' ')
}

/// The same with the bytes as signed numbers: some historic writers added them
/// so.
fn signed_sum(block: &Block) -> i64 {
    let is_high = |byte: &&u8| !byte.is_ascii();
    let high =
        block.iter().filter(is_high).count() - block[CHECKSUM].iter().filter(is_high).count();
    sum(block) - 256 * high as i64
}

pub(super) fn check_sum(block: &Block) -> Result<(), Refusal> {
    match number(&block[CHECKSUM], "checksum") {
        Ok(Some(said)) if said == sum(block) || said == signed_sum(block) => Ok(()),
        Ok(_) | Err(_) => Err(Refusal::malformed(
            "a header doesn't match its checksum, or isn't one",
        )),
    }
}

fn dialect(block: &Block) -> Dialect {
    let magic = &block[MAGIC];
    if magic == GNU_MAGIC {
        Dialect::Gnu
    } else if magic.starts_with(b"ustar\0") {
        Dialect::Ustar
    } else {
        Dialect::V7
    }
}

fn path(block: &Block, dialect: Dialect) -> Result<Vec<u8>, Refusal> {
    let name = until_nul(&block[NAME]);
    let prefix = match dialect {
        Dialect::Ustar => until_nul(&block[PREFIX]),
        Dialect::V7 | Dialect::Gnu => b"",
    };
    if name.is_empty() || prefix.is_empty() {
        return Ok(name.to_vec());
    }
    // Writers come to this prefix only when they split a name that is too long.
    if prefix == b"." && name.len() + 2 <= NAME.len() {
        return Err(Refusal::malformed(format!(
            "the prefix `.` of `{}` is needless",
            escape_bytes(name)
        )));
    }
    Ok([prefix, b"/", name].concat())
}

fn kind(flag: u8, dialect: Dialect, path: &[u8]) -> Result<Type, Refusal> {
    let kind = match flag {
        0 => Type::Untyped,
        // `7` is a file that should be contiguous on disk.
        b'0' | b'7' => Type::File,
        b'1' => Type::Hardlink,
        b'2' => Type::Symlink,
        b'5' => Type::Dir,
        b'x' => Type::Record(RecordKind::Pax),
        b'g' => Type::Record(RecordKind::PaxGlobal),
        b'L' => Type::Record(RecordKind::GnuLongName),
        b'K' => Type::Record(RecordKind::GnuLongTarget),
        b'S' => Type::GnuSparse,
        b'V' => Type::GnuVolume,
        _ => return Err(unsupported(flag, path)),
    };
    let is_foreign = match flag {
        b'L' | b'K' | b'S' => dialect != Dialect::Gnu,
        // GNU tar writes this one without any magic.
        b'V' => dialect == Dialect::Ustar,
        _ => false,
    };
    if is_foreign {
        let flag = char::from(flag);
        return Err(Refusal::malformed(format!(
            "type `{flag}` belongs to GNU tar, but the header isn't GNU's"
        )));
    }
    Ok(kind)
}

fn unsupported(flag: u8, path: &[u8]) -> Refusal {
    let path = escape_bytes(path);
    let what = match flag {
        b'3' | b'4' => format!("`{path}` is a device"),
        b'6' => format!("`{path}` is a FIFO"),
        b'D' => format!("`{path}` is a folder's listing of an incremental backup"),
        b'M' => format!("`{path}` continues from another volume"),
        b'N' => format!("`{path}` is a list of names to change"),
        b'A'..=b'Z' => {
            let flag = char::from(flag);
            format!("`{path}` is of type `{flag}`, whose meaning differs between vendors")
        }
        _ => {
            let flag = escape_bytes(&[flag]);
            let cause = format!("`{path}` is of type `{flag}`, which isn't known");
            return Refusal::malformed(cause);
        }
    };
    Refusal::new(ErrorKind::Unsafe, what)
}

/// The bytes of a field up to its first NUL, or all.
pub(super) fn until_nul(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number that can't be below 0 or above 2⁶³-1; `None` if the field is blank.
pub(super) fn unsigned(field: &[u8], what: &str) -> Result<Option<u64>, Refusal> {
    let Some(value) = number(field, what)? else {
        return Ok(None);
    };
    let value = u64::try_from(value)
        .map_err(|_| Refusal::malformed(format!("a header's {what} is negative")))?;
    Ok(Some(value))
}

/// A number in octal digits or in GNU's base 256; `None` if the field is blank.
fn number(field: &[u8], what: &str) -> Result<Option<i64>, Refusal> {
    if field[0] & 0x80 != 0 {
        return base_256(field, what).map(Some);
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|&byte| byte != b' ');
    let field = &field[start.unwrap_or(field.len())..];
    let digits = field.iter().take_while(|byte| matches!(byte, b'0'..=b'7'));
    let count = digits.count();
    let (digits, rest) = field.split_at(count);
    if !rest.iter().all(is_blank) {
        return Err(Refusal::malformed(format!(
            "a header's {what} is no number"
        )));
    }
    if digits.is_empty() {
        return Ok(None);
    }
    // At most 12 digits: 36 bits.
    let value = digits
        .iter()
        .fold(0, |sum, digit| sum * 8 + i64::from(digit - b'0'));
    Ok(Some(value))
}

/// GNU's numbers: big-endian two's complement, in which the first byte's upper
/// bit says that this is one, and the next bit is the sign.
fn base_256(field: &[u8], what: &str) -> Result<i64, Refusal> {
    let first = i128::from(field[0] & 0x7f);
    let first = if first & 0x40 != 0 {
        first - 0x80
    } else {
        first
    };
    // At most 12 bytes: 95 bits.
    let value = field[1..]
        .iter()
        .fold(first, |sum, byte| (sum << 8) | i128::from(*byte));
    i64::try_from(value)
        .map_err(|_| Refusal::malformed(format!("a header's {what} is out of range")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_whole_or_refused() {
        type Case = (&'static [u8], Result<Option<i64>, &'static str>);
        let cases: &[Case] = &[
            (b"0000644\0", Ok(Some(0o644))),
            (b"   644 \0", Ok(Some(0o644))),
            (b"644\0\0\0\0\0", Ok(Some(0o644))),
            (b"77777777", Ok(Some(0o77_777_777))),
            (b"\0\0\0\0\0\0\0\0", Ok(None)),
            (b"        ", Ok(None)),
            (b"0000648\0", Err("a header's x is no number")),
            (b"-000644\0", Err("a header's x is no number")),
            (b"644\0x\0\0\0", Err("a header's x is no number")),
            (b"64 4\0\0\0\0", Err("a header's x is no number")),
            (b"\x80\0\0\0\0\0\0\x05", Ok(Some(5))),
            (b"\xff\xff\xff\xff\xff\xff\xff\xfe", Ok(Some(-2))),
            (
                b"\x80\0\0\0\x80\0\0\0\0\0\0\0",
                Err("a header's x is out of range"),
            ),
            (
                b"\x80\0\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
                Ok(Some(i64::MAX)),
            ),
        ];
        for (field, wanted) in cases {
            let got = number(field, "x").map_err(|error| error.to_string());
            assert_eq!(got, wanted.map_err(str::to_owned), "{field:?}");
        }
    }

    #[test]
    fn negative_sizes_are_refused() {
        let error = unsigned(&[0xff; 12], "size").unwrap_err();
        assert_eq!(error.to_string(), "a header's size is negative");
    }
}
