//! Where the sources go: the rules of `cp` for names that exist or don't.
//!
//! Everything that is wrong with the paths themselves is found here, before
//! anything is read or written.

use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::dest::deliver::{open_parent, parent_of, path_of};
use crate::dest::publish::{Existing, already_exists};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, FileType, Stat};
use crate::text::escape_path;

/// How the destination's path is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DestinationRule {
    /// A folder that exists receives the copy; any other path is the copy's name.
    #[default]
    Auto,
    /// The path is the copy's name, whatever stands there.
    Exact,
    /// The path is a folder that receives the copy.
    Into,
}

/// What one source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SourceKind {
    Dir,
    /// `SRC/.`: the members of a folder, not the folder.
    Contents,
    FileOrLink,
}

/// One source and the place of its copy, both looked at.
#[derive(Debug)]
pub(super) struct Target {
    pub source: PathBuf,
    pub kind: SourceKind,
    /// The source folder, or the folder that a file or link stands in.
    pub source_dir: Dir,
    /// The name of a file or link in `source_dir`.
    pub source_name: Vec<u8>,
    /// The folder that the copy is published in.
    pub parent: Dir,
    pub parent_path: PathBuf,
    /// The copy's name in `parent`; empty for members of an existing folder.
    pub name: Vec<u8>,
}

impl Target {
    /// The path that the copy will have.
    pub(super) fn path(&self) -> PathBuf {
        path_of(&self.parent_path, &self.name)
    }
}

/// Finds the place of every source.
pub(super) fn resolve(
    sources: &[PathBuf],
    destination: &Path,
    rule: DestinationRule,
    existing: Existing,
) -> Result<Vec<Target>> {
    let receives = receives(sources, destination, rule)?;
    let mut targets: Vec<Target> = Vec::with_capacity(sources.len());
    for source in sources {
        let target = place(source, destination, receives)?;
        check_apart(&target, existing)?;
        let is_taken = |other: &Target| other.name == target.name && !target.name.is_empty();
        if targets.iter().any(is_taken) {
            let cause = "two sources have this name";
            return Err(Error::new(
                ErrorKind::Usage,
                "copy to",
                target.path(),
                cause,
            ));
        }
        targets.push(target);
    }
    for target in targets.iter().filter(|target| !target.name.is_empty()) {
        // Its own source was looked at with the target itself.
        for other in targets.iter().filter(|other| !std::ptr::eq(*other, target)) {
            check_source_survives(target, other)?;
        }
    }
    Ok(targets)
}

/// The folder `dir`, which is opened as `root`, as the place of its own copy.
pub(super) fn in_place(dir: &Path, root: Dir) -> Result<Target> {
    let (parent_path, name) = split(dir)?;
    Ok(Target {
        source: dir.to_owned(),
        kind: SourceKind::Dir,
        source_dir: root,
        source_name: Vec::new(),
        parent: open_parent(&parent_path)?,
        parent_path,
        name,
    })
}

/// Whether `destination` is a folder that receives the copies.
fn receives(sources: &[PathBuf], destination: &Path, rule: DestinationRule) -> Result<bool> {
    let stat = match sys::stat_path(destination) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) if sys::is_not_a_real_dir(&error) => None,
        result => Some(result.map_err(|error| Error::io("read", destination, error))?),
    };
    let is_dir = stat.is_some_and(|stat| stat.file_type == FileType::Dir);
    match rule {
        DestinationRule::Exact if sources.len() > 1 => {
            let cause = "one name can't be given to several sources";
            Err(Error::new(ErrorKind::Usage, "copy to", destination, cause))
        }
        DestinationRule::Exact => Ok(false),
        DestinationRule::Into | DestinationRule::Auto if is_dir => Ok(true),
        DestinationRule::Auto if sources.len() == 1 => Ok(false),
        DestinationRule::Into | DestinationRule::Auto => {
            let cause = match stat {
                Some(_) => "is not a folder",
                None => "no such folder",
            };
            let kind = match stat {
                Some(_) => ErrorKind::Usage,
                None => ErrorKind::NotFound,
            };
            let error = Error::new(kind, "copy into", destination, cause);
            Err(match (rule, stat) {
                (DestinationRule::Auto, _) => {
                    error.with_hint("several sources need an existing folder as the destination")
                }
                (_, None) => error.with_hint("make it first: mkdir -p"),
                (_, Some(_)) => error,
            })
        }
    }
}

