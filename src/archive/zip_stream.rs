//! The members of a zip that comes through a pipe, with the targets of its links.

use std::io::Read;

use crate::entry::{Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::format::zip::StreamReader;

/// Reads the members of a zip that comes through a pipe, to its end.
pub(crate) fn members(reader: impl Read) -> Result<Vec<Member>, Refusal> {
    let mut reader = StreamReader::new(reader);
    let mut small = std::collections::HashMap::new();
    let mut kept = 0;
    while let Some(entry) = reader.next_entry()? {
        // What may be a link's target is kept: the directory tells at the end.
        let mut content = Vec::new();
        let mut limited = (&mut reader).take(MAX_TARGET + 1);
        limited.read_to_end(&mut content).map_err(Refusal::io)?;
        if content.len() as u64 <= MAX_TARGET {
            kept += content.len();
            small.insert(entry.header_offset, content);
        }
        if kept > MOST_KEPT {
            let cause = "it has too many small members to list it from a pipe";
            let refusal = Refusal::new(ErrorKind::LimitExceeded, cause);
            return Err(refusal.with_hint("save it to a file first"));
        }
    }
    let directory = reader.finish()?;
    let mut members = Vec::with_capacity(directory.entries().len());
    for entry in directory.entries() {
        let mut member = entry.member.clone();
        if member.kind == MemberKind::Symlink {
            member.target = small.remove(&entry.header_offset).unwrap_or_default();
            entry.check_target(&member.target)?;
        }
        members.push(member);
    }
    Ok(members)
}

/// The longest target of a link in bytes.
const MAX_TARGET: u64 = 4095;

/// Bytes of members that may be links, until the directory tells.
const MOST_KEPT: usize = 128 << 20;
