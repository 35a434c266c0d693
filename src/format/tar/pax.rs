//! What PAX records say of a member, and of all members.
//!
//! Keys are those of POSIX.1-2017, `pax`, "pax Extended Header Keyword
//! Precedence"; `GNU.sparse.*` of GNU tar's manual, "Storing Sparse Files";
//! `SCHILY.xattr.*` of star(5); `LIBARCHIVE.xattr.*` of libarchive's tar(5).
//! The last of equal keys in one header wins; other keys are ignored.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::entry::Carried;
use crate::error::Refusal;
use crate::sys::Timestamp;
use crate::text::escape_bytes;

use super::record::{self, Record};
use super::sparse::SparseRecords;

/// libarchive leaves the padding out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// What a PAX header says of the member that follows.
#[derive(Debug, Default)]
pub(super) struct Overrides {
    pub path: Option<Vec<u8>>,
    pub target: Option<Vec<u8>>,
    pub size: Option<u64>,
    pub common: Common,
    /// By name; libarchive writes each attribute in both spellings.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    pub sparse: SparseRecords,
}

/// What a PAX header may also say of all members that follow.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Common {
    pub modified: Option<Timestamp>,
    pub uid: Option<u64>,
    pub gid: Option<u64>,
}

impl Overrides {
    /// Reads the records of one member, and of its attributes those that are `carried`.
    pub(super) fn parse(mut bytes: &[u8], carried: Carried) -> Result<Self, Refusal> {
        let mut overrides = Self::default();
        while !bytes.is_empty() {
            let Record { key, value, rest } = record::split(bytes)?;
            overrides.set(key, value)?;
            bytes = rest;
        }
        overrides.xattrs.retain(|name, _| carried.has(name));
        Ok(overrides)
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match key {
            b"path" => self.path = Some(name(key, value)?),
            b"linkpath" => self.target = Some(name(key, value)?),
            b"size" => self.size = Some(decimal(key, value)?),
            b"hdrcharset" => check_charset(value)?,
            b"SCHILY.realsize" | b"SUN.holesdata" => {
                return Err(Refusal::malformed(format!(
                    "the PAX record `{}` is of a way to store sparse files that isn't known",
                    escape_bytes(key)
                )));
            }
            _ => {
                if let Some(part) = key.strip_prefix(b"GNU.sparse.") {
                    self.sparse.set(part, key, value)?;
                } else if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                    self.xattrs.insert(schily_name(name), value.to_vec());
                } else if let Some(name) = key.strip_prefix(b"LIBARCHIVE.xattr.") {
                    let value = BASE64.decode(value).map_err(|_| bad(key, "isn't base64"))?;
                    self.xattrs.insert(url_decoded(name), value);
                } else {
                    self.common.set(key, value)?;
                }
            }
        }
        Ok(())
    }
}

impl Common {
    /// Whether nothing was said of all members.
    pub(super) fn is_empty(&self) -> bool {
        let Self { modified, uid, gid } = self;
        modified.is_none() && uid.is_none() && gid.is_none()
    }

    /// Takes over the records of a global header.
    pub(super) fn read_global(&mut self, mut bytes: &[u8]) -> Result<(), Refusal> {
        while !bytes.is_empty() {
            let Record { key, value, rest } = record::split(bytes)?;
            match key {
                b"path" | b"linkpath" | b"size" | b"SCHILY.realsize" | b"SUN.holesdata" => {
                    return Err(bad(key, "can't hold for all members"));
                }
                b"hdrcharset" => check_charset(value)?,
                _ if key.starts_with(b"GNU.sparse.") => {
                    return Err(bad(key, "can't hold for all members"));
                }
                _ => self.set(key, value)?,
            }
            bytes = rest;
        }
        Ok(())
    }

    fn set(&mut self, key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match key {
            b"mtime" => {
                let time = timestamp(value).ok_or_else(|| bad(key, "is no time"))?;
                self.modified = Some(time);
            }
            b"uid" => self.uid = Some(decimal(key, value)?),
            b"gid" => self.gid = Some(decimal(key, value)?),
            _ => {}
        }
        Ok(())
    }
}

pub(super) fn bad(key: &[u8], what: &str) -> Refusal {
    Refusal::malformed(format!("the PAX record `{}` {what}", escape_bytes(key)))
}

