//! Removing a tree through handles, however deep, without following a link.
//!
//! One folder is open at a time; the way back up goes through `..`, which is
//! checked to be the folder that the way down came from. A file system that is
//! mounted below is left alone, with what is above it. What is gone already
//! is no error: two runs may remove the same leftovers.

use std::io;

use crate::sys::{self, Dir, FileType, Stat};

/// One folder on the way down.
struct Level {
    /// Its name in the folder above.
    name: Vec<u8>,
    stat: Stat,
    /// Folders in it that still stand.
    dirs: Vec<Vec<u8>>,
}

/// Removes `name` in `parent` and all below it.
pub(crate) fn remove_tree(parent: &Dir, name: &[u8]) -> io::Result<()> {
    let stat = match sys::stat_at(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result?,
    };
    if stat.file_type != FileType::Dir {
        return ignore_missing(sys::remove_file(parent, name));
    }
    let mut at = sys::reopen_dir(parent)?;
    let mut levels: Vec<Level> = Vec::new();
    let mut next = Some(name.to_vec());
    loop {
        if let Some(name) = next.take() {
            if let Some(dir) = open_writable(&at, &name)? {
                levels.push(empty(&dir, name)?);
                at = dir;
            }
        } else {
            let Some(done) = levels.pop() else {
                return Ok(());
            };
            let above = sys::open_parent(&at)?;
            if let Some(expected) = levels.last()
                && !sys::stat_dir(&above)?.is_same_object(&expected.stat)
            {
                return Err(io::Error::other(
                    "the folder was moved while it was removed",
                ));
            }
            // Windows removes no folder that is open.
            at = above;
            ignore_missing(sys::remove_dir(&at, &done.name))?;
        }
        next = levels.last_mut().and_then(|level| level.dirs.pop());
    }
}

/// Opens a folder so that its contents can be removed; `None` if it is gone.
pub(super) fn open_writable(parent: &Dir, name: &[u8]) -> io::Result<Option<Dir>> {
    const OWNER: u32 = 0o700;
    let opened = match sys::open_dir(parent, name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            sys::set_dir_mode_at(parent, name, OWNER)?;
            sys::open_dir(parent, name)
        }
        opened => opened,
    };
    let dir = match opened {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if sys::is_mount_point(&dir) {
        return Err(io::Error::other("another file system is mounted in it"));
    }
    let is_open = sys::stat_dir(&dir)?.mode & OWNER == OWNER;
    if !is_open && !sys::is_privileged() {
        sys::set_dir_mode(&dir, OWNER)?;
    }
    Ok(Some(dir))
}

/// Removes everything in `dir` but its folders.
fn empty(dir: &Dir, name: Vec<u8>) -> io::Result<Level> {
    let mut level = Level {
        name,
        stat: sys::stat_dir(dir)?,
        dirs: Vec::new(),
    };
    let mut files = Vec::new();
    sys::list_dir::<io::Error>(dir, |listed| {
        let file_type = match listed.file_type {
            FileType::Unknown => sys::stat_at(dir, listed.name)?.file_type,
            known => known,
        };
        match file_type {
            FileType::Dir => level.dirs.push(listed.name.to_vec()),
            _ => files.push(listed.name.to_vec()),
        }
        Ok(())
    })?;
    for file in files {
        ignore_missing(sys::remove_file(dir, &file))?;
    }
    Ok(level)
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deep_tree_goes() {
        let temp = tempfile::tempdir().unwrap();
        let root = sys::open_root(temp.path()).unwrap();
        sys::create_dir(&root, b"t", 0o700).unwrap();
        let mut at = sys::open_dir(&root, b"t").unwrap();
        // The way up is a path on Windows, whose length is bounded there.
        let levels = if cfg!(unix) { 2000 } else { 200 };
        for _ in 0..levels {
            sys::create_dir(&at, b"d", 0o700).unwrap();
            sys::create_file(&at, b"f", 0o600).unwrap();
            at = sys::open_dir(&at, b"d").unwrap();
        }
        drop(at);
        remove_tree(&root, b"t").unwrap();
        assert!(!temp.path().join("t").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_removed_and_what_they_point_to_is_not() {
        use std::os::unix::fs::PermissionsExt;
        let temp = tempfile::tempdir().unwrap();
        let keep = temp.path().join("keep");
        std::fs::create_dir(&keep).unwrap();
        std::fs::write(keep.join("file"), "x").unwrap();
        let tree = temp.path().join("tree");
        std::fs::create_dir_all(tree.join("locked/in")).unwrap();
        std::os::unix::fs::symlink(&keep, tree.join("locked/link")).unwrap();
        std::fs::set_permissions(tree.join("locked"), PermissionsExt::from_mode(0o0)).unwrap();
        let root = sys::open_root(temp.path()).unwrap();
        remove_tree(&root, b"tree").unwrap();
        assert!(!tree.exists());
        assert!(keep.join("file").exists());
        remove_tree(&root, b"tree").unwrap();
    }
}
