//! PyInstaller's packages, made field by field, as its own writer never does.

use std::io::Write;

/// The bytes of a cookie.
pub(crate) const COOKIE: usize = 88;

/// One entry: what the table says of it may be anything.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) kind: u8,
    pub(crate) name: Vec<u8>,
    /// The bytes in the package.
    pub(crate) data: Vec<u8>,
    pub(crate) compressed: u8,
    pub(crate) size: u32,
    /// What the table says instead of what is so.
    pub(crate) offset: Option<u32>,
    pub(crate) stored: Option<u32>,
    pub(crate) length: Option<u32>,
    /// The bytes behind the name instead of NULs up to a multiple of 16.
    pub(crate) padding: Option<Vec<u8>>,
}

impl Entry {
    /// An entry of this type that isn't compressed.
    pub(crate) fn new(kind: u8, name: &[u8], content: &[u8]) -> Self {
        Self {
            kind,
            name: name.to_vec(),
            data: content.to_vec(),
            compressed: 0,
            size: content.len() as u32,
            offset: None,
            stored: None,
            length: None,
            padding: None,
        }
    }

    pub(crate) fn file(name: &[u8], content: &[u8]) -> Self {
        Self::new(b'x', name, content)
    }

    pub(crate) fn binary(name: &[u8], content: &[u8]) -> Self {
        Self::new(b'b', name, content)
    }

    pub(crate) fn symlink(name: &[u8], target: &[u8]) -> Self {
        Self::new(b'n', name, &[target, b"\0"].concat())
    }

    /// Compresses the content.
    pub(crate) fn compressed(mut self) -> Self {
        self.data = zlib(&self.data);
        self.compressed = 1;
        self
    }

    pub(crate) fn change(mut self, change: impl Fn(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// As it stands in the table.
    fn append(&self, offset: u32, toc: &mut Vec<u8>) {
        let bytes = 18 + self.name.len() + 1;
        let padding = match &self.padding {
            Some(padding) => padding.clone(),
            None => vec![0; bytes.next_multiple_of(16) - bytes + 1],
        };
        let length = (18 + self.name.len() + padding.len()) as u32;
        put(
            toc,
            &[
                self.length.unwrap_or(length),
                self.offset.unwrap_or(offset),
                self.stored.unwrap_or(self.data.len() as u32),
                self.size,
            ],
        );
        toc.extend([self.compressed, self.kind]);
        toc.extend(&self.name);
        toc.extend(padding);
    }
}

/// What stands around the entries, and what the cookie says instead of what is so.
#[derive(Clone)]
pub(crate) struct Around {
    pub(crate) before: Vec<u8>,
    pub(crate) behind: Vec<u8>,
    /// Bytes at the end of the table.
    pub(crate) more_toc: Vec<u8>,
    pub(crate) length: Option<u32>,
    pub(crate) toc_offset: Option<u32>,
    pub(crate) toc_length: Option<u32>,
    pub(crate) library: &'static [u8],
}

impl Default for Around {
    fn default() -> Self {
        Self {
            before: elf(),
            behind: vec![0; 300],
            more_toc: Vec::new(),
            length: None,
            toc_offset: None,
            toc_length: None,
            library: b"libpython3.11.so.1.0",
        }
    }
}

/// What begins like a program for Linux.
pub(crate) fn elf() -> Vec<u8> {
    [&b"\x7fELF\x02\x01\x01"[..], &[0; 200]].concat()
}

/// A program with these entries.
pub(crate) fn program(entries: &[Entry]) -> Vec<u8> {
    program_with(entries, &Around::default())
}

pub(crate) fn program_with(entries: &[Entry], around: &Around) -> Vec<u8> {
    let (mut data, mut toc) = (Vec::new(), Vec::new());
    for entry in entries {
        entry.append(data.len() as u32, &mut toc);
        data.extend(&entry.data);
    }
    toc.extend(&around.more_toc);
    let length = (data.len() + toc.len() + COOKIE) as u32;
    let mut cookie = magic(0x0c).to_vec();
    put(
        &mut cookie,
        &[
            around.length.unwrap_or(length),
            around.toc_offset.unwrap_or(data.len() as u32),
            around.toc_length.unwrap_or(toc.len() as u32),
            311,
        ],
    );
    cookie.extend(around.library);
    cookie.resize(COOKIE, 0);
    [&around.before, &data, &toc, &cookie, &around.behind]
        .map(Vec::as_slice)
        .concat()
}

/// What a cookie begins with; with 13 for 12, what is in a program instead whose
/// package is a file beside it.
pub(crate) fn magic(fourth: u8) -> [u8; 8] {
    [b'M', b'E', b'I', fourth, 0x0b, 0x0a, 0x0b, 0x0e]
}

pub(crate) fn put(out: &mut Vec<u8>, values: &[u32]) {
    values
        .iter()
        .for_each(|value| out.extend(value.to_be_bytes()));
}

pub(crate) fn zlib(content: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), level);
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}
