//! Makes the deflate streams that zlib makes, bit for bit.
//!
//! A `.bcp` keeps what such a stream inflates to instead of the stream, and
//! makes the stream again when it is extracted (docs/format.md, Filters). That holds
//! only if the same bytes come out for ever, so no library that may be built in another
//! way or choose other matches can be used: this is zlib's method (`deflate` 1.2.12 to
//! 1.3.1, in one call, from the second level's hash chains to the order in which equal
//! nodes of a Huffman tree are joined), and its limits.

mod matches;
mod symbols;
mod trees;

use symbols::Symbols;

pub(crate) use matches::Deflater;

/// How zlib was set up: what `deflateInit2` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Setup {
    /// 1 to 9.
    pub level: u8,
    /// The window, as a power of two: 9 to 15.
    pub window: u8,
    pub memory: Memory,
    pub strategy: Strategy,
}

/// `memLevel`: how many symbols a block has at most, and how long hashes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Memory {
    /// 8, as everybody has it.
    Usual,
    /// 9, as some packers of images do.
    Most,
}

/// `strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Strategy {
    Usual,
    /// No matches of less than 6 bytes: for the rows of images.
    Filtered,
}

impl Memory {
    /// Bits of a hash.
    fn hash_bits(self) -> u32 {
        match self {
            Memory::Usual => 15,
            Memory::Most => 16,
        }
    }

    /// Symbols that end a block.
    fn symbols(self) -> usize {
        match self {
            Memory::Usual => (1 << 14) - 1,
            Memory::Most => (1 << 15) - 1,
        }
    }
}

/// Where the bytes of a stream go, block by block.
pub(crate) trait Output {
    /// Takes what was made so far, but for a part of a byte. Whether to go on.
    fn take(&mut self, bytes: &[u8]) -> bool;
}

/// Keeps all, up to a number of bytes.
pub(crate) struct Append<'o> {
    pub out: &'o mut Vec<u8>,
    /// Bytes that may still come.
    pub left: usize,
}

impl Output for Append<'_> {
    fn take(&mut self, bytes: &[u8]) -> bool {
        if bytes.len() > self.left {
            return false;
        }
        self.left -= bytes.len();
        self.out.extend_from_slice(bytes);
        true
    }
}

/// Compares with what is expected.
pub(crate) struct Compare<'e> {
    /// What has to come.
    pub rest: &'e [u8],
}

impl Output for Compare<'_> {
    fn take(&mut self, bytes: &[u8]) -> bool {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

/// The bits of a stream.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Bits {
    /// Appends the `count` lowest bits of `value`, which has no others.
    fn push(&mut self, value: u32, count: u32) {
        self.held |= u64::from(value) << self.count;
        self.count += count;
        if self.count >= u32::BITS {
            self.bytes
                .extend_from_slice(&(self.held as u32).to_le_bytes());
            self.held >>= u32::BITS;
            self.count -= u32::BITS;
        }
    }

    /// Fills the last byte.
    fn align(&mut self) {
        while self.count > 0 {
            self.bytes.push(self.held as u8);
            self.held >>= u8::BITS;
            self.count = self.count.saturating_sub(u8::BITS);
        }
    }

    /// Hands over all whole words.
    fn hand_over(&mut self, output: &mut impl Output) -> bool {
        let goes_on = output.take(&self.bytes);
        self.bytes.clear();
        goes_on
    }

    fn clear(&mut self) {
        self.bytes.clear();
        (self.held, self.count) = (0, 0);
    }
}

#[cfg(test)]
mod tests;
