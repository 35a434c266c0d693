//! A zip file from a pipe, where nothing can be read twice.
//!
//! Members come as their local headers tell of them; what they are (folder,
//! file or link) and their mode stand in the directory alone, which comes
//! last. So content is kept aside until [`StreamReader::finish`] has held every
//! member against the directory: none missing, none more, all the same.
//!
//! The archive has to begin with the first byte, and no content may be stored
//! uncompressed without its size: its end could be anywhere.

use std::io::{self, BufRead, Read};
use std::mem;

use super::check::Checked;
use super::end::{End, EndRecords, MAX_PADDING, several_disks};
use super::entry::{AES_METHOD, ZipEntry, of_member};
use super::input::Input;
use super::local::{DESCRIPTOR_SIZES, Local, Sums, descriptor};
use super::method::Method;
use super::read::{Directory, behind_the_last};
use super::records::{
    ARCHIVE_EXTRA, CentralHeader, End64Record, EndRecord, LocalHeader, Locator, SPANNED,
};
use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;

/// What can be done with an archive that a pipe can't give.
const SAVE_IT: &str = "save it to a file first";

/// A member as its local header describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalEntry {
    /// The name as it is stored, a folder's slash included.
    pub(crate) name: Vec<u8>,
    pub(crate) method: Method,
    /// The bytes of the content, where they stand before it.
    pub(crate) size: Option<u64>,
    pub(crate) modified: Option<Timestamp>,
    /// Where its local header began: by this, [`Directory::at_offset`] finds
    /// the member that it turns out to be.
    pub(crate) header_offset: u64,
}

/// Reads a zip file from its first byte to its last.
pub(crate) struct StreamReader<R: Read> {
    state: State<R>,
    seen: Vec<Seen>,
}

enum State<R: Read> {
    /// Before a local header or the directory.
    Between(Input<R>),
    /// Within the content of the last of `seen`.
    Inside(Box<Checked<Input<R>>>),
    /// An error left it nowhere.
    Lost,
}

/// A member that has come by.
struct Seen {
    name: Vec<u8>,
    local: Local,
    offset: u64,
    /// What its content was; zeros until it was read.
    sums: Sums,
}

impl<R: Read> StreamReader<R> {
    pub(crate) fn new(source: R) -> Self {
        Self {
            state: State::Between(Input::new(source)),
            seen: Vec::new(),
        }
    }

    /// The next member, or `None` where the directory begins. What is left of
    /// the content of the last one is read and checked first.
    pub(crate) fn next_entry(&mut self) -> Result<Option<LocalEntry>, Refusal> {
        self.skip_content()?;
        let State::Between(mut input) = mem::replace(&mut self.state, State::Lost) else {
            return Err(lost());
        };
        let offset = input.position();
        let start = input.peek(4).map_err(Refusal::io)?;
        if start != LocalHeader::SIGNATURE {
            judge_start(start, offset)?;
            self.state = State::Between(input);
            return Ok(None);
        }
        let (name, local) = read_local(&mut input)?;
        let blame = |refusal: Refusal| of_member(&name, &refusal);
        if local.method == AES_METHOD {
            let refusal = Refusal::new(ErrorKind::Encrypted, "it is encrypted");
            return Err(blame(refusal));
        }
        let method = Method::from_number(local.method).map_err(blame)?;
        let (content, size) = open(&name, &local, method, input).map_err(blame)?;
        self.state = State::Inside(Box::new(content));
        let entry = LocalEntry {
            name: name.clone(),
            method,
            size,
            modified: local.modified,
            header_offset: offset,
        };
        self.seen.push(Seen {
            name,
            local,
            offset,
            sums: local.sums,
        });
        Ok(Some(entry))
    }

    /// Reads the directory to the archive's last byte, and returns it if it
    /// says of each member what was seen. Members that weren't asked for yet
    /// are read and checked.
    pub(crate) fn finish(mut self) -> Result<Directory, Refusal> {
        while self.next_entry()?.is_some() {}
        let State::Between(mut input) = mem::replace(&mut self.state, State::Lost) else {
            return Err(lost());
        };
        let start = input.position();
        let mut scratch = Vec::new();
        let mut entries = Vec::new();
        while input.peek(4).map_err(Refusal::io)? == CentralHeader::SIGNATURE {
            if entries.len() == self.seen.len() {
                return Err(Refusal::malformed(
                    "the directory has more members than came before it",
                ));
            }
            entries.push(ZipEntry::read(&mut input, &mut scratch)?);
        }
        if entries.len() != self.seen.len() {
            return Err(Refusal::malformed(
                "the directory has fewer members than came before it",
            ));
        }
        let end = read_end(&mut input)?;
        if end.directory.start != start || end.first != 0 {
            return Err(Refusal::malformed(
                "the directory isn't where the end record says",
            ));
        }
        if end.entries != entries.len() as u64 {
            return Err(Refusal::malformed(
                "the directory has another number of members than the end record says",
            ));
        }
        let directory = Directory::assemble(entries, &end)?;
        for (seen, entry) in self.seen.iter().zip(directory.by_offset()) {
            seen.is(entry).map_err(|refusal| entry.blame(&refusal))?;
        }
        Ok(directory)
    }

