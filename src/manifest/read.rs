//! Reading a manifest, for programs that look into one.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::archive::limits::Limits;
use crate::entry::{EntryKind, MemberKind};
use crate::error::{Error, Result};
use crate::format::manifest::Record;
use crate::path::{LinkTarget, RelPath};
use crate::sys::Timestamp;
use crate::tree::manifest;

/// One entry of a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// Where it stands, from the tree's root.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// The content's bytes of a file, holes included; 0 for all else.
    pub size: u64,
    /// Permission bits of a file or folder, 0 to 0o7777, where they are told.
    pub mode: Option<u32>,
    /// When it was last modified, where that is told; of a hard link, its target says it.
    pub modified: Option<Timestamp>,
    /// The target of a symbolic link, or the path of the entry that a hard link is a further
    /// name of.
    pub target: Option<LinkTarget>,
    /// The BLAKE3 of a file's content, its holes read as zeros.
    pub hash: Option<[u8; 32]>,
    /// Name and value of each user attribute, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// A manifest that was read, and whose entries have its tree hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    entries: Vec<Entry>,
    tree_hash: [u8; 32],
    root_hash: Option<[u8; 32]>,
}

impl Manifest {
    /// Returns the entries, sorted by the bytes of their paths.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Returns the hash over all entries.
    pub fn tree_hash(&self) -> [u8; 32] {
        self.tree_hash
    }

    /// Returns the hash that names all of the archive that it was made of, if that has one.
    pub fn root_hash(&self) -> Option<[u8; 32]> {
        self.root_hash
    }
}

/// Reads the manifest at `path`. It is judged as an archive is: paths stay inside the tree,
/// no name is there twice, nothing stands below what is no folder.
///
/// # Errors
///
/// When it can't be read, isn't a manifest of a version that is known, was cut, or was
/// changed so that it hasn't the hash that it says.
pub fn read(path: &Path) -> Result<Manifest> {
    let file = File::open(path).map_err(|error| Error::io("open", path, error))?;
    read_from(file, path, Limits::default())
}

/// Reads the manifest that `reader` brings, as [`read`](fn@read) does, if it says to hold no
/// more than `limits` allow. Errors call it `shown`.
///
/// # Errors
///
/// As [`read`](fn@read), and when it is larger than `limits`.
pub fn read_from(reader: impl Read, shown: &Path, limits: Limits) -> Result<Manifest> {
    let mut entries = Vec::new();
    let noted = manifest::read(reader, limits, &mut |record| entries.push(record.into()));
    let noted = noted.map_err(|refusal| refusal.at("read", shown))?;
    Ok(Manifest {
        entries,
        tree_hash: noted.header.tree_hash,
        root_hash: noted.header.root_hash,
    })
}

impl From<Record> for Entry {
    fn from(record: Record) -> Self {
        let member = record.member;
        let has_target = !member.target.is_empty();
        Self {
            path: RelPath::from_names([member.path.as_slice()]),
            kind: match member.kind {
                MemberKind::Dir => EntryKind::Dir,
                MemberKind::File => EntryKind::File,
                MemberKind::Symlink => EntryKind::Symlink,
                MemberKind::Hardlink => EntryKind::Hardlink,
            },
            size: member.size,
            mode: record.tells_mode.then_some(member.mode),
            modified: member.modified,
            target: has_target.then(|| LinkTarget::new(member.target)),
            hash: record.hash,
            xattrs: member.xattrs,
        }
    }
}
