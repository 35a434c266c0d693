//! Archives as macOS's `ditto` and Finder write them: sums in descriptors, of
//! which some lack their signature, and Unix times of the first generation.

use super::records::{CentralHeader, Descriptor, LocalHeader, extra, flag, system};
use super::*;

/// `version made by`: Unix, 2.1.
const MADE_BY: u16 = (system::UNIX as u16) << 8 | 21;
/// Access and modification time.
const TIMES: [u8; 8] = [1, 0, 0, 0, 0x01, 0xf1, 0x53, 0x65];

fn unix_times(local: bool) -> Vec<u8> {
    let owner: &[u8] = if local { &[245, 1, 20, 0] } else { &[] };
    let value = [&TIMES[..], owner].concat();
    let header = [extra::UNIX_TIMES, value.len() as u16].map(u16::to_le_bytes);
    [&header.concat()[..], &value].concat()
}

/// Writes `parts` with the signature of each descriptor, or without.
fn ditto(parts: &[Part], signature: bool) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for part in parts {
        let is_dir = part.member.kind == MemberKind::Dir;
        let name = [&part.member.path[..], if is_dir { b"/" } else { b"" }].concat();
        let packed = pack(part.method, &part.content);
        let (local, central) = (unix_times(true), unix_times(false));
        let file_type = match part.member.kind {
            MemberKind::Dir => 0o040_000,
            MemberKind::Symlink => 0o120_000,
            MemberKind::File | MemberKind::Hardlink => 0o100_000,
        };
        let header = CentralHeader {
            made_by: MADE_BY,
            version_needed: if is_dir { 10 } else { 20 },
            flags: if is_dir { 0 } else { flag::DESCRIPTOR },
            method: part.method.number(),
            crc32: crc32fast::hash(&part.content),
            compressed_size: packed.len() as u32,
            uncompressed_size: part.content.len() as u32,
            name_size: name.len() as u16,
            extra_size: central.len() as u16,
            external_attributes: (file_type | part.member.mode) << 16 | 0x4000,
            header_offset: bytes.len() as u32,
            ..CentralHeader::default()
        };
        header.append(&mut directory);
        directory.extend([&name[..], &central].concat());
        LocalHeader {
            version_needed: header.version_needed,
            flags: header.flags,
            method: header.method,
            name_size: header.name_size,
            extra_size: local.len() as u16,
            ..LocalHeader::default()
        }
        .append(&mut bytes);
        bytes.extend([&name[..], &local, &packed].concat());
        if !is_dir {
            let mut descriptor = Vec::new();
            Descriptor {
                crc32: header.crc32,
                compressed_size: header.compressed_size,
                uncompressed_size: header.uncompressed_size,
            }
            .append(&mut descriptor);
            bytes.extend_from_slice(&descriptor[if signature { 0 } else { 4 }..]);
        }
    }
    let offset = bytes.len() as u64;
    bytes.extend_from_slice(&directory);
    write::end_records(
        parts.len() as u64,
        offset,
        directory.len() as u64,
        &mut bytes,
    );
    bytes
}

fn parts() -> Vec<Part> {
    let double = [&[0, 5, 22, 7][..], &[0; 30]].concat();
    vec![
        dir("App.app"),
        file("App.app/run", &b"#!/bin/sh\n".repeat(40)).by(Method::Deflate),
        file("App.app/empty", b"").by(Method::Deflate),
        file("App.app/nothing", b""),
        link("App.app/Current", "run").by(Method::Deflate),
        dir("__MACOSX"),
        dir("__MACOSX/App.app"),
        file("__MACOSX/App.app/._run", &double).by(Method::Deflate),
        file("App.app/._run", &double).by(Method::Deflate),
    ]
}

#[test]
fn with_and_without_signatures() {
    let parts = parts();
    for signature in [true, false] {
        let bytes = ditto(&parts, signature);
        let (members, directory) = unpack_stream(&bytes[..]).unwrap();
        let read = unpack(&bytes).unwrap();
        assert_eq!(read.len(), parts.len());
        for ((part, (member, content)), (name, streamed)) in parts.iter().zip(&read).zip(&members) {
            assert_eq!(member.path, part.member.path);
            assert_eq!(member.kind, part.member.kind);
            assert_eq!(member.mode, part.member.mode);
            assert_eq!(member.modified, part.member.modified);
            assert_eq!(content, &part.content);
            assert_eq!(streamed, &part.content);
            assert!(name.starts_with(&part.member.path));
        }
        let apples = directory.entries().iter();
        let apples = apples.filter(|entry| entry.is_in_apple_folder());
        assert_eq!(apples.count(), 3);
    }
}

#[test]
fn a_descriptor_of_something_else() {
    for signature in [true, false] {
        let bytes = ditto(&parts(), signature);
        let at = find(&bytes, LocalHeader::SIGNATURE, 2);
        for back in 1..=12 {
            let mut bytes = bytes.clone();
            bytes[at - back] ^= 1;
            assert!(unpack(&bytes).is_err(), "{back}");
            assert!(unpack_stream(&bytes[..]).is_err(), "{back}");
        }
    }
}
