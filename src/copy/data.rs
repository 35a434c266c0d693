//! Moving the bytes of one file, by whichever way the two devices allow.
//!
//! The way is settled once for each pair of devices ([`Routes`]) and only ever
//! steps down: reflink, copying inside the kernel where a server does the
//! work, reading and writing. Holes stay holes. What was moved how is counted
//! for the outcome.

use std::fs::File;
use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use crate::dest::storage::{Layout, Storage};
use crate::sys::{self, Extent, Stat};

/// Bytes read and written at a time. 256 KiB stay in the second-level cache
/// between the two calls: 37.7 ms for the scientific bundle on one thread,
/// against 40.2 ms with 64 KiB, 43.4 ms with 1 MiB and 44.6 ms with
/// `copy_file_range` (docs/performance.md).
pub(crate) const BUFFER: usize = 256 * 1024;

/// Whether copies share storage with the original.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reflink {
    /// Where the file system can.
    #[default]
    Auto,
    /// Or the operation fails.
    Always,
    /// Never: the copy stands on its own.
    Never,
}

/// One way of moving bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Method {
    /// The copy shares the original's storage.
    Reflink,
    /// Inside the kernel, or on the server.
    CopyFileRange,
    /// Through a buffer.
    ReadWrite,
}

impl Method {
    /// Returns the method's name as JSON documents write it.
    pub fn name(self) -> &'static str {
        match self {
            Method::Reflink => "reflink",
            Method::CopyFileRange => "copy_file_range",
            Method::ReadWrite => "read_write",
        }
    }

    const ALL: [Method; 3] = [Method::Reflink, Method::CopyFileRange, Method::ReadWrite];

    fn from_rank(rank: u8) -> Method {
        Method::ALL[usize::from(rank).min(2)]
    }
}

/// A failed read or write, and which of the two it was.
#[derive(Debug)]
pub(crate) enum Fault {
    Read(io::Error),
    Write(io::Error),
    /// The source ended before its size.
    Shrunk,
    /// `--reflink=always`, and this file can't.
    CannotShare(io::Error),
}

/// How bytes move between one pair of devices.
#[derive(Debug)]
pub(crate) struct Route {
    rank: AtomicU8,
    reflink: Reflink,
    storage: Storage,
    used: [AtomicBool; 3],
}

/// How many source devices have a route of their own: a tree has one, and one
/// more for each file system mounted in it. Those beyond share the last route.
const DEVICES: usize = 16;

/// The routes of one operation, one for each source device.
#[derive(Debug)]
pub(crate) struct Routes {
    reflink: Reflink,
    offloads: bool,
    storage: Storage,
    known: [OnceLock<(u64, Route)>; DEVICES],
    last: Route,
}

impl Routes {
    /// Prepares routes to the device of `destination`.
    pub(crate) fn new(destination: &sys::Dir, reflink: Reflink) -> Self {
        let offloads = sys::offloads_copies(destination);
        let storage = Storage::of(destination, u64::MAX);
        Self {
            reflink,
            offloads,
            storage,
            known: Default::default(),
            last: Route::new(Method::ReadWrite, reflink, storage),
        }
    }

    /// The route from the source device `device`.
    pub(crate) fn for_source(&self, device: u64) -> &Route {
        for slot in &self.known {
            let (known, route) = slot.get_or_init(|| (device, self.new_route()));
            if *known == device {
                return route;
            }
        }
        &self.last
    }

    fn new_route(&self) -> Route {
        let first = match self.reflink {
            Reflink::Auto | Reflink::Always => Method::Reflink,
            Reflink::Never => self.below_reflink(),
        };
        Route::new(first, self.reflink, self.storage)
    }

    fn below_reflink(&self) -> Method {
        match self.offloads {
            true => Method::CopyFileRange,
            false => Method::ReadWrite,
        }
    }

    /// The methods that moved anything.
    pub(crate) fn methods(&self) -> Vec<Method> {
        let known = self.known.iter().filter_map(OnceLock::get);
        let routes = known.map(|(_, route)| route).chain([&self.last]);
        let was_used =
            |route: &Route, method: Method| route.used[method as usize].load(Ordering::Relaxed);
        let routes: Vec<&Route> = routes.collect();
        let is_used = |method: &Method| routes.iter().any(|route| was_used(route, *method));
        Method::ALL.into_iter().filter(is_used).collect()
    }
}

/// What is copied from where to where.
#[derive(Clone, Copy)]
pub(crate) struct Pair<'f> {
    pub from: &'f File,
    pub to: &'f File,
}

impl Route {
    fn new(first: Method, reflink: Reflink, storage: Storage) -> Self {
        Self {
            rank: AtomicU8::new(first as u8),
            reflink,
            storage,
            used: Default::default(),
        }
    }

    /// Copies a whole file into the new, empty file `pair.to`. The first `head`
    /// bytes are in `buffer` already.
    pub(crate) fn copy_whole(
        &self,
        pair: Pair<'_>,
        stat: &Stat,
        head: usize,
        buffer: &mut [u8],
    ) -> Result<(), Fault> {
        if stat.size == 0 {
            return Ok(());
        }
        self.prepare(pair.to, stat).map_err(Fault::Write)?;
        if head > 0 {
            self.note(Method::ReadWrite);
            sys::write_all_at(pair.to, &buffer[..head], 0).map_err(Fault::Write)?;
        }
        self.copy_part(pair, stat, head as u64, stat.size, buffer)
    }

