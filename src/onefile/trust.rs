//! Folders that nobody else can have prepared, nor move away.
//!
//! A path is walked from the root, component by component. Every folder on the way
//! has to belong to this user, to root or to whoever the root folder belongs to,
//! and nobody else may rename what is in it: it is writable by its owner alone, or
//! sticky. A link on the way is followed if the same holds for it. The last folder
//! belongs to this user and is writable by nobody else.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::{self, Dir, FileType, Stat};
use crate::text::escape_path;

/// How many links one walk follows, as Linux's own limit.
const MAX_HOPS: u32 = 40;
/// A folder in which only owners may rename what is theirs.
const STICKY: u32 = 0o1000;
const WRITABLE_BY_OTHERS: u32 = 0o022;

/// What to do about folders that aren't there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Absent {
    /// Made, for this user alone.
    Make,
    Fail,
}

/// What the last folder of a path has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Last {
    /// This user's own, and nobody else's to write to.
    Private,
    /// One in which what this user makes stays this user's, such as `/tmp`.
    Safe,
}

/// Why a folder isn't used.
#[derive(Debug)]
pub(super) enum Refused {
    /// It isn't there.
    Absent,
    /// Why not, in a phrase.
    Because(String),
}

impl Refused {
    fn because(cause: impl Into<String>) -> Self {
        Self::Because(cause.into())
    }

    fn io(operation: &str, error: &io::Error) -> Self {
        Self::Because(format!("{operation}: {}", sys::error_name(error)))
    }
}

/// Opens the folder at the absolute `path`. Returns the path that it is used by as well.
pub(super) fn open(path: &Path, last: Last, absent: Absent) -> Result<(Dir, PathBuf), Refused> {
    if !path.is_absolute() {
        return Err(Refused::because("is not an absolute path"));
    }
    let way = sys::way_to(path).map_err(|error| Refused::io("read", &error))?;
    let (start, names) = way;
    let failed = |operation: &str, error: &io::Error| {
        Refused::io(&format!("{operation} `{}`", escape_path(&start)), error)
    };
    let root = sys::open_root(&start).map_err(|error| failed("open", &error))?;
    let root_stat = sys::stat_dir_with_rights(&root).map_err(|error| failed("read", &error))?;
    let mut walk = Walk {
        own: sys::effective_user(),
        trusted: root_stat.uid,
        is_below_sticky: false,
        at: root,
        shown: start,
        left: names_of(&names),
        hops: 0,
        absent,
    };
    let end = walk.left.is_empty() && last == Last::Private;
    walk.check(&root_stat, end)?;
    while let Some(name) = walk.left.pop_front() {
        walk.step(&name, last)?;
    }
    // To be locked and listed as well.
    let dir = sys::reopen_dir(&walk.at).map_err(|error| Refused::io("open", &error))?;
    let path = sys::path_to_use(&dir, path);
    Ok((dir, path))
}

fn names_of(path: &[u8]) -> VecDeque<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    let names = names.filter(|name| !matches!(*name, b"" | b"."));
    names.map(<[u8]>::to_vec).collect()
}

struct Walk {
    own: u32,
    /// Who owns the root folder, and so could change everything. In a name space of users
    /// that is whoever isn't known there: others are called the same, so it counts only for
    /// folders that nobody else can have put where they are.
    trusted: u32,
    is_below_sticky: bool,
    at: Dir,
    /// Where it is, for messages.
    shown: PathBuf,
    left: VecDeque<Vec<u8>>,
    hops: u32,
    absent: Absent,
}

impl Walk {
    fn step(&mut self, name: &[u8], last: Last) -> Result<(), Refused> {
        let stat = match sys::stat_at(&self.at, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.make(name)?,
            stat => stat.map_err(|error| self.failed("read", name, &error))?,
        };
        match stat.file_type {
            FileType::Symlink => self.follow(name, &stat),
            FileType::Dir => {
                let dir = sys::open_for_lookup(&self.at, name)
                    .map_err(|error| self.failed("open", name, &error))?;
                let stat = sys::stat_dir_with_rights(&dir);
                let stat = stat.map_err(|error| self.failed("read", name, &error))?;
                self.shown = match name {
                    b".." => self.shown.parent().unwrap_or(Path::new("/")).to_owned(),
                    name => sys::join_bytes(&self.shown, name),
                };
                self.at = dir;
                self.check(&stat, self.left.is_empty() && last == Last::Private)
            }
            FileType::File | FileType::Special | FileType::Unknown => {
                let shown = sys::join_bytes(&self.shown, name);
                let cause = format!("`{}` is no folder", escape_path(&shown));
                Err(Refused::because(cause))
            }
        }
    }

    fn make(&self, name: &[u8]) -> Result<Stat, Refused> {
        if self.absent == Absent::Fail {
            return Err(Refused::Absent);
        }
        match sys::create_dir(&self.at, name, 0o700) {
            // Another start was faster.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            made => made.map_err(|error| self.failed("make", name, &error))?,
        }
        sys::stat_at(&self.at, name).map_err(|error| self.failed("read", name, &error))
    }

    fn follow(&mut self, name: &[u8], link: &Stat) -> Result<(), Refused> {
        let shown = sys::join_bytes(&self.shown, name);
        let shown = escape_path(&shown);
        if link.uid != self.own && link.uid != 0 {
            let cause = format!("`{shown}` is a link that belongs to user {}", link.uid);
            return Err(Refused::because(cause));
        }
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(Refused::because(format!("`{shown}` leads in a circle")));
        }
        let target = sys::read_link(&self.at, name);
        let target = target.map_err(|error| self.failed("read", name, &error))?;
        if target.starts_with(b"/") {
            let root = sys::open_root(Path::new("/"));
            self.at = root.map_err(|error| Refused::io("open `/`", &error))?;
            self.shown = PathBuf::from("/");
        }
        for name in names_of(&target).into_iter().rev() {
            self.left.push_front(name);
        }
        Ok(())
    }

    /// Whether what is in a folder stays what it is, and whether it is only ours.
    fn check(&mut self, stat: &Stat, is_private: bool) -> Result<(), Refused> {
        let shown = escape_path(&self.shown);
        let is_owned = match is_private {
            true => stat.uid == self.own,
            false => self.is_trusted(stat.uid),
        };
        if !is_owned {
            return Err(Refused::because(format!(
                "`{shown}` belongs to user {}",
                stat.uid
            )));
        }
        let is_open = stat.mode & WRITABLE_BY_OTHERS != 0;
        let is_sticky = stat.mode & STICKY != 0 && !is_private;
        self.is_below_sticky |= is_open && is_sticky;
        match is_open && !is_sticky {
            true if sys::HAS_PERMISSION_BITS => Err(Refused::because(format!(
                "`{shown}` is writable by others (mode {:04o})",
                stat.mode
            ))),
            true => Err(Refused::because(format!(
                "`{shown}` is writable by others (icacls lists them)"
            ))),
            false => Ok(()),
        }
    }

    fn is_trusted(&self, uid: u32) -> bool {
        uid == self.own || uid == 0 || (uid == self.trusted && !self.is_below_sticky)
    }

    fn failed(&self, operation: &str, name: &[u8], error: &io::Error) -> Refused {
        let shown = sys::join_bytes(&self.shown, name);
        let operation = format!("{operation} `{}`", escape_path(&shown));
        Refused::io(&operation, error)
    }
}
