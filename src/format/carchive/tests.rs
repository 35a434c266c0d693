//! The parser by itself: what a writer makes is read back, however few bytes a
//! read gives, and content is decoded alike in both ways.

use std::io::{self, BufReader, Read, Write};

use super::content::{Content, Inflater};
use super::cookie::{Cookie, Found, find};
use super::package::Package;
use super::program::onedir_program;
use super::toc::{Entry, Form, Kind};
use super::write::Writer;
use crate::error::ErrorKind;
use crate::format::ReadAt;

/// Gives one byte at a time.
struct Slow<'b>(&'b [u8]);

impl ReadAt for Slow<'_> {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read_at(&mut buffer[..most], offset)
    }
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

fn zlib(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn cookie() -> Cookie {
    let mut library = [0; 64];
    library[..12].copy_from_slice(b"libpython3.x");
    Cookie {
        length: 0,
        toc_offset: 0,
        toc_length: 0,
        python: 311,
        library,
    }
}

fn entry(kind: Kind, form: Form, data: &[u8], content: &[u8]) -> Entry {
    Entry {
        kind,
        form,
        stored: data.len() as u32,
        size: content.len() as u32,
        ..Entry::option()
    }
}

/// A 64-bit ELF header with one segment that ends at byte 200, and 100 bytes of
/// no segment behind that.
fn elf() -> Vec<u8> {
    let mut elf = vec![0x11; 300];
    elf[..64].fill(0);
    elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
    elf[32] = 64;
    elf[40..48].fill(9);
    elf[54] = 56;
    elf[56] = 1;
    elf[60..64].fill(9);
    elf[64..120].fill(0);
    elf[64] = 1;
    elf[64 + 32] = 200;
    elf
}

/// Name, kind, form, data and content of an entry.
type Row<'r> = (&'r [u8], Kind, Form, &'r [u8], &'r [u8]);

/// A program with a file, a link, a script, modules and an option.
fn program() -> Vec<u8> {
    let content = b"some text, again and again. ".repeat(50);
    let packed = zlib(&content);
    let rows: [Row<'_>; 6] = [
        (b"main", Kind::Script, Form::Zlib, &packed, &content),
        (b"lib/x.so", Kind::Binary, Form::Zlib, &packed, &content),
        (
            b"x.so",
            Kind::Link,
            Form::Stored,
            b"lib/x.so\0",
            b"lib/x.so\0",
        ),
        (
            b"a name of 13 b",
            Kind::Data,
            Form::Stored,
            b"data",
            b"data",
        ),
        (
            b"pyi-contents-directory old",
            Kind::Option,
            Form::Stored,
            b"",
            b"",
        ),
        (b"PYZ.pyz", Kind::Modules, Form::Stored, b"PYZ\0", b"PYZ\0"),
    ];
    let mut writer = Writer::behind(elf());
    for (name, kind, form, data, content) in rows {
        writer
            .add(&entry(kind, form, data, content), name, data)
            .unwrap();
    }
    writer.finish(&cookie()).unwrap()
}

fn names(package: &Package) -> Vec<String> {
    let entries = package.entries().iter();
    let name = |entry: &Entry| String::from_utf8_lossy(package.name(entry)).into_owned();
    entries.map(name).collect()
}

#[test]
fn what_is_written_is_read_back() {
    let bytes = program();
    let length = bytes.len() as u64;
    for package in [
        Package::read(&bytes[..], length).unwrap(),
        Package::read(&Slow(&bytes), length).unwrap(),
    ] {
        assert_eq!(package.range(), 300..length);
        assert_eq!(package.cookie().python, 311);
        assert_eq!(package.cookie().library(), b"libpython3.x");
        let expected = [
            "main",
            "lib/x.so",
            "x.so",
            "a name of 13 b",
            "pyi-contents-directory old",
            "PYZ.pyz",
        ];
        assert_eq!(names(&package), expected);
        assert_eq!(package.len(), 3);
        let member = package.item(1).member(&Slow(&bytes)).unwrap();
        assert_eq!(
            (&*member.path, &*member.target),
            (&b"x.so"[..], &b"lib/x.so"[..])
        );
        package.check_complete().unwrap();
    }
}

#[test]
fn content_comes_whole_however_it_is_read() {
    let bytes = program();
    let package = Package::read(&bytes[..], bytes.len() as u64).unwrap();
    let expected = b"some text, again and again. ".repeat(50);
    let data = package.item(0).data();
    let stored = &bytes[data.start as usize..data.end as usize];
    for (room, step) in [
        (1, 1),
        (1, 7),
        (3, 1),
        (64, 1400),
        (4096, 1399),
        (4096, 4096),
    ] {
        let mut raw = BufReader::with_capacity(room, Slow(stored));
        let mut content = Content::new(package.item(0), &mut raw);
        let (mut whole, mut piece) = (Vec::new(), vec![0; step]);
        while whole.len() < expected.len() {
            let count = content.read(&mut piece).unwrap();
            assert!(count > 0, "{room} {step}");
            whole.extend_from_slice(&piece[..count]);
        }
        assert!(whole == expected, "{room} {step}");
        assert_eq!(content.read(&mut piece).unwrap(), 0);
    }
    let mut out = vec![9; 3];
    let mut inflater = Inflater::new();
    inflater.decode(package.item(0), stored, &mut out).unwrap();
    assert!(out == expected);
}

