//! What a copy came to.

use std::fmt::Write as _;

use bundlecp::copy::Outcome as Copied;
use bundlecp::escape_path;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::remarks::{links_files, links_files_json, losses, losses_json};
use super::{counted, counts, path_json};

/// What was copied, in one line.
pub(crate) fn copied(outcome: &Copied, is_dry_run: bool) -> String {
    let verb = match is_dry_run {
        true => "would copy",
        false => "copied",
    };
    let seconds = outcome.duration.as_secs_f64();
    let mut text = format!(
        "{verb} {}",
        counts(
            outcome.files,
            outcome.dirs,
            outcome.symlinks,
            outcome.hardlinks
        )
    );
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
    remarks.extend(links_files(&outcome.links_files));
    remarks.extend(losses(&outcome.losses));
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// The JSON document of a copy.
pub(crate) fn copied_json(outcome: &Copied, is_dry_run: bool) -> Value {
    let methods: Vec<_> = outcome.methods.iter().map(|method| method.name()).collect();
    let targets: Vec<_> = outcome.targets.iter().map(|path| path_json(path)).collect();
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
        "links_files": links_files_json(&outcome.links_files),
        "losses": losses_json(&outcome.losses),
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
