//! Archives whose members stand each by itself, where a directory says: what
//! reads them in parallel needs to know no more of their formats than this.
//!
//! Names and targets are not judged here, as nowhere before the plan.

use std::fs::File;
use std::io::{self, BufRead, Read};
use std::ops::Range;

use crate::entry::{Member, MemberKind};
use crate::error::Refusal;
use crate::format::zip::{self, Checked, Part, ZipEntry};
use crate::format::{ReadAt, apple_double, carchive};

/// What an archive says that it holds, and where.
pub(crate) enum Directory {
    Zip(zip::Directory),
    Package(Box<carchive::Package>),
}

/// A member, as the directory has it.
#[derive(Clone, Copy)]
pub(crate) enum Item<'d> {
    Zip(&'d ZipEntry),
    Package(carchive::Item<'d>),
}

/// The content of a member, checked while it is read.
pub(crate) enum Content<R: BufRead> {
    Zip(Checked<R>),
    Package(carchive::Content<R>),
}

/// What decodes members of which all data is at hand.
pub(crate) struct Unpacker {
    zip: zip::Inflater,
    package: carchive::Inflater,
}

impl Directory {
    /// Reads the directory of a zip of `length` bytes.
    pub(crate) fn of_zip(file: &File, length: u64) -> Result<Self, Refusal> {
        zip::Directory::read(file, length).map(Directory::Zip)
    }

    /// Reads what the package of a program of PyInstaller's, a file of `length`
    /// bytes, unpacks.
    pub(crate) fn of_package(file: &File, length: u64) -> Result<Self, Refusal> {
        let package = carchive::Package::read(file, length)?;
        package.check_complete()?;
        Ok(Directory::Package(Box::new(package)))
    }

    /// How many members there are.
    pub(crate) fn len(&self) -> usize {
        match self {
            Directory::Zip(directory) => directory.entries().len(),
            Directory::Package(package) => package.len(),
        }
    }

    /// The member of this number, in the directory's order.
    pub(crate) fn item(&self, number: usize) -> Item<'_> {
        match self {
            Directory::Zip(directory) => Item::Zip(&directory.entries()[number]),
            Directory::Package(package) => Item::Package(package.item(number)),
        }
    }

    /// All members, in the directory's order.
    pub(crate) fn items(&self) -> impl Iterator<Item = Item<'_>> {
        (0..self.len()).map(|number| self.item(number))
    }

    /// Where the data of each member is, in the directory's order, if what
    /// stands there agrees with the directory.
    pub(crate) fn check_all(&self, file: &File) -> Result<Vec<Range<u64>>, Refusal> {
        match self {
            Directory::Zip(directory) => directory.check_all_local(file),
            Directory::Package(package) => {
                let numbers = 0..package.len();
                Ok(numbers.map(|number| package.item(number).data()).collect())
            }
        }
    }

    /// As [`check_all`](Self::check_all) for one member.
    pub(crate) fn check(&self, file: &File, item: Item<'_>) -> Result<Range<u64>, Refusal> {
        match (self, item) {
            (Directory::Zip(directory), Item::Zip(entry)) => directory.check_local(file, entry),
            (Directory::Package(_), Item::Package(item)) => Ok(item.data()),
            (Directory::Zip(_) | Directory::Package(_), _) => Err(of_another()),
        }
    }

    /// What the archive says of one member; a link's target is content there.
    pub(crate) fn member(&self, file: &File, item: Item<'_>) -> Result<Member, Refusal> {
        match (self, item) {
            (Directory::Zip(directory), Item::Zip(entry)) => zip_member(file, directory, entry),
            (Directory::Package(_), Item::Package(item)) => item.member(file),
            (Directory::Zip(_) | Directory::Package(_), _) => Err(of_another()),
        }
    }

    /// All members, as [`member`](Self::member) tells them.
    pub(crate) fn members(&self, file: &File) -> Result<Vec<Member>, Refusal> {
        self.items().map(|item| self.member(file, item)).collect()
    }
}

