//! Round trips: through this code alone, and through the `zip` crate.

use std::io::Cursor;

use ::zip::write::SimpleFileOptions;
use ::zip::{CompressionMethod, ZipArchive, ZipWriter};
use proptest::prelude::*;

use super::*;

/// A source with a hole in the middle, as if an archive were huge.
struct Sparse {
    head: Vec<u8>,
    tail: Vec<u8>,
    tail_at: u64,
}

impl ReadAt for Sparse {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        for (byte, at) in buffer.iter_mut().zip(offset..) {
            let of = |part: &[u8], start: u64| {
                let nth = usize::try_from(at.checked_sub(start)?).ok()?;
                part.get(nth).copied()
            };
            *byte = match of(&self.tail, self.tail_at) {
                Some(byte) => byte,
                None if at >= self.tail_at => break,
                None => of(&self.head, 0).unwrap_or(0),
            };
            read += 1;
        }
        Ok(read)
    }
}

#[test]
fn sizes_and_offsets_above_4_gib() {
    let size = 5u64 << 30;
    for sizes in [SizesIn::Header, SizesIn::Descriptor(Width::Eight)] {
        let (mut head, mut tail, mut directory) = (Vec::new(), Vec::new(), Vec::new());
        let member = Member::new(MemberKind::File, "huge");
        let mut entry = NewEntry {
            member: &member,
            method: Method::Stored,
            crc32: 7,
            compressed_size: size,
            uncompressed_size: size,
            offset: 0,
            sizes,
            parts: None,
        };
        write::local_header(&entry, &mut head).unwrap();
        write::data_descriptor(&entry, &mut tail).unwrap();
        write::central_header(&entry, &mut directory).unwrap();
        let tail_at = head.len() as u64 + size;
        let small = Member::new(MemberKind::File, "small");
        entry.member = &small;
        entry.offset = tail_at + tail.len() as u64;
        (entry.compressed_size, entry.uncompressed_size) = (0, 0);
        entry.sizes = SizesIn::Header;
        write::local_header(&entry, &mut tail).unwrap();
        write::central_header(&entry, &mut directory).unwrap();
        let start = tail_at + tail.len() as u64;
        tail.extend_from_slice(&directory);
        write::end_records(2, start, directory.len() as u64, &mut tail);
        let len = tail_at + tail.len() as u64;
        let source = Sparse {
            head,
            tail,
            tail_at,
        };
        let read = Directory::read(&source, len).unwrap();
        let spans = read.check_all_local(&source).unwrap();
        assert_eq!(spans[0].end - spans[0].start, size);
        assert_eq!(read.entries()[1].header_offset, entry.offset);
    }
}

#[test]
fn a_descriptor_of_four_bytes_holds_no_more() {
    let member = Member::new(MemberKind::File, "huge");
    let entry = NewEntry {
        member: &member,
        method: Method::Stored,
        crc32: 0,
        compressed_size: 1 << 32,
        uncompressed_size: 1 << 32,
        offset: 0,
        sizes: SizesIn::Descriptor(Width::Four),
        parts: None,
    };
    assert!(write::data_descriptor(&entry, &mut Vec::new()).is_err());
}

#[test]
fn what_a_zip_cannot_hold_is_refused() {
    let long = Member::new(MemberKind::Dir, vec![b'x'; 65_535]);
    let hard = Member::new(MemberKind::Hardlink, "hard");
    for (member, said) in [(&long, "too long"), (&hard, "no hard links")] {
        let entry = NewEntry {
            member,
            method: Method::Stored,
            crc32: 0,
            compressed_size: 0,
            uncompressed_size: 0,
            offset: 0,
            sizes: SizesIn::Header,
            parts: None,
        };
        for append in [write::local_header, write::central_header] {
            let refusal = append(&entry, &mut Vec::new()).unwrap_err();
            assert!(refusal.to_string().contains(said), "{refusal}");
        }
    }
}

#[test]
fn times_outside_of_a_clock() {
    // Time written, time read: what is finer than 100 ns is cut off; where
    // neither 32 bits of seconds nor NTFS reach, the nearest that DOS can say.
    for (written, read) in [
        ((-1, 5), (-1, 0)),
        ((-1, 999_999_999), (-1, 999_999_900)),
        ((1_700_000_001, 100), (1_700_000_001, 100)),
        ((2_147_483_647, 99), (2_147_483_647, 0)),
        ((2_147_483_649, 5), (2_147_483_649, 0)),
        ((-9_999_999_999, 7_777), (-9_999_999_999, 7_700)),
        ((9_999_999_999, 0), (9_999_999_999, 0)),
        ((-11_644_473_601, 5), (315_532_800, 0)),
        ((i64::MAX, 5), (4_354_819_198, 0)),
    ] {
        let mut part = file("a", b"");
        let (secs, nanos) = written;
        part.member.modified = Some(Timestamp { secs, nanos });
        let members = unpack(&archive(&[part])).unwrap();
        let modified = members[0].0.modified.unwrap();
        assert_eq!((modified.secs, modified.nanos), read);
    }
}

