//! What a packing, an extraction or a conversion came to.

use std::fmt::Write as _;

use bundlecp::convert::{Loss, LossKind, Outcome as Converted};
use bundlecp::extract::Outcome as Extracted;
use bundlecp::pack::{Format, Outcome as Packed};
use indicatif::{HumanBytes, HumanCount};
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
    let mut remarks: Vec<String> = external_links(outcome.external_links).collect();
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// Links that lead out of the bundle.
fn external_links(count: u64) -> impl Iterator<Item = String> {
    let lead = match count {
        1 => "leads",
        _ => "lead",
    };
    let remark = (count > 0).then(|| {
        format!(
            "{} {lead} out of the bundle; whoever extracts it needs --allow-external-links",
            counted(count, "link")
        )
    });
    remark.into_iter()
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
        "methods": match outcome.copied_inside {
            true => vec!["copy_file_range", "decoded"],
            false => vec!["decoded"],
        },
        "format": outcome.format,
        "dry_run": is_dry_run,
        "links_files": links_files_json(&outcome.links_files),
        "losses": losses_json(&outcome.losses),
        "notes": outcome.notes,
    });
    with_root_hash(document, outcome.root_hash.as_ref())
}

/// What was converted, in one line.
pub(crate) fn converted(outcome: &Converted, format: Format, is_dry_run: bool) -> String {
    let verb = match is_dry_run {
        true => "would convert",
        false => "converted",
    };
    let seconds = outcome.duration.as_secs_f64();
    let mut text = format!(
        "{verb} {}, {}",
        counts(
            outcome.files,
            outcome.dirs,
            outcome.symlinks,
            outcome.hardlinks
        ),
        HumanBytes(outcome.bytes)
    );
    if !is_dry_run {
        let _ = write!(text, " into {}", HumanBytes(outcome.packed));
    }
    let formats = format!("{} to {}", outcome.from, format.name());
    let _ = write!(text, " in {seconds:.2} s");
    text += &pace(outcome.bytes, seconds, &formats, is_dry_run);
    if let Some(hash) = &outcome.root_hash {
        let _ = write!(text, "\nroot hash {}", hex(hash));
    }
    text
}

/// What a user should know about a conversion that succeeded.
pub(crate) fn converted_remarks(outcome: &Converted, format: Format) -> Vec<String> {
    let mut remarks: Vec<String> = external_links(outcome.external_links).collect();
    remarks.extend(outcome.losses.iter().map(|one| loss(one, format)));
    remarks.extend(outcome.notes.iter().cloned());
    remarks
}

/// One kind of loss: what, of how many, and the first of them.
fn loss(loss: &Loss, format: Format) -> String {
    let what = match loss.kind {
        LossKind::Hardlinks => "a hard link",
        LossKind::Xattrs => "user attributes",
        LossKind::Holes => "holes",
        LossKind::Times => "the exact time",
        LossKind::Owners => "owner and group",
        LossKind::Root => "mode and time of the archive's own folder",
        _ => loss.kind.name(),
    };
    let of = match loss.count {
        1 => format!("of `{}`", loss.path),
        count => format!(
            "of {} entries, the first `{}`",
            HumanCount(count),
            loss.path
        ),
    };
    format!("lost: {what} {of}; a {} can't hold that", format.name())
}

/// The JSON document of a conversion.
pub(crate) fn converted_json(outcome: &Converted, format: Format, is_dry_run: bool) -> Value {
    let loss = |loss: &Loss| {
        let mut document = serde_json::to_value(&loss.path).unwrap_or_default();
        document["kind"] = json!(loss.kind.name());
        document["count"] = json!(loss.count);
        document
    };
    let document = json!({
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "hardlinks": outcome.hardlinks,
        "bytes": outcome.bytes,
        "packed_bytes": outcome.packed,
        "seconds": outcome.duration.as_secs_f64(),
        "methods": ["decoded"],
        "from": outcome.from,
        "format": format.name(),
        "external_links": outcome.external_links,
        "dry_run": is_dry_run,
        "losses": outcome.losses.iter().map(loss).collect::<Value>(),
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
