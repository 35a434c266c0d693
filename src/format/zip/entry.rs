//! One member as the central directory describes it.
//!
//! What a member is, its mode and whether it is a link stand in the central
//! directory alone. A link is one only where the archive was made on Unix:
//! elsewhere the same bits mean nothing, and readers disagree on them.
//!
//! Names stay the bytes that they are, whether or not the header says that
//! they are UTF-8: no code page is guessed.

use std::io::{self, BufRead};

use super::extra::{Extras, Wide};
use super::local::Sums;
use super::method::Method;
use super::parts::{self, Part};
use super::records::{CentralHeader, flag, system};
use super::time;
use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::format::apple_double;
use crate::text::escape_bytes;

/// The longest target of a link, in bytes: Linux's `PATH_MAX` without its NUL.
pub(super) const MAX_TARGET: u64 = 4095;
/// The most compressed bytes of a target, which no method makes so much longer.
const MAX_PACKED_TARGET: u64 = 64 << 10;
/// The most compressed bytes of a folder: what methods make of nothing.
const MAX_PACKED_NOTHING: u64 = 64;
/// The DOS attributes of folders and of files that can't be written.
pub(super) const DOS_FOLDER: u32 = 0x10;
const DOS_READ_ONLY: u32 = 0x01;
/// WinZip's AES in place of the method, which is in an extra field then.
pub(super) const AES_METHOD: u16 = 99;

/// The file types of a Unix mode.
pub(super) mod unix {
    pub(in super::super) const TYPE: u32 = 0o170_000;
    pub(in super::super) const FIFO: u32 = 0o010_000;
    pub(in super::super) const CHAR_DEVICE: u32 = 0o020_000;
    pub(in super::super) const DIR: u32 = 0o040_000;
    pub(in super::super) const BLOCK_DEVICE: u32 = 0o060_000;
    pub(in super::super) const FILE: u32 = 0o100_000;
    pub(in super::super) const SYMLINK: u32 = 0o120_000;
    pub(in super::super) const SOCKET: u32 = 0o140_000;
}

/// One member of a zip file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ZipEntry {
    /// The member; a link's target is still empty, as it is content.
    pub(crate) member: Member,
    pub(crate) method: Method,
    pub(crate) crc32: u32,
    pub(crate) compressed_size: u64,
    /// The bytes of the content: a link's are its target.
    pub(crate) uncompressed_size: u64,
    /// Where the local header begins, counted from the file's first byte.
    pub(crate) header_offset: u64,
    pub(crate) flags: u16,
    /// Whether the archive says the member's mode, and not only its maker's.
    pub(crate) tells_mode: bool,
    /// Whether the time is DOS's: of two seconds, in a zone that nobody names.
    pub(crate) has_dos_time: bool,
    /// The parts that its data is made of, where the archive tells.
    pub(crate) parts: Option<Box<[Part]>>,
    /// Where the next member or the directory begins.
    pub(super) span_end: u64,
    /// The name as it is stored.
    pub(super) name: Box<[u8]>,
}

impl ZipEntry {
    /// Reads one central header and what follows it; `scratch` is reused.
    pub(super) fn read(input: &mut impl BufRead, scratch: &mut Vec<u8>) -> Result<Self, Refusal> {
        let mut fixed = [0; CentralHeader::SIZE];
        input.read_exact(&mut fixed).map_err(cut_short)?;
        let header = CentralHeader::parse(&fixed).ok_or_else(|| {
            Refusal::malformed("the directory has something else where a member's header should be")
        })?;
        let name_size = usize::from(header.name_size);
        let extra_end = name_size + usize::from(header.extra_size);
        // At most three times 64 KiB.
        scratch.resize(extra_end + usize::from(header.comment_size), 0);
        input.read_exact(scratch).map_err(cut_short)?;
        let name = &scratch[..name_size];
        Self::new(&header, name, &scratch[name_size..extra_end])
            .map_err(|refusal| of_member(name, &refusal))
    }

