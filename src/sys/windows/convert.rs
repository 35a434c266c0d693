//! Names, times, modes and errors: between what Windows keeps and the bytes,
//! numbers and kinds that all platforms share. Nothing here calls the system.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::FileTimes;
use std::io;
use std::path::{Component, Path, PathBuf, Prefix};
use std::time::{Duration, SystemTime};

use super::{FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_READONLY, FILE_ATTRIBUTE_REPARSE_POINT};
use crate::sys::{FileType, Stat, Timestamp};

// System error codes (winerror.h).
const ERROR_INVALID_FUNCTION: i32 = 1;
pub(super) const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_NOT_SAME_DEVICE: i32 = 17;
const ERROR_WRITE_PROTECT: i32 = 19;
pub(super) const ERROR_SHARING_VIOLATION: i32 = 32;
pub(super) const ERROR_LOCK_VIOLATION: i32 = 33;
const ERROR_NOT_SUPPORTED: i32 = 50;
const ERROR_DISK_FULL: i32 = 112;
pub(super) const ERROR_INVALID_NAME: i32 = 123;
const ERROR_BAD_PATHNAME: i32 = 161;
pub(super) const ERROR_FILENAME_EXCED_RANGE: i32 = 206;
pub(super) const ERROR_DIRECTORY: i32 = 267;
pub(super) const ERROR_STOPPED_ON_SYMLINK: i32 = 681;
const ERROR_NO_UNICODE_TRANSLATION: i32 = 1113;
pub(super) const ERROR_USER_MAPPED_FILE: i32 = 1224;
const ERROR_PRIVILEGE_NOT_HELD: i32 = 1314;

/// From 1601, where file times begin, to 1970, in seconds.
const EPOCH_SECS: i64 = 11_644_473_600;

/// File times count steps of 100 nanoseconds.
const STEPS_PER_SEC: u64 = 10_000_000;

/// The bytes of a name or a link's target: UTF-8, unless the name is no text.
pub(crate) fn os_to_bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

/// A path from the bytes of a name, a target or several names with `/`.
///
/// For messages and patterns: bytes that aren't UTF-8 are replaced, where
/// every call that takes a name refuses them.
pub(crate) fn bytes_to_path(bytes: &[u8]) -> Cow<'_, Path> {
    let text = String::from_utf8_lossy(bytes).replace('/', "\\");
    Cow::Owned(PathBuf::from(text))
}

/// Whether `error` means "this file system can't", not "this went wrong".
///
/// Without the privilege to make links the user can't make them on any file
/// system, and the remedy is the same: another way to carry them.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_INVALID_FUNCTION
                | ERROR_NOT_SUPPORTED
                | ERROR_NOT_SAME_DEVICE
                | ERROR_PRIVILEGE_NOT_HELD
        )
    ) || error.kind() == io::ErrorKind::Unsupported
}

/// Whether `error` says that a name has characters the file system refuses.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_INVALID_NAME
                | ERROR_BAD_PATHNAME
                | ERROR_FILENAME_EXCED_RANGE
                | ERROR_NO_UNICODE_TRANSLATION
        )
    )
}

/// Whether `error` says that a link or a file stood where a folder was expected.
pub(crate) fn is_not_a_real_dir(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ERROR_DIRECTORY | ERROR_STOPPED_ON_SYMLINK)
    )
}

/// A cause such as `ERROR_NOT_SUPPORTED`, for messages; the text where it has no such name.
pub(crate) fn error_name(error: &io::Error) -> String {
    let name = match error.raw_os_error() {
        Some(ERROR_INVALID_FUNCTION) => "ERROR_INVALID_FUNCTION",
        Some(ERROR_ACCESS_DENIED) => "ERROR_ACCESS_DENIED",
        Some(ERROR_WRITE_PROTECT) => "ERROR_WRITE_PROTECT",
        Some(ERROR_SHARING_VIOLATION) => "ERROR_SHARING_VIOLATION",
        Some(ERROR_NOT_SUPPORTED) => "ERROR_NOT_SUPPORTED",
        Some(ERROR_DISK_FULL) => "ERROR_DISK_FULL",
        Some(ERROR_INVALID_NAME) => "ERROR_INVALID_NAME",
        Some(ERROR_PRIVILEGE_NOT_HELD) => "ERROR_PRIVILEGE_NOT_HELD",
        _ => return error.to_string(),
    };
    name.to_owned()
}

