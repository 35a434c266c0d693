//! Compresses data in units that stand alone.
//!
//! A [`Compressor`] belongs to one worker and keeps its tables from unit to
//! unit. What it writes depends on the unit's data and the settings alone:
//! zstd's row match finder is salted from its history, but the salt only
//! renames the rows (levels 1 to 19 give equal bytes with a new context).

use bzip2::Compression;
use libdeflater::CompressionLvl;
use zstd::zstd_safe::{self, CCtx, CParameter, ResetDirective, get_error_name};

use super::xz::{BlockEncoder, Filtering};
use super::{Codec, Level, MAX_UNIT, Profile, gzip, library_failed};
use crate::error::{ErrorKind, Refusal};

/// How to compress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub level: Level,
    /// How many bytes of data the units have at most; xz looks no further back.
    pub unit: usize,
}

impl Settings {
    /// The settings that serve `codec` best at `level`.
    pub(crate) fn new(codec: Codec, level: Level) -> Self {
        let unit = codec.unit_size();
        Self { level, unit }
    }
}

/// What one unit takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Bytes of data.
    pub raw: u64,
    /// Bytes appended.
    pub stored: u64,
    /// For xz: bytes without the padding at the end, as the index has them.
    pub unpadded: u64,
}

/// Compresses one unit after the other.
pub(crate) struct Compressor {
    engine: Engine,
}

enum Engine {
    Store,
    Gzip(libdeflater::Compressor),
    Bzip2(Compression),
    Xz(Box<BlockEncoder>),
    Zstd(CCtx<'static>),
}

impl Compressor {
    /// Refuses levels that `codec` doesn't have.
    pub(crate) fn new(codec: Codec, settings: Settings) -> Result<Self, Refusal> {
        let level = settings.level.resolve(codec)?;
        let engine = match codec {
            Codec::Store => Engine::Store,
            Codec::Gzip => {
                let level = CompressionLvl::new(level)
                    .map_err(|_| library_failed("libdeflate", "no such level"))?;
                Engine::Gzip(libdeflater::Compressor::new(level))
            }
            Codec::Bzip2 => Engine::Bzip2(Compression::new(level.unsigned_abs())),
            Codec::Xz => {
                let filtering = match settings.level.profile {
                    Profile::Small => Filtering::Trial,
                    Profile::Stored | Profile::Fast | Profile::Default => Filtering::Off,
                };
                let encoder = BlockEncoder::new(level.unsigned_abs(), settings.unit, filtering)?;
                Engine::Xz(Box::new(encoder))
            }
            Codec::Zstd => Engine::Zstd(unit_context(level, settings.unit)?),
        };
        Ok(Self { engine })
    }

    /// For the blocks of a `.bcp`: zstd frames that see a whole block, at most
    /// `size` bytes, and have no checksum of their own.
    pub(crate) fn of_blocks(level: i32, size: u32) -> Result<Self, Refusal> {
        Ok(Self {
            engine: Engine::Zstd(block_context(level, size)?),
        })
    }

