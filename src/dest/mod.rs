//! The one writer: a private staging folder next to the destination, filled
//! through handles, and published in one step.
//!
//! Until [`publish`] moves it, nothing of a staged tree is visible under its
//! name; if anything fails before, [`Staging`] removes it when it is dropped.
//! A staging folder is locked while its process lives, so that the next run
//! can tell a forgotten one from one at work. No mutating call in here takes
//! a path: each takes a held directory and one bare name.

pub(crate) mod attributes;
pub(crate) mod deliver;
pub(crate) mod merge;
pub(crate) mod publish;
pub(crate) mod remove;
pub(crate) mod storage;
pub(crate) mod writer;

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::sys::{self, Dir, FileType};

/// What every staging folder's name has in it, between the name of what it is
/// for and 16 hexadecimal digits.
const MARK: &[u8] = b".bundlecp-";
const DIGITS: usize = 16;

/// How often a staging folder is made anew when another run sweeps it away.
const TRIES: u32 = 100;

/// A file in a staging folder that no later run may remove.
const KEEP: &[u8] = b".bundlecp-keep";

/// A private folder that becomes the destination, or is removed when dropped.
#[derive(Debug)]
pub(crate) struct Staging {
    parent: Dir,
    shown: PathBuf,
    name: Vec<u8>,
    dir: Dir,
    is_spent: bool,
}

impl Staging {
    /// Makes a staging folder in `parent` for something that will be called
    /// `label`, after removing those that killed runs left for the same name.
    /// Errors show `shown`, the path of `parent`.
    pub(crate) fn create(parent: &Dir, shown: &Path, label: &[u8]) -> Result<Self> {
        let failed = |operation, error| Error::io(operation, shown, error);
        let space = sys::space(parent).map_err(|error| failed("read", error))?;
        let prefix = prefix(label, space.name_max);
        sweep(parent, &prefix, label);
        for _ in 0..TRIES {
            // Opened first: what is made has to be removed if anything fails.
            let held = sys::reopen_dir(parent).map_err(|error| failed("open", error))?;
            let mut name = prefix.clone();
            name.extend_from_slice(format!("{:016x}", sys::random_u64()).as_bytes());
            match sys::create_dir(parent, &name, 0o700) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                result => result.map_err(|error| failed("write to", error))?,
            }
            // `None`: a sweep of another run was faster than the lock.
            if let Some(staging) = Self::adopt(held, shown, &name)? {
                return Ok(staging);
            }
        }
        let cause = "staging folders vanish as soon as they are made";
        Err(Error::new(ErrorKind::Tampered, "write to", shown, cause))
    }

    /// Opens and locks the folder that was just made; `None` if it is gone.
    fn adopt(parent: Dir, shown: &Path, name: &[u8]) -> Result<Option<Self>> {
        let failed = |error| Error::io("open", sys::join_bytes(shown, name), error);
        let dir = match sys::open_dir(&parent, name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => {
                let _ = sys::remove_dir(&parent, name);
                return Err(failed(error));
            }
            Ok(dir) => dir,
        };
        let staging = Self {
            parent,
            shown: shown.to_owned(),
            name: name.to_vec(),
            dir,
            is_spent: false,
        };
        // Where locks don't work no run sweeps either.
        let is_locked = sys::try_lock_dir(&staging.dir).unwrap_or(true);
        if !is_locked || !staging.is_in_place().map_err(failed)? {
            return Ok(None);
        }
        sys::drop_default_acl(&staging.dir);
        Ok(Some(staging))
    }

    /// The staging folder itself.
    pub(crate) fn dir(&self) -> &Dir {
        &self.dir
    }

    /// Whether folders made in here get the group, and the bit for it, of
    /// their parent.
    pub(crate) fn inherits_group(&self) -> bool {
        const SET_GROUP_ID: u32 = 0o2000;
        sys::stat_dir(&self.dir).map_or(true, |stat| stat.mode & SET_GROUP_ID != 0)
    }

    /// The folder that the staging folder stands in.
    pub(crate) fn parent(&self) -> &Dir {
        &self.parent
    }

    /// The staging folder's own name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether the name still stands for this folder.
    pub(crate) fn is_in_place(&self) -> io::Result<bool> {
        let held = sys::stat_dir(&self.dir)?;
        let named = match sys::stat_at(&self.parent, &self.name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            named => named?,
        };
        Ok(named.file_type == FileType::Dir && named.is_same_object(&held))
    }

    /// Leaves the folder as it is, for the user: it holds what could not be put
    /// back. Returns its path.
    pub(crate) fn keep(mut self) -> PathBuf {
        self.is_spent = true;
        // Without the mark, a later run would take it for forgotten.
        if let Ok(dir) = sys::open_dir(&self.parent, &self.name) {
            let _ = sys::create_file(&dir, KEEP, 0o600);
        }
        sys::join_bytes(&self.shown, &self.name)
    }

    /// Renames the folder to `name` beside it, where nothing may stand, and gives up its
    /// lock.
    pub(crate) fn publish_as(mut self, name: &[u8]) -> io::Result<()> {
        sys::rename_new(&self.parent, &self.name, &self.parent, name)?;
        self.is_spent = true;
        Ok(())
    }

    /// Swaps the folder with the one called `name` beside it, and gives up its lock: what
    /// stood there is left to the next sweep, which passes over it while it is in use.
    /// `Err` with the staging folder where the file system can't swap.
    pub(crate) fn swap_with(mut self, name: &[u8]) -> Result<(), Box<(Self, io::Error)>> {
        match sys::rename_exchange(&self.parent, &self.name, &self.parent, name) {
            Ok(()) => {
                self.is_spent = true;
                Ok(())
            }
            Err(error) => Err(Box::new((self, error))),
        }
    }

    /// Removes whatever stands under the staging name.
    ///
    /// # Errors
    ///
    /// At the first thing in it that can't be removed.
    pub(crate) fn discard(mut self) -> Result<()> {
        self.is_spent = true;
        remove::remove_tree(&self.parent, &self.name)
            .map_err(|error| Error::io("remove", sys::join_bytes(&self.shown, &self.name), error))
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if !self.is_spent {
            // The error that led here is the one to report.
            let _ = remove::remove_tree(&self.parent, &self.name);
        }
    }
}

