//! Manifest files: a line of JSON for each entry of a tree, behind a line that counts
//! and hashes them. docs/format.md has the rules.
//!
//! A tree has one text. Whatever this module wouldn't have written itself is refused, so
//! that no two readers can understand a manifest in two ways. What a path may be, and
//! whether the lines make a tree, is judged elsewhere.

mod header;
mod record;
mod time;

use std::io::{BufRead, Read};

use crate::error::Refusal;

pub(crate) use header::{Header, Origin, Untold};
pub(crate) use record::Record;
pub(crate) use time::Precision;

/// What every manifest begins with.
pub(crate) const START: &[u8] = br#"{"format":"bundlecp-manifest""#;

/// Bytes of a line, its newline included: room for more attributes than Linux gives a file.
const LONGEST_LINE: usize = 16 << 20;

/// The context of tree hashes.
const CONTEXT: &str = "bundlecp 2026-11-28 manifest version 1 tree hash";

/// Whether this is the beginning of a manifest.
pub(crate) fn is_start(head: &[u8]) -> bool {
    head.starts_with(START)
}

/// Hashes a manifest's entries: what the tree is, wherever it was found.
pub(crate) struct TreeHasher(Box<blake3::Hasher>);

impl TreeHasher {
    /// For a tree of which `untold` isn't known.
    pub(crate) fn new(untold: Untold) -> Self {
        let mut hasher = Box::new(blake3::Hasher::new_derive_key(CONTEXT));
        for name in untold.names() {
            hasher.update(name.as_bytes());
            hasher.update(b"\n");
        }
        Self(hasher)
    }

    /// Takes the line of the next entry, its newline included.
    pub(crate) fn take(&mut self, line: &[u8]) {
        self.0.update(line);
    }

    pub(crate) fn finish(&self) -> [u8; 32] {
        self.0.finalize().into()
    }
}

/// Reads lines, none of them longer than a manifest's may be.
pub(crate) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// The next line, its newline included; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Refusal> {
        self.line.clear();
        let mut bounded = (&mut self.reader).take(LONGEST_LINE as u64);
        let read = bounded.read_until(b'\n', &mut self.line);
        match (read.map_err(Refusal::io)?, self.line.last()) {
            (0, _) => Ok(None),
            (_, Some(b'\n')) => Ok(Some(&self.line)),
            (LONGEST_LINE.., _) => Err(too_long()),
            _ => Err(Refusal::truncated("it ends within a line")),
        }
    }
}

fn too_long() -> Refusal {
    Refusal::malformed("a line of it is longer than 16 MiB")
}

/// The refusal of a line that could be written in another way.
fn not_canonical() -> Refusal {
    Refusal::malformed("isn't written as a manifest's lines are")
}

/// A hash as lines have it.
fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

fn parse_hash(text: &str) -> Result<[u8; 32], Refusal> {
    let hash = blake3::Hash::from_hex(text).map_err(|_| not_canonical())?;
    Ok(hash.into())
}

/// Writes `line` as JSON, and a newline behind it, into `out`, which is emptied.
fn write_line(line: &impl serde::Serialize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.clear();
    let written = serde_json::to_writer(&mut *out, line);
    written.expect("a vector takes everything");
    out.push(b'\n');
    match out.len() > LONGEST_LINE {
        true => Err(too_long()),
        false => Ok(()),
    }
}

/// Reads a line as JSON, if writing it again gives the same bytes.
fn read_line<T>(bytes: &[u8]) -> Result<T, Refusal>
where
    T: for<'d> serde::Deserialize<'d> + serde::Serialize,
{
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        // A line knows only its own number, which is always 1.
        let text = text.split(" at line ").next().unwrap_or_default();
        Refusal::malformed(format!("is not what a manifest has: {text}"))
    })
}
