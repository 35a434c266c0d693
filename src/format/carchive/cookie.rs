//! The cookie at the end of a package, and the search for it.
//!
//! The last place in a file that has the cookie's first bytes counts, as for
//! PyInstaller's loader: if the numbers there are wrong, the program doesn't
//! start, and nothing before that place is tried here either.

use std::ops::Range;

use memchr::memmem;

use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;

/// The bytes of a cookie.
pub(super) const SIZE: usize = 88;

/// The bytes of the name of Python's library.
const LIBRARY: usize = 64;

/// The fourth of the eight bytes that a cookie begins with.
const HERE: u8 = 0x0c;

/// What stands in its place in a program whose package is a file beside it.
const BESIDE: u8 = 0x0d;

/// Bytes at the end of a program that are searched. Behind a package stand the
/// headers of ELF sections, or a signature: 1/85 of the program at most, which
/// is 50 MiB for the largest package that there can be.
const SEARCHED: u64 = 128 << 20;

/// Bytes that are searched at a time.
const CHUNK: u64 = 1 << 20;

/// The largest table of contents that is read: a million entries. The largest
/// real ones have some 20,000.
const LARGEST_TOC: u32 = 32 << 20;

/// What is at the end of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cookie {
    /// Bytes of the package, the cookie included.
    pub length: u32,
    /// Where in the package the table of contents begins.
    pub toc_offset: u32,
    /// Bytes of the table of contents.
    pub toc_length: u32,
    /// Python's version: 100 × major + minor.
    pub python: u32,
    /// The file name of Python's library, padded with NULs.
    pub library: [u8; LIBRARY],
}

/// What the search for a cookie came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A cookie begins at this byte of the file.
    Cookie(u64),
    /// The package is a file beside this program.
    Beside,
    Nothing,
}

/// Searches a file of `length` bytes for the last cookie. In what is no program
/// only the end is looked at: a package that is a file ends with its cookie.
pub(crate) fn find(source: &(impl ReadAt + ?Sized), length: u64) -> Result<Found, Refusal> {
    let mut head = [0; 4];
    let is_program = length >= 4 && {
        source.read_exact_at(&mut head, 0).map_err(Refusal::io)?;
        is_program(&head)
    };
    let first = length.saturating_sub(match is_program {
        true => SEARCHED,
        false => SIZE as u64,
    });
    // Part of a cookie may stand in the chunk before.
    let (here, beside) = (magic(HERE), magic(BESIDE));
    let overlap = here.len() as u64 - 1;
    let finder = memmem::Finder::new(&here);
    let mut is_beside = false;
    let mut chunk = Vec::new();
    let mut end = length;
    while end > first {
        let start = end.saturating_sub(CHUNK).max(first);
        let upto = (end + overlap).min(length);
        chunk.resize((upto - start) as usize, 0);
        let read = source.read_exact_at(&mut chunk, start);
        read.map_err(Refusal::io)?;
        if let Some(at) = finder.find_iter(&chunk).last() {
            return Ok(Found::Cookie(start + at as u64));
        }
        is_beside |= is_program && memmem::find(&chunk, &beside).is_some();
        end = start;
    }
    Ok(match is_beside {
        true => Found::Beside,
        false => Found::Nothing,
    })
}

/// The eight bytes with `fourth` among them. They are made here, as PyInstaller's
/// loader makes them, and stand nowhere: every program that has them in its code
/// would be found to hold a package.
fn magic(fourth: u8) -> [u8; 8] {
    let mut magic = *b"MEI\0\x0b\x0a\x0b\x0e";
    magic[3] = std::hint::black_box(fourth);
    magic
}

/// Whether a file that begins with `head` is a program for Linux, Windows or
/// macOS, which a package may stand in.
pub(crate) fn is_program(head: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [
        b"\x7fELF",
        b"MZ",
        // Mach-O, and a file of several of them.
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
    ];
    BEGINNINGS.iter().any(|begin| head.starts_with(begin))
}

impl Cookie {
    /// Reads the cookie at byte `at` of a file of `length` bytes, and says where
    /// in the file its package is.
    pub(super) fn read(
        source: &(impl ReadAt + ?Sized),
        length: u64,
        at: u64,
    ) -> Result<(Self, Range<u64>), Refusal> {
        let end = at.saturating_add(SIZE as u64);
        if end > length {
            return Err(Refusal::truncated("the cookie of its package is cut short"));
        }
        let mut bytes = [0; SIZE];
        source.read_exact_at(&mut bytes, at).map_err(Refusal::io)?;
        let cookie = Self::parse(&bytes);
        let range = cookie.judge(end)?;
        Ok((cookie, range))
    }

    fn parse(bytes: &[u8; SIZE]) -> Self {
        let number = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&bytes[at..at + 4]);
            u32::from_be_bytes(field)
        };
        let mut library = [0; LIBRARY];
        library.copy_from_slice(&bytes[SIZE - LIBRARY..]);
        Self {
            length: number(8),
            toc_offset: number(12),
            toc_length: number(16),
            python: number(20),
            library,
        }
    }

    /// The cookie as it stands in a package.
    pub(super) fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(&magic(HERE));
        let numbers = [self.length, self.toc_offset, self.toc_length, self.python];
        for (field, number) in bytes[8..].chunks_exact_mut(4).zip(numbers) {
            field.copy_from_slice(&number.to_be_bytes());
        }
        bytes[SIZE - LIBRARY..].copy_from_slice(&self.library);
        bytes
    }

    /// Where the package is that ends at byte `end` of its file, if the numbers
    /// fit into each other.
    fn judge(&self, end: u64) -> Result<Range<u64>, Refusal> {
        let Some(before_cookie) = self.length.checked_sub(SIZE as u32) else {
            let cause = "its package says that it is shorter than its own cookie";
            return Err(Refusal::malformed(cause));
        };
        let Some(start) = end.checked_sub(u64::from(self.length)) else {
            let cause = "its package says that it is longer than the file up to its end";
            return Err(Refusal::malformed(cause)
                .with_hint("bytes were lost: get the file again, as it was built"));
        };
        let toc_end = u64::from(self.toc_offset) + u64::from(self.toc_length);
        if toc_end > u64::from(before_cookie) {
            let cause = "its table of contents would lie outside of its package";
            return Err(Refusal::malformed(cause));
        }
        if self.toc_length > LARGEST_TOC {
            let cause = "its table of contents is larger than 32 MiB";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        Ok(start..end)
    }

    /// The name of Python's library, without its padding.
    pub(crate) fn library(&self) -> &[u8] {
        let end = self.library.iter().position(|byte| *byte == 0);
        &self.library[..end.unwrap_or(LIBRARY)]
    }
}
