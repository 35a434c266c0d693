//! One zstd frame that is whole in memory, and whose content may be large: the tables
//! of a `.bcp`. By itself, so that whoever reads only those needs no other decoder.

use super::decode::{State, zstd_context, zstd_error, zstd_step};
use crate::error::Refusal;
use zstd::zstd_safe;

/// Bytes that the content grows by while it comes.
const STEP: usize = 1 << 20;

/// The `length` bytes that `frame` decodes to, which is one zstd frame and nothing else,
/// with a window of at most 2 to the power of `window` bytes. `None` if it decodes to
/// another number of bytes.
pub(crate) fn decode_frame(
    frame: &[u8],
    window: u32,
    length: u64,
) -> Result<Option<Vec<u8>>, Refusal> {
    match zstd_safe::find_frame_compressed_size(frame) {
        Ok(size) if size == frame.len() => {}
        Ok(_) => return Err(Refusal::malformed("zstd: more than one frame")),
        Err(code) => return Err(Refusal::io(zstd_error(code))),
    }
    let mut context = zstd_context(window)?;
    let mut content: Vec<u8> = Vec::new();
    let (mut read, mut filled) = (0, 0);
    loop {
        // One more byte shows that there is more.
        let most = usize::try_from(length + 1).unwrap_or(usize::MAX);
        content.resize(most.min(filled + STEP), 0);
        let step = zstd_step(&mut context, &frame[read..], &mut content[filled..]);
        let step = step.map_err(Refusal::io)?;
        read += step.consumed;
        filled += step.produced;
        if filled as u64 > length {
            return Ok(None);
        }
        match step.state {
            State::Ended => break,
            State::Going if step.consumed == 0 && step.produced == 0 => {
                return Err(Refusal::truncated("zstd: the frame ends too early"));
            }
            State::Going => {}
        }
    }
    content.truncate(filled);
    Ok((filled as u64 == length).then_some(content))
}
