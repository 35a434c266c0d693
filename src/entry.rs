//! One entry of a tree, as the operations show it to a caller.
//!
//! Inside, trees are kept in the compact arena of [`Plan`](crate::plan::Plan);
//! an [`Entry`] is made from it where somebody wants to look at one.

use std::ops::Range;

use crate::path::{LinkTarget, RelPath};
use crate::sys::Timestamp;

/// What an entry is. A link is itself, never what it points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EntryKind {
    /// A folder.
    Dir,
    /// A regular file.
    File,
    /// A symbolic link.
    Symlink,
    /// A further name of a file of the same tree.
    Hardlink,
}

impl EntryKind {
    /// Returns the kind's name as JSON documents write it.
    pub fn name(self) -> &'static str {
        match self {
            EntryKind::Dir => "dir",
            EntryKind::File => "file",
            EntryKind::Symlink => "symlink",
            EntryKind::Hardlink => "hardlink",
        }
    }
}

/// One entry of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where it stands, from the tree's root.
    pub path: RelPath,
    /// What it is.
    pub kind: EntryKind,
    /// The content's bytes of a file, holes included; 0 for all else.
    pub size: u64,
    /// The target of a symbolic link.
    pub target: Option<LinkTarget>,
}

/// One member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// What it is and where it stands. The path is as the archive spells it:
    /// for showing, not for joining. A hard link's target is the path of the
    /// member that it is a further name of.
    pub entry: Entry,
    /// Permission bits: 0 to 0o7777.
    pub mode: u32,
    /// When it was last modified, where the archive says so.
    pub modified: Option<Timestamp>,
}

impl From<&Member> for Listed {
    fn from(member: &Member) -> Self {
        let has_target = !member.target.is_empty();
        Listed {
            entry: Entry {
                path: RelPath::from_names([member.path.as_slice()]),
                kind: match member.kind {
                    MemberKind::Dir => EntryKind::Dir,
                    MemberKind::File => EntryKind::File,
                    MemberKind::Symlink => EntryKind::Symlink,
                    MemberKind::Hardlink => EntryKind::Hardlink,
                },
                size: member.size,
                target: has_target.then(|| LinkTarget::new(member.target.as_slice())),
            },
            mode: member.mode,
            modified: member.modified,
        }
    }
}

/// Where a file has data: the first byte, and how many.
pub(crate) type Extent = (u64, u64);

/// The places in a file of the bytes `stored` of all that is stored of it.
pub(crate) fn places(extents: &[Extent], stored: Range<u64>) -> impl Iterator<Item = Range<u64>> {
    let Range { start: first, end } = stored;
    let starts = extents.iter().scan(0, |sum, &(start, length)| {
        let before = *sum;
        *sum += length;
        Some((before, start, length))
    });
    let within = starts.take_while(move |(before, ..)| *before < end);
    within.filter_map(move |(before, start, length)| {
        let from = first.max(before);
        let to = end.min(before + length);
        let shift = start.wrapping_sub(before);
        (from < to).then(|| from.wrapping_add(shift)..to.wrapping_add(shift))
    })
}

/// Where stored bytes belong in a file with these extents, given those from
/// `stored` on.
pub(crate) fn placed<'b>(
    extents: &[Extent],
    stored: u64,
    mut bytes: &'b [u8],
) -> impl Iterator<Item = (u64, &'b [u8])> {
    places(extents, stored..stored + bytes.len() as u64).map(move |range| {
        let (here, rest) = bytes.split_at((range.end - range.start) as usize);
        bytes = rest;
        (range.start, here)
    })
}

/// What an archive says of one member, before anybody has checked it: what
/// parsers make and writers of formats take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The path as the archive spells it, after all overrides; a folder's
    /// slash at the end is left out. `/` separates names.
    pub path: Vec<u8>,
    pub kind: MemberKind,
    /// The content's bytes of a file, holes included; 0 for all else.
    pub size: u64,
    /// The target of a symbolic link, or the path of the member that a hard
    /// link is a further name of; empty for all else.
    pub target: Vec<u8>,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 0 to 0o7777.
    pub mode: u32,
    /// When the content was last modified, where the archive says so.
    pub modified: Option<Timestamp>,
    pub uid: u64,
    pub gid: u64,
    /// Name and value of each user attribute; names begin with `user.`.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a sparse file has data, as offset and length in bytes, in order;
    /// `None` for a file without holes.
    pub extents: Option<Vec<Extent>>,
}

/// What a member is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberKind {
    Dir,
    File,
    Symlink,
    Hardlink,
}

impl Member {
    /// A member of which only kind and path are known.
    pub(crate) fn new(kind: MemberKind, path: impl Into<Vec<u8>>) -> Self {
        Self {
            path: path.into(),
            kind,
            size: 0,
            target: Vec::new(),
            mode: match kind {
                MemberKind::Dir => 0o755,
                MemberKind::File | MemberKind::Hardlink => 0o644,
                MemberKind::Symlink => 0o777,
            },
            modified: None,
            uid: 0,
            gid: 0,
            xattrs: Vec::new(),
            extents: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_find_their_places_between_holes() {
        let extents = [(10, 4), (50, 2), (90, 10)];
        let all: Vec<_> = placed(&extents, 0, b"abcd").collect();
        assert_eq!(all, [(10, &b"abcd"[..])]);
        let some: Vec<_> = placed(&extents, 3, b"defgh").collect();
        assert_eq!(some, [(13, &b"d"[..]), (50, b"ef"), (90, b"gh")]);
    }
}
