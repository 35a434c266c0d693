//! What a file holds behind its stub.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::format::bcp::{Index, Launch, keep_all, read_index};
use crate::sys;

/// A self-extracting executable.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Onefile {
    /// Where its `.bcp` begins, in bytes.
    pub offset: u64,
    /// Bytes of the `.bcp`. Behind it is at most a signature of Windows.
    pub length: u64,
    /// The hash that names the `.bcp`, as its end says.
    pub root_hash: [u8; 32],
    /// The program in the bundle, from the bundle's parent on: `app/app`.
    pub entry: PathBuf,
    /// A folder in the bundle that libraries are searched in.
    pub library_path: Option<PathBuf>,
    /// Whether its files are removed when the program ends.
    pub is_ephemeral: bool,
    /// Whether files that another version in the cache has as well may be shared with it.
    pub may_share: bool,
    /// Whether the program is called by its own path, not as the executable was.
    pub has_own_name: bool,
}

/// Finds what the executable at `path` holds.
///
/// # Errors
///
/// [`ErrorKind::UnknownFormat`] if it isn't self-extracting, and whatever is wrong
/// with what it holds. Blocks are not compared with their hashes here.
pub fn locate(path: &Path) -> Result<Onefile> {
    let file = sys::open_path(path).map_err(|error| Error::io("open", path, error))?;
    let (index, launch) = read(&file, path)?;
    let to_path = |bytes: &[u8]| sys::bytes_to_path(bytes).into_owned();
    Ok(Onefile {
        offset: index.range.start,
        length: index.range.end - index.range.start,
        root_hash: index.root_hash,
        entry: to_path(&launch.entry),
        library_path: launch.library_path.as_deref().map(to_path),
        is_ephemeral: launch.is_ephemeral,
        may_share: launch.may_share,
        has_own_name: launch.has_own_name,
    })
}

/// Reads what `file`, shown as `path`, holds: its index, and how it is started.
pub(super) fn read(file: &File, path: &Path) -> Result<(Index, Launch)> {
    let stat = sys::stat_file(file).map_err(|error| Error::io("read", path, error))?;
    let refused = |refusal: crate::error::Refusal| refusal.at("read", path);
    let has_one = crate::format::bcp::has_trailer(file, stat.size).map_err(refused)?;
    if stat.file_type != sys::FileType::File || !has_one {
        let cause = "it doesn't end with a bundle: cut off, or no self-extracting executable";
        return Err(Error::new(ErrorKind::UnknownFormat, "read", path, cause));
    }
    let index = read_index(file, stat.size, &mut keep_all).map_err(refused)?;
    match index.launch(file).map_err(refused)? {
        Some(launch) => Ok((index, launch)),
        None => {
            let cause = "it is an archive that doesn't say what to start";
            let error = Error::new(ErrorKind::UnknownFormat, "read", path, cause);
            Err(error.with_hint("bundlecp onefile makes executables, bundlecp extract unpacks"))
        }
    }
}
