//! Archives are made by `write`, then broken byte by byte.

mod ditto;
mod peers;
mod streams;
mod strict;

use std::io::{self, Read, Write};

use super::*;
use crate::entry::{Member, MemberKind};
use crate::error::Refusal;
use crate::format::ReadAt;
use crate::sys::Timestamp;

/// A member and its content: a link's is its target.
#[derive(Debug, Clone)]
struct Part {
    member: Member,
    content: Vec<u8>,
    method: Method,
    sizes: SizesIn,
}

fn part(kind: MemberKind, path: &str, content: &[u8]) -> Part {
    let mut member = Member::new(kind, path);
    if kind == MemberKind::File {
        member.size = content.len() as u64;
    }
    member.modified = Some(Timestamp {
        secs: 1_700_000_001,
        nanos: 0,
    });
    Part {
        member,
        content: content.to_vec(),
        method: Method::Stored,
        sizes: SizesIn::Header,
    }
}

fn file(path: &str, content: &[u8]) -> Part {
    part(MemberKind::File, path, content)
}

fn dir(path: &str) -> Part {
    part(MemberKind::Dir, path, b"")
}

fn link(path: &str, target: &str) -> Part {
    part(MemberKind::Symlink, path, target.as_bytes())
}

impl Part {
    fn by(mut self, method: Method) -> Self {
        self.method = method;
        self
    }

    fn with_descriptor(mut self, width: Width) -> Self {
        self.sizes = SizesIn::Descriptor(width);
        self
    }
}

/// Every method; a Deflate stream of stored blocks is one of Deflate64 too.
const METHODS: [Method; 7] = [
    Method::Stored,
    Method::Deflate,
    Method::Deflate64,
    Method::Bzip2,
    Method::Lzma,
    Method::Zstd,
    Method::Xz,
];

fn pack(method: Method, content: &[u8]) -> Vec<u8> {
    let deflate = |level| {
        let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), level);
        packer.write_all(content).unwrap();
        packer.finish().unwrap()
    };
    match method {
        Method::Stored => content.to_vec(),
        Method::Deflate => deflate(flate2::Compression::new(6)),
        Method::Deflate64 => deflate(flate2::Compression::none()),
        Method::Bzip2 => {
            let mut packer = bzip2::write::BzEncoder::new(Vec::new(), Default::default());
            packer.write_all(content).unwrap();
            packer.finish().unwrap()
        }
        Method::Lzma => {
            let options = liblzma::stream::LzmaOptions::new_preset(1).unwrap();
            let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
            let mut packer = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
            packer.write_all(content).unwrap();
            let bytes = packer.finish().unwrap();
            [&[5, 4, 5, 0], &bytes[..5], &bytes[13..]].concat()
        }
        Method::Zstd => zstd::encode_all(content, 1).unwrap(),
        Method::Xz => {
            let mut packer = liblzma::write::XzEncoder::new(Vec::new(), 1);
            packer.write_all(content).unwrap();
            packer.finish().unwrap()
        }
    }
}

/// Writes `parts` one after the other, then the directory.
fn archive(parts: &[Part]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut directory = Vec::new();
    for part in parts {
        let packed = pack(part.method, &part.content);
        let entry = NewEntry {
            member: &part.member,
            method: part.method,
            crc32: crc32fast::hash(&part.content),
            compressed_size: packed.len() as u64,
            uncompressed_size: part.content.len() as u64,
            offset: bytes.len() as u64,
            sizes: part.sizes,
            parts: None,
        };
        write::local_header(&entry, &mut bytes).unwrap();
        bytes.extend_from_slice(&packed);
        write::data_descriptor(&entry, &mut bytes).unwrap();
        write::central_header(&entry, &mut directory).unwrap();
    }
    let offset = bytes.len() as u64;
    bytes.extend_from_slice(&directory);
    let (entries, size) = (parts.len() as u64, directory.len() as u64);
    write::end_records(entries, offset, size, &mut bytes);
    bytes
}

/// Reads all of an archive as a file, by both ways to decode, with links'
/// targets in their places.
fn unpack(bytes: &[u8]) -> Result<Vec<(Member, Vec<u8>)>, Refusal> {
    let directory = Directory::read(bytes, bytes.len() as u64)?;
    let spans = directory.check_all_local(bytes)?;
    let mut scratch = Inflater::new();
    let mut members = Vec::new();
    for (entry, span) in directory.entries().iter().zip(spans) {
        assert_eq!(directory.check_local(bytes, entry)?, span);
        let packed = &bytes[span.start as usize..span.end as usize];
        let mut content = Vec::new();
        decode_whole(entry, packed, &mut content, &mut scratch)?;
        let mut slow = Vec::new();
        decode(entry, packed)?
            .read_to_end(&mut slow)
            .map_err(Refusal::io)?;
        assert_eq!(slow, content);
        let mut member = entry.member.clone();
        if member.kind == MemberKind::Symlink {
            entry.check_target(&content)?;
            member.target = content.clone();
        }
        members.push((member, content));
    }
    Ok(members)
}

/// Reads all of an archive as a pipe: names and contents, then the directory.
#[allow(clippy::type_complexity)]
fn unpack_stream(source: impl Read) -> Result<(Vec<(Vec<u8>, Vec<u8>)>, Directory), Refusal> {
    let mut reader = StreamReader::new(source);
    let mut members = Vec::new();
    while let Some(entry) = reader.next_entry()? {
        let mut content = Vec::new();
        reader.read_to_end(&mut content).map_err(Refusal::io)?;
        members.push((entry.name, content));
    }
    Ok((members, reader.finish()?))
}

/// Where the `nth` record of a signature begins.
fn find(bytes: &[u8], signature: [u8; 4], nth: usize) -> usize {
    let mut found = bytes.windows(4).enumerate();
    found
        .by_ref()
        .filter(|(_, at)| *at == signature)
        .nth(nth)
        .unwrap()
        .0
}

/// A source that gives one byte at a time, and is interrupted before each.
struct Trickle<'b> {
    bytes: &'b [u8],
    interrupts: bool,
}

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupts = !self.interrupts;
        if self.interrupts {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let size = buffer.len().min(1);
        self.bytes.read(&mut buffer[..size])
    }
}
