//! All staged trees to their places, together or not at all.
//!
//! What an operation staged is moved to its name by [`publish`](super::publish)
//! or laid over what stands there by [`merge`](super::merge); if one of several
//! can't be moved, those that were are taken back.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, Stat};
use crate::text::escape_path;

use super::Staging;
use super::merge::{Folders, Manner, Merge, merge};
use super::publish::{Between, Existing, Place, Publication, already_exists};

/// What is durable when an operation returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sync {
    /// Nothing: the system writes when it likes, as after `cp`.
    #[default]
    None,
    /// The content, before it appears under its name.
    Data,
    /// The name as well.
    Full,
}

/// A tree that waits in its staging folder.
pub(crate) struct Staged {
    pub staging: Staging,
    /// The folder that it is published in.
    pub parent: Dir,
    /// That folder's path, for messages.
    pub parent_path: PathBuf,
    /// Its name in `parent`; empty for members of an existing folder.
    pub name: Vec<u8>,
    /// The staging folder itself is the tree; else its members are.
    pub is_whole: bool,
    pub manner: Manner,
    /// Set when what was published could not be taken back.
    pub is_stuck: Rc<Cell<bool>>,
    /// What an error calls the operation: `copy to`.
    pub operation: &'static str,
}

impl Staged {
    /// The path that the tree will have.
    fn path(&self) -> PathBuf {
        path_of(&self.parent_path, &self.name)
    }
}

/// The folder that `path` stands in, as a user would write it.
pub(crate) fn parent_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Opens the folder that something is to be made in.
pub(crate) fn open_parent(path: &Path) -> Result<Dir> {
    sys::open_root(path).map_err(|error| {
        let error = Error::io("open", path, error);
        match error.kind() {
            ErrorKind::NotFound => error.with_hint("make the folder first: mkdir -p"),
            _ => error,
        }
    })
}

/// The path of `name` in the folder `parent`, as a user would write it.
pub(crate) fn path_of(parent: &Path, name: &[u8]) -> PathBuf {
    if parent == Path::new(".") && !name.is_empty() {
        return sys::bytes_to_path(name).into_owned();
    }
    sys::join_bytes(parent, name)
}

/// Copies that are in their places. They are taken back last to first: a later
/// one may have moved what an earlier one put there.
struct Published<'s>(Vec<Undo<'s>>);

impl Drop for Published<'_> {
    fn drop(&mut self) {
        while self.0.pop().is_some() {}
    }
}

/// What takes a published copy back.
enum Undo<'s> {
    Moves(Publication),
    Merge(Merge<'s>),
}

/// Moves every staged tree to its place; if one can't be moved, none is.
/// Returns what a reader should know that is no error.
pub(crate) fn deliver(copies: Vec<Staged>, existing: Existing, sync: Sync) -> Result<Vec<String>> {
    let paths: Vec<PathBuf> = copies.iter().map(Staged::path).collect();
    let mut notes = Vec::new();
    let failed = match move_all(&copies, &paths, existing, sync) {
        Ok(published) => {
            commit(published, &mut notes);
            None
        }
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        return Err(keep_what_is_stuck(copies, error));
    }
    for staged in copies {
        note_leftover(staged.staging.discard(), &mut notes);
    }
    Ok(notes)
}

/// Keeps what was published. From here on the copies stand: what can't be
/// tidied up is only a note.
fn commit(mut published: Published<'_>, notes: &mut Vec<String>) {
    for undo in std::mem::take(&mut published.0) {
        let kept = match undo {
            Undo::Moves(publication) => publication
                .commit()
                .map_err(|error| Error::io("remove what was replaced in", ".", error)),
            Undo::Merge(merge) => merge.commit(),
        };
        note_leftover(kept, notes);
    }
}

fn move_all<'s>(
    copies: &'s [Staged],
    paths: &'s [PathBuf],
    existing: Existing,
    sync: Sync,
) -> Result<Published<'s>> {
    if sync != Sync::None {
        for staged in copies {
            sync_staged(staged)?;
        }
    }
    let mut published = Published(Vec::with_capacity(copies.len()));
    for (staged, path) in copies.iter().zip(paths) {
        published.0.push(publish_one(staged, path, existing)?);
    }
    if sync == Sync::Full {
        for staged in copies {
            sys::sync_dir(&staged.parent)
                .map_err(|error| Error::io("sync", &staged.parent_path, error))?;
        }
    }
    Ok(published)
}

/// What could not be taken back is not removed either: it may be all that is
/// left of what stood there.
fn keep_what_is_stuck(copies: Vec<Staged>, error: Error) -> Error {
    let stuck = copies.into_iter().filter(|staged| staged.is_stuck.get());
    let kept: Vec<String> = stuck
        .map(|staged| format!("`{}`", escape_path(&staged.staging.keep())))
        .collect();
    match kept.is_empty() {
        true => error,
        false => error.with_hint(format!(
            "not all could be taken back; what stood there before is in {}",
            kept.join(", ")
        )),
    }
}

fn note_leftover(result: Result<()>, notes: &mut Vec<String>) {
    if let Err(error) = result {
        notes.push(format!("could not {error}: {}", error.cause()));
    }
}

