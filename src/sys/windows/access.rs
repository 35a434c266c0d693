//! Who may change a folder: its owner and its access list, in the terms of Unix.
//!
//! The owner is a number: that of [`effective_user`](super::effective_user) for this user
//! and for those whom the system itself belongs to. Of the mode, the bits of others tell:
//! they may write, or, with the sticky bit, only add what is their own.

use std::io;
use std::sync::OnceLock;

use super::{Dir, effective_user, raw_process, reopen_for, stat_dir};
use crate::sys::Stat;

// Rights to a folder (winnt.h). Of those, the first row lets others take something away or
// put it elsewhere, the second only add something.
const FILE_DELETE_CHILD: u32 = 0x40;
const DELETE: u32 = 0x0001_0000;
const WRITE_DAC: u32 = 0x0004_0000;
const WRITE_OWNER: u32 = 0x0008_0000;
const GENERIC_ALL: u32 = 0x1000_0000;
const REPLACES: u32 = FILE_DELETE_CHILD | DELETE | WRITE_DAC | WRITE_OWNER | GENERIC_ALL;

const FILE_ADD_FILE: u32 = 0x2;
const FILE_ADD_SUBDIRECTORY: u32 = 0x4;
const FILE_WRITE_EA: u32 = 0x10;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const GENERIC_WRITE: u32 = 0x4000_0000;
const ADDS: u32 =
    FILE_ADD_FILE | FILE_ADD_SUBDIRECTORY | FILE_WRITE_EA | FILE_WRITE_ATTRIBUTES | GENERIC_WRITE;

const READ_CONTROL: u32 = 0x0002_0000;

/// Whoever is one of these can do everything anyway, or is the owner: the system, the group
/// of its administrators, its installer, and what stands for the owner.
const TRUSTED: [&[u8]; 5] = [
    &[1, 1, 0, 0, 0, 0, 0, 5, 18, 0, 0, 0],
    &[1, 2, 0, 0, 0, 0, 0, 5, 32, 0, 0, 0, 32, 2, 0, 0],
    &[
        1, 6, 0, 0, 0, 0, 0, 5, 80, 0, 0, 0, 181, 137, 251, 56, 25, 132, 194, 203, 92, 108, 35,
        109, 87, 0, 119, 110, 192, 2, 100, 135,
    ],
    &[1, 1, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0],
    &[1, 1, 0, 0, 0, 0, 0, 3, 4, 0, 0, 0],
];

/// Whether an identifier is an administrator's by its last part, in any domain: the user
/// (500), the domain's administrators (512), and the forest's (519).
fn is_administrator(sid: &[u8]) -> bool {
    const OF_A_DOMAIN: [u8; 12] = [1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0];
    sid.starts_with(&OF_A_DOMAIN) && matches!(last_part(sid), 500 | 512 | 519)
}

/// Describes an open folder, with its owner and with what others may do in it.
pub(crate) fn stat_dir_with_rights(dir: &Dir) -> io::Result<Stat> {
    static USER: OnceLock<Vec<u8>> = OnceLock::new();
    // Nobody is this user where that isn't known.
    let user = USER.get_or_init(|| raw_process::user().unwrap_or_default());
    let descriptor = raw_process::security(&reopen_for(dir, READ_CONTROL)?)?;
    let is_trusted = |sid: &[u8]| sid == user || TRUSTED.contains(&sid) || is_administrator(sid);
    let rights = rights(&descriptor, is_trusted);
    let rights = rights.ok_or_else(|| io::Error::other("its access list is broken"))?;
    Ok(Stat {
        uid: rights.owner,
        mode: 0o700 | rights.others,
        ..stat_dir(dir)?
    })
}

/// Who owns something, and what others may do.
#[derive(Debug, PartialEq, Eq)]
struct Rights {
    owner: u32,
    others: u32,
}

