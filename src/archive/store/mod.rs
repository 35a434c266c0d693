//! The contents of an archive as one row of bytes, read from any place by many
//! threads.
//!
//! Where the archive has them as they are, they are read there. Where it has
//! them compressed in chunks that each stand alone (frames of our `.tar.zst`,
//! blocks of a `.bcp`, members of a zip or a program), a chunk is decoded and checked when it
//! is read, and the last few are remembered. What can be read only once, or would
//! be decoded again and again, stands in a [`Spool`].

mod chunks;
mod frame;
mod items;

use std::fs::File;

use crate::error::{Error, Refusal, Result};
use crate::format::{ReadAt, bcp};
use crate::progress::Progress;

use super::index::Index;
use super::spool::Spool;
use chunks::{Chunks, Kind};

pub(crate) use items::{Chosen, of_items};

/// Contents that are read from any place. See the module's documentation.
pub(crate) enum Store {
    /// Nothing is read.
    Nothing,
    /// In the archive, as they are.
    InPlace(File),
    Kept(Spool),
    Chunks(Chunks),
}

/// What reading contents takes besides them.
pub(crate) struct Manner<'m> {
    pub threads: usize,
    pub progress: &'m dyn Progress,
    /// Names the archive in an error.
    pub refused: &'m (dyn Fn(Refusal) -> Error + Sync),
}

/// Stored bytes of a file: where they begin in the row, and how many.
pub(crate) type Stored = (u64, u64);

impl Store {
    /// The contents of our own `.tar.zst`: the row is the tar.
    pub(crate) fn of_frames(file: File, index: Index) -> Self {
        let raw = index.parts.iter().map(|part| part.frame.raw);
        let starts = sums(raw);
        Store::Chunks(Chunks::new(file, starts, Kind::Frames(index)))
    }

    /// The contents of a `.bcp`: the row is what its blocks decode to.
    pub(crate) fn of_blocks(file: File, index: bcp::Index) -> Self {
        let starts = index.layout.block_starts();
        Store::Chunks(Chunks::new(file, starts, Kind::Blocks(Box::new(index))))
    }

    /// Fills `buffer` with the bytes from `offset` on.
    pub(crate) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<(), Refusal> {
        match self {
            Store::Nothing => Err(Refusal::malformed("nothing of it was read")),
            Store::InPlace(file) => file.read_exact_at(buffer, offset).map_err(Refusal::io),
            Store::Kept(spool) => spool.read(buffer, offset),
            Store::Chunks(chunks) => chunks.read(buffer, offset),
        }
    }

    /// Gets ready for reading `wanted`, in this order if `order` is known: checks
    /// the chunks that nothing of it stands in, and moves all to the spool that
    /// `spool` makes if reading would decode too much again.
    pub(crate) fn prepare(
        self,
        wanted: &[Stored],
        order: Order,
        spool: &dyn Fn() -> Result<Spool>,
        manner: &Manner<'_>,
    ) -> Result<Self> {
        match self {
            Store::Chunks(chunks) if chunks.is_costly(wanted, order) => {
                chunks.keep(spool()?, manner).map(Store::Kept)
            }
            Store::Chunks(mut chunks) => {
                chunks.make_room(manner.threads);
                chunks.check_unread(wanted, manner)?;
                Ok(Store::Chunks(chunks))
            }
            Store::Nothing | Store::InPlace(_) | Store::Kept(_) => Ok(self),
        }
    }
}

/// How a row is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// As it is said to be, once.
    Once,
    /// More than once, and then in any order.
    Any,
}

/// Where chunks of these sizes begin, and where the last ends.
fn sums(sizes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut sum = 0_u64;
    let mut starts = vec![0];
    starts.extend(sizes.map(|size| {
        sum = sum.saturating_add(size);
        sum
    }));
    starts
}
