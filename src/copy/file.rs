//! Copying one regular file: open, compare with what was listed, create, move
//! the bytes, set what belongs to it, and look again whether the source stood
//! still.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dest::attributes::{self, Attributes};
use crate::dest::writer::tampered;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::NodeId;
use crate::pool::Queue;
use crate::sys::{self, Dir, FileType, Stat};

use super::data::{self, Fault, Method, Pair, Route};
use super::tree::{Job, Shared, Sides, Worker};

/// Files from this size on are copied in parts, by all workers that are idle.
/// Smaller ones are done before another worker has opened them.
const LARGE: u64 = 8 * 1024 * 1024;

/// How much of a large file one worker copies at a time.
const PART: u64 = 2 * 1024 * 1024;

/// What became of one file.
pub(super) enum Copied {
    /// It was copied: this many bytes.
    Whole(u64),
    /// It has a name in the copy already, to be linked later.
    SameAs(NodeId),
}

/// A large file that idle workers help with.
pub(super) struct Large {
    pub node: NodeId,
    attributes: Attributes,
    /// What was created, so that a helper opens just that.
    created: Stat,
    next: AtomicU64,
    done: AtomicU64,
}

impl Large {
    /// Takes the next part to copy.
    fn claim(&self) -> Option<(u64, u64)> {
        let size = self.attributes.stat.size;
        let start = self.next.fetch_add(PART, Ordering::Relaxed);
        (start < size).then(|| (start, (start + PART).min(size)))
    }
}

/// A source file that was opened and looked at.
struct Opened {
    file: File,
    attributes: Attributes,
    /// The file stood still until it was looked at.
    is_quiet: bool,
    /// How many of its first bytes are in the buffer.
    head: usize,
}

impl<'s> Worker<'s> {
    /// Copies the file `node` from one folder into the other.
    pub(super) fn copy_file(
        &mut self,
        queue: &Queue<'_, Job>,
        sides: Sides<'_>,
        node: NodeId,
    ) -> Result<Copied> {
        let shared = self.shared;
        let file = self.open_source(sides.from, node);
        let opened = self.look_at(file, node)?;
        let stat = opened.attributes.stat;
        if stat.links > 1
            && let Some(first) = shared.first_name_of(&stat, node)
        {
            return Ok(Copied::SameAs(first));
        }
        let route = shared.routes.for_source(stat.device);
        let (created, is_shared) = self.create(sides.to, route, &opened, node)?;
        let pair = Pair {
            from: &opened.file,
            to: &created,
        };
        if is_shared {
            self.finish(pair, &opened.attributes, node)?;
        } else if stat.size >= LARGE && route.can_share_work() {
            self.copy_large(queue, route, pair, opened.attributes, node)?;
        } else {
            let buffer = &mut self.buffer;
            let moved = route.copy_whole(pair, &stat, opened.head, buffer);
            moved.map_err(|fault| shared.fault(node, fault))?;
            match opened.head as u64 == stat.size && opened.is_quiet {
                true => self.set_attributes(pair, &opened.attributes, node)?,
                false => self.finish(pair, &opened.attributes, node)?,
            }
        }
        sys::close_file(opened.file);
        sys::close_file(created);
        Ok(Copied::Whole(stat.size))
    }

    /// Makes the file of the copy. Returns whether it shares the storage of the source.
    fn create(
        &self,
        dir: &Dir,
        route: &Route,
        opened: &Opened,
        node: NodeId,
    ) -> Result<(File, bool)> {
        let shared = self.shared;
        let failed = |error| shared.create_error(node, error);
        let name = shared.target_plan().name(node);
        let mode = attributes::creation_mode(&self.wanted(&opened.attributes, node));
        if !route.tries_to_share(&opened.attributes.stat) {
            let file = sys::create_file(dir, name, mode).map_err(failed)?;
            return Ok((file, false));
        }
        let made = sys::create_clone(&opened.file, dir, name, mode);
        let (file, cloned) = made.map_err(failed)?;
        let is_shared = route.has_shared(&shared.routes, cloned);
        let is_shared = is_shared.map_err(|fault| shared.fault(node, fault))?;
        Ok((file, is_shared))
    }

    /// Looks at what was opened, which has to be what was listed. Its beginning
    /// is read on the way, where one look afterwards can tell that it stood
    /// still: for a small file that is all of it.
    fn look_at(&mut self, opened: io::Result<File>, node: NodeId) -> Result<Opened> {
        let shared = self.shared;
        let file = match opened {
            // Listed as a file a moment ago, and a link or gone by now.
            Err(error) if sys::is_not_a_real_dir(&error) => return Err(shared.changed(node)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(shared.changed(node));
            }
            opened => opened.map_err(|error| shared.source_error("open", node, error))?,
        };
        let failed = |error| shared.source_error("read", node, error);
        let read = match self.reads_first() {
            // An error shows itself again where a file that isn't quiet is read.
            true => sys::read_at(&file, &mut self.buffer, 0).ok(),
            false => None,
        };
        let stat = sys::stat_file(&file).map_err(failed)?;
        if stat.file_type != FileType::File {
            return Err(shared.changed(node));
        }
        let is_quiet = shared.quiet.covers(&stat);
        let head = read.filter(|_| is_quiet && !data::is_sparse(&stat));
        let xattrs = sys::file_xattrs(&file).map_err(failed)?;
        Ok(Opened {
            file,
            attributes: Attributes { stat, xattrs },
            is_quiet,
            head: head.unwrap_or(0),
        })
    }