    fn skip_content(&mut self) -> Result<(), Refusal> {
        let mut sink = [0; 8192];
        loop {
            match self.read(&mut sink) {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) => return Err(self.blame(error)),
            }
        }
    }

    /// An error of the content of the last member, of which the archive's own
    /// faults name the member; those of the source name none.
    fn blame(&self, error: io::Error) -> Refusal {
        match (error.kind(), self.seen.last()) {
            (io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof, Some(seen)) => {
                of_member(&seen.name, &Refusal::io(error))
            }
            _ => Refusal::io(error),
        }
    }

    /// Leaves the content that was read to its end, and checks its sums.
    fn leave(&mut self) -> io::Result<()> {
        let State::Inside(content) = mem::replace(&mut self.state, State::Lost) else {
            return Ok(());
        };
        let (mut input, sums) = content.into_parts();
        let seen = self.seen.last_mut().expect("content belongs to a member");
        if seen.local.has_descriptor() {
            read_descriptor(&mut input, sums)?;
            if !seen.local.allows(sums) {
                return Err(damaged("its local header and its content disagree"));
            }
        }
        seen.sums = sums;
        self.state = State::Between(input);
        Ok(())
    }
}

/// The content of the member that [`StreamReader::next_entry`] returned last.
/// The end of it is given only once all its sums were checked.
impl<R: Read> Read for StreamReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.state {
            State::Between(_) => Ok(0),
            State::Inside(content) => match content.read(buffer)? {
                0 if !buffer.is_empty() => self.leave().map(|()| 0),
                read => Ok(read),
            },
            State::Lost => Err(damaged("the archive can't be read on after an error")),
        }
    }
}

impl Seen {
    fn is(&self, entry: &ZipEntry) -> Result<(), Refusal> {
        if self.offset != entry.header_offset {
            return Err(Refusal::malformed(
                "its local header isn't where the directory says",
            ));
        }
        entry.is_called(&self.name)?;
        self.local.agrees(entry)?;
        if self.sums != entry.sums() {
            return Err(Refusal::malformed("its content and the directory disagree"));
        }
        Ok(())
    }
}

impl Local {
    /// Whether content of `sums` is what this header says, as far as it does.
    fn allows(&self, sums: Sums) -> bool {
        let may = |said: u64, is: u64| said == 0 || said == is;
        may(self.sums.crc32.into(), sums.crc32.into())
            && may(self.sums.compressed_size, sums.compressed_size)
            && may(self.sums.uncompressed_size, sums.uncompressed_size)
    }
}

fn lost() -> Refusal {
    Refusal::malformed("the archive can't be read on after an error")
}

fn damaged(cause: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, cause)
}

/// Passes the start of the directory, refuses all else.
fn judge_start(start: &[u8], offset: u64) -> Result<(), Refusal> {
    let begins = [
        CentralHeader::SIGNATURE,
        End64Record::SIGNATURE,
        EndRecord::SIGNATURE,
    ];
    if begins.iter().any(|begin| start == begin) {
        return Ok(());
    }
    if start == ARCHIVE_EXTRA {
        return Err(Refusal::new(
            ErrorKind::Encrypted,
            "the directory is encrypted",
        ));
    }
    if offset != 0 && start.len() < 4 {
        return Err(Refusal::truncated("the archive has no directory"));
    }
    if offset != 0 {
        return Err(Refusal::malformed("bytes of no member between two members").with_hint(SAVE_IT));
    }
    if SPANNED.iter().any(|spanned| start == spanned) {
        return Err(several_disks());
    }
    Err(Refusal::new(ErrorKind::UnknownFormat, "no zip file begins here").with_hint(SAVE_IT))
}

fn read_local<R: Read>(input: &mut Input<R>) -> Result<(Vec<u8>, Local), Refusal> {
    let mut fixed = [0; LocalHeader::SIZE];
    input.read_exact(&mut fixed).map_err(cut)?;
    let header = LocalHeader::parse(&fixed).expect("its signature was just seen");
    let mut name = vec![0; header.name_size.into()];
    input.read_exact(&mut name).map_err(cut)?;
    let mut extra = vec![0; header.extra_size.into()];
    input.read_exact(&mut extra).map_err(cut)?;
    let local = Local::new(&header, &name, &extra).map_err(|refusal| of_member(&name, &refusal))?;
    Ok((name, local))
}

fn cut(error: io::Error) -> Refusal {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Refusal::truncated("the archive ends within a header"),
        _ => Refusal::io(error),
    }
}

