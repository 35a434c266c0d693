//! How a self-extracting executable is started: the section `LNCH`
//! (docs/format.md, Launch).

use super::layout::{LAUNCH, Row, Section, section_hash};
use crate::error::{ErrorKind, Refusal};

/// Bytes in front of the paths.
const FRONT: usize = 8;
/// The most bytes that a path has.
const LONGEST: usize = 4095;
/// The most bytes that the payload has.
pub(super) const MOST: u64 = (FRONT + 2 * LONGEST) as u64;

const VERSION: u16 = 1;
const EPHEMERAL: u16 = 1;
const NO_SHARING: u16 = 2;
const OWN_NAME: u16 = 4;

/// What is started, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Launch {
    /// The program's path, as a member's.
    pub entry: Vec<u8>,
    /// The path of a folder with libraries, as a member's.
    pub library_path: Option<Vec<u8>>,
    /// The files are removed when the program ends.
    pub is_ephemeral: bool,
    /// Files may be those of another version in the cache.
    pub may_share: bool,
    /// The program is called by its own path, not as the executable was.
    pub has_own_name: bool,
}

impl Launch {
    /// Appends the section to `out`; returns its row.
    pub(crate) fn append(&self, out: &mut Vec<u8>) -> Result<Row, Refusal> {
        let payload = self.to_bytes()?;
        let section = Section::optional(LAUNCH, payload.len() as u64);
        out.extend_from_slice(&section.to_bytes());
        out.extend_from_slice(&payload);
        let hash = section_hash(section, &payload);
        Ok(Row { section, hash })
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Refusal> {
        let library = self.library_path.as_deref().unwrap_or_default();
        let mut flags = 0;
        if self.is_ephemeral {
            flags |= EPHEMERAL;
        }
        if !self.may_share {
            flags |= NO_SHARING;
        }
        if self.has_own_name {
            flags |= OWN_NAME;
        }
        let mut bytes = Vec::with_capacity(FRONT + self.entry.len() + library.len());
        for number in [VERSION, flags, length_of(&self.entry)?, length_of(library)?] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&self.entry);
        bytes.extend_from_slice(library);
        Ok(bytes)
    }

    /// Decodes the payload of a section, which has one form only.
    pub(super) fn from_bytes(bytes: &[u8]) -> Result<Self, Refusal> {
        let wrong = |cause: &str| Refusal::malformed(format!("how it is started: {cause}"));
        let Some((front, paths)) = bytes.split_first_chunk::<FRONT>() else {
            return Err(wrong("it is shorter than its own head"));
        };
        let number = |at: usize| u16::from_le_bytes([front[at], front[at + 1]]);
        if number(0) != VERSION {
            let cause = format!("how it is started: version {} is not known", number(0));
            return Err(Refusal::new(ErrorKind::Unsupported, cause));
        }
        let flags = number(2);
        if flags & !(EPHEMERAL | NO_SHARING | OWN_NAME) != 0 {
            return Err(wrong("reserved flags are set"));
        }
        let (entry, library) = (usize::from(number(4)), usize::from(number(6)));
        let lengths_fit = entry + library == paths.len() && entry.max(library) <= LONGEST;
        if entry == 0 || !lengths_fit {
            return Err(wrong("its paths have other lengths than it says"));
        }
        let (entry, library) = paths.split_at(entry);
        if !is_plain(entry) || !(library.is_empty() || is_plain(library)) {
            return Err(wrong("its paths lead out of it"));
        }
        Ok(Self {
            entry: entry.to_vec(),
            library_path: (!library.is_empty()).then(|| library.to_vec()),
            is_ephemeral: flags & EPHEMERAL != 0,
            may_share: flags & NO_SHARING == 0,
            has_own_name: flags & OWN_NAME != 0,
        })
    }
}

fn length_of(path: &[u8]) -> Result<u16, Refusal> {
    match path.len() {
        length @ 0..=LONGEST => Ok(length as u16),
        _ => Err(Refusal::new(
            ErrorKind::Usage,
            "the path of what is started has more than 4,095 bytes",
        )),
    }
}

/// Whether a path consists of plain names: it is joined to a folder.
fn is_plain(path: &[u8]) -> bool {
    let mut names = path.split(|byte| *byte == b'/');
    names.all(|name| !matches!(name, b"" | b"." | b"..") && !name.contains(&0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::bcp::layout::SECTION;

    fn sample() -> Launch {
        Launch {
            entry: b"app/bin/app".to_vec(),
            library_path: Some(b"app/lib".to_vec()),
            is_ephemeral: true,
            may_share: false,
            has_own_name: true,
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let mut out = Vec::new();
        let launch = sample();
        launch.append(&mut out).unwrap();
        assert_eq!(out.len(), SECTION + FRONT + 18);
        assert_eq!(Launch::from_bytes(&out[SECTION..]).unwrap(), launch);
    }

    #[test]
    fn every_other_form_is_refused() {
        let good = sample().to_bytes().unwrap();
        for length in 0..good.len() {
            assert!(Launch::from_bytes(&good[..length]).is_err(), "{length}");
        }
        for (what, at, value) in [
            ("a version", 0, 2),
            ("a reserved flag", 2, 15),
            ("no entry", 4, 0),
            ("a longer entry", 4, 255),
            ("a shorter library path", 6, 1),
        ] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert!(Launch::from_bytes(&bytes).is_err(), "{what}");
        }
        for path in ["/app", "app/../x", "app//x", "./app", "app/", "a\0b"] {
            let launch = Launch {
                entry: path.into(),
                ..sample()
            };
            let bytes = launch.to_bytes().unwrap();
            assert!(Launch::from_bytes(&bytes).is_err(), "{path:?}");
        }
    }
}
