//! Extra fields of local and central headers.
//!
//! The walk is strict: a field that ends behind the last byte is refused, and
//! so is a second field of a kind that is read here, which two readers could
//! choose between in two ways. Up to three zero bytes at the end are padding,
//! as `zipalign` writes it. Fields that aren't known are skipped.

use super::records::{IN_ZIP64, IN_ZIP64_SHORT, extra};
use super::time;
use crate::error::{ErrorKind, Refusal};
use crate::sys::Timestamp;

/// What the extra fields of one header say.
#[derive(Debug, Default)]
pub(super) struct Extras<'a> {
    /// The Zip64 field's bytes: which numbers they are, the header knows.
    zip64: Option<&'a [u8]>,
    /// The modification time by each field that has one.
    timestamp: Option<Timestamp>,
    ntfs: Option<Timestamp>,
    unix: Option<Timestamp>,
    pub(super) owner: Option<(u64, u64)>,
    pub(super) parts: Option<&'a [u8]>,
}

/// The numbers of a header that may stand in the Zip64 field instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wide {
    pub(super) uncompressed_size: u64,
    pub(super) compressed_size: u64,
    pub(super) header_offset: u64,
    pub(super) disk: u32,
}

impl<'a> Extras<'a> {
    /// Reads the extra fields `bytes` of the member `name`.
    pub(super) fn parse(mut bytes: &'a [u8], name: &[u8]) -> Result<Self, Refusal> {
        let mut extras = Self::default();
        let mut seen = Seen::default();
        while let [a, b, c, d, rest @ ..] = bytes {
            let header = u16::from_le_bytes([*a, *b]);
            let size = usize::from(u16::from_le_bytes([*c, *d]));
            let Some((field, after)) = rest.split_at_checked(size) else {
                return Err(Refusal::malformed(
                    "an extra field is longer than its header says all are",
                ));
            };
            bytes = after;
            seen.add(header)?;
            extras.take(header, field, name)?;
        }
        if bytes.iter().any(|byte| *byte != 0) {
            return Err(Refusal::malformed("bytes behind the last extra field"));
        }
        Ok(extras)
    }

    /// When the content was last modified, where a field says so. The extended
    /// timestamp has the word; of the NTFS times, it takes the fraction where
    /// they are in the same second.
    pub(super) fn modified(&self) -> Option<Timestamp> {
        match (self.timestamp, self.ntfs) {
            (Some(timestamp), Some(ntfs)) if timestamp.secs == ntfs.secs => Some(ntfs),
            (Some(timestamp), _) => Some(timestamp),
            (None, ntfs) => ntfs.or(self.unix),
        }
    }

    fn take(&mut self, header: u16, field: &'a [u8], name: &[u8]) -> Result<(), Refusal> {
        match header {
            extra::ZIP64 => self.zip64 = Some(field),
            extra::TIMESTAMP => self.timestamp = extended_timestamp(field)?,
            extra::NTFS => self.ntfs = ntfs_times(field)?,
            extra::UNIX_TIMES => self.unix = Some(unix_times(field)?),
            extra::UNICODE_PATH => unicode_path(field, name)?,
            extra::UNIX_OWNER => self.owner = unix_owner(field)?,
            extra::PARTS => self.parts = Some(field),
            extra::AES | extra::STRONG_ENCRYPTION => {
                return Err(Refusal::new(ErrorKind::Encrypted, "it is encrypted"));
            }
            _ => {}
        }
        Ok(())
    }

    /// Replaces each number of `wide` that the header says is in the Zip64
    /// field, in the field's order, 4.5.3. The field holds these and no other.
    pub(super) fn widen(&self, wide: &mut Wide) -> Result<(), Refusal> {
        let mut field = self.zip64.unwrap_or_default();
        for number in [
            &mut wide.uncompressed_size,
            &mut wide.compressed_size,
            &mut wide.header_offset,
        ] {
            // Without the field, the number means itself.
            if *number == u64::from(IN_ZIP64) && self.zip64.is_some() {
                let Some((bytes, rest)) = field.split_first_chunk() else {
                    return Err(Refusal::malformed("its Zip64 extra field is too short"));
                };
                *number = u64::from_le_bytes(*bytes);
                field = rest;
            }
        }
        if wide.disk == u32::from(IN_ZIP64_SHORT) && self.zip64.is_some() {
            let Some((bytes, rest)) = field.split_first_chunk() else {
                return Err(Refusal::malformed("its Zip64 extra field is too short"));
            };
            wide.disk = u32::from_le_bytes(*bytes);
            field = rest;
        }
        if field.is_empty() {
            Ok(())
        } else {
            Err(Refusal::malformed(
                "its Zip64 extra field holds more than the header left to it",
            ))
        }
    }
}

