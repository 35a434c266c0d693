//! The bytes of a `.bcp`, in the order in which they are written.

use super::layout::{
    ALIGNMENT, BLOCK, BLOCK_HEAD, BlockCodec, FOOTER, HEADER, MANIFEST, MAX_TABLES, Row, SECTION,
    Section, TRAILER, Trailer, header, root_hash, section_hash,
};
use super::manifest::Manifest;
use crate::codec;
use crate::error::{ErrorKind, Refusal};

/// Takes note of all sections, and writes what tells of them.
pub(crate) struct Writer {
    rows: Vec<u8>,
    written: u64,
}

impl Writer {
    /// Appends header and manifest to `out`.
    pub(crate) fn begin(manifest: &Manifest, out: &mut Vec<u8>) -> Result<Self, Refusal> {
        let tables = manifest.to_tables()?;
        if tables.len() as u64 > MAX_TABLES {
            let cause = "its tables would have more than 128 MiB";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        let mut payload = (tables.len() as u64).to_le_bytes().to_vec();
        codec::compress_tables(&tables, &mut payload)?;
        let section = Section::new(MANIFEST, payload.len() as u64);
        out.extend_from_slice(&header());
        out.extend_from_slice(&section.to_bytes());
        out.extend_from_slice(&payload);
        let mut writer = Self {
            rows: Vec::new(),
            written: HEADER as u64,
        };
        let hash = section_hash(section, &payload);
        writer.note(Row { section, hash });
        Ok(writer)
    }

    /// Takes note of a section that is written now.
    pub(crate) fn note(&mut self, row: Row) {
        self.rows.extend_from_slice(&row.to_bytes());
        self.written += SECTION as u64 + row.section.length;
    }

    /// Appends footer and trailer to `out`. Returns the root hash.
    pub(crate) fn end(self, out: &mut Vec<u8>) -> [u8; 32] {
        let footer = self.rows.len() as u64;
        let root_hash = root_hash(&self.rows);
        let taken = SECTION as u64 + footer + TRAILER as u64;
        out.extend_from_slice(&Section::new(FOOTER, footer).to_bytes());
        out.extend_from_slice(&self.rows);
        let trailer = Trailer {
            archive: self.written + taken,
            footer,
            root_hash,
        };
        out.extend_from_slice(&trailer.to_bytes());
        root_hash
    }
}

/// Where the data of stored blocks of `sizes` is, so that each begins aligned: the padding
/// of each, if the first section begins at `start`.
pub(crate) fn paddings(mut start: u64, sizes: &[u32]) -> Vec<u16> {
    let front = (SECTION + BLOCK_HEAD) as u64;
    let padding = |size: &u32| {
        let padding = (start + front).wrapping_neg() % ALIGNMENT;
        start += front + padding + u64::from(*size);
        padding as u16
    };
    sizes.iter().map(padding).collect()
}

/// Appends the section of a block with `data` to `out`; returns its row.
pub(crate) fn append_block(codec: BlockCodec, data: &[u8], out: &mut Vec<u8>) -> Row {
    append_padded(codec, 0, data, out)
}

/// The same for a stored block behind `padding` bytes.
pub(crate) fn append_stored(padding: u16, data: &[u8], out: &mut Vec<u8>) -> Row {
    append_padded(BlockCodec::Stored, padding, data, out)
}

fn append_padded(codec: BlockCodec, padding: u16, data: &[u8], out: &mut Vec<u8>) -> Row {
    let start = out.len();
    let head = codec.head(padding);
    let front = head.len() + usize::from(padding);
    let section = Section::new(BLOCK, (front + data.len()) as u64);
    out.extend_from_slice(&section.to_bytes());
    out.extend_from_slice(&head);
    out.resize(start + SECTION + front, 0);
    out.extend_from_slice(data);
    let hash = section_hash(section, &out[start + SECTION..]);
    Row { section, hash }
}
