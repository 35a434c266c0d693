//! PyInstaller's CArchive: the package in which its programs carry their files.
//!
//! The package ends with a `cookie`, which says how long it is and where its
//! table of contents, the `toc`, stands; each entry of that says where data is.
//! The package may stand anywhere in a program, so the cookie is searched from
//! the program's end, as PyInstaller's own loader does. That loader checks next
//! to nothing: here every number is held against the bytes that are there.
//!
//! Sources of the fields: `PyInstaller/archive/{readers,writers}.py` of 6.22, and
//! what its loader does, `bootloader/src/pyi_archive.c`; docs/format.md has the
//! tables.
//!
//! Not here: what a name or a target may be, the modules inside the entry of
//! type `z`, packages from before PyInstaller 2.1, encryption (of modules only,
//! and gone since 6.0).

mod content;
mod cookie;
mod package;
mod program;
mod toc;
mod write;

#[cfg(test)]
mod tests;

pub(crate) use content::{Content, Inflater};
pub(crate) use cookie::{Found, find, is_program};
pub(crate) use package::{Item, Package, beside};
pub(crate) use program::onedir_program;
