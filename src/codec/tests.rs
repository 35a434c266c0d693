//! Streams round trip, end where they should and fail as they should.

use std::io::{self, Read, Write};

use super::*;

const ALL: [Codec; 5] = [
    Codec::Store,
    Codec::Gzip,
    Codec::Bzip2,
    Codec::Xz,
    Codec::Zstd,
];
const COMPRESSING: [Codec; 4] = [Codec::Gzip, Codec::Bzip2, Codec::Xz, Codec::Zstd];

fn noise(count: usize, mut seed: u32) -> Vec<u8> {
    let next = |_| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    };
    (0..count).map(next).collect()
}

/// Compressible and incompressible stretches by turns.
fn mixed(count: usize) -> Vec<u8> {
    let mut data = Vec::new();
    let mut turn = 0;
    while data.len() < count {
        turn += 1;
        data.extend(noise(1500, turn));
        for line in 0..60 {
            data.extend(format!("line {line} of turn {}\n", turn % 7).bytes());
        }
    }
    data.truncate(count);
    data
}

fn encode(codec: Codec, profile: Profile, data: &[u8], unit: usize) -> Vec<u8> {
    let number = None;
    let settings = Settings {
        level: Level { profile, number },
        unit,
    };
    let mut compressor = Compressor::new(codec, settings).unwrap();
    let mut framing = Framing::new(codec);
    let mut out = Vec::new();
    framing.begin(&mut out);
    for chunk in data.chunks(unit) {
        let before = out.len();
        let made = compressor.compress(chunk, &mut out).unwrap();
        assert_eq!(made.stored, (out.len() - before) as u64);
        assert_eq!(made.raw, chunk.len() as u64);
        framing.push(&made).unwrap();
    }
    framing.push_skippable(0xB, b"index", &mut out).unwrap();
    framing.end(&mut out).unwrap();
    out
}

fn decode(codec: Codec, stream: &[u8], threads: u32) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let options = DecodeOptions { threads };
    let mut reader = decoder(codec, stream, options).unwrap();
    reader.read_to_end(&mut out)?;
    Ok(out)
}

/// Gives one byte at a time and is interrupted before each.
struct Drip<'a>(&'a [u8], bool);

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = out.len().min(1);
        self.0.read(&mut out[..count])
    }
}

#[test]
fn every_codec_round_trips_in_any_number_of_units() {
    let inputs = [
        Vec::new(),
        vec![7],
        mixed(300_000),
        noise(100_000, 1),
        vec![0; 200_000],
    ];
    for codec in ALL {
        for data in &inputs {
            for unit in [1 << 20, 40_000] {
                let stream = encode(codec, Profile::Fast, data, unit);
                for threads in [1, 3] {
                    let back = decode(codec, &stream, threads).unwrap();
                    assert!(back == *data, "{codec:?} {} {unit}", data.len());
                }
            }
        }
    }
}

#[test]
fn every_profile_round_trips() {
    let data = mixed(150_000);
    for codec in ALL {
        for profile in [Profile::Fast, Profile::Default, Profile::Small] {
            let stream = encode(codec, profile, &data, 1 << 16);
            assert!(
                decode(codec, &stream, 1).unwrap() == data,
                "{codec:?} {profile:?}"
            );
            assert_eq!(
                Codec::detect(&stream[..detect::HEAD]),
                match codec {
                    Codec::Store => Codec::Store,
                    other => other,
                }
            );
        }
    }
}