/// Which of the fields that are read have been there.
#[derive(Default)]
struct Seen(u8);

impl Seen {
    const READ: [u16; 7] = [
        extra::UNIX_TIMES,
        extra::ZIP64,
        extra::TIMESTAMP,
        extra::PARTS,
        extra::UNICODE_PATH,
        extra::NTFS,
        extra::UNIX_OWNER,
    ];

    fn bit(header: u16) -> u8 {
        Self::READ
            .iter()
            .position(|read| *read == header)
            .map_or(0, |at| 1 << at)
    }

    fn has(&self, header: u16) -> bool {
        self.0 & Self::bit(header) != 0
    }

    fn add(&mut self, header: u16) -> Result<(), Refusal> {
        if self.has(header) {
            return Err(Refusal::malformed(format!(
                "two extra fields of the kind {header:#06x}"
            )));
        }
        self.0 |= Self::bit(header);
        Ok(())
    }
}

/// The modification time of an extended timestamp: a byte of flags, then four
/// bytes for each time; the central header has the first alone, whatever the
/// flags say.
fn extended_timestamp(field: &[u8]) -> Result<Option<Timestamp>, Refusal> {
    let wrong = || Refusal::malformed("its extended timestamp has a wrong size");
    let (flags, times) = field.split_first().ok_or_else(wrong)?;
    if times.len() % 4 != 0 || times.len() > 12 {
        return Err(wrong());
    }
    if flags & 1 == 0 {
        return Ok(None);
    }
    let secs = times.first_chunk().ok_or_else(wrong)?;
    Ok(Some(Timestamp {
        secs: i64::from(i32::from_le_bytes(*secs)),
        nanos: 0,
    }))
}

/// The modification time of Unix times: access and modification, and in local
/// headers user and group.
fn unix_times(field: &[u8]) -> Result<Timestamp, Refusal> {
    match field {
        [_, _, _, _, a, b, c, d] | [_, _, _, _, a, b, c, d, _, _, _, _] => Ok(Timestamp {
            secs: i64::from(i32::from_le_bytes([*a, *b, *c, *d])),
            nanos: 0,
        }),
        _ => Err(Refusal::malformed("its Unix times have a wrong size")),
    }
}

/// The modification time of an NTFS field: four reserved bytes, then
/// attributes, of which tag 1 has three times.
fn ntfs_times(field: &[u8]) -> Result<Option<Timestamp>, Refusal> {
    let wrong = || Refusal::malformed("its NTFS times have a wrong size");
    let mut rest = field.get(4..).ok_or_else(wrong)?;
    while let [a, b, c, d, after @ ..] = rest {
        let tag = u16::from_le_bytes([*a, *b]);
        let size = usize::from(u16::from_le_bytes([*c, *d]));
        let (value, next) = after.split_at_checked(size).ok_or_else(wrong)?;
        if tag == 1 {
            let ticks = value.first_chunk().ok_or_else(wrong)?;
            // Zero says that the time isn't known.
            let ticks = u64::from_le_bytes(*ticks);
            return Ok((ticks != 0).then(|| time::from_ntfs(ticks)));
        }
        rest = next;
    }
    Ok(None)
}

/// Refuses a second name that isn't the first: a reader takes either.
fn unicode_path(field: &[u8], name: &[u8]) -> Result<(), Refusal> {
    // Version 1, the CRC of the name that it replaces, the name.
    match field.get(5..) {
        Some(second) if second == name => Ok(()),
        Some(_) => Err(Refusal::malformed(
            "its Unicode path field has another name than its header",
        )),
        None => Err(Refusal::malformed("its Unicode path field is too short")),
    }
}

/// User and group: version 1, then size and number of each.
fn unix_owner(field: &[u8]) -> Result<Option<(u64, u64)>, Refusal> {
    let wrong = || Refusal::malformed("its owner field has a wrong size");
    let (&version, rest) = field.split_first().ok_or_else(wrong)?;
    if version != 1 {
        return Ok(None);
    }
    let (uid, rest) = sized_number(rest).ok_or_else(wrong)?;
    let (gid, rest) = sized_number(rest).ok_or_else(wrong)?;
    if rest.is_empty() {
        Ok(Some((uid, gid)))
    } else {
        Err(wrong())
    }
}

