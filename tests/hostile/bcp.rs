//! `.bcp` archives, made from docs/format.md alone: the crate's own writer can't
//! lie. Hashes are always right for what is written, so that only the lie is
//! wrong.

/// The context of the root hash.
const ROOT: &str = "bundlecp 2026-11-22 bcp root";
pub(crate) const MAGIC: [u8; 8] = *b"\x89BCP\r\n\x1a\n";

/// What the tables say, a field for each column: any of them may be changed.
#[derive(Clone, Default)]
pub(crate) struct Rows {
    /// What is said of how many there are; the truth if it is `None`.
    pub(crate) counts: Option<[u64; 3]>,
    pub(crate) kinds: Vec<u8>,
    pub(crate) parents: Vec<u32>,
    pub(crate) names: Vec<Vec<u8>>,
    pub(crate) modes: Vec<u16>,
    pub(crate) seconds: Vec<i64>,
    pub(crate) nanoseconds: Vec<u32>,
    pub(crate) content_numbers: Vec<u32>,
    pub(crate) firsts: Vec<u32>,
    pub(crate) targets: Vec<Vec<u8>>,
    pub(crate) attributes: Vec<(u32, Vec<u8>, Vec<u8>)>,
    pub(crate) owners: Vec<[u32; 2]>,
    pub(crate) sizes: Vec<u64>,
    pub(crate) hashes: Vec<[u8; 32]>,
    pub(crate) filters: Vec<u8>,
    pub(crate) extents: Vec<(u32, u64, u64)>,
    pub(crate) filtered: Vec<[u64; 2]>,
    pub(crate) parts: Vec<PartRow>,
    pub(crate) blocks: Vec<u32>,
}

/// A row of column 53: a part of a content that is stored in another form.
#[derive(Clone, Copy)]
pub(crate) struct PartRow {
    pub(crate) content: u32,
    pub(crate) offset: u64,
    pub(crate) length: u32,
    pub(crate) stored: u32,
    pub(crate) form: u16,
}

pub(crate) const FOLDER: u8 = 0;
pub(crate) const FILE: u8 = 1;
pub(crate) const LINK: u8 = 2;
pub(crate) const HARD_LINK: u8 = 3;
pub(crate) const HAS_TIME: u8 = 16;

impl Rows {
    /// Adds an entry to the folder `parent`, 0 for the top; returns what its
    /// own members have as parent.
    pub(crate) fn entry(&mut self, kind: u8, parent: u32, name: &[u8], mode: u16) -> u32 {
        self.kinds.push(kind);
        self.parents.push(parent);
        self.names.push(name.to_vec());
        self.modes.push(mode);
        self.kinds.len() as u32
    }

    pub(crate) fn file(&mut self, parent: u32, name: &[u8], content: u32) {
        self.entry(FILE, parent, name, 0o644);
        self.content_numbers.push(content);
    }

    pub(crate) fn link(&mut self, parent: u32, name: &[u8], target: &[u8]) {
        self.entry(LINK, parent, name, 0o777);
        self.targets.push(target.to_vec());
    }

    /// Adds a content without holes and without a filter.
    pub(crate) fn content(&mut self, bytes: &[u8]) {
        self.sizes.push(bytes.len() as u64);
        self.hashes.push(*blake3::hash(bytes).as_bytes());
        self.filters.push(0);
    }

    /// The columns, in their order; those that may be left out are, if empty.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let counts = [self.kinds.len(), self.sizes.len(), self.blocks.len()];
        let counts = self.counts.unwrap_or(counts.map(|count| count as u64));
        let lengths = |values: &[Vec<u8>]| ints(values.iter().map(|value| value.len() as u32));
        let target_lengths = self.targets.iter();
        let target_lengths = target_lengths.flat_map(|target| (target.len() as u16).to_le_bytes());
        let attributes = self.attributes.iter();
        let attributes = attributes
            .flat_map(|(entry, name, value)| ints([*entry, name.len() as u32, value.len() as u32]));
        let heap = self.attributes.iter();
        let heap = heap.flat_map(|(_, name, value)| [&name[..], value].concat());
        let extents = self.extents.iter().flat_map(|(content, offset, length)| {
            [ints([*content]), longs([*offset, *length])].concat()
        });
        let parts = self.parts.iter().flat_map(|row| {
            let sizes = ints([row.length, row.stored]);
            let number = ints([row.content]);
            [
                number,
                longs([row.offset]),
                sizes,
                row.form.to_le_bytes().to_vec(),
            ]
            .concat()
        });
        let needed = [
            (1, longs(counts)),
            (16, self.kinds.clone()),
            (17, ints(self.parents.iter().copied())),
            (18, lengths(&self.names)),
            (19, self.names.concat()),
            (
                20,
                self.modes.iter().flat_map(|m| m.to_le_bytes()).collect(),
            ),
        ];
        let optional = [
            (
                21,
                self.seconds.iter().flat_map(|s| s.to_le_bytes()).collect(),
            ),
            (22, ints(self.nanoseconds.iter().copied())),
            (23, ints(self.content_numbers.iter().copied())),
            (24, ints(self.firsts.iter().copied())),
            (25, target_lengths.collect()),
            (26, self.targets.concat()),
            (27, attributes.collect()),
            (28, heap.collect()),
            (29, ints(self.owners.iter().flatten().copied())),
            (48, longs(self.sizes.iter().copied())),
            (49, self.hashes.concat()),
            (50, self.filters.clone()),
            (51, extents.collect()),
            (52, longs(self.filtered.iter().flatten().copied())),
            (53, parts.collect()),
            (64, ints(self.blocks.iter().copied())),
        ];
        let optional = optional.into_iter();
        let optional = optional.filter(|(_, values): &(u32, Vec<u8>)| !values.is_empty());
        let all = needed.into_iter().chain(optional);
        all.map(|(number, values)| Column::new(number, values))
            .collect()
    }
}

