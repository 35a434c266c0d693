//! Filter 1, for who reads a golden archive: nothing of the crate has a part in it.

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
