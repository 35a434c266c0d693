//! The symbols of a block, and how a block is written: zlib's `_tr_tally`,
//! `_tr_flush_block` and what they call.

use super::Bits;
use super::trees::{Kind, LENGTH_ORDER, Tree};

/// The first of the symbols for lengths; the one before it ends a block.
const LENGTHS: usize = 257;
const END: usize = 256;

/// Bits behind each length's symbol (RFC 1951, 3.2.5).
pub(super) const LENGTH_BITS: [u8; 29] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
];
/// Bits behind each distance's symbol.
pub(super) const DISTANCE_BITS: [u8; 30] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13,
    13,
];

/// Block types (RFC 1951, 3.2.3).
const STORED: u32 = 0;
const FIXED: u32 = 1;
const DYNAMIC: u32 = 2;

/// The symbols of one block, and how often each comes.
pub(super) struct Symbols {
    /// A distance and a length less 3; or 0 and a literal.
    all: Vec<(u16, u8)>,
    most: usize,
    literals: Tree,
    distances: Tree,
    lengths: Tree,
}

impl Default for Symbols {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            most: 0,
            literals: Tree::new(Kind::Literals),
            distances: Tree::new(Kind::Distances),
            lengths: Tree::new(Kind::Lengths),
        }
    }
}

impl Symbols {
    /// Begins a stream whose blocks have `most` symbols at most.
    pub(super) fn reset(&mut self, most: usize) {
        self.most = most;
        self.begin();
    }

    fn begin(&mut self) {
        self.all.clear();
        for tree in [&mut self.literals, &mut self.distances, &mut self.lengths] {
            tree.begin();
        }
        self.literals.count(END);
    }

    /// Whether the block is full then.
    pub(super) fn push_literal(&mut self, byte: u8) -> bool {
        self.all.push((0, byte));
        self.literals.count(usize::from(byte));
        self.all.len() == self.most
    }

    /// Whether the block is full then.
    pub(super) fn push_match(&mut self, length: usize, distance: usize) -> bool {
        let length = (length - 3) as u8;
        self.all.push((distance as u16, length));
        self.literals.count(LENGTHS + length_symbol(length).0);
        self.distances.count(distance_symbol(distance as u16).0);
        self.all.len() == self.most
    }

    /// Writes the block, whose data is `stored` if that is known, in the form
    /// that zlib would choose, and begins the next.
    pub(super) fn write(&mut self, stored: Option<&[u8]>, is_last: bool, bits: &mut Bits) {
        const TYPE_BITS: u64 = 3;
        /// Bytes of a stored block's length and its complement.
        const STORED_HEAD: u64 = 4;
        self.literals.build();
        self.distances.build();
        let count = self.count_lengths();
        let fixed = self.literals.fixed_bits() + self.distances.fixed_bits();
        let dynamic = self.literals.bits()
            + self.distances.bits()
            + self.lengths.bits()
            + 3 * count as u64
            + (5 + 5 + 4);
        let fixed = (fixed + TYPE_BITS).div_ceil(8);
        let best = (dynamic + TYPE_BITS).div_ceil(8).min(fixed);
        let last = u32::from(is_last);
        match stored {
            Some(data) if data.len() as u64 + STORED_HEAD <= best => {
                bits.push(STORED << 1 | last, TYPE_BITS as u32);
                push_stored(data, bits);
            }
            Some(_) | None if fixed == best => {
                bits.push(FIXED << 1 | last, TYPE_BITS as u32);
                self.literals.make_fixed();
                self.distances.make_fixed();
                self.push_all(bits);
            }
            Some(_) | None => {
                bits.push(DYNAMIC << 1 | last, TYPE_BITS as u32);
                self.push_trees(count, bits);
                self.push_all(bits);
            }
        }
        self.begin();
        if is_last {
            bits.align();
        }
    }

    /// Builds the tree for the lengths of the others. Returns how many of its
    /// own lengths are written.
    fn count_lengths(&mut self) -> usize {
        for tree in [&self.literals, &self.distances] {
            tree.runs(|symbol, _, _| self.lengths.count(symbol));
        }
        self.lengths.build();
        let is_used = |place: &usize| self.lengths.length(LENGTH_ORDER[*place]) != 0;
        (3..LENGTH_ORDER.len()).rev().find(is_used).unwrap_or(2) + 1
    }

    fn push_trees(&self, count: usize, bits: &mut Bits) {
        bits.push((self.literals.used() - LENGTHS) as u32, 5);
        bits.push((self.distances.used() - 1) as u32, 5);
        bits.push((count - 4) as u32, 4);
        for symbol in &LENGTH_ORDER[..count] {
            bits.push(u32::from(self.lengths.length(*symbol)), 3);
        }
        for tree in [&self.literals, &self.distances] {
            tree.runs(|symbol, extra, width| {
                self.lengths.push(symbol, bits);
                bits.push(extra, width);
            });
        }
    }

    fn push_all(&self, bits: &mut Bits) {
        for (distance, value) in &self.all {
            if *distance == 0 {
                self.literals.push(usize::from(*value), bits);
                continue;
            }
            let (symbol, extra) = length_symbol(*value);
            self.literals.push(LENGTHS + symbol, bits);
            bits.push(extra, u32::from(LENGTH_BITS[symbol]));
            let (symbol, extra) = distance_symbol(*distance);
            self.distances.push(symbol, bits);
            bits.push(extra, u32::from(DISTANCE_BITS[symbol]));
        }
        self.literals.push(END, bits);
    }
}

fn push_stored(data: &[u8], bits: &mut Bits) {
    bits.align();
    let length = data.len() as u16;
    bits.bytes.extend_from_slice(&length.to_le_bytes());
    bits.bytes.extend_from_slice(&(!length).to_le_bytes());
    bits.bytes.extend_from_slice(data);
}

/// The symbol of a length less 3, from the first one for lengths, and what is
/// behind it.
fn length_symbol(length: u8) -> (usize, u32) {
    const LONGEST: u8 = 255;
    match length {
        LONGEST => (28, 0),
        0..8 => (usize::from(length), 0),
        8..LONGEST => {
            let extra = length.ilog2() - 2;
            let symbol = 4 * extra as usize + usize::from(length >> extra);
            (symbol, u32::from(length) & ((1 << extra) - 1))
        }
    }
}

/// The symbol of a distance, and what is behind it.
fn distance_symbol(distance: u16) -> (usize, u32) {
    let distance = u32::from(distance) - 1;
    if distance < 4 {
        return (distance as usize, 0);
    }
    let extra = distance.ilog2() - 1;
    let symbol = 2 * extra + (distance >> extra);
    (symbol as usize, distance & ((1 << extra) - 1))
}
