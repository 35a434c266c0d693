//! Programs with a package of PyInstaller's, out of bytes that a fuzzer made up.
//! Cookies and lengths of entries are mostly right, as they hardly ever survive a
//! fuzzer: it gets to what is behind.

use std::io::Read;
use std::ops::ControlFlow;
use std::path::Path;

use bundlecp::archive::Archive;
use bundlecp::list::{self, Listed};

use super::archive;

/// Bytes that are taken one by one; zeros behind the end.
struct Script<'b>(&'b [u8]);

impl<'b> Script<'b> {
    fn byte(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or_default()
    }

    /// The next bytes, as many as there are.
    fn some(&mut self, most: usize) -> &'b [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }
}

/// A program whose package has entries of a small stock of types and names, or a
/// table of any bytes, and for data what is left.
pub(crate) fn of_parts(bytes: &[u8]) -> Vec<u8> {
    let mut script = Script(bytes);
    let flags = script.byte();
    let count = script.byte();
    let mut used = 0;
    let toc = match flags & 1 {
        0 => (0..count % 32)
            .flat_map(|_| entry(&mut script, &mut used))
            .collect(),
        _ => script.some(usize::from(count)).to_vec(),
    };
    let mut data = script.0.to_vec();
    data.resize(data.len().max(used as usize), 0);
    let mut package = [&data[..], &toc].concat();
    let wrong = |bit: u8, number: usize| match flags & bit {
        0 => number as u32,
        _ => u32::from(count) << (flags & 16),
    };
    let numbers = [
        wrong(2, package.len() + 88),
        wrong(4, data.len()),
        wrong(8, toc.len()),
        311,
    ];
    // Not in one piece, or the fuzzer would be found to hold a package itself.
    package.extend(b"MEI");
    package.extend([0x0c, 0x0b, 0x0a, 0x0b, 0x0e]);
    package.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    let library: &[u8] = match flags & 32 {
        0 => b"libpython3.11.so",
        _ => b"python311.dll",
    };
    package.extend(library);
    package.resize(package.len() + 64 - library.len(), 0);
    match flags >> 6 {
        0 => package,
        1 => [b"\x7fELF", &package[..]].concat(),
        2 => [b"MZ", &package[..], b"signature"].concat(),
        _ => [b"\xcf\xfa\xed\xfe", &package[..], &[0; 99]].concat(),
    }
}

/// An entry as six bytes say it is. Its data is mostly what comes next behind the
/// `used` bytes.
fn entry(script: &mut Script<'_>, used: &mut u32) -> Vec<u8> {
    const KINDS: &[u8; 16] = b"bxZndzsmMolbxnnq";
    const NAMES: [&str; 8] = ["a", "b", "a/b", "b/a", "..", "/a", "c\\d", "a/b/c-longer"];
    let (kind, name) = (script.byte(), script.byte());
    let (offset, stored) = (script.byte(), u32::from(script.byte() % 24));
    let offset = match offset {
        0..192 => *used,
        offset => u32::from(offset - 192),
    };
    *used = (*used).max(offset + stored);
    let size = match script.byte() {
        0..224 => stored,
        size => u32::from(size),
    };
    let mut name = NAMES[usize::from(name & 7)].as_bytes().to_vec();
    if kind & 16 != 0 {
        name.push(script.byte());
    }
    let length = (18 + name.len() + 1).next_multiple_of(16);
    let mut entry = Vec::new();
    for number in [length as u32, offset, stored, size] {
        entry.extend(number.to_be_bytes());
    }
    entry.extend([u8::from(kind >= 224), KINDS[usize::from(kind & 15)]]);
    entry.extend(name);
    entry.resize(length, 0);
    entry
}

/// Opens the program, reads every member, lists it, and extracts it.
pub(crate) fn open(bytes: &[u8]) {
    std::fs::write(archive(), bytes).expect("written");
    let mut listed: Vec<Listed> = Vec::new();
    let done = list::list(&archive(), &mut |member| {
        listed.push(member);
        ControlFlow::Continue(())
    });
    let opened = Archive::open(&archive());
    // What begins as a stream does is one: it opens, and is found damaged when it is read.
    assert!(opened.is_ok() || done.is_err(), "{done:?}");
    if let Ok(opened) = opened {
        if let (Ok(entries), Ok(_)) = (opened.entries(), &done) {
            assert_eq!(entries, listed);
        }
        for listed in &listed {
            let path = listed.entry.path.as_bytes();
            let Ok(mut member) = opened.member(Path::new(&*String::from_utf8_lossy(path))) else {
                continue;
            };
            let (mut content, size) = (Vec::new(), member.size());
            if member.read_to_end(&mut content).is_ok() {
                assert_eq!(content.len() as u64, size);
            }
        }
    }
    super::extract(bytes);
}
