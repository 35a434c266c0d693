//! What can be known before the first byte: whether the destination can hold
//! the links, the names and the bytes of the tree.

use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind, Result};
use crate::plan::collide::{Folding, first_collision};
use crate::plan::{NodeId, Plan};
use crate::probe::{Capabilities, Support};
use crate::scan::Totals;
use crate::sys;

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
pub(super) fn check_names(plan: &Plan, found: &Capabilities, target: &Path) -> Result<()> {
    let path = |node: NodeId| sys::join_bytes(target, plan.path(node).as_bytes());
    for node in plan.nodes().skip(1) {
        if let Some(cause) = refusal(plan.name(node), found) {
            return Err(bad_name(path(node), found, cause));
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

fn refusal(name: &[u8], found: &Capabilities) -> Option<String> {
    let longest = found.name_max;
    if longest > 0 && name.len() as u64 > longest {
        return Some(format!("the name has {} bytes, of {longest}", name.len()));
    }
    let no = |support: &Support| matches!(support, Support::No { .. });
    if no(&found.any_bytes) && std::str::from_utf8(name).is_err() {
        return Some("the name is not UTF-8".to_owned());
    }
    let odd = |byte: &u8| byte.is_ascii_control() || b":?\"<>|*\\".contains(byte);
    let is_odd = name.iter().any(odd) || name.ends_with(b" ") || name.ends_with(b".");
    if no(&found.any_characters) && is_odd {
        return Some("the name has a character that this file system refuses".to_owned());
    }
    None
}

fn bad_name(path: PathBuf, found: &Capabilities, cause: String) -> Error {
    let cause = format!("{cause} ({})", found.filesystem);
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
pub(super) fn surely_fits(source: &sys::Dir, totals: &Totals, found: &Capabilities) -> bool {
    let Ok(space) = sys::space(source) else {
        return false;
    };
    let enough_inodes = found.free_inodes.is_none_or(|free| totals.entries() <= free);
    enough_inodes && space.used_bytes > 0 && space.used_bytes <= found.free_bytes
}