#[test]
fn a_unit_does_not_depend_on_the_units_before() {
    let (first, second) = (mixed(400_000), mixed(700_000));
    for codec in ALL {
        let highest = codec.level_range().map_or(0, |range| *range.end());
        for number in [None, Some(highest.min(9)), Some(highest)] {
            let number = number.filter(|_| codec != Codec::Store);
            let level = Level {
                profile: Profile::Default,
                number,
            };
            let settings = Settings::new(codec, level);
            let mut used = Compressor::new(codec, settings).unwrap();
            used.compress(&first, &mut Vec::new()).unwrap();
            let mut fresh = Compressor::new(codec, settings).unwrap();
            let (mut one, mut other) = (Vec::new(), Vec::new());
            let one_unit = used.compress(&second, &mut one).unwrap();
            let other_unit = fresh.compress(&second, &mut other).unwrap();
            assert_eq!(one_unit, other_unit);
            assert!(one == other, "{codec:?} {number:?}");
        }
    }
}

#[test]
fn levels_out_of_range_are_refused_with_a_hint() {
    for (codec, number) in [
        (Codec::Store, 1),
        (Codec::Gzip, 0),
        (Codec::Gzip, 13),
        (Codec::Bzip2, 10),
        (Codec::Xz, 10),
        (Codec::Zstd, 0),
        (Codec::Zstd, 23),
    ] {
        let level = Level {
            profile: Profile::Default,
            number: Some(number),
        };
        let refusal = level.resolve(codec).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Usage, "{codec:?} {number}");
        assert!(refusal.at("pack", "x").hint().is_some());
    }
}

#[test]
fn a_stream_that_ends_early_is_an_error_wherever_it_ends() {
    let data = mixed(6000);
    for codec in COMPRESSING {
        for threads in [1, 2] {
            // A cut between two members is no cut at all: one unit.
            let stream = encode(codec, Profile::Fast, &data, 1 << 20);
            let whole = match codec {
                // Behind the frame there are the index and the table.
                Codec::Zstd => zstd::zstd_safe::find_frame_compressed_size(&stream).unwrap(),
                _ => stream.len(),
            };
            for length in 0..whole {
                let error = decode(codec, &stream[..length], threads).unwrap_err();
                let kind = error.kind();
                assert_eq!(
                    kind,
                    io::ErrorKind::UnexpectedEof,
                    "{codec:?} {length}: {error}"
                );
            }
        }
    }
}

#[test]
fn flipped_bits_are_invalid_or_harmless_and_never_panic() {
    let data = mixed(3000);
    for codec in COMPRESSING {
        let stream = encode(codec, Profile::Fast, &data, 1 << 20);
        let frame = match codec {
            Codec::Zstd => zstd::zstd_safe::find_frame_compressed_size(&stream).unwrap(),
            _ => stream.len(),
        };
        for at in 0..frame {
            for bit in 0..8 {
                let mut broken = stream.clone();
                broken[at] ^= 1 << bit;
                match decode(codec, &broken, 1) {
                    // The header's name, time, system and length claims.
                    Ok(back) => assert!(back == data, "{codec:?} {at} {bit}"),
                    Err(error) => assert!(
                        matches!(
                            error.kind(),
                            io::ErrorKind::InvalidData
                                | io::ErrorKind::UnexpectedEof
                                | io::ErrorKind::OutOfMemory
                        ),
                        "{codec:?} {at} {bit}: {error:?}"
                    ),
                }
            }
        }
    }
}

#[test]
fn readers_that_drip_and_are_interrupted_give_the_same() {
    let data = mixed(50_000);
    for codec in ALL {
        for threads in [1, 2] {
            let stream = encode(codec, Profile::Fast, &data, 20_000);
            let options = DecodeOptions { threads };
            let mut reader = decoder(codec, Drip(&stream, false), options).unwrap();
            let mut out = Vec::new();
            reader.read_to_end(&mut out).unwrap();
            assert!(out == data, "{codec:?}");
        }
    }
}

#[test]
fn errors_of_the_source_pass_unchanged_behind_the_data() {
    struct Fails<'a>(&'a [u8]);
    impl Read for Fails<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            match self.0.read(out)? {
                0 => Err(io::ErrorKind::PermissionDenied.into()),
                count => Ok(count),
            }
        }
    }
    let stream = encode(Codec::Zstd, Profile::Fast, &noise(5000, 3), 1 << 20);
    let options = DecodeOptions { threads: 1 };
    let mut reader = decoder(Codec::Zstd, Fails(&stream), options).unwrap();
    let mut out = [0; 6000];
    assert_eq!(reader.read(&mut out).unwrap(), 5000);
    let error = reader.read(&mut out).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let error = reader.read(&mut out).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}

