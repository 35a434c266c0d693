//! The table of contents of a package: what it says of each entry.

use std::ops::Range;

use crate::error::{ErrorKind, Refusal};
use crate::text::escape_bytes;

use super::write::number;

/// The bytes of an entry before its name.
pub(super) const HEAD: usize = 18;

/// Entries are padded to a multiple of this.
const ALIGNMENT: usize = 16;

/// The longest target of a link with its NUL.
const LONGEST_TARGET: u32 = 4096;

/// What Deflate makes at most of one byte.
const RATIO: u64 = 1032;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file that may be run: a library, a program, a script.
    Binary,
    /// Any other file.
    Data,
    /// A zip of modules, a file like any other.
    Zip,
    /// A symbolic link.
    Link,
    /// A file that stands in another program's package.
    Dependency,
    /// Python's modules, which the program reads where they are.
    Modules,
    /// A script that is run.
    Script,
    /// A module that the loader needs.
    Module,
    /// A package of modules that the loader needs.
    ModulePackage,
    /// An option of the loader, which is its name.
    Option,
    /// What is shown while the program starts.
    Splash,
}

/// How the data of an entry is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Stored,
    /// One zlib stream, RFC 1950.
    Zlib,
}

/// What the table says of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub kind: Kind,
    pub form: Form,
    /// Where in the package its data begins.
    pub offset: u32,
    /// Bytes of its data.
    pub stored: u32,
    /// Bytes of its content.
    pub size: u32,
    /// Where its name stands in the table.
    pub(super) name: Range<u32>,
}

/// A table of contents.
#[derive(Debug)]
pub(super) struct Toc {
    bytes: Vec<u8>,
    pub entries: Vec<Entry>,
}

impl Kind {
    const ALL: [Kind; 11] = [
        Kind::Binary,
        Kind::Data,
        Kind::Zip,
        Kind::Link,
        Kind::Dependency,
        Kind::Modules,
        Kind::Script,
        Kind::Module,
        Kind::ModulePackage,
        Kind::Option,
        Kind::Splash,
    ];

    fn of_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.byte() == byte)
    }

    fn byte(self) -> u8 {
        match self {
            Kind::Binary => b'b',
            Kind::Data => b'x',
            Kind::Zip => b'Z',
            Kind::Link => b'n',
            Kind::Dependency => b'd',
            Kind::Modules => b'z',
            Kind::Script => b's',
            Kind::Module => b'm',
            Kind::ModulePackage => b'M',
            Kind::Option => b'o',
            Kind::Splash => b'l',
        }
    }

    /// Whether the loader unpacks it.
    pub(crate) fn is_unpacked(self) -> bool {
        match self {
            Kind::Binary | Kind::Data | Kind::Zip | Kind::Link | Kind::Dependency => true,
            Kind::Modules
            | Kind::Script
            | Kind::Module
            | Kind::ModulePackage
            | Kind::Option
            | Kind::Splash => false,
        }
    }
}

impl Toc {
    /// Reads the table `bytes`, before which the package has `room` bytes for data.
    pub(super) fn parse(bytes: Vec<u8>, room: u32) -> Result<Self, Refusal> {
        let mut entries = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            let (entry, length) = Entry::parse(&bytes[at..], at).map_err(|refusal| {
                let number = entries.len() + 1;
                refusal.about(format!("entry {number} of its table of contents"))
            })?;
            at += length;
            entries.push(entry);
        }
        let toc = Self { bytes, entries };
        for entry in &toc.entries {
            entry
                .judge(room)
                .map_err(|refusal| toc.blame(entry, &refusal))?;
        }
        toc.refuse_overlaps()?;
        toc.refuse_duplicates()?;
        Ok(toc)
    }

    /// The name of one of its entries.
    pub(super) fn name(&self, entry: &Entry) -> &[u8] {
        &self.bytes[entry.name.start as usize..entry.name.end as usize]
    }

    /// Says of which entry `refusal` is.
    pub(super) fn blame(&self, entry: &Entry, refusal: &Refusal) -> Refusal {
        let name = escape_bytes(self.name(entry));
        Refusal::new(refusal.kind(), format!("member `{name}`: {refusal}"))
    }

    fn refuse_overlaps(&self) -> Result<(), Refusal> {
        let has_data = |entry: &&Entry| entry.stored > 0;
        let mut order: Vec<&Entry> = self.entries.iter().filter(has_data).collect();
        order.sort_unstable_by_key(|entry| entry.offset);
        for (entry, next) in order.iter().zip(order.iter().skip(1)) {
            if next.data().start < entry.data().end {
                let refusal = Refusal::malformed("its data overlaps that of another");
                return Err(self.blame(next, &refusal));
            }
        }
        Ok(())
    }

    /// Two files can't have one name. Options come more than once, and so may
    /// scripts and modules.
    fn refuse_duplicates(&self) -> Result<(), Refusal> {
        let is_unpacked = |entry: &&Entry| entry.kind.is_unpacked();
        let mut order: Vec<&Entry> = self.entries.iter().filter(is_unpacked).collect();
        order.sort_unstable_by_key(|entry| self.name(entry));
        for (entry, next) in order.iter().zip(order.iter().skip(1)) {
            if self.name(entry) == self.name(next) {
                let refusal = Refusal::malformed("the name is there twice");
                return Err(self.blame(next, &refusal));
            }
        }
        Ok(())
    }
}

