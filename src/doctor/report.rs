//! A report that is written into a file: whole or not at all, like all else that this
//! crate writes.

use std::path::Path;

use crate::dest::deliver::Sync;
use crate::dest::publish::Existing;
use crate::error::{Error, Result};
use crate::pack::place::Place;

/// A file that a report of an examination goes to.
pub struct Report<'r> {
    path: &'r Path,
    place: Place,
}

impl<'r> Report<'r> {
    /// Finds the place of the file `path`, before anything is examined.
    ///
    /// # Errors
    ///
    /// When its folder doesn't exist, or something stands there that may not be replaced:
    /// a folder never may, a file only with [`Existing::Replace`].
    pub fn at(path: &'r Path, existing: Existing) -> Result<Self> {
        let place = Place::find(path, existing, "report to")?;
        Ok(Self { path, place })
    }

    /// Writes the file. Returns what a reader should know that is no error.
    ///
    /// # Errors
    ///
    /// When it can't be written; what stood there stands then.
    pub fn write(self, text: &[u8]) -> Result<Vec<String>> {
        let path = self.path;
        self.place.publish(Sync::None, |mut file| {
            let written = std::io::Write::write_all(&mut file, text);
            written.map_err(|error| Error::io("write", path, error))
        })
    }
}
