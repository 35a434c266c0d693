//! The gzip members that bundlecp writes: RFC 1952 with one extra field.
//!
//! Each member's header holds the length of the whole member, so that a
//! reader can find the next one without inflating; bgzip does the same under
//! another id. Nothing here reads it yet. Every other gzip skips the field. Name, time and system are
//! left out: equal data makes equal bytes. The fields are in docs/format.md.

/// What stands before the deflated data.
pub(super) const HEADER: usize = 20;

const FIXED: [u8; 16] = [0x1F, 0x8B, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'B', b'P', 4, 0];

/// Appends a header whose length field is yet to be [`set`](set_length).
pub(super) fn push_header(out: &mut Vec<u8>) {
    out.extend_from_slice(&FIXED);
    out.extend_from_slice(&[0; 4]);
}

/// Appends the trailer of a member that holds `data`: CRC32 and ISIZE
/// (RFC 1952, 2.3.1).
pub(super) fn push_trailer(data: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&crc32fast::hash(data).to_le_bytes());
    // ISIZE counts modulo 2^32; a unit is far smaller.
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
}

/// Writes the length of `member` into its own header.
pub(super) fn set_length(member: &mut [u8]) {
    let length = member.len() as u32;
    member[16..HEADER].copy_from_slice(&length.to_le_bytes());
}
