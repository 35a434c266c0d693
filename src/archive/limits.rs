//! How much an archive may hold.

use crate::entry::Member;
use crate::error::{ErrorKind, Refusal};

/// How much an archive may hold. The default sets no limit; one is for archives
/// from people whom you don't trust.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of content in all, holes included.
    pub bytes: Option<u64>,
    /// Members of any kind.
    pub entries: Option<u64>,
    /// Bytes that each byte of the archive expands to, a tar's headers included.
    /// Judged once it is more than 1 MiB in all.
    pub ratio: Option<u64>,
}

impl Limits {
    /// Limits for archives from anywhere: 16 GiB, 1,000,000 members, and 200
    /// bytes for each byte of the archive.
    pub fn untrusted() -> Self {
        Self {
            bytes: Some(16 << 30),
            entries: Some(1_000_000),
            ratio: Some(200),
        }
    }
}

/// Content below this is no bomb, whatever its ratio.
const RATIO_FROM: u64 = 1 << 20;

/// Counts members against the limits.
#[derive(Debug)]
pub(crate) struct Meter {
    limits: Limits,
    entries: u64,
    announced: u64,
    received: u64,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            entries: 0,
            announced: 0,
            received: 0,
        }
    }

    /// Counts what `member` says of itself.
    pub(crate) fn count(&mut self, member: &Member) -> Result<(), Refusal> {
        self.entries += 1;
        self.announced = self.announced.saturating_add(member.size);
        self.check_entries(self.entries)?;
        if self.limits.bytes.is_some_and(|most| self.announced > most) {
            return Err(too_many_bytes());
        }
        Ok(())
    }

    /// Checks how many members there are, or will be.
    pub(crate) fn check_entries(&self, entries: u64) -> Result<(), Refusal> {
        match self.limits.entries.is_some_and(|most| entries > most) {
            true => {
                let cause = "it holds more members than the limit allows";
                Err(exceeded(cause, "raise --max-entries if you trust it"))
            }
            false => Ok(()),
        }
    }

    /// Counts `bytes` that were decoded from the first `read` bytes of the archive.
    pub(crate) fn receive(&mut self, bytes: u64, read: u64) -> Result<(), Refusal> {
        self.received = self.received.saturating_add(bytes);
        self.check_ratio(self.received, read)
    }

    /// Counts content that nothing announced, as [`receive`](Self::receive) does.
    pub(crate) fn receive_content(&mut self, bytes: u64, read: u64) -> Result<(), Refusal> {
        self.receive(bytes, read)?;
        match self.limits.bytes.is_some_and(|most| self.received > most) {
            true => Err(too_many_bytes()),
            false => Ok(()),
        }
    }

    /// Checks what an index announces against the size of the whole archive.
    pub(crate) fn check_announced(&self, archive: u64) -> Result<(), Refusal> {
        self.check_ratio(self.announced, archive)
    }

    /// Checks `bytes` that come of the first `read` bytes of the archive.
    pub(crate) fn check_ratio(&self, bytes: u64, read: u64) -> Result<(), Refusal> {
        let Some(ratio) = self.limits.ratio else {
            return Ok(());
        };
        if bytes > RATIO_FROM && bytes / ratio.max(1) > read {
            let cause = "it expands to more than the limit allows";
            return Err(exceeded(cause, "raise --max-ratio if you trust it"));
        }
        Ok(())
    }
}

fn too_many_bytes() -> Refusal {
    let cause = "it holds more bytes than the limit allows";
    exceeded(cause, "raise --max-size if you trust it")
}

fn exceeded(cause: &str, hint: &'static str) -> Refusal {
    Refusal::new(ErrorKind::LimitExceeded, cause).with_hint(hint)
}
