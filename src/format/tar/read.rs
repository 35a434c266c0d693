//! The parser: chunks of an archive in, members and their content out.
//!
//! A [`Parser`] is a state machine that is fed chunks of any length and calls
//! a sink with what it finds, as early as it can. Content isn't copied: the
//! sink gets ranges of the chunk that was fed. After an error the parser is of
//! no use.
//!
//! Headers become members in [`member`].

use std::ops::Range;

use crate::entry::{Carried, Member, MemberKind};
use crate::error::Refusal;
use crate::extents::Extents;
use crate::format::apple_double;

use super::header::{Block, Header, RecordKind, Type};
use super::member::{self, Begun, Body, Records};
use super::pax::Common;
use super::sparse::{BlockMap, MapState, TextMap};
use super::{BLOCK, END, MAX_RECORD, to_block};

/// How lenient a [`Parser`] is, and what it leaves out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Options {
    /// Takes blocks of zeros for nothing, not for the archive's end, so that
    /// archives behind one another are read as one.
    pub ignore_zeros: bool,
    /// Leaves out what macOS's tar puts beside files to keep their attributes:
    /// files called `._*` of 26 bytes or more that begin with the magic number
    /// of AppleDouble.
    pub skip_apple_double: bool,
    /// The attributes that members get.
    pub carried: Carried,
}

/// What a [`Parser`] finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'c> {
    /// A member begins; its content follows.
    Member(Member),
    /// Content of the member, which stands at `bytes` in the chunk that was
    /// fed, and at `offset` in the file, holes counted.
    Data { offset: u64, bytes: Range<usize> },
    /// Content of the member out of earlier chunks, at most 4 bytes: only
    /// where AppleDouble files are left out and a chunk ended in their magic.
    Held { offset: u64, bytes: &'c [u8] },
    /// The member's content is complete.
    MemberEnd,
}

type Sink<'s> = dyn FnMut(Event) -> Result<(), Refusal> + 's;

/// GNU tar and libarchive take such an archive for whole; nobody can know.
const MISSING_END: &str = "it ends without the two blocks of zeros that end a tar";

/// Where a parser is.
#[derive(Debug)]
enum State {
    /// In a header, or between members.
    Header,
    /// In the records that stand before a header.
    Record(Record),
    /// In the blocks behind a header that hold GNU's sparse map.
    BlockMap(Box<(Begun, BlockMap)>),
    /// In the blocks before the data that hold a sparse map.
    TextMap(Box<(Begun, TextMap)>),
    /// In the first bytes of what may be an AppleDouble file.
    Magic(Box<Begun>, Held),
    Content(Content),
    Padding(usize),
    /// Behind the end: only zeros may follow.
    End,
}

/// Records as they come in.
#[derive(Debug)]
struct Record {
    kind: RecordKind,
    size: u64,
    bytes: Vec<u8>,
}

/// Bytes that are looked at before their member is.
#[derive(Debug, Default)]
struct Held {
    bytes: [u8; apple_double::MAGIC.len()],
    count: usize,
}

/// What is left of a member's content.
#[derive(Debug)]
struct Content {
    extents: Extents,
    /// How many of them have begun.
    begun: usize,
    /// Where the next byte belongs, and how many follow it without a hole.
    offset: u64,
    run: u64,
    padding: usize,
    visibility: Visibility,
}

/// Whether the sink hears of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Shown,
    Skipped,
}

/// Reads a tar archive. See the module's documentation.
#[derive(Debug)]
pub(crate) struct Parser {
    options: Options,
    state: State,
    /// The block that is being filled, in the states that take whole blocks.
    block: Block,
    filled: usize,
    is_empty: bool,
    /// Bytes of zeros that ended the archive, or were ignored.
    zeros: u64,
    records: Records,
    globals: Common,
}

impl Parser {
    /// A parser of an archive.
    pub(crate) fn new(options: Options) -> Self {
        Self {
            options,
            state: State::Header,
            block: [0; BLOCK],
            filled: 0,
            is_empty: true,
            zeros: 0,
            records: Records::None,
            globals: Common::default(),
        }
    }

    /// Whether all that was fed are whole members, with their padding.
    pub(crate) fn is_between_members(&self) -> bool {
        match self.state {
            State::Header => self.filled == 0 && matches!(self.records, Records::None),
            State::End => true,
            State::Record(_)
            | State::BlockMap(_)
            | State::TextMap(_)
            | State::Magic(..)
            | State::Content(_)
            | State::Padding(_) => false,
        }
    }

