//! Huffman trees as zlib builds them: `build_tree`, `gen_bitlen`, `gen_codes`,
//! `scan_tree`. Which of two equal nodes comes first decides about bits.

use super::Bits;
use super::symbols::{DISTANCE_BITS, LENGTH_BITS};

/// Symbols of the largest tree.
const LITERALS: usize = 286;
const DISTANCES: usize = 30;
const LENGTHS: usize = 19;
/// Nodes of the largest tree, and one more: zlib's `HEAP_SIZE`.
const NODES: usize = 2 * LITERALS + 1;
/// The longest code, bits.
const LONGEST: usize = 15;

/// The order in which the lengths' lengths are written (RFC 1951, 3.2.7).
pub(super) const LENGTH_ORDER: [usize; LENGTHS] = [
    16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
];
/// Repeats the last length 3 to 6 times.
const REPEAT: usize = 16;
/// 3 to 10 times, and 11 to 138 times, no code.
const ZEROS: usize = 17;
const MANY_ZEROS: usize = 18;
const REPEAT_BITS: [u8; LENGTHS] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 3, 7];

/// What a tree is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Literals, the end of a block, and lengths of matches.
    Literals,
    Distances,
    /// Lengths of codes.
    Lengths,
}

impl Kind {
    fn symbols(self) -> usize {
        match self {
            Kind::Literals => LITERALS,
            Kind::Distances => DISTANCES,
            Kind::Lengths => LENGTHS,
        }
    }

    fn longest(self) -> usize {
        match self {
            Kind::Literals | Kind::Distances => LONGEST,
            Kind::Lengths => 7,
        }
    }

    /// Bits behind a symbol.
    fn extra(self, symbol: usize) -> u8 {
        const FIRST_LENGTH: usize = 257;
        let bits = match self {
            Kind::Literals => symbol
                .checked_sub(FIRST_LENGTH)
                .and_then(|at| LENGTH_BITS.get(at)),
            Kind::Distances => DISTANCE_BITS.get(symbol),
            Kind::Lengths => REPEAT_BITS.get(symbol),
        };
        bits.copied().unwrap_or(0)
    }

    /// Bits of a symbol's fixed code (RFC 1951, 3.2.6).
    fn fixed(self, symbol: usize) -> u8 {
        match (self, symbol) {
            (Kind::Literals, 144..256) => 9,
            (Kind::Literals, 256..280) => 7,
            (Kind::Literals, _) => 8,
            (Kind::Distances, _) => 5,
            (Kind::Lengths, _) => 0,
        }
    }
}

/// One tree, and how often its symbols come in a block.
pub(super) struct Tree {
    kind: Kind,
    /// Of each symbol, then of each node above.
    frequencies: [u16; NODES],
    lengths: [u8; NODES],
    codes: [u16; LITERALS + 2],
    /// Symbols up to the last one that comes.
    used: usize,
    bits: u64,
    fixed_bits: u64,
}

/// Nodes in the order in which they are joined.
struct Heap {
    nodes: [u16; NODES],
    length: usize,
    depths: [u8; NODES],
}

impl Tree {
    pub(super) fn new(kind: Kind) -> Self {
        Self {
            kind,
            frequencies: [0; NODES],
            lengths: [0; NODES],
            codes: [0; LITERALS + 2],
            used: 0,
            bits: 0,
            fixed_bits: 0,
        }
    }

    /// Forgets the symbols of the last block.
    pub(super) fn begin(&mut self) {
        self.frequencies[..self.kind.symbols()].fill(0);
    }

    pub(super) fn count(&mut self, symbol: usize) {
        self.frequencies[symbol] += 1;
    }

    /// Symbols up to the last one that has a code.
    pub(super) fn used(&self) -> usize {
        self.used
    }

    /// Bits of a symbol's code; 0: it has none.
    pub(super) fn length(&self, symbol: usize) -> u8 {
        self.lengths[symbol]
    }

    /// Bits of all symbols, with what is behind them.
    pub(super) fn bits(&self) -> u64 {
        self.bits
    }

    /// The same with the fixed codes.
    pub(super) fn fixed_bits(&self) -> u64 {
        self.fixed_bits
    }