#[test]
fn the_zip_crate_reads_what_is_written_here() {
    let parts = [
        dir("ünï"),
        file("ünï/stored", b"stored"),
        file("deflate", &[7; 999]).by(Method::Deflate),
        file("bzip2", &[8; 999])
            .by(Method::Bzip2)
            .with_descriptor(Width::Four),
        file("zstd", &[9; 999])
            .by(Method::Zstd)
            .with_descriptor(Width::Eight),
        file("xz", &[5; 999]).by(Method::Xz),
        link("link", "ünï/stored"),
    ];
    let mut archive = ZipArchive::new(Cursor::new(archive(&parts))).unwrap();
    assert_eq!(archive.len(), parts.len());
    for (at, part) in parts.iter().enumerate() {
        let mut read = archive.by_index(at).unwrap();
        let mut content = Vec::new();
        read.read_to_end(&mut content).unwrap();
        assert_eq!(content, part.content);
        assert_eq!(
            read.name().unwrap().trim_end_matches('/').as_bytes(),
            part.member.path
        );
        assert_eq!(read.is_symlink(), part.member.kind == MemberKind::Symlink);
        assert_eq!(read.is_dir(), part.member.kind == MemberKind::Dir);
        assert_eq!(read.unix_mode().unwrap() & 0o7777, part.member.mode);
    }
}

#[test]
fn what_the_zip_crate_writes_is_read_here() {
    let methods = [
        CompressionMethod::Stored,
        CompressionMethod::Deflated,
        CompressionMethod::Bzip2,
        CompressionMethod::Zstd,
        CompressionMethod::Xz,
    ];
    for streamed in [false, true] {
        let mut bytes = Cursor::new(Vec::new());
        let text = "text and text and more of it\n".repeat(50);
        if streamed {
            let writer = ZipWriter::new_stream(&mut bytes);
            fill(writer, &methods[1..], &text);
        } else {
            fill(ZipWriter::new(&mut bytes), &methods, &text);
        }
        let bytes = bytes.into_inner();
        let members = unpack(&bytes).unwrap();
        let of = |path: &[u8]| members.iter().find(|member| member.0.path == path).unwrap();
        assert_eq!(of(b"dir").0.kind, MemberKind::Dir);
        assert_eq!(of(b"dir/link").0.target, b"../Zstd");
        assert_eq!(of(b"Zstd").1, text.as_bytes());
        // On Windows the crate keeps no modes.
        let mode = if cfg!(unix) { 0o754 } else { 0o644 };
        assert_eq!(of(b"Zstd").0.mode, mode);
        if !streamed {
            unpack_stream(&bytes[..]).unwrap();
        }
    }
}

fn fill<W: Write + io::Seek>(mut writer: ZipWriter<W>, methods: &[CompressionMethod], text: &str) {
    let options = SimpleFileOptions::default().unix_permissions(0o754);
    writer.add_directory("dir/", options).unwrap();
    for method in methods {
        let options = options.compression_method(*method);
        writer.start_file(method.to_string(), options).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.add_symlink("dir/link", "../Zstd", options).unwrap();
    writer.finish().unwrap();
}

fn parts() -> impl Strategy<Value = Vec<Part>> {
    let name = "[a-zé_ ]{1,8}";
    let one = (
        name,
        prop::collection::vec(any::<u8>(), 0..300),
        0..9usize,
        0..3u8,
        0..0o7777u32,
        0..3_900_000_000i64,
    );
    prop::collection::btree_map(any::<u16>(), one, 0..12).prop_map(|parts| {
        let mut made = Vec::new();
        for (number, (name, content, kind, sizes, mode, secs)) in parts {
            let path = format!("{number}/{name}");
            let mut part = match kind {
                7 => dir(&path),
                8 => link(&path, "target"),
                method => file(&path, &content).by(METHODS[method]),
            };
            if kind != 8 {
                part.member.mode = mode;
            }
            // Even where DOS alone can say it.
            part.member.modified = Some(Timestamp {
                secs: (secs + 400_000_000) & !1,
                nanos: 0,
            });
            part.sizes = match sizes {
                0 => SizesIn::Header,
                1 => SizesIn::Descriptor(Width::Four),
                _ => SizesIn::Descriptor(Width::Eight),
            };
            made.push(part);
        }
        made
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(parts in parts()) {
        let bytes = archive(&parts);
        prop_assert_eq!(&bytes, &archive(&parts));
        let read = unpack(&bytes).unwrap();
        prop_assert_eq!(read.len(), parts.len());
        for (part, (mut member, content)) in parts.iter().zip(read) {
            member.target.clear();
            prop_assert_eq!(&member, &part.member);
            prop_assert_eq!(&content, &part.content);
        }
    }

    #[test]
    fn noise_is_no_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), at in 0..400usize) {
        let _ = unpack(&bytes);
        let whole = archive(&[file("aa", &bytes), dir("b")]);
        bytes.splice(at.min(bytes.len())..at.min(bytes.len()), whole);
        let _ = unpack(&bytes);
        let _ = unpack_stream(&bytes[..]);
    }
}
