//! What can be known before the first byte: whether the destination can hold
//! the links, the names and the bytes of the tree.

use std::path::{Path, PathBuf};

use crate::dest::merge::conflict;
use crate::dest::publish::{Existing, already_exists};
use crate::error::{Error, ErrorKind, Result};
use crate::handles::{Handles, limit_for};
use crate::plan::collide::{Folding, first_collision};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::probe::{self, Capabilities, Support};
use crate::scan::Totals;
use crate::sys::{self, Dir, FileType};

use super::target::{Target, is_above, stands_inside};

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
pub(super) fn check_links(
    totals: &Totals,
    found: &Capabilities,
    policy: OnNoSymlinks,
    target: &Path,
) -> Result<()> {
    let is_lost = totals.symlinks > 0 && !found.symlinks.is_yes();
    if !is_lost || policy != OnNoSymlinks::Fail {
        return Ok(());
    }
    let cause = format!(
        "the file system ({}) can't hold symbolic links ({}), and the source has {}",
        found.filesystem,
        found.symlinks.cause().unwrap_or("unknown"),
        totals.symlinks
    );
    let hint = "copy to a file system with links, or choose --on-no-symlinks=copy (larger) \
                or --on-no-symlinks=manifest (links written down for a repair)";
    Err(Error::new(ErrorKind::NoSymlinks, "copy to", target, cause).with_hint(hint))
}

/// Checks every name of the tree against what the destination can hold.
/// Doubtful names are tried in `private`, an empty folder on it.
pub(super) fn check_names(
    plan: &Plan,
    found: &Capabilities,
    private: &Dir,
    target: &Path,
) -> Result<()> {
    let path = |node: NodeId| sys::join_bytes(target, plan.path(node).as_bytes());
    for node in plan
        .nodes()
        .skip(1)
        .filter(|node| is_doubtful(plan.name(*node), found))
    {
        let refusal = probe::refusal_of_name(private, plan.name(node))
            .map_err(|error| Error::io("create", path(node), error))?;
        if let Some(cause) = refusal {
            return Err(bad_name(path(node), found, &cause));
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
    Err(
        Error::new(ErrorKind::NameCollision, "copy to", path(second), cause)
            .with_hint("rename one of them, or copy to a file system that tells them apart"),
    )
}

/// Whether the file system may refuse this name.
fn is_doubtful(name: &[u8], found: &Capabilities) -> bool {
    let no = |support: &Support| matches!(support, Support::No { .. });
    let is_long = name.len() as u64 > found.name_max;
    let is_odd = |byte: &u8| !byte.is_ascii_graphic() || b":?\"<>|*\\`".contains(byte);
    let has_odd = || name.iter().any(is_odd) || name.ends_with(b".");
    is_long
        || no(&found.any_characters) && has_odd()
        || no(&found.any_bytes) && std::str::from_utf8(name).is_err()
}

fn bad_name(path: PathBuf, found: &Capabilities, cause: &str) -> Error {
    let cause = format!(
        "the file system ({}) refuses the name: {cause}",
        found.filesystem
    );
    Error::new(ErrorKind::BadName, "copy to", path, cause)
        .with_hint("rename it, or copy to a file system that can hold it")
}

/// What a tree needs of a file system.
#[derive(Debug, Clone, Copy)]
pub(super) struct Need {
    pub bytes: u64,
    pub inodes: u64,
}

impl Need {
    pub(super) fn of(totals: &Totals, growth: u64) -> Self {
        Self {
            bytes: totals.storage.saturating_add(growth),
            inodes: totals.entries() - totals.further_names,
        }
    }
}

/// Checks that the destination has room.
pub(super) fn check_space(need: Need, found: &Capabilities, target: &Path) -> Result<()> {
    let refuse = |cause: String| {
        let hint = "free some space, or copy to another file system";
        Err(Error::new(ErrorKind::NoSpace, "copy to", target, cause).with_hint(hint))
    };
    if need.bytes > found.free_bytes {
        return refuse(format!(
            "the copy needs {} bytes and {} are free",
            need.bytes, found.free_bytes
        ));
    }
    if let Some(free) = found.free_inodes
        && need.inodes > free
    {
        return refuse(format!(
            "the copy needs {} inodes and {free} are free",
            need.inodes
        ));
    }
    Ok(())
}

/// Whether the source can't be larger than what is free, so that nobody needs
/// to look at each file: all that its file system holds would fit.
pub(super) fn surely_fits(source: &Dir, totals: &Totals, found: &Capabilities) -> bool {
    let Ok(space) = sys::space(source) else {
        return false;
    };
    let enough_inodes = found
        .free_inodes
        .is_none_or(|free| totals.entries() <= free);
    enough_inodes && space.used_bytes > 0 && space.used_bytes <= found.free_bytes
}

/// Looks for what stands where the members of a container go.
pub(super) fn check_members(plan: &Plan, target: &Target, existing: Existing) -> Result<()> {
    let (parent, shown) = (&target.parent, target.parent_path.as_path());
    match existing {
        Existing::Replace => {
            for child in plan.children(NodeId::ROOT) {
                let path = sys::join_bytes(shown, plan.name(child));
                let Ok(standing) = sys::stat_at(parent, plan.name(child)) else {
                    continue;
                };
                let is_lost = standing.file_type == FileType::Dir
                    && is_above(&standing, &target.source_dir)
                        .map_err(|error| Error::io("read", &path, error))?;
                if is_lost {
                    return Err(stands_inside(&target.source, &path));
                }
            }
            Ok(())
        }
        Existing::Merge => check_merge(plan, parent, shown),
        Existing::Refuse => {
            for child in plan.children(NodeId::ROOT) {
                if standing(parent, plan.name(child)).is_some() {
                    return Err(already_exists(
                        "copy to",
                        &sys::join_bytes(shown, plan.name(child)),
                    ));
                }
            }
            Ok(())
        }
    }
}

/// Looks for folders where the tree below `root` has none, and the other way
/// round. What can't be looked at shows itself when it is merged.
pub(super) fn check_merge(plan: &Plan, root: &Dir, shown: &Path) -> Result<()> {
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

fn standing(dir: &Dir, name: &[u8]) -> Option<FileType> {
    sys::stat_at(dir, name).ok().map(|stat| stat.file_type)
}
