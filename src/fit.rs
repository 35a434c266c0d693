//! Whether a tree fits a destination: what can be known before the first byte.
//!
//! Given the plan of an operation and what a probe found, this says whether
//! links, names and bytes can be held, and whether folders would have to be
//! laid over files. It writes nothing but doubtful names, in a private folder.

use std::path::{Path, PathBuf};

use crate::dest::merge::conflict;
use crate::dest::writer::RENAME;
use crate::error::{Error, ErrorKind, Result};
use crate::handles::{Handles, limit_for};
use crate::plan::collide::{Folding, first_collision};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::probe::{self, Capabilities, Support};
use crate::scan::Totals;
use crate::sys::{self, Dir, FileType};

/// What an operation is called in errors, and where its tree is to stand.
#[derive(Clone, Copy)]
pub(crate) struct Goal<'g> {
    /// A verb such as `copy to`.
    pub operation: &'static str,
    pub path: &'g Path,
}

/// What to do with links where the destination can't hold them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnNoSymlinks {
    /// Refuse, before anything is written.
    #[default]
    Fail,
    /// Copy what they point to in their place.
    Copy,
    /// Copy the rest, and write the links down in `.bundlecp-links.json`.
    Manifest,
}

/// Checks that the links of a tree can be kept, or may be lost on purpose.
pub(crate) fn check_links(
    symlinks: u64,
    found: &Capabilities,
    policy: OnNoSymlinks,
    goal: Goal<'_>,
) -> Result<()> {
    let is_lost = symlinks > 0 && !found.symlinks.is_yes();
    if !is_lost || policy != OnNoSymlinks::Fail {
        return Ok(());
    }
    let cause = format!(
        "the file system ({}) can't hold symbolic links ({}), and the source has {symlinks}",
        found.filesystem,
        found.symlinks.cause().unwrap_or("unknown"),
    );
    // What Windows answers a user who may not make links (winerror.h, 1314).
    let needs_right = found.symlinks.cause() == Some("ERROR_PRIVILEGE_NOT_HELD");
    let hint = match needs_right {
        true => "switch on Developer Mode in the system's settings, or run this as administrator",
        false => {
            "copy to a file system with links, or choose --on-no-symlinks=copy (larger) \
                  or --on-no-symlinks=manifest (links written down for a repair)"
        }
    };
    Err(Error::new(ErrorKind::NoSymlinks, goal.operation, goal.path, cause).with_hint(hint))
}

/// Checks every name of the tree against what the destination can hold.
/// Doubtful names are tried in `private`, an empty folder on it.
pub(crate) fn check_names(
    plan: &Plan,
    found: &Capabilities,
    private: &Dir,
    goal: Goal<'_>,
) -> Result<()> {
    let path = |node: NodeId| sys::join_bytes(goal.path, plan.path(node).as_bytes());
    for node in plan
        .nodes()
        .skip(1)
        .filter(|node| is_doubtful(plan.name(*node), found))
    {
        let refusal = probe::refusal_of_name(private, plan.name(node))
            .map_err(|error| Error::io("create", path(node), error))?;
        if let Some(cause) = refusal {
            return Err(bad_name(goal.operation, path(node), found, &cause));
        }
    }
    let folding = Folding {
        case: !found.case_sensitive,
        normalization: !found.normalization_sensitive,
    };
    let Some((first, second)) = first_collision(plan, folding) else {
        return Ok(());
    };
    let cause = format!(
        "`{}` is the same name on this file system ({})",
        plan.path(first),
        found.filesystem
    );
    Err(Error::new(
        ErrorKind::NameCollision,
        goal.operation,
        path(second),
        cause,
    )
    .with_hint("rename one of them, or copy to a file system that tells them apart"))
}

/// Whether the file system may refuse this name.
fn is_doubtful(name: &[u8], found: &Capabilities) -> bool {
    let no = |support: &Support| matches!(support, Support::No { .. });
    let is_long = name.len() as u64 > found.name_max;
    let is_odd = |byte: &u8| !byte.is_ascii_graphic() || b":?\"<>|*\\`".contains(byte);
    let has_odd = || name.iter().any(is_odd) || name.ends_with(b".") || may_be_a_device(name);
    is_long
        || no(&found.any_characters) && has_odd()
        || no(&found.any_bytes) && std::str::from_utf8(name).is_err()
}

/// Whether a name begins as those do that mean devices to Windows: `nul.txt`, `COM1`.
fn may_be_a_device(name: &[u8]) -> bool {
    const DEVICES: [&[u8]; 6] = [b"CON", b"PRN", b"AUX", b"NUL", b"COM", b"LPT"];
    let begins = |device: &&[u8]| {
        let start = name.get(..device.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(device))
    };
    DEVICES.iter().any(begins)
}

fn bad_name(operation: &'static str, path: PathBuf, found: &Capabilities, cause: &str) -> Error {
    let cause = format!(
        "the file system ({}) refuses the name: {cause}",
        found.filesystem
    );
    Error::new(ErrorKind::BadName, operation, path, cause).with_hint(RENAME)
}

/// What a tree needs of a file system.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Need {
    pub bytes: u64,
    pub inodes: u64,
}

impl Need {
    pub(crate) fn of(totals: &Totals, growth: u64) -> Self {
        Self {
            bytes: totals.storage.saturating_add(growth),
            inodes: totals.entries() - totals.further_names,
        }
    }
}

/// Checks that the destination has room.
pub(crate) fn check_space(need: Need, found: &Capabilities, goal: Goal<'_>) -> Result<()> {
    let refuse = |cause: String| {
        let hint = "free some space, or copy to another file system";
        Err(Error::new(ErrorKind::NoSpace, goal.operation, goal.path, cause).with_hint(hint))
    };
    if need.bytes > found.free_bytes {
        return refuse(format!(
            "the tree needs {} bytes and {} are free",
            need.bytes, found.free_bytes
        ));
    }
    if let Some(free) = found.free_inodes
        && need.inodes > free
    {
        return refuse(format!(
            "the tree needs {} inodes and {free} are free",
            need.inodes
        ));
    }
    Ok(())
}

/// Looks for folders where the tree below `root` has none, and the other way
/// round. What can't be looked at shows itself when it is merged.
pub(crate) fn check_merge(plan: &Plan, root: &Dir, shown: &Path) -> Result<()> {
    let mut handles = Handles::new(root, limit_for(1));
    let mut pending = vec![NodeId::ROOT];
    while let Some(node) = pending.pop() {
        let Ok(dir) = handles.enter(plan, node) else {
            continue;
        };
        for child in plan.children(node) {
            let Some(standing) = standing(dir, plan.name(child)) else {
                continue;
            };
            let source = match plan.kind(child) {
                NodeKind::Dir => FileType::Dir,
                NodeKind::File | NodeKind::Symlink | NodeKind::Special => FileType::File,
            };
            match (source == FileType::Dir, standing == FileType::Dir) {
                (true, true) => pending.push(child),
                (false, false) => {}
                (true, false) | (false, true) => {
                    let path = sys::join_bytes(shown, plan.path(child).as_bytes());
                    return Err(conflict(path, source));
                }
            }
        }
    }
    Ok(())
}

/// What stands at `name`, as far as it can be looked at.
pub(crate) fn standing(dir: &Dir, name: &[u8]) -> Option<FileType> {
    sys::stat_at(dir, name).ok().map(|stat| stat.file_type)
}
