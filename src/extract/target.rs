//! Where an extraction goes: a folder that is made, or one that receives the
//! members.

use std::io;
use std::path::{Path, PathBuf};

use crate::dest::deliver::{open_parent, parent_of};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, FileType};

use super::intake::OPERATION;

/// The destination, looked at.
#[derive(Debug)]
pub(super) struct Target {
    pub path: PathBuf,
    /// The folder that the tree, or its members, are published in.
    pub parent: Dir,
    pub parent_path: PathBuf,
    /// The tree's name in `parent`; empty where members go into it.
    pub name: Vec<u8>,
}

impl Target {
    /// The folder that stands already and receives the members.
    pub(super) fn receives(&self) -> Option<&Dir> {
        self.name.is_empty().then_some(&self.parent)
    }
}

/// Finds out what stands at `path`.
pub(super) fn resolve(path: &Path) -> Result<Target> {
    match sys::stat_path(path) {
        Ok(stat) if stat.file_type == FileType::Dir => {
            let parent = sys::open_root(path).map_err(|error| Error::io("open", path, error))?;
            Ok(Target {
                path: path.to_owned(),
                parent,
                parent_path: path.to_owned(),
                name: Vec::new(),
            })
        }
        Ok(_) => {
            let cause = "is no folder";
            Err(Error::new(ErrorKind::AlreadyExists, OPERATION, path, cause))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => absent(path),
        Err(error) => Err(Error::io(OPERATION, path, error)),
    }
}

fn absent(path: &Path) -> Result<Target> {
    let name = path.file_name().ok_or_else(|| {
        let cause = "has no name of its own";
        Error::new(ErrorKind::Usage, OPERATION, path, cause)
    })?;
    let parent_path = parent_of(path);
    let parent = open_parent(&parent_path)?;
    Ok(Target {
        path: path.to_owned(),
        name: sys::os_to_bytes(name).to_vec(),
        parent,
        parent_path,
    })
}
