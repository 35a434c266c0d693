//! One archive for each rule that it breaks.

use super::records::{CentralHeader, EndRecord, LocalHeader, extra};
use super::*;
use crate::error::ErrorKind;

const LOCAL: [u8; 4] = LocalHeader::SIGNATURE;
const CENTRAL: [u8; 4] = CentralHeader::SIGNATURE;
const END: [u8; 4] = EndRecord::SIGNATURE;

/// Overwrites `value` at `field` of the `nth` record of a signature.
fn set(bytes: &mut [u8], signature: [u8; 4], nth: usize, field: usize, value: &[u8]) {
    let at = find(bytes, signature, nth) + field;
    bytes[at..at + value.len()].copy_from_slice(value);
}

/// Two files, stored.
fn two() -> Vec<u8> {
    archive(&[file("aa", b"first"), file("bb", b"other")])
}

/// One member with these bytes as its extra fields, here and there.
fn with_extra(local: &[u8], central: &[u8]) -> Vec<u8> {
    let mut bytes = archive(&[Part {
        member: Member::new(MemberKind::File, "aa"),
        ..file("aa", b"first")
    }]);
    let at = find(&bytes, CENTRAL, 0);
    set(
        &mut bytes,
        CENTRAL,
        0,
        30,
        &(central.len() as u16).to_le_bytes(),
    );
    bytes.splice(at + 48..at + 48, central.iter().copied());
    set(
        &mut bytes,
        LOCAL,
        0,
        28,
        &(local.len() as u16).to_le_bytes(),
    );
    bytes.splice(32..32, local.iter().copied());
    let directory = (at + local.len()) as u32;
    set(&mut bytes, END, 0, 16, &directory.to_le_bytes());
    set(
        &mut bytes,
        END,
        0,
        12,
        &(48 + central.len() as u32).to_le_bytes(),
    );
    bytes
}

fn refused(bytes: &[u8], kind: ErrorKind, said: &str) {
    let refusal = unpack(bytes).expect_err(said);
    assert_eq!(refusal.kind(), kind, "{refusal}");
    assert!(refusal.to_string().contains(said), "{refusal}: {said}");
}

fn malformed(bytes: &[u8], said: &str) {
    refused(bytes, ErrorKind::Malformed, said);
}

#[test]
fn what_is_no_archive_or_cut_short() {
    refused(b"", ErrorKind::UnknownFormat, "no zip file");
    refused(
        b"no archive at all, by far",
        ErrorKind::UnknownFormat,
        "no zip file",
    );
    let bytes = two();
    for len in [40, bytes.len() - 22] {
        refused(&bytes[..len], ErrorKind::Truncated, "no end record");
    }
    refused(&bytes[..bytes.len() - 1], ErrorKind::Truncated, "cut short");
    malformed(&[&bytes[..], b"x"].concat(), "behind the end");
    malformed(&[&bytes[..], &bytes].concat(), "another archive stands");
}

#[test]
fn zeros_behind_the_end() {
    let mut comment = two();
    set(&mut comment, END, 0, 20, &[7, 0]);
    comment.extend_from_slice(b"hello\0\0");
    for bytes in [two(), comment] {
        for (zeros, is_read) in [(1, true), (64 << 10, true), ((64 << 10) + 1, false)] {
            let padded = [&bytes[..], &vec![0; zeros]].concat();
            assert_eq!(unpack_stream(&padded[..]).is_ok(), is_read, "{zeros}");
            match is_read {
                true => assert_eq!(unpack(&padded).unwrap().len(), 2, "{zeros}"),
                false => malformed(&padded, "behind the end"),
            }
            let mut other = padded;
            *other.last_mut().unwrap() = b'x';
            malformed(&other, "behind the end");
            assert!(unpack_stream(&other[..]).is_err(), "{zeros}");
        }
    }
    // Two comments, each of which ends before zeros.
    let mut twice = [&two()[..], &two()[two().len() - 22..], &[0; 9]].concat();
    set(&mut twice, END, 0, 20, &[22, 0]);
    malformed(&twice, "two end records");
    // So many zeros that no end is in sight: a download that was cut short.
    let lost = [&two()[..], &[0; 200 << 10]].concat();
    refused(&lost, ErrorKind::Truncated, "no end record");
}

