//! One entry of a tree, as the operations show it to a caller.
//!
//! Inside, trees are kept in the compact arena of [`Plan`](crate::plan::Plan);
//! an [`Entry`] is made from it where somebody wants to look at one.

use crate::extents::Extents;
use crate::path::{LinkTarget, RelPath};
use crate::sys::{LinkTo, Timestamp};

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
    /// Name and value of each attribute that archives [carry](Carried).
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a sparse file has data; `None` for a file without holes.
    pub extents: Option<Extents>,
    /// What a symbolic link led to where the tree was packed, if that is told.
    pub leads_to: LinkTo,
}

/// The attributes that archives carry: others belong to one system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Carried {
    /// Those of users, `user.*`, that every reader takes.
    #[default]
    Users,
    /// And macOS' own, `com.apple.*`.
    UsersAndApple,
}

impl Carried {
    /// Those that are asked for.
    pub(crate) fn with_apple(with_apple: bool) -> Self {
        match with_apple {
            true => Carried::UsersAndApple,
            false => Carried::Users,
        }
    }

    /// Whether an attribute of this name is one of them.
    pub(crate) fn has(self, name: &[u8]) -> bool {
        let is_in = |prefix: &[u8]| name.len() > prefix.len() && name.starts_with(prefix);
        is_in(b"user.") || self == Carried::UsersAndApple && is_in(b"com.apple.")
    }
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
            leads_to: LinkTo::Unknown,
        }
    }
}
