//! What a repair would do, or did.

use std::fmt::Write as _;

use bundlecp::repair::{Change, ChangeKind, Outcome, Plan};
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::counted;

/// Changes of one kind that are shown: the rest is counted.
const SHOWN: usize = 40;

/// A line a change, and one for all that is left as it is.
pub(crate) fn planned(plan: &Plan) -> String {
    let mut text = String::new();
    for kind in [
        ChangeKind::Link,
        ChangeKind::Retarget,
        ChangeKind::Mode,
        ChangeKind::Mtime,
        ChangeKind::Remove,
    ] {
        let changes: Vec<&Change> = plan
            .changes
            .iter()
            .filter(|change| change.kind == kind)
            .collect();
        for change in changes.iter().take(SHOWN) {
            let _ = writeln!(text, "{}", line(change));
        }
        if let Some(more) = changes.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            let _ = writeln!(text, "{:9} and {more} more", kind.name());
        }
    }
    for left in &plan.undecided {
        let _ = writeln!(text, "{:9} {}: {}", "left", left.path, left.cause);
    }
    text
}

fn line(change: &Change) -> String {
    let (name, path, reason) = (change.kind.name(), &change.path, &change.reason);
    match &change.target {
        Some(target) => format!("{name:9} {path} -> {target} ({reason})"),
        None => format!("{name:9} {path} ({reason})"),
    }
}

/// What came of it, in one line.
pub(crate) fn repaired(outcome: Option<&Outcome>, planned: Option<&Vec<Value>>) -> String {
    let count = planned.map_or(0, Vec::len) as u64;
    match outcome {
        Some(outcome) => format!(
            "repaired: {}, {} less in {:.2} s\n",
            counted(outcome.changes, "change"),
            HumanBytes(outcome.bytes_saved),
            outcome.duration.as_secs_f64()
        ),
        None if count == 0 => "nothing to repair\n".to_owned(),
        None => format!("{} to make: --apply does it\n", counted(count, "change")),
    }
}

/// The JSON document of a plan.
pub(crate) fn planned_json(plan: &Plan) -> Value {
    json!({
        "changes": plan.changes,
        "undecided": plan.undecided,
        "bytes_saved": plan.bytes_saved,
    })
}
