//! The transform for unwind tables (`.eh_frame`): what each record points to is told
//! from where the one before it ends, instead of from itself (docs/format.md, form 13).
//!
//! Records describe functions one behind the other, so what is left is mostly the
//! padding between them. Measured with LZMA: the tables of a scientific bundle 1.52 →
//! 1.05 MB, of one with Qt 2.43 → 1.50 MB.

/// Where the fields of a record are (LSB 5.0, 10.6.1): behind the length the distance to
/// what it has in common with others, or 0 for that itself; then where the function is,
/// how long it is, and how much is told besides.
const COMMON: usize = 4;
const START: usize = 8;
const SIZE: usize = 12;
const MORE: usize = 16;
/// Where its exceptions are told, if as much is told as an address has bytes.
const EXCEPTIONS: usize = 17;
const ADDRESS: u8 = 4;

/// Bytes of the record that `data` begins with; `None` if it is none, or ends the table.
pub(crate) fn record(data: &[u8]) -> Option<usize> {
    let length = word(data, 0)?;
    let size = usize::try_from(length).ok()?.checked_add(4)?;
    let is_one = length >= 4 && length != u32::MAX && size <= data.len();
    is_one.then_some(size)
}

/// Makes addresses relative to the record before. `offset` is the place of `data` in its
/// file.
pub(crate) fn encode(data: &mut [u8], offset: u64) {
    convert(data, offset, Way::There);
}

/// Undoes [`encode`].
pub(crate) fn decode(data: &mut [u8], offset: u64) {
    convert(data, offset, Way::Back);
}

#[derive(Debug, Clone, Copy)]
enum Way {
    There,
    Back,
}

fn convert(data: &mut [u8], offset: u64, way: Way) {
    let (mut at, mut end, mut exceptions) = (0, 0, 0);
    while let Some(size) = record(&data[at..]) {
        let start = (offset as u32).wrapping_add(at as u32);
        let record = &mut data[at..at + size];
        convert_record(record, start, way, &mut end, &mut exceptions);
        at += size;
    }
}

/// `start` is the record's place in its file, `end` where the function before ended,
/// `exceptions` where its exceptions were told.
fn convert_record(
    record: &mut [u8],
    start: u32,
    way: Way,
    end: &mut u32,
    exceptions: &mut u32,
) -> Option<()> {
    let place = |field: usize| start.wrapping_add(field as u32);
    let (common, function) = (word(record, COMMON)?, word(record, START)?);
    let size = word(record, SIZE).filter(|_| common != 0)?;
    // Where that begins, plus 1; never 0, and the same both ways.
    let from_front = place(COMMON).wrapping_add(1);
    if common != from_front {
        put(record, COMMON, from_front.wrapping_sub(common));
    }
    let shift = place(START).wrapping_sub(*end);
    let changed = match way {
        Way::There => function.wrapping_add(shift),
        Way::Back => function.wrapping_sub(shift),
    };
    put(record, START, changed);
    let relative = match way {
        Way::There => function,
        Way::Back => changed,
    };
    *end = relative.wrapping_add(place(START)).wrapping_add(size);
    let told = word(record, EXCEPTIONS).filter(|told| record[MORE] == ADDRESS && *told != 0)?;
    let shift = place(EXCEPTIONS).wrapping_sub(*exceptions);
    // 0 means that there are none: what would become 0 becomes what 0 would.
    let (changed, relative) = match way {
        Way::There => match told.wrapping_add(shift) {
            0 => (shift, told),
            sum => (sum, told),
        },
        Way::Back if told == shift => (shift.wrapping_neg(), shift.wrapping_neg()),
        Way::Back => (told.wrapping_sub(shift), told.wrapping_sub(shift)),
    };
    put(record, EXCEPTIONS, changed);
    *exceptions = relative.wrapping_add(place(EXCEPTIONS));
    Some(())
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_le_bytes()).collect()
    }

    /// What is common, and functions of 0x40 and 0x20 bytes with 8 between them, the
    /// second with exceptions.
    fn table(offset: u32) -> Vec<u8> {
        let mut table = words(&[12, 0, 1, 2]);
        let start = 0x1000_u32.wrapping_sub(offset + 16 + 8);
        table.extend(words(&[16, 20, start, 0x40, 0]));
        let start = 0x1048_u32.wrapping_sub(offset + 36 + 8);
        table.extend(words(&[20, 40, start, 0x20]));
        table.push(4);
        table.extend(words(&[0x2000_u32.wrapping_sub(offset + 36 + 17)]));
        table.extend([0; 3]);
        table.extend([0; 4]);
        table
    }

    #[test]
    fn functions_are_told_from_the_end_of_the_one_before() {
        let (offset, mut data) = (0x500, table(0x500));
        encode(&mut data, offset);
        let mut expected = words(&[12, 0, 1, 2, 16, 0x501, 0x1000, 0x40, 0]);
        expected.extend(words(&[20, 0x501, 8, 0x20]));
        expected.push(4);
        expected.extend(words(&[0x2000]));
        expected.extend([0; 7]);
        assert_eq!(data, expected);
        decode(&mut data, offset);
        assert_eq!(data, table(0x500));
    }

    #[test]
    fn what_would_become_nothing_comes_back() {
        let offset = 0x500;
        for (place, value) in [
            (16 + COMMON, 0x500 + 16 + 4 + 1),
            (36 + EXCEPTIONS, 0_u32.wrapping_sub(0x500 + 36 + 17)),
            (36 + EXCEPTIONS, 0x500 + 36 + 17),
            (36 + EXCEPTIONS, 0),
        ] {
            let mut data = table(0x500);
            put(&mut data, place, value);
            let plain = data.clone();
            encode(&mut data, offset);
            decode(&mut data, offset);
            assert_eq!(data, plain, "{value:#x} at {place}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        /// Rows of short records, and bytes that are none.
        #[test]
        fn all_bytes_come_back(
            records in prop::collection::vec(
                (0_u32..30, prop::sample::select(vec![0_u32, 1, 16, 37, 0x511]), any::<u64>(), 0_u8..6),
                0..20,
            ),
            offset in 0_u64..40,
        ) {
            let mut data = Vec::new();
            for (length, common, odd, more) in records {
                data.extend(length.to_le_bytes());
                let mut rest = common.to_le_bytes().to_vec();
                rest.extend(odd.to_le_bytes());
                rest.push(more);
                rest.extend((odd as u32 & 0x3F).to_le_bytes());
                rest.resize(length as usize, 0);
                data.extend(rest);
            }
            let plain = data.clone();
            encode(&mut data, offset);
            decode(&mut data, offset);
            prop_assert_eq!(data, plain);
        }
    }
}
