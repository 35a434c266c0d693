//! Decodes one unit whose place and sizes a table claims to know.
//!
//! The claims come from an untrusted file. A unit is taken only if it is
//! exactly one frame, and of exactly the size that was claimed:
//! otherwise a reader that starts at the front would see other data.

use zstd::zstd_safe::{
    self, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, get_error_name,
};

use super::{MAX_UNIT, library_failed};
use crate::error::{ErrorKind, Refusal};
use crate::sys;

/// Decodes one unit after the other; each worker has its own.
pub(crate) struct Decompressor {
    zstd: DCtx<'static>,
}

impl Decompressor {
    pub(crate) fn new() -> Self {
        Self {
            zstd: DCtx::create(),
        }
    }

    /// Replaces `out` by the `raw` bytes that the zstd frame decodes to.
    pub(crate) fn zstd_frame(
        &mut self,
        frame: &[u8],
        raw: u64,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let raw = prepare(frame, raw, out)?;
        let written = self.zstd.decompress(out, frame).map_err(corrupt_zstd)?;
        if written != raw {
            return Err(disagrees("a zstd frame decodes to another size"));
        }
        Ok(())
    }

    /// Replaces `out` by at least the first `wanted` of the `raw` bytes that the
    /// zstd frame decodes to. What comes behind them is not looked at.
    pub(crate) fn zstd_start(
        &mut self,
        frame: &[u8],
        raw: u64,
        wanted: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        if wanted as u64 >= raw {
            return self.zstd_frame(frame, raw, out);
        }
        prepare(frame, raw, out)?;
        let failed = |code| library_failed("zstd", get_error_name(code));
        let reset = ResetDirective::SessionOnly;
        self.zstd.reset(reset).map_err(failed)?;
        // `out` is the window as well, and no larger for a larger one.
        for parameter in [
            DParameter::StableOutBuffer(true),
            DParameter::WindowLogMax(LARGEST_WINDOW),
        ] {
            self.zstd.set_parameter(parameter).map_err(failed)?;
        }
        let decoded = self.decode_start(frame, wanted, out);
        self.zstd.reset(reset).map_err(failed)?;
        decoded
    }

    fn decode_start(
        &mut self,
        frame: &[u8],
        wanted: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let mut output = OutBuffer::around(out);
        for end in (STEP..).step_by(STEP) {
            // All at once would be decoded to its end.
            let mut input = InBuffer::around(&frame[..end.min(frame.len())]);
            input.set_pos(end - STEP);
            while input.pos() < input.src.len() && output.pos() < wanted {
                let left = self.zstd.decompress_stream(&mut output, &mut input);
                left.map_err(corrupt_zstd)?;
            }
            if output.pos() >= wanted {
                return Ok(());
            }
            if end >= frame.len() {
                break;
            }
        }
        Err(disagrees("a zstd frame decodes to another size"))
    }
}

/// Bytes of a frame that are decoded at a time, where not all of it is wanted.
const STEP: usize = 16 << 10;

/// The largest window that zstd knows, as a power of two.
const LARGEST_WINDOW: u32 = if usize::BITS == 32 { 30 } else { 31 };

/// Checks what a frame says of itself and makes room in `out` for all of it.
/// Returns how much that is.
fn prepare(frame: &[u8], raw: u64, out: &mut Vec<u8>) -> Result<usize, Refusal> {
    let raw = checked(raw)?;
    out.clear();
    let length = zstd_safe::find_frame_compressed_size(frame).map_err(corrupt_zstd)?;
    if length != frame.len() {
        return Err(disagrees("a zstd frame ends elsewhere than the table says"));
    }
    match zstd_safe::get_frame_content_size(frame) {
        Ok(Some(size)) if size == raw as u64 => {}
        Ok(Some(_) | None) | Err(_) => {
            return Err(disagrees("a zstd frame has another size than the table"));
        }
    }
    if out.capacity() < raw {
        out.reserve_exact(raw);
        sys::prefer_large_pages(out.spare_capacity_mut());
    }
    Ok(raw)
}

/// A claimed size, if it is one that may be allocated.
fn checked(raw: u64) -> Result<usize, Refusal> {
    match usize::try_from(raw) {
        Ok(size) if size <= MAX_UNIT => Ok(size),
        Ok(_) | Err(_) => {
            let cause = format!("a compressed unit of {raw} bytes, more than {MAX_UNIT}");
            Err(Refusal::new(ErrorKind::LimitExceeded, cause))
        }
    }
}

fn disagrees(cause: &str) -> Refusal {
    Refusal::malformed(cause)
}

fn corrupt_zstd(code: usize) -> Refusal {
    Refusal::malformed(format!("zstd: {}", get_error_name(code)))
}

#[cfg(test)]
mod tests {
    use super::super::tests::mixed;
    use super::super::{Codec, Compressor, Level, Settings};
    use super::*;

    #[test]
    fn a_frame_is_of_exactly_the_claimed_size_and_alone() {
        let data = mixed(30_000);
        let settings = Settings::new(Codec::Zstd, Level::default());
        let mut frame = Vec::new();
        let mut compressor = Compressor::new(Codec::Zstd, settings).unwrap();
        compressor.compress(&data, &mut frame).unwrap();
        let (mut decompressor, mut out) = (Decompressor::new(), Vec::new());
        decompressor.zstd_frame(&frame, 30_000, &mut out).unwrap();
        assert!(out == data);
        let twice = [frame.as_slice(), &frame].concat();
        for (bytes, raw) in [
            (frame.as_slice(), 30_001),
            (&frame, 29_999),
            (&frame[..frame.len() - 1], 30_000),
            (&twice, 30_000),
            (&frame, u64::MAX),
        ] {
            let refused = decompressor.zstd_frame(bytes, raw, &mut out).is_err();
            assert!(refused, "{} {raw}", bytes.len());
        }
    }

    #[test]
    fn the_start_of_a_frame_is_that_of_all_of_it() {
        let data = mixed(3_000_000);
        let mut frame = Vec::new();
        let mut compressor = Compressor::of_blocks(3, 1 << 24).unwrap();
        compressor.compress(&data, &mut frame).unwrap();
        assert!(frame.len() > 4 * STEP);
        let (mut decompressor, mut out) = (Decompressor::new(), Vec::new());
        for wanted in [
            0, 1, 1000, 200_000, 1_999_999, 2_999_999, 3_000_000, 4_000_000,
        ] {
            let started = decompressor.zstd_start(&frame, 3_000_000, wanted, &mut out);
            started.unwrap();
            assert!(
                out.len() >= wanted.min(data.len()) && data.starts_with(&out),
                "{wanted}"
            );
            assert!(wanted > 1_999_999 || out.len() < data.len(), "{wanted}");
        }
        // One that was left in its middle hinders nothing.
        decompressor
            .zstd_start(&frame, 3_000_000, 7, &mut out)
            .unwrap();
        decompressor
            .zstd_frame(&frame, 3_000_000, &mut out)
            .unwrap();
        assert!(out == data);
        // Damage counts up to where it was asked.
        let mut damaged = frame.clone();
        let at = damaged.len() / 2;
        damaged[at..at + 1000].fill(0xA5);
        decompressor
            .zstd_start(&damaged, 3_000_000, 7, &mut out)
            .unwrap();
        let whole = decompressor.zstd_start(&damaged, 3_000_000, 2_999_999, &mut out);
        assert!(whole.is_err() || !data.starts_with(&out));
    }
}
