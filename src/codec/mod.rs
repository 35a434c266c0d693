//! Compression: bytes to fewer bytes and back, without a word about archives.
//!
//! Data is compressed in units that any decoder of the format reads one after
//! the other and that several workers make at once; [`Framing`] writes what
//! stands before, between and after them. The bytes depend on the data, the
//! unit size and the level alone: neither on the number of threads nor on the
//! machine. [`decoder`] reads any stream of the format from the front,
//! [`Decompressor`] decodes one unit whose place is known. Nothing here
//! starts threads, except liblzma's decoder and zstd's single-frame encoder.

pub(crate) mod arm64;
mod decode;
pub(crate) mod deflate;
mod detect;
mod encode;
mod frame;
mod framing;
mod gzip;
pub(crate) mod lzma;
pub(crate) mod rows;
pub(crate) mod seekable;
mod single;
mod unit;
pub(crate) mod unwind;
pub(crate) mod x86;
pub(crate) mod x86_streams;
mod xz;

use std::ops::RangeInclusive;

pub(crate) use decode::{DecodeOptions, decoder};
pub(crate) use encode::{Compressor, Settings, Unit, compress_tables};
pub(crate) use frame::decode_frame;
pub(crate) use framing::Framing;
pub(crate) use single::SingleFrame;
pub(crate) use unit::Decompressor;

use crate::error::{ErrorKind, Refusal};

/// The largest unit, in bytes of data: what one worker holds in memory, and
/// what a size from an untrusted table may make it allocate.
pub(crate) const MAX_UNIT: usize = 64 << 20;

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Codec {
    /// The bytes themselves.
    Store,
    /// RFC 1952.
    Gzip,
    /// The format of bzip2 1.0.
    Bzip2,
    /// The .xz file format 1.2.
    Xz,
    /// RFC 8878.
    Zstd,
}

impl Codec {
    /// The name that users know it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        }
    }

    /// The levels that may be asked for by number, lowest first; `None` where
    /// there is nothing to choose.
    pub(crate) fn level_range(self) -> Option<RangeInclusive<i32>> {
        match self {
            Self::Store => None,
            Self::Gzip => Some(1..=12),
            Self::Bzip2 => Some(1..=9),
            Self::Xz => Some(0..=9),
            Self::Zstd => Some(1..=22),
        }
    }

    /// How many bytes of data to put into one unit.
    ///
    /// Measured on the tar of a PyInstaller bundle of SciPy (237 MB, for bzip2
    /// and xz 60 MB of it) at the default level, against the format's own tool
    /// on the whole: smaller units give more to do at once and less to decode
    /// for one file. Speed differs by less than 10 %, except for xz.
    pub(crate) fn unit_size(self) -> usize {
        match self {
            Self::Store => 1 << 20,
            // 1 MiB 92.17 MB, 8 MiB 92.01 MB; `gzip -6` 93.16 MB.
            Self::Gzip => 1 << 20,
            // 1 MiB +0.5 %, 2 MiB 0, 4 and 8 MiB -0.2 % against `bzip2 -9`.
            Self::Bzip2 => 4 << 20,
            // 4 MiB +7.2 %, 8 MiB +4.3 %, 16 MiB +1.0 %, 24 MiB (what `xz -T0`
            // takes) +0.8 % against `xz -6`; 4.9, 4.2, 3.1 and 3.4 MB/s.
            Self::Xz => 16 << 20,
            // 1 MiB +2.4 %, 2 MiB +0.5 %, 4 MiB -0.6 %, 8 MiB -0.9 % against
            // `zstd -3 -T0`.
            Self::Zstd => 8 << 20,
        }
    }

    fn profile_level(self, profile: Profile) -> i32 {
        let (fast, default, small) = match self {
            Self::Store => (0, 0, 0),
            // 12 is libdeflate's highest; gzip(1) itself ends at 9.
            Self::Gzip => (1, 6, 12),
            Self::Bzip2 => (1, 9, 9),
            Self::Xz => (1, 6, 9),
            Self::Zstd => (1, 3, 19),
        };
        match profile {
            Profile::Stored | Profile::Fast => fast,
            Profile::Default => default,
            Profile::Small => small,
        }
    }
}

/// What to spend time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// No compression, for `.bcp` and plain tar. Where file systems let files share
    /// storage, files from a `.bcp` share it with the archive.
    Stored,
    /// Little time, more bytes.
    Fast,
    /// What most want.
    #[default]
    Default,
    /// Few bytes, however long it takes: for xz also a filter for x86 code,
    /// where it helps (4 MiB units of the bundle above at level 9: -2.9 %); for a
    /// `.bcp` LZMA by trial, deflate streams within files inflated, code and tables of
    /// programs in forms that repeat. About 240 MiB
    /// of memory for each thread.
    Small,
}

/// How hard to compress: a profile, or a number in the codec's own scale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Level {
    pub profile: Profile,
    /// Overrides the profile's number; within [`Codec::level_range`].
    pub number: Option<i32>,
}

impl Level {
    /// The number in the codec's own scale.
    pub(crate) fn resolve(self, codec: Codec) -> Result<i32, Refusal> {
        let name = codec.name();
        let Some(number) = self.number else {
            if self.profile == Profile::Stored && codec != Codec::Store {
                return Err(compresses(name));
            }
            return Ok(codec.profile_level(self.profile));
        };
        match codec.level_range() {
            Some(range) if range.contains(&number) => Ok(number),
            Some(range) => {
                let (lowest, highest) = (range.start(), range.end());
                let cause =
                    format!("{name} has levels {lowest} to {highest}, {number} is none of them");
                let hint = "leave the level out to get the format's own default";
                Err(Refusal::new(ErrorKind::Usage, cause).with_hint(hint))
            }
            None => {
                let cause = "without compression there is no level to choose";
                let hint = "name a compression format, or leave the level out";
                Err(Refusal::new(ErrorKind::Usage, cause).with_hint(hint))
            }
        }
    }
}

/// The refusal to store what `format` compresses.
pub(crate) fn compresses(format: &str) -> Refusal {
    let cause = format!("{format} always compresses");
    Refusal::new(ErrorKind::Usage, cause)
        .with_hint("what is only stored goes into a .tar or a .bcp")
}

/// The outcome of a library call that only fails where memory or its own
/// invariants do: no input can cause it.
fn library_failed(library: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(ErrorKind::Io, format!("{library}: {what}"))
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    pub(super) const ALL: [Codec; 5] = [
        Codec::Store,
        Codec::Gzip,
        Codec::Bzip2,
        Codec::Xz,
        Codec::Zstd,
    ];
    pub(super) const COMPRESSING: [Codec; 4] = [Codec::Gzip, Codec::Bzip2, Codec::Xz, Codec::Zstd];

    pub(super) fn noise(count: usize, mut seed: u32) -> Vec<u8> {
        let next = |_| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 24) as u8
        };
        (0..count).map(next).collect()
    }

    /// Compressible and incompressible stretches by turns.
    pub(super) fn mixed(count: usize) -> Vec<u8> {
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

    pub(super) fn encode(codec: Codec, profile: Profile, data: &[u8], unit: usize) -> Vec<u8> {
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

    pub(super) fn decode(codec: Codec, stream: &[u8], threads: u32) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let options = DecodeOptions { threads };
        let mut reader = decoder(codec, stream, options).unwrap();
        reader.read_to_end(&mut out)?;
        Ok(out)
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
                assert_eq!(Codec::detect(&stream[..detect::HEAD]), codec);
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
}
