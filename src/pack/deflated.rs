//! Finds deflate streams in files, and how zlib made them.
//!
//! What such a stream inflates to compresses far better than the stream itself. It is
//! taken only if the stream comes back bit for bit, which is tried here. What is
//! found depends on the file alone.

use flate2::{Decompress, FlushDecompress, Status};

use crate::codec::deflate::{Compare, Deflater, Memory, Setup, Strategy};
use crate::error::Result;
use crate::format::bcp::{Form, MAX_BLOCK, Part};

use super::buffer::Buffer;

/// The most that a stream inflates to, bytes: it has to fit into a block, and
/// blocks that end early cost more than what is gained.
const MOST: usize = MAX_BLOCK as usize / 2;
/// What is shorter isn't worth its row in the manifest, bytes.
const LEAST: usize = 64;
/// Bytes of a file that are searched at a time: more than any stream has.
const WINDOW: u64 = 2 * MOST as u64;

/// Searches one file after the other.
pub(super) struct Finder {
    deflater: Deflater,
    plain: Vec<u8>,
    window: Buffer,
}

/// Where a stream begins, and what is said in front of it.
struct Candidate {
    start: usize,
    levels: &'static [u8],
    window: u8,
}

/// What became of a candidate.
enum Found {
    Stream(Part),
    Nothing,
    /// It goes on behind the window.
    Cut,
}

impl Finder {
    pub(super) fn new() -> Self {
        Self {
            deflater: Deflater::default(),
            plain: Vec::new(),
            window: Buffer::default(),
        }
    }

    /// The streams in `data` bytes, which `read` appends to a buffer part by part. Where
    /// they are stored is not known yet.
    pub(super) fn find(
        &mut self,
        data: u64,
        mut read: impl FnMut(std::ops::Range<u64>, &mut Buffer) -> Result<()>,
    ) -> Result<Vec<Part>> {
        let mut streams: Vec<Part> = Vec::new();
        let mut start = 0;
        while start < data {
            let end = (start + WINDOW).min(data);
            let mut window = std::mem::take(&mut self.window);
            window.clear();
            read(start..end, &mut window)?;
            let next = self.search(&window, start, end == data, &mut streams);
            self.window = window;
            start = next;
        }
        Ok(streams)
    }

    /// Searches a window that stands at `offset`. Returns where the next one
    /// begins.
    fn search(
        &mut self,
        window: &[u8],
        offset: u64,
        is_last: bool,
        streams: &mut Vec<Part>,
    ) -> u64 {
        /// Bytes that may be in front of a stream, so that a next window sees
        /// them: the longest header of a zip.
        const FRONT: usize = 30 + 2 * u16::MAX as usize;
        let mut at = 0;
        while let Some(found) = window[at..].iter().position(|byte| is_begin(*byte)) {
            at += found;
            if !is_last && at + FRONT >= window.len() {
                return offset + at as u64;
            }
            let begin = at;
            at += 1;
            let Some(candidate) = candidate(window, begin) else {
                continue;
            };
            match self.try_one(window, offset, &candidate, streams.last()) {
                Found::Nothing => {}
                Found::Cut if is_last || begin == 0 => {}
                Found::Cut => return offset + begin as u64,
                Found::Stream(stream) => {
                    at = candidate.start + stream.length as usize;
                    streams.push(stream);
                }
            }
        }
        offset + window.len() as u64
    }

    fn try_one(
        &mut self,
        window: &[u8],
        offset: u64,
        candidate: &Candidate,
        before: Option<&Part>,
    ) -> Found {
        let rest = &window[candidate.start..];
        self.plain.clear();
        self.plain.reserve_exact(MOST);
        let mut inflater = Decompress::new(false);
        let status = inflater.decompress_vec(rest, &mut self.plain, FlushDecompress::None);
        let length = inflater.total_in() as usize;
        match status {
            Ok(Status::StreamEnd) => {}
            Ok(Status::Ok | Status::BufError) if length == rest.len() => return Found::Cut,
            Ok(Status::Ok | Status::BufError) | Err(_) => return Found::Nothing,
        }
        if length < LEAST || self.plain.len() <= length {
            return Found::Nothing;
        }
        let last = before.and_then(|before| match before.form {
            Form::Inflated(setup) => Some(setup),
            Form::X86Streams | Form::Arm64 | Form::Rows(_) | Form::Unwind => None,
        });
        let others = setups(candidate).filter(|setup| Some(*setup) != last);
        let stream = &rest[..length];
        let makes = |setup: &Setup| {
            let mut output = Compare { rest: stream };
            self.deflater.deflate(&self.plain, *setup, &mut output) && output.rest.is_empty()
        };
        let Some(setup) = last.into_iter().chain(others).find(makes) else {
            return Found::Nothing;
        };
        Found::Stream(Part {
            offset: offset + candidate.start as u64,
            length: length as u32,
            stored: 0,
            size: self.plain.len() as u32,
            form: Form::Inflated(setup),
        })
    }
}