#[test]
fn concatenated_streams_are_one_and_garbage_behind_them_is_refused() {
    let (first, second) = (mixed(10_000), noise(3000, 9));
    for codec in COMPRESSING {
        for threads in [1, 2] {
            let mut both = encode(codec, Profile::Fast, &first, 4000);
            both.extend(encode(codec, Profile::Fast, &second, 4000));
            assert_eq!(
                decode(codec, &both, threads).unwrap(),
                [&first[..], &second].concat()
            );

            for garbage in [&b"x"[..], b"garbage that is long enough", b"\0\0\0\0x"] {
                let behind = [&both, garbage].concat();
                assert!(
                    decode(codec, &behind, threads).is_err(),
                    "{codec:?} {garbage:?}"
                );
            }
            for zeros in 1..10 {
                let padded = [&both[..], &vec![0; zeros]].concat();
                let taken = match codec {
                    Codec::Gzip => true,
                    Codec::Xz => zeros % 4 == 0,
                    Codec::Store | Codec::Bzip2 | Codec::Zstd => false,
                };
                assert_eq!(
                    decode(codec, &padded, threads).is_ok(),
                    taken,
                    "{codec:?} {zeros}"
                );
            }
        }
    }
    let one = encode(Codec::Xz, Profile::Fast, &first, 4000);
    let apart = [&one[..], &[0; 8], &one].concat();
    assert_eq!(
        decode(Codec::Xz, &apart, 1).unwrap(),
        [&first[..], &first].concat()
    );
}

#[test]
fn a_window_beyond_the_limit_is_a_limit_and_no_corruption() {
    // RFC 8878, 3.1.1.1: no content size, a window of 2^(10 + 18) bytes.
    let stream = [0x28, 0xB5, 0x2F, 0xFD, 0, 18 << 3, 1, 0, 0];
    let error = decode(Codec::Zstd, &stream, 1).unwrap_err();
    assert_eq!(Refusal::io(error).kind(), ErrorKind::LimitExceeded);
}

#[test]
fn one_frame_does_not_depend_on_workers_or_writes() {
    let data = mixed(3 << 20);
    let frame = |workers, piece| {
        let level = Level {
            profile: Profile::Fast,
            number: Some(6),
        };
        let mut out = SingleFrame::new(Vec::new(), level, workers).unwrap();
        for part in data.chunks(piece) {
            out.write_all(part).unwrap();
        }
        out.finish().unwrap()
    };
    let one = frame(1, 1 << 20);
    assert!(one == frame(3, 1 << 20));
    assert!(one == frame(2, 77_777));
    assert_eq!(
        zstd::zstd_safe::find_frame_compressed_size(&one),
        Ok(one.len())
    );
    assert!(decode(Codec::Zstd, &one, 1).unwrap() == data);
}

