//! The writer: members to header blocks.
//!
//! A header is plain ustar as long as it can hold the member; what it can't
//! hold goes into a PAX header before it. The same member always becomes the
//! same bytes: no times, names of users or process numbers get in.
//!
//! Names that fit are written as they are, UTF-8 or not, as all readers take
//! a ustar header's bytes for the name's. Only PAX records have a charset.

use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;
use crate::text::escape_bytes;

use super::header::{
    Block, CHECKSUM, DEVMAJOR, DEVMINOR, GID, LINKNAME, MAGIC, MODE, MTIME, NAME, PREFIX, SIZE,
    TYPEFLAG, UID, USTAR_MAGIC, sum,
};
use super::{BLOCK, MAX_RECORD, record, to_block};

/// What ends an archive: two blocks of zeros.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// How many bytes of content follow a member's header.
///
/// Those of a sparse file are its extents' together: the map is part of what
/// [`append_header`] makes, and padded there.
pub(crate) fn stored_size(member: &Member) -> u64 {
    match (member.kind, &member.extents) {
        (MemberKind::File, None) => member.size,
        (MemberKind::File, Some(extents)) => extents.data(),
        (MemberKind::Dir | MemberKind::Symlink | MemberKind::Hardlink, _) => 0,
    }
}

/// How many zero bytes follow `stored` bytes of content; see [`stored_size`].
pub(crate) fn padding(stored: u64) -> usize {
    to_block(stored)
}

/// Appends what stands before `member`'s content: a PAX header where one is
/// needed, the header, and a sparse file's map.
///
/// # Errors
///
/// A member that no reader would take back as it was is refused: names that
/// are empty or have a NUL in them, extents that overlap, leave the file or,
/// but for the last, aren't whole blocks of 512 bytes, more than 1 MiB of
/// attributes or map.
pub(crate) fn append_header(member: &Member, out: &mut Vec<u8>) -> Result<(), Refusal> {
    check(member)?;
    let map = sparse_map(member)?;
    let mut header = Fields::of(member, map.len() as u64);
    let mut records = Vec::new();
    let place = place_path(member);
    add_names(member, &place, &mut records);
    header.add_numbers(&mut records);
    add_xattrs(member, &mut records);
    if records.len() as u64 > MAX_RECORD {
        return Err(too_long(member, "attributes and names"));
    }
    if !records.is_empty() {
        append_records(member, &records, out);
    }
    out.extend_from_slice(&header.block(&place));
    out.extend_from_slice(&map);
    Ok(())
}

fn check(member: &Member) -> Result<(), Refusal> {
    let is_link = matches!(member.kind, MemberKind::Symlink | MemberKind::Hardlink);
    let what = if member.path.is_empty() || member.path.contains(&0) {
        "has a name that is empty or has a NUL in it"
    } else if member.path.ends_with(b"/") {
        "ends with `/`"
    } else if is_link && (member.target.is_empty() || member.target.contains(&0)) {
        "has a target that is empty or has a NUL in it"
    } else if i64::try_from(member.size).is_err() {
        "is too large"
    } else if member.xattrs.iter().any(|(name, _)| name.contains(&0)) {
        "has an attribute with a NUL in its name"
    } else {
        return Ok(());
    };
    Err(refuse(member, ErrorKind::Malformed, what))
}

fn refuse(member: &Member, kind: ErrorKind, what: &str) -> Refusal {
    let path = escape_bytes(&member.path);
    Refusal::new(kind, format!("`{path}` {what}"))
}

fn too_long(member: &Member, what: &str) -> Refusal {
    let what = format!("has more than 1 MiB of {what}, which tar's readers refuse");
    refuse(member, ErrorKind::LimitExceeded, &what)
}