/// The last byte comes only if the end of the stream is right.
#[test]
fn the_last_byte_is_an_error_where_the_end_is_wrong() {
    let content = b"x".repeat(100);
    let mut wrong = zlib(&content);
    *wrong.last_mut().unwrap() ^= 1;
    let trailing = [&zlib(&content)[..], b"more"].concat();
    for data in [wrong, trailing] {
        let mut writer = Writer::behind(Vec::new());
        let entry = entry(Kind::Data, Form::Zlib, &data, &content);
        writer.add(&entry, b"f", &data).unwrap();
        let bytes = writer.finish(&cookie()).unwrap();
        let package = Package::read(&bytes[..], bytes.len() as u64).unwrap();
        let mut all = vec![0; 100];
        let read = Content::new(package.item(0), &data[..]).read_exact(&mut all);
        assert!(read.is_err());
        assert!(
            Inflater::new()
                .decode(package.item(0), &data, &mut all)
                .is_err()
        );
    }
}

#[test]
fn the_last_cookie_is_found_in_programs_and_at_the_end_of_files() {
    let bytes = program();
    let at = bytes.len() as u64 - 88;
    let found = |bytes: &[u8]| find(bytes, bytes.len() as u64).unwrap();
    assert_eq!(found(&bytes), Found::Cookie(at));
    let twice = [&bytes[..], &bytes[300..], &[0; 2 << 20]].concat();
    let second = (bytes.len() * 2 - 300 - 88) as u64;
    assert_eq!(found(&twice), Found::Cookie(second));
    let file = [b"PYZ\0", &bytes[300..]].concat();
    assert_eq!(found(&file), Found::Cookie(file.len() as u64 - 88));
    // What is no program is not searched.
    assert_eq!(found(&[&file[..], b"more"].concat()), Found::Nothing);
    assert_eq!(found(b""), Found::Nothing);
    assert_eq!(found(b"\x7fEL"), Found::Nothing);
    assert_eq!(found(b"MZ MEI\x0d\x0b\x0a\x0b\x0e end"), Found::Beside);
    assert_eq!(found(b"no MEI\x0d\x0b\x0a\x0b\x0e end"), Found::Nothing);
}

#[test]
fn a_program_becomes_that_of_a_folder() {
    let bytes = program();
    let made = onedir_program(&bytes[..], bytes.len() as u64, "_internal").unwrap();
    let package = Package::read(&made[..], made.len() as u64).unwrap();
    assert_eq!(
        names(&package),
        ["pyi-contents-directory _internal", "main", "PYZ.pyz"]
    );
    assert_eq!(package.range().start, 200);
    assert_eq!(package.cookie().library(), b"libpython3.x");
    assert!(package.check_complete().is_err());
    // All that is loaded, and no section headers.
    assert_eq!(made[64..200], bytes[64..200]);
    assert!(
        made[40..48]
            .iter()
            .chain(&made[60..64])
            .all(|byte| *byte == 0)
    );
    let again = onedir_program(&made[..], made.len() as u64, "_internal").unwrap();
    assert!(again == made);
}

#[test]
fn what_becomes_no_program_of_a_folder_is_refused() {
    let bytes = program();
    let length = bytes.len() as u64;
    for name in ["", ".", "..", "a/b", "a\\b", "a\0"] {
        let error = onedir_program(&bytes[..], length, name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{name:?}");
    }
    let mut windows = bytes.clone();
    windows[..2].copy_from_slice(b"MZ");
    let error = onedir_program(&windows[..], length, "_internal").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownFormat);
    // Headers outside, segments outside, headers too small, a header cut short.
    for (at, value) in [(39, 1), (56, 9), (64 + 35, 1), (64 + 15, 0xff), (54, 8)] {
        let mut wrong = bytes.clone();
        wrong[at] = value;
        let error = onedir_program(&wrong[..], length, "_internal").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{at}");
    }
    let short = [b"\x7fELF\x02\x01", &bytes[300..]].concat();
    let error = onedir_program(&short[..], short.len() as u64, "_internal").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
}

/// `ci/onefile.sh` runs this with a program that PyInstaller made, and then runs
/// what came of it.
#[test]
#[ignore = "needs a program that PyInstaller made"]
fn a_real_program_becomes_that_of_a_folder() {
    let path = |name| std::env::var_os(name).expect("ci/onefile.sh sets it");
    let file = std::fs::File::open(path("BUNDLECP_ONEFILE")).unwrap();
    let length = file.metadata().unwrap().len();
    let made = onedir_program(&file, length, "_internal").unwrap();
    std::fs::write(path("BUNDLECP_PROGRAM"), made).unwrap();
}
