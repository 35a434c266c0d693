//! Archives that no honest tool makes, header by header.

use tar::{EntryType, Header};

/// One member, whatever it says.
#[derive(Debug, Clone)]
pub(crate) struct Evil {
    pub(crate) path: &'static str,
    pub(crate) kind: EntryType,
    pub(crate) target: &'static str,
    pub(crate) content: Vec<u8>,
    pub(crate) mode: u32,
}

pub(crate) fn data(path: &'static str, content: &[u8]) -> Evil {
    Evil {
        path,
        kind: EntryType::Regular,
        target: "",
        content: content.to_vec(),
        mode: 0o644,
    }
}

pub(crate) fn special(path: &'static str, kind: EntryType, target: &'static str) -> Evil {
    Evil {
        kind,
        target,
        ..data(path, b"")
    }
}

pub(crate) fn symlink(path: &'static str, target: &'static str) -> Evil {
    special(path, EntryType::Symlink, target)
}

pub(crate) fn hardlink(path: &'static str, target: &'static str) -> Evil {
    special(path, EntryType::Link, target)
}

/// A tar of `members`, their paths and targets as they stand.
pub(crate) fn tar(members: &[Evil]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        let mut header = Header::new_ustar();
        header.set_entry_type(member.kind);
        header.set_mode(member.mode);
        header.set_size(member.content.len() as u64);
        header.set_mtime(1_000_000_000);
        header.set_uid(0);
        header.set_gid(0);
        let raw = header.as_old_mut();
        raw.name[..member.path.len()].copy_from_slice(member.path.as_bytes());
        raw.linkname[..member.target.len()].copy_from_slice(member.target.as_bytes());
        header.set_cksum();
        builder.append(&header, &*member.content).unwrap();
    }
    builder.into_inner().unwrap()
}
