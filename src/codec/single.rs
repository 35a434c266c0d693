//! One zstd frame over a whole stream.
//!
//! Matches reach back over the whole window, where frames of one unit each
//! begin anew; in exchange nobody can decode it in parallel or from the
//! middle. zstd cuts the data into jobs of a fixed size for its own workers.
//! There is always at least one worker, because none at all gives other bytes;
//! how many there are doesn't show in the result.

use std::io::{self, Write};

use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective as End;
use zstd::zstd_safe::{CCtx, CParameter, InBuffer, OutBuffer, get_error_name};

use super::encode::{set_parameter, zstd_context};
use super::{Codec, Level};
use crate::error::Refusal;

/// How much is compressed before it is written, bytes.
const OUTPUT: usize = 256 << 10;

/// Compresses what is written to it into one frame.
pub(crate) struct SingleFrame<W: Write> {
    out: W,
    context: CCtx<'static>,
    buffer: Vec<u8>,
}

impl<W: Write> SingleFrame<W> {
    /// `workers` is at least 1. Nothing is written yet.
    pub(crate) fn new(out: W, level: Level, workers: u32) -> Result<Self, Refusal> {
        let level = level.resolve(Codec::Zstd)?;
        let mut context = zstd_context(level)?;
        set_parameter(&mut context, CParameter::NbWorkers(workers.max(1)))?;
        set_parameter(&mut context, CParameter::JobSize(job_size(level)))?;
        let buffer = Vec::with_capacity(OUTPUT);
        Ok(Self {
            out,
            context,
            buffer,
        })
    }

    /// Ends the frame, without which no decoder accepts it.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        while self.step(&mut InBuffer::around(&[]), End::ZSTD_e_end)? > 0 {}
        Ok(self.out)
    }

    /// Compresses some of `input`; returns how much is left to be written.
    fn step(&mut self, input: &mut InBuffer<'_>, end: End) -> io::Result<usize> {
        self.buffer.clear();
        let mut window = OutBuffer::around(&mut self.buffer);
        let left = self
            .context
            .compress_stream2(&mut window, input, end)
            .map_err(|code| io::Error::other(get_error_name(code)))?;
        self.out.write_all(&self.buffer)?;
        Ok(left)
    }
}

/// How much data one job takes: four windows of the level or more, as zstd
/// itself chooses. Left to zstd it would depend on its version.
fn job_size(level: i32) -> u32 {
    match level {
        ..=8 => 8 << 20,
        9..=16 => 16 << 20,
        17..=19 => 32 << 20,
        20.. => 128 << 20,
    }
}

impl<W: Write> Write for SingleFrame<W> {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        let mut input = InBuffer::around(data);
        while input.pos() < data.len() {
            self.step(&mut input, End::ZSTD_e_continue)?;
        }
        Ok(data.len())
    }

    /// Flushes what lies behind; the frame itself is not cut.
    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::super::tests::{decode, mixed};
    use super::*;

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
}
