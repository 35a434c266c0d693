//! Decodes a stream from its front.
//!
//! A stream is one member or frame after the other until the input ends, with
//! nothing behind the last: what decoders commonly ignore there could be
//! another archive. Every checksum that the format has is verified before the
//! end is reported. Input that ends early is [`UnexpectedEof`], input that
//! can't be decoded [`InvalidData`], whatever the library below calls it;
//! errors of the source itself pass unchanged.
//!
//! [`UnexpectedEof`]: io::ErrorKind::UnexpectedEof
//! [`InvalidData`]: io::ErrorKind::InvalidData

use std::io::{self, Read};

use flate2::{Decompress, FlushDecompress};
use liblzma::stream::{Action, MtStreamBuilder, Stream};
use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
use zstd::zstd_safe::{self, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

use super::{Codec, library_failed};
use crate::error::Refusal;

/// How much is read from the source at a time, bytes. 32 KiB to 512 KiB
/// differ by less than the noise: zstd 1.5 GB/s (`zstd -d` 1.4), gzip 570 MB/s
/// (`gzip -d` 210), on one core with the file in memory.
const INPUT: usize = 128 << 10;
/// What decoding xz may take: `xz -9` needs 65 MiB, its largest preset.
const XZ_MEMORY: u64 = 256 << 20;
/// zstd's window, as a power of two: what `zstd -d` itself accepts.
const ZSTD_WINDOW: u32 = 27;
/// How often a library may return without having done anything: liblzma says
/// only the second time that it can't go on.
const IDLE_STEPS: u32 = 3;

/// How to decode.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DecodeOptions {
    /// How many threads may decode; xz alone makes use of more than one.
    pub threads: u32,
}

/// The data that `input` decodes to. It is proven only when a read has
/// returned 0: the last checksum stands behind the last byte.
pub(crate) fn decoder<'r>(
    codec: Codec,
    input: impl Read + Send + 'r,
    options: DecodeOptions,
) -> Result<Box<dyn Read + Send + 'r>, Refusal> {
    let engine = match codec {
        Codec::Store => return Ok(Box::new(input)),
        Codec::Gzip => Engine::Gzip(Decompress::new_gzip(15)),
        Codec::Bzip2 => Engine::Bzip2(bzip2::Decompress::new(false)),
        Codec::Xz => Engine::Xz(xz_stream(options.threads)?, options.threads),
        Codec::Zstd => Engine::Zstd(zstd_context(ZSTD_WINDOW)?),
    };
    Ok(Box::new(Decoder::new(input, engine)))
}

impl<R> Decoder<R> {
    fn new(input: R, engine: Engine) -> Self {
        Self {
            input,
            buffer: vec![0; INPUT].into_boxed_slice(),
            unread: 0..0,
            ending: Ending::More,
            engine,
            place: Place::Front,
            failure: None,
        }
    }
}

fn xz_stream(threads: u32) -> Result<Stream, Refusal> {
    let stream = if threads > 1 {
        MtStreamBuilder::new()
            .threads(threads)
            .memlimit_threading(XZ_MEMORY)
            .memlimit_stop(XZ_MEMORY)
            .decoder()
    } else {
        Stream::new_stream_decoder(XZ_MEMORY, 0)
    };
    stream.map_err(|error| library_failed("liblzma", error))
}

pub(super) fn zstd_context(window: u32) -> Result<DCtx<'static>, Refusal> {
    let mut context = DCtx::create();
    context
        .set_parameter(DParameter::WindowLogMax(window))
        .map_err(|code| library_failed("zstd", zstd_safe::get_error_name(code)))?;
    Ok(context)
}

struct Decoder<R> {
    input: R,
    buffer: Box<[u8]>,
    /// The part of `buffer` that is still to be decoded.
    unread: std::ops::Range<usize>,
    ending: Ending,
    engine: Engine,
    place: Place,
    /// An error behind data that was handed out first.
    failure: Option<io::Error>,
}

/// Where in the stream the next byte is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Front,
    Inside,
    /// Behind a whole member or frame.
    Between,
    /// Behind that many of the zeros that may follow.
    Padding(u64),
    End,
    /// Behind an error.
    Broken,
}

/// Whether the source has more.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    More,
    Reached,
}

impl<R: Read> Read for Decoder<R> {
    /// Fills all of `out` unless the stream ends.
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < out.len() {
            let step = match self.failure.take() {
                Some(error) => Err(error),
                None => self.advance(&mut out[filled..]),
            };
            match step {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if filled == 0 => {
                    self.place = Place::Broken;
                    return Err(error);
                }
                Err(error) => {
                    self.failure = Some(error);
                    break;
                }
            }
        }
        Ok(filled)
    }
}