    /// Whether the archive's end was seen: only zeros may follow.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// How many bytes of the last member, its padding included, are still to
    /// come: 0 between members. `None` where more has to be known to go on: in
    /// headers and records, behind a global header, and at the end.
    pub(crate) fn left(&self) -> Option<u64> {
        if !self.globals.is_empty() {
            return None;
        }
        match &self.state {
            State::Header if self.is_between_members() => Some(0),
            State::Content(content) => Some(content.left()),
            State::Padding(left) => Some(*left as u64),
            State::Header
            | State::Record(_)
            | State::BlockMap(_)
            | State::TextMap(_)
            | State::Magic(..)
            | State::End => None,
        }
    }

    /// Parses the next chunk, of any length.
    pub(crate) fn feed(&mut self, chunk: &[u8], sink: &mut Sink) -> Result<(), Refusal> {
        let mut at = 0;
        while at < chunk.len() {
            let used = self.step(chunk, at, sink)?;
            self.is_empty = false;
            at += used;
        }
        Ok(())
    }

    /// Says that the input has ended.
    ///
    /// Without the two blocks of zeros that end it, an archive may have been
    /// cut off between two members, and is refused.
    pub(crate) fn finish(self) -> Result<(), Refusal> {
        if self.is_empty {
            return Err(Refusal::truncated("there is nothing in it"));
        }
        if !matches!(self.records, Records::None) {
            let cause = "it ends between the records of a member and the member";
            return Err(Refusal::truncated(cause));
        }
        let is_ended = self.zeros >= END.len() as u64;
        let cause = match self.state {
            State::End if is_ended => return Ok(()),
            State::Header if self.is_in_ignored_zeros() && is_ended => return Ok(()),
            State::Header if self.filled == 0 => MISSING_END,
            State::End => MISSING_END,
            State::Header => "it ends in a header",
            State::Record(_) => "it ends in the records of a member",
            State::BlockMap(_) | State::TextMap(_) => "it ends in the map of a sparse file",
            State::Magic(..) | State::Content(_) => "it ends in the content of a member",
            State::Padding(_) => "it ends in the padding of a member",
        };
        Err(Refusal::truncated(cause))
    }

    fn is_in_ignored_zeros(&self) -> bool {
        let started = &self.block[..self.filled];
        self.options.ignore_zeros && started.iter().all(|&byte| byte == 0)
    }

    /// Takes what it can of `chunk[at..]`: nothing only where the state changes.
    fn step(&mut self, chunk: &[u8], at: usize, sink: &mut Sink) -> Result<usize, Refusal> {
        let input = &chunk[at..];
        match &mut self.state {
            State::Content(content) => {
                let used = content.take(at, input.len(), sink)?;
                if content.run == 0 {
                    content.end(sink)?;
                    let padding = content.padding;
                    self.pad(padding);
                }
                Ok(used)
            }
            State::Padding(left) => {
                let used = input.len().min(*left);
                let left = *left - used;
                self.pad(left);
                Ok(used)
            }
            State::Record(record) => {
                let used = record.take(input);
                if record.bytes.len() as u64 == record.size {
                    let padding = to_block(record.size);
                    let bytes = std::mem::take(&mut record.bytes);
                    let kind = record.kind;
                    self.pad(padding);
                    let carried = self.options.carried;
                    self.records
                        .take(kind, &bytes, &mut self.globals, carried)?;
                }
                Ok(used)
            }
            State::Magic(..) => self.take_magic(input, sink),
            State::End => match input.iter().all(|&byte| byte == 0) {
                true => {
                    self.zeros += input.len() as u64;
                    Ok(input.len())
                }
                false => Err(Refusal::malformed("something follows the archive's end")),
            },
            State::Header | State::BlockMap(_) | State::TextMap(_) => {
                let used = self.fill(input);
                if self.filled == BLOCK {
                    self.filled = 0;
                    self.take_block(sink)?;
                }
                Ok(used)
            }
        }
    }

    fn fill(&mut self, input: &[u8]) -> usize {
        let used = input.len().min(BLOCK - self.filled);
        self.block[self.filled..self.filled + used].copy_from_slice(&input[..used]);
        self.filled += used;
        used
    }

    fn pad(&mut self, left: usize) {
        self.state = match left {
            0 => State::Header,
            _ => State::Padding(left),
        };
    }

