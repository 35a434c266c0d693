//! New folders, files and links in a staging folder, made by several workers.
//!
//! Whatever is made is made anew in a folder that is held open, under one bare
//! name: a name that is taken is another member's, never written over. What
//! belongs to a file is set through its handle. Which members there are, and
//! where they may stand, was decided by the plan.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, ErrorKind, Result};
use crate::handles::{CannotEnter, Folder, Handles, limit_for};
use crate::path::RelPath;
use crate::progress::Counters;
use crate::sys::{self, Dir, Stat};

use super::attributes::{self, Attributes, Losses, Rules};
use super::storage::{Layout, Storage};

/// No more than this is reserved at once: an archive may declare any size, and
/// a disk that is full for a moment is full for all others too.
const RESERVE_MOST: u64 = 64 << 20;

/// Where new files go, and what all workers share.
pub(crate) struct Site<'s> {
    pub root: &'s Dir,
    /// The path that the tree will have, for messages.
    pub shown: &'s Path,
    pub rules: Rules,
    pub losses: Losses,
    pub counters: Counters,
    storage: Storage,
    threads: usize,
    /// Something was copied inside the kernel.
    pub copied_inside: AtomicBool,
}

/// Bytes of another file that belong into a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    /// Where they are in the other file, and where in the new one.
    pub from: u64,
    pub to: u64,
    pub length: u64,
}

/// A file that is to be made.
#[derive(Debug, Clone)]
pub(crate) struct NewFile {
    pub folder: Arc<Folder>,
    pub name: Box<[u8]>,
    /// The content's bytes, holes included.
    pub size: u64,
    pub has_holes: bool,
    pub attributes: Attributes,
}

/// A file whose parts several workers write.
#[derive(Debug)]
pub(crate) struct Shared {
    pub file: NewFile,
    /// What was created, so that the others open just that.
    created: Mutex<Option<Stat>>,
    /// Bytes that are still to come, holes left out.
    left: AtomicU64,
}

impl Shared {
    /// A file of which `stored` bytes will be written.
    pub(crate) fn new(file: NewFile, stored: u64) -> Self {
        Self {
            file,
            created: Mutex::new(None),
            left: AtomicU64::new(stored),
        }
    }
}

/// One worker's way to the folders.
pub(crate) struct Writer<'s> {
    site: &'s Site<'s>,
    handles: Handles<'s>,
}

impl<'s> Site<'s> {
    pub(crate) fn new(root: &'s Dir, shown: &'s Path, rules: Rules, threads: usize) -> Self {
        Self {
            root,
            shown,
            rules,
            losses: Losses::default(),
            counters: Counters::default(),
            storage: Storage::of(root, RESERVE_MOST),
            threads,
            copied_inside: AtomicBool::new(false),
        }
    }