/// A path; empty ones are refused as some readers take them for "as in the
/// header", and those with a NUL as some readers end them there.
pub(super) fn name(key: &[u8], value: &[u8]) -> Result<Vec<u8>, Refusal> {
    if value.is_empty() {
        return Err(bad(key, "is empty"));
    }
    if value.contains(&0) {
        return Err(bad(key, "has a NUL in it"));
    }
    Ok(value.to_vec())
}

/// Names are bytes here, whatever they are called; only charsets that would
/// have to be converted are refused.
fn check_charset(value: &[u8]) -> Result<(), Refusal> {
    match value {
        b"BINARY" | b"ISO-IR 10646 2000 UTF-8" => Ok(()),
        _ => Err(bad(b"hdrcharset", "names a charset that isn't known")),
    }
}

/// A number of decimal digits up to 2⁶³-1.
pub(super) fn decimal(key: &[u8], value: &[u8]) -> Result<u64, Refusal> {
    digits(value).ok_or_else(|| bad(key, "is no number, or too large"))
}

/// [`decimal`] without a name for what is read.
pub(super) fn digits(value: &[u8]) -> Option<u64> {
    if value.is_empty() || !value.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: i64 = str::from_utf8(value).ok()?.parse().ok()?;
    u64::try_from(number).ok()
}

/// Seconds since 1970 with a sign and a fraction, rounded down to nanoseconds.
fn timestamp(value: &[u8]) -> Option<Timestamp> {
    let (is_negative, value) = match value.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, value),
    };
    let mut parts = value.splitn(2, |&byte| byte == b'.');
    let secs = i64::try_from(digits(parts.next()?)?).ok()?;
    let fraction = parts.next().unwrap_or(b"");
    if !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let places = fraction.iter().chain(std::iter::repeat(&b'0')).take(9);
    let nanos = places.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0'));
    if !is_negative {
        return Some(Timestamp { secs, nanos });
    }
    let has_more = fraction.iter().skip(9).any(|&digit| digit != b'0');
    let below = nanos + u32::from(has_more);
    Some(match below {
        0 => Timestamp {
            secs: -secs,
            nanos: 0,
        },
        _ => Timestamp {
            secs: -secs - 1,
            nanos: 1_000_000_000 - below,
        },
    })
}

/// GNU tar writes `=` and `%` in an attribute's name as `%3D` and `%25`, as a
/// key ends at its first `=`.
fn schily_name(name: &[u8]) -> Vec<u8> {
    decoded(name, |escape| match escape {
        b"3D" => Some(b'='),
        b"25" => Some(b'%'),
        _ => None,
    })
}

fn url_decoded(name: &[u8]) -> Vec<u8> {
    decoded(name, |escape| {
        let is_hex = escape.iter().all(u8::is_ascii_hexdigit);
        let digits = str::from_utf8(escape).ok().filter(|_| is_hex)?;
        u8::from_str_radix(digits, 16).ok()
    })
}

