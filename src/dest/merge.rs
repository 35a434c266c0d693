//! Laying a staged tree over one that stands already.
//!
//! A folder that stands as a real folder is entered; everything else is moved
//! in by one rename, or swapped with what stands there. A link is never
//! entered, on either side. All is looked at before anything is moved, and
//! taken back if a move fails.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, FileType, Stat};

use super::publish::{Between, Place, Publication};

/// How folders get to where nothing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Folders {
    /// By one rename.
    Move,
    /// By making them and moving their files: for file systems on which a
    /// folder loses its contents when it is moved.
    MakeAnew,
}

/// A folder on both sides: it gets the staged one's mode and times at the end.
struct Merged {
    place: Place,
    staged: Stat,
    old: Stat,
}

/// A merge that is taken back when this is dropped before [`commit`](Self::commit).
pub(crate) struct Merge<'m> {
    shown: &'m Path,
    folders: Folders,
    /// Folders that were made here, outermost first.
    made: Vec<(Place, Vec<u8>)>,
    /// The folder that all goes into, if it was made here too.
    root: Option<(Dir, Vec<u8>)>,
    merged: Vec<Merged>,
    publication: Publication,
    is_committed: bool,
}

/// Lays the contents of `roots.staged` over those of `roots.destination`, which
/// is shown as `shown`.
pub(crate) fn merge(roots: Between, shown: &Path, folders: Folders) -> Result<Merge<'_>> {
    let mut merge = Merge::new(shown, folders);
    merge.run(roots)?;
    Ok(merge)
}

impl<'m> Merge<'m> {
    fn new(shown: &'m Path, folders: Folders) -> Self {
        Self {
            shown,
            folders,
            made: Vec::new(),
            root: None,
            merged: Vec::new(),
            publication: Publication::default(),
            is_committed: false,
        }
    }

    /// Makes the folder `name` in `parent` and moves the contents of `staged`
    /// there, file by file.
    pub(crate) fn into_new(
        staged: Dir,
        parent: Dir,
        name: &[u8],
        shown: &'m Path,
    ) -> Result<Self> {
        let failed = |error| Error::io("publish", shown, error);
        sys::create_dir(&parent, name, 0o700).map_err(failed)?;
        let mut merge = Merge::new(shown, Folders::MakeAnew);
        let destination = sys::open_dir(&parent, name);
        merge.root = Some((parent, name.to_vec()));
        let destination = destination.map_err(failed)?;
        merge.run(Between {
            staged,
            destination,
        })?;
        Ok(merge)
    }

    fn run(&mut self, roots: Between) -> Result<()> {
        let root = Place::at(roots);
        self.survey(&root)?;
        self.carry_out()
    }

    /// Finds all folders that stand on both sides, and every conflict.
    fn survey(&mut self, root: &Place) -> Result<()> {
        let mut pending = vec![root.clone()];
        while let Some(place) = pending.pop() {
            let between = self.open(&place)?;
            for (name, staged) in self.names(&place, &between.staged)? {
                let standing = self.standing(&place, &between.destination, &name)?;
                let Some(standing) = standing else {
                    if staged == FileType::Dir && self.folders == Folders::MakeAnew {
                        sys::create_dir(&between.destination, &name, 0o700)
                            .map_err(|error| self.failed(&place, &name, error))?;
                        pending.push(place.below(&name));
                        self.made.push((place.clone(), name));
                    }
                    continue;
                };
                match (staged == FileType::Dir, standing == FileType::Dir) {
                    (true, true) => pending.push(place.below(&name)),
                    (false, false) => {}
                    (true, false) => return Err(self.conflict(&place, &name, "folder")),
                    (false, true) => return Err(self.conflict(&place, &name, "file or link")),
                }
            }
            let stat = |dir| sys::stat_dir(dir).map_err(|error| self.failed(&place, &[], error));
            let merged = Merged {
                staged: stat(&between.staged)?,
                old: stat(&between.destination)?,
                place,
            };
            self.merged.push(merged);
        }
        Ok(())
    }

    fn carry_out(&mut self) -> Result<()> {
        // Folders were found from the top: inner ones come last.
        for index in (0..self.merged.len()).rev() {
            let place = self.merged[index].place.clone();
            let between = self.open(&place)?;
            for (name, staged) in self.names(&place, &between.staged)? {
                let standing = self.standing(&place, &between.destination, &name)?;
                let moved = match standing {
                    None => self.publication.place(&place, &between, &name, &name),
                    Some(_) if staged == FileType::Dir => Ok(()),
                    Some(_) => self.publication.replace(&place, &between, &name, &name),
                };
                moved.map_err(|error| self.failed(&place, &name, error))?;
            }
            let staged = self.merged[index].staged;
            let set = sys::set_dir_mode(&between.destination, staged.mode)
                .and_then(|()| sys::set_dir_times(&between.destination, &staged));
            match set {
                Err(error) if !sys::is_unsupported(&error) => {
                    return Err(self.failed(&place, &[], error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps the merge.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.is_committed = true;
        std::mem::take(&mut self.publication)
            .commit()
            .map_err(|error| Error::io("remove what was replaced in", self.shown, error))
    }

    fn open(&self, place: &Place) -> Result<Between> {
        place.open().map_err(|error| self.failed(place, &[], error))
    }

    fn names(&self, place: &Place, dir: &Dir) -> Result<Vec<(Vec<u8>, FileType)>> {
        let mut names = Vec::new();
        sys::reopen_dir(dir)
            .and_then(|dir| {
                sys::list_dir::<io::Error>(&dir, |listed| {
                    let stat = sys::stat_at(&dir, listed.name)?;
                    names.push((listed.name.to_vec(), stat.file_type));
                    Ok(())
                })
            })
            .map_err(|error| self.failed(place, &[], error))?;
        Ok(names)
    }

    fn standing(&self, place: &Place, dir: &Dir, name: &[u8]) -> Result<Option<FileType>> {
        match sys::stat_at(dir, name) {
            Ok(stat) => Ok(Some(stat.file_type)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(place, name, error)),
        }
    }

    fn path(&self, place: &Place, name: &[u8]) -> PathBuf {
        let names = place.trail.iter().map(Vec::as_slice);
        let path = names.fold(self.shown.to_owned(), |path, name| sys::join_bytes(&path, name));
        sys::join_bytes(&path, name)
    }

    fn failed(&self, place: &Place, name: &[u8], error: io::Error) -> Error {
        Error::io("merge into", self.path(place, name), error)
    }

    fn conflict(&self, place: &Place, name: &[u8], staged: &str) -> Error {
        let (other, hint) = match staged {
            "folder" => ("stands there as a file or link", "remove it first, or use -f"),
            _ => ("stands there as a folder", "remove it first, or use -f"),
        };
        let cause = format!("the source has a {staged} of a name that {other}");
        Error::new(
            ErrorKind::AlreadyExists,
            "merge into",
            self.path(place, name),
            cause,
        )
        .with_hint(hint)
    }
}

impl Drop for Merge<'_> {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        drop(std::mem::take(&mut self.publication));
        for (place, name) in self.made.drain(..).rev() {
            let opened = place.open();
            let _ = opened.and_then(|between| sys::remove_dir(&between.destination, &name));
        }
        if let Some((parent, name)) = &self.root {
            let _ = sys::remove_dir(parent, name);
        }
        for merged in &self.merged {
            // The error that led here is the one to report.
            let _ = merged.place.open().and_then(|between| {
                sys::set_dir_mode(&between.destination, merged.old.mode)?;
                sys::set_dir_times(&between.destination, &merged.old)
            });
        }
    }
}
