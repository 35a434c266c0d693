//! One entry of a manifest, and the line that says it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::entry::{Member, MemberKind};
use crate::error::Refusal;
use crate::json;

use super::time::{self, Precision};
use super::{hex, not_canonical, parse_hash, read_line, write_line};

/// What a line says of one entry.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    /// Path, kind, size and target; mode, time and attributes as far as they are told.
    pub member: Member,
    /// Whether mode and attributes of a file or folder are told.
    pub tells_mode: bool,
    /// How finely the time is told.
    pub precision: Precision,
    /// BLAKE3 of a file's content, holes as zeros; `None` for all else.
    pub hash: Option<[u8; 32]>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    path_base64: Option<String>,
    kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mtime: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    target_base64: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    xattrs: Vec<Xattr>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    File,
    Dir,
    Symlink,
    Hardlink,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Xattr {
    name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name_base64: Option<String>,
    value: String,
}

impl From<MemberKind> for Kind {
    fn from(kind: MemberKind) -> Self {
        match kind {
            MemberKind::Dir => Kind::Dir,
            MemberKind::File => Kind::File,
            MemberKind::Symlink => Kind::Symlink,
            MemberKind::Hardlink => Kind::Hardlink,
        }
    }
}

impl From<Kind> for MemberKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Dir => MemberKind::Dir,
            Kind::File => MemberKind::File,
            Kind::Symlink => MemberKind::Symlink,
            Kind::Hardlink => MemberKind::Hardlink,
        }
    }
}

impl Record {
    /// Writes the line into `out`, which is emptied. What the entry's kind doesn't have is
    /// left out.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let member = &self.member;
        let (path, path_base64) = text(&member.path);
        let mut line = Line {
            path,
            path_base64,
            kind: member.kind.into(),
            size: None,
            mode: None,
            mtime: None,
            target: None,
            target_base64: None,
            hash: None,
            xattrs: Vec::new(),
        };
        match member.kind {
            MemberKind::Symlink | MemberKind::Hardlink => {
                let (target, target_base64) = text(&member.target);
                (line.target, line.target_base64) = (Some(target), target_base64);
            }
            MemberKind::Dir => self.write_attributes(&mut line),
            MemberKind::File => {
                self.write_attributes(&mut line);
                line.size = Some(member.size);
                line.hash = self.hash.as_ref().map(hex);
            }
        }
        // All names of a file have one time, which stands at the first.
        if member.kind != MemberKind::Hardlink {
            let modified = member.modified;
            line.mtime = modified.map(|modified| time::format(modified, self.precision));
        }
        write_line(&line, out)
    }

    fn write_attributes(&self, line: &mut Line) {
        if self.tells_mode {
            line.mode = Some(format!("{:04o}", self.member.mode));
            line.xattrs = self.member.xattrs.iter().map(Xattr::from).collect();
        }
    }

    /// Reads the line `bytes`. `again` is for writing it again.
    pub(crate) fn read(bytes: &[u8], again: &mut Vec<u8>) -> Result<Self, Refusal> {
        let line: Line = read_line(bytes)?;
        let kind = MemberKind::from(line.kind);
        let mut member = Member::new(kind, raw(&line.path, line.path_base64.as_deref())?);
        if let Some(target) = &line.target {
            member.target = raw(target, line.target_base64.as_deref())?;
        }
        if let Some(mode) = &line.mode {
            member.mode = u32::from_str_radix(mode, 8).map_err(|_| not_canonical())?;
        }
        if member.mode > 0o7777 {
            return Err(Refusal::malformed("has a mode of more than 7777"));
        }
        let parsed = line.mtime.as_deref().map(time::parse);
        let (modified, precision) = match parsed {
            None => (None, Precision::Nanoseconds),
            Some(None) => return Err(Refusal::malformed("has a time that is none")),
            Some(Some((time, precision))) => (Some(time), precision),
        };
        member.modified = modified;
        if kind == MemberKind::File {
            let missing = || Refusal::malformed("is a file without size or hash");
            member.size = line.size.ok_or_else(missing)?;
            line.hash.as_ref().ok_or_else(missing)?;
        }
        for xattr in &line.xattrs {
            member.xattrs.push(xattr.read()?);
        }
        if !member.xattrs.is_sorted_by(|a, b| a.0 < b.0) {
            return Err(not_canonical());
        }
        let record = Self {
            member,
            tells_mode: line.mode.is_some(),
            precision,
            hash: line.hash.as_deref().map(parse_hash).transpose()?,
        };
        record.write(again)?;
        match again == bytes {
            true => Ok(record),
            false => Err(not_canonical()),
        }
    }
}

impl From<&(Vec<u8>, Vec<u8>)> for Xattr {
    fn from((name, value): &(Vec<u8>, Vec<u8>)) -> Self {
        let (name, name_base64) = text(name);
        Self {
            name,
            name_base64,
            value: STANDARD.encode(value),
        }
    }
}

impl Xattr {
    fn read(&self) -> Result<(Vec<u8>, Vec<u8>), Refusal> {
        let name = raw(&self.name, self.name_base64.as_deref())?;
        let value = STANDARD.decode(&self.value).map_err(|_| not_canonical())?;
        Ok((name, value))
    }
}

/// Bytes as text, and exact beside it where they aren't UTF-8.
fn text(bytes: &[u8]) -> (String, Option<String>) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => {
            let lossy = String::from_utf8_lossy(bytes).into_owned();
            (lossy, Some(STANDARD.encode(bytes)))
        }
    }
}

/// The bytes that [`text`] writes so.
fn raw(text: &str, base64: Option<&str>) -> Result<Vec<u8>, Refusal> {
    json::bytes(text, base64).ok_or_else(not_canonical)
}
