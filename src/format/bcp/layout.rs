//! What stands where in a `.bcp`: docs/format.md, `.bcp`. No input or output.
//!
//! Every structure has one valid form: what it decodes is what it encodes.

use crate::error::{ErrorKind, Refusal};

/// What an archive begins with.
pub(crate) const MAGIC: [u8; 8] = *b"\x89BCP\r\n\x1a\n";
/// What an archive ends with.
const END_MAGIC: [u8; 8] = *b"\x89BCPend\n";
const VERSION: u16 = 1;
/// The context of the root hash.
const ROOT_CONTEXT: &str = "bundlecp 2026-11-22 bcp root";

/// Bytes of the header.
pub(crate) const HEADER: usize = 16;
/// Bytes in front of each section's payload.
pub(crate) const SECTION: usize = 16;
/// Bytes of a footer's row.
pub(crate) const ROW: usize = 48;
/// Bytes of the trailer.
pub(crate) const TRAILER: usize = 64;
/// Bytes in front of a block's data.
pub(crate) const BLOCK_HEAD: usize = 8;

/// Where the data of stored blocks begins, a multiple of this from the header on, and
/// so what file systems share; bytes.
pub(crate) const ALIGNMENT: u64 = 4096;
/// The most that stands in front of the data for that.
const MAX_PADDING: u16 = ALIGNMENT as u16 - 1;

/// The most that a block decodes to, bytes.
pub(crate) const MAX_BLOCK: u32 = 16 << 20;
/// The most that the tables of a manifest take, bytes.
pub(crate) const MAX_TABLES: u64 = 128 << 20;

/// The most parts of all contents: with them and its tables, a manifest
/// stays below 256 MiB.
pub(crate) const MAX_PARTS: usize = 2 << 20;

pub(crate) const MANIFEST: u32 = u32::from_le_bytes(*b"MANF");
pub(crate) const BLOCK: u32 = u32::from_le_bytes(*b"BLOK");
pub(crate) const FOOTER: u32 = u32::from_le_bytes(*b"FOOT");
/// How a self-extracting executable is started; not critical.
pub(crate) const LAUNCH: u32 = u32::from_le_bytes(*b"LNCH");

const CRITICAL: u32 = 1;

/// Whether `kind` is a type of section that every reader has to know, wherever it stands.
pub(crate) fn is_section(kind: u32) -> bool {
    [MANIFEST, BLOCK, FOOTER].contains(&kind)
}

/// The header.
pub(crate) fn header() -> [u8; HEADER] {
    let mut bytes = [0; HEADER];
    bytes[..8].copy_from_slice(&MAGIC);
    bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// Checks the header of an archive.
pub(crate) fn check_header(bytes: &[u8; HEADER]) -> Result<(), Refusal> {
    if bytes[..8] != MAGIC {
        return Err(Refusal::malformed("it doesn't begin as a bcp archive does"));
    }
    check_version([bytes[8], bytes[9]])?;
    match *bytes == header() {
        true => Ok(()),
        false => Err(Refusal::malformed("reserved bytes of its header are set")),
    }
}

fn check_version(bytes: [u8; 2]) -> Result<(), Refusal> {
    match u16::from_le_bytes(bytes) {
        VERSION => Ok(()),
        version => Err(newer(&format!("version {version} of the format"))),
    }
}

/// The refusal of what a later version may have added.
fn newer(what: &str) -> Refusal {
    let cause = format!("it needs {what}, which is not known here");
    Refusal::new(ErrorKind::Unsupported, cause).with_hint("a newer bundlecp may read it")
}

/// What stands in front of a section's payload, or of a column's values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Section {
    /// The type of a section, the number of a column.
    pub kind: u32,
    flags: u32,
    /// Bytes of the payload.
    pub length: u64,
}

impl Section {
    /// A critical section.
    pub(crate) fn new(kind: u32, length: u64) -> Self {
        Self {
            kind,
            flags: CRITICAL,
            length,
        }
    }

    /// A section that a reader may pass over.
    pub(crate) fn optional(kind: u32, length: u64) -> Self {
        Self {
            kind,
            flags: 0,
            length,
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; SECTION] {
        let mut bytes = [0; SECTION];
        bytes[..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        bytes[8..].copy_from_slice(&self.length.to_le_bytes());
        bytes
    }

    /// Decodes a section of which `is_known` tells whether its kind is known.
    pub(crate) fn from_bytes(
        bytes: [u8; SECTION],
        is_known: impl Fn(u32) -> bool,
    ) -> Result<Self, Refusal> {
        let section = Self {
            kind: number(&bytes, 0),
            flags: number(&bytes, 4),
            length: long_number(&bytes, 8),
        };
        let is_critical = section.flags == CRITICAL;
        if section.flags & !CRITICAL != 0 {
            return Err(Refusal::malformed("reserved flags of a section are set"));
        }
        match (is_known(section.kind), is_critical) {
            (true, true) | (false, false) => Ok(section),
            (true, false) => Err(Refusal::malformed("a section lacks its flag `critical`")),
            (false, true) => Err(newer(&format!("what its section {:#x} says", section.kind))),
        }
    }
}

/// One section, as the footer tells of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
    pub section: Section,
    pub hash: [u8; 32],
}

impl Row {
    pub(crate) fn to_bytes(self) -> [u8; ROW] {
        let mut bytes = [0; ROW];
        bytes[..SECTION].copy_from_slice(&self.section.to_bytes());
        bytes[SECTION..].copy_from_slice(&self.hash);
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8; ROW]) -> Result<Self, Refusal> {
        let (mut section, mut hash) = ([0; SECTION], [0; 32]);
        section.copy_from_slice(&bytes[..SECTION]);
        hash.copy_from_slice(&bytes[SECTION..]);
        let section = Section::from_bytes(section, is_section)?;
        match section.kind == FOOTER {
            true => Err(Refusal::malformed("its footer names a footer")),
            false => Ok(Self { section, hash }),
        }
    }

