//! Writing a package, byte for byte as PyInstaller's own writer does it.

use crate::error::{ErrorKind, Refusal};

use super::cookie::{Cookie, SIZE};
use super::toc::Entry;

/// A package that grows behind a program.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    /// Where in `bytes` the package begins.
    start: usize,
    toc: Vec<u8>,
}

impl Writer {
    /// A package without entries behind `program`.
    pub(crate) fn behind(program: Vec<u8>) -> Self {
        Self {
            start: program.len(),
            bytes: program,
            toc: Vec::new(),
        }
    }

    /// Adds an entry of this name with the stored bytes `data`; the entry's own
    /// offset doesn't count.
    pub(crate) fn add(&mut self, entry: &Entry, name: &[u8], data: &[u8]) -> Result<(), Refusal> {
        let offset = number(self.bytes.len() - self.start)?;
        entry.append(offset, name, &mut self.toc)?;
        self.bytes.extend_from_slice(data);
        Ok(())
    }

    /// The program and its package, for the Python that `like` names.
    pub(crate) fn finish(mut self, like: &Cookie) -> Result<Vec<u8>, Refusal> {
        let toc_offset = self.bytes.len() - self.start;
        let cookie = Cookie {
            length: number(toc_offset + self.toc.len() + SIZE)?,
            toc_offset: number(toc_offset)?,
            toc_length: number(self.toc.len())?,
            ..like.clone()
        };
        self.bytes.extend_from_slice(&self.toc);
        self.bytes.extend_from_slice(&cookie.to_bytes());
        Ok(self.bytes)
    }
}

/// A number as packages have it.
pub(super) fn number(number: usize) -> Result<u32, Refusal> {
    u32::try_from(number).map_err(|_| {
        let cause = "a package has no room for more than 4 GiB";
        Refusal::new(ErrorKind::LimitExceeded, cause)
    })
}
