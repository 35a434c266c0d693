//! The first line of a manifest.

use serde::{Deserialize, Serialize};

use crate::error::{ErrorKind, Refusal};

use super::{hex, not_canonical, parse_hash, read_line, write_line};

const FORMAT: &str = "bundlecp-manifest";
const VERSION: u64 = 1;

/// What a manifest was made of, which decides where its tree begins in a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Origin {
    Folder,
    Archive,
}

/// What the source can't tell of any entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Untold {
    pub hardlinks: bool,
    pub xattrs: bool,
}

impl Untold {
    /// The names of what isn't told, in the order of a header.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let all = [("hardlinks", self.hardlinks), ("xattrs", self.xattrs)];
        all.into_iter()
            .filter_map(|(name, is_untold)| is_untold.then_some(name))
    }
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// Lines that follow.
    pub entries: u64,
    pub tree_hash: [u8; 32],
    pub origin: Origin,
    /// The hash that names all of the archive that it was made of, if that has one.
    pub root_hash: Option<[u8; 32]>,
    pub untold: Untold,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    format: String,
    version: u64,
    entries: u64,
    tree_hash: String,
    source: Origin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    root_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    untold: Vec<String>,
}

/// What a header of any version has.
#[derive(Serialize, Deserialize)]
struct Versioned {
    version: u64,
}

impl Header {
    /// Writes the line into `out`, which is emptied.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let line = Line {
            format: FORMAT.to_owned(),
            version: VERSION,
            entries: self.entries,
            tree_hash: hex(&self.tree_hash),
            source: self.origin,
            root_hash: self.root_hash.as_ref().map(hex),
            untold: self.untold.names().map(str::to_owned).collect(),
        };
        write_line(&line, out).expect("a header is short");
    }

    /// Reads the line `bytes`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        let versioned: Versioned = read_line(bytes)?;
        if versioned.version != VERSION {
            let cause = format!(
                "has version {} of the format, and only version {VERSION} is known",
                versioned.version
            );
            let refusal = Refusal::new(ErrorKind::UnknownFormat, cause);
            return Err(refusal.with_hint("a newer bundlecp may know it"));
        }
        let line: Line = read_line(bytes)?;
        let header = Self {
            entries: line.entries,
            tree_hash: parse_hash(&line.tree_hash)?,
            origin: line.source,
            root_hash: line.root_hash.as_deref().map(parse_hash).transpose()?,
            untold: Untold {
                hardlinks: line.untold.iter().any(|name| name == "hardlinks"),
                xattrs: line.untold.iter().any(|name| name == "xattrs"),
            },
        };
        let mut again = Vec::new();
        header.write(&mut again);
        match again == bytes {
            true => Ok(header),
            false => Err(not_canonical()),
        }
    }
}
