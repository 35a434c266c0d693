//! A member out of its header, and of the records before it.
//!
//! Records win over the header, and what readers would take in two ways is
//! refused: records of two kinds, content of members that have none, names
//! that say another type than the header does.

use crate::entry::{Carried, Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::text::escape_bytes;

use super::MAX_TARGET;
use super::header::{Header, RecordKind, Type, until_nul};
use super::pax::{Common, Overrides};
use super::sparse::{Map, SparseFile};

/// The records that wait for their member.
#[derive(Debug, Default)]
pub(super) enum Records {
    #[default]
    None,
    Pax(Box<Overrides>),
    Gnu(LongNames),
}

/// GNU's records, which hold one name each.
#[derive(Debug, Default)]
pub(super) struct LongNames {
    path: Option<Vec<u8>>,
    target: Option<Vec<u8>>,
}

impl Records {
    /// Refuses what can't stand between records and their member.
    pub(super) fn check_none_before(&self, what: &str) -> Result<(), Refusal> {
        match self {
            Records::None => Ok(()),
            Records::Pax(_) | Records::Gnu(_) => Err(Refusal::malformed(format!(
                "{what} stands between the records of a member and the member"
            ))),
        }
    }

    /// Refuses a record that can't follow those that wait.
    pub(super) fn check_may_precede(&self, kind: RecordKind) -> Result<(), Refusal> {
        let cause = match (self, kind) {
            (Records::None, _) => return Ok(()),
            (_, RecordKind::PaxGlobal) => {
                return self.check_none_before("a global PAX header");
            }
            (Records::Gnu(names), RecordKind::GnuLongName) if names.path.is_none() => return Ok(()),
            (Records::Gnu(names), RecordKind::GnuLongTarget) if names.target.is_none() => {
                return Ok(());
            }
            (Records::Gnu(_), RecordKind::GnuLongName | RecordKind::GnuLongTarget) => {
                "a member has two GNU long names"
            }
            (Records::Pax(_), RecordKind::Pax) => "a member has two PAX headers",
            (Records::Gnu(_), RecordKind::Pax)
            | (Records::Pax(_), RecordKind::GnuLongName | RecordKind::GnuLongTarget) => {
                "a member has a PAX header and a GNU long name"
            }
        };
        Err(Refusal::malformed(cause))
    }

    /// Takes over a record that [may precede](Self::check_may_precede).
    pub(super) fn take(
        &mut self,
        kind: RecordKind,
        bytes: &[u8],
        globals: &mut Common,
        carried: Carried,
    ) -> Result<(), Refusal> {
        match kind {
            RecordKind::Pax => *self = Records::Pax(Box::new(Overrides::parse(bytes, carried)?)),
            RecordKind::PaxGlobal => globals.read_global(bytes)?,
            RecordKind::GnuLongName => self.long_names().path = Some(long_name(bytes)?),
            RecordKind::GnuLongTarget => self.long_names().target = Some(long_name(bytes)?),
        }
        Ok(())
    }

    fn long_names(&mut self) -> &mut LongNames {
        if !matches!(self, Records::Gnu(_)) {
            *self = Records::Gnu(LongNames::default());
        }
        match self {
            Records::Gnu(names) => names,
            Records::None | Records::Pax(_) => unreachable!("it was made one of GNU's above"),
        }
    }

    fn into_overrides(self) -> Overrides {
        match self {
            Records::None => Overrides::default(),
            Records::Pax(overrides) => *overrides,
            Records::Gnu(names) => Overrides {
                path: names.path,
                target: names.target,
                ..Overrides::default()
            },
        }
    }
}

/// A GNU long name ends with a NUL, and nothing else follows it.
fn long_name(bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
    let name = until_nul(bytes);
    if name.is_empty() {
        return Err(Refusal::malformed("a GNU long name is empty"));
    }
    if bytes[name.len()..].iter().any(|&byte| byte != 0) {
        return Err(Refusal::malformed("a GNU long name has a NUL in it"));
    }
    Ok(name.to_vec())
}

/// A member whose map of data, if it has one, may still have to be read.
#[derive(Debug)]
pub(super) struct Begun {
    pub member: Member,
    /// Bytes that follow in the archive, without their padding.
    pub stored: u64,
}

/// How a member's content is stored.
#[derive(Debug)]
pub(super) enum Body {
    /// From its first byte to its last.
    Whole,
    /// Without holes, according to this map.
    Mapped(Map),
    /// Without holes, behind a map in text.
    TextMap,
    /// Without holes, behind a map in blocks that begins in the header.
    BlockMap,
}

/// Makes a member of a header that introduces one, and of what stood before it.
pub(super) fn begin(
    header: Header,
    records: Records,
    globals: Common,
) -> Result<(Begun, Body), Refusal> {
    let overrides = records.into_overrides();
    let sparse_name = overrides.sparse.name.clone();
    let new_path = sparse_name.or(overrides.path);
    let kind = kind(&header, new_path.as_deref())?;
    let path = path(new_path.unwrap_or(header.path), kind)?;
    let stored = stored(kind, header.size, overrides.size, &path)?;
    let target = target(kind, header.target, overrides.target, &path)?;

    let mut member = Member::new(kind, path);
    let common = overrides.common;
    member.target = target;
    member.size = stored;
    member.mode = header.mode;
    member.modified = common.modified.or(globals.modified).or(header.modified);
    member.uid = common.uid.or(globals.uid).unwrap_or(header.uid);
    member.gid = common.gid.or(globals.gid).unwrap_or(header.gid);
    member.xattrs = overrides.xattrs.into_iter().collect();

    let body = match (overrides.sparse.finish()?, header.kind, kind) {
        (None, Type::GnuSparse, _) => Body::BlockMap,
        (None, _, _) => Body::Whole,
        (Some(_), Type::GnuSparse, _) => {
            return Err(refuse(&member.path, "has sparse maps of two kinds"));
        }
        (Some(sparse), _, MemberKind::File) => match sparse {
            SparseFile::MapInData { size } => {
                member.size = size;
                Body::TextMap
            }
            SparseFile::Mapped { size, map } => {
                member.size = size;
                Body::Mapped(map)
            }
        },
        (Some(_), _, MemberKind::Dir | MemberKind::Symlink | MemberKind::Hardlink) => {
            return Err(refuse(&member.path, "has a sparse map but is no file"));
        }
    };
    Ok((Begun { member, stored }, body))
}

fn refuse(path: &[u8], what: &str) -> Refusal {
    Refusal::malformed(format!("`{}` {what}", escape_bytes(path)))
}

fn kind(header: &Header, new_path: Option<&[u8]>) -> Result<MemberKind, Refusal> {
    let kind = match header.kind {
        Type::Hardlink => MemberKind::Hardlink,
        Type::Symlink => MemberKind::Symlink,
        Type::Dir => MemberKind::Dir,
        Type::File | Type::GnuSparse => MemberKind::File,
        Type::Untyped => {
            let is_dir = header.path.ends_with(b"/");
            // Python asks the header's name, GNU tar the one that counts.
            if new_path.is_some_and(|path| path.ends_with(b"/") != is_dir) {
                return Err(refuse(
                    &header.path,
                    "is a file by one of its names, a folder by another",
                ));
            }
            match is_dir {
                true => MemberKind::Dir,
                false => MemberKind::File,
            }
        }
        Type::GnuVolume | Type::Record(_) => {
            return Err(refuse(&header.path, "is no member"));
        }
    };
    Ok(kind)
}

fn path(mut path: Vec<u8>, kind: MemberKind) -> Result<Vec<u8>, Refusal> {
    if path.is_empty() {
        return Err(Refusal::malformed("a member has no name"));
    }
    match kind {
        MemberKind::Dir => {
            while path.len() > 1 && path.ends_with(b"/") {
                path.pop();
            }
        }
        // GNU tar and libarchive make folders of such files.
        MemberKind::File | MemberKind::Symlink | MemberKind::Hardlink => {
            if path.ends_with(b"/") {
                return Err(refuse(&path, "ends with `/` but is no folder"));
            }
        }
    }
    Ok(path)
}

fn stored(
    kind: MemberKind,
    in_header: Option<u64>,
    in_record: Option<u64>,
    path: &[u8],
) -> Result<u64, Refusal> {
    match kind {
        MemberKind::File => {
            let size = in_record.or(in_header);
            size.ok_or_else(|| refuse(path, "has no size"))
        }
        // Some readers skip such content, others take it for the next header.
        MemberKind::Dir | MemberKind::Symlink | MemberKind::Hardlink => {
            let sizes = [in_header, in_record];
            match sizes.iter().flatten().all(|&size| size == 0) {
                true => Ok(0),
                false => Err(refuse(path, "has content but is no file")),
            }
        }
    }
}

fn target(
    kind: MemberKind,
    in_header: Vec<u8>,
    in_record: Option<Vec<u8>>,
    path: &[u8],
) -> Result<Vec<u8>, Refusal> {
    match kind {
        MemberKind::Symlink | MemberKind::Hardlink => {
            let target = in_record.unwrap_or(in_header);
            if target.is_empty() {
                return Err(refuse(path, "is a link without a target"));
            }
            if kind == MemberKind::Symlink && target.len() > MAX_TARGET {
                let cause = format!(
                    "the target of the link `{}` is longer than {MAX_TARGET} bytes",
                    escape_bytes(path)
                );
                return Err(Refusal::new(ErrorKind::Unsafe, cause));
            }
            Ok(target)
        }
        // What stands in the header is ignored by all; a record isn't.
        MemberKind::File | MemberKind::Dir => match in_record {
            None => Ok(Vec::new()),
            Some(_) => Err(refuse(path, "has a target but is no link")),
        },
    }
}