    /// Whether new files can share storage with `source`. To be asked before anything
    /// is made.
    pub(crate) fn can_share(&self, source: &File) -> Result<bool> {
        const TRIAL: &[u8] = b"shared";
        let failed = |error| Error::io("write", self.shown, error);
        let file = sys::create_file(self.root, TRIAL, 0o600).map_err(failed)?;
        let cloned = sys::clone_file(source, &file);
        sys::remove_file(self.root, TRIAL).map_err(failed)?;
        match cloned {
            Ok(()) => Ok(true),
            Err(error) if sys::is_unsupported(&error) => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }

    /// The handles of one worker.
    pub(crate) fn handles(&'s self) -> Handles<'s> {
        Handles::new(self.root, limit_for(self.threads))
    }

    pub(crate) fn writer(&'s self) -> Writer<'s> {
        Writer {
            site: self,
            handles: self.handles(),
        }
    }

    /// The path of `name` in `folder`, for messages.
    pub(crate) fn path(&self, folder: &Folder, name: &[u8]) -> PathBuf {
        let mut names = vec![name];
        let mut at = folder;
        while let Some(parent) = &at.parent {
            names.push(&at.name);
            at = parent;
        }
        names.reverse();
        sys::join_bytes(self.shown, RelPath::from_names(names).as_bytes())
    }

    /// The error of making something in a folder that nobody else writes to.
    pub(crate) fn create_error(&self, path: PathBuf, error: io::Error) -> Error {
        create_error(path, error, "another member")
    }

    /// The error of a folder that was made and can't be entered.
    pub(crate) fn enter_error(&self, path: PathBuf, lost: CannotEnter) -> Error {
        match sys::is_not_a_real_dir(&lost.source) {
            true => tampered(path),
            false => Error::io("open", path, lost.source),
        }
    }
}

impl Writer<'_> {
    /// Makes the folder `folder` with room for what comes into it.
    pub(crate) fn make_dir(&mut self, folder: &Folder, mode: u32) -> Result<()> {
        let Some(parent) = &folder.parent else {
            return Ok(());
        };
        let site = self.site;
        let path = || site.path(parent, &folder.name);
        let entered = self.handles.enter_folder(parent);
        let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
        sys::create_dir(dir, &folder.name, mode & 0o777 | 0o700)
            .map_err(|error| site.create_error(path(), error))
    }

    /// Makes a file of which all is at hand: each part with its offset.
    pub(crate) fn write_whole<'p>(
        &mut self,
        new: &NewFile,
        parts: impl IntoIterator<Item = (u64, &'p [u8])>,
    ) -> Result<()> {
        let file = self.create(new)?;
        for (offset, bytes) in parts {
            self.write(&file, new, offset, bytes)?;
        }
        self.finish(file, new)
    }

    /// Makes a file of parts of `source`, inside the kernel: storage is shared where the
    /// file system can. Whether `source` has them all.
    pub(crate) fn share_whole(
        &mut self,
        new: &NewFile,
        source: &File,
        parts: impl IntoIterator<Item = Span>,
    ) -> Result<bool> {
        let file = self.create(new)?;
        for part in parts {
            if !self.share(&file, new, source, part)? {
                return Ok(false);
            }
        }
        self.finish(file, new)?;
        Ok(true)
    }

    /// As [`write_shared`](Self::write_shared), of a part of `source` and inside the kernel.
    /// Whether `source` has it.
    pub(crate) fn share_part(
        &mut self,
        shared: &Shared,
        source: &File,
        part: Span,
    ) -> Result<bool> {
        let file = self.open_shared(shared)?;
        if !self.share(&file, &shared.file, source, part)? {
            return Ok(false);
        }
        self.finish_part(file, shared, part.length)?;
        Ok(true)
    }

    /// Makes `new` a further name of the file at `path`. Whether that can be done there.
    pub(crate) fn link_from(&mut self, new: &NewFile, path: &Path) -> Result<bool> {
        let site = self.site;
        let shown = || site.path(&new.folder, &new.name);
        let entered = self.handles.enter_folder(&new.folder);
        let dir = entered.map_err(|lost| site.enter_error(shown(), lost))?;
        match sys::link_path(path, dir, &new.name) {
            Ok(()) => {
                site.counters.add(1, new.size);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(site.create_error(shown(), error))
            }
            // Too many names, another file system, no such thing: it is written.
            Err(_) => Ok(false),
        }
    }

    fn share(&self, file: &File, new: &NewFile, source: &File, mut part: Span) -> Result<bool> {
        const STEP: u64 = 256 << 10;
        let mut buffer = Vec::new();
        while part.length > 0 {
            let Span { from, to, length } = part;
            let copied = match buffer.is_empty() {
                true => sys::copy_range(source, from, file, to, length),
                false => Err(io::ErrorKind::Unsupported.into()),
            };
            let count = match copied {
                Ok(count) => {
                    self.site.copied_inside.store(true, Ordering::Relaxed);
                    count
                }
                Err(error) if sys::is_unsupported(&error) => {
                    buffer.resize(STEP.min(length) as usize, 0);
                    let read = sys::read_at(source, &mut buffer, from);
                    let read = read.map_err(|error| {
                        let path = self.site.path(&new.folder, &new.name);
                        Error::io("write", path, error)
                    })?;
                    self.write(file, new, to, &buffer[..read])?;
                    read as u64
                }
                Err(error) => {
                    let path = self.site.path(&new.folder, &new.name);
                    return Err(Error::io("write", path, error));
                }
            };
            if count == 0 {
                return Ok(false);
            }
            part = Span {
                from: from + count,
                to: to + count,
                length: length - count,
            };
        }
        Ok(true)
    }

    /// Makes the file `new`, empty.
    pub(crate) fn create(&mut self, new: &NewFile) -> Result<File> {
        self.create_with(new, attributes::creation_mode(&new.attributes))
    }

    fn create_with(&mut self, new: &NewFile, mode: u32) -> Result<File> {
        let site = self.site;
        let path = || site.path(&new.folder, &new.name);
        let entered = self.handles.enter_folder(&new.folder);
        let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
        let file = sys::create_file(dir, &new.name, mode)
            .map_err(|error| site.create_error(path(), error))?;
        let layout = match new.has_holes {
            true => Layout::Sparse,
            false => Layout::Dense,
        };
        site.storage
            .prepare(&file, new.size, layout)
            .map_err(|error| Error::io("write", path(), error))?;
        Ok(file)
    }

    /// Writes a part of a file that is open.
    pub(crate) fn write(
        &self,
        file: &File,
        new: &NewFile,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        sys::write_all_at(file, bytes, offset).map_err(|error| {
            let path = self.site.path(&new.folder, &new.name);
            Error::io("write", path, error)
        })
    }

    /// Sets what belongs to a file whose content is complete.
    pub(crate) fn finish(&self, file: File, new: &NewFile) -> Result<()> {
        self.finish_by(file, new, self.site.rules)
    }

    fn finish_by(&self, file: File, new: &NewFile, rules: Rules) -> Result<()> {
        let site = self.site;
        attributes::finish_file(&file, &new.attributes, rules, &site.losses)
            .map_err(|error| site.create_error(site.path(&new.folder, &new.name), error))?;
        sys::close_file(file);
        site.counters.add(1, new.size);
        Ok(())
    }

    /// Writes a part of a file that others write to as well; whoever writes the
    /// last one sets what belongs to it.
    pub(crate) fn write_shared(
        &mut self,
        shared: &Shared,
        offset: u64,
        bytes: &[u8],
    ) -> Result<()> {
        let file = self.open_shared(shared)?;
        self.write(&file, &shared.file, offset, bytes)?;
        self.finish_part(file, shared, bytes.len() as u64)
    }

    fn finish_part(&self, file: File, shared: &Shared, written: u64) -> Result<()> {
        if shared.left.fetch_sub(written, Ordering::AcqRel) > written {
            sys::close_file(file);
            return Ok(());
        }
        // It was made for its owner alone.
        let rules = Rules {
            exact_modes: false,
            ..self.site.rules
        };
        self.finish_by(file, &shared.file, rules)
    }

    /// Creates the file, or opens what another worker created.
    fn open_shared(&mut self, shared: &Shared) -> Result<File> {
        let (site, new) = (self.site, &shared.file);
        let path = || site.path(&new.folder, &new.name);
        let mut created = shared
            .created
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(expected) = *created else {
            let file = self.create_with(new, 0o600)?;
            let stat = sys::stat_file(&file).map_err(|error| Error::io("read", path(), error))?;
            *created = Some(stat);
            return Ok(file);
        };
        drop(created);
        let entered = self.handles.enter_folder(&new.folder);
        let dir = entered.map_err(|lost| site.enter_error(path(), lost))?;
        let file = sys::open_file_for_write(dir, &new.name)
            .map_err(|error| Error::io("open", path(), error))?;
        let stat = sys::stat_file(&file).map_err(|error| Error::io("read", path(), error))?;
        match stat.is_same_object(&expected) {
            true => Ok(file),
            false => Err(tampered(path())),
        }
    }
}

/// The error of a staging folder that somebody else wrote to.
pub(crate) fn tampered(path: PathBuf) -> Error {
    let cause = "another program changed the staging folder";
    Error::new(ErrorKind::Tampered, "write", path, cause)
}

/// What can be done about a name that the file system refuses.
pub(crate) const RENAME: &str = "rename it, or copy to a file system that can hold it";

/// The error of making something at `path` in a folder that nobody else writes
/// to: a name that is taken is `other`'s.
pub(crate) fn create_error(path: PathBuf, error: io::Error, other: &str) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let cause = format!("{other} is the same name on this file system");
        return Error::new(ErrorKind::NameCollision, "create", path, cause);
    }
    let is_bad = sys::is_bad_name(&error);
    let error = Error::io("create", path, error);
    match is_bad {
        true => error.with_kind(ErrorKind::BadName).with_hint(RENAME),
        false => error,
    }
}