/// Joins a directory's own path and the bytes of a relative path.
pub(crate) fn join_bytes(base: &Path, relative: &[u8]) -> PathBuf {
    if relative.is_empty() {
        return base.to_owned();
    }
    // `Path::join` would start anew at a name such as `C:`.
    let mut joined: OsString = base.as_os_str().to_owned();
    if !matches!(joined.as_encoded_bytes().last(), None | Some(b'\\' | b'/')) {
        joined.push("\\");
    }
    joined.push(&*bytes_to_path(relative));
    PathBuf::from(joined)
}

/// A path as programs expect it: `C:\Users` instead of `\\?\C:\Users`, where both mean the same.
pub(super) fn without_prefix(path: PathBuf) -> PathBuf {
    let mut components = path.components();
    let Some(Component::Prefix(prefix)) = components.next() else {
        return path;
    };
    let start = match prefix.kind() {
        Prefix::VerbatimDisk(letter) => format!("{}:", char::from(letter)),
        Prefix::VerbatimUNC(server, share) => {
            format!(
                r"\\{}\{}",
                server.to_string_lossy(),
                share.to_string_lossy()
            )
        }
        _ => return path,
    };
    PathBuf::from(start).join(components.as_path())
}

/// The way from the folder `from` to `target`, both absolute, with `/`; `None` where there
/// is none: to another drive or share.
pub(super) fn way_between(from: &Path, target: &Path) -> Option<String> {
    let [from, target] = [from, target].map(|path| without_prefix(path.to_owned()));
    let [from, target]: [Vec<Component<'_>>; 2] =
        [&from, &target].map(|path| path.components().collect());
    let is_same = |(a, b): &(&Component<'_>, &Component<'_>)| {
        a.as_os_str().eq_ignore_ascii_case(b.as_os_str())
    };
    let shared = from.iter().zip(&target).take_while(is_same).count();
    // The drive and its root.
    if shared < 2 {
        return None;
    }
    let up = from[shared..].iter().map(|_| Some(".."));
    let down = target[shared..]
        .iter()
        .map(|name| name.as_os_str().to_str());
    let names: Vec<&str> = up.chain(down).collect::<Option<_>>()?;
    Some(match names.is_empty() {
        true => ".".to_owned(),
        false => names.join("/"),
    })
}

/// Checks a name that stands, or may stand, in a folder: one component.
pub(super) fn check_name(name: &[u8]) -> io::Result<&str> {
    let name = text(name)?;
    // A colon would lead to a stream of the file, or to another drive.
    let is_single = !name.is_empty() && !name.contains(['/', '\\', ':', '\0']);
    match is_single && !matches!(name, "." | "..") {
        true => Ok(name),
        false => Err(code(ERROR_INVALID_NAME)),
    }
}

/// Checks a name that is to be made in a folder.
///
/// Paths that begin with `\\?\` reach the file system as they are, so what
/// other programs could not open again is refused here.
pub(super) fn check_new_name(name: &[u8]) -> io::Result<&str> {
    let name = check_name(name)?;
    let is_odd = |character: char| character < ' ' || "<>\"|?*".contains(character);
    match name.contains(is_odd) || name.ends_with(['.', ' ']) || is_reserved(name) {
        true => Err(code(ERROR_INVALID_NAME)),
        false => Ok(name),
    }
}

/// Whether `name` means a device to most programs, whatever its extension.
fn is_reserved(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end_matches(' ')
        .to_uppercase();
    let is_port = |port: &str| {
        let mut digits = port.chars();
        let is_digit = matches!(
            digits.next(),
            Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
        );
        is_digit && digits.next().is_none()
    };
    let port = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    DEVICES.contains(&stem.as_str()) || port.is_some_and(is_port)
}

/// The text of a name or target, which must be UTF-8.
pub(super) fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| not_unicode())
}

/// The error of a name that is no text.
pub(super) fn not_unicode() -> io::Error {
    code(ERROR_NO_UNICODE_TRANSLATION)
}