/// Replaces `%` and two bytes by what `byte` makes of the two; what it makes
/// nothing of stays.
fn decoded(name: &[u8], byte: impl Fn(&[u8]) -> Option<u8>) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, tail)) = rest.split_first() {
        let escape = tail.get(..2).filter(|_| first == b'%').and_then(&byte);
        decoded.push(escape.unwrap_or(first));
        rest = if escape.is_some() { &tail[2..] } else { tail };
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(records: &[(&str, &[u8])]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (key, value) in records {
            record::append(key.as_bytes(), value, &mut bytes);
        }
        bytes
    }

    #[test]
    fn times_have_signs_and_fractions() {
        let cases: &[(&str, Option<(i64, u32)>)] = &[
            ("0", Some((0, 0))),
            ("12.5", Some((12, 500_000_000))),
            ("12.", Some((12, 0))),
            ("1.0000000019", Some((1, 1))),
            ("-1", Some((-1, 0))),
            ("-0.5", Some((-1, 500_000_000))),
            ("-1.25", Some((-2, 750_000_000))),
            ("-1.0000000001", Some((-2, 999_999_999))),
            ("9223372036854775807", Some((i64::MAX, 0))),
            ("9223372036854775808", None),
            ("", None),
            ("-", None),
            (".5", None),
            ("+1", None),
            ("1e3", None),
            ("1.5.5", None),
            ("--1", None),
        ];
        for (text, wanted) in cases {
            let got = timestamp(text.as_bytes()).map(|time| (time.secs, time.nanos));
            assert_eq!(got, *wanted, "{text}");
        }
    }

    #[test]
    fn the_last_of_equal_keys_wins() {
        let bytes = records(&[
            ("path", b"a"),
            ("size", b"1"),
            ("path", b"b"),
            ("size", b"2"),
        ]);
        let overrides = Overrides::parse(&bytes, Carried::Users).unwrap();
        assert_eq!(overrides.path.as_deref(), Some(&b"b"[..]));
        assert_eq!(overrides.size, Some(2));
    }

    #[test]
    fn records_that_readers_take_in_two_ways_are_refused() {
        let cases: &[(&str, &[u8], &str)] = &[
            ("path", b"a\0b", "has a NUL in it"),
            ("linkpath", b"a\0b", "has a NUL in it"),
            ("path", b"", "is empty"),
            ("size", b"-1", "is no number, or too large"),
            ("size", b"", "is no number, or too large"),
            ("size", b"9223372036854775808", "is no number, or too large"),
            ("uid", b"root", "is no number, or too large"),
            ("gid", b"0x1", "is no number, or too large"),
            ("mtime", b"today", "is no time"),
            (
                "hdrcharset",
                b"ISO-8859-1",
                "names a charset that isn't known",
            ),
            ("LIBARCHIVE.xattr.user.a", b"!", "isn't base64"),
        ];
        for (key, value, wanted) in cases {
            let error = Overrides::parse(&records(&[(key, value)]), Carried::Users).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("the PAX record `{key}` {wanted}")
            );
        }
        for key in ["SCHILY.realsize", "SUN.holesdata"] {
            Overrides::parse(&records(&[(key, b"1")]), Carried::Users).unwrap_err();
        }
    }

    #[test]
    fn a_global_header_says_nothing_of_names_and_sizes() {
        for key in [
            "path",
            "linkpath",
            "size",
            "GNU.sparse.map",
            "SUN.holesdata",
        ] {
            let error = Common::default().read_global(&records(&[(key, b"1")]));
            let wanted = format!("the PAX record `{key}` can't hold for all members");
            assert_eq!(error.unwrap_err().to_string(), wanted);
        }
        let mut common = Common::default();
        let bytes = records(&[("comment", b"x"), ("mtime", b"3"), ("uid", b"4")]);
        common.read_global(&bytes).unwrap();
        common.read_global(&records(&[("gid", b"5")])).unwrap();
        assert_eq!((common.uid, common.gid), (Some(4), Some(5)));
        assert_eq!(common.modified.unwrap().secs, 3);
    }

    #[test]
    fn user_attributes_are_kept_in_both_spellings() {
        let bytes = records(&[
            ("SCHILY.xattr.user.a", b"1\0\n"),
            ("SCHILY.xattr.security.selinux", b"x"),
            ("SCHILY.xattr.user.", b"x"),
            ("LIBARCHIVE.xattr.user.b%20%3d", b"Mg"),
            ("LIBARCHIVE.xattr.user.a", b"MQAK"),
            ("SCHILY.xattr.user.%3D%25%20", b"="),
        ]);
        let overrides = Overrides::parse(&bytes, Carried::Users).unwrap();
        let wanted: &[(&[u8], &[u8])] = &[
            (b"user.=%%20", b"="),
            (b"user.a", b"1\0\n"),
            (b"user.b =", b"2"),
        ];
        let got: Vec<_> = overrides
            .xattrs
            .iter()
            .map(|(n, v)| (&n[..], &v[..]))
            .collect();
        assert_eq!(got, wanted);
    }

    #[test]
    fn attributes_of_macos_are_taken_when_asked() {
        let bytes = records(&[
            ("SCHILY.xattr.com.apple.FinderInfo", b"x"),
            ("LIBARCHIVE.xattr.com.apple.quarantine", b"MQ"),
            ("SCHILY.xattr.security.selinux", b"x"),
            ("SCHILY.xattr.user.a", b"1"),
        ]);
        let names = |carried| {
            let overrides = Overrides::parse(&bytes, carried).unwrap();
            overrides.xattrs.into_keys().collect::<Vec<_>>()
        };
        assert_eq!(names(Carried::Users), [b"user.a"]);
        let all: [&[u8]; 3] = [b"com.apple.FinderInfo", b"com.apple.quarantine", b"user.a"];
        assert_eq!(names(Carried::UsersAndApple), all);
    }
}
