//! Outcomes and errors as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use bundlecp::copy::Outcome as Copied;
use bundlecp::verify::{Difference, DifferenceKind, Outcome as Verified};
use bundlecp::{Capabilities, Error, ErrorKind, RelPath, escape_path};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

/// An error in one line, and what can be done about it in another.
pub(crate) fn error(error: &Error) -> String {
    let cause = error.cause();
    let mut text = match error.path().as_os_str().is_empty() {
        true => format!("bundlecp: {cause}"),
        false => format!("bundlecp: {error}: {cause}"),
    };
    if let Some(hint) = error.hint() {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

/// The exit status of an error.
pub(crate) fn exit_status(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Usage => 2,
        ErrorKind::NoSymlinks
        | ErrorKind::NoSpace
        | ErrorKind::NameCollision
        | ErrorKind::BadName
        | ErrorKind::FileTooLarge
        | ErrorKind::CannotFlatten
        | ErrorKind::Unsupported => 3,
        ErrorKind::SpecialFile => 4,
        _ => 5,
    }
}

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

/// What a folder's file system can do, as a table.
pub(crate) fn capabilities(found: &Capabilities) -> String {
    let support = |support: &bundlecp::Support| match support.cause() {
        Some(cause) => format!("{} ({cause})", support.name()),
        None => support.name().to_owned(),
    };
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    let inodes = match found.free_inodes {
        Some(count) => HumanCount(count).to_string(),
        None => "no limit".to_owned(),
    };
    let rows = [
        ("file system", found.filesystem.clone()),
        ("symbolic links", support(&found.symlinks)),
        ("hard links", support(&found.hardlinks)),
        ("case-sensitive", yes(found.case_sensitive)),
        ("permission bits", support(&found.modes)),
        ("moved folders stay whole", support(&found.folder_moves)),
        ("executables", support(&found.exec)),
        ("reflink", support(&found.reflink)),
        ("user attributes", support(&found.xattrs)),
        ("any characters in names", support(&found.any_characters)),
        ("any bytes in names", support(&found.any_bytes)),
        ("time resolution", resolution(found.mtime_resolution_ns)),
        ("longest name", format!("{} bytes", found.name_max)),
        ("free", HumanBytes(found.free_bytes).to_string()),
        ("free inodes", inodes),
    ];
    let mut text = String::new();
    for (name, value) in rows {
        let _ = writeln!(text, "{name:24} {value}");
    }
    text
}

fn resolution(nanoseconds: u64) -> String {
    match nanoseconds {
        ns if ns % 1_000_000_000 == 0 => format!("{} s", ns / 1_000_000_000),
        ns if ns % 1_000_000 == 0 => format!("{} ms", ns / 1_000_000),
        ns if ns % 1_000 == 0 => format!("{} µs", ns / 1_000),
        ns => format!("{ns} ns"),
    }
}

/// The JSON document of a probe.
pub(crate) fn capabilities_json(found: &Capabilities) -> Value {
    let mut document = path_json(&found.path);
    let answers = json!({
        "filesystem": found.filesystem,
        "symlinks": found.symlinks.name(),
        "symlinks_cause": found.symlinks.cause(),
        "case_sensitive": found.case_sensitive,
        "normalization_sensitive": found.normalization_sensitive,
        "hardlinks": found.hardlinks.is_yes(),
        "folder_moves": found.folder_moves.is_yes(),
        "modes": found.modes.is_yes(),
        "exec": found.exec.is_yes(),
        "reflink": found.reflink.is_yes(),
        "xattrs": found.xattrs.is_yes(),
        "any_characters": found.any_characters.is_yes(),
        "any_bytes": found.any_bytes.is_yes(),
        "mtime_resolution_ns": found.mtime_resolution_ns,
        "name_max": found.name_max,
        "free_bytes": found.free_bytes,
        "free_inodes": found.free_inodes,
    });
    if let (Some(document), Value::Object(answers)) = (document.as_object_mut(), answers) {
        document.extend(answers);
    }
    document
}

/// `path`, with `path_base64` beside it where the bytes aren't UTF-8.
fn path_json(path: &Path) -> Value {
    serde_json::to_value(RelPath::from(path)).unwrap_or_default()
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

fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        count => format!("{} {noun}s", HumanCount(count)),
    }
}
