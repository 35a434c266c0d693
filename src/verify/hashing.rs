//! The hash of one file's content, as it comes out of an archive.

use crate::plan::NodeId;

use super::side::Sizes;

/// What holes read as.
static ZEROS: [u8; 64 << 10] = [0; 64 << 10];

/// Hashes content that comes in order, holes included.
#[derive(Default)]
pub(super) struct Hasher {
    hasher: Box<blake3::Hasher>,
    at: u64,
}

impl Hasher {
    /// Takes the bytes that stand at `offset` in the file, never before those
    /// that were taken. `stops` is asked in long holes whether to give up.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8], stops: &dyn Fn() -> bool) {
        self.skip_to(offset, stops);
        self.hasher.update(bytes);
        self.at += bytes.len() as u64;
    }

    /// The hash of a file of `size` bytes.
    pub(super) fn finish(mut self, size: u64, stops: &dyn Fn() -> bool) -> blake3::Hash {
        self.skip_to(size, stops);
        self.hasher.finalize()
    }

    fn skip_to(&mut self, offset: u64, stops: &dyn Fn() -> bool) {
        let mut left = offset.saturating_sub(self.at);
        while left > 0 && !stops() {
            let most = left.min(ZEROS.len() as u64);
            self.hasher.update(&ZEROS[..most as usize]);
            left -= most;
        }
        self.at = self.at.max(offset);
    }
}

/// Hashes the content of one file, if somebody compares it.
pub(super) struct Hashing {
    node: NodeId,
    size: u64,
    /// `None` for a file that nobody compares.
    hasher: Option<Hasher>,
}

impl Hashing {
    /// Begins with the file `node` of `size` bytes.
    pub(super) fn new(node: NodeId, size: u64, sizes: &Sizes) -> Self {
        Self {
            node,
            size,
            hasher: sizes.has(size).then(Hasher::default),
        }
    }

    /// As [`Hasher::take`].
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8], stops: &dyn Fn() -> bool) {
        if let Some(hasher) = &mut self.hasher {
            hasher.take(offset, bytes, stops);
        }
    }

    /// The hash of all.
    pub(super) fn finish(self, stops: &dyn Fn() -> bool) -> (NodeId, Option<blake3::Hash>) {
        let hash = self.hasher.map(|hasher| hasher.finish(self.size, stops));
        (self.node, hash)
    }
}