pub(crate) fn ints(values: impl IntoIterator<Item = u32>) -> Vec<u8> {
    values.into_iter().flat_map(u32::to_le_bytes).collect()
}

pub(crate) fn longs(values: impl IntoIterator<Item = u64>) -> Vec<u8> {
    values.into_iter().flat_map(u64::to_le_bytes).collect()
}

#[derive(Clone)]
pub(crate) struct Column {
    pub(crate) number: u32,
    pub(crate) flags: u32,
    /// What is said to be the length; the truth if it is `None`.
    pub(crate) length: Option<u64>,
    pub(crate) values: Vec<u8>,
}

impl Column {
    pub(crate) fn new(number: u32, values: Vec<u8>) -> Self {
        Self {
            number,
            flags: 1,
            length: None,
            values,
        }
    }
}

/// The tables that columns make.
pub(crate) fn tables(columns: &[Column]) -> Vec<u8> {
    let mut tables = Vec::new();
    for column in columns {
        let length = column.length.unwrap_or(column.values.len() as u64);
        tables.extend(ints([column.number, column.flags]));
        tables.extend(length.to_le_bytes());
        tables.extend(&column.values);
    }
    tables
}

/// A manifest's payload.
pub(crate) fn manifest(tables: &[u8]) -> Vec<u8> {
    said(
        tables.len() as u64,
        &zstd::bulk::compress(tables, 3).unwrap(),
    )
}

/// A manifest's payload that says how long its tables are.
pub(crate) fn said(length: u64, frame: &[u8]) -> Vec<u8> {
    [&length.to_le_bytes()[..], frame].concat()
}

#[derive(Clone)]
pub(crate) struct Section {
    pub(crate) kind: [u8; 4],
    pub(crate) flags: u32,
    /// What is said to be the length; the truth if it is `None`.
    pub(crate) length: Option<u64>,
    pub(crate) payload: Vec<u8>,
}

impl Section {
    pub(crate) fn new(kind: &[u8; 4], payload: Vec<u8>) -> Self {
        Self {
            kind: *kind,
            flags: 1,
            length: None,
            payload,
        }
    }

    pub(crate) fn stored(data: &[u8]) -> Self {
        Self::block(0, data)
    }

    pub(crate) fn zstd(data: &[u8]) -> Self {
        Self::block(1, &zstd::bulk::compress(data, 3).unwrap())
    }

    /// A block of LZMA2, with no larger a dictionary than a reader has.
    pub(crate) fn lzma(data: &[u8]) -> Self {
        Self::block(2, &lzma2(data))
    }

    pub(crate) fn block(codec: u8, data: &[u8]) -> Self {
        Self::new(b"BLOK", [&[codec, 0, 0, 0, 0, 0, 0, 0], data].concat())
    }

    fn front(&self) -> [u8; 16] {
        let length = self.length.unwrap_or(self.payload.len() as u64);
        let front = [&self.kind[..], &ints([self.flags]), &longs([length])].concat();
        front.try_into().unwrap()
    }

    fn row(&self) -> Vec<u8> {
        let hash = blake3::hash(&[&self.front()[..], &self.payload].concat());
        [&self.front()[..], hash.as_bytes()].concat()
    }

    fn bytes(&self) -> Vec<u8> {
        [&self.front()[..], &self.payload].concat()
    }
}

/// LZMA2 chunks and their end marker.
pub(crate) fn lzma2(data: &[u8]) -> Vec<u8> {
    use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};
    let mut options = LzmaOptions::new_preset(3).unwrap();
    options.dict_size((data.len() as u32).max(4096));
    let mut stream = Stream::new_raw_encoder(Filters::new().lzma2(&options)).unwrap();
    let mut out = Vec::with_capacity(data.len() + data.len() / 1024 + 64);
    let status = stream.process_vec(data, &mut out, Action::Finish);
    assert!(matches!(status, Ok(Status::StreamEnd)));
    out
}

/// An archive in its parts.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) header: [u8; 16],
    pub(crate) sections: Vec<Section>,
}