/// The content that follows a local header, and its size where it is known.
fn open<R: Read>(
    name: &[u8],
    local: &Local,
    method: Method,
    mut input: Input<R>,
) -> Result<(Checked<Input<R>>, Option<u64>), Refusal> {
    let sums = local.sums;
    if !local.has_descriptor() {
        let content = Checked::known(method, local.flags, sums, input).map_err(Refusal::io)?;
        return Ok((content, Some(sums.uncompressed_size)));
    }
    let is_sized = sums.compressed_size != 0;
    let is_empty = name.ends_with(b"/") || is_empty(&mut input)?;
    let compressed_size = if is_sized {
        sums.compressed_size
    } else if method.ends_itself(local.flags) {
        u64::MAX
    } else if method == Method::Stored && is_empty {
        0
    } else {
        return Err(Refusal::new(
            ErrorKind::Unsupported,
            "where its content ends can't be known in a pipe",
        )
        .with_hint(SAVE_IT));
    };
    let content =
        Checked::unknown(method, local.flags, compressed_size, input).map_err(Refusal::io)?;
    let size = (sums.uncompressed_size != 0).then_some(sums.uncompressed_size);
    Ok((content, size))
}

/// Whether the descriptor of empty content comes next, and the next member
/// behind it. If it was content after all, the directory will say so.
fn is_empty<R: Read>(input: &mut Input<R>) -> Result<bool, Refusal> {
    let nothing = Sums {
        crc32: 0,
        compressed_size: 0,
        uncompressed_size: 0,
    };
    let size = descriptor_size(input, nothing).map_err(Refusal::io)?;
    Ok(size.is_some())
}

/// Reads the descriptor of content of `sums`.
fn read_descriptor<R: Read>(input: &mut Input<R>, sums: Sums) -> io::Result<()> {
    match descriptor_size(input, sums)? {
        Some(size) => {
            input.consume(size);
            Ok(())
        }
        None => Err(damaged("its data descriptor and its content disagree")),
    }
}

/// The size of the descriptor that comes next: of the four shapes, the one
/// that says `sums` and has a header behind it.
fn descriptor_size<R: Read>(input: &mut Input<R>, sums: Sums) -> io::Result<Option<usize>> {
    let bytes = input.peek(DESCRIPTOR_SIZES[0] + 4)?;
    let fits = |size: &usize| {
        let Some((found, behind)) = bytes.split_at_checked(*size) else {
            return false;
        };
        let is_header = behind.starts_with(&LocalHeader::SIGNATURE)
            || behind.starts_with(&CentralHeader::SIGNATURE);
        is_header && descriptor(found) == Some(sums)
    };
    Ok(DESCRIPTOR_SIZES.into_iter().find(fits))
}

/// Reads the end records, and that nothing follows them.
fn read_end<R: Read>(input: &mut Input<R>) -> Result<End, Refusal> {
    let mut bytes = [0; End64Record::SIZE];
    let mut zip64 = None;
    if input.peek(4).map_err(Refusal::io)? == End64Record::SIGNATURE {
        input.read_exact(&mut bytes).map_err(cut)?;
        let record = End64Record::parse(&bytes).expect("its signature was just seen");
        let bytes = &mut bytes[..Locator::SIZE];
        input.read_exact(bytes).map_err(cut)?;
        let locator = Locator::parse(bytes)
            .ok_or_else(|| Refusal::malformed("no locator behind the Zip64 end record"))?;
        zip64 = Some((record, locator));
    }
    let at = input.position();
    let start = input.peek(4).map_err(Refusal::io)?;
    if start.len() < 4 {
        return Err(Refusal::truncated("the archive has no end record"));
    }
    if start != EndRecord::SIGNATURE {
        return Err(behind_the_last(start));
    }
    let bytes = &mut bytes[..EndRecord::SIZE];
    input.read_exact(bytes).map_err(cut)?;
    let record = EndRecord::parse(bytes).expect("its signature was just seen");
    let mut comment = vec![0; record.comment_size.into()];
    input.read_exact(&mut comment).map_err(cut)?;
    if comment
        .windows(4)
        .any(|window| window == EndRecord::SIGNATURE)
    {
        return Err(Refusal::malformed(
            "the comment at the end has another end record in it",
        ));
    }
    read_padding(input)?;
    EndRecords { record, at, zip64 }.judge()
}

/// Reads the zeros that may stand behind the archive, to the end.
fn read_padding<R: Read>(input: &mut Input<R>) -> Result<(), Refusal> {
    let mut padding = Vec::new();
    let read = input.take(MAX_PADDING + 1).read_to_end(&mut padding);
    read.map_err(Refusal::io)?;
    if padding.len() as u64 > MAX_PADDING || padding.iter().any(|byte| *byte != 0) {
        return Err(Refusal::malformed("bytes behind the end of the archive"));
    }
    Ok(())
}
