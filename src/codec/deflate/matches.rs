//! Finds matches as zlib does: `deflate_fast`, `deflate_slow`, `longest_match`.

use super::{Bits, Output, Setup, Strategy, Symbols};

const MIN_MATCH: usize = 3;
const MAX_MATCH: usize = 258;
/// Bytes that have to be known behind the place where matches are searched.
const AHEAD: usize = MAX_MATCH + MIN_MATCH + 1;
/// A match of three bytes from further away costs more than the bytes.
const TOO_FAR: usize = 4096;
/// Bytes in front of which no match lies.
const NONE: u32 = 0;

/// What a level means: zlib's `configuration_table`.
struct Effort {
    /// A match of this length is good: a quarter of the places is searched for a longer one.
    good: usize,
    /// A match of this length is not given up for one at the next byte.
    lazy: usize,
    /// A match of this length is not searched further.
    nice: usize,
    /// Places that are looked at.
    chain: u32,
    is_lazy: bool,
}

const fn effort(good: usize, lazy: usize, nice: usize, chain: u32, is_lazy: bool) -> Effort {
    Effort {
        good,
        lazy,
        nice,
        chain,
        is_lazy,
    }
}

const EFFORTS: [Effort; 9] = [
    effort(4, 4, 8, 4, false),
    effort(4, 5, 16, 8, false),
    effort(4, 6, 32, 32, false),
    effort(4, 4, 16, 16, true),
    effort(8, 16, 32, 32, true),
    effort(8, 16, 128, 128, true),
    effort(8, 32, 128, 256, true),
    effort(32, 128, 258, 1024, true),
    effort(32, 258, 258, 4096, true),
];

/// Makes one stream after the other.
#[derive(Default)]
pub(crate) struct Deflater {
    /// The last place of each hash.
    heads: Vec<u32>,
    /// The place before each that has the same hash.
    before: Vec<u32>,
    symbols: Symbols,
    bits: Bits,
}

/// The data of a stream, and where in it the search is.
struct Search<'s> {
    data: &'s [u8],
    setup: Setup,
    effort: &'static Effort,
    at: usize,
    /// Where zlib's window begins.
    window: usize,
    /// Where the block begins.
    block: usize,
    hash: usize,
}

/// A match, or none: a length below [`MIN_MATCH`].
#[derive(Clone, Copy)]
struct Match {
    start: usize,
    length: usize,
}

impl Deflater {
    /// Gives the stream for `data`, less than 4 GiB, to `output`. Returns whether
    /// that took all of it.
    pub(crate) fn deflate(&mut self, data: &[u8], setup: Setup, output: &mut impl Output) -> bool {
        self.heads.clear();
        self.heads.resize(1 << setup.memory.hash_bits(), NONE);
        self.before.resize(1 << setup.window, NONE);
        self.symbols.reset(setup.memory.symbols());
        self.bits.clear();
        let mut search = Search {
            data,
            setup,
            effort: &EFFORTS[usize::from(setup.level - 1)],
            at: 0,
            window: 0,
            block: 0,
            hash: 0,
        };
        for byte in data.iter().take(MIN_MATCH - 1) {
            search.roll(*byte);
        }
        let goes_on = match search.effort.is_lazy {
            true => self.deflate_lazily(&mut search, output),
            false => self.deflate_at_once(&mut search, output),
        };
        goes_on && {
            search.at = data.len();
            self.end_block(&mut search, true, output)
        }
    }

    /// zlib's `deflate_fast`. Whether all went to `output`.
    fn deflate_at_once(&mut self, search: &mut Search<'_>, output: &mut impl Output) -> bool {
        while search.slide() > 0 {
            let mut found = Match {
                start: 0,
                length: 0,
            };
            if let Some(head) = self.insert(search) {
                found = self.longest(search, head, MIN_MATCH - 1, 0);
            }
            let is_full = if found.length >= MIN_MATCH {
                let distance = search.at - found.start;
                let is_full = self.symbols.push_match(found.length, distance);
                self.pass(search, found.length);
                is_full
            } else {
                let is_full = self.symbols.push_literal(search.data[search.at]);
                search.at += 1;
                is_full
            };
            if is_full && !self.end_block(search, false, output) {
                return false;
            }
        }
        true
    }

    /// Passes over a match, whose places are remembered if it is short.
    fn pass(&mut self, search: &mut Search<'_>, length: usize) {
        let behind = search.data.len() - search.at - length;
        if length <= search.effort.lazy && behind >= MIN_MATCH {
            for _ in 1..length {
                search.at += 1;
                self.insert(search);
            }
            search.at += 1;
        } else {
            search.at += length;
            search.hash = 0;
            for at in search.at..(search.at + MIN_MATCH - 1).min(search.data.len()) {
                search.roll(search.data[at]);
            }
        }
    }

