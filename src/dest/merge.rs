//! Laying a staged tree over one that stands already.
//!
//! A folder that stands as a real folder is entered; everything else is moved
//! in by one rename, or swapped with what stands there. A link is never
//! entered, on either side. All is looked at before anything is moved, and
//! taken back if a move fails.

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, FileType, Stat};

use super::attributes::{self, Attributes, Losses, Ownership, Rules};
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

/// How a merge is carried out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    pub folders: Folders,
    pub ownership: Ownership,
    /// Whether the folder that all goes into becomes what the staged root is.
    pub root: Root,
}

/// What becomes of the folder that receives all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Root {
    /// It gets the staged root's attributes, as every folder below it.
    Merged,
    /// It keeps its own: the staged root only holds what goes into it.
    Kept,
}

/// A folder on both sides: it gets the staged one's mode and times at the end.
struct Merged {
    place: Place,
    staged: Attributes,
    old: Attributes,
}

/// A merge that is taken back when this is dropped before [`commit`](Self::commit).
pub(crate) struct Merge<'m> {
    shown: &'m Path,
    manner: Manner,
    losses: Losses,
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
pub(crate) fn merge<'m>(
    roots: Between,
    shown: &'m Path,
    manner: Manner,
    is_stuck: &Rc<Cell<bool>>,
) -> Result<Merge<'m>> {
    let mut merge = Merge::new(shown, manner, is_stuck);
    merge.run(roots)?;
    Ok(merge)
}