#[test]
fn zstd_frames_are_found_by_the_table_and_decoded_alone() {
    let data = mixed(100_000);
    let stream = encode(Codec::Zstd, Profile::Fast, &data, 30_000);
    let read = |out: &mut [u8], at: u64| (&stream[at as usize..]).read_exact(out);
    let table = seekable::read_table(stream.len() as u64, &read)
        .unwrap()
        .unwrap();
    assert_eq!(table.raw_size(), 100_000);
    assert_eq!(table.frames().len(), 5);
    assert!(table.fits_units());
    let index = table.index_frame(0xB, &read).unwrap().unwrap();
    assert_eq!(&stream[index.start as usize..index.end as usize], b"index");
    assert_eq!(table.index_frame(0xA, &read).unwrap(), None);

    let mut decompressor = Decompressor::new();
    let (mut back, mut out) = (Vec::new(), Vec::new());
    for frame in table.frames() {
        let bytes = &stream[frame.offset as usize..][..frame.stored as usize];
        decompressor.zstd_frame(bytes, frame.raw, &mut out).unwrap();
        back.extend_from_slice(&out);
    }
    assert!(back == data);

    let frame = table.frames()[0];
    let bytes = &stream[..frame.stored as usize];
    let two = &stream[..(frame.stored + table.frames()[1].stored) as usize];
    for (bytes, raw) in [
        (bytes, frame.raw + 1),
        (two, 60_000),
        (&bytes[..50], 30_000),
        (&[], 0),
    ] {
        assert!(decompressor.zstd_frame(bytes, raw, &mut out).is_err());
    }
    let large = decompressor.zstd_frame(bytes, 1 << 40, &mut out);
    assert_eq!(large.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[test]
fn tables_that_lie_are_refused_and_missing_ones_are_none() {
    let stream = encode(Codec::Zstd, Profile::Fast, &mixed(100_000), 30_000);
    let table = |stream: &[u8]| {
        let read = |out: &mut [u8], at: u64| (&stream[at as usize..]).read_exact(out);
        seekable::read_table(stream.len() as u64, &read).map(|table| table.map(|_| ()))
    };
    assert_eq!(table(&stream).unwrap(), Some(()));
    assert_eq!(table(&[]).unwrap(), None);
    assert_eq!(table(&stream[..stream.len() - 1]).unwrap(), None);
    let longer = [&[0][..], &stream].concat();
    assert_eq!(table(&longer).unwrap_err().kind(), ErrorKind::Malformed);
    assert_eq!(
        table(&stream[1..]).unwrap_err().kind(),
        ErrorKind::Malformed
    );

    let start = stream.len() - (8 + 5 * 8 + 9);
    for at in start..stream.len() - 4 {
        for bit in 0..8 {
            let mut broken = stream.clone();
            broken[at] ^= 1 << bit;
            // Sizes of data are checked with the frames, the lowest two bits unused.
            let is_raw = (start + 8..stream.len() - 9).contains(&at) && (at - start - 8) % 8 >= 4;
            let is_unused = at == stream.len() - 5 && bit < 2;
            match table(&broken) {
                Err(refusal) => assert_eq!(refusal.kind(), ErrorKind::Malformed),
                // A count beyond what is read.
                Ok(None) => assert!((stream.len() - 9..stream.len() - 5).contains(&at)),
                Ok(Some(())) => assert!(is_raw || is_unused, "{at} {bit}"),
            }
        }
    }
}

#[test]
fn gzip_members_name_their_length_and_decode_alone() {
    let data = mixed(100_000);
    let stream = encode(Codec::Gzip, Profile::Default, &data, 30_000);
    let mut decompressor = Decompressor::new();
    let (mut back, mut out, mut at) = (Vec::new(), Vec::new(), 0);
    while at < stream.len() {
        let length = gzip::member_length(&stream[at..]).unwrap() as usize;
        let member = &stream[at..at + length];
        let raw = gzip::raw_size(member).unwrap();
        decompressor.gzip_member(member, raw, &mut out).unwrap();
        back.extend_from_slice(&out);
        at += length;
    }
    assert!(back == data);

    let first = gzip::member_length(&stream).unwrap() as usize;
    let one = &stream[..first];
    let twice = [one, one].concat();
    for (bytes, raw) in [
        (one, 30_001),
        (one, 29_999),
        (&one[..first - 1], 30_000),
        (&twice, 30_000),
    ] {
        assert!(
            decompressor.gzip_member(bytes, raw, &mut out).is_err(),
            "{} {raw}",
            bytes.len()
        );
    }
    assert!(gzip::member_length(b"\x1f\x8b\x08\0").is_none());
}