    /// All that the section takes, its front included; `None` for more than
    /// any file has.
    pub(crate) fn taken(&self) -> Option<u64> {
        self.section.length.checked_add(SECTION as u64)
    }
}

/// The hash that names an archive whose footer's payload is `rows`.
pub(crate) fn root_hash(rows: &[u8]) -> [u8; 32] {
    blake3::derive_key(ROOT_CONTEXT, rows)
}

/// The hash of a section.
pub(crate) fn section_hash(section: Section, payload: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&section.to_bytes());
    hasher.update(payload);
    *hasher.finalize().as_bytes()
}

/// What an archive ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trailer {
    /// Bytes from the header's first to the trailer's last.
    pub archive: u64,
    /// Bytes of the footer's payload.
    pub footer: u64,
    pub root_hash: [u8; 32],
}

impl Trailer {
    pub(crate) fn to_bytes(self) -> [u8; TRAILER] {
        let mut bytes = [0; TRAILER];
        bytes[..8].copy_from_slice(&self.archive.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.footer.to_le_bytes());
        bytes[16..48].copy_from_slice(&self.root_hash);
        bytes[48..50].copy_from_slice(&VERSION.to_le_bytes());
        bytes[56..].copy_from_slice(&END_MAGIC);
        bytes
    }

    /// Whether `bytes` end as an archive does.
    pub(crate) fn is_one(bytes: &[u8; TRAILER]) -> bool {
        bytes[56..] == END_MAGIC
    }

    pub(crate) fn from_bytes(bytes: &[u8; TRAILER]) -> Result<Self, Refusal> {
        if !Self::is_one(bytes) {
            return Err(Refusal::truncated("it doesn't end as a bcp archive does"));
        }
        check_version([bytes[48], bytes[49]])?;
        let mut root_hash = [0; 32];
        root_hash.copy_from_slice(&bytes[16..48]);
        let trailer = Self {
            archive: long_number(bytes, 0),
            footer: long_number(bytes, 8),
            root_hash,
        };
        match trailer.to_bytes() == *bytes {
            true => Ok(trailer),
            false => Err(Refusal::malformed("reserved bytes of its trailer are set")),
        }
    }
}

/// How the data of a block is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockCodec {
    Stored,
    Zstd,
    Lzma,
}

impl BlockCodec {
    /// What stands in front of `padding` bytes and the data.
    pub(crate) fn head(self, padding: u16) -> [u8; BLOCK_HEAD] {
        let code = match self {
            BlockCodec::Stored => 0,
            BlockCodec::Zstd => 1,
            BlockCodec::Lzma => 2,
        };
        let [low, high] = padding.to_le_bytes();
        [code, 0, low, high, 0, 0, 0, 0]
    }

    /// The codec that a block's head names, and the bytes between it and the data.
    pub(crate) fn of_head(head: [u8; BLOCK_HEAD]) -> Result<(Self, usize), Refusal> {
        let padding = u16::from_le_bytes([head[2], head[3]]);
        let codec = match head[0] {
            0 => BlockCodec::Stored,
            1 => BlockCodec::Zstd,
            2 => BlockCodec::Lzma,
            other => return Err(newer(&format!("codec {other} of a block"))),
        };
        let most = match codec {
            BlockCodec::Stored => MAX_PADDING,
            BlockCodec::Zstd | BlockCodec::Lzma => 0,
        };
        match codec.head(padding) == head && padding <= most {
            true => Ok((codec, usize::from(padding))),
            false => Err(Refusal::malformed("reserved bytes of a block are set")),
        }
    }

    /// Splits a block's payload into its codec and data.
    pub(crate) fn split(payload: &[u8]) -> Result<(Self, &[u8]), Refusal> {
        let Some((head, data)) = payload.split_first_chunk::<BLOCK_HEAD>() else {
            return Err(Refusal::malformed("a block is shorter than its own head"));
        };
        let (codec, padding) = Self::of_head(*head)?;
        match data.split_at_checked(padding) {
            Some((zeros, data)) if zeros.iter().all(|zero| *zero == 0) => Ok((codec, data)),
            Some(_) | None => Err(Refusal::malformed("the padding of a block is not zeros")),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

fn long_number(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}
