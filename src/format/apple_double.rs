//! What macOS adds to archives: files that hold the attributes of others.
//!
//! tar has them beside each file, `ditto` and the Finder's zips in a folder of
//! their own. A file may be called like one without being one, so beside others
//! only the content tells (RFC 1740).

/// The magic number that such a file begins with.
pub(crate) const MAGIC: [u8; 4] = 0x0005_1607_u32.to_be_bytes();

/// The size in bytes of a header of no entries, the least such a file has.
pub(crate) const MIN_SIZE: u64 = 26;

/// Whether a file of this path is called like one: `._name`.
pub(crate) fn is_named_so(path: &[u8]) -> bool {
    let name = path.rsplit(|byte| *byte == b'/').next();
    name.is_some_and(|name| name.starts_with(b"._"))
}

/// Whether a member of a zip, by its name as stored, is in the folder that
/// holds nothing else, or is that folder.
pub(crate) fn is_in_own_folder(name: &[u8]) -> bool {
    name.starts_with(b"__MACOSX/")
}
