//! What a directory's file system can do, found by doing it.
//!
//! Everything is tried in a private folder inside the directory, which is
//! removed afterwards, and read back: some systems report success and make
//! nothing, or something else. "Not supported" is a value with its cause;
//! "failed" is an error. The file system's type is named for messages and
//! never used to decide.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::dest::Staging;
use crate::error::{Error, Result};
use crate::sys::{self, Dir, FileType, LinkTo, Stat, Timestamp};

/// Whether a file system can do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Support {
    /// It was done and read back.
    Yes,
    /// It can't, and this is the system's answer.
    No {
        /// An error's name such as `EPERM`, or what was read back instead.
        cause: String,
    },
    /// It could not be tried.
    Unknown {
        /// Why not.
        cause: String,
    },
}

impl Support {
    /// Whether it was done and read back.
    pub fn is_yes(&self) -> bool {
        matches!(self, Support::Yes)
    }

    /// Returns `yes`, `no` or `unknown`.
    pub fn name(&self) -> &'static str {
        match self {
            Support::Yes => "yes",
            Support::No { .. } => "no",
            Support::Unknown { .. } => "unknown",
        }
    }

    /// Returns why not.
    pub fn cause(&self) -> Option<&str> {
        match self {
            Support::Yes => None,
            Support::No { cause } | Support::Unknown { cause } => Some(cause),
        }
    }

    fn no(cause: impl Into<String>) -> Self {
        Support::No {
            cause: cause.into(),
        }
    }

    /// An answer of the system: a refusal is a value, a failure an error.
    fn from_refusal(error: io::Error) -> io::Result<Self> {
        if sys::is_unsupported(&error) {
            return Ok(Self::no(sys::error_name(&error)));
        }
        Err(error)
    }
}

/// What the file system of a directory can do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// The directory that was asked.
    pub path: PathBuf,
    /// The file system's name, for messages.
    pub filesystem: String,
    /// Symbolic links to files, to folders and to nothing.
    pub symlinks: Support,
    /// `A` and `a` are two names.
    pub case_sensitive: bool,
    /// A composed and a decomposed letter are two names.
    pub normalization_sensitive: bool,
    /// Several names for one file.
    pub hardlinks: Support,
    /// Permission bits are kept as they are set.
    pub modes: Support,
    /// Code may run: not mounted `noexec`.
    pub exec: Support,
    /// Copies that share storage with the original.
    pub reflink: Support,
    /// User attributes.
    pub xattrs: Support,
    /// Names with `:`, `?`, `\` and the like.
    pub any_characters: Support,
    /// Names that aren't UTF-8.
    pub any_bytes: Support,
    /// Folders keep their contents when they are moved.
    pub folder_moves: Support,
    /// The step of modification times in nanoseconds: 1 to 2,000,000,000.
    pub mtime_resolution_ns: u64,
    /// The longest name in bytes.
    pub name_max: u64,
    /// Bytes that this user can still write.
    pub free_bytes: u64,
    /// Files that can still be made, or `None` where there is no such limit.
    pub free_inodes: Option<u64>,
}

/// Finds out what the file system of the existing directory `path` can do.
///
/// Needs write access to `path`; leaves nothing behind.
///
/// # Errors
///
/// When `path` can't be opened or written to, or an attempt fails for another
/// reason than that the file system can't do it.
pub fn probe_dir(path: &Path) -> Result<Capabilities> {
    let dir = sys::open_root(path).map_err(|error| Error::io("probe", path, error))?;
    let staging = Staging::create(&dir, path, b"probe")
        .map_err(|error| error.with_hint("a probe needs write access to the directory"))?;
    let found = probe_in(staging.dir(), path, Scope::All)?;
    staging.discard()?;
    Ok(found)
}

/// How much a probe finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    All,
    /// What a writer has to know beforehand. Reflinks, `exec`, attributes and
    /// times it leaves unknown: the first a writer finds out with its first
    /// file, and here it costs a write to the disk (1.2 ms on XFS, a quarter of
    /// a scientific bundle's whole copy).
    ForWriting,
    /// The same, and whether programs can run.
    ForRunning,
}

/// Finds out the same inside `private`, an empty folder that nobody else uses,
/// and leaves it empty. Errors and the result show `shown`.
pub(crate) fn probe_in(private: &Dir, shown: &Path, scope: Scope) -> Result<Capabilities> {
    let probe = Probe {
        dir: private,
        scope,
    };
    let found = probe.run(shown);
    let removed = probe.remove_all();
    found
        .and_then(|found| removed.map(|()| found))
        .map_err(|error| Error::io("probe", shown, error))
}

struct Probe<'d> {
    dir: &'d Dir,
    scope: Scope,
}