/// The beginning of the names of staging folders for `label`: `.label.bundlecp-`.
fn prefix(label: &[u8], name_max: u64) -> Vec<u8> {
    let longest = usize::try_from(name_max)
        .unwrap_or(usize::MAX)
        .clamp(64, 255);
    let room = longest - MARK.len() - DIGITS - 1;
    let mut prefix = b".".to_vec();
    // A cut inside a character leaves a name that some file systems refuse.
    let mut cut = label.len().min(room);
    while cut > 0 && cut < label.len() && label[cut] & 0xc0 == 0x80 {
        cut -= 1;
    }
    prefix.extend_from_slice(&label[..cut]);
    prefix.extend_from_slice(MARK);
    prefix
}

/// A free name of a staging folder for `label`, whole even where that makes it too long.
fn staging_name(label: &[u8]) -> Vec<u8> {
    let digits = format!("{:016x}", sys::random_u64());
    [b".", label, MARK, digits.as_bytes()].concat()
}

/// What a name of a staging folder is for, as far as it tells.
fn label_of(name: &[u8]) -> Option<&[u8]> {
    let label = name.len().checked_sub(DIGITS + MARK.len())?;
    looks_staged(name).then(|| &name[1..label])
}

/// A free name that the next sweep for `label` takes for a forgotten staging folder's,
/// once nobody holds the lock of what has it.
pub(crate) fn forgotten_name(label: &[u8]) -> Vec<u8> {
    let mut name = prefix(label, 255);
    name.extend_from_slice(format!("{:016x}", sys::random_u64()).as_bytes());
    name
}

/// Removes what killed runs left in `parent` for the name `label`.
pub(crate) fn sweep_for(parent: &Dir, label: &[u8]) {
    sweep(parent, &prefix(label, 255), label);
}

/// Removes staging folders that nobody holds the lock of, and puts back what a
/// killed run had moved aside. What can't be removed stays for the next run: it
/// hinders nobody.
fn sweep(parent: &Dir, prefix: &[u8], label: &[u8]) {
    let mut found = Vec::new();
    let listed = sys::list_dir::<io::Error>(parent, |listed| {
        if listed.name.starts_with(prefix) {
            found.push(listed.name.to_vec());
        }
        Ok(())
    });
    if listed.is_err() {
        return;
    }
    for name in found {
        if let Some(staged) = name.strip_suffix(publish::PARKED) {
            if is_staging_name(staged, prefix)
                && let Some(_claim) = Claim::of(parent, &name, label)
            {
                let _ = put_back(parent, &name, parent, label);
            }
        } else if is_staging_name(&name, prefix)
            && let Some(_claim) = Claim::of(parent, &name, label)
        {
            let _ = put_back_members(parent, &name);
            let _ = remove::remove_tree(parent, &name);
        }
    }
}

/// The right to remove what a killed run left. It lasts as long as this does:
/// another run may just have made the folder and be about to lock it.
struct Claim {
    /// What the run would hold the lock of: the folder itself, or the one that
    /// took the place of what was no folder, if that still stands.
    _locked: Option<Dir>,
}

impl Claim {
    /// `None` while a run holds `name`, and if one wants it kept.
    fn of(parent: &Dir, name: &[u8], label: &[u8]) -> Option<Self> {
        let locked = match sys::open_dir(parent, name) {
            Ok(dir) => {
                let is_kept = sys::stat_at(&dir, KEEP).is_ok();
                let is_ours = !is_kept && matches!(sys::try_lock_dir(&dir), Ok(true));
                Some(is_ours.then_some(dir)?)
            }
            // What a folder replaced and is none holds no lock of its own: the
            // folder in its place does, while its run lives.
            Err(_) => match sys::open_dir(parent, label) {
                Ok(target) => {
                    let is_held = matches!(sys::try_lock_dir(&target), Ok(false));
                    Some((!is_held).then_some(target)?)
                }
                Err(_) => None,
            },
        };
        Some(Self { _locked: locked })
    }
}

