//! Content and storage: reading, writing, holes, room, and what is made durable.

use std::fs::File;
use std::io;
use std::os::windows::fs::FileExt;

use super::{
    Dir, FILE_ADD_FILE, FILE_GENERIC_WRITE, FILE_READ_ATTRIBUTES, FILE_WRITE_ATTRIBUTES, list_dir,
    open_dir, open_for, path_of, raw, reopen_for, set_file_mode, stat_file,
};
use crate::sys::{Extent, FileType, Space};

/// Sets the length of a new file. What is added reads as zeros, and takes no storage
/// where the file system has holes.
pub(crate) fn set_len(file: &File, len: u64) -> io::Result<()> {
    // Without the mark, NTFS stores the zeros that stand before what is written.
    let _ = raw::set_sparse(file);
    file.set_len(len)
}

/// Reads at `offset`; fewer bytes than asked for, 0 at the end.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Finds the next data or hole at or after `offset`; `None` if there is none.
pub(crate) fn seek_extent(file: &File, extent: Extent, offset: u64) -> io::Result<Option<u64>> {
    let end = stat_file(file)?.size;
    if offset >= end {
        return Ok(None);
    }
    let mut at = offset;
    loop {
        let Some((start, len)) = raw::next_range(file, at, end)? else {
            return Ok((extent == Extent::Hole).then_some(at));
        };
        if extent == Extent::Data {
            return Ok(Some(start.max(offset)));
        }
        // Ranges may stand side by side.
        let behind = start.saturating_add(len);
        if start > at || behind <= at || behind >= end {
            return Ok(Some(if start > at { at } else { behind.min(end) }));
        }
        at = behind;
    }
}

/// Makes what was written to `dir` itself durable: names that came and went.
pub(crate) fn sync_dir(dir: &Dir) -> io::Result<()> {
    reopen_for(dir, FILE_ADD_FILE | FILE_READ_ATTRIBUTES)?.sync_all()
}

/// Makes everything written to the file system of `dir` durable.
///
/// Only an administrator may flush a volume: each file is flushed by itself.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    let mut folders = Vec::new();
    list_dir::<io::Error>(dir, |listed| match listed.file_type {
        FileType::Dir => {
            folders.push(listed.name.to_vec());
            Ok(())
        }
        FileType::File => sync_file(dir, listed.name),
        FileType::Symlink | FileType::Special | FileType::Unknown => Ok(()),
    })?;
    for name in folders {
        sync_filesystem(&open_dir(dir, &name)?)?;
    }
    sync_dir(dir)
}

fn sync_file(dir: &Dir, name: &[u8]) -> io::Result<()> {
    match open_for(dir, name, FILE_GENERIC_WRITE) {
        // A read-only file has to be made writable for as long as it takes.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let handle = open_for(dir, name, FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES)?;
            if !handle.metadata()?.permissions().readonly() {
                return Err(error);
            }
            set_file_mode(&handle, 0o600)?;
            let synced = open_for(dir, name, FILE_GENERIC_WRITE).and_then(|file| file.sync_all());
            set_file_mode(&handle, 0o400)?;
            synced
        }
        file => file?.sync_all(),
    }
}

/// Asks for what is left on the file system of `dir`, by its path.
pub(crate) fn space(dir: &Dir) -> io::Result<Space> {
    let (free_bytes, total_bytes) = raw::free_space(&path_of(dir))?;
    Ok(Space {
        free_bytes,
        used_bytes: total_bytes.saturating_sub(free_bytes),
        free_inodes: None,
        // In UTF-16 units. The same name has up to three times as many bytes.
        name_max: raw::volume(&dir.handle).map_or(255, |volume| u64::from(volume.name_max)),
    })
}

/// The file system's name, for messages only.
pub(crate) fn filesystem_name(dir: &Dir) -> io::Result<String> {
    // Shares of virtual machines may not tell.
    Ok(raw::volume(&dir.handle).map_or_else(|_| "unknown".to_owned(), |volume| volume.name))
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock: NTFS does, but what is read here isn't its note.
pub(crate) fn notes_changes(_dir: &Dir) -> bool {
    false
}

/// Whether code on the file system of `file` may run: no volume forbids it.
pub(crate) fn may_execute(_file: &File) -> io::Result<bool> {
    Ok(true)
}