    pub(super) fn push(&self, symbol: usize, bits: &mut Bits) {
        let length = u32::from(self.lengths[symbol]);
        bits.push(u32::from(self.codes[symbol]), length);
    }

    /// Takes the fixed codes.
    pub(super) fn make_fixed(&mut self) {
        // Two symbols that never come have codes as well.
        let count = match self.kind {
            Kind::Literals => LITERALS + 2,
            Kind::Distances | Kind::Lengths => self.kind.symbols(),
        };
        for symbol in 0..count {
            self.lengths[symbol] = self.kind.fixed(symbol);
        }
        self.make_codes(count);
    }

    /// Finds the codes for what was counted.
    pub(super) fn build(&mut self) {
        let symbols = self.kind.symbols();
        let mut heap = Heap {
            nodes: [0; NODES],
            length: 0,
            depths: [0; NODES],
        };
        self.lengths[..symbols].fill(0);
        self.used = 0;
        for symbol in 0..symbols {
            if self.frequencies[symbol] != 0 {
                heap.push(symbol);
                self.used = symbol + 1;
            }
        }
        // A tree has two codes at least; the added ones come nowhere.
        let mut added = Vec::new();
        while heap.length < 2 {
            let symbol = match self.used {
                0..=2 => {
                    self.used += 1;
                    self.used - 1
                }
                _ => 0,
            };
            self.frequencies[symbol] = 1;
            heap.push(symbol);
            added.push(symbol);
        }
        let (parents, order) = self.join(&mut heap);
        self.measure(&parents, &order);
        self.make_codes(self.used);
        for symbol in added {
            self.bits -= 1;
            self.fixed_bits -= u64::from(self.kind.fixed(symbol));
        }
    }

    /// Joins the two rarest nodes until there is one. Returns the node above
    /// each, and all nodes, the root first.
    fn join(&mut self, heap: &mut Heap) -> ([u16; NODES], Vec<u16>) {
        let frequencies = &mut self.frequencies;
        for place in (1..=heap.length / 2).rev() {
            heap.sink(place, frequencies);
        }
        let mut parents = [0; NODES];
        let mut order = Vec::with_capacity(NODES);
        let mut node = self.kind.symbols();
        while heap.length >= 2 {
            let one = heap.nodes[1];
            heap.nodes[1] = heap.nodes[heap.length];
            heap.length -= 1;
            heap.sink(1, frequencies);
            let other = heap.nodes[1];
            order.extend([one, other]);
            let (one, other) = (usize::from(one), usize::from(other));
            frequencies[node] = frequencies[one] + frequencies[other];
            heap.depths[node] = heap.depths[one].max(heap.depths[other]) + 1;
            parents[one] = node as u16;
            parents[other] = node as u16;
            heap.nodes[1] = node as u16;
            node += 1;
            heap.sink(1, frequencies);
        }
        order.push(heap.nodes[1]);
        order.reverse();
        (parents, order)
    }

    /// Gives each symbol the length of its code, the root's nodes in `order`.
    fn measure(&mut self, parents: &[u16; NODES], order: &[u16]) {
        let longest = self.kind.longest();
        let symbols = self.kind.symbols();
        let mut counts = [0_u16; LONGEST + 1];
        let mut too_long = 0_i32;
        (self.bits, self.fixed_bits) = (0, 0);
        for (place, node) in order.iter().map(|node| usize::from(*node)).enumerate() {
            let above = match place {
                0 => None,
                _ => Some(usize::from(self.lengths[usize::from(parents[node])])),
            };
            let mut length = above.map_or(0, |above| above + 1);
            if length > longest {
                length = longest;
                too_long += 1;
            }
            self.lengths[node] = length as u8;
            if node < symbols {
                counts[length] += 1;
                let times = u64::from(self.frequencies[node]);
                let extra = u64::from(self.kind.extra(node));
                self.bits += times * (length as u64 + extra);
                self.fixed_bits += times * (u64::from(self.kind.fixed(node)) + extra);
            }
        }
        if too_long > 0 {
            make_room(&mut counts, longest, too_long);
            self.shorten(&counts, longest, order);
        }
    }

