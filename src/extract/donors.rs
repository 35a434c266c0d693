//! Files that are there already, in another version of what is extracted: those of the
//! same content are shared instead of decoded.
//!
//! A donor is compared with the content's hash before anything is shared with it. Where
//! files can share storage, each new one is a file of its own; elsewhere it is a further
//! name of the donor, if all that is set on the two is the same.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::dest::attributes::Attributes;
use crate::dest::writer::{NewFile, Site, Span, Writer};
use crate::error::Result;
use crate::format::bcp::Content;
use crate::sys::{self, FileType, Timestamp};

/// What is shorter is decoded as fast as it is looked at, bytes.
const SHORTEST: u64 = 4 << 10;
/// Bytes that are read at a time: what the cache of one core holds.
const STEP: usize = 128 << 10;

/// Files by their contents' hashes.
#[derive(Debug, Default)]
pub(crate) struct Donors {
    roots: Vec<PathBuf>,
    files: HashMap<[u8; 32], Vec<Donor>>,
}

/// A file that may have a content.
#[derive(Debug)]
struct Donor {
    root: usize,
    /// From the root on.
    path: Vec<u8>,
    size: u64,
    mode: u32,
    modified: Timestamp,
}

impl Donors {
    /// Adds a folder, whose files are named by [`add`](Self::add).
    pub(crate) fn add_root(&mut self, path: &Path) -> usize {
        self.roots.push(path.to_owned());
        self.roots.len() - 1
    }

    /// Adds a file of the folder `root`, as it was when it had the content `hash`.
    pub(crate) fn add(
        &mut self,
        (root, path): (usize, Vec<u8>),
        hash: [u8; 32],
        size: u64,
        (mode, modified): (u32, Timestamp),
    ) {
        let donor = Donor {
            root,
            path,
            size,
            mode,
            modified,
        };
        self.files.entry(hash).or_default().push(donor);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Finds out how files can be shared with those of `wanted`, before anything is made.
    pub(super) fn way<'c>(
        &self,
        mut wanted: impl Iterator<Item = &'c Content>,
        site: &Site<'_>,
    ) -> Result<Way> {
        let opened = wanted.find_map(|content| {
            let donors = self.files.get(&content.hash)?;
            donors
                .iter()
                .find_map(|donor| sys::open_plain(&self.path(donor)).ok())
        });
        match opened.map(|file| site.can_share(&file)).transpose()? {
            Some(true) => Ok(Way::Clone),
            Some(false) | None => Ok(Way::Link),
        }
    }

    fn path(&self, donor: &Donor) -> PathBuf {
        sys::join_bytes(&self.roots[donor.root], &donor.path)
    }

    /// Whether a content is worth being looked for.
    pub(super) fn may_have(&self, content: &Content) -> bool {
        let is_whole = content.extents.is_none() && content.size >= SHORTEST;
        is_whole && self.files.contains_key(&content.hash)
    }
}

/// How files are shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Each is a file of its own, on the same storage.
    Clone,
    /// Each is a further name.
    Link,
}

/// One worker that shares files.
pub(super) struct Sharer<'s> {
    donors: &'s Donors,
    way: Way,
    writer: Writer<'s>,
    buffer: Vec<u8>,
}

impl<'s> Sharer<'s> {
    pub(super) fn new(donors: &'s Donors, site: &'s Site<'s>, way: Way) -> Self {
        Self {
            donors,
            way,
            writer: site.writer(),
            buffer: vec![0; STEP],
        }
    }

    /// Makes those of `files`, which all have `content`, that can be shared. Returns
    /// which: the others are to be decoded.
    pub(super) fn share(&mut self, content: &Content, files: &[NewFile]) -> Result<Vec<bool>> {
        let mut made = vec![false; files.len()];
        let donors = self.donors.files.get(&content.hash);
        for donor in donors.into_iter().flatten() {
            if made.iter().all(|made| *made) {
                break;
            }
            let path = self.donors.path(donor);
            let Some(file) = self.open(donor, &path, content) else {
                continue;
            };
            for (new, made) in files.iter().zip(&mut made).filter(|(_, made)| !**made) {
                *made = match self.way {
                    Way::Clone => self.clone(new, &file, content.size)?,
                    Way::Link => {
                        is_alike(donor, &file, &new.attributes)
                            && self.writer.link_from(new, &path)?
                    }
                };
            }
        }
        Ok(made)
    }

    /// Opens a donor that still is what it was, and has the content.
    fn open(&mut self, donor: &Donor, path: &Path, content: &Content) -> Option<File> {
        let file = sys::open_plain(path).ok()?;
        let stat = sys::stat_file(&file).ok()?;
        let is_same = stat.file_type == FileType::File
            && stat.size == donor.size
            && stat.size == content.size
            && stat.modified == donor.modified
            && stat.mode == donor.mode;
        if !is_same {
            return None;
        }
        let mut hasher = blake3::Hasher::new();
        let mut at = 0;
        while at < content.size {
            match sys::read_at(&file, &mut self.buffer, at).ok()? {
                0 => return None,
                count => {
                    hasher.update(&self.buffer[..count]);
                    at += count as u64;
                }
            }
        }
        (at == content.size && *hasher.finalize().as_bytes() == content.hash).then_some(file)
    }

    fn clone(&mut self, new: &NewFile, file: &File, length: u64) -> Result<bool> {
        let whole = Span {
            from: 0,
            to: 0,
            length,
        };
        self.writer.share_whole(new, file, [whole])
    }
}

/// Whether a further name of the donor would be what the new file should be.
fn is_alike(donor: &Donor, file: &File, new: &Attributes) -> bool {
    donor.mode == new.stat.mode
        && donor.modified == new.stat.modified
        && new.xattrs.is_empty()
        && sys::file_xattrs(file).is_ok_and(|found| found.is_empty())
}