fn sized_number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (&size, rest) = bytes.split_first()?;
    let (number, rest) = rest.split_at_checked(usize::from(size))?;
    let mut wide = [0; 8];
    wide.get_mut(..number.len())?.copy_from_slice(number);
    Some((u64::from_le_bytes(wide), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(header: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = header.to_le_bytes().to_vec();
        bytes.extend_from_slice(&(value.len() as u16).to_le_bytes());
        bytes.extend_from_slice(value);
        bytes
    }

    fn wide(uncompressed_size: u64, compressed_size: u64) -> Wide {
        Wide {
            uncompressed_size,
            compressed_size,
            header_offset: 7,
            disk: 0,
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused() {
        let timestamp = field(extra::TIMESTAMP, &[1, 0, 0, 0, 0]);
        let cases: &[(&str, Vec<u8>)] = &[
            ("longer", vec![9, 9, 1, 0]),
            ("behind the last", vec![9, 9, 0, 0, b' ']),
            ("two extra fields", [timestamp.clone(), timestamp].concat()),
            ("wrong size", field(extra::TIMESTAMP, &[1])),
            ("wrong size", field(extra::TIMESTAMP, &[])),
            ("wrong size", field(extra::NTFS, &[0; 3])),
            ("wrong size", field(extra::UNIX_TIMES, &[0; 9])),
            ("wrong size", field(extra::UNIX_OWNER, &[1, 4, 0, 0])),
            ("another name", field(extra::UNICODE_PATH, b"\x01----other")),
            ("too short", field(extra::UNICODE_PATH, b"\x01---")),
            ("encrypted", field(extra::AES, &[])),
            ("encrypted", field(extra::STRONG_ENCRYPTION, &[])),
        ];
        for (said, bytes) in cases {
            let refusal = Extras::parse(bytes, b"name").unwrap_err();
            assert!(refusal.to_string().contains(said), "{refusal}: {said}");
        }
    }

    #[test]
    fn what_is_harmless_passes() {
        let cases: &[Vec<u8>] = &[
            vec![],
            vec![0],
            vec![0, 0, 0],
            [field(0xcafe, b""), vec![0, 0]].concat(),
            field(extra::UNICODE_PATH, b"\x01----name"),
            field(extra::TIMESTAMP, &[2]),
        ];
        for bytes in cases {
            Extras::parse(bytes, b"name").unwrap();
        }
    }

    #[test]
    fn times_and_owners_are_read() {
        let ntfs = [&[0; 4][..], &field(1, &[0x80; 24])].concat();
        let bytes = [
            field(extra::NTFS, &ntfs),
            field(extra::TIMESTAMP, &[3, 0xff, 0xff, 0xff, 0xff]),
            field(extra::UNIX_OWNER, &[1, 2, 0xe8, 3, 4, 1, 0, 0, 0]),
        ]
        .concat();
        let extras = Extras::parse(&bytes, b"").unwrap();
        assert_eq!(extras.modified().map(|time| time.secs), Some(-1));
        assert_eq!(extras.owner, Some((1000, 1)));
        let bytes = field(extra::UNIX_TIMES, &[9, 0, 0, 0, 7, 0, 0, 0]);
        let extras = Extras::parse(&bytes, b"").unwrap();
        assert_eq!(extras.modified().map(|time| time.secs), Some(7));
    }

    #[test]
    fn ntfs_times_give_the_fraction_of_the_same_second() {
        let at = |secs, nanos| Timestamp { secs, nanos };
        for (ntfs, modified) in [
            (at(7, 900), at(7, 900)),
            (at(8, 0), at(7, 0)),
            (at(6, 999_999_900), at(7, 0)),
            (at(-4_000_000_000, 100), at(7, 0)),
        ] {
            let ticks = time::to_ntfs(ntfs).unwrap().to_le_bytes();
            let times = [&[0; 4][..], &field(1, &[ticks; 3].concat())].concat();
            let bytes = [
                field(extra::NTFS, &times),
                field(extra::TIMESTAMP, &[1, 7, 0, 0, 0]),
            ];
            let both = bytes.concat();
            let extras = Extras::parse(&both, b"").unwrap();
            assert_eq!(extras.modified(), Some(modified));
            let extras = Extras::parse(&bytes[0], b"").unwrap();
            assert_eq!(extras.modified(), Some(ntfs));
        }
    }

    #[test]
    fn zip64_holds_exactly_what_the_header_left_to_it() {
        let marker = u64::from(u32::MAX);
        let bytes = field(extra::ZIP64, &5u64.to_le_bytes());
        let extras = Extras::parse(&bytes, b"").unwrap();
        let mut numbers = wide(3, marker);
        extras.widen(&mut numbers).unwrap();
        assert_eq!(numbers, wide(3, 5));
        assert!(extras.widen(&mut wide(3, 3)).is_err());
        assert!(extras.widen(&mut wide(marker, marker)).is_err());
        let mut numbers = wide(marker, 3);
        Extras::default().widen(&mut numbers).unwrap();
        assert_eq!(numbers, wide(marker, 3));
    }
}