#[test]
fn a_second_end_record() {
    let bytes = two();
    let end = &bytes[bytes.len() - 22..];
    // Both comments end with the file.
    let mut twice = [&bytes[..], end].concat();
    set(&mut twice, END, 0, 20, &22u16.to_le_bytes());
    malformed(&twice, "two end records");
    // A signature in the comment that is no whole record.
    let mut comment = [&bytes[..], &END, b"!"].concat();
    set(&mut comment, END, 0, 20, &5u16.to_le_bytes());
    malformed(&comment, "comment at the end");
    let mut comment = [&bytes[..], b"hello"].concat();
    set(&mut comment, END, 0, 20, &5u16.to_le_bytes());
    unpack(&comment).unwrap();
}

#[test]
fn each_field_of_the_end_record() {
    let cases: &[(usize, &[u8], ErrorKind, &str)] = &[
        (4, &[1], ErrorKind::UnknownFormat, "several disks"),
        (6, &[1], ErrorKind::UnknownFormat, "several disks"),
        (8, &[1], ErrorKind::UnknownFormat, "several disks"),
        (8, &[1, 0, 1, 0], ErrorKind::Malformed, "more members"),
        (8, &[3, 0, 3, 0], ErrorKind::Malformed, "too small"),
        (12, &[0, 0, 1], ErrorKind::Malformed, "larger than all"),
        (16, &[0, 0, 1], ErrorKind::Malformed, "doesn't end where"),
        (16, &[0], ErrorKind::Malformed, "another archive stands"),
    ];
    for (field, value, kind, said) in cases {
        let mut bytes = two();
        set(&mut bytes, END, 0, *field, value);
        refused(&bytes, *kind, said);
    }
}

#[test]
fn more_members_declared_than_there_are() {
    let mut bytes = archive(&[file(&"a".repeat(99), b"")]);
    set(&mut bytes, END, 0, 8, &[2, 0, 2, 0]);
    malformed(&bytes, "ends within");
}

#[test]
fn a_count_modulo_65536() {
    let parts: Vec<_> = (0..65_537).map(|n| dir(&n.to_string())).collect();
    let mut bytes = archive(&parts);
    unpack_directory(&bytes).unwrap();
    // Without its Zip64 records, the directory has 65,536 members too many.
    let end = bytes.len() - 98;
    bytes.drain(end..end + 76);
    let directory = find(&bytes, CENTRAL, 0) as u32;
    let size = end as u32 - directory;
    set(&mut bytes, END, 0, 8, &[1, 0, 1, 0]);
    set(&mut bytes, END, 0, 12, &size.to_le_bytes());
    malformed(&bytes, "more members");
}

fn unpack_directory(bytes: &[u8]) -> Result<Directory, Refusal> {
    Directory::read(bytes, bytes.len() as u64)
}