const FILE: &[u8] = b"file";
const FOLDER: &[u8] = b"folder";
const MOVED_FOLDER: &[u8] = b"moved-folder";
const LINK_TO_FILE: &[u8] = b"to-file";
const LINK_TO_FOLDER: &[u8] = b"to-folder";
const LINK_TO_NOTHING: &[u8] = b"to-nothing";
const SECOND_NAME: &[u8] = b"second-name";
const CLONE: &[u8] = b"clone";
const UPPER_FILE: &[u8] = b"FILE";
const COMPOSED: &[u8] = "\u{e9}".as_bytes();
const DECOMPOSED: &[u8] = "e\u{301}".as_bytes();
const ODD_CHARACTERS: &[u8] = b"a:b?\"<>|*\\ .";
const ODD_BYTES: &[u8] = b"caf\xe9";

/// More than the inline data of any file system, so that sharing is real.
const CONTENT: [u8; 8192] = [b'b'; 8192];

impl Probe<'_> {
    fn run(&self, shown: &Path) -> io::Result<Capabilities> {
        let file = sys::create_file(self.dir, FILE, 0o700)?;
        sys::create_dir(self.dir, FOLDER, 0o700)?;
        let space = sys::space(self.dir)?;
        Ok(Capabilities {
            path: shown.to_owned(),
            filesystem: sys::filesystem_name(self.dir)?,
            symlinks: self.symlinks()?,
            case_sensitive: !self.exists(UPPER_FILE)?,
            normalization_sensitive: self.tells_forms_apart()?,
            hardlinks: self.hardlinks()?,
            modes: modes(&file)?,
            exec: self.if_in(&[Scope::All, Scope::ForRunning], || self.exec())?,
            reflink: self.if_in(&[Scope::All], || self.reflink(&file))?,
            xattrs: self.if_in(&[Scope::All], || xattrs(&file))?,
            any_characters: self.accepts_name(ODD_CHARACTERS)?,
            any_bytes: self.accepts_name(ODD_BYTES)?,
            folder_moves: self.folder_moves()?,
            mtime_resolution_ns: match self.scope {
                Scope::All => mtime_resolution(&file)?,
                Scope::ForWriting | Scope::ForRunning => 1,
            },
            name_max: space.name_max,
            free_bytes: space.free_bytes,
            free_inodes: space.free_inodes,
        })
    }

    fn if_in(
        &self,
        scopes: &[Scope],
        attempt: impl FnOnce() -> io::Result<Support>,
    ) -> io::Result<Support> {
        match scopes.contains(&self.scope) {
            true => attempt(),
            false => Ok(Support::Unknown {
                cause: "not tried".to_owned(),
            }),
        }
    }

    fn symlinks(&self) -> io::Result<Support> {
        let links: [(&[u8], &[u8]); 3] = [
            (LINK_TO_FILE, FILE),
            (LINK_TO_FOLDER, FOLDER),
            (LINK_TO_NOTHING, b"nothing/there"),
        ];
        for (name, target) in links {
            if let Err(error) = sys::create_symlink(self.dir, name, target, LinkTo::Unknown) {
                return Support::from_refusal(error);
            }
            let made = match sys::stat_at(self.dir, name) {
                Ok(stat) => stat.file_type,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Ok(Support::no("a link was reported as made, but isn't there"));
                }
                Err(error) => return Err(error),
            };
            if made != FileType::Symlink {
                return Ok(Support::no("a link was made as something else"));
            }
            if sys::read_link(self.dir, name)? != target {
                return Ok(Support::no("a link's target was changed"));
            }
        }
        Ok(Support::Yes)
    }

    fn hardlinks(&self) -> io::Result<Support> {
        if let Err(error) = sys::create_hard_link(self.dir, FILE, self.dir, SECOND_NAME) {
            // FAT has no such call at all and FUSE may say EACCES or EMLINK.
            return match error.kind() {
                io::ErrorKind::PermissionDenied => Ok(Support::no(sys::error_name(&error))),
                _ => Support::from_refusal(error),
            };
        }
        let first = sys::stat_at(self.dir, FILE)?;
        let second = sys::stat_at(self.dir, SECOND_NAME)?;
        Ok(match first.is_same_object(&second) && first.links > 1 {
            true => Support::Yes,
            false => Support::no("the second name is another file"),
        })
    }

    fn exec(&self) -> io::Result<Support> {
        let file = sys::open_file(self.dir, FILE)?;
        Ok(match sys::may_execute(&file)? {
            true => Support::Yes,
            false => Support::no("mounted noexec"),
        })
    }

    fn reflink(&self, file: &File) -> io::Result<Support> {
        sys::write_all_at(file, &CONTENT, 0)?;
        let from = sys::open_file(self.dir, FILE)?;
        let (_, cloned) = sys::create_clone(&from, self.dir, CLONE, 0o600)?;
        match cloned {
            Ok(()) => Ok(Support::Yes),
            Err(error) => Support::from_refusal(error),
        }
    }

    fn tells_forms_apart(&self) -> io::Result<bool> {
        match sys::create_file(self.dir, COMPOSED, 0o600) {
            Ok(_) => Ok(!self.exists(DECOMPOSED)?),
            // What can't hold the letter at all can't fold it.
            Err(error) if sys::is_bad_name(&error) || sys::is_unsupported(&error) => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn accepts_name(&self, name: &[u8]) -> io::Result<Support> {
        Ok(match refusal_of_name(self.dir, name)? {
            Some(cause) => Support::No { cause },
            None => Support::Yes,
        })
    }

    /// Moves a folder with a file in it, and looks whether the file came along:
    /// there is a FAT driver that loses it.
    fn folder_moves(&self) -> io::Result<Support> {
        let folder = sys::open_dir(self.dir, FOLDER)?;
        drop(sys::create_file(&folder, FILE, 0o600)?);
        drop(folder);
        sys::rename_over(self.dir, FOLDER, self.dir, MOVED_FOLDER)?;
        let folder = sys::open_dir(self.dir, MOVED_FOLDER)?;
        match sys::remove_file(&folder, FILE) {
            Ok(()) => Ok(Support::Yes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Support::no("a moved folder loses its contents"))
            }
            Err(error) => Err(error),
        }
    }

    fn exists(&self, name: &[u8]) -> io::Result<bool> {
        match sys::stat_at(self.dir, name) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) if sys::is_bad_name(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes what was made, under whatever names it stands there now.
    fn remove_all(&self) -> io::Result<()> {
        let mut left = Vec::new();
        sys::list_dir::<io::Error>(self.dir, |listed| {
            left.push((listed.name.to_vec(), listed.file_type));
            Ok(())
        })?;
        for (name, file_type) in left {
            match file_type == FileType::Dir || name == FOLDER || name == MOVED_FOLDER {
                true => sys::remove_dir(self.dir, &name)?,
                false => sys::remove_file(self.dir, &name)?,
            }
        }
        Ok(())
    }
}

/// Makes a file called `name` in `dir` and removes it again: why `dir` can't
/// hold it, or `None`. It can if something of this name is there, which stays.
pub(crate) fn refusal_of_name(dir: &Dir, name: &[u8]) -> io::Result<Option<String>> {
    match sys::create_file(dir, name, 0o600) {
        Ok(file) => drop(file),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error)
            if sys::is_bad_name(&error)
                || sys::is_unsupported(&error)
                || error.kind() == io::ErrorKind::NotFound =>
        {
            return Ok(Some(sys::error_name(&error)));
        }
        Err(error) => return Err(error),
    }
    let mut is_listed = false;
    sys::list_dir::<io::Error>(dir, |listed| {
        is_listed |= listed.name == name;
        Ok(())
    })?;
    sys::remove_file(dir, name)?;
    Ok((!is_listed).then(|| "the name was changed".to_owned()))
}