/// A sparse file's map in text, padded to a block; empty for all else.
fn sparse_map(member: &Member) -> Result<Vec<u8>, Refusal> {
    let (MemberKind::File, Some(extents)) = (member.kind, &member.extents) else {
        return Ok(Vec::new());
    };
    let mut extents: Vec<_> = extents.iter().filter(|extent| extent.1 > 0).collect();
    let mut end = 0;
    for (at, &(offset, length)) in extents.iter().enumerate() {
        let next = offset
            .checked_add(length)
            .filter(|&next| next <= member.size);
        let is_whole = length.is_multiple_of(BLOCK as u64) || at + 1 == extents.len();
        end = match next {
            Some(next) if offset >= end && is_whole => next,
            Some(_) | None => {
                let what =
                    "has data in places that overlap, aren't whole blocks, or are behind its end";
                return Err(refuse(member, ErrorKind::Malformed, what));
            }
        };
    }
    // GNU tar makes the file as long as the map, whatever its size.
    if end < member.size || extents.is_empty() {
        extents.push((member.size, 0));
    }
    let mut map = format!("{}\n", extents.len()).into_bytes();
    for (offset, length) in extents {
        map.extend_from_slice(format!("{offset}\n{length}\n").as_bytes());
    }
    map.resize(map.len().next_multiple_of(BLOCK), 0);
    if map.len() as u64 > MAX_RECORD {
        return Err(too_long(member, "places with data"));
    }
    Ok(map)
}

/// What stands in a header's fields for names.
struct Place {
    prefix: Vec<u8>,
    name: Vec<u8>,
    /// Whether this is the whole path.
    fit: Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fit {
    Whole,
    Shortened,
}

fn place_path(member: &Member) -> Place {
    let mut path = member.path.clone();
    if member.kind == MemberKind::Dir {
        path.push(b'/');
    }
    if member.kind == MemberKind::File && member.extents.is_some() {
        // A name that GNU tar gives what only those can read who know maps.
        let name = [b"GNUSparseFile.0/", base_name(&path)].concat();
        return Place::shortened(&name);
    }
    if path.len() <= NAME.len() {
        return Place {
            prefix: Vec::new(),
            name: path,
            fit: Fit::Whole,
        };
    }
    // A folder's slash at the end belongs to the name.
    let slashes = (1..path.len() - 1).filter(|&at| path[at] == b'/');
    let fits = |&at: &usize| at <= PREFIX.len() && path.len() - at - 1 <= NAME.len();
    match slashes.rev().find(fits) {
        Some(at) => Place {
            prefix: path[..at].to_vec(),
            name: path[at + 1..].to_vec(),
            fit: Fit::Whole,
        },
        None => Place::shortened(&path),
    }
}

impl Place {
    fn shortened(path: &[u8]) -> Self {
        Self {
            prefix: Vec::new(),
            name: path[..path.len().min(NAME.len())].to_vec(),
            fit: Fit::Shortened,
        }
    }
}

fn base_name(path: &[u8]) -> &[u8] {
    path.rsplit(|&byte| byte == b'/').next().unwrap_or(path)
}

/// The records for names that the header has no room for.
fn add_names(member: &Member, place: &Place, records: &mut Vec<u8>) {
    let is_sparse = member.kind == MemberKind::File && member.extents.is_some();
    let path = (place.fit == Fit::Shortened).then_some(&member.path);
    let target = (member.target.len() > LINKNAME.len()).then_some(&member.target);
    let names = [path, target];
    // Before the names: readers convert them as they come.
    let is_text = |name: &&Vec<u8>| str::from_utf8(name).is_ok();
    if !names.iter().flatten().all(is_text) {
        record::append(b"hdrcharset", b"BINARY", records);
    }
    if is_sparse {
        record::append(b"GNU.sparse.major", b"1", records);
        record::append(b"GNU.sparse.minor", b"0", records);
        record::append(b"GNU.sparse.name", &member.path, records);
        let size = member.size.to_string();
        record::append(b"GNU.sparse.realsize", size.as_bytes(), records);
    } else if let Some(path) = path {
        let mut path = path.clone();
        if member.kind == MemberKind::Dir {
            path.push(b'/');
        }
        record::append(b"path", &path, records);
    }
    if let Some(target) = target {
        record::append(b"linkpath", target, records);
    }
}

/// Attributes in star's spelling, which GNU tar, libarchive and bsdtar read.
fn add_xattrs(member: &Member, records: &mut Vec<u8>) {
    for (name, value) in &member.xattrs {
        let mut key = b"SCHILY.xattr.".to_vec();
        for &byte in name {
            // As GNU tar does: a key ends at its first equals sign.
            match byte {
                b'=' => key.extend_from_slice(b"%3D"),
                b'%' => key.extend_from_slice(b"%25"),
                _ => key.push(byte),
            }
        }
        record::append(&key, value, records);
    }
}

/// The PAX header itself: a header block, the records, and their padding.
fn append_records(member: &Member, records: &[u8], out: &mut Vec<u8>) {
    let name = [b"PaxHeaders.0/", base_name(&member.path)].concat();
    let header = Fields {
        flag: b'x',
        target: Vec::new(),
        size: records.len() as u64,
        mode: 0o644,
        modified: Some(Timestamp { secs: 0, nanos: 0 }),
        uid: 0,
        gid: 0,
    };
    out.extend_from_slice(&header.block(&Place::shortened(&name)));
    out.extend_from_slice(records);
    out.resize(out.len() + to_block(records.len() as u64), 0);
}

/// What stands in the fields of a header that hold no path.
struct Fields {
    flag: u8,
    target: Vec<u8>,
    size: u64,
    mode: u32,
    modified: Option<Timestamp>,
    uid: u64,
    gid: u64,
}

impl Fields {
    fn of(member: &Member, map: u64) -> Self {
        Self {
            flag: match member.kind {
                MemberKind::File => b'0',
                MemberKind::Hardlink => b'1',
                MemberKind::Symlink => b'2',
                MemberKind::Dir => b'5',
            },
            target: match member.kind {
                MemberKind::Symlink | MemberKind::Hardlink => member.target.clone(),
                MemberKind::Dir | MemberKind::File => Vec::new(),
            },
            size: stored_size(member) + map,
            mode: member.mode & 0o7777,
            modified: member.modified,
            uid: member.uid,
            gid: member.gid,
        }
    }