#[test]
fn zip64_end_records_agree_with_the_end_record() {
    let mut bytes = two();
    let end = bytes.split_off(bytes.len() - 22);
    let (at, directory) = (bytes.len() as u64, find(&bytes, CENTRAL, 0) as u64);
    let zip64 = records::End64Record {
        rest_size: 44,
        made_by: 45,
        version_needed: 45,
        disk: 0,
        directory_disk: 0,
        entries_here: 2,
        entries: 2,
        directory_size: at - directory,
        directory_offset: directory,
    };
    let locator = records::Locator {
        disk: 0,
        record_offset: at,
        disks: 1,
    };
    let build = |zip64: records::End64Record, locator: records::Locator| {
        let mut bytes = bytes.clone();
        zip64.append(&mut bytes);
        locator.append(&mut bytes);
        bytes.extend_from_slice(&end);
        bytes
    };
    unpack(&build(zip64, locator)).unwrap();
    type Break = fn(&mut records::End64Record, &mut records::Locator);
    let disks = (ErrorKind::UnknownFormat, "several disks");
    let cases: [(Break, (ErrorKind, &str)); 6] = [
        (
            |zip64, _| zip64.rest_size = 45,
            (ErrorKind::Malformed, "another size than it says"),
        ),
        (|zip64, _| zip64.entries_here = 1, disks),
        (|_, locator| locator.disks = 2, disks),
        (
            |zip64, _| (zip64.entries, zip64.entries_here) = (1, 1),
            (ErrorKind::Malformed, "record disagree"),
        ),
        (
            |zip64, _| zip64.directory_size -= 1,
            (ErrorKind::Malformed, "record disagree"),
        ),
        (
            |_, locator| locator.record_offset -= 1,
            (ErrorKind::Malformed, "where its locator says"),
        ),
    ];
    for (damage, (kind, said)) in cases {
        let (mut zip64, mut locator) = (zip64, locator);
        damage(&mut zip64, &mut locator);
        refused(&build(zip64, locator), kind, said);
    }
    let mut broken = build(zip64, locator);
    broken[at as usize] = 0;
    malformed(&broken, "before its locator");
}

#[test]
fn bytes_before_the_archive() {
    let bytes = two();
    let prefixed = [b"#!/bin/sh\n", &bytes[..]].concat();
    let directory = unpack_directory(&prefixed).unwrap();
    assert_eq!(directory.entries()[0].header_offset, 10);
    unpack(&prefixed).unwrap();
    for beginning in [
        &LOCAL,
        &CENTRAL,
        &END,
        b"PK\x06\x06",
        b"PK\x07\x08",
        b"PK00",
    ] {
        let prefixed = [beginning, &bytes[..]].concat();
        malformed(&prefixed, "another archive stands");
    }
    malformed(&[b"junk", &archive(&[])[..]].concat(), "no members");
    assert!(unpack(&archive(&[])).unwrap().is_empty());
}

/// Two files behind `prefix`, with offsets that count it.
fn counted(prefix: &[u8]) -> Vec<u8> {
    let mut bytes = [prefix, &two()[..]].concat();
    for nth in [0, 1] {
        let at = prefix.len() + find(&two(), LOCAL, nth);
        set(&mut bytes, CENTRAL, nth, 42, &(at as u32).to_le_bytes());
    }
    let at = prefix.len() + find(&two(), CENTRAL, 0);
    set(&mut bytes, END, 0, 16, &(at as u32).to_le_bytes());
    bytes
}