fn of_another() -> Refusal {
    Refusal::malformed("a member of another archive was asked for")
}

fn zip_member(
    file: &File,
    directory: &zip::Directory,
    entry: &ZipEntry,
) -> Result<Member, Refusal> {
    let mut member = entry.member.clone();
    if member.kind == MemberKind::Symlink {
        let range = directory.check_local(file, entry)?;
        // Not more than 64 KiB: the directory was checked for that.
        let mut data = vec![0; (range.end - range.start) as usize];
        file.read_exact_at(&mut data, range.start)
            .map_err(Refusal::io)?;
        let mut reader = zip::decode(entry, data.as_slice())?;
        reader
            .read_to_end(&mut member.target)
            .map_err(Refusal::io)?;
        entry.check_target(&member.target)?;
    }
    Ok(member)
}

impl<'d> Item<'d> {
    /// The content's bytes.
    pub(crate) fn size(self) -> u64 {
        match self {
            Item::Zip(entry) => entry.uncompressed_size,
            Item::Package(item) => item.size(),
        }
    }

    /// The parts that can be decoded each for itself, if there are some.
    pub(crate) fn parts(self) -> Option<&'d [Part]> {
        match self {
            Item::Zip(entry) => entry.parts.as_deref(),
            Item::Package(_) => None,
        }
    }

    /// Whether the member may be one that macOS added, for it stands where
    /// those do.
    pub(crate) fn is_in_apple_folder(self) -> bool {
        match self {
            Item::Zip(entry) => entry.is_in_apple_folder(),
            // Nothing adds members to a package.
            Item::Package(_) => false,
        }
    }

    /// Whether the member has the name and the size of one that macOS added.
    pub(crate) fn may_be_apple_double(self) -> bool {
        match self {
            Item::Zip(entry) => {
                entry.member.kind == MemberKind::File
                    && entry.uncompressed_size >= apple_double::MIN_SIZE
                    && apple_double::is_named_so(&entry.member.path)
            }
            Item::Package(_) => false,
        }
    }

    /// A reader of the content, from its data on.
    pub(crate) fn decode<R: BufRead>(self, raw: R) -> Result<Content<R>, Refusal> {
        match self {
            Item::Zip(entry) => zip::decode(entry, raw).map(Content::Zip),
            Item::Package(item) => Ok(Content::Package(carchive::Content::new(item, raw))),
        }
    }

    /// Replaces `out` by the content, of which `stored` is all data.
    pub(crate) fn decode_whole(
        self,
        stored: &[u8],
        out: &mut Vec<u8>,
        unpacker: &mut Unpacker,
    ) -> Result<(), Refusal> {
        match self {
            Item::Zip(entry) => zip::decode_whole(entry, stored, out, &mut unpacker.zip),
            Item::Package(item) => unpacker.package.decode(item, stored, out),
        }
    }

    /// Replaces `out` by the content of a part, of which `stored` is all data.
    pub(crate) fn decode_part(
        self,
        part: &Part,
        stored: &[u8],
        out: &mut Vec<u8>,
        unpacker: &mut Unpacker,
    ) -> Result<(), Refusal> {
        let decoded = zip::decode_part(part, stored, out, &mut unpacker.zip);
        decoded.map_err(|error| self.blame(&Refusal::io(error)))
    }

    /// Says of which member `refusal` is.
    pub(crate) fn blame(self, refusal: &Refusal) -> Refusal {
        match self {
            Item::Zip(entry) => entry.blame(refusal),
            Item::Package(item) => item.blame(refusal),
        }
    }
}

impl Unpacker {
    pub(crate) fn new() -> Self {
        Self {
            zip: zip::Inflater::new(),
            package: carchive::Inflater::new(),
        }
    }
}

impl<R: BufRead> Read for Content<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Content::Zip(content) => content.read(buffer),
            Content::Package(content) => content.read(buffer),
        }
    }
}
