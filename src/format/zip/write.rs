//! The bytes of a zip file that aren't content.
//!
//! All records say that they were made on Unix, so that modes and links are
//! kept. The same members give the same bytes: no clock is read here, and
//! Zip64 is used only where a number needs it. Times finer than a second stand
//! in the directory alone, which has the last word on everything.

use super::entry::{DOS_FOLDER, unix};
use super::method::Method;
use super::records::{
    CentralHeader, Descriptor, Descriptor64, END64_REST, End64Record, EndRecord, IN_ZIP64,
    IN_ZIP64_SHORT, LocalHeader, Locator, extra, flag, system,
};
use super::time;
use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;
use crate::text::escape_bytes;

/// Versions of the format in tenths: folders, and Zip64, 4.4.3.2.
const VERSION_FOLDER: u16 = 20;
const VERSION_ZIP64: u16 = 45;
/// The version that the archives say they were made by, where none needs more.
const VERSION_MADE_BY: u16 = 30;

/// One member to be written. A link's content is its target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewEntry<'m> {
    pub(crate) member: &'m Member,
    /// LZMA data has to end in a marker.
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    /// The bytes of the content, of a link those of its target.
    pub(crate) uncompressed_size: u64,
    /// Where its local header begins.
    pub(crate) offset: u64,
    pub(crate) sizes: SizesIn,
    /// The field of its parts, from a [`PartsWriter`](super::PartsWriter).
    pub(crate) parts: Option<&'m [u8]>,
}

/// Where a local header's CRC-32 and sizes stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SizesIn {
    /// In the local header itself: they have to be known before it is written.
    Header,
    /// In a descriptor behind the data, with sizes of this width.
    Descriptor(Width),
}

/// How wide a descriptor's sizes are: the local header says so beforehand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Width {
    /// Four bytes: for data and content below 4 GiB.
    Four,
    /// Eight bytes: for all that may become larger.
    Eight,
}

/// Appends the header before the data of `entry`.
pub(crate) fn local_header(entry: &NewEntry<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let common = Common::new(entry)?;
    let (crc32, sizes) = match entry.sizes {
        SizesIn::Header => (
            entry.crc32,
            [entry.uncompressed_size, entry.compressed_size],
        ),
        SizesIn::Descriptor(_) => (0, [0, 0]),
    };
    let width = match entry.sizes {
        SizesIn::Header if sizes.iter().any(|size| *size >= IN_ZIP64.into()) => Width::Eight,
        SizesIn::Header => Width::Four,
        SizesIn::Descriptor(width) => width,
    };
    let mut fields = Vec::new();
    // Here the field always has both, 4.5.3.
    let [uncompressed_size, compressed_size] = match width {
        Width::Four => sizes.map(|size| size as u32),
        Width::Eight => {
            append_field(
                extra::ZIP64,
                &sizes.map(u64::to_le_bytes).concat(),
                &mut fields,
            );
            [IN_ZIP64; 2]
        }
    };
    fields.extend_from_slice(&common.timestamp);
    LocalHeader {
        version_needed: common.version_needed(width),
        flags: common.flags,
        method: entry.method.number(),
        dos_time: common.dos_time,
        dos_date: common.dos_date,
        crc32,
        compressed_size,
        uncompressed_size,
        name_size: common.name_size,
        extra_size: fields.len() as u16,
    }
    .append(out);
    common.append_name(out);
    out.extend_from_slice(&fields);
    Ok(())
}