#[test]
fn bytes_before_the_archive_that_its_offsets_count() {
    let script = b"#!/usr/bin/env python3\n";
    for prefix in [&script[..], b"x", &[0; 70_000]] {
        let bytes = counted(prefix);
        let directory = unpack_directory(&bytes).unwrap();
        let first = &directory.entries()[0];
        assert_eq!(first.header_offset, prefix.len() as u64);
        assert_eq!(unpack(&bytes).unwrap(), unpack(&two()).unwrap());
        // A pipe can't know where the archive begins.
        assert!(unpack_stream(&bytes[..]).is_err());
    }
    let at = |offset: usize| (offset as u32).to_le_bytes();
    let (len, second) = (script.len(), find(&two(), LOCAL, 1));
    // The first member isn't where the directory says, or lies across another.
    for (nth, offset, said) in [
        (0, len - 1, "no local header"),
        (0, len + 1, "no local header"),
        (0, len + second, "overlaps"),
        (1, len, "overlaps"),
        (1, len + second + 1, "no local header"),
        (0, 0, "no local header"),
    ] {
        let mut bytes = counted(script);
        set(&mut bytes, CENTRAL, nth, 42, &at(offset));
        let refusal = unpack(&bytes).unwrap_err().to_string();
        let is_gap = refusal.contains("bytes of no member");
        assert!(
            refusal.contains(said) || is_gap,
            "{nth} {offset}: {refusal}"
        );
    }
    // Some offsets count the prefix, others don't.
    let mut mixed = counted(script);
    set(&mut mixed, END, 0, 16, &at(find(&two(), CENTRAL, 0)));
    malformed(&mixed, "before the first");
    // A member that the directory leaves out isn't a prefix.
    let mut left_out = two();
    let (first, next) = (find(&left_out, CENTRAL, 0), find(&left_out, CENTRAL, 1));
    left_out.drain(first..next);
    let size = (find(&left_out, END, 0) - first) as u32;
    set(&mut left_out, END, 0, 8, &[1, 0, 1, 0]);
    set(&mut left_out, END, 0, 12, &size.to_le_bytes());
    malformed(&left_out, "bytes of no member before the first");
    for beginning in [
        &LOCAL,
        &CENTRAL,
        &END,
        b"PK\x06\x06",
        b"PK\x07\x08",
        b"PK00",
    ] {
        let mut bytes = counted(b"#!/b");
        bytes[..4].copy_from_slice(beginning);
        let refusal = unpack(&bytes).unwrap_err();
        assert_eq!(refusal.kind(), ErrorKind::Malformed, "{refusal}");
    }
    let mut empty = [script, &archive(&[])[..]].concat();
    set(&mut empty, END, 0, 16, &at(len));
    malformed(&empty, "before the first");
}

#[test]
fn encrypted() {
    for flags in [1u16, 1 << 6, 1 << 13] {
        let mut bytes = two();
        set(&mut bytes, CENTRAL, 1, 8, &flags.to_le_bytes());
        refused(&bytes, ErrorKind::Encrypted, "member `bb`: it is encrypted");
        let mut bytes = two();
        set(&mut bytes, LOCAL, 1, 6, &flags.to_le_bytes());
        refused(&bytes, ErrorKind::Encrypted, "member `bb`: it is encrypted");
    }
    let mut bytes = two();
    set(&mut bytes, CENTRAL, 0, 10, &[99]);
    refused(&bytes, ErrorKind::Encrypted, "encrypted");
    let aes = &[0x01, 0x99, 0, 0];
    refused(&with_extra(aes, aes), ErrorKind::Encrypted, "encrypted");
}

#[test]
fn each_field_of_a_central_header() {
    let unix = |mode: u32| (mode << 16).to_le_bytes();
    let dos_folder = (0o100_644 << 16 | 0x10u32).to_le_bytes();
    let cases: &[(usize, &[u8], ErrorKind, &str)] = &[
        (0, b"PK\x05\x05", ErrorKind::Malformed, "something else"),
        (8, &[1 << 5], ErrorKind::UnknownFormat, "patch"),
        (10, &[98], ErrorKind::UnknownFormat, "method 98"),
        (20, &[6], ErrorKind::Malformed, "two different sizes"),
        (34, &[1], ErrorKind::Malformed, "another disk"),
        (38, &unix(0o010_644), ErrorKind::Unsafe, "device, FIFO"),
        (38, &unix(0o020_644), ErrorKind::Unsafe, "device, FIFO"),
        (38, &unix(0o060_644), ErrorKind::Unsafe, "device, FIFO"),
        (38, &unix(0o140_644), ErrorKind::Unsafe, "device, FIFO"),
        (38, &unix(0o150_644), ErrorKind::Malformed, "isn't known"),
        (38, &unix(0o040_755), ErrorKind::Malformed, "no slash"),
        (38, &dos_folder, ErrorKind::Malformed, "DOS attributes"),
        (42, &[0, 0, 1], ErrorKind::Malformed, "behind the start"),
        (42, &[1], ErrorKind::Malformed, "before the first"),
        (46, &[0], ErrorKind::Malformed, "name has a NUL"),
        (46, b"bb", ErrorKind::Malformed, "there twice"),
        (47, b"/", ErrorKind::Malformed, "a folder's slash"),
    ];
    for (field, value, kind, said) in cases {
        let mut bytes = two();
        set(&mut bytes, CENTRAL, 0, *field, value);
        refused(&bytes, *kind, said);
    }
}

