//! What the file system says of a file, folder or link, and what can be set.

use std::fs::File;
use std::io;
use std::path::Path;

use super::convert::{
    ERROR_ACCESS_DENIED, code, file_type, is_read_only, joined, mode_of, times_of, timestamp,
};
use super::{
    Dir, FILE_ATTRIBUTE_REPARSE_POINT, FILE_ATTRIBUTE_SPARSE_FILE, FILE_FLAG_BACKUP_SEMANTICS,
    FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, open_for, open_path_for, raw, reopen_for,
    unsupported,
};
use crate::sys::Stat;

/// Describes an open file.
pub(crate) fn stat_file(file: &File) -> io::Result<Stat> {
    let found = raw::information(file)?;
    let attributes = found.dwFileAttributes;
    let tag = match attributes & FILE_ATTRIBUTE_REPARSE_POINT {
        0 => 0,
        _ => raw::reparse_tag(file)?,
    };
    let size = joined(found.nFileSizeHigh, found.nFileSizeLow);
    let time = |time: windows_sys::Win32::Foundation::FILETIME| {
        timestamp(joined(time.dwHighDateTime, time.dwLowDateTime))
    };
    Ok(Stat {
        file_type: file_type(attributes, tag),
        mode: mode_of(attributes),
        size,
        // Compressed files take less as well, but have no holes.
        allocated: match attributes & FILE_ATTRIBUTE_SPARSE_FILE {
            0 => size,
            _ => raw::allocated(file)?,
        },
        modified: time(found.ftLastWriteTime),
        accessed: time(found.ftLastAccessTime),
        // The nearest that this call tells, and why `notes_changes` says no.
        changed: time(found.ftLastWriteTime),
        device: u64::from(found.dwVolumeSerialNumber),
        inode: joined(found.nFileIndexHigh, found.nFileIndexLow),
        links: u64::from(found.nNumberOfLinks),
        uid: 0,
        gid: 0,
    })
}

/// Describes an open directory.
pub(crate) fn stat_dir(dir: &Dir) -> io::Result<Stat> {
    stat_file(&dir.handle)
}

/// Describes `name` itself, a link included.
pub(crate) fn stat_at(dir: &Dir, name: &[u8]) -> io::Result<Stat> {
    stat_file(&open_for(dir, name, FILE_READ_ATTRIBUTES)?)
}

/// Describes what the user's `path` leads to, through links.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    stat_file(&open_path_for(
        path,
        FILE_READ_ATTRIBUTES,
        FILE_FLAG_BACKUP_SEMANTICS,
    )?)
}

/// Sets the one bit of a mode that an open file can have: read-only.
pub(crate) fn set_file_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(is_read_only(mode));
    file.set_permissions(permissions)
}

/// Sets the mode of an open directory: there is nothing to set, and so nothing to lose.
pub(crate) fn set_dir_mode(_dir: &Dir, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// Sets the mode of the directory `name` so that it can be opened.
///
/// Its access list forbade that, which no mode can change: the answer is the
/// same as that to opening it.
pub(crate) fn set_dir_mode_at(_dir: &Dir, _name: &[u8], _mode: u32) -> io::Result<()> {
    Err(code(ERROR_ACCESS_DENIED))
}

/// Sets access and modification time of an open file.
pub(crate) fn set_file_times(file: &File, stat: &Stat) -> io::Result<()> {
    file.set_times(times_of(stat)?)
}

/// Sets access and modification time of an open directory.
pub(crate) fn set_dir_times(dir: &Dir, stat: &Stat) -> io::Result<()> {
    // The handle itself may only list: a folder to be read may be read-only.
    reopen_for(dir, FILE_WRITE_ATTRIBUTES)?.set_times(times_of(stat)?)
}

/// Sets access and modification time of `name` itself, a link included.
pub(crate) fn set_times_at(dir: &Dir, name: &[u8], stat: &Stat) -> io::Result<()> {
    open_for(dir, name, FILE_WRITE_ATTRIBUTES)?.set_times(times_of(stat)?)
}

/// Sets the owner of an open file, which has no number here.
pub(crate) fn set_file_owner(_file: &File, _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Sets the owner of an open directory, which has no number here.
pub(crate) fn set_dir_owner(_dir: &Dir, _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Sets the owner of `name` itself, which has no number here.
pub(crate) fn set_owner_at(_dir: &Dir, _name: &[u8], _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Removes a default ACL that `dir` inherited: there is none apart from its
/// access list, which is what says who may use the copy.
pub(crate) fn drop_default_acl(_dir: &Dir) {}
