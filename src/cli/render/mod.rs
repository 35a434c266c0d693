//! Outcomes and errors as text and as JSON.

mod archived;
mod capabilities;
mod copied;
mod diagnosed;
mod listed;
mod noted;
mod onefile;
mod page;
mod remarks;
mod repaired;
mod sarif;
mod verified;

use std::fmt::Write as _;
use std::path::Path;

use bundlecp::RelPath;
use indicatif::HumanCount;
use serde_json::Value;

pub(crate) use archived::{
    converted, converted_json, converted_remarks, extracted, extracted_json, extracted_remarks,
    packed, packed_json, packed_remarks,
};
pub(crate) use capabilities::{capabilities, capabilities_json};
pub(crate) use copied::{copied, copied_json, entries, remarks};
pub(crate) use diagnosed::{Diagnosis, diagnosed_json};
pub(crate) use listed::{Style, listed_end, root_hash, root_hash_json, write_member};
pub(crate) use noted::{noted, noted_json};
pub(crate) use onefile::{built, built_json, cached, cached_json, cleaned, cleaned_json};
pub(crate) use page::page;
pub(crate) use repaired::{planned, planned_json, repaired};
pub(crate) use sarif::sarif;
pub(crate) use verified::{checked, checked_json, verified, verified_json};

/// `path`, with `path_base64` beside it where the bytes aren't UTF-8.
fn path_json(path: &Path) -> Value {
    serde_json::to_value(RelPath::from(path)).unwrap_or_default()
}

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{} {noun}s", HumanCount(count)),
    }
}

/// How many of each kind there are; files always, all else where there are some.
fn counts(files: u64, dirs: u64, symlinks: u64, hardlinks: u64) -> String {
    let mut text = counted(files, "file");
    let further = [
        (dirs, "folder"),
        (symlinks, "link"),
        (hardlinks, "hard link"),
    ];
    for (count, noun) in further.into_iter().filter(|(count, _)| *count > 0) {
        let _ = write!(text, ", {}", counted(count, noun));
    }
    text
}

/// A hash as people compare it.
fn hex(hash: &[u8; 32]) -> String {
    hash.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Adds the root hash to a document, where there is one.
fn with_root_hash(mut document: Value, hash: Option<&[u8; 32]>) -> Value {
    if let Some(hash) = hash {
        document["root_hash"] = hex(hash).into();
    }
    document
}