/// Puts back the members of `name` that a killed run had moved aside.
fn put_back_members(parent: &Dir, name: &[u8]) -> io::Result<()> {
    let staged = sys::open_dir(parent, name)?;
    let mut parked = Vec::new();
    sys::list_dir::<io::Error>(&staged, |listed| {
        let staged = listed.name.strip_suffix(publish::PARKED);
        if let Some(member) = staged.and_then(label_of) {
            parked.push((listed.name.to_vec(), member.to_vec()));
        }
        Ok(())
    })?;
    for (parked, member) in parked {
        put_back(&staged, &parked, parent, &member)?;
    }
    Ok(())
}

/// Moves a tree that stood at `name` back, or removes it if another stands there.
fn put_back(from: &Dir, parked: &[u8], parent: &Dir, name: &[u8]) -> io::Result<()> {
    match sys::rename_new(from, parked, parent, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            remove::remove_tree(from, parked)
        }
        result => result,
    }
}

/// Whether a later run could take `name` for a staging folder that a killed run
/// left, or for what one had moved aside.
pub(crate) fn looks_staged(name: &[u8]) -> bool {
    let name = name.strip_suffix(publish::PARKED).unwrap_or(name);
    let Some(cut) = name.len().checked_sub(DIGITS) else {
        return false;
    };
    let (start, digits) = name.split_at(cut);
    start.starts_with(b".") && start.ends_with(MARK) && digits.iter().all(u8::is_ascii_hexdigit)
}

fn is_staging_name(name: &[u8], prefix: &[u8]) -> bool {
    let Some(digits) = name.strip_prefix(prefix) else {
        return false;
    };
    digits.len() == DIGITS && digits.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(path: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(path).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_dropped_staging_folder_is_removed_with_all_in_it() {
        let temp = tempfile::tempdir().unwrap();
        let parent = sys::open_root(temp.path()).unwrap();
        let staging = Staging::create(&parent, temp.path(), b"app").unwrap();
        sys::create_dir(staging.dir(), b"a", 0o500).unwrap();
        assert!(names(temp.path())[0].starts_with(".app.bundlecp-"));
        drop(staging);
        assert!(names(temp.path()).is_empty());
    }

    #[test]
    fn a_forgotten_staging_folder_is_swept_and_a_live_one_is_not() {
        let temp = tempfile::tempdir().unwrap();
        let parent = sys::open_root(temp.path()).unwrap();
        let forgotten = temp.path().join(".app.bundlecp-0123456789abcdef");
        std::fs::create_dir_all(forgotten.join("x/y")).unwrap();
        let unrelated = temp.path().join(".app.bundlecp-notes");
        std::fs::create_dir(&unrelated).unwrap();
        let live = Staging::create(&parent, temp.path(), b"app").unwrap();
        assert!(!forgotten.exists());
        let second = Staging::create(&parent, temp.path(), b"app").unwrap();
        assert!(live.is_in_place().unwrap() && second.is_in_place().unwrap());
        assert!(unrelated.exists());
    }

    #[test]
    fn only_what_was_moved_aside_is_put_back() {
        let temp = tempfile::tempdir().unwrap();
        let parent = sys::open_root(temp.path()).unwrap();
        let forgotten = temp.path().join(".extract.bundlecp-0123456789abcdef");
        let moved = forgotten.join(".old.bundlecp-fedcba9876543210.replaced");
        std::fs::create_dir_all(moved.join("x")).unwrap();
        std::fs::write(forgotten.join(".bashrc.replaced"), "a member of an archive").unwrap();
        std::fs::create_dir(forgotten.join("b.replaced")).unwrap();
        drop(Staging::create(&parent, temp.path(), b"extract").unwrap());
        assert_eq!(names(temp.path()), ["old"]);
        assert!(temp.path().join("old/x").exists());
    }

    #[test]
    fn a_folder_that_is_being_swept_is_not_adopted() {
        let temp = tempfile::tempdir().unwrap();
        let parent = sys::open_root(temp.path()).unwrap();
        let name = b".app.bundlecp-0123456789abcdef";
        sys::create_dir(&parent, name, 0o700).unwrap();
        let claim = Claim::of(&parent, name, b"app").unwrap();
        let held = sys::reopen_dir(&parent).unwrap();
        let adopted = Staging::adopt(held, temp.path(), name).unwrap();
        assert!(adopted.is_none(), "its sweeper is about to remove it");
        drop(claim);
    }

    #[test]
    fn a_long_label_is_cut_at_a_character() {
        let label = "é".repeat(127);
        let prefix = prefix(label.as_bytes(), 255);
        assert!(prefix.len() + DIGITS <= 255);
        assert!(std::str::from_utf8(&prefix).is_ok());
    }
}
