//! Blocks of a `.bcp` as LZMA2, as xz has it (.xz file format 1.2, 5.3.1), without
//! the container: a dictionary as large as the block, an end marker.

use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};

use super::library_failed;
use crate::error::Refusal;

/// The most that `xz` does without `--extreme`, which takes a third longer and
/// saves a thousandth.
const PRESET: u32 = 9;
/// The smallest dictionary that LZMA2 knows, bytes.
const SMALLEST_DICTIONARY: u32 = 4096;

/// Appends `data`, at most 4 GiB, compressed.
pub(crate) fn encode(data: &[u8], out: &mut Vec<u8>) -> Result<(), Refusal> {
    let mut stream = Stream::new_raw_encoder(&filters(data.len())?).map_err(failed)?;
    // What doesn't become smaller is stored in chunks of 64 KiB, 3 bytes each.
    out.reserve(data.len() + data.len() / 1024 + 64);
    loop {
        let rest = &data[stream.total_in() as usize..];
        match stream.process_vec(rest, out, Action::Finish) {
            Ok(Status::StreamEnd) => return Ok(()),
            Ok(Status::Ok | Status::GetCheck | Status::MemNeeded) => out.reserve(1 << 16),
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Replaces `out` by the `raw` bytes, at most 64 MiB, that all of `data` decodes to.
pub(crate) fn decode(data: &[u8], raw: usize, out: &mut Vec<u8>) -> Result<(), Refusal> {
    out.clear();
    // One more shows that there is more.
    out.reserve_exact(raw + 1);
    let mut stream = Stream::new_raw_decoder(&filters(raw)?).map_err(failed)?;
    let status = stream.process_vec(data, out, Action::Finish);
    match status {
        Ok(Status::StreamEnd) if out.len() == raw && stream.total_in() == data.len() as u64 => {
            Ok(())
        }
        Ok(_) => Err(Refusal::malformed("an LZMA2 block has another size")),
        Err(error) => Err(Refusal::malformed(format!("LZMA2: {error}"))),
    }
}

/// As [`decode`], but only so far that `out` begins with the first `wanted` bytes.
pub(crate) fn decode_start(
    data: &[u8],
    raw: usize,
    wanted: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    if wanted >= raw {
        return decode(data, raw, out);
    }
    out.clear();
    out.reserve_exact(wanted);
    let mut stream = Stream::new_raw_decoder(&filters(raw)?).map_err(failed)?;
    match stream.process_vec(data, out, Action::Run) {
        Ok(_) if out.len() >= wanted => Ok(()),
        Ok(_) => Err(Refusal::malformed("an LZMA2 block has another size")),
        Err(error) => Err(Refusal::malformed(format!("LZMA2: {error}"))),
    }
}

fn filters(size: usize) -> Result<Filters, Refusal> {
    let mut options = LzmaOptions::new_preset(PRESET).map_err(failed)?;
    let dictionary = u32::try_from(size).unwrap_or(u32::MAX);
    options.dict_size(dictionary.max(SMALLEST_DICTIONARY));
    let mut filters = Filters::new();
    filters.lzma2(&options);
    Ok(filters)
}

fn failed(error: liblzma::stream::Error) -> Refusal {
    library_failed("liblzma", error)
}

#[cfg(test)]
mod tests {
    use super::super::tests::mixed;
    use super::*;

    #[test]
    fn a_block_is_of_exactly_the_claimed_size_and_alone() {
        let data = mixed(100_000);
        let (mut block, mut out) = (Vec::new(), Vec::new());
        encode(&data, &mut block).unwrap();
        decode(&block, data.len(), &mut out).unwrap();
        assert!(out == data);
        for wanted in [0, 1, 99_999, 100_000] {
            decode_start(&block, data.len(), wanted, &mut out).unwrap();
            assert!(out.len() >= wanted && data.starts_with(&out));
        }
        assert!(decode_start(&block[..9], data.len(), 99_999, &mut out).is_err());
        let longer = [&block[..], b"\0"].concat();
        for (bytes, raw) in [
            (&block[..], data.len() + 1),
            (&block, data.len() - 1),
            (&block[..block.len() - 1], data.len()),
            (&longer, data.len()),
            (b"", 1),
        ] {
            assert!(
                decode(bytes, raw, &mut out).is_err(),
                "{} {raw}",
                bytes.len()
            );
        }
    }
}