fn place(source: &Path, destination: &Path, receives: bool) -> Result<Target> {
    let kind = kind_of(source)?;
    if !receives && kind == SourceKind::FileOrLink && ends_in_slash(destination) {
        let cause = "no such folder, and the source is none";
        return Err(Error::new(
            ErrorKind::NotFound,
            "copy into",
            destination,
            cause,
        ));
    }
    let (source_dir, source_name) = open_source(source, kind)?;
    let (parent_path, name) = match (receives, kind) {
        (true, SourceKind::Contents) => (destination.to_owned(), Vec::new()),
        (true, SourceKind::Dir | SourceKind::FileOrLink) => {
            let name = sys::os_to_bytes(last_name(source)?).to_vec();
            (destination.to_owned(), name)
        }
        (false, _) => split(destination)?,
    };
    let parent = open_parent(&parent_path)?;
    Ok(Target {
        source: source.to_owned(),
        kind,
        source_dir,
        source_name,
        parent,
        parent_path,
        name,
    })
}

fn kind_of(source: &Path) -> Result<SourceKind> {
    if ends_in_dot(source) {
        return Ok(SourceKind::Contents);
    }
    let stat = stat_source(source)?;
    match stat.file_type {
        FileType::Dir => Ok(SourceKind::Dir),
        FileType::File | FileType::Symlink => Ok(SourceKind::FileOrLink),
        FileType::Special | FileType::Unknown => Err(Error::new(
            ErrorKind::SpecialFile,
            "read",
            source,
            format!("is a {}, which a bundle can't hold", sys::SPECIAL),
        )),
    }
}

/// Looks at the source itself: a link is not followed, slash or no slash.
fn stat_source(source: &Path) -> Result<Stat> {
    let failed = |error| Error::io("read", source, error);
    if source.file_name().is_none() {
        return sys::stat_path(source).map_err(failed);
    }
    let (parent, name) = split(source)?;
    let dir = sys::open_root(&parent).map_err(failed)?;
    sys::stat_at(&dir, &name).map_err(failed)
}

fn open_source(source: &Path, kind: SourceKind) -> Result<(Dir, Vec<u8>)> {
    let failed = |error| Error::io("open", source, error);
    match kind {
        SourceKind::Contents => Ok((sys::open_root(source).map_err(failed)?, Vec::new())),
        SourceKind::Dir if source.file_name().is_none() => {
            Ok((sys::open_root(source).map_err(failed)?, Vec::new()))
        }
        SourceKind::Dir => {
            let (parent, name) = split(source)?;
            let parent = sys::open_root(&parent).map_err(failed)?;
            Ok((sys::open_dir(&parent, &name).map_err(failed)?, Vec::new()))
        }
        SourceKind::FileOrLink => {
            let (parent, name) = split(source)?;
            Ok((sys::open_root(&parent).map_err(failed)?, name))
        }
    }
}

/// The folder above `path`, and its last name.
fn split(path: &Path) -> Result<(PathBuf, Vec<u8>)> {
    let name = sys::os_to_bytes(last_name(path)?).to_vec();
    let parent = parent_of(path);
    Ok((parent, name))
}

fn last_name(path: &Path) -> Result<&OsStr> {
    path.file_name().ok_or_else(|| {
        let cause = "has no name of its own";
        Error::new(ErrorKind::Usage, "copy", path, cause)
            .with_hint("name the folder itself, or copy what is in it with `/.`")
    })
}

fn ends_in_slash(path: &Path) -> bool {
    sys::os_to_bytes(path.as_os_str()).ends_with(b"/")
}

/// Whether the path is written with a last `.`, which `Path` itself forgets.
fn ends_in_dot(path: &Path) -> bool {
    if path.components().eq([Component::CurDir]) {
        return true;
    }
    let bytes = sys::os_to_bytes(path.as_os_str());
    let end = bytes
        .iter()
        .rposition(|byte| *byte != b'/')
        .map_or(0, |at| at + 1);
    bytes[..end].ends_with(b"/.")
}