/// Whether the header of a stream may begin so: zlib's, gzip's, a zip's, and an
/// image's.
fn is_begin(byte: u8) -> bool {
    matches!(byte, 0x78 | 0x1F | b'P' | b'I')
}

/// The stream whose header begins at `at`.
fn candidate(window: &[u8], at: usize) -> Option<Candidate> {
    const ALL: &[u8] = &[6, 9, 1, 5, 4, 3, 2, 7, 8];
    const LARGEST: u8 = 15;
    let header = &window[at..];
    let unknown = |length: usize| Candidate {
        start: at + length,
        levels: ALL,
        window: LARGEST,
    };
    match header.first()? {
        0x78 => zlib(header).map(|(levels, window)| Candidate {
            start: at + 2,
            levels,
            window,
        }),
        b'I' => {
            let header = header.strip_prefix(b"IDAT")?;
            zlib(header).map(|(levels, window)| Candidate {
                start: at + 6,
                levels,
                window,
            })
        }
        b'P' => zip(header).map(unknown),
        _ => gzip(header).map(unknown),
    }
    .filter(|candidate| candidate.start < window.len())
}

/// The levels that zlib's header speaks of (RFC 1950, 2.2), and the window.
fn zlib(header: &[u8]) -> Option<(&'static [u8], u8)> {
    const DEFLATE: u8 = 8;
    const HAS_DICTIONARY: u8 = 0x20;
    let [method, flags, ..] = *header else {
        return None;
    };
    let is_one = u16::from_be_bytes([method, flags]).is_multiple_of(31)
        && method & 0xF == DEFLATE
        && method >> 4 <= 7
        && flags & HAS_DICTIONARY == 0;
    let levels: &[u8] = match flags >> 6 {
        0 => &[1],
        1 => &[5, 4, 3, 2],
        2 => &[6],
        _ => &[9, 8, 7],
    };
    is_one.then(|| (levels, ((method >> 4) + 8).max(9)))
}

/// Bytes of a zip's local header in front of a member that is deflated (APPNOTE
/// 4.3.7).
fn zip(header: &[u8]) -> Option<usize> {
    const FIXED: usize = 30;
    let fixed: &[u8; FIXED] = header.first_chunk()?;
    let number = |at: usize| u16::from_le_bytes([fixed[at], fixed[at + 1]]);
    let (is_encrypted, method) = (number(6) & 1 != 0, number(8));
    let is_one = fixed.starts_with(b"PK\x03\x04") && !is_encrypted && method == 8;
    is_one.then(|| FIXED + usize::from(number(26)) + usize::from(number(28)))
}

/// Bytes of gzip's header (RFC 1952, 2.3).
fn gzip(header: &[u8]) -> Option<usize> {
    const FIXED: usize = 10;
    const EXTRA: u8 = 4;
    const NAME: u8 = 8;
    const COMMENT: u8 = 16;
    const CHECKSUM: u8 = 2;
    let fixed: &[u8; FIXED] = header.first_chunk()?;
    let flags = fixed[3];
    if !fixed.starts_with(&[0x1F, 0x8B, 8]) || flags >> 5 != 0 {
        return None;
    }
    let mut length = FIXED;
    if flags & EXTRA != 0 {
        let extra = header.get(length..)?.first_chunk()?;
        length += 2 + usize::from(u16::from_le_bytes(*extra));
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            length += memchr::memchr(0, header.get(length..)?)? + 1;
        }
    }
    Some(length + if flags & CHECKSUM != 0 { 2 } else { 0 })
}

