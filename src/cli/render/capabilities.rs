//! What a probe found.

use std::fmt::Write as _;

use bundlecp::Capabilities;
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::path_json;

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
