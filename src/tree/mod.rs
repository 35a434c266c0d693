//! A tree, wherever it is, and what is known of each of its nodes.
//!
//! A folder tells everything, and its contents are read when somebody asks. An archive
//! is read once and as a whole, whatever of it is asked for: damage anywhere is found,
//! and what an extraction would refuse is refused. Its contents are hashed as they come
//! and never kept. What a format doesn't tell is `None`.
//!
//! Nothing is written, and no link is followed on disk.

mod bcp;
mod frames;
pub(crate) mod hashing;
mod items;
pub(crate) mod moment;
mod packed;
pub(crate) mod reader;
mod side;

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use crate::archive::Opened;
use crate::error::{Error, Result};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::sys::{self, Dir};

pub(crate) use packed::{Fact, Xattrs};
pub(crate) use side::Side;

/// Where a tree is.
pub enum Tree<'t> {
    /// A folder or an archive, at this path.
    At(&'t Path),
    /// An archive that this reader brings, called so in errors. The reader is read on
    /// another thread, to its end.
    From(Box<dyn Read + Send + 't>, &'t Path),
}

/// How trees are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    /// What is done, as errors and reports call it.
    pub operation: &'static str,
    pub phase: Phase,
    pub threads: usize,
    pub progress: &'r dyn Progress,
}

impl Reading<'_> {
    /// Tells how far the reading is.
    pub(crate) fn report(&self, counters: &Counters, total: Total) -> ControlFlow<()> {
        self.progress.report(&counters.status(self.phase, total))
    }
}

/// What a path leads to.
pub(crate) enum Input<'i> {
    Folder(Dir),
    Archive(Opened<'i>),
}

/// Opens a tree. Its path is returned for messages.
pub(crate) fn open(tree: Tree<'_>) -> Result<(&Path, Input<'_>)> {
    let shown = match tree {
        Tree::At(path) => path,
        Tree::From(reader, shown) => {
            let opened = crate::archive::from_reader(reader, shown)?;
            return Ok((shown, Input::Archive(opened)));
        }
    };
    let input = match sys::open_root(shown) {
        Ok(root) => Input::Folder(root),
        Err(error) if sys::is_not_a_real_dir(&error) => {
            Input::Archive(crate::archive::open(shown)?)
        }
        Err(error) => return Err(Error::io("open", shown, error)),
    };
    Ok((shown, input))
}