    /// Moves the numbers that the fields have no room for to `records`.
    fn add_numbers(&mut self, records: &mut Vec<u8>) {
        for (key, number, field) in [
            (&b"size"[..], &mut self.size, SIZE),
            (b"uid", &mut self.uid, UID),
            (b"gid", &mut self.gid, GID),
        ] {
            // A digit is three bits, and a NUL ends the field.
            if *number >> (3 * (field.len() - 1)) > 0 {
                record::append(key, number.to_string().as_bytes(), records);
                *number = 0;
            }
        }
        if let Some(time) = self.modified {
            let fits = u64::try_from(time.secs).is_ok_and(|secs| secs >> 33 == 0);
            if !fits || time.nanos > 0 {
                record::append(b"mtime", decimal(time).as_bytes(), records);
            }
            if !fits {
                self.modified = Some(Timestamp { secs: 0, nanos: 0 });
            }
        }
    }

    fn block(&self, place: &Place) -> Block {
        let mut block = [0; BLOCK];
        let mut put = |range: std::ops::Range<usize>, bytes: &[u8]| {
            let count = bytes.len().min(range.len());
            block[range.start..range.start + count].copy_from_slice(&bytes[..count]);
        };
        put(NAME, &place.name);
        put(PREFIX, &place.prefix);
        put(LINKNAME, &self.target);
        put(TYPEFLAG..TYPEFLAG + 1, &[self.flag]);
        put(MAGIC, USTAR_MAGIC);
        put(MODE, &octal(u64::from(self.mode), MODE.len()));
        put(UID, &octal(self.uid, UID.len()));
        put(GID, &octal(self.gid, GID.len()));
        put(SIZE, &octal(self.size, SIZE.len()));
        put(DEVMAJOR, &octal(0, DEVMAJOR.len()));
        put(DEVMINOR, &octal(0, DEVMINOR.len()));
        if let Some(time) = self.modified {
            put(MTIME, &octal(time.secs.unsigned_abs(), MTIME.len()));
        }
        let sum = sum(&block);
        // POSIX: six digits, a NUL, a space.
        let sum = format!("{sum:06o}\0 ");
        block[CHECKSUM].copy_from_slice(sum.as_bytes());
        block
    }
}

/// Octal digits that fill a field up to the NUL at its end.
fn octal(number: u64, length: usize) -> Vec<u8> {
    format!("{number:0width$o}\0", width = length - 1).into_bytes()
}

/// Seconds and, where there is one, the fraction without zeros at its end.
fn decimal(time: Timestamp) -> String {
    // The fraction of a negative time counts away from zero.
    let (sign, secs, nanos) = match (time.secs < 0, time.nanos) {
        (false, nanos) => ("", time.secs.unsigned_abs(), nanos),
        (true, 0) => ("-", time.secs.unsigned_abs(), 0),
        (true, nanos) => ("-", (time.secs + 1).unsigned_abs(), 1_000_000_000 - nanos),
    };
    let text = format!("{sign}{secs}.{nanos:09}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
