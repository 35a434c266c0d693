//! Filter 1, and form 10 of parts, for who reads a golden archive: nothing of the crate
//! has a part in it.

/// Filter 1, written down as the description has it.
pub(crate) fn undo(code: &mut [u8], offset: i64) {
    const DATA: &[u8] = b"\x03\x0B\x13\x23\x2B\x33\x39\x3B\x63\x85\x89\x8B\x8D";
    const LONG: &[u8] = b"\x10\x11\x28\x29\x2E\x2F\x54\x57\x58\x59\x5C\x5E\x6F\x7F\xB6\xB7\xBE\xBF";
    for p in 2..code.len().saturating_sub(4) {
        let (second, first, at) = (code[p - 2], code[p - 1], code[p]);
        let is_data = at & 0xC7 == 0x05
            && (DATA.contains(&first)
                || (first == 0xFF && (at == 0x15 || at == 0x25))
                || (LONG.contains(&first) && second == 0x0F));
        let range = match at {
            0xE8 | 0xE9 => 1_i64 << 24,
            _ if is_data => 1 << 25,
            _ => continue,
        };
        let value = i32::from_le_bytes(code[p + 1..p + 5].try_into().unwrap());
        let value = i64::from(value);
        if (-range..range).contains(&value) {
            let back = (value - (offset + p as i64 + 5) + range).rem_euclid(2 * range) - range;
            code[p + 1..p + 5].copy_from_slice(&(back as i32).to_le_bytes());
        }
    }
}

/// Form 10, written down as the description has it: the part at `offset` of `length`
/// bytes.
#[allow(dead_code, reason = "not every test has such parts")]
pub(crate) fn undo_streams(stored: &[u8], offset: usize, length: usize) -> Vec<u8> {
    const DATA: &[u8] = b"\x01\x03\x09\x0B\x13\x21\x23\x29\x2B\x31\x33\x38\x39\x3A\x3B\x63\x69\x6B\
        \x80\x81\x83\x84\x85\x86\x87\x88\x89\x8A\x8B\x8D\xC6\xC7\xD8\xD9\xDB\xDC\xDD\xF6\xF7\xFF";
    let count = |at: usize| u32::from_le_bytes(stored[at..at + 4].try_into().unwrap()) as usize;
    let (calls, data, jumps) = (4 * count(0), 4 * count(4), 4 * count(8));
    let (code, streams) = stored[12..].split_at(stored.len() - 12 - calls - data - jumps);
    let (calls, rest) = streams.split_at(calls);
    let (data, jumps) = rest.split_at(data);
    let (mut calls, mut data, mut jumps) = (calls.iter(), data.iter(), jumps.iter());
    let mut code = code.iter().copied().peekable();
    let mut made: Vec<u8> = Vec::new();
    while let Some(byte) = code.next() {
        made.push(byte);
        let place = made.len() - 1;
        let segment = place / 65_536 * 65_536;
        let before = |count: usize| match place.checked_sub(count) {
            Some(at) if at >= segment => made[at],
            _ => 0,
        };
        let is_data = byte & 0xC7 == 5
            && (DATA.contains(&before(1))
                || before(2) == 0x0F
                || before(3) == 0xC5
                || before(4) == 0xC4);
        let (stream, range) = match byte {
            0xE8 => (&mut calls, 1_i64 << 24),
            0xE9 => (&mut jumps, 1 << 24),
            0x80..=0x8F if before(1) == 0x0F => (&mut jumps, 1 << 24),
            _ if is_data => (&mut data, 1 << 25),
            _ => continue,
        };
        if place + 5 >= length.min(segment + 65_536) || code.next_if_eq(&6).is_some() {
            continue;
        }
        let value = stream
            .by_ref()
            .take(4)
            .fold(0, |value, byte| value << 8 | i64::from(*byte));
        let value = value - (offset + place + 5) as i64;
        let value = (value + range).rem_euclid(2 * range) - range;
        made.extend((value as i32).to_le_bytes());
    }
    assert_eq!((calls.len(), data.len(), jumps.len()), (0, 0, 0));
    assert_eq!(made.len(), length);
    made
}