#[test]
fn each_field_of_a_local_header() {
    let cases: &[(usize, &[u8], &str)] = &[
        (0, &[0], "no local header"),
        (6, &[8], "no data descriptor"),
        (7, &[8], "encoding of the name"),
        (8, &[8], "compression method"),
        (14, &[0], "CRC-32"),
        (18, &[4], "compressed size"),
        (22, &[4], "uncompressed size"),
        (26, &[3], "name"),
        (30, b"b", "name"),
        (28, &[0xff, 0xff], "isn't complete"),
    ];
    for (field, value, said) in cases {
        let mut bytes = two();
        set(&mut bytes, LOCAL, 0, *field, value);
        malformed(&bytes, said);
    }
}

#[test]
fn a_link_is_one_only_where_it_was_made_on_unix() {
    let bytes = archive(&[link("to", "target")]);
    for (host, kind) in [
        (3, MemberKind::Symlink),
        (19, MemberKind::Symlink),
        (0, MemberKind::File),
        (7, MemberKind::File),
        (10, MemberKind::File),
    ] {
        let mut bytes = bytes.clone();
        set(&mut bytes, CENTRAL, 0, 5, &[host]);
        assert_eq!(unpack(&bytes).unwrap()[0].0.kind, kind, "{host}");
    }
}

#[test]
fn targets() {
    let long = "x".repeat(4096);
    refused(&archive(&[link("to", &long)]), ErrorKind::Unsafe, "4095");
    malformed(&archive(&[link("to", "")]), "without a target");
    malformed(&archive(&[link("to", "a\0b")]), "target has a NUL");
    unpack(&archive(&[link("to", &long[1..])])).unwrap();
    // Refused by what is declared, before anything is decompressed.
    let bomb = link("to", &long).by(Method::Deflate);
    let bytes = archive(&[bomb]);
    let refusal = unpack_directory(&bytes).unwrap_err();
    assert_eq!(refusal.kind(), ErrorKind::Unsafe);
}

#[test]
fn folders() {
    let mut bytes = archive(&[dir("aa"), file("aa/b", b"x")]);
    let members = unpack(&bytes).unwrap();
    assert_eq!(members[0].0.path, b"aa");
    assert_eq!(members[0].0.mode, 0o755);
    set(&mut bytes, CENTRAL, 0, 16, &[1]);
    malformed(&bytes, "folder with content");
    let mut bytes = archive(&[file("a/", b"content")]);
    malformed(&bytes, "a folder's slash");
    // No type at all, as Java writes it: the slash says that it is a folder.
    set(&mut bytes, CENTRAL, 0, 38, &[0, 0, 0, 0]);
    malformed(&bytes, "folder with content");
    let mut bytes = archive(&[file("aa", b"")]);
    set(&mut bytes, CENTRAL, 0, 38, &[0x10, 0, 0, 0]);
    malformed(&bytes, "no slash");
    malformed(&archive(&[dir("")]), "name is empty");
    malformed(&archive(&[file("", b"")]), "name is empty");
    malformed(&archive(&[dir("a"), file("a", b"")]), "there twice");
}

#[test]
fn backslashes() {
    let cases: &[(u8, &str, Option<&str>)] = &[
        (3, "a\\b", Some("a\\b")),
        (0, "a\\b", Some("a/b")),
        (10, "a\\b", Some("a/b")),
        (11, "a\\b\\c", Some("a/b/c")),
        (0, "a/b\\c", None),
        (3, "a/b\\c", Some("a/b\\c")),
    ];
    for (host, name, path) in cases {
        let mut bytes = archive(&[file(name, b"x")]);
        set(&mut bytes, CENTRAL, 0, 5, &[*host]);
        match path {
            Some(path) => assert_eq!(unpack(&bytes).unwrap()[0].0.path, path.as_bytes()),
            None => malformed(&bytes, "both `/` and `\\`"),
        }
    }
}

