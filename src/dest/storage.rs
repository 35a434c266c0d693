//! Room for the content of a new file, before its first byte.

use std::fs::File;
use std::io;

use crate::sys::{self, Dir};

/// Files from this size on get their storage reserved first, where that gains
/// anything: below it the extra call costs what it saves (docs/performance.md).
const RESERVE_FROM: u64 = 64 * 1024;

/// Whether a file has its content without a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Dense,
    /// What isn't written stays a hole.
    Sparse,
}

/// How new files of one file system get their room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Storage {
    gains: bool,
    most: u64,
}

impl Storage {
    /// For files below `root`, of which at most `most` bytes are reserved.
    pub(crate) fn of(root: &Dir, most: u64) -> Self {
        Self {
            gains: sys::gains_from_allocation(root),
            most,
        }
    }

    /// Gives the new file `to` its size, and its storage where that gains
    /// anything.
    pub(crate) fn prepare(&self, to: &File, size: u64, layout: Layout) -> io::Result<()> {
        if layout == Layout::Sparse {
            return sys::set_len(to, size);
        }
        if self.gains && size >= RESERVE_FROM {
            match sys::allocate(to, size.min(self.most)) {
                Err(error) if sys::is_unsupported(&error) => {}
                result => return result,
            }
        }
        Ok(())
    }
}
