//! All staged copies to their places, together or not at all.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::dest::Staging;
use crate::dest::merge::{Folders, Manner, Merge, merge};
use crate::dest::publish::{Between, Existing, Place, Publication};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, Stat};
use crate::text::escape_path;

use super::target::{Target, already_exists};
use super::{Options, Outcome, Sync};

/// A copy that waits in its staging folder.
pub(super) struct Staged {
    pub target: Target,
    pub staging: Staging,
    /// The staging folder itself is the copy; else its members are.
    pub is_whole: bool,
    pub manner: Manner,
    /// Set when what was published could not be taken back.
    pub is_stuck: Rc<Cell<bool>>,
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

/// Moves every staged copy to its place; if one can't be moved, none is.
pub(super) fn publish(copies: Vec<Staged>, options: &Options, outcome: &mut Outcome) -> Result<()> {
    let paths: Vec<PathBuf> = copies.iter().map(|staged| staged.target.path()).collect();
    let failed = match move_all(&copies, &paths, options) {
        Ok(published) => {
            commit(published, outcome);
            None
        }
        Err(error) => Some(error),
    };
    if let Some(error) = failed {
        return Err(keep_what_is_stuck(copies, error));
    }
    for staged in copies {
        note_leftover(staged.staging.discard(), outcome);
    }
    Ok(())
}

/// Keeps what was published. From here on the copies stand: what can't be
/// tidied up is only a note.
fn commit(mut published: Published<'_>, outcome: &mut Outcome) {
    for undo in std::mem::take(&mut published.0) {
        let kept = match undo {
            Undo::Moves(publication) => publication
                .commit()
                .map_err(|error| Error::io("remove what was replaced in", ".", error)),
            Undo::Merge(merge) => merge.commit(),
        };
        note_leftover(kept, outcome);
    }
}

fn move_all<'s>(
    copies: &'s [Staged],
    paths: &'s [PathBuf],
    options: &Options,
) -> Result<Published<'s>> {
    if options.sync != Sync::None {
        for staged in copies {
            sync(staged)?;
        }
    }
    let mut published = Published(Vec::with_capacity(copies.len()));
    for (staged, path) in copies.iter().zip(paths) {
        published
            .0
            .push(publish_one(staged, path, options.existing)?);
    }
    if options.sync == Sync::Full {
        for staged in copies {
            sys::sync_dir(&staged.target.parent)
                .map_err(|error| Error::io("sync", &staged.target.parent_path, error))?;
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

fn note_leftover(result: Result<()>, outcome: &mut Outcome) {
    if let Err(error) = result {
        outcome
            .notes
            .push(format!("could not {error}: {}", error.cause()));
    }
}

fn sync(staged: &Staged) -> Result<()> {
    sys::sync_filesystem(staged.staging.dir())
        .map_err(|error| Error::io("sync", &staged.target.parent_path, error))
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
    let target = &staged.target;
    let failed = |error| Error::io("publish", path, error);
    let standing = stat(&target.parent, &target.name).map_err(failed)?;
    if standing.is_some() && existing == Existing::Merge {
        let between = Between {
            staged: sys::reopen_dir(staged.staging.dir()).map_err(failed)?,
            destination: sys::open_dir(&target.parent, &target.name).map_err(failed)?,
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
    let between = between(staged.staging.parent(), &target.parent).map_err(failed)?;
    let place = Place::at(between);
    let name = staged.staging.name();
    move_one(
        &mut publication,
        &place,
        name,
        &target.name,
        standing,
        existing,
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
    let parent = sys::reopen_dir(&staged.target.parent).map_err(failed)?;
    let staged_dir = sys::reopen_dir(staged.staging.dir()).map_err(failed)?;
    let merge = Merge::into_new(
        staged_dir,
        parent,
        &staged.target.name,
        path,
        staged.manner,
        &staged.is_stuck,
    )?;
    Ok(Undo::Merge(merge))
}

/// Moves the members of the staging folder into the destination.
fn publish_members<'s>(staged: &'s Staged, path: &'s Path, existing: Existing) -> Result<Undo<'s>> {
    let target = &staged.target;
    let failed = |error| Error::io("publish", path, error);
    let between = between(staged.staging.dir(), &target.parent).map_err(failed)?;
    if existing == Existing::Merge && target.name.is_empty() {
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
        let path = sys::join_bytes(&target.parent_path, &name);
        let standing = stat(&target.parent, &name).map_err(failed)?;
        move_one(
            &mut publication,
            &place,
            &name,
            &name,
            standing,
            existing,
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
    existing: Existing,
    path: &Path,
) -> Result<()> {
    let moved = match (standing, existing) {
        (None, _) => publication.place(place, &place.roots, staged_name, name),
        (Some(_), Existing::Refuse) => return Err(already_exists(path)),
        (Some(_), Existing::Replace | Existing::Merge) => {
            publication.replace(place, &place.roots, staged_name, name)
        }
    };
    moved.map_err(|error| match error.kind() {
        // Somebody was faster between the look and the move.
        std::io::ErrorKind::AlreadyExists => already_exists(path),
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
