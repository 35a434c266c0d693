//! Symbolic links, of their two kinds, and junctions, which only lead from a drive's root.

use std::fs;
use std::io;
use std::os::windows::fs::{symlink_dir, symlink_file};
use std::path::{Component, PathBuf, Prefix};

use super::convert::{check_name, check_new_name, not_unicode, text, way_between};
use super::{
    Dir, FILE_ATTRIBUTE_DIRECTORY, FILE_ATTRIBUTE_REPARSE_POINT, FILE_READ_ATTRIBUTES, Pinned,
    SHARE_ALL, SYNCHRONIZE, existing, open_for, raw, stat_at,
};
use crate::sys::{FileType, LinkTo};

/// What is neither file, folder nor link, for messages.
pub(crate) const SPECIAL: &str = "junction or mounted volume";

/// What helps where such a thing is.
pub(crate) const SPECIAL_HINT: &str =
    "--junctions-as-links keeps junctions as links, --skip-special leaves such things out";

/// Whether links to folders are of another kind than those to files.
pub(crate) const HAS_KINDS_OF_LINKS: bool = true;

/// Makes the symbolic link `name` to `target`, whose `/` are stored as `\`.
///
/// Links to folders are of another kind here: `leads_to` decides. Where that isn't
/// known, what stands at the target now does, and a link to nothing is one to a
/// folder only if it ends in `/`.
///
/// `std` asks for it as a user first, which is allowed in Developer Mode, and then
/// with the administrator's privilege alone.
pub(crate) fn create_symlink(
    dir: &Dir,
    name: &[u8],
    target: &[u8],
    leads_to: LinkTo,
) -> io::Result<()> {
    let pinned = Pinned::of(dir)?;
    let path = pinned.path.join(check_new_name(name)?);
    let target = text(target)?;
    let stored = PathBuf::from(target.replace('/', "\\"));
    let is_dir = match leads_to {
        LinkTo::Dir => true,
        LinkTo::File => false,
        // `join` takes `..` away, which paths that begin with `\\?\` don't know.
        LinkTo::Unknown => match fs::metadata(pinned.path.join(&stored)) {
            Ok(found) => found.is_dir(),
            Err(_) => target.ends_with('/'),
        },
    };
    match is_dir {
        true => symlink_dir(&stored, path)?,
        false => symlink_file(&stored, path)?,
    }
    // The path led to this folder, or the link would stand elsewhere. Wine 8 makes none.
    let stands = matches!(stat_at(dir, name), Ok(found) if found.file_type == FileType::Symlink);
    match stands {
        true => Ok(()),
        false => {
            let cause = "a link was reported as made, but isn't there";
            Err(io::Error::new(io::ErrorKind::Unsupported, cause))
        }
    }
}

/// Reads the target of the symbolic link `name`, with `/` for each `\`.
pub(crate) fn read_link(dir: &Dir, name: &[u8]) -> io::Result<Vec<u8>> {
    read_link_at(dir, check_name(name)?)
}

pub(super) fn read_link_at(dir: &Dir, name: &str) -> io::Result<Vec<u8>> {
    let pinned = Pinned::of(dir)?;
    let path = pinned.path.join(name);
    let target = fs::read_link(&path)?;
    // Junctions say only where they lead from the drive's root on.
    let way = match target.is_absolute() && is_junction_at(dir, name)? {
        true => path
            .parent()
            .and_then(|folder| way_between(folder, &target)),
        false => None,
    };
    if let Some(way) = way {
        return Ok(way.into_bytes());
    }
    let target = target.to_str().ok_or_else(not_unicode)?;
    Ok(target.replace('\\', "/").into_bytes())
}

/// Whether `name` is a junction: a folder that stands for another, by its path. A mounted
/// volume is none, as its path names no folder.
pub(crate) fn is_junction(dir: &Dir, name: &[u8]) -> io::Result<bool> {
    let name = check_name(name)?;
    if !is_junction_at(dir, name)? {
        return Ok(false);
    }
    let pinned = Pinned::of(dir)?;
    let target = fs::read_link(pinned.path.join(name))?;
    let Some(Component::Prefix(prefix)) = target.components().next() else {
        return Ok(false);
    };
    Ok(matches!(
        prefix.kind(),
        Prefix::Disk(_) | Prefix::VerbatimDisk(_)
    ))
}

fn is_junction_at(dir: &Dir, name: &str) -> io::Result<bool> {
    /// Of junctions and of mounted volumes.
    const MOUNT_POINT: u32 = 0xa000_0003;
    let how = existing(FILE_READ_ATTRIBUTES | SYNCHRONIZE, SHARE_ALL);
    let file = raw::open_at(&dir.handle, name, how)?;
    let found = raw::information(&file)?;
    let is_reparse_point = found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT != 0;
    Ok(is_reparse_point && raw::reparse_tag(&file)? == MOUNT_POINT)
}

/// What kind of link `name` is: to a file or to a folder.
pub(crate) fn kind_of_link(dir: &Dir, name: &[u8]) -> io::Result<LinkTo> {
    let found = raw::information(&open_for(dir, name, FILE_READ_ATTRIBUTES)?)?;
    Ok(match found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY {
        0 => LinkTo::File,
        _ => LinkTo::Dir,
    })
}