/// Refuses a copy into itself, onto itself or over a folder that it stands in.
fn check_apart(target: &Target, existing: Existing) -> Result<()> {
    let refuse = |cause: &str| {
        let error = Error::new(ErrorKind::Usage, "copy", &target.source, cause);
        Err(error.with_hint(format!(
            "the copy would be `{}`",
            escape_path(&target.path())
        )))
    };
    let read = |error| Error::io("read", target.path(), error);
    let standing = match target.name.is_empty() {
        true => Some(sys::stat_dir(&target.parent).map_err(read)?),
        false => match sys::stat_at(&target.parent, &target.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            result => Some(result.map_err(read)?),
        },
    };
    let source = match target.kind {
        SourceKind::Dir | SourceKind::Contents => sys::stat_dir(&target.source_dir),
        SourceKind::FileOrLink => sys::stat_at(&target.source_dir, &target.source_name),
    };
    let source = source.map_err(|error| Error::io("read", &target.source, error))?;
    if standing.is_some_and(|standing| standing.is_same_object(&source)) {
        return refuse("the source and the copy are the same");
    }
    let is_dir = target.kind != SourceKind::FileOrLink;
    if is_dir && is_above(&source, &target.parent).map_err(read)? {
        return refuse("the copy would stand inside the source");
    }
    if target.name.is_empty() {
        return Ok(());
    }
    let Some(standing) = standing else {
        return Ok(());
    };
    if standing.file_type == FileType::Dir
        && is_above(&standing, &target.source_dir).map_err(read)?
    {
        return Err(stands_inside(&target.source, &target.path()));
    }
    match existing {
        Existing::Refuse => Err(already_exists("copy to", &target.path())),
        Existing::Replace => Ok(()),
        Existing::Merge => check_mergeable(target, standing),
    }
}

/// Refuses to replace a folder that another source stands in.
fn check_source_survives(target: &Target, other: &Target) -> Result<()> {
    let Ok(standing) = sys::stat_at(&target.parent, &target.name) else {
        return Ok(());
    };
    let read = |error| Error::io("read", target.path(), error);
    if standing.file_type == FileType::Dir
        && is_above(&standing, &other.source_dir).map_err(read)?
    {
        return Err(stands_inside(&other.source, &target.path()));
    }
    Ok(())
}

/// The error of a source that a copy would remove.
pub(super) fn stands_inside(source: &Path, replaced: &Path) -> Error {
    let cause = "the source stands inside what it would replace";
    Error::new(ErrorKind::Usage, "copy", source, cause)
        .with_hint(format!("the copy would be `{}`", escape_path(replaced)))
}

fn check_mergeable(target: &Target, standing: Stat) -> Result<()> {
    let source_is_dir = target.kind != SourceKind::FileOrLink;
    let target_is_dir = standing.file_type == FileType::Dir;
    let cause = match (source_is_dir, target_is_dir) {
        (true, false) => "a folder can't be laid over what is no folder",
        (false, true) => "a file or link can't be laid over a folder",
        (true, true) | (false, false) => return Ok(()),
    };
    let error = Error::new(ErrorKind::AlreadyExists, "merge into", target.path(), cause);
    Err(error.with_hint("-f replaces it"))
}

/// Whether the folder `dir` is `above`, or lies below it.
pub(super) fn is_above(above: &Stat, dir: &Dir) -> io::Result<bool> {
    let mut at = sys::reopen_dir(dir)?;
    let mut stat = sys::stat_dir(&at)?;
    loop {
        if stat.is_same_object(above) {
            return Ok(true);
        }
        let up = match sys::open_parent(&at) {
            // Nobody can look further up: nor can the copy reach there.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(false),
            result => result?,
        };
        let up_stat = sys::stat_dir(&up)?;
        if up_stat.is_same_object(&stat) {
            return Ok(false);
        }
        (at, stat) = (up, up_stat);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_dot_means_the_contents() {
        for (path, expected) in [
            (".", true),
            ("./", true),
            ("a/.", true),
            ("a/.//", true),
            ("a", false),
            ("a/", false),
            ("a.", false),
            (".a", false),
            ("..", false),
            ("a/..", false),
        ] {
            assert_eq!(ends_in_dot(Path::new(path)), expected, "{path}");
        }
    }
}
