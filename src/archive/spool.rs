//! A private file for what of an archive can be read only once and is needed
//! again: it has no name while it is used, and goes when it is dropped.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::dest::Staging;
use crate::error::{Error, Refusal, Result};
use crate::format::ReadAt;
use crate::sys::{self, Dir};

/// The file's name, as long as it has one.
const NAME: &[u8] = b"contents";

/// A private file. See the module's documentation.
pub(crate) struct Spool {
    writer: File,
    reader: File,
    length: u64,
    /// The folder that it was made in, for messages.
    shown: PathBuf,
    /// Where an open file can't lose its name: what it stands in. Dropped last.
    _staging: Option<Staging>,
}

impl Spool {
    /// Makes one in the folder `parent`, whose path is `shown`; `label` is what
    /// it is for.
    pub(crate) fn create(parent: &Dir, shown: &Path, label: &[u8]) -> Result<Self> {
        let failed = |error| Error::io("write to", shown, error);
        let staging = Staging::create(parent, shown, label)?;
        let writer = sys::create_file(staging.dir(), NAME, 0o600).map_err(failed)?;
        let reader = sys::open_file(staging.dir(), NAME).map_err(failed)?;
        let staging = match sys::remove_file(staging.dir(), NAME) {
            Ok(()) => {
                staging.discard()?;
                None
            }
            Err(_) => Some(staging),
        };
        Ok(Self {
            writer,
            reader,
            length: 0,
            shown: shown.to_owned(),
            _staging: staging,
        })
    }

    /// Bytes that were appended.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// Writes `bytes` behind all that was appended before.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_at(bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Writes `bytes` from `offset` on.
    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        sys::write_all_at(&self.writer, bytes, offset).map_err(|error| {
            Error::io("write to", &self.shown, error)
                .with_hint("what can be read only once is kept there until the archive is complete")
        })
    }

    /// Fills `buffer` from `offset` on.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Refusal> {
        self.reader
            .read_exact_at(buffer, offset)
            .map_err(Refusal::io)
    }

    /// What was written, as a file to read.
    pub(crate) fn file(&self) -> &File {
        &self.reader
    }
}
