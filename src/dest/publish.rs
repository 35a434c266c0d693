//! Moving what was staged to its name, and back if that fails half-way.
//!
//! Each move is one atomic rename. Several of them (more than one source, the
//! members of a folder, a merge) are recorded in a [`Publication`]; unless it
//! is committed, they are taken back in reverse order.

use std::cell::Cell;
use std::io;
use std::path::Path;
use std::rc::Rc;

use crate::error::{Error, ErrorKind};
use crate::sys::{self, Dir, FileType};

/// What to do with something that stands at the destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Existing {
    /// Report it as an error and change nothing.
    #[default]
    Refuse,
    /// Swap it for the new tree and remove it.
    Replace,
    /// Lay the new tree over it, file by file.
    Merge,
}

/// The error of a target that stands already.
pub(crate) fn already_exists(operation: &'static str, path: &Path) -> Error {
    Error::new(ErrorKind::AlreadyExists, operation, path, "exists already")
        .with_hint("-f replaces it, --merge lays the source over it")
}

/// The end of the names of what was moved aside.
pub(super) const PARKED: &[u8] = b".replaced";

/// How one name came to its place, and so how it is taken back.
#[derive(Debug)]
enum Move {
    /// Nothing stood there.
    Placed,
    /// What stood there is now under the staged name.
    Exchanged,
    /// What stood there was moved aside, to this name next to the staged one.
    Parked(Vec<u8>),
}

/// A pair of folders that something is moved between.
#[derive(Debug)]
pub(crate) struct Between {
    pub staged: Dir,
    pub destination: Dir,
}

impl Between {
    /// Opens the folder `name` on both sides.
    pub(crate) fn descend(&self, name: &[u8]) -> io::Result<Self> {
        Ok(Self {
            staged: open_for_moving(&self.staged, name)?,
            destination: sys::open_dir(&self.destination, name)?,
        })
    }

    fn reopen(&self) -> io::Result<Self> {
        Ok(Self {
            staged: sys::reopen_dir(&self.staged)?,
            destination: sys::reopen_dir(&self.destination)?,
        })
    }
}

/// Opens a staged folder whose contents are to be moved out, whatever its mode.
fn open_for_moving(parent: &Dir, name: &[u8]) -> io::Result<Dir> {
    let opened = super::remove::open_writable(parent, name)?;
    opened.ok_or_else(|| io::ErrorKind::NotFound.into())
}

/// Where a move took place: the same way down from a pair of roots. Kept as
/// names, because a merge may record more folders than can be held open.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub roots: Rc<Between>,
    pub trail: Rc<[Vec<u8>]>,
}

impl Place {
    /// The roots themselves.
    pub(crate) fn at(roots: Between) -> Self {
        Self {
            roots: Rc::new(roots),
            trail: Rc::new([]),
        }
    }

    /// The folder `name` below this place.
    pub(crate) fn below(&self, name: &[u8]) -> Self {
        let mut trail = self.trail.to_vec();
        trail.push(name.to_vec());
        Self {
            roots: Rc::clone(&self.roots),
            trail: trail.into(),
        }
    }

    /// Opens both folders, name by name.
    pub(crate) fn open(&self) -> io::Result<Between> {
        let mut at = self.roots.reopen()?;
        for name in self.trail.iter() {
            at = at.descend(name)?;
        }
        Ok(at)
    }
}

#[derive(Debug)]
struct Step {
    /// The folder that was replaced, locked: to other runs what stands under a
    /// staging name without a lock is forgotten.
    _old: Option<Dir>,
    place: Place,
    staged_name: Vec<u8>,
    name: Vec<u8>,
    how: Move,
}

/// Moves that are taken back when this is dropped before [`commit`](Self::commit).
#[derive(Debug)]
pub(crate) struct Publication {
    steps: Vec<Step>,
    /// Set when a move could not be taken back.
    is_stuck: Rc<Cell<bool>>,
}

impl Publication {
    /// Starts without moves. `is_stuck` is set if one can't be taken back.
    pub(crate) fn new(is_stuck: &Rc<Cell<bool>>) -> Self {
        Self {
            steps: Vec::new(),
            is_stuck: Rc::clone(is_stuck),
        }
    }

    /// Moves `staged_name` to `name`, where nothing may stand. `between` is
    /// `place`, opened.
    pub(crate) fn place(
        &mut self,
        place: &Place,
        between: &Between,
        staged_name: &[u8],
        name: &[u8],
    ) -> io::Result<()> {
        move_new(&between.staged, staged_name, &between.destination, name)?;
        self.record(place, staged_name, name, Move::Placed, None);
        Ok(())
    }

    /// Swaps `staged_name` with what stands at `name`.
    pub(crate) fn replace(
        &mut self,
        place: &Place,
        between: &Between,
        staged_name: &[u8],
        name: &[u8],
    ) -> io::Result<()> {
        let (staged, destination) = (&between.staged, &between.destination);
        let old = sys::open_dir(destination, name).ok();
        if let Some(old) = &old {
            // Where locks don't work no run sweeps either.
            let _ = sys::try_lock_dir(old);
        }
        let how = match swap(staged, staged_name, destination, name) {
            Ok(()) => Move::Exchanged,
            Err(error) if sys::lacks_flag(&error) => {
                let parked = self.park(between, staged_name, name)?;
                Move::Parked(parked)
            }
            Err(error) => return Err(error),
        };
        self.record(place, staged_name, name, how, old);
        Ok(())
    }

