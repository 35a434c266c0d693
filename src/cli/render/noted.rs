//! What a manifest was written of.

use std::fmt::Write as _;

use bundlecp::manifest::Outcome;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{counts, hex, with_root_hash};

/// What was written down, in one line, and the hashes of all of it.
pub(crate) fn noted(outcome: &Outcome) -> String {
    let mut text = format!(
        "noted {}, {} in {:.2} s\ntree hash {}",
        counts(
            outcome.files,
            outcome.dirs,
            outcome.symlinks,
            outcome.hardlinks
        ),
        HumanBytes(outcome.bytes),
        outcome.duration.as_secs_f64(),
        hex(&outcome.tree_hash)
    );
    if let Some(hash) = &outcome.root_hash {
        let _ = write!(text, "\nroot hash {}", hex(hash));
    }
    text
}

/// The JSON document of a manifest that was written to a file.
pub(crate) fn noted_json(outcome: &Outcome) -> Value {
    let document = json!({
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "hardlinks": outcome.hardlinks,
        "bytes": outcome.bytes,
        "seconds": outcome.duration.as_secs_f64(),
        "tree_hash": hex(&outcome.tree_hash),
        "notes": outcome.notes,
    });
    with_root_hash(document, outcome.root_hash.as_ref())
}