    fn take_block(&mut self, sink: &mut Sink) -> Result<(), Refusal> {
        match std::mem::replace(&mut self.state, State::Header) {
            State::BlockMap(mut begun) => {
                let state = begun.1.extend(&self.block)?;
                self.go_on_in_blocks(begun, state, sink)
            }
            State::TextMap(mut begun) => {
                let state = begun.1.extend(&self.block)?;
                self.go_on_in_text(begun, state, sink)
            }
            State::Header
            | State::Record(_)
            | State::Magic(..)
            | State::Content(_)
            | State::Padding(_)
            | State::End => self.take_header(sink),
        }
    }

    fn take_header(&mut self, sink: &mut Sink) -> Result<(), Refusal> {
        if self.block == [0; BLOCK] {
            return self.take_zeros();
        }
        let header = Header::parse(&self.block)?;
        match header.kind {
            Type::Record(kind) => self.begin_record(kind, header.size.unwrap_or(0)),
            Type::GnuVolume => {
                self.records.check_none_before("a volume's name")?;
                match header.size {
                    None | Some(0) => Ok(()),
                    Some(_) => Err(Refusal::malformed("a volume's name has content")),
                }
            }
            Type::File
            | Type::Untyped
            | Type::Hardlink
            | Type::Symlink
            | Type::Dir
            | Type::GnuSparse => self.begin_member(header, sink),
        }
    }

    fn take_zeros(&mut self) -> Result<(), Refusal> {
        self.records.check_none_before("the archive's end")?;
        self.zeros += BLOCK as u64;
        // GNU tar and libarchive stop at one block already; what follows a
        // single one is judged as what follows two.
        if !self.options.ignore_zeros {
            self.state = State::End;
        }
        Ok(())
    }

    fn begin_record(&mut self, kind: RecordKind, size: u64) -> Result<(), Refusal> {
        self.records.check_may_precede(kind)?;
        if size > MAX_RECORD {
            return Err(Refusal::malformed(match kind {
                RecordKind::Pax | RecordKind::PaxGlobal => "a PAX header is larger than 1 MiB",
                RecordKind::GnuLongName | RecordKind::GnuLongTarget => {
                    "a GNU long name is larger than 1 MiB"
                }
            }));
        }
        let record = Record {
            kind,
            size,
            bytes: Vec::new(),
        };
        if size == 0 {
            let carried = self.options.carried;
            return self
                .records
                .take(kind, &record.bytes, &mut self.globals, carried);
        }
        self.state = State::Record(record);
        Ok(())
    }

    fn begin_member(&mut self, header: Header, sink: &mut Sink) -> Result<(), Refusal> {
        let records = std::mem::take(&mut self.records);
        let (begun, body) = member::begin(header, records, self.globals)?;
        match body {
            Body::Whole => self.begin_content(begun, sink),
            Body::Mapped(map) => {
                let extents = map.finish(begun.member.size, begun.stored)?;
                self.begin_mapped(begun, extents, sink)
            }
            Body::TextMap => {
                self.state = State::TextMap(Box::new((begun, TextMap::default())));
                Ok(())
            }
            Body::BlockMap => {
                let (map, state) = BlockMap::start(&self.block)?;
                self.go_on_in_blocks(Box::new((begun, map)), state, sink)
            }
        }
    }

    fn go_on_in_blocks(
        &mut self,
        begun: Box<(Begun, BlockMap)>,
        state: MapState,
        sink: &mut Sink,
    ) -> Result<(), Refusal> {
        match state {
            MapState::Continues => {
                self.state = State::BlockMap(begun);
                Ok(())
            }
            MapState::Complete => {
                let (mut begun, map) = *begun;
                begun.member.size = map.real_size;
                let extents = map.finish(begun.stored)?;
                self.begin_mapped(begun, extents, sink)
            }
        }
    }

    fn go_on_in_text(
        &mut self,
        begun: Box<(Begun, TextMap)>,
        state: MapState,
        sink: &mut Sink,
    ) -> Result<(), Refusal> {
        match state {
            MapState::Continues => {
                self.state = State::TextMap(begun);
                Ok(())
            }
            MapState::Complete => {
                let (mut begun, map) = *begun;
                let stored = begun.stored.checked_sub(map.taken);
                begun.stored = stored.ok_or_else(|| {
                    Refusal::malformed("the map of a sparse file is larger than what is stored")
                })?;
                let extents = map.finish(begun.member.size, begun.stored)?;
                self.begin_mapped(begun, extents, sink)
            }
        }
    }

