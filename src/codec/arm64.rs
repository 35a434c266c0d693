//! The filter for ARM64 programs: what calls and page addresses count from their
//! own place becomes an address, which repeats where a function or a variable is used
//! again (docs/format.md, filter 2).
//!
//! Instructions are four bytes at multiples of four, and each is changed by
//! itself: any bytes come back.

const WIDTH: usize = 4;
/// A call counts instructions in 26 bits.
const CALL: u32 = 0x9400_0000;
const CALL_MASK: u32 = 0xFC00_0000;
/// `ADRP` counts pages of 4 KiB in 21 bits: the two lowest are in bits 29 and 30.
const PAGE: u32 = 0x9000_0000;
const PAGE_MASK: u32 = 0x9F00_0000;
const LOW_SHIFT: u32 = 29;
const HIGH_SHIFT: u32 = 5;
const HIGH_BITS: u32 = 19;
/// A page that is further away than 512 MiB belongs to no program.
const PAGE_RANGE: u32 = 1 << 17;

/// Makes distances into addresses. `offset` is the place of `data` in its file.
pub(crate) fn encode(data: &mut [u8], offset: u64) {
    convert(data, offset, u32::wrapping_add);
}

/// Undoes [`encode`].
pub(crate) fn decode(data: &mut [u8], offset: u64) {
    convert(data, offset, u32::wrapping_sub);
}

fn convert(data: &mut [u8], offset: u64, change: impl Fn(u32, u32) -> u32) {
    let ahead = (offset.wrapping_neg() % WIDTH as u64) as usize;
    let Some(data) = data.get_mut(ahead..) else {
        return;
    };
    let (instructions, _) = data.as_chunks_mut::<WIDTH>();
    let mut place = offset + ahead as u64;
    for bytes in instructions {
        let code = u32::from_le_bytes(*bytes);
        if code & CALL_MASK == CALL {
            let distance = change(code, (place >> 2) as u32) & !CALL_MASK;
            *bytes = (CALL | distance).to_le_bytes();
        } else if code & PAGE_MASK == PAGE {
            let changed = convert_page(code, |pages| change(pages, (place >> 12) as u32));
            *bytes = changed.to_le_bytes();
        }
        place += WIDTH as u64;
    }
}

/// Changes the pages that an `ADRP` counts, and keeps them in their range.
fn convert_page(code: u32, change: impl Fn(u32) -> u32) -> u32 {
    const UNUSED: u32 = u32::BITS - HIGH_BITS - 2;
    let high = code >> HIGH_SHIFT & ((1 << HIGH_BITS) - 1);
    let pages = high << 2 | code >> LOW_SHIFT & 3;
    let signed = ((pages << UNUSED) as i32 >> UNUSED) as u32;
    let span = 2 * PAGE_RANGE;
    if signed.wrapping_add(PAGE_RANGE) >= span {
        return code;
    }
    let changed = change(signed).wrapping_add(PAGE_RANGE) & (span - 1);
    let changed = changed.wrapping_sub(PAGE_RANGE);
    let rest = code & !(3 << LOW_SHIFT | ((1 << HIGH_BITS) - 1) << HIGH_SHIFT);
    let high = changed >> 2 & ((1 << HIGH_BITS) - 1);
    rest | (changed & 3) << LOW_SHIFT | high << HIGH_SHIFT
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_call_and_a_page_get_their_addresses() {
        // bl .+0x100; adrp x1, .-0x2000
        let plain = [0x40, 0, 0, 0x94, 0xE1, 0xFF, 0xFF, 0xD0];
        for (offset, addresses) in [
            (0x4000, [0x4000_u32 >> 2, 0x4]),
            (0x1234_5670, [0x1234_5670 >> 2, 0x1_2345]),
        ] {
            let mut code = plain;
            encode(&mut code, offset);
            let call = u32::from_le_bytes(*code.first_chunk().unwrap());
            assert_eq!(call & !CALL_MASK, (addresses[0] + 0x40) & !CALL_MASK);
            let page = u32::from_le_bytes(*code.last_chunk().unwrap());
            let pages = (page >> 5 & 0x7_FFFF) << 2 | page >> 29 & 3;
            assert_eq!(pages, addresses[1] - 2, "{pages:x}");
            decode(&mut code, offset);
            assert_eq!(code, plain);
        }
    }

    proptest! {
        #[test]
        fn all_bytes_come_back(
            words in prop::collection::vec((any::<u32>(), prop::sample::select(vec![0, CALL, PAGE])), 0..40),
            skipped in 0_usize..4,
            offset in any::<u32>(),
        ) {
            let bytes: Vec<u8> = words.iter().flat_map(|(word, code)| (word | code).to_le_bytes()).collect();
            let bytes = &bytes[skipped.min(bytes.len())..];
            let mut data = bytes.to_vec();
            encode(&mut data, u64::from(offset));
            decode(&mut data, u64::from(offset));
            prop_assert_eq!(&data, bytes);
        }
    }
}
