//! The manifest: entries, contents and blocks, and how they are written as
//! tables (docs/format.md, Manifest).

use std::collections::HashMap;
use std::ops::Range;

use super::column::{self, ARM64, HAS_TIME, ROWS, UNWIND, Writer, X86_STREAMS};
use crate::codec::deflate::{Memory, Setup, Strategy};
use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::extents::Extents;
use crate::sys::LinkTo;

/// What a content went through before it was compressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Filter {
    None,
    /// Over these bytes of its data.
    X86(Range<u64>),
    Arm64(Range<u64>),
    /// Parts of its data are stored in other forms: in their order, one at least.
    Parts(Vec<Part>),
}

/// A part of a content's data that is stored in another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Part {
    /// Where the part is in the content's data, and how long.
    pub offset: u64,
    pub length: u32,
    /// Where its form is in what is stored of the content, and how long.
    pub stored: u64,
    pub size: u32,
    pub form: Form,
}

/// What a part is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A deflate stream as what it inflates to; this makes the stream again.
    Inflated(Setup),
    /// Code for x86-64, its addresses in streams of their own.
    X86Streams,
    /// Code for ARM64, with addresses instead of displacements.
    Arm64,
    /// Rows of so many numbers of 4 bytes, as differences to those above: 1 to 63.
    Rows(u8),
    /// An unwind table, each record relative to the one before.
    Unwind,
}

impl Part {
    /// What follows the part in the content's data.
    pub(crate) fn end(&self) -> u64 {
        self.offset + u64::from(self.length)
    }

    /// What follows in what is stored.
    pub(crate) fn stored_end(&self) -> u64 {
        self.stored + u64::from(self.size)
    }

    /// Puts parts that have all but [`stored`](Self::stored) where they are stored.
    pub(crate) fn place(parts: &mut [Self]) {
        let (mut end, mut stored_end) = (0, 0);
        for part in parts {
            part.stored = stored_end + (part.offset - end);
            (end, stored_end) = (part.end(), part.stored_end());
        }
    }
}

/// The bytes of one or several files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    /// Holes included.
    pub size: u64,
    /// BLAKE3 of its data.
    pub hash: [u8; 32],
    pub filter: Filter,
    /// Where it has data; `None` without holes.
    pub extents: Option<Extents>,
}

impl Content {
    /// Bytes of its data: of its extents, or of all of it.
    pub(crate) fn data(&self) -> u64 {
        match &self.extents {
            None => self.size,
            Some(extents) => extents.data(),
        }
    }

    /// Bytes that are stored of it.
    pub(crate) fn stored(&self) -> u64 {
        let last = self.parts().last();
        last.map_or(self.data(), |last| {
            last.stored_end() + (self.data() - last.end())
        })
    }

    /// What of it is stored in other forms.
    pub(crate) fn parts(&self) -> &[Part] {
        match &self.filter {
            Filter::None | Filter::X86(_) | Filter::Arm64(_) => &[],
            Filter::Parts(parts) => parts,
        }
    }

    /// Where a byte of the data is stored: within a part, where that begins.
    pub(super) fn stored_at(&self, place: u64) -> u64 {
        let parts = self.parts();
        let before = parts.partition_point(|part| part.offset <= place);
        match before.checked_sub(1).map(|last| &parts[last]) {
            None => place,
            Some(last) if place < last.end() => last.stored,
            Some(last) => last.stored_end().saturating_add(place - last.end()),
        }
    }

    /// Where a stored byte that is in no part is in the data.
    pub(super) fn data_at(&self, stored: u64) -> u64 {
        let parts = self.parts();
        let before = parts.partition_point(|part| part.stored_end() <= stored);
        match before.checked_sub(1).map(|last| &parts[last]) {
            None => stored,
            Some(last) => last.end() + (stored - last.stored_end()),
        }
    }
}

/// An entry: a member of the tree, and what else is told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub member: Member,
    /// The number of a file's content.
    pub content: Option<u32>,
}

/// What a manifest claims, before it takes memory.
#[derive(Clone, Copy)]
pub(crate) enum Claim<'m> {
    /// There are so many entries.
    Entries(u64),
    /// There is this one. Attributes and owner are not known yet.
    Entry(&'m Member),
}

