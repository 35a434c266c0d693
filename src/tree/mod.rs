//! A tree, wherever it is, and what is known of each of its nodes.
//!
//! A folder tells everything, and its contents are read when somebody asks. An archive
//! is read once and as a whole, whatever of it is asked for: damage anywhere is found,
//! and what an extraction would refuse is refused. Its contents are hashed as they come
//! and never kept. A manifest tells hashes in place of contents. What a format doesn't tell
//! is `None`.
//!
//! Nothing is written, and no link is followed on disk.

mod bcp;
mod frames;
pub(crate) mod hashing;
mod items;
pub(crate) mod manifest;
pub(crate) mod moment;
mod packed;
pub(crate) mod reader;
mod side;

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use crate::archive::limits::Limits;
use crate::archive::{self, Opened, Recognised};
use crate::error::{Error, Result};
use crate::format::manifest::Origin;
use crate::progress::{Counters, Phase, Progress, Total};
use crate::scan::Special;
use crate::sys::{self, Dir};

use hashing::Style;
use manifest::Noted;

pub(crate) use packed::{Fact, Xattrs};
pub(crate) use side::Side;

/// Where a tree is.
pub enum Tree<'t> {
    /// A folder, an archive or a manifest, at this path.
    At(&'t Path),
    /// An archive or a manifest that this reader brings, called so in errors. The reader is read on
    /// another thread, to its end.
    From(Box<dyn Read + Send + 't>, &'t Path),
}

/// How trees are read.
#[derive(Clone, Copy)]
pub(crate) struct Reading<'r> {
    /// What is done, as errors and reports call it.
    pub operation: &'static str,
    pub phase: Phase,
    /// What a folder's devices, FIFOs and sockets are to it.
    pub special: Special,
    /// Whether junctions are links to it, and no special files.
    pub junctions_as_links: bool,
    pub style: Style,
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
    Manifest(Box<Noted>),
}

impl Input<'_> {
    /// The hash over all entries of a manifest.
    pub(crate) fn tree_hash(&self) -> Option<[u8; 32]> {
        match self {
            Input::Folder(_) | Input::Archive(_) => None,
            Input::Manifest(noted) => Some(noted.header.tree_hash),
        }
    }

    /// Whether its paths begin where those of a folder do.
    pub(crate) fn origin(&self) -> Origin {
        match self {
            Input::Folder(_) => Origin::Folder,
            Input::Archive(_) => Origin::Archive,
            Input::Manifest(noted) => noted.header.origin,
        }
    }
}

/// Opens a tree, for `operation`. Its path is returned for messages. A manifest is read
/// and checked as a whole by that.
pub(crate) fn open<'t>(tree: Tree<'t>, operation: &'static str) -> Result<(&'t Path, Input<'t>)> {
    let (shown, recognised) = match tree {
        Tree::From(reader, shown) => (shown, archive::recognise_from(reader, shown)?),
        Tree::At(shown) => match sys::open_root(shown) {
            Ok(root) => return Ok((shown, Input::Folder(root))),
            Err(error) if sys::is_not_a_real_dir(&error) => (shown, archive::recognise_at(shown)?),
            Err(error) => return Err(Error::io("open", shown, error)),
        },
    };
    let input = match recognised {
        Recognised::Archive(opened) => Input::Archive(opened),
        Recognised::Manifest(reader) => {
            let noted = manifest::read(reader, Limits::default(), &mut |_| ());
            let noted = noted.map_err(|refusal| refusal.at(operation, shown))?;
            Input::Manifest(Box::new(noted))
        }
    };
    Ok((shown, input))
}