    /// Whether a file of this pair of devices is worth an attempt to share its storage.
    pub(crate) fn tries_to_share(&self, stat: &Stat) -> bool {
        stat.size > 0 && self.method() == Method::Reflink
    }

    /// Takes in what an attempt came to. Returns whether the storage is shared.
    pub(crate) fn has_shared(
        &self,
        routes: &Routes,
        shared: io::Result<()>,
    ) -> Result<bool, Fault> {
        match shared {
            Ok(()) => {
                self.note(Method::Reflink);
                Ok(true)
            }
            Err(error) if self.reflink == Reflink::Always => Err(Fault::CannotShare(error)),
            Err(error) if sys::is_unsupported(&error) => {
                let next = routes.below_reflink();
                self.rank.fetch_max(next as u8, Ordering::Relaxed);
                Ok(false)
            }
            Err(error) => Err(Fault::Write(error)),
        }
    }

    /// Gives the new file its size, and its storage where that gains anything.
    pub(crate) fn prepare(&self, to: &File, stat: &Stat) -> io::Result<()> {
        let layout = match is_sparse(stat) {
            true => Layout::Sparse,
            false => Layout::Dense,
        };
        self.storage.prepare(to, stat.size, layout)
    }

    /// Copies the bytes from `start` to `end`, leaving out holes.
    pub(crate) fn copy_part(
        &self,
        pair: Pair<'_>,
        stat: &Stat,
        start: u64,
        end: u64,
        buffer: &mut [u8],
    ) -> Result<(), Fault> {
        if !is_sparse(stat) {
            return self.copy_extent(pair, start, end, buffer);
        }
        let mut at = start;
        while at < end {
            let seek = |extent, at| match sys::seek_extent(pair.from, extent, at) {
                // A file system that can't tell has data everywhere.
                Err(error) if sys::is_unsupported(&error) => Ok(match extent {
                    Extent::Data => Some(at),
                    Extent::Hole => None,
                }),
                result => result.map_err(Fault::Read),
            };
            let Some(data) = seek(Extent::Data, at)?.filter(|data| *data < end) else {
                break;
            };
            let hole = seek(Extent::Hole, data)?.map_or(end, |hole| hole.min(end));
            // There are holes somewhere, yet none is told of: the file system
            // can't, and zeros are all that shows them.
            match data == start && hole == end {
                true => copy_nonzero(pair, data, hole, buffer)?,
                false => self.copy_extent(pair, data, hole, buffer)?,
            }
            at = hole;
        }
        Ok(())
    }

    fn copy_extent(
        &self,
        pair: Pair<'_>,
        start: u64,
        end: u64,
        buffer: &mut [u8],
    ) -> Result<(), Fault> {
        let mut at = start;
        while at < end && self.method() == Method::CopyFileRange {
            match sys::copy_range(pair.from, at, pair.to, at, end - at) {
                Ok(0) => return Err(Fault::Shrunk),
                Ok(copied) => {
                    self.note(Method::CopyFileRange);
                    at += copied;
                }
                Err(error) if sys::is_unsupported(&error) => {
                    self.rank
                        .fetch_max(Method::ReadWrite as u8, Ordering::Relaxed);
                }
                Err(error) => return Err(Fault::Write(error)),
            }
        }
        if at < end {
            self.note(Method::ReadWrite);
        }
        while at < end {
            let read = read_some(pair.from, at, end, buffer)?;
            sys::write_all_at(pair.to, &buffer[..read], at).map_err(Fault::Write)?;
            at += read as u64;
        }
        Ok(())
    }

    /// Whether several workers can copy one file: not where a server does it.
    pub(crate) fn can_share_work(&self) -> bool {
        self.method() != Method::CopyFileRange
    }

    pub(crate) fn method(&self) -> Method {
        Method::from_rank(self.rank.load(Ordering::Relaxed))
    }

    fn note(&self, method: Method) {
        let used = &self.used[method as usize];
        // A store alone would move the cache line between cores for each file.
        if !used.load(Ordering::Relaxed) {
            used.store(true, Ordering::Relaxed);
        }
    }
}

/// Reads what fits into `buffer` of the bytes from `at` to `end`, at least one.
fn read_some(from: &File, at: u64, end: u64, buffer: &mut [u8]) -> Result<usize, Fault> {
    let want = usize::try_from(end - at)
        .unwrap_or(usize::MAX)
        .min(buffer.len());
    match sys::read_at(from, &mut buffer[..want], at) {
        Ok(0) => Err(Fault::Shrunk),
        read => read.map_err(Fault::Read),
    }
}

/// Copies the blocks that aren't all zeros; the file has its size already.
fn copy_nonzero(pair: Pair<'_>, start: u64, end: u64, buffer: &mut [u8]) -> Result<(), Fault> {
    const BLOCK: usize = 4096;
    let mut at = start;
    while at < end {
        let read = read_some(pair.from, at, end, buffer)?;
        for (index, block) in buffer[..read].chunks(BLOCK).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                let offset = at + (index * BLOCK) as u64;
                sys::write_all_at(pair.to, block, offset).map_err(Fault::Write)?;
            }
        }
        at += read as u64;
    }
    Ok(())
}

/// Whether the file has holes, or storage that the file system doesn't count.
pub(crate) fn is_sparse(stat: &Stat) -> bool {
    stat.allocated < stat.size
}
