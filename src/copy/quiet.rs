//! Which files are known to have stood still, without a second look at each.
//!
//! A file whose change time lies before the operation began was not changed
//! since: nobody can set that time back. This holds on file systems that note
//! every change by this machine's own clock; on others, and for files that
//! were changed a moment ago, a file is looked at before and after it is read.

use crate::sys::{self, Dir, Stat, Timestamp};

/// How long before the operation's begin a change must lie: more than any
/// step of a kernel's clock, and than a small correction of it.
const MARGIN_SECS: i64 = 2;

/// What is known of the files of one source device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quiet {
    /// The device, and the time that changes must lie before.
    known: Option<(u64, Timestamp)>,
}

impl Quiet {
    /// Knows of no file that it stood still.
    pub(super) fn never() -> Self {
        Self { known: None }
    }

    /// Knows of the files on the device of `source`. Made before the scan.
    pub(super) fn since_now(source: &Dir) -> Self {
        let device = match sys::stat_dir(source) {
            Ok(stat) if sys::notes_changes(source) => stat.device,
            _ => return Self::never(),
        };
        let now = Timestamp::now();
        let before = Timestamp {
            secs: now.secs - MARGIN_SECS,
            nanos: now.nanos,
        };
        Self {
            known: Some((device, before)),
        }
    }

    /// The device whose files can be known to have stood still.
    pub(super) fn device(&self) -> Option<u64> {
        self.known.map(|(device, _)| device)
    }

    /// Whether a file that looks like `stat` after it was read has stood still
    /// since before the operation began.
    pub(super) fn covers(&self, stat: &Stat) -> bool {
        self.known
            .is_some_and(|(device, before)| stat.device == device && stat.changed < before)
    }
}