impl<'m> Merge<'m> {
    fn new(shown: &'m Path, manner: Manner, is_stuck: &Rc<Cell<bool>>) -> Self {
        Self {
            shown,
            manner,
            losses: Losses::default(),
            made: Vec::new(),
            root: None,
            merged: Vec::new(),
            publication: Publication::new(is_stuck),
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
        manner: Manner,
        is_stuck: &Rc<Cell<bool>>,
    ) -> Result<Self> {
        let failed = |error| Error::io("publish", shown, error);
        sys::create_dir(&parent, name, 0o700).map_err(failed)?;
        let mut merge = Merge::new(shown, manner, is_stuck);
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
        let root_stat = sys::stat_dir(&root.roots.staged);
        let root_stat = root_stat.map_err(|error| self.failed(root, &[], error))?;
        let mut pending = vec![(root.clone(), root_stat)];
        while let Some((place, stat)) = pending.pop() {
            let between = self.open(&place)?;
            for (name, staged) in self.names(&place, &between.staged)? {
                let standing = self.standing(&place, &between.destination, &name)?;
                let is_dir = staged.file_type == FileType::Dir;
                let Some(standing) = standing else {
                    if is_dir && self.manner.folders == Folders::MakeAnew {
                        sys::create_dir(&between.destination, &name, 0o700)
                            .map_err(|error| self.failed(&place, &name, error))?;
                        pending.push((place.below(&name), staged));
                        self.made.push((place.clone(), name));
                    }
                    continue;
                };
                if is_dir != (standing == FileType::Dir) {
                    return Err(conflict(self.path(&place, &name), staged.file_type));
                }
                if is_dir {
                    pending.push((place.below(&name), staged));
                }
            }
            let failed = |error| self.failed(&place, &[], error);
            let staged = Attributes {
                stat,
                xattrs: sys::dir_xattrs(&between.staged).map_err(failed)?,
            };
            let old = Attributes {
                stat: sys::stat_dir(&between.destination).map_err(failed)?,
                xattrs: sys::dir_xattrs(&between.destination).map_err(failed)?,
            };
            self.merged.push(Merged { place, staged, old });
        }
        Ok(())
    }

    /// Moves everything, then sets what belongs to the folders on both sides.
    /// Folders were found from the top: inner ones come first here.
    fn carry_out(&mut self) -> Result<()> {
        let places: Vec<Place> = self
            .merged
            .iter()
            .map(|merged| merged.place.clone())
            .collect();
        for place in places.iter().rev() {
            self.move_members(place)?;
        }
        for merged in self.merged.iter().rev() {
            if merged.place.trail.is_empty() && self.manner.root == Root::Kept {
                continue;
            }
            let rules = Rules {
                ownership: self.manner.ownership,
                exact_modes: false,
                inherits_group: true,
                keeps_modes: true,
            };
            let between = self.open(&merged.place)?;
            attributes::finish_dir(&between.destination, &merged.staged, rules, &self.losses)
                .map_err(|error| self.failed(&merged.place, &[], error))?;
        }
        Ok(())
    }

    fn move_members(&mut self, place: &Place) -> Result<()> {
        let between = self.open(place)?;
        for (name, staged) in self.names(place, &between.staged)? {
            let standing = self.standing(place, &between.destination, &name)?;
            let moved = match standing {
                None => self.publication.place(place, &between, &name, &name),
                Some(_) if staged.file_type == FileType::Dir => Ok(()),
                Some(_) => self.publication.replace(place, &between, &name, &name),
            };
            moved.map_err(|error| self.failed(place, &name, error))?;
        }
        Ok(())
    }

    /// Keeps the merge.
    pub(crate) fn commit(mut self) -> Result<()> {
        self.is_committed = true;
        let empty = Publication::new(&Rc::default());
        std::mem::replace(&mut self.publication, empty)
            .commit()
            .map_err(|error| Error::io("remove what was replaced in", self.shown, error))
    }

    fn open(&self, place: &Place) -> Result<Between> {
        place.open().map_err(|error| self.failed(place, &[], error))
    }

    fn names(&self, place: &Place, dir: &Dir) -> Result<Vec<(Vec<u8>, Stat)>> {
        let mut names = Vec::new();
        sys::reopen_dir(dir)
            .and_then(|dir| {
                sys::list_dir::<io::Error>(&dir, |listed| {
                    let stat = sys::stat_at(&dir, listed.name)?;
                    names.push((listed.name.to_vec(), stat));
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
        let path = names.fold(self.shown.to_owned(), |path, name| {
            sys::join_bytes(&path, name)
        });
        sys::join_bytes(&path, name)
    }

    fn failed(&self, place: &Place, name: &[u8], error: io::Error) -> Error {
        Error::io("merge into", self.path(place, name), error)
    }
}

/// The error of a folder that stands where the source has none, or the other
/// way round.
pub(crate) fn conflict(path: PathBuf, source: FileType) -> Error {
    let cause = match source {
        FileType::Dir => "the source has a folder where a file or link stands",
        _ => "the source has a file or link where a folder stands",
    };
    Error::new(ErrorKind::AlreadyExists, "merge into", path, cause)
        .with_hint("remove it first, or replace all with -f")
}

impl Merged {
    /// Gives the folder that stood there what it had.
    fn restore(&self, dir: &Dir) -> io::Result<()> {
        for (name, value) in sys::dir_xattrs(dir)? {
            if !self.old.xattrs.contains(&(name.clone(), value)) {
                sys::remove_dir_xattr(dir, &name)?;
            }
        }
        for (name, value) in &self.old.xattrs {
            sys::set_dir_xattr(dir, name, value)?;
        }
        sys::set_dir_mode(dir, self.old.stat.mode)?;
        sys::set_dir_times(dir, &self.old.stat)
    }
}

impl Drop for Merge<'_> {
    fn drop(&mut self) {
        if self.is_committed {
            return;
        }
        for merged in &self.merged {
            // A folder that got its final mode already may refuse the way back.
            let mode = merged.old.stat.mode | 0o700;
            let opened = merged.place.open();
            let _ = opened.and_then(|between| sys::set_dir_mode(&between.destination, mode));
        }
        drop(std::mem::replace(
            &mut self.publication,
            Publication::new(&Rc::default()),
        ));
        for (place, name) in self.made.drain(..).rev() {
            let opened = place.open();
            let _ = opened.and_then(|between| sys::remove_dir(&between.destination, &name));
        }
        if let Some((parent, name)) = &self.root {
            let _ = sys::remove_dir(parent, name);
        }
        for merged in self.merged.iter().rev() {
            // The error that led here is the one to report.
            let opened = merged.place.open();
            let _ = opened.and_then(|between| merged.restore(&between.destination));
        }
    }
}