    /// zlib's `deflate_slow`: a match is taken only if none that begins at the
    /// next byte is longer. Whether all went to `output`.
    fn deflate_lazily(&mut self, search: &mut Search<'_>, output: &mut impl Output) -> bool {
        const NOTHING: usize = MIN_MATCH - 1;
        let mut found = Match {
            start: 0,
            length: NOTHING,
        };
        let mut has_literal = false;
        while search.slide() > 0 {
            let head = self.insert(search);
            let previous = found;
            found.length = NOTHING;
            if let Some(head) = head
                && previous.length < search.effort.lazy
            {
                found = self.longest(search, head, previous.length, previous.start);
                if found.length <= 5 && search.is_poor(found) {
                    found.length = NOTHING;
                }
            }
            let mut is_full = false;
            if previous.length >= MIN_MATCH && found.length <= previous.length {
                let distance = search.at - 1 - previous.start;
                is_full = self.symbols.push_match(previous.length, distance);
                for _ in 2..previous.length {
                    search.at += 1;
                    self.insert(search);
                }
                has_literal = false;
                found.length = NOTHING;
                search.at += 1;
                if is_full && !self.end_block(search, false, output) {
                    return false;
                }
                continue;
            }
            if has_literal {
                is_full = self.symbols.push_literal(search.data[search.at - 1]);
            }
            if is_full && !self.end_block(search, false, output) {
                return false;
            }
            has_literal = true;
            search.at += 1;
        }
        if has_literal {
            self.symbols.push_literal(search.data[search.at - 1]);
        }
        true
    }

    /// Remembers the place. Returns the last one of the same hash, if it is
    /// within reach. zlib takes the window's first byte for no place at all.
    fn insert(&mut self, search: &mut Search<'_>) -> Option<usize> {
        let at = search.at;
        search.roll(*search.data.get(at + MIN_MATCH - 1)?);
        let head = std::mem::replace(&mut self.heads[search.hash], at as u32);
        let mask = self.before.len() - 1;
        self.before[at & mask] = head;
        let is_near = head as usize > search.window && at - head as usize <= search.reach();
        is_near.then_some(head as usize)
    }

    /// zlib's `longest_match`: the first of the longest that are more than
    /// `best` bytes; else what was known.
    fn longest(&self, search: &Search<'_>, head: usize, best: usize, start: usize) -> Match {
        let (data, at, effort) = (search.data, search.at, search.effort);
        let ahead = data.len() - at;
        let mut found = Match {
            start,
            length: best,
        };
        if best >= ahead {
            found.length = ahead;
            return found;
        }
        let mut chain = match best >= effort.good {
            true => effort.chain >> 2,
            false => effort.chain,
        };
        let nice = effort.nice.min(ahead);
        let limit = at.saturating_sub(search.reach());
        let mask = self.before.len() - 1;
        let here = &data[at..at + ahead.min(MAX_MATCH)];
        let mut place = head;
        loop {
            let there = &data[place..place + here.len()];
            let last = found.length;
            if there[last] == here[last] && there[last - 1] == here[last - 1] {
                let length = common(here, there);
                if length > found.length {
                    found = Match {
                        start: place,
                        length,
                    };
                    if length >= nice {
                        break;
                    }
                }
            }
            place = self.before[place & mask] as usize;
            chain -= 1;
            if place <= limit || chain == 0 {
                break;
            }
        }
        found
    }

    fn end_block(
        &mut self,
        search: &mut Search<'_>,
        is_last: bool,
        output: &mut impl Output,
    ) -> bool {
        // zlib has no more of a block than its window.
        let is_known = search.block >= search.window;
        let stored = is_known.then(|| &search.data[search.block..search.at]);
        self.symbols.write(stored, is_last, &mut self.bits);
        search.block = search.at;
        self.bits.hand_over(output)
    }
}

impl Search<'_> {
    fn roll(&mut self, byte: u8) {
        let bits = self.setup.memory.hash_bits();
        let shift = bits.div_ceil(MIN_MATCH as u32);
        self.hash = ((self.hash << shift) ^ usize::from(byte)) & ((1 << bits) - 1);
    }

    /// How far back matches may lie.
    fn reach(&self) -> usize {
        (1 << self.setup.window) - AHEAD
    }

    /// Moves the window as zlib does when it reads on. Returns how many bytes
    /// are left.
    fn slide(&mut self) -> usize {
        let size = 1 << self.setup.window;
        let known = self.data.len().min(self.window + 2 * size);
        if known - self.at < AHEAD && self.at - self.window >= size + self.reach() {
            self.window += size;
        }
        self.data.len() - self.at
    }

    /// Whether a short match is worth less than its bytes.
    fn is_poor(&self, found: Match) -> bool {
        match self.setup.strategy {
            Strategy::Filtered => true,
            Strategy::Usual => found.length == MIN_MATCH && self.at - found.start > TOO_FAR,
        }
    }
}

/// How many bytes two begin with alike; both have the same length.
fn common(here: &[u8], there: &[u8]) -> usize {
    let (words, rest) = here.as_chunks::<8>();
    let (others, others_rest) = there.as_chunks::<8>();
    for (number, (one, other)) in words.iter().zip(others).enumerate() {
        let differs = u64::from_le_bytes(*one) ^ u64::from_le_bytes(*other);
        if differs != 0 {
            return number * 8 + differs.trailing_zeros() as usize / 8;
        }
    }
    let pairs = rest.iter().zip(others_rest);
    words.len() * 8 + pairs.take_while(|(one, other)| one == other).count()
}