/// What becomes of a claim that isn't refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep,
    /// The manifest is checked as if the entry were kept, and hasn't got it then.
    LeaveOut,
}

/// Judges claims.
pub(crate) type Judge<'j> = &'j mut dyn FnMut(Claim<'_>) -> Result<Verdict, Refusal>;

/// Judges for those who want all there is.
pub(crate) fn keep_all(_: Claim<'_>) -> Result<Verdict, Refusal> {
    Ok(Verdict::Keep)
}

/// All that an archive tells before its blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manifest {
    /// Each folder before what is in it; those that a reader was to leave out are not
    /// among them.
    pub entries: Vec<Entry>,
    pub contents: Vec<Content>,
    /// What each block decodes to, bytes.
    pub blocks: Vec<u32>,
}

impl Manifest {
    /// The tables that say all of this.
    pub(crate) fn to_tables(&self) -> Result<Vec<u8>, Refusal> {
        let mut columns = Writer::default();
        let counts = [self.entries.len(), self.contents.len(), self.blocks.len()];
        if counts.iter().any(|count| *count >= u32::MAX as usize) {
            let cause = "more than 4,294,967,294 entries";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        columns.push(column::COUNTS, &longs(counts.map(|count| count as u64)));
        self.push_entries(&mut columns)?;
        self.push_details(&mut columns);
        self.push_contents(&mut columns);
        columns.push_some(column::BLOCK_SIZES, &ints(self.blocks.iter().copied()));
        Ok(columns.into_tables())
    }

    fn push_entries(&self, columns: &mut Writer) -> Result<(), Refusal> {
        let members = || self.entries.iter().map(|entry| &entry.member);
        let mut numbers: HashMap<&[u8], u32> = HashMap::with_capacity(self.entries.len());
        let (mut parents, mut lengths, mut firsts) = (Vec::new(), Vec::new(), Vec::new());
        let (mut names, mut kinds) = (Vec::new(), Vec::new());
        let unknown = || Refusal::malformed("a member is not behind what it belongs to");
        for (number, entry) in self.entries.iter().enumerate() {
            let member = &entry.member;
            let (parent, name) = match memchr::memrchr(b'/', &member.path) {
                None => (0, member.path.as_slice()),
                Some(at) => {
                    let parent = numbers.get(&member.path[..at]).ok_or_else(unknown)?;
                    (parent + 1, &member.path[at + 1..])
                }
            };
            parents.push(parent);
            lengths.push(u32::try_from(name.len()).map_err(|_| unknown())?);
            names.extend_from_slice(name);
            kinds.push(kind_byte(entry));
            if member.kind == MemberKind::Hardlink {
                firsts.push(*numbers.get(member.target.as_slice()).ok_or_else(unknown)?);
            }
            numbers.insert(&member.path, number as u32);
        }
        columns.push(column::KINDS, &kinds);
        columns.push(column::PARENTS, &ints(parents));
        columns.push(column::NAME_LENGTHS, &ints(lengths));
        columns.push(column::NAMES, &names);
        let modes = members().flat_map(|member| (member.mode as u16).to_le_bytes());
        columns.push(column::MODES, &modes.collect::<Vec<_>>());
        let times = || members().filter_map(|member| member.modified);
        let seconds = times().flat_map(|time| time.secs.to_le_bytes());
        columns.push_some(column::SECONDS, &seconds.collect::<Vec<_>>());
        columns.push_some(column::NANOSECONDS, &ints(times().map(|time| time.nanos)));
        let contents = self.entries.iter().filter_map(|entry| entry.content);
        columns.push_some(column::CONTENT_NUMBERS, &ints(contents));
        columns.push_some(column::FIRST_NAMES, &ints(firsts));
        Ok(())
    }

    /// Targets, attributes and owners.
    fn push_details(&self, columns: &mut Writer) {
        let (mut lengths, mut targets) = (Vec::new(), Vec::new());
        let (mut attribute_lengths, mut attributes) = (Vec::new(), Vec::new());
        let mut owners = Vec::new();
        for (number, Entry { member, .. }) in self.entries.iter().enumerate() {
            if member.kind == MemberKind::Symlink {
                lengths.extend_from_slice(&(member.target.len() as u16).to_le_bytes());
                targets.extend_from_slice(&member.target);
            }
            for (name, value) in &member.xattrs {
                attribute_lengths.extend([number as u32, name.len() as u32, value.len() as u32]);
                attributes.extend_from_slice(name);
                attributes.extend_from_slice(value);
            }
            owners.extend([member.uid as u32, member.gid as u32]);
        }
        columns.push_some(column::TARGET_LENGTHS, &lengths);
        columns.push_some(column::TARGETS, &targets);
        columns.push_some(column::ATTRIBUTE_LENGTHS, &ints(attribute_lengths));
        columns.push_some(column::ATTRIBUTES, &attributes);
        if owners.iter().any(|owner| *owner != 0) {
            columns.push(column::OWNERS, &ints(owners));
        }
    }

    fn push_contents(&self, columns: &mut Writer) {
        columns.push_some(
            column::SIZES,
            &longs(self.contents.iter().map(|one| one.size)),
        );
        let hashes = self.contents.iter().flat_map(|one| one.hash);
        columns.push_some(column::HASHES, &hashes.collect::<Vec<_>>());
        let filters = self.contents.iter().map(|one| match one.filter {
            Filter::None => 0,
            Filter::X86(_) => 1,
            Filter::Arm64(_) => 2,
            Filter::Parts(_) => 3,
        });
        columns.push_some(column::FILTERS, &filters.collect::<Vec<u8>>());
        let mut extents = Vec::new();
        for (number, content) in self.contents.iter().enumerate() {
            for (offset, length) in content.extents.iter().flat_map(Extents::iter) {
                extents.extend_from_slice(&(number as u32).to_le_bytes());
                extents.extend_from_slice(&offset.to_le_bytes());
                extents.extend_from_slice(&length.to_le_bytes());
            }
        }
        columns.push_some(column::EXTENTS, &extents);
        let filtered = self.contents.iter().filter_map(|one| match &one.filter {
            Filter::X86(range) | Filter::Arm64(range) => {
                Some([range.start, range.end - range.start])
            }
            Filter::None | Filter::Parts(_) => None,
        });
        columns.push_some(column::FILTERED, &longs(filtered.flatten()));
        let mut parts = Vec::new();
        for (number, content) in self.contents.iter().enumerate() {
            for part in content.parts() {
                parts.extend_from_slice(&(number as u32).to_le_bytes());
                parts.extend_from_slice(&part.offset.to_le_bytes());
                parts.extend_from_slice(&part.length.to_le_bytes());
                parts.extend_from_slice(&part.size.to_le_bytes());
                parts.extend_from_slice(&form_bits(part.form).to_le_bytes());
            }
        }
        columns.push_some(column::PARTS, &parts);
    }
}

fn kind_byte(entry: &Entry) -> u8 {
    let kind = match entry.member.kind {
        MemberKind::Dir => 0,
        MemberKind::File => 1,
        MemberKind::Symlink => 2,
        MemberKind::Hardlink => 3,
    };
    let hint = match entry.member.leads_to {
        LinkTo::Unknown => 0,
        LinkTo::File => 1 << 2,
        LinkTo::Dir => 2 << 2,
    };
    let time = match entry.member.modified {
        Some(_) => HAS_TIME,
        None => 0,
    };
    kind | hint | time
}

/// A form as two bytes: the lowest four bits are a level of deflate, or none.
fn form_bits(form: Form) -> u16 {
    let setup = match form {
        Form::Inflated(setup) => setup,
        Form::X86Streams => return X86_STREAMS,
        Form::Arm64 => return ARM64,
        Form::Rows(numbers) => return ROWS | u16::from(numbers) << 4,
        Form::Unwind => return UNWIND,
    };
    let memory = match setup.memory {
        Memory::Usual => 0,
        Memory::Most => 1,
    };
    let strategy = match setup.strategy {
        Strategy::Usual => 0,
        Strategy::Filtered => 1,
    };
    u16::from(setup.level) | u16::from(setup.window) << 4 | memory << 8 | strategy << 9
}

fn ints(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

fn longs(values: impl IntoIterator<Item = u64>) -> Vec<u8> {
    values.into_iter().flat_map(u64::to_le_bytes).collect()
}
