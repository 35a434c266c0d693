//! Compression: bytes to fewer bytes and back, without a word about archives.
//!
//! Data is compressed in units that any decoder of the format reads one after
//! the other and that several workers make at once; [`Framing`] writes what
//! stands before, between and after them. The bytes depend on the data, the
//! unit size and the level alone: neither on the number of threads nor on the
//! machine. [`decoder`] reads any stream of the format from the front,
//! [`Decompressor`] decodes one unit whose place is known. Nothing here
//! starts threads, except liblzma's decoder and zstd's single-frame encoder.

mod decode;
mod detect;
mod encode;
mod framing;
pub(crate) mod gzip;
pub(crate) mod seekable;
mod single;
mod unit;
mod xz;

use std::ops::RangeInclusive;

pub(crate) use decode::{DecodeOptions, decoder};
pub(crate) use encode::{Compressor, Settings, Unit};
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
    pub(crate) fn unit_size(self) -> usize {
        match self {
            Self::Store => 1 << 20,
            Self::Gzip => 1 << 20,
            Self::Bzip2 => 4 << 20,
            Self::Xz => 8 << 20,
            Self::Zstd => 4 << 20,
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
            Profile::Fast => fast,
            Profile::Default => default,
            Profile::Small => small,
        }
    }
}

/// What to spend time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Little time, more bytes.
    Fast,
    /// What most want.
    #[default]
    Default,
    /// Few bytes, however long it takes: for xz also executable filters.
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
        let Some(number) = self.number else {
            return Ok(codec.profile_level(self.profile));
        };
        let name = codec.name();
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

/// The outcome of a library call that only fails where memory or its own
/// invariants do: no input can cause it.
fn library_failed(library: &str, what: impl std::fmt::Display) -> Refusal {
    Refusal::new(ErrorKind::Io, format!("{library}: {what}"))
}

#[cfg(test)]
mod tests;
