//! What a copy can know before the first byte that is more than whether the
//! tree [fits](crate::fit): its source has to survive, and room is only counted
//! where it may be scarce.

use crate::dest::publish::{Existing, already_exists};
use crate::error::{Error, Result};
use crate::fit::{check_merge, standing};
use crate::plan::{NodeId, Plan};
use crate::probe::Capabilities;
use crate::scan::Totals;
use crate::sys::{self, Dir, FileType};

use super::target::{Target, is_above, stands_inside};

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
