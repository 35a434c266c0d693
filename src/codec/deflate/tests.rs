//! Streams are compared with those of zlib 1.2.13 itself: by their checksums,
//! made with Python's `zlib.compressobj` from the same samples.

use std::io::Read;

use proptest::prelude::*;

use super::{Append, Compare, Deflater, Memory, Setup, Strategy};

#[derive(Debug, Clone, Copy)]
enum Sample {
    /// Words, as in a program's source.
    Text,
    /// Bytes that can only be stored.
    Noise,
    /// Each byte is half as frequent as the one before: codes get too long.
    Steps,
}

/// The three setups of each row: as most have it, as an image's packer has it,
/// and with a window that slides often.
const SETUPS: [(u8, Memory, Strategy); 3] = [
    (15, Memory::Usual, Strategy::Usual),
    (15, Memory::Most, Strategy::Filtered),
    (9, Memory::Usual, Strategy::Usual),
];

fn bytes(seed: u32) -> impl Iterator<Item = u8> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
}

fn sample(sample: Sample) -> Vec<u8> {
    const WORDS: [&[u8]; 16] = [
        b"import ",
        b"self.",
        b"return ",
        b"def ",
        b"(name, value)",
        b"\n    ",
        b"None",
        b"0x",
        b"encoding",
        b"\n\n",
        b"for ",
        b" in ",
        b"items",
        b"()",
        b"[0]",
        b": ",
    ];
    let mut out = Vec::new();
    match sample {
        Sample::Text => {
            let mut bytes = bytes(7);
            while out.len() < 300_000 {
                let byte = bytes.next().unwrap();
                out.extend_from_slice(WORDS[usize::from(byte & 15)]);
                if byte & 0xC0 == 0 {
                    out.push(bytes.next().unwrap());
                }
            }
            out.truncate(300_000);
        }
        Sample::Noise => out.extend(bytes(11).take(100_000)),
        Sample::Steps => {
            let mut bytes = bytes(13);
            while out.len() < 200_000 {
                let mut zeros = 0;
                loop {
                    let byte = bytes.next().unwrap();
                    zeros += byte.leading_zeros() as u8;
                    if byte != 0 {
                        break;
                    }
                }
                out.push(zeros);
            }
        }
    }
    out
}

fn deflate(data: &[u8], setup: Setup) -> Vec<u8> {
    let mut out = Vec::new();
    let mut output = Append {
        out: &mut out,
        left: usize::MAX,
    };
    assert!(Deflater::default().deflate(data, setup, &mut output));
    out
}

#[test]
fn streams_are_those_of_zlib() {
    let rows = [
        (Sample::Text, 1, [0x6117_88DD, 0x4640_D64B, 0x456F_294E]),
        (Sample::Text, 2, [0xF217_3A1E, 0xE2DC_CCE2, 0x2A5A_4EF8]),
        (Sample::Text, 3, [0x46C7_C96A, 0x1040_57E1, 0xF937_2B8B]),
        (Sample::Text, 4, [0x5CDD_2434, 0xEAAD_368C, 0x6189_2556]),
        (Sample::Text, 5, [0xE567_DA99, 0xB1B7_7500, 0xBB6B_331A]),
        (Sample::Text, 6, [0xC9C4_84EE, 0x07CF_45D3, 0xBB6B_331A]),
        (Sample::Text, 7, [0x438A_54BB, 0x60D7_FD2E, 0xBB6B_331A]),
        (Sample::Text, 8, [0x3065_F59A, 0x9014_1FAE, 0xBB6B_331A]),
        (Sample::Text, 9, [0x3065_F59A, 0x9014_1FAE, 0xBB6B_331A]),
        (Sample::Noise, 1, [0x70C1_7B45, 0x2E4C_1E2B, 0x7419_646F]),
        (Sample::Noise, 2, [0x46B6_13E4, 0xA210_3355, 0x7419_646F]),
        (Sample::Noise, 3, [0x46B6_13E4, 0xA210_3355, 0x7419_646F]),
        (Sample::Noise, 4, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Noise, 5, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Noise, 6, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Noise, 7, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Noise, 8, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Noise, 9, [0xA118_1719, 0x6026_8AEE, 0x7419_646F]),
        (Sample::Steps, 1, [0x5055_290B, 0x949B_2CD7, 0x8231_14D7]),
        (Sample::Steps, 2, [0xFAF6_6263, 0x908C_1B0F, 0x07D1_9E4F]),
        (Sample::Steps, 3, [0x5EB1_860D, 0xA9E8_F796, 0x7F78_BABD]),
        (Sample::Steps, 4, [0x879D_1F8E, 0xD4CC_13E2, 0x929D_3509]),
        (Sample::Steps, 5, [0x747B_DF01, 0x950F_9664, 0x4A2E_19AB]),
        (Sample::Steps, 6, [0x34D1_E319, 0x35E8_9B93, 0x24A6_DA5C]),
        (Sample::Steps, 7, [0xE7C6_455C, 0xEF60_2D51, 0x50E4_95F7]),
        (Sample::Steps, 8, [0xCD11_C3B0, 0x0900_E3A1, 0x50E4_95F7]),
        (Sample::Steps, 9, [0x721B_FA8F, 0x4AD4_3E97, 0x50E4_95F7]),
    ];
    for (kind, level, checksums) in rows {
        let data = sample(kind);
        for ((window, memory, strategy), checksum) in SETUPS.into_iter().zip(checksums) {
            let setup = Setup {
                level,
                window,
                memory,
                strategy,
            };
            let found = crc32fast::hash(&deflate(&data, setup));
            assert_eq!(found, checksum, "{kind:?} {setup:?}");
        }
    }
}

