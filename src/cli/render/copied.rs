//! What a copy came to.

use std::fmt::Write as _;

use bundlecp::copy::Outcome as Copied;
use bundlecp::escape_path;
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::{counted, path_json};

/// What was copied, in one line.
pub(crate) fn copied(outcome: &Copied, is_dry_run: bool) -> String {
    let verb = match is_dry_run {
        true => "would copy",
        false => "copied",
    };
    let seconds = outcome.duration.as_secs_f64();
    let mut text = format!("{verb} {}", counted(outcome.files, "file"));
    let further = [
        (outcome.dirs, "folder"),
        (outcome.symlinks, "link"),
        (outcome.hardlinks, "hard link"),
    ];
    for (count, noun) in further.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {}", counted(count, noun));
    }
    let _ = write!(text, ", {} in {seconds:.2} s", HumanBytes(outcome.bytes));
    if !is_dry_run && seconds > 0.0 {
        let rate = (outcome.bytes as f64 / seconds) as u64;
        let names: Vec<_> = outcome.methods.iter().map(|method| method.name()).collect();
        let _ = write!(text, " ({}/s {})", HumanBytes(rate), names.join(", "));
    }
    text
}

/// What a user should know about a copy that succeeded.
pub(crate) fn remarks(outcome: &Copied) -> Vec<String> {
    let mut remarks = Vec::new();
    if let Some(growth) = outcome.flattened {
        let was = outcome.bytes.saturating_sub(growth.bytes);
        let factor = outcome.bytes as f64 / was.max(1) as f64;
        remarks.push(format!(
            "{} became copies of what they point to: the copy is {} larger ({factor:.2} times)",
            counted(growth.links, "link"),
            HumanBytes(growth.bytes)
        ));
    }
    for (path, count) in &outcome.links_files {
        remarks.push(format!(
            "{} left out and written down in `{}`",
            counted(*count, "link"),
            escape_path(path)
        ));
    }
    let losses = &outcome.losses;
    for (count, what) in [
        (losses.modes, "permission bits"),
        (losses.times, "times"),
        (losses.xattrs, "user attributes"),
        (losses.owners, "owners"),
        (losses.hardlinks, "hard links"),
    ] {
        if count > 0 {
            let entries = match count {
                1 => "1 entry".to_owned(),
                count => format!("{} entries", HumanCount(count)),
            };
            remarks.push(format!(
                "the destination did not keep the {what} of {entries}"
            ));
        }
    }
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// The JSON document of a copy.
pub(crate) fn copied_json(outcome: &Copied, is_dry_run: bool) -> Value {
    let methods: Vec<_> = outcome.methods.iter().map(|method| method.name()).collect();
    let targets: Vec<_> = outcome.targets.iter().map(|path| path_json(path)).collect();
    let links_files: Vec<_> = outcome
        .links_files
        .iter()
        .map(|(path, links)| {
            let mut file = path_json(path);
            file["links"] = json!(links);
            file
        })
        .collect();
    let losses = &outcome.losses;
    let flattened = outcome
        .flattened
        .map(|growth| json!({ "links": growth.links, "extra_bytes": growth.bytes }));
    json!({
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "hardlinks": outcome.hardlinks,
        "bytes": outcome.bytes,
        "seconds": outcome.duration.as_secs_f64(),
        "methods": methods,
        "targets": targets,
        "dry_run": is_dry_run,
        "flattened": flattened,
        "links_files": links_files,
        "losses": {
            "modes": losses.modes,
            "times": losses.times,
            "xattrs": losses.xattrs,
            "owners": losses.owners,
            "hardlinks": losses.hardlinks,
        },
        "notes": outcome.notes,
    })
}

/// Every entry of a copy, a line each.
pub(crate) fn entries(outcome: &Copied) -> String {
    let mut text = String::new();
    for (base, entry) in &outcome.entries {
        let path = match entry.path.is_root() {
            true => base.clone(),
            false => base.join(entry.path.to_path_buf()),
        };
        let path = escape_path(&path);
        let _ = match &entry.target {
            Some(target) => writeln!(text, "{path} -> {target}"),
            None => writeln!(text, "{path}"),
        };
    }
    text
}
