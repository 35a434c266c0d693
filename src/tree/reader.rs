//! Reading what the nodes of one side hold, on one thread: contents to be hashed, and
//! user attributes. Of an archive, all of that is known already.

use std::fs::File;
use std::io;
use std::path::PathBuf;

use crate::error::{Error, ErrorKind, Result};
use crate::handles::{CannotEnter, Handles, limit_for};
use crate::plan::{NodeId, NodeKind};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Total};
use crate::sys::{self, Dir};

use super::hashing::{Hasher, Style};
use super::{Fact, Reading, Side, Xattrs};

/// Bytes read at a time: as large as the buffer that copying uses.
const BUFFER: usize = 256 * 1024;

/// Files and folders that one job reads: as in a comparison.
const NODES_PER_JOB: usize = 64;

/// Reads all that the folder `side` holds, on all threads. Further names of a file have
/// what is known of the first.
pub(super) fn learn(side: &Side<'_>, reading: &Reading<'_>) -> Result<Vec<Fact>> {
    let plan = &side.plan;
    let firsts = side.first_names();
    let first = |node| match side.identity(node) {
        Some(group) => firsts.get(&group).copied().unwrap_or(node),
        None => node,
    };
    let is_read = |node: &NodeId| match plan.kind(*node) {
        NodeKind::Dir => true,
        NodeKind::File => first(*node) == *node,
        NodeKind::Symlink | NodeKind::Special => false,
    };
    let nodes: Vec<NodeId> = plan.nodes().filter(is_read).collect();
    let counters = Counters::default();
    let total = Total {
        entries: Some(nodes.len() as u64),
        bytes: Some(side.totals.bytes),
    };
    let (threads, style) = (reading.threads, reading.style);
    let work = |queue: &mut Queue<'_, &[NodeId]>| {
        let roots: Vec<_> = side.root().into_iter().collect();
        sys::isolate_thread(&roots);
        let mut reader = Reader::new(side, threads, style);
        let mut learned = Vec::new();
        while let Some(nodes) = queue.next() {
            for &node in nodes {
                if queue.is_stopped() {
                    break;
                }
                learned.push((node, reader.fact(node, &|| queue.is_stopped())?));
                counters.add(1, plan.size(node));
            }
        }
        Ok(learned)
    };
    let report = || reading.report(&counters, total);
    let mut facts: Vec<Fact> = plan.nodes().map(|node| told(side, node)).collect();
    for learned in pool::run(threads, nodes.chunks(NODES_PER_JOB), work, report)? {
        for (node, fact) in learned {
            facts[node.index()] = fact;
        }
    }
    for node in plan.nodes() {
        let first = first(node);
        if plan.kind(node) == NodeKind::File && first != node {
            facts[node.index()] = facts[first.index()].clone();
        }
    }
    Ok(facts)
}

/// What the file system said of a node.
fn told(side: &Side<'_>, node: NodeId) -> Fact {
    Fact {
        mode: side.mode(node),
        modified: side.modified(node),
        xattrs: Some(Xattrs::new()),
        hash: None,
        first: None,
    }
}

/// One thread's way through one side.
pub(crate) struct Reader<'s> {
    pub side: &'s Side<'s>,
    /// `None` for an archive, which is known already.
    handles: Option<Handles<'s>>,
    buffer: Vec<u8>,
    style: Style,
}

/// A file of one side.
pub(crate) enum Content<'s> {
    File(File),
    Known(&'s Fact),
}

impl<'s> Reader<'s> {
    /// For one of `threads` threads.
    pub(crate) fn new(side: &'s Side<'s>, threads: usize, style: Style) -> Self {
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
            style,
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

    /// All that is to be known of a file or folder.
    fn fact(&mut self, node: NodeId, stops: &dyn Fn() -> bool) -> Result<Fact> {
        let (xattrs, hash) = match self.side.plan.kind(node) {
            NodeKind::File => {
                let content = self.open(node)?;
                let xattrs = self.xattrs(node, &content)?;
                let (hash, read) = self.hash(node, &content, stops)?;
                if read != self.side.plan.size(node) && !stops() {
                    return Err(self.changed(node));
                }
                (xattrs, Some(hash))
            }
            NodeKind::Dir => (self.dir_xattrs(node)?, None),
            NodeKind::Symlink | NodeKind::Special => (Xattrs::new(), None),
        };
        Ok(Fact {
            xattrs: Some(xattrs),
            hash,
            ..told(self.side, node)
        })
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

    /// The hash of all of the file `node`, and how many bytes were read for it. `stops` is
    /// asked whether to give up.
    pub(crate) fn hash(
        &mut self,
        node: NodeId,
        content: &Content<'_>,
        stops: &dyn Fn() -> bool,
    ) -> Result<(blake3::Hash, u64)> {
        let file = match content {
            Content::File(file) => file,
            Content::Known(fact) => {
                let hash = fact.hash;
                return Ok((hash.expect("files of equal sizes were hashed"), 0));
            }
        };
        let mut hasher = Hasher::new(self.side.plan.size(node), self.style);
        let mut at = 0;
        loop {
            let read = sys::read_at(file, &mut self.buffer, at)
                .map_err(|error| self.error("read", node, error))?;
            if read == 0 || stops() {
                return Ok((hasher.finish(stops), at));
            }
            hasher.take(at, &self.buffer[..read], stops);
            at += read as u64;
        }
    }

    /// An error about `node`, by its full path.
    pub(crate) fn error(&self, operation: &'static str, node: NodeId, error: io::Error) -> Error {
        Error::io(operation, self.path(node), error)
    }

    fn changed(&self, node: NodeId) -> Error {
        let cause = "changed while it was read";
        Error::new(ErrorKind::SourceChanged, "read", self.path(node), cause)
    }

    fn path(&self, node: NodeId) -> PathBuf {
        let path = self.side.plan.path(node);
        sys::join_bytes(self.side.shown, path.as_bytes())
    }
}