    fn new(header: &CentralHeader, name: &[u8], extra: &[u8]) -> Result<Self, Refusal> {
        refuse_flags(header.flags)?;
        if header.method == AES_METHOD {
            return Err(Refusal::new(ErrorKind::Encrypted, "it is encrypted"));
        }
        let extras = Extras::parse(extra, name)?;
        let mut wide = Wide {
            uncompressed_size: header.uncompressed_size.into(),
            compressed_size: header.compressed_size.into(),
            header_offset: header.header_offset.into(),
            disk: header.disk.into(),
        };
        extras.widen(&mut wide)?;
        if wide.disk != 0 {
            return Err(Refusal::malformed("it is on another disk"));
        }
        let method = Method::from_number(header.method)?;
        let sums = Sums {
            crc32: header.crc32,
            compressed_size: wide.compressed_size,
            uncompressed_size: wide.uncompressed_size,
        };
        let entry = Self {
            member: member(header, name, &extras, wide.uncompressed_size)?,
            method,
            crc32: header.crc32,
            compressed_size: wide.compressed_size,
            uncompressed_size: wide.uncompressed_size,
            header_offset: wide.header_offset,
            flags: header.flags,
            tells_mode: tells_mode(header),
            has_dos_time: extras.modified().is_none(),
            parts: extras
                .parts
                .and_then(|field| parts::read(field, method, sums)),
            span_end: 0,
            name: name.into(),
        };
        entry.judge_sizes()?;
        Ok(entry)
    }

    fn judge_sizes(&self) -> Result<(), Refusal> {
        let (size, packed) = (self.uncompressed_size, self.compressed_size);
        if self.method == Method::Stored && size != packed {
            return Err(Refusal::malformed(
                "it is stored without compression, in two different sizes",
            ));
        }
        match self.member.kind {
            MemberKind::Dir if size != 0 || self.crc32 != 0 || packed > MAX_PACKED_NOTHING => {
                Err(Refusal::malformed("it is a folder with content"))
            }
            MemberKind::Symlink if size > MAX_TARGET || packed > MAX_PACKED_TARGET => {
                Err(Refusal::new(
                    ErrorKind::Unsafe,
                    format!("its target is longer than {MAX_TARGET} bytes"),
                ))
            }
            MemberKind::Symlink if size == 0 => {
                Err(Refusal::malformed("it is a link without a target"))
            }
            MemberKind::Dir | MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink => {
                Ok(())
            }
        }
    }

    /// Whether the path is the name as it is stored, without a folder's slash;
    /// old programs on Windows stored another.
    pub(crate) fn has_stored_path(&self) -> bool {
        let name = &*self.name;
        name.strip_suffix(b"/").unwrap_or(name) == self.member.path
    }

    /// Whether the member is, or is in, the folder of macOS's own files.
    pub(crate) fn is_in_apple_folder(&self) -> bool {
        apple_double::is_in_own_folder(&self.name)
    }

    /// Says of which member `refusal` is.
    pub(crate) fn blame(&self, refusal: &Refusal) -> Refusal {
        of_member(&self.name, refusal)
    }

    /// Checks the content of a link before it becomes its target.
    pub(crate) fn check_target(&self, target: &[u8]) -> Result<(), Refusal> {
        if target.contains(&0) {
            let refusal = Refusal::malformed("its target has a NUL");
            return Err(self.blame(&refusal));
        }
        Ok(())
    }
}

/// A refusal that names the member it is about.
pub(super) fn of_member(name: &[u8], refusal: &Refusal) -> Refusal {
    let name = escape_bytes(name);
    Refusal::new(refusal.kind(), format!("member `{name}`: {refusal}"))
}

fn cut_short(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => {
            Refusal::malformed("the directory ends within a member's header")
        }
        _ => Refusal::io(error),
    }
}

/// Refuses what the flags of a header say that can't be read here.
pub(super) fn refuse_flags(flags: u16) -> Result<(), Refusal> {
    if flags & (flag::ENCRYPTED | flag::STRONG_ENCRYPTION | flag::MASKED) != 0 {
        return Err(Refusal::new(ErrorKind::Encrypted, "it is encrypted"));
    }
    if flags & flag::PATCH != 0 {
        let cause = "it is a patch to another file";
        return Err(Refusal::new(ErrorKind::UnknownFormat, cause));
    }
    Ok(())
}