#[test]
fn small_streams_are_those_of_zlib() {
    for (data, stream) in [
        (&b""[..], &b"\x03\x00"[..]),
        (b"a", b"\x4b\x04\x00"),
        (b"ab", b"\x4b\x4c\x02\x00"),
    ] {
        for level in 1..=9 {
            let setup = usual(level);
            assert_eq!(deflate(data, setup), stream, "{data:?} {setup:?}");
        }
    }
}

/// When the window has moved, zlib finds nothing at its first byte: a place of 0 is
/// none.
#[test]
fn the_first_byte_of_a_window_is_not_found() {
    const WINDOW: usize = 512;
    const REACH: usize = WINDOW - 262;
    let mut data: Vec<u8> = bytes(11).take(900).collect();
    data.copy_within(WINDOW..WINDOW + 8, WINDOW + REACH);
    for level in [1, 6, 9] {
        let setup = Setup {
            window: 9,
            ..usual(level)
        };
        let found = crc32fast::hash(&deflate(&data, setup));
        assert_eq!(found, 0xED01_022C, "{setup:?}");
    }
}

fn usual(level: u8) -> Setup {
    Setup {
        level,
        window: 15,
        memory: Memory::Usual,
        strategy: Strategy::Usual,
    }
}

#[test]
fn an_output_that_has_enough_ends_it() {
    let data = sample(Sample::Text);
    let stream = deflate(&data, usual(6));
    let mut rest = Compare { rest: &stream };
    assert!(Deflater::default().deflate(&data, usual(6), &mut rest));
    assert!(rest.rest.is_empty());
    let mut changed = stream.clone();
    changed[20_000] ^= 1;
    let mut rest = Compare { rest: &changed };
    assert!(!Deflater::default().deflate(&data, usual(6), &mut rest));
    let mut out = Vec::new();
    let mut output = Append {
        out: &mut out,
        left: stream.len() - 1,
    };
    assert!(!Deflater::default().deflate(&data, usual(6), &mut output));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_deflated_inflates(
        parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 1_usize..200), 0..60),
        level in 1_u8..10,
        window in 9_u8..16,
        is_most in any::<bool>(),
        is_filtered in any::<bool>(),
    ) {
        let data: Vec<u8> = parts.iter().flat_map(|(part, times)| part.repeat(*times)).collect();
        let memory = if is_most { Memory::Most } else { Memory::Usual };
        let strategy = if is_filtered { Strategy::Filtered } else { Strategy::Usual };
        let stream = deflate(&data, Setup { level, window, memory, strategy });
        let mut inflated = Vec::new();
        flate2::read::DeflateDecoder::new(&stream[..]).read_to_end(&mut inflated).unwrap();
        prop_assert!(inflated == data);
    }
}
