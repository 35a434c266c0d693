//! A tar that is decoded from front to end, a chunk at a time.
//!
//! What is found in a chunk is handed over in the archive's order, before the
//! fault that may follow it. Nothing is judged but the format.

use std::io::{self, Read};

use crate::entry::Member;
use crate::error::Refusal;
use crate::format::tar::{Event, Options, Parser};

use super::index::Run;

/// Bytes that are decoded at a time.
const CHUNK: usize = 256 << 10;

/// What comes next in a tar.
pub(crate) enum Piece<'p> {
    /// A member begins; its content follows.
    Member(Member),
    /// Content of the member, which stands at `offset` in its file.
    Data { offset: u64, bytes: &'p [u8] },
    /// The member's content is complete.
    End,
}

/// Whether a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    /// All of it was read, and it was whole.
    Ended,
}

/// Reads a tar. See the module's documentation.
pub(crate) struct TarStream<R> {
    reader: R,
    parser: Parser,
    buffer: Vec<u8>,
    read: u64,
    /// The blocks that end a tar were seen.
    has_ended: bool,
    extent: Extent,
}

/// What a stream is a stream of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    Archive,
    /// Some frames of one: whole members, but hardly ever the end.
    Run,
}

impl<R: Read> TarStream<R> {
    /// A stream of the tar that `reader` decodes.
    pub(crate) fn new(reader: R, options: Options) -> Self {
        Self {
            reader,
            parser: Parser::new(options),
            buffer: vec![0; CHUNK],
            read: 0,
            has_ended: false,
            extent: Extent::Archive,
        }
    }

    /// A stream of some frames of our own archive, to be held against
    /// [`is_all_of`](Self::is_all_of) at its end.
    pub(crate) fn of_run(reader: R) -> Self {
        Self {
            extent: Extent::Run,
            ..Self::new(reader, Options::default())
        }
    }

    /// Whether what was read to the end is all that `run` is said to hold.
    pub(crate) fn is_all_of(&self, run: &Run) -> bool {
        self.read == run.raw && self.has_ended == run.is_last
    }

    /// Reads the next chunk and calls `each` with what is in it. Not to be
    /// called again after the end or an error.
    pub(crate) fn step(
        &mut self,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), Refusal>,
    ) -> Result<Step, Refusal> {
        let filled = loop {
            match self.reader.read(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => break read.map_err(Refusal::io)?,
            }
        };
        if filled == 0 {
            self.has_ended = self.parser.has_ended();
            let parser = std::mem::replace(&mut self.parser, Parser::new(Options::default()));
            return match self.extent {
                Extent::Run if parser.is_between_members() => Ok(Step::Ended),
                Extent::Run | Extent::Archive => parser.finish().map(|()| Step::Ended),
            };
        }
        self.read += filled as u64;
        let chunk = &self.buffer[..filled];
        self.parser.feed(chunk, &mut |event| {
            each(match event {
                Event::Member(member) => Piece::Member(member),
                Event::Data { offset, bytes } => Piece::Data {
                    offset,
                    bytes: &chunk[bytes],
                },
                Event::Held { offset, bytes } => Piece::Data { offset, bytes },
                Event::MemberEnd => Piece::End,
            })
        })?;
        Ok(Step::More)
    }
}