    /// Whether files are read before they are looked at.
    fn reads_first(&self) -> bool {
        let quiet = self.shared.quiet;
        let route = quiet
            .device()
            .map(|device| self.shared.routes.for_source(device));
        route.is_some_and(|route| route.method() == Method::ReadWrite)
    }

    /// Copies a large file, and lets idle workers join.
    fn copy_large(
        &mut self,
        queue: &Queue<'_, Job>,
        route: &Route,
        pair: Pair<'_>,
        attributes: Attributes,
        node: NodeId,
    ) -> Result<()> {
        let shared = self.shared;
        let stat = attributes.stat;
        let prepared = route.prepare(pair.to, &stat);
        prepared.map_err(|error| shared.fault(node, Fault::Write(error)))?;
        let created = sys::stat_file(pair.to);
        let large = Arc::new(Large {
            node,
            attributes,
            created: created.map_err(|error| shared.fault(node, Fault::Write(error)))?,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
        });
        queue.offer(Job::Help(Arc::clone(&large)));
        self.copy_parts(queue, route, pair, &large)
    }

    /// Joins in on a large file, unless all of it is taken.
    pub(super) fn help(
        &mut self,
        queue: &Queue<'_, Job>,
        sides: Sides<'_>,
        large: &Large,
    ) -> Result<()> {
        let shared = self.shared;
        if large.next.load(Ordering::Relaxed) >= large.attributes.stat.size {
            return Ok(());
        }
        let file = self
            .open_source(sides.from, large.node)
            .map_err(|error| shared.source_error("open", large.node, error))?;
        let found = sys::stat_file(&file)
            .map_err(|error| shared.source_error("read", large.node, error))?;
        if !found.is_same_object(&large.attributes.stat) {
            return Err(shared.changed(large.node));
        }
        let name = shared.target_plan().name(large.node);
        let created = match sys::open_file_for_write(sides.to, name) {
            // Its mode may forbid a second opening: the first worker is enough.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(()),
            opened => opened.map_err(|error| shared.create_error(large.node, error))?,
        };
        let stat =
            sys::stat_file(&created).map_err(|error| shared.create_error(large.node, error))?;
        if !stat.is_same_object(&large.created) {
            return Err(tampered(shared.target_path(large.node)));
        }
        let route = shared.routes.for_source(found.device);
        let pair = Pair {
            from: &file,
            to: &created,
        };
        self.copy_parts(queue, route, pair, large)
    }

    /// Copies parts until none is left; whoever copies the last one finishes.
    fn copy_parts(
        &mut self,
        queue: &Queue<'_, Job>,
        route: &Route,
        pair: Pair<'_>,
        large: &Large,
    ) -> Result<()> {
        let shared = self.shared;
        let stat = &large.attributes.stat;
        while let Some((start, end)) = large.claim() {
            let moved = route.copy_part(pair, stat, start, end, &mut self.buffer);
            moved.map_err(|fault| shared.fault(large.node, fault))?;
            shared.counters.add(0, end - start);
            let done = large.done.fetch_add(end - start, Ordering::AcqRel) + end - start;
            if done == stat.size {
                self.finish(pair, &large.attributes, large.node)?;
            }
            if queue.is_stopped() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Sets what belongs to a file, and looks whether the source stood still.
    fn finish(&self, pair: Pair<'_>, attributes: &Attributes, node: NodeId) -> Result<()> {
        let shared = self.shared;
        self.set_attributes(pair, attributes, node)?;
        let now =
            sys::stat_file(pair.from).map_err(|error| shared.source_error("read", node, error))?;
        let before = &attributes.stat;
        // The change time too: a writer can set the modification time back.
        let is_same = now.size == before.size
            && now.modified == before.modified
            && now.changed == before.changed;
        if !is_same {
            return Err(shared.changed(node));
        }
        Ok(())
    }

    fn set_attributes(&self, pair: Pair<'_>, attributes: &Attributes, node: NodeId) -> Result<()> {
        let shared = self.shared;
        let attributes = self.wanted(attributes, node);
        attributes::finish_file(pair.to, &attributes, self.rules, &shared.losses)
            .map_err(|error| shared.create_error(node, error))
    }

    /// The attributes that `node` is to have, if the source has these.
    fn wanted<'a>(&self, attributes: &'a Attributes, node: NodeId) -> Cow<'a, Attributes> {
        let stat = self.shared.wanted(attributes.stat, node);
        let is_same =
            (stat.mode, stat.modified) == (attributes.stat.mode, attributes.stat.modified);
        match is_same {
            true => Cow::Borrowed(attributes),
            false => Cow::Owned(Attributes {
                stat,
                xattrs: attributes.xattrs.clone(),
            }),
        }
    }
}

impl Shared<'_> {
    /// The error of a source that didn't stand still.
    pub(super) fn changed(&self, node: NodeId) -> Error {
        Error::new(
            ErrorKind::SourceChanged,
            "copy",
            self.source_path(node),
            "it changed while it was copied",
        )
        .with_hint("stop what writes to the source, and copy again")
    }

    fn fault(&self, node: NodeId, fault: Fault) -> Error {
        match fault {
            Fault::Read(error) => self.source_error("read", node, error),
            Fault::Write(error) => Error::io("write", self.target_path(node), error),
            Fault::Shrunk => self.changed(node),
            Fault::CannotShare(error) => Error::io("reflink", self.target_path(node), error)
                .with_kind(ErrorKind::Unsupported)
                .with_hint("--reflink=auto copies the bytes where storage can't be shared"),
        }
    }
}