impl<R: Read> Decoder<R> {
    /// Decodes at least one byte; 0 at the end.
    fn advance(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.place == Place::Broken {
            return Err(invalid("the stream failed before"));
        }
        loop {
            self.fill()?;
            let next = self.buffer[self.unread.clone()].first().copied();
            match (self.place, next) {
                (Place::End | Place::Broken, _) | (Place::Between, None) => {
                    self.place = Place::End;
                    return Ok(0);
                }
                (Place::Front, None) => return Err(ended()),
                (Place::Front, Some(_)) => self.place = Place::Inside,
                (Place::Between, Some(0)) => self.place = Place::Padding(0),
                (Place::Between, Some(_)) => {
                    self.engine.restart()?;
                    self.place = Place::Inside;
                }
                (Place::Padding(zeros), Some(0)) => {
                    let rest = &self.buffer[self.unread.clone()];
                    let count = rest.iter().take_while(|byte| **byte == 0).count();
                    self.unread.start += count;
                    self.place = Place::Padding(zeros + count as u64);
                }
                (Place::Padding(zeros), Some(_) | None) => {
                    self.place = self.engine.behind_zeros(zeros, next)?;
                }
                (Place::Inside, _) => match self.decode(out)? {
                    0 => {}
                    count => return Ok(count),
                },
            }
        }
    }

    /// Reads on if everything is decoded.
    fn fill(&mut self) -> io::Result<()> {
        while self.unread.is_empty() && self.ending == Ending::More {
            match self.input.read(&mut self.buffer) {
                Ok(0) => self.ending = Ending::Reached,
                Ok(count) => self.unread = 0..count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Decodes until there is something, or the member or the input ends.
    fn decode(&mut self, out: &mut [u8]) -> io::Result<usize> {
        for _ in 0..IDLE_STEPS {
            let input = &self.buffer[self.unread.clone()];
            let step = self.engine.step(input, out, self.ending)?;
            self.unread.start += step.consumed;
            match step.state {
                State::Ended => {
                    self.place = Place::Between;
                    return Ok(step.produced);
                }
                State::Going if step.produced > 0 => return Ok(step.produced),
                State::Going if self.unread.is_empty() && self.ending == Ending::More => {
                    return Ok(0);
                }
                State::Going if step.consumed > 0 => return Ok(0),
                State::Going => {}
            }
        }
        if self.unread.is_empty() {
            Err(ended())
        } else {
            Err(invalid("the decoder makes no progress"))
        }
    }
}

enum Engine {
    Gzip(Decompress),
    Bzip2(bzip2::Decompress),
    /// With the number of threads for the next one.
    Xz(Stream, u32),
    Zstd(DCtx<'static>),
}

/// What one call of a library did.
pub(super) struct Step {
    pub(super) consumed: usize,
    pub(super) produced: usize,
    pub(super) state: State,
}

/// Whether the member or frame is complete, its checksum included.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Going,
    Ended,
}

impl Engine {
    fn step(&mut self, input: &[u8], out: &mut [u8], ending: Ending) -> io::Result<Step> {
        match self {
            Self::Gzip(stream) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream
                    .decompress(input, out, FlushDecompress::None)
                    .map_err(|error| invalid(format!("gzip: {error}")))?;
                let state = match status {
                    flate2::Status::Ok | flate2::Status::BufError => State::Going,
                    flate2::Status::StreamEnd => State::Ended,
                };
                Ok(Step::since(
                    before,
                    stream.total_in(),
                    stream.total_out(),
                    state,
                ))
            }
            Self::Bzip2(stream) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream
                    .decompress(input, out)
                    .map_err(|error| invalid(format!("bzip2: {error}")))?;
                let state = match status {
                    bzip2::Status::Ok
                    | bzip2::Status::FlushOk
                    | bzip2::Status::RunOk
                    | bzip2::Status::FinishOk
                    | bzip2::Status::MemNeeded => State::Going,
                    bzip2::Status::StreamEnd => State::Ended,
                };
                Ok(Step::since(
                    before,
                    stream.total_in(),
                    stream.total_out(),
                    state,
                ))
            }
            Self::Xz(stream, _) => xz_step(stream, input, out, ending),
            Self::Zstd(context) => zstd_step(context, input, out),
        }
    }

    /// Where `next` is if it stands behind `zeros` after a whole member.
    fn behind_zeros(&self, zeros: u64, next: Option<u8>) -> io::Result<Place> {
        let what = match (self, next) {
            // Tapes fill gzip streams up; gzip itself reads no further.
            (Self::Gzip(_), None) => return Ok(Place::End),
            // Stream padding (.xz file format, 2.2).
            (Self::Xz(..), None | Some(_)) if zeros.is_multiple_of(4) => {
                return Ok(Place::Between);
            }
            (Self::Gzip(_), Some(_)) => "gzip: data behind the zeros after the last member",
            (Self::Xz(..), None | Some(_)) => "xz: padding that is no multiple of four bytes",
            (Self::Bzip2(_), None | Some(_)) => "bzip2: zeros behind the last stream",
            (Self::Zstd(_), None | Some(_)) => "zstd: zeros behind the last frame",
        };
        Err(invalid(what))
    }

    /// Prepares for the next member or frame.
    fn restart(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(stream) => stream.reset(true),
            Self::Bzip2(stream) => *stream = bzip2::Decompress::new(false),
            Self::Xz(stream, threads) => {
                *stream =
                    xz_stream(*threads).map_err(|error| io::Error::other(error.to_string()))?;
            }
            Self::Zstd(context) => {
                let done = context.reset(ResetDirective::SessionOnly);
                done.map_err(zstd_error)?;
            }
        }
        Ok(())
    }
}

