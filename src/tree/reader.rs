//! Reading what the nodes of one side hold, on one thread: contents to be hashed, and
//! user attributes. Of an archive, all of that is known already.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::handles::{CannotEnter, Handles, limit_for};
use crate::plan::NodeId;
use crate::sys::{self, Dir};

use super::hashing::Hasher;
use super::{Fact, Side, Xattrs};

/// Bytes read at a time: as large as the buffer that copying uses.
const BUFFER: usize = 256 * 1024;

/// One thread's way through one side.
pub(crate) struct Reader<'s> {
    pub side: &'s Side<'s>,
    /// `None` for an archive, which is known already.
    handles: Option<Handles<'s>>,
    buffer: Vec<u8>,
}

/// A file of one side.
pub(crate) enum Content<'s> {
    File(File),
    Known(&'s Fact),
}

impl<'s> Reader<'s> {
    /// For one of `threads` threads.
    pub(crate) fn new(side: &'s Side<'s>, threads: usize) -> Self {
        let handles = side
            .root()
            .map(|root| Handles::new(root, limit_for(threads)));
        Self {
            side,
            buffer: match handles {
                Some(_) => vec![0; BUFFER],
                None => Vec::new(),
            },
            handles,
        }
    }

    /// Opens the file `node`.
    pub(crate) fn open(&mut self, node: NodeId) -> Result<Content<'s>> {
        if let Some(fact) = self.side.fact(node) {
            return Ok(Content::Known(fact));
        }
        let plan = &self.side.plan;
        let name = plan.name(node);
        let opened = match self.enter(plan.parent(node)) {
            Ok(dir) => sys::open_file(dir, name),
            Err(lost) => Err(lost.source),
        };
        let file = opened.map_err(|error| self.error("open", node, error))?;
        Ok(Content::File(file))
    }

    /// Opens a folder of a side that is one.
    fn enter(&mut self, node: NodeId) -> Result<&Dir, CannotEnter> {
        let handles = self.handles.as_mut();
        let handles = handles.expect("a side without facts is a folder");
        handles.enter(&self.side.plan, node)
    }

    /// The user attributes of the file `node`.
    pub(crate) fn xattrs(&self, node: NodeId, content: &Content<'_>) -> Result<Xattrs> {
        match content {
            Content::File(file) => {
                sys::file_xattrs(file).map_err(|error| self.error("read", node, error))
            }
            Content::Known(fact) => Ok(fact.xattrs.clone().unwrap_or_default()),
        }
    }

    /// The user attributes of the folder `node`.
    pub(crate) fn dir_xattrs(&mut self, node: NodeId) -> Result<Xattrs> {
        if let Some(fact) = self.side.fact(node) {
            return Ok(fact.xattrs.clone().unwrap_or_default());
        }
        let read = match self.enter(node) {
            Ok(dir) => sys::dir_xattrs(dir),
            Err(lost) => Err(lost.source),
        };
        read.map_err(|error| self.error("read", node, error))
    }

    /// The hash of all of the file `node`, and how many bytes were read for it.
    pub(crate) fn hash(
        &mut self,
        node: NodeId,
        content: &Content<'_>,
    ) -> Result<(blake3::Hash, u64)> {
        let file = match content {
            Content::File(file) => file,
            Content::Known(fact) => {
                let hash = fact.hash;
                return Ok((hash.expect("files of equal sizes were hashed"), 0));
            }
        };
        let mut hasher = Hasher::new(self.side.plan.size(node));
        let mut at = 0;
        loop {
            let read = sys::read_at(file, &mut self.buffer, at)
                .map_err(|error| self.error("read", node, error))?;
            if read == 0 {
                return Ok((hasher.finish(&|| false), at));
            }
            hasher.take(at, &self.buffer[..read], &|| false);
            at += read as u64;
        }
    }

    /// An error about `node`, by its full path.
    pub(crate) fn error(&self, operation: &'static str, node: NodeId, error: io::Error) -> Error {
        let path = self.side.plan.path(node);
        let path: PathBuf = sys::join_bytes(self.side.shown, path.as_bytes());
        Error::io(operation, path, error)
    }
}