/// What zlib may have been told, the most usual first.
fn setups(candidate: &Candidate) -> impl Iterator<Item = Setup> {
    const LARGEST: u8 = 15;
    let (levels, window) = (candidate.levels, candidate.window);
    let others = [
        (Memory::Usual, Strategy::Usual),
        (Memory::Usual, Strategy::Filtered),
        (Memory::Most, Strategy::Filtered),
        (Memory::Most, Strategy::Usual),
    ];
    // Packers of images write a smaller window into the header than they had.
    let windows = [Some(window), (window < LARGEST).then_some(LARGEST)];
    let windows = windows.into_iter().flatten();
    windows.flat_map(move |window| {
        others.into_iter().flat_map(move |(memory, strategy)| {
            levels.iter().map(move |level| Setup {
                level: *level,
                window,
                memory,
                strategy,
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::deflate::Append;

    const USUAL: Setup = Setup {
        level: 6,
        window: 15,
        memory: Memory::Usual,
        strategy: Strategy::Usual,
    };

    fn text(count: usize) -> Vec<u8> {
        let lines =
            (0..count).map(|number| format!("line {} of {}\n", number * 7919 % 1000, number));
        lines.collect::<String>().into_bytes()
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

    fn find(data: &[u8]) -> Vec<Part> {
        let read = |range: std::ops::Range<u64>, buffer: &mut Buffer| {
            buffer.append(&data[range.start as usize..range.end as usize]);
            Ok(())
        };
        Finder::new().find(data.len() as u64, read).unwrap()
    }

    #[test]
    fn streams_are_found_behind_their_headers() {
        let plain = text(300);
        let filtered = Setup {
            level: 9,
            window: 12,
            memory: Memory::Most,
            strategy: Strategy::Filtered,
        };
        let mut zip =
            b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05\0\x02\0".to_vec();
        zip.extend_from_slice(b"a.txtxx");
        for (header, setup) in [
            (&b"\x78\x9C"[..], USUAL),
            (
                b"\x1F\x8B\x08\x08\0\0\0\0\0\x03name\0",
                Setup { level: 4, ..USUAL },
            ),
            (&zip, Setup { level: 1, ..USUAL }),
            (b"\x89PNG\r\n\x1A\n....IDAT\x48\xC7", filtered),
        ] {
            let stream = deflate(&plain, setup);
            let data = [b"in front x of it", header, &stream, b"and behind"].concat();
            let found = find(&data);
            let [one] = found[..] else {
                panic!("{header:x?}: {found:?}");
            };
            let at = 16 + header.len() as u64;
            assert_eq!(one.offset, at);
            assert_eq!(one.length as usize, stream.len());
            assert_eq!(one.size as usize, plain.len());
            let Form::Inflated(setup) = one.form else {
                panic!("{:?}", one.form);
            };
            assert_eq!(deflate(&plain, setup), stream);
        }
    }

    #[test]
    fn a_stream_that_zlib_did_not_make_is_left_as_it_is() {
        let plain = text(300);
        let mut stream = deflate(&plain, USUAL);
        let mut compressor =
            libdeflater::Compressor::new(libdeflater::CompressionLvl::new(6).unwrap());
        let mut other = vec![0; 100_000];
        let length = compressor.deflate_compress(&plain, &mut other).unwrap();
        for bytes in [&other[..length], &deflate(b"short", USUAL), &b"xxxx"[..]] {
            assert_eq!(find(&[b"\x78\x9C", bytes, &[0; 9]].concat()), []);
        }
        stream.truncate(stream.len() - 1);
        assert_eq!(find(&[b"\x78\x9C", &stream[..]].concat()), []);
    }

    #[test]
    fn streams_that_a_window_cuts_are_found_in_the_next() {
        let (short, long) = (text(300), text(60_000));
        let (short_stream, long_stream) = (deflate(&short, USUAL), deflate(&long, USUAL));
        let mut data = vec![b'.'; WINDOW as usize - 200_000];
        let mut starts = Vec::new();
        for stream in [&short_stream, &long_stream, &short_stream] {
            data.extend_from_slice(b"\x78\x9C");
            starts.push(data.len() as u64);
            data.extend_from_slice(stream);
            data.extend_from_slice(&[b'.'; 150_000]);
        }
        let found = find(&data);
        let offsets: Vec<u64> = found.iter().map(|one| one.offset).collect();
        assert_eq!(offsets, starts);
    }
}
