//! One member of an archive as a line: plain, long, or JSON.

use std::io::{self, Write};

use bundlecp::list::{Listed, Outcome};
use bundlecp::{EntryKind, LinkTarget, RelPath};
use serde::Serialize;
use serde_json::{Value, json};

use super::{hex, with_root_hash};

/// How members are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Long,
    Json,
}

/// Writes the line of one member.
pub(crate) fn write_member(out: &mut impl Write, listed: &Listed, style: Style) -> io::Result<()> {
    match style {
        Style::Plain => writeln!(out, "{}{}", listed.entry.path, slash(listed)),
        Style::Long => write_long(out, listed),
        Style::Json => write_json(out, listed),
    }
}

/// What a long list ends with: the root hash, where there is one.
pub(crate) fn listed_end(outcome: &Outcome) -> String {
    let hash = outcome.root_hash.as_ref();
    hash.map_or_else(String::new, |hash| format!("root hash {}\n", hex(hash)))
}

/// The root hash and nothing else.
pub(crate) fn root_hash(outcome: &Outcome) -> String {
    let hash = outcome.root_hash.as_ref();
    hash.map_or_else(String::new, |hash| hex(hash) + "\n")
}

/// The root hash as a document.
pub(crate) fn root_hash_json(outcome: &Outcome) -> Value {
    with_root_hash(json!({}), outcome.root_hash.as_ref())
}

fn write_long(out: &mut impl Write, listed: &Listed) -> io::Result<()> {
    let entry = &listed.entry;
    let modified = listed.modified.map(|time| time.to_string());
    write!(
        out,
        "{} {:>12} {:30} {}{}",
        mode(entry.kind, listed.mode),
        entry.size,
        modified.as_deref().unwrap_or("-"),
        entry.path,
        slash(listed)
    )?;
    match &entry.target {
        Some(target) => writeln!(out, " -> {target}"),
        None => writeln!(out),
    }
}

#[derive(Serialize)]
struct Line<'l> {
    #[serde(flatten)]
    path: &'l RelPath,
    kind: &'static str,
    size: u64,
    mode: String,
    mtime: Option<String>,
    #[serde(flatten)]
    target: Option<&'l LinkTarget>,
}

fn write_json(out: &mut impl Write, listed: &Listed) -> io::Result<()> {
    let entry = &listed.entry;
    let line = Line {
        path: &entry.path,
        kind: entry.kind.name(),
        size: entry.size,
        mode: format!("{:04o}", listed.mode),
        mtime: listed.modified.map(|time| time.to_string()),
        target: entry.target.as_ref(),
    };
    serde_json::to_writer(&mut *out, &line)?;
    out.write_all(b"\n")
}

/// A folder is told by the slash behind its path.
fn slash(listed: &Listed) -> &'static str {
    match listed.entry.kind {
        EntryKind::Dir => "/",
        EntryKind::File | EntryKind::Symlink | EntryKind::Hardlink => "",
    }
}

/// Kind and permission bits as `ls -l` writes them, a hard link as `tar` does.
fn mode(kind: EntryKind, bits: u32) -> String {
    let mut text = String::with_capacity(10);
    text.push(match kind {
        EntryKind::Dir => 'd',
        EntryKind::File => '-',
        EntryKind::Symlink => 'l',
        EntryKind::Hardlink => 'h',
    });
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bit = |bit: u32, letter: char| match bits >> shift & bit {
            0 => '-',
            _ => letter,
        };
        text.push(bit(4, 'r'));
        text.push(bit(2, 'w'));
        text.push(match (bits & special, bit(1, 'x')) {
            (0, executable) => executable,
            (_, 'x') => letter,
            _ => letter.to_ascii_uppercase(),
        });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modes_look_as_in_ls() {
        for (kind, bits, shown) in [
            (EntryKind::File, 0o644, "-rw-r--r--"),
            (EntryKind::Dir, 0o1777, "drwxrwxrwt"),
            (EntryKind::Dir, 0o1666, "drw-rw-rwT"),
            (EntryKind::File, 0o4755, "-rwsr-xr-x"),
            (EntryKind::File, 0o2640, "-rw-r-S---"),
            (EntryKind::Symlink, 0o777, "lrwxrwxrwx"),
            (EntryKind::Hardlink, 0, "h---------"),
        ] {
            assert_eq!(mode(kind, bits), shown);
        }
    }
}