    /// Two renames for file systems that can't swap: for a moment nothing
    /// stands at `name`, and a kill in that moment leaves the old tree beside
    /// it under the parked name.
    fn park(&mut self, between: &Between, staged_name: &[u8], name: &[u8]) -> io::Result<Vec<u8>> {
        let (staged, destination) = (&between.staged, &between.destination);
        // A name that no archive's member has: a later run puts back what is called so.
        let mut parked = match super::looks_staged(staged_name) {
            true => staged_name.to_vec(),
            false => super::staging_name(name),
        };
        parked.extend_from_slice(PARKED);
        move_new(destination, name, staged, &parked)?;
        if let Err(error) = move_new(staged, staged_name, destination, name) {
            let _ = move_new(staged, &parked, destination, name);
            return Err(error);
        }
        Ok(parked)
    }

    fn record(
        &mut self,
        place: &Place,
        staged_name: &[u8],
        name: &[u8],
        how: Move,
        old: Option<Dir>,
    ) {
        self.steps.push(Step {
            _old: old,
            place: place.clone(),
            staged_name: staged_name.to_vec(),
            name: name.to_vec(),
            how,
        });
    }

    /// Keeps all moves, and removes what was parked.
    ///
    /// # Errors
    ///
    /// When something parked can't be removed. All moves are kept all the same.
    pub(crate) fn commit(mut self) -> io::Result<()> {
        let mut result = Ok(());
        for step in std::mem::take(&mut self.steps) {
            if let Move::Parked(parked) = &step.how {
                let removed = step.place.open();
                let removed = removed.and_then(|at| super::remove::remove_tree(&at.staged, parked));
                result = result.and(removed);
            }
        }
        result
    }
}

impl Step {
    fn take_back(&self) -> io::Result<()> {
        let Between {
            staged,
            destination,
        } = self.place.open()?;
        let (name, staged_name) = (&self.name, &self.staged_name);
        match &self.how {
            Move::Placed => move_new(&destination, name, &staged, staged_name)
                .or_else(|_| sys::rename_over(&destination, name, &staged, staged_name)),
            Move::Exchanged => swap(&staged, staged_name, &destination, name).or_else(|_| {
                let aside = [staged_name.as_slice(), b".new"].concat();
                sys::rename_over(&destination, name, &staged, &aside)?;
                sys::rename_over(&staged, staged_name, &destination, name)
            }),
            Move::Parked(parked) => {
                move_new(&destination, name, &staged, staged_name)?;
                move_new(&staged, parked, &destination, name)
            }
        }
    }
}

/// Moves `name` to `new_name`, where nothing may stand.
fn move_new(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    match sys::rename_new(dir, name, to, new_name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let opened = Opened::at(dir, name)?;
            let moved = sys::rename_new(dir, name, to, new_name);
            match &moved {
                Ok(()) => opened.close(to, new_name),
                Err(_) => opened.close(dir, name),
            }
            moved
        }
        result => result,
    }
}

/// Swaps `name` and `other_name` in one step.
fn swap(dir: &Dir, name: &[u8], other: &Dir, other_name: &[u8]) -> io::Result<()> {
    match sys::rename_exchange(dir, name, other, other_name) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let (first, second) = (Opened::at(dir, name)?, Opened::at(other, other_name)?);
            let swapped = sys::rename_exchange(dir, name, other, other_name);
            match &swapped {
                Ok(()) => {
                    first.close(other, other_name);
                    second.close(dir, name);
                }
                Err(_) => {
                    first.close(dir, name);
                    second.close(other, other_name);
                }
            }
            swapped
        }
        result => result,
    }
}

/// A folder that was opened to its owner for a move: one that its owner may
/// not write to can't change its parent.
struct Opened {
    mode: Option<u32>,
}

impl Opened {
    fn at(dir: &Dir, name: &[u8]) -> io::Result<Self> {
        const OWNER: u32 = 0o700;
        let stat = sys::stat_at(dir, name)?;
        if stat.file_type != FileType::Dir || stat.mode & OWNER == OWNER {
            return Ok(Self { mode: None });
        }
        sys::set_dir_mode_at(dir, name, stat.mode | OWNER)?;
        Ok(Self {
            mode: Some(stat.mode),
        })
    }

    /// Gives the folder, wherever it stands now, its mode back. It was moved
    /// all the same if that fails, and the move has to be recorded.
    fn close(&self, dir: &Dir, name: &[u8]) {
        if let Some(mode) = self.mode {
            let _ = sys::set_dir_mode_at(dir, name, mode);
        }
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        for step in self.steps.drain(..).rev() {
            if step.take_back().is_err() {
                self.is_stuck.set(true);
            }
        }
    }
}
