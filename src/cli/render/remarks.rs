//! What a user should know about a tree that the destination holds in part.

use std::path::PathBuf;

use bundlecp::copy::LossCounts;
use bundlecp::escape_path;
use indicatif::HumanCount;
use serde_json::{Value, json};

use super::{counted, path_json};

/// Where links were written down.
pub(super) fn links_files(files: &[(PathBuf, u64)]) -> impl Iterator<Item = String> {
    files.iter().map(|(path, count)| {
        format!(
            "{} left out and written down in `{}`",
            counted(*count, "link"),
            escape_path(path)
        )
    })
}

pub(super) fn links_files_json(files: &[(PathBuf, u64)]) -> Value {
    let file = |(path, links): &(PathBuf, u64)| {
        let mut file = path_json(path);
        file["links"] = json!(links);
        file
    };
    files.iter().map(file).collect()
}

/// What the destination did not keep.
pub(super) fn losses(losses: &LossCounts) -> impl Iterator<Item = String> {
    let counts = [
        (losses.modes, "permission bits"),
        (losses.times, "times"),
        (losses.xattrs, "user attributes"),
        (losses.owners, "owners"),
        (losses.hardlinks, "hard links"),
    ];
    let lost = counts.into_iter().filter(|(count, _)| *count > 0);
    lost.map(|(count, what)| {
        let entries = match count {
            1 => "1 entry".to_owned(),
            count => format!("{} entries", HumanCount(count)),
        };
        format!("the destination did not keep the {what} of {entries}")
    })
}

pub(super) fn losses_json(losses: &LossCounts) -> Value {
    json!({
        "modes": losses.modes,
        "times": losses.times,
        "xattrs": losses.xattrs,
        "owners": losses.owners,
        "hardlinks": losses.hardlinks,
    })
}
