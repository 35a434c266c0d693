//! The transform for x86-64 code before LZMA: the addresses of calls, of data and of
//! jumps are taken out of it, each kind into a stream of its own (docs/format.md, form
//! 10).
//!
//! What is left repeats where the same work is done with other functions, and
//! addresses repeat among themselves. Nobody has to know where instructions begin: an
//! escape stands behind what only looks like one. Measured with LZMA on the code of
//! libQt6Core, libpython and OpenBLAS, against addresses that stay in their place:
//! 7, 9.6 and 4.8 % smaller; with zstd at level 12 0.4 %, which isn't worth what
//! putting them together takes. The jumps that `E9` makes belong to the conditional
//! ones: 1 % smaller than with calls.

use super::x86::{CHUNK, gathered};

/// The bytes that are looked at by themselves, so that code can be cut between them.
/// Halves of this are 0.3 % larger.
pub(crate) const SEGMENT: usize = 1 << 16;
/// Bytes in front of the streams: how many addresses each has.
pub(crate) const FRONT: usize = 4 * KINDS;

const KINDS: usize = 3;
/// Stands behind what looks like an instruction with an address and has none in its
/// range. No instruction of 64-bit code begins with it.
const ESCAPE: u8 = 0x06;
/// Bytes of an address, in code and in its stream.
const FIELD: usize = 4;
/// Begins operations of two bytes.
const LONG: u8 = 0x0F;

/// What an address is of: its stream, and how far it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Call,
    Data,
    Jump,
}

impl Kind {
    fn range(self) -> u32 {
        match self {
            Self::Call | Self::Jump => 1 << 24,
            Self::Data => 1 << 25,
        }
    }
}

/// Makes addresses of displacements, and back: both reach from `-range` to `range`.
fn wrapped(value: u32, range: u32) -> u32 {
    (value.wrapping_add(range) & (2 * range - 1)).wrapping_sub(range)
}

/// What the displacement behind `place` is counted from. Only its low bits count.
fn origin(offset: u64, place: usize) -> u32 {
    (offset as u32)
        .wrapping_add(place as u32)
        .wrapping_add(1 + FIELD as u32)
}

/// Takes code apart.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    code: Vec<u8>,
    fields: [Vec<u8>; KINDS],
}

impl Splitter {
    /// Appends what becomes of `data`, which stands at `offset` in its file.
    pub(crate) fn encode(&mut self, data: &[u8], offset: u64, out: &mut Vec<u8>) {
        self.split(data, offset);
        for fields in &self.fields {
            out.extend_from_slice(&((fields.len() / FIELD) as u32).to_le_bytes());
        }
        out.extend_from_slice(&self.code);
        for fields in &self.fields {
            out.extend_from_slice(fields);
        }
    }

    /// How many bytes [`encode`](Self::encode) makes, without those in front: several
    /// segments take as many as each by itself.
    pub(crate) fn measure(&mut self, data: &[u8], offset: u64) -> usize {
        self.split(data, offset);
        self.code.len() + self.fields.iter().map(Vec::len).sum::<usize>()
    }

    fn split(&mut self, data: &[u8], offset: u64) {
        self.code.clear();
        self.fields.iter_mut().for_each(Vec::clear);
        for (number, segment) in data.chunks(SEGMENT).enumerate() {
            self.split_segment(segment, offset + (number * SEGMENT) as u64);
        }
    }

    fn split_segment(&mut self, segment: &[u8], offset: u64) {
        let mut at = 0;
        while let Some(code) = segment.get(at) {
            self.code.push(*code);
            let place = at;
            at += 1;
            let Some(kind) = kind_of(segment, place) else {
                continue;
            };
            let field = &segment[at..at + FIELD];
            let value = u32::from_le_bytes([field[0], field[1], field[2], field[3]]);
            let range = kind.range();
            let is_near = value.wrapping_add(range) < 2 * range;
            if !is_near || segment[at + FIELD] == ESCAPE {
                self.code.push(ESCAPE);
                continue;
            }
            let address = wrapped(value.wrapping_add(origin(offset, place)), range);
            self.fields[kind as usize].extend_from_slice(&address.to_be_bytes());
            at += FIELD;
        }
    }
}

