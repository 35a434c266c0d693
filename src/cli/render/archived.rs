//! What a packing or an extraction came to.

use std::fmt::Write as _;

use bundlecp::extract::Outcome as Extracted;
use bundlecp::pack::{Format, Outcome as Packed};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::remarks::{links_files, links_files_json, losses, losses_json};
use super::{counted, counts, hex, with_root_hash};

/// What was packed, in one line.
pub(crate) fn packed(outcome: &Packed, format: Format, is_dry_run: bool) -> String {
    let verb = match is_dry_run {
        true => "would pack",
        false => "packed",
    };
    let seconds = outcome.duration.as_secs_f64();
    let bytes = HumanBytes(outcome.bytes);
    let mut text = format!(
        "{verb} {}, {bytes}",
        counts(
            outcome.files,
            outcome.dirs,
            outcome.symlinks,
            outcome.hardlinks
        )
    );
    if !is_dry_run {
        let _ = write!(text, " into {}", HumanBytes(outcome.packed));
    }
    let _ = write!(text, " in {seconds:.2} s");
    text += &pace(outcome.bytes, seconds, format.name(), is_dry_run);
    if let Some(hash) = &outcome.root_hash {
        let _ = write!(text, "\nroot hash {}", hex(hash));
    }
    text
}

/// What a user should know about an archive that was packed.
pub(crate) fn packed_remarks(outcome: &Packed) -> Vec<String> {
    let mut remarks = Vec::new();
    if outcome.external_links > 0 {
        let lead = match outcome.external_links {
            1 => "leads",
            _ => "lead",
        };
        remarks.push(format!(
            "{} {lead} out of the bundle; whoever extracts it needs --allow-external-links",
            counted(outcome.external_links, "link")
        ));
    }
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// The JSON document of a packing.
pub(crate) fn packed_json(outcome: &Packed, format: Format, is_dry_run: bool) -> Value {
    let document = json!({
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "hardlinks": outcome.hardlinks,
        "bytes": outcome.bytes,
        "packed_bytes": outcome.packed,
        "seconds": outcome.duration.as_secs_f64(),
        "methods": ["read_write"],
        "format": format.name(),
        "external_links": outcome.external_links,
        "dry_run": is_dry_run,
        "notes": outcome.notes,
    });
    with_root_hash(document, outcome.root_hash.as_ref())
}

/// What was extracted, in one line.
pub(crate) fn extracted(outcome: &Extracted, is_dry_run: bool) -> String {
    let verb = match is_dry_run {
        true => "would extract",
        false => "extracted",
    };
    let seconds = outcome.duration.as_secs_f64();
    let text = format!(
        "{verb} {}, {} in {seconds:.2} s",
        counts(
            outcome.files,
            outcome.dirs,
            outcome.symlinks,
            outcome.hardlinks
        ),
        HumanBytes(outcome.bytes)
    );
    text + &pace(outcome.bytes, seconds, outcome.format, is_dry_run)
}

/// What a user should know about an extraction that succeeded.
pub(crate) fn extracted_remarks(outcome: &Extracted) -> Vec<String> {
    let mut remarks: Vec<String> = links_files(&outcome.links_files).collect();
    remarks.extend(losses(&outcome.losses));
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// The JSON document of an extraction.
pub(crate) fn extracted_json(outcome: &Extracted, is_dry_run: bool) -> Value {
    let document = json!({
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "hardlinks": outcome.hardlinks,
        "bytes": outcome.bytes,
        "seconds": outcome.duration.as_secs_f64(),
        "methods": ["decoded"],
        "format": outcome.format,
        "dry_run": is_dry_run,
        "links_files": links_files_json(&outcome.links_files),
        "losses": losses_json(&outcome.losses),
        "notes": outcome.notes,
    });
    with_root_hash(document, outcome.root_hash.as_ref())
}

/// How fast it went and in which format; only the format where nothing was moved.
fn pace(bytes: u64, seconds: f64, format: &str, is_dry_run: bool) -> String {
    match is_dry_run || seconds <= 0.0 {
        true => format!(" ({format})"),
        false => {
            let rate = (bytes as f64 / seconds) as u64;
            format!(" ({}/s {format})", HumanBytes(rate))
        }
    }
}
