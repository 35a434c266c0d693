//! A package as a whole: its cookie, its table of contents, and what of it a
//! program unpacks.

use std::ops::Range;

use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;
use crate::text::escape_bytes;

use super::cookie::{Cookie, Found, find};
use super::toc::{Entry, Form, Kind, Toc};

/// A package that was read. Its entries were held against it and each other;
/// of their data only what links lead to is still to be.
#[derive(Debug)]
pub(crate) struct Package {
    cookie: Cookie,
    /// Where it is in the file.
    range: Range<u64>,
    toc: Toc,
    /// The numbers of the entries that the program unpacks.
    unpacked: Vec<usize>,
    separator: Separator,
}

/// What stands between the names of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Separator {
    Slash,
    /// The package is of a program for Windows.
    Backslash,
}

/// An entry that the program unpacks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Item<'p> {
    package: &'p Package,
    entry: &'p Entry,
}

impl Package {
    /// Reads the package in a file of `length` bytes.
    pub(crate) fn read(source: &(impl ReadAt + ?Sized), length: u64) -> Result<Self, Refusal> {
        let at = match find(source, length)? {
            Found::Cookie(at) => at,
            Found::Beside => return Err(beside()),
            Found::Nothing => {
                let cause = "this is no program of PyInstaller's";
                return Err(Refusal::new(ErrorKind::UnknownFormat, cause));
            }
        };
        let (cookie, range) = Cookie::read(source, length, at)?;
        // Not more than 32 MiB, and within the file: the cookie was checked for that.
        let mut toc = vec![0; cookie.toc_length as usize];
        let read = source.read_exact_at(&mut toc, range.start + u64::from(cookie.toc_offset));
        read.map_err(Refusal::io)?;
        let toc = Toc::parse(toc, cookie.toc_offset)?;
        let entries = toc.entries.iter().enumerate();
        let unpacked = entries.filter(|(_, entry)| entry.kind.is_unpacked());
        Ok(Self {
            unpacked: unpacked.map(|(number, _)| number).collect(),
            separator: match cookie.library().to_ascii_lowercase().ends_with(b".dll") {
                true => Separator::Backslash,
                false => Separator::Slash,
            },
            cookie,
            range,
            toc,
        })
    }

    /// Whether the cookie that begins at byte `at` of a file of `length` bytes
    /// has numbers that fit: bytes that only look like one don't.
    pub(crate) fn has_cookie_at(source: &(impl ReadAt + ?Sized), length: u64, at: u64) -> bool {
        Cookie::read(source, length, at).is_ok()
    }

    /// Refuses what isn't all of a bundle: the program of a folder, and a program
    /// that takes files from another.
    pub(crate) fn check_complete(&self) -> Result<(), Refusal> {
        if self.unpacked.is_empty() {
            let cause = "it is the program of a PyInstaller folder, and has none of its files";
            let refusal = Refusal::new(ErrorKind::UnknownFormat, cause);
            return Err(refusal.with_hint("the bundle is the folder that it stands in"));
        }
        let mut entries = self.toc.entries.iter();
        match entries.find(|entry| entry.kind == Kind::Dependency) {
            None => Ok(()),
            Some(entry) => {
                let name = escape_bytes(self.toc.name(entry));
                let cause = format!("its member `{name}` stands in another program's package");
                let refusal = Refusal::new(ErrorKind::UnknownFormat, cause);
                Err(refusal.with_hint("build it without MERGE, so that it has all of its files"))
            }
        }
    }

    /// What stands at its end.
    pub(crate) fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    /// Where it is in the file.
    pub(crate) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// All its entries, in the table's order.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.toc.entries
    }

    /// The name of one of its entries, as it is spelled.
    pub(crate) fn name(&self, entry: &Entry) -> &[u8] {
        self.toc.name(entry)
    }

    /// Where in the file the data of one of its entries is.
    pub(crate) fn data(&self, entry: &Entry) -> Range<u64> {
        let data = entry.data();
        self.range.start + data.start..self.range.start + data.end
    }

    /// How many entries the program unpacks.
    pub(crate) fn len(&self) -> usize {
        self.unpacked.len()
    }

    /// The entry of this number among those that the program unpacks.
    pub(crate) fn item(&self, number: usize) -> Item<'_> {
        Item {
            package: self,
            entry: &self.toc.entries[self.unpacked[number]],
        }
    }
}

/// The error of a program whose package is a file of its own.
pub(crate) fn beside() -> Refusal {
    let cause = "it is a program of PyInstaller's whose files are in a package beside it";
    Refusal::new(ErrorKind::UnknownFormat, cause).with_hint(
        "name the package: the file that is called like the program, with .pkg behind it",
    )
}

impl Item<'_> {
    /// Bytes of its content.
    pub(crate) fn size(self) -> u64 {
        self.entry.size.into()
    }

    /// How its data is stored.
    pub(super) fn form(self) -> Form {
        self.entry.form
    }

    /// Where its data is in the file.
    pub(crate) fn data(self) -> Range<u64> {
        self.package.data(self.entry)
    }

    /// Says of which member `refusal` is.
    pub(crate) fn blame(self, refusal: &Refusal) -> Refusal {
        self.package.toc.blame(self.entry, refusal)
    }

    /// What the package says of the member. The target of a link is read from
    /// `source`, the file.
    pub(crate) fn member(self, source: &(impl ReadAt + ?Sized)) -> Result<Member, Refusal> {
        let path = self.path(self.package.toc.name(self.entry));
        Ok(match self.entry.kind {
            Kind::Link => Member {
                target: self.target(source)?,
                ..Member::new(MemberKind::Symlink, path)
            },
            Kind::Binary => Member {
                size: self.size(),
                mode: 0o755,
                ..Member::new(MemberKind::File, path)
            },
            Kind::Data
            | Kind::Zip
            | Kind::Dependency
            | Kind::Modules
            | Kind::Script
            | Kind::Module
            | Kind::ModulePackage
            | Kind::Option
            | Kind::Splash => Member {
                size: self.size(),
                ..Member::new(MemberKind::File, path)
            },
        })
    }

    fn target(self, source: &(impl ReadAt + ?Sized)) -> Result<Vec<u8>, Refusal> {
        let malformed = |cause: &str| Err(self.blame(&Refusal::malformed(cause)));
        // Not more than 4096 bytes: the table was checked for that.
        let mut target = vec![0; self.entry.stored as usize];
        let read = source.read_exact_at(&mut target, self.data().start);
        read.map_err(Refusal::io)?;
        if target.pop() != Some(0) {
            return malformed("it is a link whose target has no NUL at its end");
        }
        if target.contains(&0) {
            return malformed("its target has a NUL");
        }
        Ok(self.path(&target))
    }

    /// A path with slashes between its names.
    fn path(self, bytes: &[u8]) -> Vec<u8> {
        let separated = |byte: &u8| match (self.package.separator, *byte) {
            (Separator::Backslash, b'\\') => b'/',
            (Separator::Slash | Separator::Backslash, byte) => byte,
        };
        bytes.iter().map(separated).collect()
    }
}