impl Entry {
    /// An option of the loader.
    pub(super) fn option() -> Self {
        Self {
            kind: Kind::Option,
            form: Form::Stored,
            offset: 0,
            stored: 0,
            size: 0,
            name: 0..0,
        }
    }

    /// Appends the entry as it stands in a table, with this offset and name.
    pub(super) fn append(
        &self,
        offset: u32,
        name: &[u8],
        toc: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let start = toc.len();
        let length = (HEAD + name.len() + 1).next_multiple_of(ALIGNMENT);
        for field in [number(length)?, offset, self.stored, self.size] {
            toc.extend_from_slice(&field.to_be_bytes());
        }
        toc.push(match self.form {
            Form::Stored => 0,
            Form::Zlib => 1,
        });
        toc.push(self.kind.byte());
        toc.extend_from_slice(name);
        toc.resize(start + length, 0);
        Ok(())
    }

    /// Where its data is in the package. No data is nowhere, whatever its offset
    /// says: it would stand within that of others.
    pub(super) fn data(&self) -> Range<u64> {
        match (u64::from(self.offset), u64::from(self.stored)) {
            (_, 0) => 0..0,
            (start, length) => start..start + length,
        }
    }

    /// The entry that `bytes` begin with, and its length; they stand at byte `at`
    /// of the table, which isn't longer than 32 MiB.
    fn parse(bytes: &[u8], at: usize) -> Result<(Self, usize), Refusal> {
        let malformed = |cause: &str| Err(Refusal::malformed(cause));
        let Some(head) = bytes.first_chunk::<HEAD>() else {
            return malformed("ends with the table before its name");
        };
        let field = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&head[at..at + 4]);
            u32::from_be_bytes(field)
        };
        let length = field(0) as usize;
        if length == 0 {
            return malformed("says that it has no bytes");
        }
        if length <= HEAD {
            return malformed("says that it ends before its name");
        }
        if !length.is_multiple_of(ALIGNMENT) {
            return malformed("is no multiple of 16 bytes");
        }
        let Some(name) = bytes.get(HEAD..length) else {
            return malformed("is longer than the rest of the table");
        };
        let Some(end) = name.iter().position(|byte| *byte == 0) else {
            return malformed("has a name without an end");
        };
        let (name, padding) = name.split_at(end);
        if padding.iter().any(|byte| *byte != 0) {
            return malformed("has other bytes than NULs behind its name");
        }
        if name.is_empty() {
            return malformed("has no name");
        }
        if std::str::from_utf8(name).is_err() {
            return malformed("has a name that isn't UTF-8");
        }
        let form = match head[16] {
            0 => Form::Stored,
            1 => Form::Zlib,
            other => {
                let cause = format!("is compressed in a way that isn't known here: {other}");
                return Err(Refusal::new(ErrorKind::UnknownFormat, cause));
            }
        };
        let Some(kind) = Kind::of_byte(head[17]) else {
            let kind = escape_bytes(&head[17..]);
            let cause = format!("is of a type that isn't known here: `{kind}`");
            return Err(Refusal::new(ErrorKind::UnknownFormat, cause));
        };
        let start = (at + HEAD) as u32;
        let entry = Self {
            kind,
            form,
            offset: field(4),
            stored: field(8),
            size: field(12),
            name: start..start + name.len() as u32,
        };
        Ok((entry, length))
    }

    /// Checks the numbers of an entry, if there are `room` bytes for data.
    fn judge(&self, room: u32) -> Result<(), Refusal> {
        if u64::from(self.offset) + u64::from(self.stored) > u64::from(room) {
            let cause = "its data would lie outside of the package's";
            return Err(Refusal::malformed(cause));
        }
        match self.form {
            Form::Stored if self.stored != self.size => {
                let cause = "it isn't compressed, and its two sizes differ";
                return Err(Refusal::malformed(cause));
            }
            Form::Zlib if u64::from(self.size) > u64::from(self.stored) * RATIO => {
                let cause = "it declares more content than its data can hold";
                return Err(Refusal::malformed(cause));
            }
            Form::Stored | Form::Zlib => {}
        }
        match (self.kind, self.form) {
            (Kind::Link, Form::Zlib) => Err(Refusal::malformed("it is a link that is compressed")),
            (Kind::Link, Form::Stored) if self.stored > LONGEST_TARGET => {
                let cause = "it is a link with a target of more than 4095 bytes";
                Err(Refusal::malformed(cause))
            }
            _ => Ok(()),
        }
    }
}