    fn begin_mapped(
        &mut self,
        mut begun: Begun,
        extents: Vec<(u64, u64)>,
        sink: &mut Sink,
    ) -> Result<(), Refusal> {
        begun.member.extents = Some(extents.into());
        self.begin_content(begun, sink)
    }

    fn begin_content(&mut self, begun: Begun, sink: &mut Sink) -> Result<(), Refusal> {
        if self.options.skip_apple_double && may_be_apple_double(&begun) {
            self.state = State::Magic(Box::new(begun), Held::default());
            return Ok(());
        }
        let content = Content::new(&begun);
        sink(Event::Member(begun.member))?;
        self.enter(content, sink)
    }

    /// Goes on in `content`, or behind it if all of it was taken.
    fn enter(&mut self, content: Content, sink: &mut Sink) -> Result<(), Refusal> {
        if content.run > 0 {
            self.state = State::Content(content);
            return Ok(());
        }
        content.end(sink)?;
        self.pad(content.padding);
        Ok(())
    }

    /// Looks at the first bytes of what may be an AppleDouble file. Where the
    /// chunk has them all they aren't taken, so that nothing has to be held.
    fn take_magic(&mut self, input: &[u8], sink: &mut Sink) -> Result<usize, Refusal> {
        let State::Magic(begun, held) = &mut self.state else {
            return Ok(0);
        };
        let mut used = 0;
        let magic = match input.first_chunk() {
            Some(magic) if held.count == 0 => *magic,
            Some(_) | None => {
                used = held.take(input);
                if held.count < held.bytes.len() {
                    return Ok(used);
                }
                held.bytes
            }
        };
        let mut content = Content::new(begun);
        let held = &held.bytes[..held.count];
        if magic == apple_double::MAGIC {
            content.visibility = Visibility::Skipped;
        } else {
            sink(Event::Member(begun.member.clone()))?;
            if !held.is_empty() {
                sink(Event::Held {
                    offset: 0,
                    bytes: held,
                })?;
            }
        }
        content.offset += held.len() as u64;
        content.run -= held.len() as u64;
        self.enter(content, sink)?;
        Ok(used)
    }
}

/// Whether only the content can say if a member is an AppleDouble file.
fn may_be_apple_double(begun: &Begun) -> bool {
    let member = &begun.member;
    member.kind == MemberKind::File
        && member.extents.is_none()
        && member.size >= apple_double::MIN_SIZE
        && apple_double::is_named_so(&member.path)
}

impl Record {
    fn take(&mut self, input: &[u8]) -> usize {
        let left = self.size - self.bytes.len() as u64;
        let used = input.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.bytes.extend_from_slice(&input[..used]);
        used
    }
}

impl Held {
    fn take(&mut self, input: &[u8]) -> usize {
        let used = input.len().min(self.bytes.len() - self.count);
        self.bytes[self.count..self.count + used].copy_from_slice(&input[..used]);
        self.count += used;
        used
    }
}

impl Content {
    fn new(begun: &Begun) -> Self {
        let extents = match &begun.member.extents {
            Some(extents) => extents.clone(),
            None => vec![(0, begun.stored)].into(),
        };
        let mut content = Self {
            extents,
            begun: 0,
            offset: 0,
            run: 0,
            padding: to_block(begun.stored),
            visibility: Visibility::Shown,
        };
        content.next_extent();
        content
    }

    fn next_extent(&mut self) {
        if let Some((offset, run)) = self.extents.get(self.begun) {
            self.begun += 1;
            self.offset = offset;
            self.run = run;
        }
    }

    /// Stored bytes that are still to come, with the padding.
    fn left(&self) -> u64 {
        let behind = self.extents.data() - self.extents.before(self.begun);
        self.run + behind + self.padding as u64
    }

    /// Takes content from the `available` bytes of a chunk from `at` on.
    fn take(&mut self, at: usize, available: usize, sink: &mut Sink) -> Result<usize, Refusal> {
        let used = available.min(usize::try_from(self.run).unwrap_or(usize::MAX));
        if self.visibility == Visibility::Shown {
            let (offset, bytes) = (self.offset, at..at + used);
            sink(Event::Data { offset, bytes })?;
        }
        self.offset += used as u64;
        self.run -= used as u64;
        if self.run == 0 {
            self.next_extent();
        }
        Ok(used)
    }

    /// Tells the sink that the content is complete.
    fn end(&self, sink: &mut Sink) -> Result<(), Refusal> {
        match self.visibility {
            Visibility::Shown => sink(Event::MemberEnd),
            Visibility::Skipped => Ok(()),
        }
    }
}
