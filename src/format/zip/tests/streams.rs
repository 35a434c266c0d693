//! Archives from a pipe.

use super::records::{CentralHeader, EndRecord, LocalHeader};
use super::*;
use crate::error::ErrorKind;

/// What a stream can hold, by each method and with each kind of header.
fn all_kinds() -> Vec<Part> {
    let text = "a line of text that repeats itself\n".repeat(9);
    let mut parts = vec![
        dir("d"),
        dir("e").with_descriptor(Width::Four),
        file("empty", b"").with_descriptor(Width::Four),
        link("d/link", "../empty"),
    ];
    for method in METHODS {
        let path = format!("d/{method:?}");
        let whole = file(&path, text.as_bytes()).by(method);
        let ends_itself = method.ends_itself(1 << 1);
        parts.push(whole.clone());
        for width in [Width::Four, Width::Eight] {
            let mut part = whole.clone().with_descriptor(width);
            part.member
                .path
                .extend_from_slice(format!("{width:?}").as_bytes());
            if ends_itself {
                parts.push(part);
            }
        }
    }
    parts
}

fn refused(bytes: &[u8], kind: ErrorKind, said: &str) {
    let refusal = unpack_stream(bytes).expect_err(said);
    assert_eq!(refusal.kind(), kind, "{refusal}");
    assert!(refusal.to_string().contains(said), "{refusal}: {said}");
}

#[test]
fn a_pipe_gives_what_the_file_gives() {
    let parts = all_kinds();
    let bytes = archive(&parts);
    let (members, directory) = unpack_stream(&bytes[..]).unwrap();
    let read = unpack(&bytes).unwrap();
    assert_eq!(read.len(), parts.len());
    for ((part, (_, content)), entry) in parts.iter().zip(&members).zip(directory.entries()) {
        assert_eq!(*content, part.content);
        assert_eq!(entry.member.path, part.member.path);
        assert_eq!(directory.at_offset(entry.header_offset), Some(entry));
    }
    assert!(directory.at_offset(1).is_none());
}

#[test]
fn one_byte_at_a_time_between_interruptions() {
    let bytes = archive(&all_kinds());
    let (whole, _) = unpack_stream(&bytes[..]).unwrap();
    let trickle = Trickle {
        bytes: &bytes,
        interrupts: false,
    };
    assert_eq!(unpack_stream(trickle).unwrap().0, whole);
}

#[test]
fn content_that_nobody_asks_for_is_still_checked() {
    let mut bytes = archive(&all_kinds());
    StreamReader::new(&bytes[..]).finish().unwrap();
    let at = bytes.windows(6).position(|at| at == b"repeat").unwrap();
    bytes[at] ^= 1;
    assert!(StreamReader::new(&bytes[..]).finish().is_err());
}

#[test]
fn every_cut_is_noticed() {
    let bytes = archive(&[
        dir("d"),
        file("d/f", b"content")
            .by(Method::Deflate)
            .with_descriptor(Width::Four),
        link("l", "d/f"),
    ]);
    for len in 0..bytes.len() {
        assert!(unpack_stream(&bytes[..len]).is_err(), "{len}");
        assert!(unpack(&bytes[..len]).is_err(), "{len}");
    }
}

#[test]
fn every_flipped_bit_is_refused_or_reads_as_the_file_does() {
    let bytes = archive(&[
        dir("d"),
        file("d/f", b"content")
            .by(Method::Deflate)
            .with_descriptor(Width::Four),
        link("l", "d/f"),
    ]);
    for at in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[at / 8] ^= 1 << (at % 8);
        let Ok((members, directory)) = unpack_stream(&bytes[..]) else {
            continue;
        };
        let read = unpack(&bytes).unwrap();
        let contents = members.into_iter().map(|member| member.1);
        for ((content, entry), (mut member, other)) in contents.zip(directory.entries()).zip(read) {
            assert_eq!(content, other);
            member.target.clear();
            assert_eq!(entry.member, member);
        }
    }
}

#[test]
fn what_a_pipe_cannot_tell_is_refused() {
    let stored = file("aa", b"content").with_descriptor(Width::Four);
    refused(&archive(&[stored]), ErrorKind::Unsupported, "in a pipe");
    let bytes = archive(&[file("aa", b"content")]);
    let prefixed = [b"#!/bin/sh\n", &bytes[..]].concat();
    refused(&prefixed, ErrorKind::UnknownFormat, "no zip file begins");
    refused(
        &[&bytes[..], b"x"].concat(),
        ErrorKind::Malformed,
        "behind the end",
    );
    refused(b"", ErrorKind::UnknownFormat, "no zip file begins");
    refused(b"PK\x07\x08", ErrorKind::UnknownFormat, "several disks");
}

#[test]
fn the_directory_has_to_say_what_was_seen() {
    let bytes = archive(&[
        file("aa", b"first")
            .by(Method::Deflate)
            .with_descriptor(Width::Four),
        file("bb", b"other"),
    ]);
    let central = find(&bytes, CentralHeader::SIGNATURE, 0);
    let end = find(&bytes, EndRecord::SIGNATURE, 0);
    let local = find(&bytes, LocalHeader::SIGNATURE, 1);
    let cases: &[(usize, &[u8], &str)] = &[
        (central + 9, &[8], "encoding of the name"),
        (central + 10, &[12], "compression method"),
        (central + 16, &[0], "its content and the directory"),
        (central + 20, &[9], "its content and the directory"),
        (central + 24, &[9], "its content and the directory"),
        (central + 46, b"b", "name"),
        (central + 42, &[1], "before the first"),
        (end + 8, &[1, 0, 1, 0], "another number of members"),
        (end + 16, &[0], "where the end record says"),
        (local + 18, &[4], "shorter than"),
        (local - 12, &[0], "descriptor and its content"),
    ];
    for (at, value, said) in cases {
        let mut bytes = bytes.clone();
        bytes[*at..*at + value.len()].copy_from_slice(value);
        refused(&bytes, ErrorKind::Malformed, said);
    }
    // A member that the directory leaves out, and one that it makes up.
    let second = find(&bytes, CentralHeader::SIGNATURE, 1);
    let mut fewer = bytes.clone();
    fewer.drain(central..second);
    refused(&fewer, ErrorKind::Malformed, "fewer members");
    let mut more = bytes.clone();
    more.splice(second..second, bytes[central..second].iter().copied());
    refused(&more, ErrorKind::Malformed, "more members");
}