    /// Appends `data` as one unit: a gzip member, a bzip2 stream, an xz block, a
    /// zstd frame with size and checksum, or the bytes themselves. xz has no
    /// block for no data and appends nothing. After a failure, `out` may hold
    /// a part of the unit.
    pub(crate) fn compress(&mut self, data: &[u8], out: &mut Vec<u8>) -> Result<Unit, Refusal> {
        if data.len() > MAX_UNIT {
            let cause = format!("a unit of {} bytes, more than {MAX_UNIT}", data.len());
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        let start = out.len();
        let mut unpadded = None;
        match &mut self.engine {
            Engine::Store => out.extend_from_slice(data),
            Engine::Gzip(compressor) => gzip_member(compressor, data, out)?,
            Engine::Bzip2(level) => bzip2_stream(*level, data, out)?,
            Engine::Xz(encoder) => unpadded = Some(encoder.block(data, out)?),
            Engine::Zstd(context) => zstd_frame(context, data, out)?,
        }
        let stored = (out.len() - start) as u64;
        Ok(Unit {
            raw: data.len() as u64,
            stored,
            unpadded: unpadded.unwrap_or(stored),
        })
    }
}

fn gzip_member(
    compressor: &mut libdeflater::Compressor,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let start = out.len();
    gzip::push_header(out);
    let body = out.len();
    let bound = compressor.deflate_compress_bound(data.len());
    out.resize(body + bound, 0);
    let written = compressor
        .deflate_compress(data, &mut out[body..])
        .map_err(|_| library_failed("libdeflate", "its own bound is too small"))?;
    out.truncate(body + written);
    gzip::push_trailer(data, out);
    gzip::set_length(&mut out[start..]);
    Ok(())
}

fn bzip2_stream(level: Compression, data: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    // 0 is libbzip2's default of 30; it changes the time for repetitive data alone.
    let mut stream = bzip2::Compress::new(level, 0);
    // The bound of bzip2's manual: 1 % and 600 bytes.
    out.reserve(data.len() + data.len() / 100 + 600);
    loop {
        let rest = &data[stream.total_in() as usize..];
        let status = stream.compress_vec(rest, out, bzip2::Action::Finish);
        match status.map_err(|error| library_failed("bzip2", error))? {
            bzip2::Status::StreamEnd => return Ok(()),
            bzip2::Status::Ok
            | bzip2::Status::FlushOk
            | bzip2::Status::RunOk
            | bzip2::Status::FinishOk
            | bzip2::Status::MemNeeded => out.reserve(1 << 16),
        }
    }
}

/// A context whose frames carry a checksum; their size they carry anyway.
pub(super) fn zstd_context(level: i32) -> Result<CCtx<'static>, Refusal> {
    let mut context = CCtx::create();
    set_parameter(&mut context, CParameter::CompressionLevel(level))?;
    set_parameter(&mut context, CParameter::ChecksumFlag(true))?;
    Ok(context)
}

/// Appends the tables of a `.bcp`'s manifest, of any size, as one zstd frame.
pub(crate) fn compress_tables(tables: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    // Level 19 takes two seconds for a tree of 40,000 files, and saves 2 %.
    const LEVEL: i32 = 12;
    const WINDOW: u32 = 8 << 20;
    zstd_frame(&mut block_context(LEVEL, WINDOW)?, tables, out)
}

/// A context whose frames see `window` bytes, and have their size alone.
fn block_context(level: i32, window: u32) -> Result<CCtx<'static>, Refusal> {
    const SHORT_FROM: i32 = 6;
    const SHORT_TO: i32 = 13;
    let level = Level {
        profile: Profile::Default,
        number: Some(level),
    };
    let mut context = CCtx::create();
    let level = level.resolve(Codec::Zstd)?;
    set_parameter(&mut context, CParameter::CompressionLevel(level))?;
    let window = window.next_power_of_two().ilog2();
    set_parameter(&mut context, CParameter::WindowLog(window))?;
    // Shorter matches than zstd's own choice of 5: a scientific bundle gets 0.6 %
    // smaller, a node_modules 0.1 %, at the same speed.
    if (SHORT_FROM..SHORT_TO).contains(&level) {
        set_parameter(&mut context, CParameter::MinMatch(4))?;
    }
    Ok(context)
}

/// A context for frames of one unit each, tuned for data that begins anew with
/// each of them.
///
/// The window is the whole unit, at most the 8 MiB that every decoder takes (RFC
/// 8878, 3.1.1.1.2), instead of level 3's 2 MiB: 2.8 % smaller on a node_modules of
/// 582 MB, 0.2 % on a bundle of 238 MB, and no slower. Level 3 gets a table of
/// 2^14 instead of 2^16 for its short matches, which stays in a core's cache: 8 % faster on
/// both, and 0.8 % and 0.6 % larger. A smaller table for the long ones (2^16) would be
/// 3 to 4 % faster and 1.7 to 2.4 % larger.
fn unit_context(level: i32, unit: usize) -> Result<CCtx<'static>, Refusal> {
    const LARGEST_WINDOW: u32 = 23;
    const DEFAULT_LEVEL: i32 = 3;
    let mut context = zstd_context(level)?;
    let window = unit.next_power_of_two().ilog2();
    set_parameter(
        &mut context,
        CParameter::WindowLog(window.clamp(10, LARGEST_WINDOW)),
    )?;
    if level == DEFAULT_LEVEL {
        set_parameter(&mut context, CParameter::ChainLog(14))?;
    }
    Ok(context)
}

pub(super) fn set_parameter(
    context: &mut CCtx<'static>,
    parameter: CParameter,
) -> Result<(), Refusal> {
    let set = context.set_parameter(parameter);
    set.map_err(|code| library_failed("zstd", get_error_name(code)))?;
    Ok(())
}

fn zstd_frame(context: &mut CCtx<'static>, data: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let start = out.len();
    out.reserve(zstd_safe::compress_bound(data.len()));
    let mut window = zstd_safe::OutBuffer::around_pos(out, start);
    let mut input = zstd_safe::InBuffer::around(data);
    let end = zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_end;
    // One call with all data and room for the bound is a one-shot compression,
    // which puts the size into the header and reads without copying.
    match context.compress_stream2(&mut window, &mut input, end) {
        Ok(0) => Ok(()),
        Ok(_) => Err(library_failed("zstd", "its own bound is too small")),
        Err(code) => {
            // Resetting the session alone can't fail.
            let _ = context.reset(ResetDirective::SessionOnly);
            Err(library_failed("zstd", get_error_name(code)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ALL, mixed};
    use super::*;

    #[test]
    fn a_unit_does_not_depend_on_the_units_before() {
        let (first, second) = (mixed(200_000), mixed(400_000));
        for codec in ALL {
            let highest = codec.level_range().map_or(0, |range| *range.end());
            for number in [None, Some(highest.min(9))] {
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
}
