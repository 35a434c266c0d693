//! One entry of a tree, as the operations show it to a caller.
//!
//! Inside, trees are kept in the compact arena of [`Plan`](crate::plan::Plan);
//! an [`Entry`] is made from it where somebody wants to look at one.

use crate::path::{LinkTarget, RelPath};

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
