//! Tars made block by block, as no decent program makes them.

use std::ops::Range;

pub(crate) const BLOCK: usize = 512;

/// One header block; its checksum is set when it is taken.
#[derive(Clone)]
pub(crate) struct Header([u8; BLOCK]);

impl Header {
    /// A ustar header of the type `flag`.
    pub(crate) fn new(name: &[u8], flag: u8) -> Self {
        let mut header = Self([0; BLOCK]);
        header.put(0..100, name);
        header.0[156] = flag;
        let mode: &[u8] = if flag == b'5' { b"0000755" } else { b"0000644" };
        header.put(100..108, mode);
        header.put(108..116, b"0000000");
        header.put(116..124, b"0000000");
        header.put(124..136, b"00000000000");
        header.put(136..148, b"07346545000");
        header.put(257..265, b"ustar\x0000");
        header
    }

    /// Replaces a field, padded with NULs.
    pub(crate) fn put(&mut self, field: Range<usize>, value: &[u8]) {
        self.0[field.clone()].fill(0);
        let end = field.start + value.len();
        assert!(end <= field.end, "{value:?} is too long");
        self.0[field.start..end].copy_from_slice(value);
    }

    pub(crate) fn with(mut self, field: Range<usize>, value: &[u8]) -> Self {
        self.put(field, value);
        self
    }

    pub(crate) fn mode(self, mode: u32) -> Self {
        self.with(100..108, format!("{mode:07o}").as_bytes())
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.with(124..136, format!("{size:011o}").as_bytes())
    }

    /// The size in GNU's base 256.
    pub(crate) fn raw_size(self, size: [u8; 12]) -> Self {
        self.with(124..136, &size)
    }

    pub(crate) fn mtime(self, mtime: i64) -> Self {
        let mut field = [if mtime < 0 { 0xff } else { 0 }; 12];
        field[0] |= 0x80;
        field[4..].copy_from_slice(&mtime.to_be_bytes());
        self.with(136..148, &field)
    }

    pub(crate) fn link(self, target: &[u8]) -> Self {
        self.with(157..257, target)
    }

    pub(crate) fn prefix(self, prefix: &[u8]) -> Self {
        self.with(345..500, prefix)
    }

    pub(crate) fn gnu(self) -> Self {
        self.with(257..265, b"ustar  \0")
    }

    pub(crate) fn v7(self) -> Self {
        self.with(257..265, b"")
    }

    pub(crate) fn bytes(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|byte| u32::from(*byte)).sum();
        self.put(148..156, format!("{sum:06o}\0 ").as_bytes());
        self.0
    }
}

/// An archive as far as it is made.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn header(mut self, header: Header) -> Self {
        self.0.extend(header.bytes());
        self
    }

    /// Content, padded to whole blocks.
    pub(crate) fn content(mut self, content: &[u8]) -> Self {
        self.0.extend(content);
        self.0.resize(self.0.len().next_multiple_of(BLOCK), 0);
        self
    }

    pub(crate) fn file(self, name: &[u8], content: &[u8]) -> Self {
        let header = Header::new(name, b'0').size(content.len() as u64);
        self.header(header).content(content)
    }

    pub(crate) fn dir(self, name: &[u8]) -> Self {
        self.header(Header::new(name, b'5'))
    }

    pub(crate) fn symlink(self, name: &[u8], target: &[u8]) -> Self {
        self.header(Header::new(name, b'2').link(target))
    }

    pub(crate) fn hardlink(self, name: &[u8], target: &[u8]) -> Self {
        self.header(Header::new(name, b'1').link(target))
    }

    /// A PAX header for the next member.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        self.records(b'x', &join(records))
    }

    pub(crate) fn records(self, flag: u8, bytes: &[u8]) -> Self {
        let header = Header::new(b"PaxHeader", flag).size(bytes.len() as u64);
        self.header(header).content(bytes)
    }

    /// A GNU long name (`L`) or target (`K`).
    pub(crate) fn long(self, flag: u8, name: &[u8]) -> Self {
        let header = Header::new(b"././@LongLink", flag)
            .gnu()
            .size(name.len() as u64);
        self.header(header).content(name)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend([0; 2 * BLOCK]);
        self.0
    }
}

/// PAX records.
pub(crate) fn join(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut joined = Vec::new();
    for (key, value) in records {
        let rest = key.len() + value.len() + 3;
        let mut length = rest + 1;
        while rest + length.to_string().len() != length {
            length = rest + length.to_string().len();
        }
        joined.extend(format!("{length} {key}=").as_bytes());
        joined.extend(*value);
        joined.push(b'\n');
    }
    joined
}