#[test]
fn names_that_are_not_utf8_stay_as_they_are() {
    let mut bytes = archive(&[file("aa", b"x")]);
    for signature in [LOCAL, CENTRAL] {
        let name = if signature == LOCAL { 30 } else { 46 };
        set(&mut bytes, signature, 0, name, b"\xff\xfe");
    }
    assert_eq!(unpack(&bytes).unwrap()[0].0.path, b"\xff\xfe");
}

#[test]
fn extra_fields() {
    let time = [0x55, 0x54, 5, 0, 1, 9, 0, 0, 0];
    let path = |name: &[u8]| {
        let size = 5 + name.len() as u8;
        [&[0x75, 0x70, size, 0, 1, 0, 0, 0, 0], name].concat()
    };
    unpack(&with_extra(&[], &[])).unwrap();
    unpack(&with_extra(&[0, 0, 0], &[])).unwrap();
    unpack(&with_extra(&path(b"aa"), &path(b"aa"))).unwrap();
    let members = unpack(&with_extra(&[], &time)).unwrap();
    assert_eq!(members[0].0.modified.map(|time| time.secs), Some(9));
    let twice = [time, time].concat();
    malformed(&with_extra(&[], &twice), "0x5455");
    malformed(&with_extra(&twice, &[]), "0x5455");
    malformed(&with_extra(&path(b"bb"), &[]), "another name");
    malformed(&with_extra(&[], &path(b"bb")), "another name");
    malformed(&with_extra(&[], b"   "), "behind the last extra");
    malformed(&with_extra(&[9, 9, 1, 0], &[]), "longer than");
    let zip64 = [1, 0, 8, 0, 5, 0, 0, 0, 0, 0, 0, 0];
    assert_eq!(zip64[0], extra::ZIP64 as u8);
    malformed(&with_extra(&[], &zip64), "left to it");
    malformed(&with_extra(&zip64, &[]), "left to it");
}

#[test]
fn overlaps_and_gaps() {
    // The second member's header within the first one's data.
    let inner = archive(&[file("bb", b"x")]);
    let mut bytes = archive(&[file("aa", &inner), file("bb", b"x")]);
    let at = find(&bytes, LOCAL, 1) as u32;
    let nth = bytes.windows(4).filter(|at| *at == CENTRAL).count() - 1;
    set(&mut bytes, CENTRAL, nth, 42, &at.to_le_bytes());
    malformed(&bytes, "overlaps");
    // Both at one place.
    let mut bytes = two();
    set(&mut bytes, CENTRAL, 1, 42, &[0]);
    malformed(&bytes, "overlaps");
    // A byte between the members.
    let mut bytes = two();
    let at = find(&bytes, LOCAL, 1);
    bytes.insert(at, 0);
    set(&mut bytes, CENTRAL, 1, 42, &(at as u32 + 1).to_le_bytes());
    let directory = find(&bytes, CENTRAL, 0) as u32;
    set(&mut bytes, END, 0, 16, &directory.to_le_bytes());
    malformed(&bytes, "bytes of no member between");
    // And one before the directory.
    let mut bytes = two();
    bytes.insert(directory as usize - 1, 0);
    set(&mut bytes, END, 0, 16, &directory.to_le_bytes());
    malformed(&bytes, "bytes of no member between");
}