    /// Gives the rarest symbols the longest codes anew.
    fn shorten(&mut self, counts: &[u16; LONGEST + 1], longest: usize, order: &[u16]) {
        let symbols = self.kind.symbols();
        let leaves = order.iter().map(|node| usize::from(*node));
        let mut leaves = leaves.rev().filter(|node| *node < symbols);
        for length in (1..=longest).rev() {
            for symbol in leaves.by_ref().take(usize::from(counts[length])) {
                let times = u64::from(self.frequencies[symbol]);
                self.bits += times * length as u64;
                self.bits -= times * u64::from(self.lengths[symbol]);
                self.lengths[symbol] = length as u8;
            }
        }
    }

    fn make_codes(&mut self, count: usize) {
        let mut counts = [0_u16; LONGEST + 1];
        for length in &self.lengths[..count] {
            counts[usize::from(*length)] += 1;
        }
        counts[0] = 0;
        let mut next = [0_u16; LONGEST + 1];
        for length in 1..=LONGEST {
            next[length] = (next[length - 1] + counts[length - 1]) << 1;
        }
        for symbol in 0..count {
            let length = self.lengths[symbol];
            if length != 0 {
                let code = &mut next[usize::from(length)];
                self.codes[symbol] = code.reverse_bits() >> (u16::BITS - u32::from(length));
                *code += 1;
            }
        }
    }

    /// The symbols that tell the lengths of all codes: each with what is behind
    /// it, and the bits of that.
    pub(super) fn runs(&self, mut tell: impl FnMut(usize, u32, u32)) {
        let lengths = &self.lengths[..self.used];
        let mut before = None;
        let mut at = 0;
        while at < lengths.len() {
            let length = lengths[at];
            let most = match (length, before == Some(length)) {
                (0, _) => 138,
                (_, true) => 6,
                (_, false) => 7,
            };
            let alike = lengths[at..].iter().take(most);
            let count = alike.take_while(|other| **other == length).count();
            let symbol = usize::from(length);
            at += count;
            // A length that is repeated is told before it, once.
            let repeats = match (length, before == Some(length)) {
                (0, _) | (_, true) => count,
                (_, false) => count - 1,
            };
            match (length, repeats) {
                (_, 0..3) => (0..count).for_each(|_| tell(symbol, 0, 0)),
                (0, 3..=10) => tell(ZEROS, count as u32 - 3, 3),
                (0, _) => tell(MANY_ZEROS, count as u32 - 11, 7),
                (_, _) => {
                    if repeats < count {
                        tell(symbol, 0, 0);
                    }
                    tell(REPEAT, repeats as u32 - 3, 2);
                }
            }
            before = Some(length);
        }
    }
}

/// Makes room for codes that were too long: a shorter one is made longer for
/// each two.
fn make_room(counts: &mut [u16; LONGEST + 1], longest: usize, mut too_long: i32) {
    while too_long > 0 {
        let shorter = (1..longest).rev().find(|length| counts[*length] != 0);
        let Some(shorter) = shorter else { break };
        counts[shorter] -= 1;
        counts[shorter + 1] += 2;
        counts[longest] -= 1;
        too_long -= 2;
    }
}

impl Heap {
    fn push(&mut self, symbol: usize) {
        self.length += 1;
        self.nodes[self.length] = symbol as u16;
    }

    /// Moves a node down to where it belongs: zlib's `pqdownheap`.
    fn sink(&mut self, mut place: usize, frequencies: &[u16; NODES]) {
        let is_smaller = |one: u16, other: u16, depths: &[u8; NODES]| {
            let key = |node: u16| (frequencies[usize::from(node)], depths[usize::from(node)]);
            key(one) <= key(other)
        };
        let moved = self.nodes[place];
        let mut below = place * 2;
        while below <= self.length {
            let next = below + 1;
            if next <= self.length && is_smaller(self.nodes[next], self.nodes[below], &self.depths)
            {
                below = next;
            }
            if is_smaller(moved, self.nodes[below], &self.depths) {
                break;
            }
            self.nodes[place] = self.nodes[below];
            place = below;
            below *= 2;
        }
        self.nodes[place] = moved;
    }
}