/// Appends what stands behind the data of an entry with
/// [`SizesIn::Descriptor`]; nothing for another.
pub(crate) fn data_descriptor(entry: &NewEntry<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    match entry.sizes {
        SizesIn::Header => {}
        SizesIn::Descriptor(Width::Eight) => Descriptor64 {
            crc32: entry.crc32,
            compressed_size: entry.compressed_size,
            uncompressed_size: entry.uncompressed_size,
        }
        .append(out),
        SizesIn::Descriptor(Width::Four) => {
            let narrow = |size: u64| {
                u32::try_from(size)
                    .ok()
                    .filter(|size| *size != IN_ZIP64)
                    .ok_or_else(|| {
                        Refusal::new(
                            ErrorKind::LimitExceeded,
                            "a member became larger than its local header allows",
                        )
                    })
            };
            Descriptor {
                crc32: entry.crc32,
                compressed_size: narrow(entry.compressed_size)?,
                uncompressed_size: narrow(entry.uncompressed_size)?,
            }
            .append(out);
        }
    }
    Ok(())
}

/// Appends the header of `entry` in the directory.
pub(crate) fn central_header(entry: &NewEntry<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
    let common = Common::new(entry)?;
    let mut wide = Vec::new();
    let [uncompressed_size, compressed_size, header_offset] =
        [entry.uncompressed_size, entry.compressed_size, entry.offset].map(|number| {
            if number >= IN_ZIP64.into() {
                wide.extend_from_slice(&number.to_le_bytes());
            }
            saturate(number)
        });
    let mut fields = Vec::new();
    if !wide.is_empty() {
        append_field(extra::ZIP64, &wide, &mut fields);
    }
    fields.extend_from_slice(&common.timestamp);
    append_exact_time(entry.member.modified, &mut fields);
    if let Some(parts) = entry.parts {
        append_field(extra::PARTS, parts, &mut fields);
    }
    let width = match entry.sizes {
        SizesIn::Header | SizesIn::Descriptor(Width::Four) if wide.is_empty() => Width::Four,
        SizesIn::Header | SizesIn::Descriptor(Width::Four | Width::Eight) => Width::Eight,
    };
    let version_needed = common.version_needed(width);
    let made_by = version_needed.max(VERSION_MADE_BY) | u16::from(system::UNIX) << 8;
    CentralHeader {
        made_by,
        version_needed,
        flags: common.flags,
        method: entry.method.number(),
        dos_time: common.dos_time,
        dos_date: common.dos_date,
        crc32: entry.crc32,
        compressed_size,
        uncompressed_size,
        name_size: common.name_size,
        extra_size: fields.len() as u16,
        comment_size: 0,
        disk: 0,
        internal_attributes: 0,
        external_attributes: common.attributes,
        header_offset,
    }
    .append(out);
    common.append_name(out);
    out.extend_from_slice(&fields);
    Ok(())
}

/// Appends what ends an archive of `entries` members whose directory is
/// `directory_size` bytes at `directory_offset`.
pub(crate) fn end_records(
    entries: u64,
    directory_offset: u64,
    directory_size: u64,
    out: &mut Vec<u8>,
) {
    let short = u16::try_from(entries).unwrap_or(IN_ZIP64_SHORT);
    let record = EndRecord {
        disk: 0,
        directory_disk: 0,
        entries_here: short,
        entries: short,
        directory_size: saturate(directory_size),
        directory_offset: saturate(directory_offset),
        comment_size: 0,
    };
    if short == IN_ZIP64_SHORT
        || record.directory_size == IN_ZIP64
        || record.directory_offset == IN_ZIP64
    {
        End64Record {
            rest_size: END64_REST,
            made_by: VERSION_ZIP64 | u16::from(system::UNIX) << 8,
            version_needed: VERSION_ZIP64,
            disk: 0,
            directory_disk: 0,
            entries_here: entries,
            entries,
            directory_size,
            directory_offset,
        }
        .append(out);
        Locator {
            disk: 0,
            record_offset: directory_offset + directory_size,
            disks: 1,
        }
        .append(out);
    }
    record.append(out);
}

/// What both headers of a member have.
struct Common<'m> {
    member: &'m Member,
    name_size: u16,
    flags: u16,
    dos_time: u16,
    dos_date: u16,
    attributes: u32,
    /// The extended timestamp, or nothing.
    timestamp: Vec<u8>,
    least_version: u16,
}

