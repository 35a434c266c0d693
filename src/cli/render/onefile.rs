//! What `onefile` and `cache` found and did.

use std::fmt::Write as _;

use bundlecp::escape_path;
use bundlecp::onefile::Outcome;
use bundlecp::onefile::cache::{Cached, Cleaned};
use bundlecp::pack::Format;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{counted, hex, packed, packed_json, path_json};

/// What was built.
pub(crate) fn built(outcome: &Outcome, is_dry_run: bool) -> String {
    packed(&outcome.packed, Format::Bcp, is_dry_run)
}

/// The JSON document of a build.
pub(crate) fn built_json(outcome: &Outcome, is_dry_run: bool) -> Value {
    let mut document = packed_json(&outcome.packed, Format::Bcp, is_dry_run);
    document["entry"] = path_json(&outcome.entry)["path"].take();
    document["stub_bytes"] = outcome.stub.into();
    document
}

/// What is in a cache, a line each.
pub(crate) fn cached(found: &[Cached]) -> String {
    found.iter().fold(String::new(), |mut text, one| {
        let used = one.last_used.to_string();
        let day = used.get(..10).unwrap_or(&used);
        let in_use = match one.is_in_use {
            true => "  in use",
            false => "",
        };
        let bytes = HumanBytes(one.bytes).to_string();
        let (path, label) = (escape_path(&one.path), &one.label);
        let _ = writeln!(text, "{day}  {bytes:>10}  {label}  {path}{in_use}");
        text
    })
}

/// The same as JSON.
pub(crate) fn cached_json(found: &[Cached]) -> Value {
    found.iter().map(one_json).collect()
}

fn one_json(one: &Cached) -> Value {
    json!({
        "path": path_json(&one.path)["path"],
        "label": one.label,
        "entry": path_json(&one.entry)["path"],
        "root_hash": hex(&one.root_hash),
        "bytes": one.bytes,
        "last_used": one.last_used.to_string(),
        "in_use": one.is_in_use,
    })
}

/// What a cleaning removed.
pub(crate) fn cleaned(cleaned: &Cleaned, is_dry_run: bool) -> String {
    let mut text = String::new();
    let verb = match is_dry_run {
        true => "would remove",
        false => "removed",
    };
    for one in &cleaned.removed {
        let _ = writeln!(text, "{verb} {}  {}", one.label, escape_path(&one.path));
    }
    for one in &cleaned.in_use {
        let _ = writeln!(text, "in use  {}  {}", one.label, escape_path(&one.path));
    }
    for (path, cause) in &cleaned.failed {
        let _ = writeln!(text, "failed  {}: {cause}", escape_path(path));
    }
    let bytes: u64 = cleaned.removed.iter().map(|one| one.bytes).sum();
    let count = counted(cleaned.removed.len() as u64, "bundle");
    let _ = writeln!(text, "{verb} {count}, {}", HumanBytes(bytes));
    text
}

/// The same as JSON.
pub(crate) fn cleaned_json(cleaned: &Cleaned) -> Value {
    let failed = cleaned.failed.iter().map(|(path, cause)| {
        let mut one = path_json(path);
        one["cause"] = cause.as_str().into();
        one
    });
    json!({
        "removed": cleaned.removed.iter().map(one_json).collect::<Vec<_>>(),
        "in_use": cleaned.in_use.iter().map(one_json).collect::<Vec<_>>(),
        "failed": failed.collect::<Vec<_>>(),
    })
}
