//! What a comparison found.

use std::fmt::Write as _;

use bundlecp::escape_path;
use bundlecp::onefile::cache::Verified as Cached;
use bundlecp::verify::{Checked, Difference, DifferenceKind, Outcome as Verified};
use serde_json::{Value, json};

use super::{counted, hex, path_json, with_root_hash};

/// What an archive is that was checked by itself.
pub(crate) fn checked(outcome: &Checked, cached: Option<&Cached>) -> String {
    let mut text = format!(
        "whole: {}, {}, {} read in {:.2} s ({})\n",
        counted(outcome.files, "file"),
        counted(outcome.dirs, "folder"),
        counted(outcome.symlinks, "link"),
        outcome.duration.as_secs_f64(),
        outcome.format
    );
    if let Some(hash) = &outcome.root_hash {
        let _ = writeln!(text, "root hash {}", hex(hash));
    }
    if let Some(hash) = &outcome.tree_hash {
        let _ = writeln!(text, "tree hash {}", hex(hash));
    }
    if let Some(cached) = cached {
        text += &unpacked(cached);
    }
    text
}

/// What an executable's cache was found to be.
fn unpacked(cached: &Cached) -> String {
    let path = escape_path(&cached.path);
    let mut text = String::new();
    for different in &cached.differences {
        let _ = writeln!(text, "changed  {different}");
    }
    let _ = match (cached.is_intact(), &cached.unusable) {
        (true, _) => writeln!(text, "cache {path}: as it was unpacked"),
        (false, Some(cause)) => writeln!(text, "cache {path}: {cause}; unpacked again"),
        (false, None) => writeln!(text, "cache {path}: changed; unpacked again"),
    };
    text
}

/// The JSON document of an archive that was checked by itself.
pub(crate) fn checked_json(outcome: &Checked, cached: Option<&Cached>) -> Value {
    let mut document = json!({
        "whole": true,
        "format": outcome.format,
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "seconds": outcome.duration.as_secs_f64(),
    });
    if let Some(hash) = &outcome.tree_hash {
        document["tree_hash"] = hex(hash).into();
    }
    if let Some(cached) = cached {
        document["cache"] = path_json(&cached.path);
        document["cache"]["intact"] = cached.is_intact().into();
        let paths = cached.differences.iter();
        document["cache"]["differences"] = paths.map(|path| json!(path)).collect();
        document["cache"]["unusable"] = cached.unusable.clone().into();
    }
    with_root_hash(document, outcome.root_hash.as_ref())
}

/// What a comparison found: a line a difference, and the sum.
pub(crate) fn verified(outcome: &Verified, color: bool) -> String {
    let mut text = String::new();
    for difference in &outcome.differences {
        let _ = writeln!(text, "{}", one_difference(difference, color));
    }
    let seconds = outcome.duration.as_secs_f64();
    let compared = format!(
        "{}, {}, {} compared in {seconds:.2} s",
        counted(outcome.files, "file"),
        counted(outcome.dirs, "folder"),
        counted(outcome.symlinks, "link")
    );
    let _ = match outcome.is_equal() {
        true => writeln!(text, "equal: {compared}"),
        false => writeln!(
            text,
            "{} ({}): {compared}",
            counted(outcome.differences.len() as u64, "difference"),
            by_kind(outcome)
        ),
    };
    text
}

fn one_difference(difference: &Difference, color: bool) -> String {
    let name = format!("{:10}", difference.kind.name());
    let name = match (color, difference.kind) {
        (false, _) => name,
        (true, DifferenceKind::Mode | DifferenceKind::Mtime) => format!("\x1b[33m{name}\x1b[0m"),
        (true, _) => format!("\x1b[31m{name}\x1b[0m"),
    };
    let path = &difference.path;
    match (&difference.left, &difference.right) {
        (Some(left), Some(right)) => format!("{name} {path}: {left}, now {right}"),
        (Some(words), None) | (None, Some(words)) => format!("{name} {path}: {words}"),
        (None, None) => format!("{name} {path}"),
    }
}

fn by_kind(outcome: &Verified) -> String {
    let count = |kind| {
        let is_of_kind = |difference: &&Difference| difference.kind == kind;
        outcome.differences.iter().filter(is_of_kind).count()
    };
    let counts = DifferenceKind::ALL
        .into_iter()
        .map(|kind| (kind, count(kind)));
    let named = counts.filter(|(_, count)| *count > 0);
    let words: Vec<_> = named
        .map(|(kind, count)| format!("{count} {}", kind.name()))
        .collect();
    words.join(", ")
}

/// The JSON document of a comparison.
pub(crate) fn verified_json(outcome: &Verified) -> Value {
    json!({
        "equal": outcome.is_equal(),
        "differences": outcome.differences,
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "bytes_hashed": outcome.bytes_hashed,
        "seconds": outcome.duration.as_secs_f64(),
    })
}