impl<'m> Common<'m> {
    fn new(entry: &NewEntry<'m>) -> Result<Self, Refusal> {
        let member = entry.member;
        let refuse = |kind, cause: &str| {
            let name = escape_bytes(&member.path);
            Err(Refusal::new(kind, format!("member `{name}`: {cause}")))
        };
        let (file_type, dos, slash) = match member.kind {
            MemberKind::Dir => (unix::DIR, DOS_FOLDER, 1),
            MemberKind::File => (unix::FILE, 0, 0),
            MemberKind::Symlink => (unix::SYMLINK, 0, 0),
            MemberKind::Hardlink => {
                return refuse(ErrorKind::Unsupported, "a zip has no hard links");
            }
        };
        let Ok(name_size) = u16::try_from(member.path.len() + slash) else {
            return refuse(ErrorKind::BadName, "its name is too long for a zip");
        };
        let mode = match member.kind {
            MemberKind::Symlink => 0o777,
            MemberKind::Dir | MemberKind::File | MemberKind::Hardlink => member.mode & 0o7777,
        };
        let (dos_date, dos_time) = time::to_dos(member.modified);
        let seconds = member
            .modified
            .and_then(|modified| i32::try_from(modified.secs).ok());
        let mut timestamp = Vec::new();
        if let Some(seconds) = seconds {
            // One flag: of the three times, the modification time is there.
            let [a, b, c, d] = seconds.to_le_bytes();
            append_field(extra::TIMESTAMP, &[1, a, b, c, d], &mut timestamp);
        }
        Ok(Self {
            member,
            name_size,
            flags: flags(entry),
            dos_time,
            dos_date,
            attributes: (file_type | mode) << 16 | dos,
            timestamp,
            least_version: match member.kind {
                MemberKind::Dir => entry.method.version_needed().max(VERSION_FOLDER),
                MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink => {
                    entry.method.version_needed()
                }
            },
        })
    }

    fn version_needed(&self, width: Width) -> u16 {
        match width {
            Width::Four => self.least_version,
            Width::Eight => self.least_version.max(VERSION_ZIP64),
        }
    }

    fn append_name(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.member.path);
        if self.member.kind == MemberKind::Dir {
            out.push(b'/');
        }
    }
}

fn flags(entry: &NewEntry<'_>) -> u16 {
    let path = &entry.member.path;
    let mut flags = 0;
    // Names that aren't UTF-8 can't be told from a code page: they go without.
    if !path.is_ascii() && std::str::from_utf8(path).is_ok() {
        flags |= flag::UTF8;
    }
    if entry.method == Method::Lzma {
        flags |= flag::LZMA_MARKER;
    }
    match entry.sizes {
        SizesIn::Header => {}
        SizesIn::Descriptor(_) => flags |= flag::DESCRIPTOR,
    }
    flags
}

/// Appends the time with 100 ns, where the extended timestamp's seconds don't
/// say all that can be said. The three times are the same: only one is known.
fn append_exact_time(modified: Option<Timestamp>, out: &mut Vec<u8>) {
    let needed = |time: &Timestamp| time.nanos >= 100 || i32::try_from(time.secs).is_err();
    let Some(ticks) = modified.filter(needed).and_then(time::to_ntfs) else {
        return;
    };
    // Reserved; then tag 1, the size of its value, and the value, 4.5.5.
    let mut value = vec![0, 0, 0, 0, 1, 0, 24, 0];
    value.extend_from_slice(&[ticks.to_le_bytes(); 3].concat());
    append_field(extra::NTFS, &value, out);
}

fn append_field(header: u16, value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&header.to_le_bytes());
    out.extend_from_slice(&(value.len() as u16).to_le_bytes());
    out.extend_from_slice(value);
}

/// The number, or the mark that says that it stands in a Zip64 record.
fn saturate(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(IN_ZIP64)
}
