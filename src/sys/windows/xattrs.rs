//! User attributes on Windows: none. Alternate data streams would be the place
//! for them, and `std` neither lists nor names those.

use std::fs::File;
use std::io;

use super::{Dir, unsupported};

/// Reads the user attributes of `file`: none, as `std` reads no streams.
pub(crate) fn file_xattrs(_file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Reads the user attributes of a directory: none, as for a file.
pub(crate) fn dir_xattrs(_dir: &Dir) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Sets one attribute of an open file, which it can't have.
pub(crate) fn set_file_xattr(_file: &File, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Sets one attribute of an open directory, which it can't have.
pub(crate) fn set_dir_xattr(_dir: &Dir, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Removes one attribute of an open directory, which has none.
pub(crate) fn remove_dir_xattr(_dir: &Dir, _name: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Whether a volume is mounted at `dir`: such a folder is a reparse point, and
/// those are never entered.
pub(crate) fn is_mount_point(_dir: &Dir) -> bool {
    false
}