fn sync_staged(staged: &Staged) -> Result<()> {
    sys::sync_filesystem(staged.staging.dir())
        .map_err(|error| Error::io("sync", &staged.parent_path, error))
}

fn publish_one<'s>(staged: &'s Staged, path: &'s Path, existing: Existing) -> Result<Undo<'s>> {
    let failed = |error| Error::io("publish", path, error);
    if !staged.staging.is_in_place().map_err(failed)? {
        let cause = "another program moved the staging folder away";
        return Err(Error::new(ErrorKind::Tampered, "publish", path, cause));
    }
    match staged.is_whole {
        true => publish_whole(staged, path, existing),
        false => publish_members(staged, path, existing),
    }
}

/// Gives the staging folder its final name.
fn publish_whole<'s>(staged: &'s Staged, path: &'s Path, existing: Existing) -> Result<Undo<'s>> {
    let failed = |error| Error::io("publish", path, error);
    let standing = stat(&staged.parent, &staged.name).map_err(failed)?;
    if standing.is_some() && existing == Existing::Merge {
        let between = Between {
            staged: sys::reopen_dir(staged.staging.dir()).map_err(failed)?,
            destination: sys::open_dir(&staged.parent, &staged.name).map_err(failed)?,
        };
        return Ok(Undo::Merge(merge(
            between,
            path,
            staged.manner,
            &staged.is_stuck,
        )?));
    }
    if staged.manner.folders == Folders::MakeAnew {
        return publish_anew(staged, path, standing);
    }
    let mut publication = Publication::new(&staged.is_stuck);
    let between = between(staged.staging.parent(), &staged.parent).map_err(failed)?;
    let place = Place::at(between);
    let name = staged.staging.name();
    move_one(
        &mut publication,
        &place,
        name,
        &staged.name,
        standing,
        (existing, staged.operation),
        path,
    )?;
    Ok(Undo::Moves(publication))
}

/// Makes the folder at its place and moves the files into it, one by one.
fn publish_anew<'s>(
    staged: &'s Staged,
    path: &'s Path,
    standing: Option<Stat>,
) -> Result<Undo<'s>> {
    if standing.is_some() {
        let cause = "this file system loses what is in a folder that is moved";
        let error = Error::new(ErrorKind::Unsupported, "replace", path, cause);
        return Err(error.with_hint("remove it first, then copy without -f"));
    }
    let failed = |error| Error::io("publish", path, error);
    let parent = sys::reopen_dir(&staged.parent).map_err(failed)?;
    let staged_dir = sys::reopen_dir(staged.staging.dir()).map_err(failed)?;
    let merge = Merge::into_new(
        staged_dir,
        parent,
        &staged.name,
        path,
        staged.manner,
        &staged.is_stuck,
    )?;
    Ok(Undo::Merge(merge))
}

/// Moves the members of the staging folder into the destination.
fn publish_members<'s>(staged: &'s Staged, path: &'s Path, existing: Existing) -> Result<Undo<'s>> {
    let failed = |error| Error::io("publish", path, error);
    let between = between(staged.staging.dir(), &staged.parent).map_err(failed)?;
    if existing == Existing::Merge && staged.name.is_empty() {
        return Ok(Undo::Merge(merge(
            between,
            path,
            staged.manner,
            &staged.is_stuck,
        )?));
    }
    let mut members = Vec::new();
    sys::list_dir::<std::io::Error>(&between.staged, |listed| {
        members.push(listed.name.to_vec());
        Ok(())
    })
    .map_err(failed)?;
    members.sort_unstable();
    let place = Place::at(between);
    let mut publication = Publication::new(&staged.is_stuck);
    for name in members {
        let path = sys::join_bytes(&staged.parent_path, &name);
        let standing = stat(&staged.parent, &name).map_err(failed)?;
        move_one(
            &mut publication,
            &place,
            &name,
            &name,
            standing,
            (existing, staged.operation),
            &path,
        )?;
    }
    Ok(Undo::Moves(publication))
}

fn move_one(
    publication: &mut Publication,
    place: &Place,
    staged_name: &[u8],
    name: &[u8],
    standing: Option<Stat>,
    (existing, operation): (Existing, &'static str),
    path: &Path,
) -> Result<()> {
    let moved = match (standing, existing) {
        (None, _) => publication.place(place, &place.roots, staged_name, name),
        (Some(_), Existing::Refuse) => return Err(already_exists(operation, path)),
        (Some(_), Existing::Replace | Existing::Merge) => {
            publication.replace(place, &place.roots, staged_name, name)
        }
    };
    moved.map_err(|error| match error.kind() {
        // Somebody was faster between the look and the move.
        std::io::ErrorKind::AlreadyExists => already_exists(operation, path),
        _ => Error::io("publish", path, error),
    })
}

fn between(staged: &Dir, destination: &Dir) -> std::io::Result<Between> {
    Ok(Between {
        staged: sys::reopen_dir(staged)?,
        destination: sys::reopen_dir(destination)?,
    })
}

fn stat(dir: &Dir, name: &[u8]) -> std::io::Result<Option<Stat>> {
    match sys::stat_at(dir, name) {
        Ok(stat) => Ok(Some(stat)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