/// Reads a self-relative security descriptor (winnt.h).
///
/// | offset | size | |
/// |---|---|---|
/// | 2 | 2 | control; bit 2: there is an access list |
/// | 4 | 4 | where the owner's identifier begins |
/// | 16 | 4 | where the access list begins; 0: everybody may do all |
///
/// The list has a head of 8 bytes, the number of entries at 4; each entry its type, its
/// flags, its length (2), the rights (4), and whom it is for. What denies is passed over: then
/// others have at most what this says.
fn rights(bytes: &[u8], is_trusted: impl Fn(&[u8]) -> bool) -> Option<Rights> {
    const ALLOWED: u8 = 0;
    /// Of any other kind that allows something, whom it is for stands elsewhere.
    const KINDS_THAT_ALLOW: [u8; 5] = [ALLOWED, 4, 5, 9, 11];
    const INHERIT_ONLY: u8 = 8;
    const STICKY: u32 = 0o1000;
    const WRITABLE: u32 = 0o022;
    let short = |at: usize| Some(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let long = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let owner = sid(bytes.get(long(4)? as usize..)?)?;
    let owner = match is_trusted(owner) {
        true => effective_user(),
        // Its last part tells users of one machine apart.
        false => last_part(owner).max(effective_user() + 1),
    };
    let list = long(16)? as usize;
    if short(2)? & 4 == 0 || list == 0 {
        return Some(Rights {
            owner,
            others: WRITABLE,
        });
    }
    let mut granted = 0;
    let mut at = list + 8;
    for _ in 0..short(list + 4)? {
        let [kind, flags] = *bytes.get(at..at + 2)?.first_chunk()?;
        let length = usize::from(short(at + 2)?);
        let counts = flags & INHERIT_ONLY == 0 && KINDS_THAT_ALLOW.contains(&kind);
        let whom = bytes.get(at + 8..at + length)?;
        if counts && !(kind == ALLOWED && is_trusted(sid(whom)?)) {
            granted |= long(at + 4)?;
        }
        at += length;
    }
    let others = match (granted & REPLACES != 0, granted & ADDS != 0) {
        (true, _) => WRITABLE,
        (false, true) => WRITABLE | STICKY,
        (false, false) => 0,
    };
    Some(Rights { owner, others })
}

/// The security identifier that `bytes` begin with: 8 bytes, of which the second counts the
/// parts of 4 bytes that follow.
fn sid(bytes: &[u8]) -> Option<&[u8]> {
    let parts = usize::from(*bytes.get(1)?);
    bytes.get(..8 + 4 * parts)
}

fn last_part(sid: &[u8]) -> u32 {
    sid.last_chunk().map_or(0, |part| u32::from_le_bytes(*part))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ME: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 5, 99, 0, 0, 0];
    const EVERYBODY: &[u8] = &[1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
    const INHERIT_ONLY: u8 = 8;

    fn descriptor(owner: &[u8], entries: &[(u8, u8, u32, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![1, 0, 4, 0x80];
        let list = 20 + owner.len() as u32;
        for offset in [20, 0, 0, list] {
            bytes.extend_from_slice(&u32::to_le_bytes(offset));
        }
        bytes.extend_from_slice(owner);
        bytes.extend_from_slice(&[2, 0, 0, 0, entries.len() as u8, 0, 0, 0]);
        for (kind, flags, rights, whom) in entries {
            bytes.extend_from_slice(&[*kind, *flags, 8 + whom.len() as u8, 0]);
            bytes.extend_from_slice(&rights.to_le_bytes());
            bytes.extend_from_slice(whom);
        }
        bytes
    }

    fn of(owner: &[u8], entries: &[(u8, u8, u32, &[u8])]) -> (u32, u32) {
        let is_trusted = |sid: &[u8]| sid == ME || TRUSTED.contains(&sid);
        let found = rights(&descriptor(owner, entries), is_trusted).unwrap();
        (found.owner, found.others)
    }

    #[test]
    fn what_is_ours_and_the_systems_is_private() {
        let full = 0x001f_01ff;
        let own = [
            (0, 0, full, ME),
            (0, 3, full, TRUSTED[0]),
            (0, 3, full, TRUSTED[1]),
            (0, 0, 0x0012_00a9, EVERYBODY),
        ];
        assert_eq!(of(ME, &own), (effective_user(), 0));
        assert_eq!(of(TRUSTED[2], &own), (effective_user(), 0));
    }

    #[test]
    fn who_may_add_may_not_replace() {
        assert_eq!(of(ME, &[(0, 0, 0x4, EVERYBODY)]).1, 0o1022);
        assert_eq!(of(ME, &[(0, 0, DELETE, EVERYBODY)]).1, 0o022);
        assert_eq!(of(ME, &[(0, INHERIT_ONLY, DELETE, EVERYBODY)]).1, 0);
        // What names its user elsewhere, and what denies.
        assert_eq!(of(ME, &[(5, 0, DELETE, ME)]).1, 0o022);
        assert_eq!(of(ME, &[(1, 0, DELETE, EVERYBODY)]).1, 0);
    }

    #[test]
    fn another_owner_and_no_list_are_told() {
        assert_eq!(of(EVERYBODY, &[]).0, effective_user() + 1);
        let mut open = descriptor(ME, &[]);
        open[16..20].fill(0);
        let found = rights(&open, |sid| sid == ME).unwrap();
        assert_eq!(found.others, 0o022);
    }

    #[test]
    fn administrators_of_a_domain_are_told_from_its_users() {
        let of_domain = |last: u32| {
            let parts = [21, 1, 2, 3, last].map(u32::to_le_bytes).concat();
            [&[1, 5, 0, 0, 0, 0, 0, 5], &parts[..]].concat()
        };
        assert!(is_administrator(&of_domain(512)));
        assert!(!is_administrator(&of_domain(513)));
        assert!(!is_administrator(&[1, 1, 0, 0, 0, 0, 0, 5, 0, 2, 0, 0]));
    }

    #[test]
    fn what_is_cut_off_is_no_descriptor() {
        let whole = descriptor(ME, &[(0, 0, DELETE, EVERYBODY)]);
        for len in 0..whole.len() {
            assert_eq!(rights(&whole[..len], |_| false), None, "{len} bytes");
        }
    }
}
