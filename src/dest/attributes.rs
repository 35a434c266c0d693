//! What files, folders and links carry besides their content, through handles.
//!
//! What a file system can't hold is counted in [`Losses`], never silent; a
//! call that fails for another reason is an error.

use std::fs::File;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::sys::{self, Dir, Stat};

/// Set-user-ID and set-group-ID: what a write or a new owner takes away.
const SET_ID: u32 = 0o6000;

/// Attributes of one source file or folder.
#[derive(Debug, Clone)]
pub(crate) struct Attributes {
    pub stat: Stat,
    /// Name and value of each user attribute.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Who owns what is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Ownership {
    /// Whoever runs this, as for any new file.
    #[default]
    Caller,
    /// The owner and group of the original, where this user may give them.
    Original,
}

/// How attributes are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rules {
    pub ownership: Ownership,
    /// Files and folders get exactly the mode that they are created with.
    pub exact_modes: bool,
    /// New folders get the group, and the bit for it, of the one around them.
    pub inherits_group: bool,
    /// The file system keeps permission bits.
    pub keeps_modes: bool,
}

/// How many entries lost something that the destination can't hold.
#[derive(Debug, Default)]
pub(crate) struct Losses {
    pub modes: AtomicU64,
    pub times: AtomicU64,
    pub xattrs: AtomicU64,
    pub owners: AtomicU64,
    pub hardlinks: AtomicU64,
}

/// How many entries lost something that the destination can't hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct LossCounts {
    /// Permission bits.
    pub modes: u64,
    /// Times.
    pub times: u64,
    /// User attributes.
    pub xattrs: u64,
    /// Owners, where they were asked for.
    pub owners: u64,
    /// Further names that became files of their own.
    pub hardlinks: u64,
}

impl std::ops::AddAssign for LossCounts {
    fn add_assign(&mut self, other: Self) {
        self.modes += other.modes;
        self.times += other.times;
        self.xattrs += other.xattrs;
        self.owners += other.owners;
        self.hardlinks += other.hardlinks;
    }
}

impl Losses {
    /// The counts so far.
    pub(crate) fn counts(&self) -> LossCounts {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LossCounts {
            modes: count(&self.modes),
            times: count(&self.times),
            xattrs: count(&self.xattrs),
            owners: count(&self.owners),
            hardlinks: count(&self.hardlinks),
        }
    }

    pub(crate) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

/// An open file or folder that attributes can be set on.
pub(crate) trait Target {
    fn set_mode(&self, mode: u32) -> io::Result<()>;
    fn set_times(&self, stat: &Stat) -> io::Result<()>;
    fn set_owner(&self, stat: &Stat) -> io::Result<()>;
    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()>;
    fn stat(&self) -> io::Result<Stat>;
}

impl Target for File {
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        sys::set_file_mode(self, mode)
    }
    fn set_times(&self, stat: &Stat) -> io::Result<()> {
        sys::set_file_times(self, stat)
    }
    fn set_owner(&self, stat: &Stat) -> io::Result<()> {
        sys::set_file_owner(self, stat)
    }
    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        sys::set_file_xattr(self, name, value)
    }
    fn stat(&self) -> io::Result<Stat> {
        sys::stat_file(self)
    }
}

impl Target for Dir {
    fn set_mode(&self, mode: u32) -> io::Result<()> {
        sys::set_dir_mode(self, mode)
    }
    fn set_times(&self, stat: &Stat) -> io::Result<()> {
        sys::set_dir_times(self, stat)
    }
    fn set_owner(&self, stat: &Stat) -> io::Result<()> {
        sys::set_dir_owner(self, stat)
    }
    fn set_xattr(&self, name: &[u8], value: &[u8]) -> io::Result<()> {
        sys::set_dir_xattr(self, name, value)
    }
    fn stat(&self) -> io::Result<Stat> {
        sys::stat_dir(self)
    }
}

/// The mode to create a file with, so that most files need no other call.
pub(crate) fn creation_mode(attributes: &Attributes) -> u32 {
    let mode = attributes.stat.mode & 0o777;
    // The kernel asks for write permission before it sets a user attribute.
    match attributes.xattrs.is_empty() {
        true => mode,
        false => mode | 0o200,
    }
}

