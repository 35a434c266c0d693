//! Names as bytes: relative paths that were checked once, and link targets as
//! they stand.
//!
//! A [`RelPath`] can be trusted to stay inside whatever it is joined to, as
//! long as no link is followed on the way. A [`LinkTarget`] promises nothing:
//! it is kept byte for byte and only [`Plan`](crate::plan::Plan) judges where
//! it leads. Nothing here touches a file system.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

use crate::json;
use crate::sys;
use crate::text::escape_bytes;

/// A relative path of one or more plain names, or the empty path of the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelPath(Box<[u8]>);

impl RelPath {
    /// Joins names that were checked, or come from a directory listing.
    pub(crate) fn from_names<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut joined = Vec::new();
        for name in names {
            if !joined.is_empty() {
                joined.push(b'/');
            }
            joined.extend_from_slice(name);
        }
        Self(joined.into_boxed_slice())
    }

    /// Returns the path's bytes, with `/` between the names.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the path in the operating system's own form.
    pub fn to_path_buf(&self) -> PathBuf {
        sys::bytes_to_path(&self.0).into_owned()
    }

    /// Whether this is the root itself.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

/// The bytes of a path as they are. What they say is not checked: this is for
/// showing paths, not for joining them.
impl From<&Path> for RelPath {
    fn from(path: &Path) -> Self {
        Self(sys::os_to_bytes(path.as_os_str()).into())
    }
}

impl fmt::Display for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return out.write_str(".");
        }
        out.write_str(&escape_bytes(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// As `path`, with `path_base64` beside it where the bytes aren't UTF-8.
impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::serialize_bytes(serializer, "path", "path_base64", &self.0)
    }
}

/// The target of a symbolic link, byte for byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkTarget(Box<[u8]>);

impl LinkTarget {
    /// Keeps `bytes` as they are.
    pub(crate) fn new(bytes: impl Into<Box<[u8]>>) -> Self {
        Self(bytes.into())
    }

    /// Returns the target's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for LinkTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&escape_bytes(&self.0))
    }
}

impl fmt::Debug for LinkTarget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "`{self}`")
    }
}

/// As `target`, with `target_base64` beside it where the bytes aren't UTF-8.
impl Serialize for LinkTarget {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        json::serialize_bytes(serializer, "target", "target_base64", &self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_joined_and_shown_escaped() {
        for (names, shown) in [
            (vec![], "."),
            (vec![&b"a"[..], b"b"], "a/b"),
            (vec![&b"caf\xe9"[..]], "caf\\xe9"),
            (vec![&b"a\nb"[..]], "a\\nb"),
        ] {
            assert_eq!(RelPath::from_names(names).to_string(), shown);
        }
    }
}