/// Fills `out`, which stands at `offset` in its file, from what [`Splitter::encode`] has
/// made of it. `None` if `stored` is no such thing, or of another length.
pub(crate) fn decode(stored: &[u8], offset: u64, out: &mut [u8]) -> Option<()> {
    let (front, mut rest) = stored.split_at_checked(FRONT)?;
    let mut fields: [&[[u8; FIELD]]; KINDS] = [&[]; KINDS];
    let (counts, _) = front.as_chunks::<4>();
    for (fields, count) in fields.iter_mut().zip(counts).rev() {
        let bytes = (u32::from_le_bytes(*count) as usize).checked_mul(FIELD)?;
        let (before, taken) = rest.split_at_checked(rest.len().checked_sub(bytes)?)?;
        (*fields, _) = taken.as_chunks();
        rest = before;
    }
    let code = rest;
    // Where code and data go on.
    let (mut at, mut place) = (0, 0);
    for base in (0..code.len()).step_by(CHUNK) {
        let mut places = candidates(code, base);
        while places != 0 {
            let behind = base + places.trailing_zeros() as usize + 1;
            places &= places - 1;
            place = append(out, place, &code[at..behind])?;
            at = behind;
            let Some(kind) = kind_of_last(out, place) else {
                continue;
            };
            if code.get(at) == Some(&ESCAPE) {
                at += 1;
                continue;
            }
            let (field, others) = fields[kind as usize].split_first()?;
            fields[kind as usize] = others;
            let from = origin(offset, place - 1);
            let value = wrapped(u32::from_be_bytes(*field).wrapping_sub(from), kind.range());
            place = append(out, place, &value.to_le_bytes())?;
        }
    }
    place = append(out, place, &code[at..])?;
    let is_whole = place == out.len() && fields.iter().all(|fields| fields.is_empty());
    is_whole.then_some(())
}

/// Puts `bytes` to `place`. Returns what is behind them.
fn append(out: &mut [u8], place: usize, bytes: &[u8]) -> Option<usize> {
    let end = place + bytes.len();
    out.get_mut(place..end)?.copy_from_slice(bytes);
    Some(end)
}

/// What the address behind `place` is of, if there may be one: it has to end before
/// the segment does.
fn kind_of(segment: &[u8], place: usize) -> Option<Kind> {
    if place + FIELD + 1 >= segment.len() {
        return None;
    }
    let before = match place.checked_sub(4) {
        Some(start) => *segment[start..].first_chunk()?,
        None => {
            let mut before = [0; 4];
            before[4 - place..].copy_from_slice(&segment[..place]);
            before
        }
    };
    kind(before, segment[place])
}

/// The same for the byte in front of `place`, where the rest of `out` isn't known.
fn kind_of_last(out: &[u8], place: usize) -> Option<Kind> {
    let start = (place - 1) / SEGMENT * SEGMENT;
    let end = out.len().min(start + SEGMENT);
    kind_of(&out[start..end], place - 1 - start)
}

/// One bit for each byte of `code` from `base` on that may have an address behind it.
fn candidates(code: &[u8], base: usize) -> u64 {
    let taken = CHUNK.min(code.len() - base);
    let (mut chunk, mut before) = ([0; CHUNK], [0; CHUNK]);
    chunk[..taken].copy_from_slice(&code[base..base + taken]);
    match base.checked_sub(1) {
        Some(start) => before[..taken].copy_from_slice(&code[start..start + taken]),
        None => before[1..taken].copy_from_slice(&code[..taken - 1]),
    }
    let mut flags = [0; CHUNK];
    for ((flag, code), before) in flags.iter_mut().zip(&chunk).zip(&before) {
        *flag = u8::from(is_candidate(*before, *code));
    }
    gathered(&flags)
}

/// Calls and jumps, conditional jumps, and what is addressed from the program counter.
/// What was taken out, or escaped, never ends with `0F`: so nothing is passed over
/// if `before` is what stands before it in the stream.
fn is_candidate(before: u8, code: u8) -> bool {
    code & 0xFE == 0xE8 || code & 0xC7 == 0x05 || (before == LONG && code & 0xF0 == 0x80)
}

/// What the address behind `code` is of, if the bytes `before` it make it an
/// instruction with one.
fn kind(before: [u8; 4], code: u8) -> Option<Kind> {
    // The second and third byte of VEX stand between these and the operation.
    const VEX_OF_2: u8 = 0xC5;
    const VEX_OF_3: u8 = 0xC4;
    let [fourth, third, second, first] = before;
    match code {
        0xE8 => return Some(Kind::Call),
        0xE9 => return Some(Kind::Jump),
        0x80..=0x8F => return (first == LONG).then_some(Kind::Jump),
        _ if code & 0xC7 != 0x05 => return None,
        _ => {}
    }
    let is_data =
        IS_DATA[usize::from(first)] || second == LONG || third == VEX_OF_2 || fourth == VEX_OF_3;
    is_data.then_some(Kind::Data)
}

/// Operations of one byte on data.
const IS_DATA: [bool; 256] = operations();