impl Step {
    fn since(before: (u64, u64), total_in: u64, total_out: u64, state: State) -> Self {
        Self {
            consumed: (total_in - before.0) as usize,
            produced: (total_out - before.1) as usize,
            state,
        }
    }
}

fn xz_step(stream: &mut Stream, input: &[u8], out: &mut [u8], ending: Ending) -> io::Result<Step> {
    use liblzma::stream::{Error, Status};

    let action = match ending {
        Ending::More => Action::Run,
        Ending::Reached => Action::Finish,
    };
    let before = (stream.total_in(), stream.total_out());
    let status = stream.process(input, out, action);
    let state = match status {
        Ok(Status::Ok | Status::GetCheck | Status::MemNeeded) => State::Going,
        Ok(Status::StreamEnd) => State::Ended,
        Err(Error::MemLimit) => {
            return Err(over_limit("xz: more than 256 MiB of memory to decode"));
        }
        Err(Error::Mem) => return Err(io::Error::other("xz: can't allocate memory")),
        Err(
            error @ (Error::Data
            | Error::Options
            | Error::Format
            | Error::Program
            | Error::NoCheck
            | Error::UnsupportedCheck),
        ) => return Err(invalid(format!("xz: {error}"))),
    };
    Ok(Step::since(
        before,
        stream.total_in(),
        stream.total_out(),
        state,
    ))
}

pub(super) fn zstd_step(
    context: &mut DCtx<'static>,
    input: &[u8],
    out: &mut [u8],
) -> io::Result<Step> {
    let mut source = InBuffer::around(input);
    let mut window = OutBuffer::around(out);
    let expected = context
        .decompress_stream(&mut window, &mut source)
        .map_err(zstd_error)?;
    // 0 is said when a frame is decoded, verified and handed out.
    let state = if expected == 0 {
        State::Ended
    } else {
        State::Going
    };
    Ok(Step {
        consumed: source.pos(),
        produced: window.pos(),
        state,
    })
}

pub(super) fn zstd_error(code: usize) -> io::Error {
    let too_large = ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge;
    if zstd_safe::is_error_kind(code, too_large) {
        return over_limit("zstd: a larger window than is accepted");
    }
    invalid(format!("zstd: {}", zstd_safe::get_error_name(code)))
}

fn ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the compressed data ends early",
    )
}

fn invalid(cause: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause.into())
}

/// [`Refusal::io`] makes this [`LimitExceeded`](crate::ErrorKind::LimitExceeded).
fn over_limit(cause: &str) -> io::Error {
    io::Error::new(io::ErrorKind::OutOfMemory, cause)
}

#[cfg(test)]
mod tests {
    use super::super::Profile;
    use super::super::tests::{ALL, COMPRESSING, decode, encode, mixed, noise};
    use super::*;
    use crate::error::ErrorKind;

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
    fn a_stream_that_ends_early_is_an_error_wherever_it_ends() {
        let data = mixed(2200);
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
        let data = [noise(200, 5), b"a line\n".repeat(50)].concat();
        for codec in COMPRESSING {
            let stream = encode(codec, Profile::Fast, &data, 1 << 20);
            let frame = match codec {
                Codec::Zstd => zstd::zstd_safe::find_frame_compressed_size(&stream).unwrap(),
                _ => stream.len(),
            };
            for at in 0..frame {
                // All eight take twelve seconds in a debug build.
                for bit in [at % 8, (at + 3) % 8] {
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
}
