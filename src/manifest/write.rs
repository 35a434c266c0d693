//! From a tree to the text: the tree is read, its entries are hashed, and then they are
//! written, behind the header that tells their hash.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Instant;

use crate::entry::MemberKind;
use crate::error::{Error, Refusal, Result};
use crate::format::manifest::{Header, Record, TreeHasher};
use crate::pack::place::Place;
use crate::pool;
use crate::progress::{Phase, Progress};
use crate::tree::hashing::Style;
use crate::tree::manifest::Entries;
use crate::tree::{self, Input, Reading, Side, Tree};

use super::{Options, Outcome, Output};

/// What errors call it.
const OPERATION: &str = "manifest";

/// Bytes of lines that are written at a time.
const BUFFER: usize = 256 << 10;

pub(super) fn run(
    source: Tree<'_>,
    output: Output<'_>,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    // Whether there may be such a file is known before anything is read.
    let place = match &output {
        Output::Path(path) => Some(Place::find(path, options.existing, "manifest to")?),
        Output::Writer(..) => None,
    };
    let reading = Reading {
        operation: OPERATION,
        phase: Phase::Hashing,
        special: options.special_files.into(),
        junctions_as_links: options.junctions_as_links,
        style: Style::Plain,
        threads: pool::threads(options.jobs),
        progress,
    };
    let (shown, input) = tree::open(source, OPERATION)?;
    if let Input::Manifest(_) = input {
        return Err(crate::archive::a_manifest().at("read", shown));
    }
    let side = Side::known(input, shown, None, &reading)?;
    let entries = Entries::of(&side);
    let (header, mut outcome) = survey(&side, &entries).map_err(|r| r.at(OPERATION, shown))?;
    match (output, place) {
        (Output::Path(path), Some(place)) => {
            let write = |file: &_| write_all(file, path, &header, &entries);
            outcome.notes = place.publish(options.sync, write)?;
        }
        (Output::Writer(writer, shown), _) => write_all(writer, shown, &header, &entries)?,
        (Output::Path(_), None) => {}
    }
    outcome.duration = started.elapsed();
    Ok(outcome)
}

/// Hashes and counts all entries.
fn survey(side: &Side<'_>, entries: &Entries<'_>) -> Result<(Header, Outcome), Refusal> {
    let mut header = Header {
        entries: entries.len(),
        tree_hash: [0; 32],
        origin: side.origin,
        root_hash: side.root_hash(),
        untold: entries.untold(),
    };
    let mut outcome = Outcome {
        root_hash: header.root_hash,
        ..Outcome::default()
    };
    let mut hasher = TreeHasher::new(header.untold);
    let mut line = Vec::new();
    for record in entries.records() {
        record.write(&mut line)?;
        hasher.take(&line);
        outcome.count(&record);
    }
    header.tree_hash = hasher.finish();
    outcome.tree_hash = header.tree_hash;
    Ok((header, outcome))
}

impl Outcome {
    fn count(&mut self, record: &Record) {
        match record.member.kind {
            MemberKind::Dir => self.dirs += 1,
            MemberKind::Symlink => self.symlinks += 1,
            MemberKind::Hardlink => self.hardlinks += 1,
            MemberKind::File => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(record.member.size);
            }
        }
    }
}

/// Writes the text into `writer`, which is called `shown` in errors.
fn write_all(
    writer: impl Write,
    shown: &Path,
    header: &Header,
    entries: &Entries<'_>,
) -> Result<()> {
    let failed = |error| Error::io("write", shown, error);
    let mut out = BufWriter::with_capacity(BUFFER, writer);
    let mut line = Vec::new();
    header.write(&mut line);
    out.write_all(&line).map_err(failed)?;
    for record in entries.records() {
        record
            .write(&mut line)
            .map_err(|r| r.at(OPERATION, shown))?;
        out.write_all(&line).map_err(failed)?;
    }
    out.flush().map_err(failed)
}