const fn operations() -> [bool; 256] {
    const OPERATIONS: [u8; 40] = [
        0x01, 0x03, 0x09, 0x0B, 0x13, 0x21, 0x23, 0x29, 0x2B, 0x31, 0x33, 0x38, 0x39, 0x3A, 0x3B,
        0x63, 0x69, 0x6B, 0x80, 0x81, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8A, 0x8B, 0x8D,
        0xC6, 0xC7, 0xD8, 0xD9, 0xDB, 0xDC, 0xDD, 0xF6, 0xF7, 0xFF,
    ];
    let mut table = [false; 256];
    let mut at = 0;
    while at < OPERATIONS.len() {
        table[OPERATIONS[at] as usize] = true;
        at += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded(data: &[u8], offset: u64) -> Vec<u8> {
        let (mut splitter, mut out) = (Splitter::default(), Vec::new());
        splitter.encode(data, offset, &mut out);
        assert_eq!(out.len(), FRONT + splitter.measure(data, offset));
        out
    }

    fn decoded(stored: &[u8], offset: u64, length: usize) -> Option<Vec<u8>> {
        let mut out = vec![0xAA; length];
        decode(stored, offset, &mut out).map(|()| out)
    }

    #[test]
    fn addresses_go_into_streams_and_what_is_none_is_escaped() {
        let data = [
            &b"\x90\x90\xE8\x10\0\0\0"[..],
            b"\x48\x8B\x05\xF0\xFF\xFF\xFF",
            b"\x0F\x84\x01\0\0\0\xE9\x02\0\0\0",
            b"\xC5\xFB\x10\x0D\0\0\0\x01",
            b"\xE8\0\0\0\x7F\x85\xC9\xE8\0\0\0\0\x06",
        ]
        .concat();
        let expected = [
            &[1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0][..],
            b"\x90\x90\xE8\x48\x8B\x05\x0F\x84\xE9\xC5\xFB\x10\x0D",
            b"\xE8\x06\0\0\0\x7F\x85\xC9\xE8\x06\0\0\0\0\x06",
            // Behind the call at 2, and so on.
            &(0x1000_u32 + 7 + 0x10).to_be_bytes(),
            &(0x1000_u32 + 14 - 0x10).to_be_bytes(),
            &(0x1000_u32 + 33 + 0x0100_0000).to_be_bytes(),
            &(0x1000_u32 + 20 + 1).to_be_bytes(),
            &(0x1000_u32 + 25 + 2).to_be_bytes(),
        ]
        .concat();
        let stored = encoded(&data, 0x1000);
        assert_eq!(stored, expected);
        assert_eq!(decoded(&stored, 0x1000, data.len()), Some(data));
    }

    #[test]
    fn segments_are_by_themselves() {
        let mut data = b"\x0F".repeat(SEGMENT);
        data.extend_from_slice(b"\x84\0\0\0\0\x90");
        data[SEGMENT - 5..SEGMENT].copy_from_slice(b"\xE8\0\0\0\0");
        let stored = encoded(&data, 0);
        assert_eq!(stored, [&[0; FRONT], &data[..]].concat());
        assert_eq!(decoded(&stored, 0, data.len()), Some(data));
    }

    #[test]
    fn other_lengths_and_counts_are_refused() {
        let data = b"\x90\xE8\0\0\0\0\x90\xE9\0\0\0\0\x90".repeat(3);
        let stored = encoded(&data, 7);
        assert_eq!(decoded(&stored, 7, data.len()), Some(data.clone()));
        for length in [0, 1, data.len() - 1, data.len() + 1] {
            assert_eq!(decoded(&stored, 7, length), None, "{length}");
        }
        for length in 0..stored.len() {
            assert_eq!(decoded(&stored[..length], 7, data.len()), None, "{length}");
        }
        for (at, byte) in [(0, 2), (0, 4), (4, 1), (8, 4), (3, 0xFF), (11, 0x40)] {
            let mut lie = stored.clone();
            lie[at] = byte;
            assert_eq!(decoded(&lie, 7, data.len()), None, "{at} {byte}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Bytes that are mostly those that matter, so that places overlap.
        #[test]
        fn all_bytes_come_back(
            bytes in prop::collection::vec(
                prop::sample::select(vec![
                    0xE8, 0xE9, 0x05, 0x15, 0x0F, 0x84, 0x8B, 0xFF, 0xC5, 0xC4, 0, 1, 6, 0x7F,
                ]),
                0..200,
            ),
            offset in any::<u64>(),
        ) {
            // Around the end of a segment as well.
            for front in [0, SEGMENT - 40] {
                let data = [&vec![0x90; front], &bytes[..]].concat();
                let stored = encoded(&data, offset >> 1);
                prop_assert_eq!(decoded(&stored, offset >> 1, data.len()), Some(data));
            }
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(
            bytes in prop::collection::vec(
                prop::sample::select(vec![0xE8, 0x05, 0x0F, 0x84, 0x8B, 0, 0, 0, 1, 2, 6]),
                0..60,
            ),
            length in 0_usize..100,
        ) {
            let _ = decoded(&bytes, 0, length);
        }
    }
}
