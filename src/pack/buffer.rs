//! Bytes of a unit before they are compressed.
//!
//! A `Vec` would be filled with zeros before each file is read into it, for
//! nothing: 3 % of what packing a `.tar.zst` takes.

use std::ops::Deref;

/// A buffer that grows once and is filled again and again.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
}

impl Buffer {
    /// One that takes so many bytes without growing.
    pub(super) fn with_capacity(capacity: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(capacity),
            filled: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.filled = 0;
    }

    /// The next `length` bytes, to be filled; what is in them is anything.
    pub(super) fn grow(&mut self, length: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += length;
        if self.bytes.len() < self.filled {
            self.bytes.resize(self.filled, 0);
        }
        &mut self.bytes[start..self.filled]
    }

    /// What was filled from `start` on.
    pub(super) fn filled_mut(&mut self, start: usize) -> &mut [u8] {
        &mut self.bytes[start..self.filled]
    }

    pub(super) fn append(&mut self, bytes: &[u8]) {
        self.grow(bytes.len()).copy_from_slice(bytes);
    }

    /// Lets `add` append, which may only push.
    pub(super) fn append_by<T>(&mut self, add: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.bytes.truncate(self.filled);
        let added = add(&mut self.bytes);
        self.filled = self.bytes.len();
        added
    }

    pub(super) fn append_zeros(&mut self, length: usize) {
        self.grow(length).fill(0);
    }
}

impl Deref for Buffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}
