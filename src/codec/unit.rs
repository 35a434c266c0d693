//! Decodes one unit whose place and sizes a table claims to know.
//!
//! The claims come from an untrusted file. A unit is taken only if it is
//! exactly one frame, and of exactly the size that was claimed:
//! otherwise a reader that starts at the front would see other data.

use zstd::zstd_safe::{self, DCtx, get_error_name};

use super::MAX_UNIT;
use crate::error::{ErrorKind, Refusal};

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
        out.reserve_exact(raw);
        let written = self.zstd.decompress(out, frame).map_err(corrupt_zstd)?;
        if written != raw {
            return Err(disagrees("a zstd frame decodes to another size"));
        }
        Ok(())
    }
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
}