/// What stands behind the sections.
pub(crate) struct Tail {
    pub(crate) footer: Section,
    /// Bytes of the archive, as the trailer says.
    pub(crate) archive: u64,
    /// Bytes of the footer's payload, as the trailer says.
    pub(crate) length: u64,
    pub(crate) root: [u8; 32],
    pub(crate) version: u16,
    pub(crate) reserved: [u8; 6],
    pub(crate) magic: [u8; 8],
}

impl Parts {
    pub(crate) fn new(manifest: Vec<u8>, blocks: &[Section]) -> Self {
        let mut header = [0; 16];
        header[..8].copy_from_slice(&MAGIC);
        header[8] = 1;
        let mut sections = vec![Section::new(b"MANF", manifest)];
        sections.extend_from_slice(blocks);
        Self { header, sections }
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.bytes_with(|_| {})
    }

    /// The archive, with another footer or trailer. A root hash of zeros stands for
    /// the right one.
    pub(crate) fn bytes_with(&self, change: impl FnOnce(&mut Tail)) -> Vec<u8> {
        let mut bytes = self.header.to_vec();
        bytes.extend(self.sections.iter().flat_map(Section::bytes));
        let rows: Vec<u8> = self.sections.iter().flat_map(Section::row).collect();
        let length = rows.len() as u64;
        let mut tail = Tail {
            archive: bytes.len() as u64 + 16 + length + 64,
            footer: Section::new(b"FOOT", rows),
            length,
            root: [0; 32],
            version: 1,
            reserved: [0; 6],
            magic: *b"\x89BCPend\n",
        };
        change(&mut tail);
        let root = match tail.root {
            [0, ..] => blake3::derive_key(ROOT, &tail.footer.payload),
            root => root,
        };
        bytes.extend(tail.footer.bytes());
        bytes.extend(longs([tail.archive, tail.length]));
        bytes.extend(root);
        bytes.extend(tail.version.to_le_bytes());
        bytes.extend(tail.reserved);
        bytes.extend(tail.magic);
        bytes
    }
}

/// Applies filter 1 to a piece whose first byte is `offset` in its content: as the
/// description says it, byte by byte.
pub(crate) fn x86(data: &mut [u8], offset: u64) {
    for at in (2..(data.len() + 1).saturating_sub(5)).rev() {
        let Some(range) = reach(data[at - 2], data[at - 1], data[at]) else {
            continue;
        };
        let value = i32::from_le_bytes(data[at + 1..at + 5].try_into().unwrap());
        let value = i64::from(value);
        if (-range..range).contains(&value) {
            let sum = value + (offset as i64) + (at as i64) + 5;
            let address = (sum + range).rem_euclid(2 * range) - range;
            data[at + 1..at + 5].copy_from_slice(&(address as i32).to_le_bytes());
        }
    }
}

fn reach(second: u8, first: u8, code: u8) -> Option<i64> {
    let data = b"\x03\x0b\x13\x23\x2b\x33\x39\x3b\x63\x85\x89\x8b\x8d";
    let long = b"\x10\x11\x28\x29\x2e\x2f\x54\x57\x58\x59\x5c\x5e\x6f\x7f\xb6\xb7\xbe\xbf";
    if code == 0xE8 || code == 0xE9 {
        return Some(1 << 24);
    }
    let is_data = data.contains(&first)
        || first == 0xFF && (code == 0x15 || code == 0x25)
        || long.contains(&first) && second == 0x0F;
    (code & 0xC7 == 0x05 && is_data).then_some(1 << 25)
}

/// Applies filter 2 to a piece whose first byte is `offset` in its content: as the
/// description says it.
pub(crate) fn arm64(data: &mut [u8], offset: u64) {
    let first = (offset.next_multiple_of(4) - offset) as usize;
    for (number, bytes) in data[first..].chunks_exact_mut(4).enumerate() {
        let place = offset + (first + 4 * number) as u64;
        let code = u32::from_le_bytes(bytes.try_into().unwrap());
        let changed = if code & 0xFC00_0000 == 0x9400_0000 {
            let sum = u64::from(code & 0x03FF_FFFF) + place / 4;
            0x9400_0000 | (sum % (1 << 26)) as u32
        } else if code & 0x9F00_0000 == 0x9000_0000 {
            page(code, place / 4096)
        } else {
            code
        };
        bytes.copy_from_slice(&changed.to_le_bytes());
    }
}

fn page(code: u32, added: u64) -> u32 {
    let number = i64::from((code >> 5 & 0x7_FFFF) << 2 | code >> 29 & 3);
    let number = if number < 1 << 20 {
        number
    } else {
        number - (1 << 21)
    };
    if !(-(1 << 17)..1 << 17).contains(&number) {
        return code;
    }
    let sum = (number + added as i64 + (1 << 17)).rem_euclid(1 << 18) - (1 << 17);
    let bits = sum as u32 & 0x1F_FFFF;
    code & 0x9F00_001F | (bits & 3) << 29 | bits >> 2 << 5
}
