//! How an operation tells its caller how far it is, and how the caller stops it.
//!
//! Workers only count; the thread that called the operation reports. A
//! [`Progress`] is therefore never called from two threads at once, nor from
//! a thread that the caller doesn't know.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How often an operation reports while it runs.
pub(crate) const REPORT_EVERY: Duration = Duration::from_millis(50);

/// What an operation is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Reading the source's folders.
    Scanning,
    /// Moving bytes.
    Copying,
    /// Writing what an archive holds.
    Extracting,
    /// Compressing into an archive.
    Packing,
    /// Comparing contents.
    Verifying,
    /// Reading contents for a manifest.
    Hashing,
    /// Looking for what is wrong with a bundle.
    Examining,
    /// Moving the finished tree to its place, and removing what it replaces.
    Publishing,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Entries done: files, folders and links.
    pub entries: u64,
    /// Entries in all, once they are known.
    pub entries_total: Option<u64>,
    /// Bytes of content done.
    pub bytes: u64,
    /// Bytes of content in all, once they are known.
    pub bytes_total: Option<u64>,
}

/// Receives the status of an operation, about twenty times a second.
pub trait Progress {
    /// Is told how far the operation is; `Break` stops it and leaves the
    /// destination as it was.
    fn report(&self, status: &Status) -> ControlFlow<()>;

    /// Whether [`Status::bytes_total`] is wanted, which costs one look at each
    /// file beforehand.
    fn wants_bytes_total(&self) -> bool {
        false
    }
}

/// Reports to nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn report(&self, _: &Status) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// What the workers of one operation have done so far.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    entries: AtomicU64,
    bytes: AtomicU64,
}

impl Counters {
    pub(crate) fn add(&self, entries: u64, bytes: u64) {
        self.entries.fetch_add(entries, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// The counts with what is known of the whole.
    pub(crate) fn status(&self, phase: Phase, total: Total) -> Status {
        Status {
            phase,
            entries: self.entries.load(Ordering::Relaxed),
            entries_total: total.entries,
            bytes: self.bytes.load(Ordering::Relaxed),
            bytes_total: total.bytes,
        }
    }
}

/// What is known of the whole.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Total {
    pub entries: Option<u64>,
    pub bytes: Option<u64>,
}