#[test]
fn descriptors() {
    for (width, size) in [(Width::Four, 16), (Width::Eight, 24)] {
        let bytes = archive(&[file("aa", b"first").with_descriptor(width)]);
        unpack(&bytes).unwrap();
        let at = find(&bytes, CENTRAL, 0);
        // Without its signature.
        let mut bare = bytes.clone();
        bare.drain(at - size..at - size + 4);
        set(&mut bare, END, 0, 16, &(at as u32 - 4).to_le_bytes());
        unpack(&bare).unwrap();
        for wrong in 1..=size {
            let mut bytes = bytes.clone();
            bytes[at - wrong] ^= 0x40;
            malformed(&bytes, "descriptor and the directory");
        }
        let mut bytes = bytes.clone();
        bytes.insert(at, 0);
        set(&mut bytes, END, 0, 16, &(at as u32 + 1).to_le_bytes());
        malformed(&bytes, "no data descriptor");
    }
}

#[test]
fn content_that_is_not_what_it_was_declared_to_be() {
    let text = "all work and no play makes a dull archive. ".repeat(40);
    for method in METHODS {
        let name = format!("{method:?}");
        let bytes = archive(&[file("aa", text.as_bytes()).by(method)]);
        assert_eq!(unpack(&bytes).unwrap()[0].1, text.as_bytes(), "{name}");
        for (field, said) in [(16, "CRC-32"), (24, "than declared")] {
            for change in [1u8, 0xff] {
                let mut bytes = bytes.clone();
                let (at, local) = (find(&bytes, CENTRAL, 0) + field, field - 2);
                let value = bytes[at].wrapping_add(change);
                bytes[at] = value;
                bytes[local] = value;
                let Err(refusal) = unpack(&bytes) else {
                    panic!("{name} {field}");
                };
                let said = match (method, field) {
                    (Method::Stored, 24) => "two different sizes",
                    _ => said,
                };
                assert!(refusal.to_string().contains(said), "{name}: {refusal}");
            }
        }
    }
}

#[test]
fn compressed_bytes_that_are_damaged_or_unused() {
    let text = "all work and no play makes a dull archive. ".repeat(40);
    for method in METHODS {
        let bytes = archive(&[file("aa", text.as_bytes()).by(method)]);
        let directory = unpack_directory(&bytes).unwrap();
        let mut entry = directory.entries()[0].clone();
        let span = directory.check_local(&bytes[..], &entry).unwrap();
        let packed = bytes[span.start as usize..span.end as usize].to_vec();
        let mut sink = Vec::new();
        for at in 0..packed.len() {
            let mut packed = packed.clone();
            packed[at] ^= 0x10;
            sink.clear();
            // No panic; and never other content for good.
            let read = decode(&entry, &packed[..])
                .and_then(|mut reader| reader.read_to_end(&mut sink).map_err(Refusal::io));
            assert!(read.is_err() || sink == text.as_bytes(), "{method:?} {at}");
        }
        let cut = &packed[..packed.len() - 1];
        let mut reader = decode(&entry, cut).unwrap();
        assert!(reader.read_to_end(&mut sink).is_err(), "{method:?}");
        let mut longer = packed.clone();
        longer.extend_from_slice(b"PK unused");
        entry.compressed_size = longer.len() as u64;
        let mut reader = decode(&entry, &longer[..]).unwrap();
        let error = reader.read_to_end(&mut sink).unwrap_err();
        let whole = decode_whole(&entry, &longer, &mut sink, &mut Inflater::new());
        for said in [error.to_string(), whole.unwrap_err().to_string()] {
            assert!(
                said.contains("unused") || method == Method::Stored && said.contains("longer"),
                "{method:?}: {said}"
            );
        }
    }
}

#[test]
fn a_declared_size_alone_allocates_nothing() {
    let mut bytes = archive(&[file("aa", b"first").by(Method::Deflate)]);
    let huge = 0xffff_fff0u32.to_le_bytes();
    set(&mut bytes, CENTRAL, 0, 24, &huge);
    set(&mut bytes, LOCAL, 0, 22, &huge);
    malformed(&bytes, "more content than its data can hold");
}
