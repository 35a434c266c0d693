//! Where an archive goes: a name that is free or may be taken, and a staging
//! folder that the file is written in until it is complete.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::dest::Staging;
use crate::dest::attributes::Ownership;
use crate::dest::deliver::{Staged, Sync, deliver, open_parent, parent_of};
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::publish::{Existing, already_exists};
use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir};

/// The place of an archive that is to be made.
pub(crate) struct Place {
    path: PathBuf,
    /// The folder that it will stand in.
    pub parent: Dir,
    /// That folder's path, for messages.
    pub parent_path: PathBuf,
    pub name: Vec<u8>,
    existing: Existing,
    operation: &'static str,
    /// Permission bits of the file, less the umask.
    mode: u32,
}

impl Place {
    /// Finds the place of `archive`, and looks whether it may be taken, before
    /// anything is read. Errors call what is done `operation`.
    pub(crate) fn find(
        archive: &Path,
        existing: Existing,
        operation: &'static str,
    ) -> Result<Self> {
        let name = archive.file_name().ok_or_else(|| {
            let cause = "is not the name of a file";
            Error::new(ErrorKind::Usage, operation, archive, cause)
        })?;
        let parent_path = parent_of(archive);
        let place = Self {
            path: archive.to_owned(),
            parent: open_parent(&parent_path)?,
            parent_path,
            name: sys::os_to_bytes(name).to_vec(),
            existing: match existing {
                Existing::Refuse => Existing::Refuse,
                Existing::Replace | Existing::Merge => Existing::Replace,
            },
            operation,
            mode: 0o666,
        };
        place.check_standing()?;
        Ok(place)
    }

    /// Makes the file one that can be run.
    pub(crate) fn executable(self) -> Self {
        Self {
            mode: 0o777,
            ..self
        }
    }

    fn check_standing(&self) -> Result<()> {
        let Some(standing) = crate::fit::standing(&self.parent, &self.name) else {
            return Ok(());
        };
        if standing == sys::FileType::Dir {
            let (kind, cause) = (ErrorKind::AlreadyExists, "is a folder");
            return Err(Error::new(kind, self.operation, &self.path, cause));
        }
        match self.existing {
            Existing::Refuse => {
                Err(already_exists(self.operation, &self.path).with_hint("-f replaces it"))
            }
            Existing::Replace | Existing::Merge => Ok(()),
        }
    }

    /// Has `write` write the archive, and publishes it. Returns what a reader
    /// should know that is no error.
    pub(crate) fn publish(
        self,
        sync: Sync,
        write: impl FnOnce(&File) -> Result<()>,
    ) -> Result<Vec<String>> {
        let staging = Staging::create(&self.parent, &self.parent_path, &self.name)?;
        let failed = |error| Error::io("write", &self.path, error);
        let file = sys::create_file(staging.dir(), &self.name, self.mode).map_err(failed)?;
        write(&file)?;
        if sync != Sync::None {
            file.sync_all().map_err(failed)?;
        }
        drop(file);
        let staged = Staged {
            staging,
            parent: self.parent,
            parent_path: self.parent_path,
            name: Vec::new(),
            is_whole: false,
            manner: Manner {
                folders: Folders::Move,
                ownership: Ownership::Caller,
                root: Root::Kept,
            },
            is_stuck: Rc::default(),
            operation: self.operation,
        };
        deliver(vec![staged], self.existing, sync)
    }
}
