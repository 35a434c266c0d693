//! Windows' programs, as far as an archive behind one needs to know them (Microsoft,
//! PE Format): which subsystem starts one, and where its signature stands.

use std::ops::Range;

use object::pe::{IMAGE_DIRECTORY_ENTRY_SECURITY, ImageDosHeader};
use object::read::pe::{ImageNtHeaders, ImageOptionalHeader};
use object::{FileKind, LittleEndian, pe};

use super::ReadAt;
use crate::error::Refusal;

/// What a program begins with.
pub(crate) const MAGIC: &[u8] = b"MZ";

/// Bytes that the headers are in: linkers need less than one page.
const HEADERS: usize = 4096;

/// Where the optional header has the subsystem, from the new headers on: behind the
/// signature and the file header, at the same place in both sizes.
const SUBSYSTEM: usize = 4 + 20 + 68;

/// What the headers say.
pub(crate) struct Headers {
    /// Windows gives a program of subsystem 3 a console, one of subsystem 2 none.
    pub subsystem: u16,
    /// Where the headers say so, in bytes.
    pub subsystem_at: usize,
    /// Where the signature is, in bytes. It says what it is of: all in front of it.
    pub signature: Range<u64>,
}

/// Reads the headers of a program; `None` if `source` is none.
pub(crate) fn headers(source: &dyn ReadAt) -> Result<Option<Headers>, Refusal> {
    let mut bytes = vec![0; HEADERS];
    let filled = source.read_start(&mut bytes).map_err(Refusal::io)?;
    let bytes = &bytes[..filled];
    Ok(match FileKind::parse(bytes) {
        Ok(FileKind::Pe32) => parse::<pe::ImageNtHeaders32>(bytes),
        Ok(FileKind::Pe64) => parse::<pe::ImageNtHeaders64>(bytes),
        Ok(_) | Err(_) => None,
    })
}

fn parse<H: ImageNtHeaders>(bytes: &[u8]) -> Option<Headers> {
    let dos = ImageDosHeader::parse(bytes).ok()?;
    let start = dos.nt_headers_offset();
    let mut at = u64::from(start);
    let (headers, directories) = H::parse(bytes, &mut at).ok()?;
    let signature = directories.get(IMAGE_DIRECTORY_ENTRY_SECURITY);
    let signature = signature.map_or(0..0, |table| {
        // The only address of this table that counts bytes of the file.
        let start = u64::from(table.virtual_address.get(LittleEndian));
        start..start + u64::from(table.size.get(LittleEndian))
    });
    Some(Headers {
        subsystem: headers.optional_header().subsystem().0,
        subsystem_at: start as usize + SUBSYSTEM,
        signature,
    })
}