fn modes(file: &File) -> io::Result<Support> {
    for mode in [0o400, 0o754] {
        if let Err(error) = sys::set_file_mode(file, mode) {
            return Support::from_refusal(error);
        }
        if sys::stat_file(file)?.mode != mode {
            return Ok(Support::no("the bits read back differ"));
        }
    }
    Ok(Support::Yes)
}

fn xattrs(file: &File) -> io::Result<Support> {
    match sys::set_file_xattr(file, b"user.bundlecp", b"probe") {
        Ok(()) => Ok(match sys::file_xattrs(file)?.is_empty() {
            true => Support::no("the attribute isn't there"),
            false => Support::Yes,
        }),
        Err(error) => Support::from_refusal(error),
    }
}

/// Sets a time with an odd second and all nine digits, and reads it back.
fn mtime_resolution(file: &File) -> io::Result<u64> {
    const SECOND: u64 = 1_000_000_000;
    let wanted = Timestamp {
        secs: 1_000_000_001,
        nanos: 123_456_789,
    };
    let stat = sys::stat_file(file)?;
    let asked = Stat {
        modified: wanted,
        accessed: wanted,
        ..stat
    };
    sys::set_file_times(file, &asked)?;
    let found = sys::stat_file(file)?.modified.as_fingerprint();
    let exact = wanted.as_fingerprint();
    let steps = [1, 100, 1_000, 1_000_000, 10_000_000, SECOND];
    let step = steps.into_iter().find(|step| exact - exact % step == found);
    Ok(step.unwrap_or(2 * SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_leaves_nothing_behind() {
        let temp = tempfile::tempdir().unwrap();
        let found = probe_dir(temp.path()).unwrap();
        // Wine makes no links, and Windows not for every user: that is found out, too.
        assert!(found.symlinks.is_yes() || cfg!(windows));
        assert!(found.free_bytes > 0);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_missing_directory_is_an_error_that_names_it() {
        let error = probe_dir(Path::new("/nonexistent/x")).unwrap_err();
        assert_eq!(error.path(), Path::new("/nonexistent/x"));
    }
}