fn member(
    header: &CentralHeader,
    name: &[u8],
    extras: &Extras<'_>,
    size: u64,
) -> Result<Member, Refusal> {
    let host = (header.made_by >> 8) as u8;
    let mut path = path(name, host)?;
    let slash = match path.last() {
        Some(b'/') => Slash::AtTheEnd,
        Some(_) | None => Slash::None,
    };
    if slash == Slash::AtTheEnd {
        path.pop();
    }
    if path.is_empty() {
        return Err(Refusal::malformed("its name is empty"));
    }
    let (kind, mode) = match host {
        system::UNIX | system::MACOS => unix_kind(header.external_attributes, slash)?,
        _ => dos_kind(header.external_attributes, slash)?,
    };
    let mut member = Member::new(kind, path);
    member.mode = mode.unwrap_or(member.mode);
    member.modified = extras
        .modified()
        .or_else(|| time::from_dos(header.dos_date, header.dos_time));
    (member.uid, member.gid) = extras.owner.unwrap_or_default();
    if kind == MemberKind::File {
        member.size = size;
    }
    Ok(member)
}

/// Whether a name has a slash at its end, as folders have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Slash {
    AtTheEnd,
    None,
}

/// The name with `/` between its parts. Old .NET and 7-Zip on Windows wrote
/// `\`, which Info-ZIP reads as `/` where there is no `/`; so does this.
fn path(name: &[u8], host: u8) -> Result<Vec<u8>, Refusal> {
    if name.contains(&0) {
        return Err(Refusal::malformed("its name has a NUL"));
    }
    let mut path = name.to_vec();
    let is_windows = matches!(
        host,
        system::DOS | system::NTFS | system::NTFS_INFO_ZIP | system::VFAT
    );
    if is_windows && name.contains(&b'\\') {
        if name.contains(&b'/') {
            return Err(Refusal::malformed(
                "its name has both `/` and `\\`, on Windows the same",
            ));
        }
        for byte in &mut path {
            if *byte == b'\\' {
                *byte = b'/';
            }
        }
    }
    Ok(path)
}

/// Whether there is a Unix mode: an archive that DOS or Windows made has none.
fn tells_mode(header: &CentralHeader) -> bool {
    let host = (header.made_by >> 8) as u8;
    matches!(host, system::UNIX | system::MACOS) && header.external_attributes >> 16 != 0
}

/// Kind and mode by the Unix mode; `None` for a mode that wasn't stored.
fn unix_kind(attributes: u32, slash: Slash) -> Result<(MemberKind, Option<u32>), Refusal> {
    let mode = attributes >> 16;
    let stored = (mode != 0).then_some(mode & 0o7777);
    let is_dos_folder = attributes & DOS_FOLDER != 0;
    let said = match mode & unix::TYPE {
        unix::DIR => MemberKind::Dir,
        unix::SYMLINK => MemberKind::Symlink,
        unix::FILE => MemberKind::File,
        0 if slash == Slash::AtTheEnd || is_dos_folder => MemberKind::Dir,
        0 => MemberKind::File,
        unix::FIFO | unix::CHAR_DEVICE | unix::BLOCK_DEVICE | unix::SOCKET => {
            let cause = "it is a device, FIFO or socket";
            return Err(Refusal::new(ErrorKind::Unsafe, cause));
        }
        _ => return Err(Refusal::malformed("its file type isn't known")),
    };
    if is_dos_folder && said != MemberKind::Dir {
        return Err(Refusal::malformed(
            "its DOS attributes say folder, its mode doesn't",
        ));
    }
    Ok((agree(said, slash)?, stored))
}

/// Kind and mode where there is no Unix mode, whatever the bits would be.
fn dos_kind(attributes: u32, slash: Slash) -> Result<(MemberKind, Option<u32>), Refusal> {
    let is_folder = attributes & DOS_FOLDER != 0 || slash == Slash::AtTheEnd;
    if is_folder {
        return Ok((agree(MemberKind::Dir, slash)?, None));
    }
    let is_read_only = attributes & DOS_READ_ONLY != 0;
    Ok((MemberKind::File, is_read_only.then_some(0o444)))
}

/// Refuses a folder without a slash at the end of its name, and all else with.
fn agree(kind: MemberKind, slash: Slash) -> Result<MemberKind, Refusal> {
    match (kind, slash) {
        (MemberKind::Dir, Slash::AtTheEnd) => Ok(kind),
        (MemberKind::Dir, Slash::None) => Err(Refusal::malformed(
            "it is a folder whose name has no slash at its end",
        )),
        (MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink, Slash::AtTheEnd) => Err(
            Refusal::malformed("its name has a folder's slash at its end, and it is none"),
        ),
        (MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink, Slash::None) => Ok(kind),
    }
}