/// Sets everything on a file that was created with [`creation_mode`]. Last, the
/// times: whatever is done to the file after this changes them.
pub(crate) fn finish_file(
    file: &File,
    attributes: &Attributes,
    rules: Rules,
    losses: &Losses,
) -> io::Result<()> {
    set_xattrs(file, attributes, losses)?;
    let stat = &attributes.stat;
    let mode = settle_owner(file, stat, rules, losses)?;
    let created = creation_mode(attributes);
    let must_set = !rules.exact_modes || created != stat.mode || mode != stat.mode;
    if must_set || rules.ownership == Ownership::Original && mode & SET_ID != 0 {
        set_mode(file, mode, rules, losses)?;
    }
    set_times(file, stat, losses)
}

/// Sets everything on a folder whose contents are complete.
pub(crate) fn finish_dir(
    dir: &Dir,
    attributes: &Attributes,
    rules: Rules,
    losses: &Losses,
) -> io::Result<()> {
    set_xattrs(dir, attributes, losses)?;
    let stat = &attributes.stat;
    let mode = settle_owner(dir, stat, rules, losses)?;
    // A folder inherits the set-group-ID bit of the one that it was made in.
    let is_made_so =
        rules.exact_modes && !rules.inherits_group && mode & !0o777 == 0 && mode & 0o700 == 0o700;
    if !is_made_so && dir.stat()?.mode != mode {
        set_mode(dir, mode, rules, losses)?;
    }
    set_times(dir, stat, losses)
}

/// Sets the times, and the owner where asked, of the link `name`.
pub(crate) fn finish_link(
    dir: &Dir,
    name: &[u8],
    stat: &Stat,
    rules: Rules,
    losses: &Losses,
) -> io::Result<()> {
    if rules.ownership == Ownership::Original {
        forgive(sys::set_owner_at(dir, name, stat), &losses.owners)?;
    }
    forgive(sys::set_times_at(dir, name, stat), &losses.times)
}

/// Gives the file to its original owner, if asked. Returns the mode that it may
/// have: a set-user-ID bit stays only where the owner is the original one.
fn settle_owner(
    target: &impl Target,
    stat: &Stat,
    rules: Rules,
    losses: &Losses,
) -> io::Result<u32> {
    if rules.ownership == Ownership::Caller && stat.mode & SET_ID == 0 {
        return Ok(stat.mode);
    }
    let made = target.stat()?;
    let is_original = |made: &Stat| made.uid == stat.uid && made.gid == stat.gid;
    if is_original(&made) {
        return Ok(stat.mode);
    }
    if rules.ownership == Ownership::Original {
        match target.set_owner(stat) {
            Ok(()) => return Ok(stat.mode),
            Err(error) if sys::is_unsupported(&error) => Losses::count(&losses.owners),
            Err(error) => return Err(error),
        }
    }
    if stat.mode & SET_ID != 0 {
        Losses::count(&losses.modes);
    }
    Ok(stat.mode & !SET_ID)
}

fn set_xattrs(target: &impl Target, attributes: &Attributes, losses: &Losses) -> io::Result<()> {
    for (name, value) in &attributes.xattrs {
        forgive(target.set_xattr(name, value), &losses.xattrs)?;
    }
    Ok(())
}

fn set_mode(target: &impl Target, mode: u32, rules: Rules, losses: &Losses) -> io::Result<()> {
    if !rules.keeps_modes {
        Losses::count(&losses.modes);
        return Ok(());
    }
    forgive(target.set_mode(mode), &losses.modes)
}

fn set_times(target: &impl Target, stat: &Stat, losses: &Losses) -> io::Result<()> {
    forgive(target.set_times(stat), &losses.times)
}

/// Counts what the file system can't do; anything else is a failure.
fn forgive(result: io::Result<()>, loss: &AtomicU64) -> io::Result<()> {
    match result {
        Err(error) if sys::is_unsupported(&error) => {
            Losses::count(loss);
            Ok(())
        }
        result => result,
    }
}