/// The system error `number`.
pub(super) fn code(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

/// Whether `mode` says that the owner may not write.
pub(super) fn is_read_only(mode: u32) -> bool {
    mode & 0o200 == 0
}

/// The mode that stands for what Windows knows. The read-only attribute of a
/// folder doesn't protect it: Explorer uses it as a mark.
pub(super) fn mode_of(attributes: u32) -> u32 {
    match (
        attributes & FILE_ATTRIBUTE_DIRECTORY != 0,
        attributes & FILE_ATTRIBUTE_READONLY != 0,
    ) {
        (true, _) => 0o755,
        (false, true) => 0o444,
        (false, false) => 0o644,
    }
}

/// What kind of thing has these attributes and, as a reparse point, this tag.
///
/// Other points that stand for another name are special: junctions, mounted volumes,
/// links of the Linux subsystem. What keeps content elsewhere is a file or folder.
pub(super) fn file_type(attributes: u32, tag: u32) -> FileType {
    const SYMLINK: u32 = 0xa000_000c;
    const STANDS_FOR_A_NAME: u32 = 0x2000_0000;
    let is_reparse_point = attributes & FILE_ATTRIBUTE_REPARSE_POINT != 0;
    if is_reparse_point && tag == SYMLINK {
        FileType::Symlink
    } else if is_reparse_point && tag & STANDS_FOR_A_NAME != 0 {
        FileType::Special
    } else if attributes & FILE_ATTRIBUTE_DIRECTORY != 0 {
        FileType::Dir
    } else {
        FileType::File
    }
}

/// A number from its two halves.
pub(super) fn joined(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// Names and kinds from a row of `FILE_FULL_DIR_INFORMATION` (ntifs.h).
///
/// | offset | size | |
/// |---|---|---|
/// | 0 | 4 | where the next one begins, from this one; 0 in the last |
/// | 56 | 4 | attributes |
/// | 60 | 4 | length of the name in bytes |
/// | 64 | 4 | of a reparse point its tag, else the size of extended attributes |
/// | 68 | | the name in UTF-16 |
pub(super) fn listed(buffer: &[u64]) -> io::Result<Vec<(String, FileType)>> {
    let bytes: Vec<u8> = buffer.iter().flat_map(|unit| unit.to_ne_bytes()).collect();
    let broken = || io::Error::other("the file system's list of names is broken");
    let number = |at: usize| {
        let bytes = bytes.get(at..at + 4).ok_or_else(broken)?;
        Ok::<_, io::Error>(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    };
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        let next = number(at)? as usize;
        let len = number(at + 60)? as usize;
        let name = bytes.get(at + 68..at + 68 + len).ok_or_else(broken)?;
        let units = name
            .chunks_exact(2)
            .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
        let name: Result<String, _> = char::decode_utf16(units).collect();
        let name = name.map_err(|_| not_unicode())?;
        found.push((name, file_type(number(at + 56)?, number(at + 64)?)));
        if next == 0 {
            return Ok(found);
        }
        at += next;
    }
}

/// A time from the steps since 1601 that a file has.
pub(super) fn timestamp(steps: u64) -> Timestamp {
    Timestamp {
        secs: (steps / STEPS_PER_SEC).cast_signed() - EPOCH_SECS,
        nanos: (steps % STEPS_PER_SEC) as u32 * 100,
    }
}

/// The times to set for those in `stat`.
pub(super) fn times_of(stat: &Stat) -> io::Result<FileTimes> {
    let mut times = FileTimes::new().set_modified(system_time(stat.modified)?);
    // FAT and shares that keep no access time answer with the year 1601, which
    // can't be set.
    if stat.accessed.secs > -EPOCH_SECS {
        times = times.set_accessed(system_time(stat.accessed)?);
    }
    Ok(times)
}

fn system_time(time: Timestamp) -> io::Result<SystemTime> {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let seconds = match time.secs < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole),
        false => SystemTime::UNIX_EPOCH.checked_add(whole),
    };
    seconds
        .and_then(|seconds| seconds.checked_add(Duration::from_nanos(u64::from(time.nanos))))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a time before the year 1601"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_between_folders_is_relative_within_a_drive() {
        let way = |from: &str, target: &str| way_between(Path::new(from), Path::new(target));
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(way(r"\\?\C:\a\b", r"C:\a\c\d"), found("../c/d"));
        assert_eq!(way(r"C:\a", r"C:\A\B"), found("B"));
        assert_eq!(way(r"C:\a", r"C:\a"), found("."));
        assert_eq!(way(r"C:\a\b", r"C:\"), found("../.."));
        assert_eq!(way(r"C:\a", r"D:\a"), None);
        let share = r"\\?\UNC\host\share\a";
        assert_eq!(way(share, r"\\host\share\b"), found("../b"));
        assert_eq!(way(share, r"\\host\other\b"), None);
    }
}
