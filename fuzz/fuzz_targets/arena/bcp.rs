//! `.bcp` archives out of bytes that a fuzzer made up. Their hashes are right, as
//! no fuzzer guesses them: it gets to what is behind.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::path::Path;

use bundlecp::archive::Archive;
use bundlecp::list::{self, Listed};
use bundlecp::{EntryKind, Silent, extract};

use super::{archive, look, options, remove, root};
use made::{FILE, FOLDER, HARD_LINK, LINK, Parts, Rows, Section};
use std::ops::ControlFlow;

#[path = "../../../tests/hostile/bcp.rs"]
mod made;

/// Bytes that are taken one by one; zeros behind the end.
struct Script<'b>(&'b [u8]);

impl<'b> Script<'b> {
    fn byte(&mut self) -> u8 {
        self.some(1).first().copied().unwrap_or_default()
    }

    fn short(&mut self) -> u16 {
        u16::from(self.byte()) | u16::from(self.byte()) << 8
    }

    fn below(&mut self, end: usize) -> usize {
        usize::from(self.byte()) % end.max(1)
    }

    /// The next bytes, as many as there are.
    fn some(&mut self, most: usize) -> &'b [u8] {
        let (some, rest) = self.0.split_at(most.min(self.0.len()));
        self.0 = rest;
        some
    }
}

/// An archive of what the bytes say are its tables and blocks. The first one tells
/// what stands between them.
pub(crate) fn of_parts(bytes: &[u8]) -> Vec<u8> {
    let mut script = Script(bytes);
    let flags = script.byte();
    let length = usize::from(script.short());
    let tables = with_lengths(script.some(length));
    let mut blocks = Vec::new();
    while !script.0.is_empty() && blocks.len() < 16 {
        let codec = script.byte();
        let length = usize::from(script.short());
        let data = script.some(length);
        blocks.push(match codec {
            0x80.. => Section::zstd(data),
            codec => Section::block(codec, data),
        });
    }
    if flags & 1 != 0 {
        let mut unknown = Section::new(b"more", b"of it".to_vec());
        unknown.flags = u32::from(flags >> 1 & 1);
        blocks.insert(0, unknown);
    }
    let parts = Parts::new(made::manifest(&tables), &blocks).bytes();
    match flags & 4 {
        0 => parts,
        _ => [b"#!/bin/sh\n", &parts[..]].concat(),
    }
}

/// Tables whose last column ends where they do: lengths hardly ever survive a
/// fuzzer.
fn with_lengths(tables: &[u8]) -> Vec<u8> {
    let mut tables = tables.to_vec();
    let mut at = 0;
    while let Some(head) = tables.get_mut(at..at + 16) {
        let mut length = [0; 8];
        length.copy_from_slice(&head[8..]);
        let behind = at + 16;
        let left = (tables.len() - behind) as u64;
        let length = u64::from_le_bytes(length).min(left);
        tables[at + 8..behind].copy_from_slice(&length.to_le_bytes());
        at = behind + length as usize;
    }
    tables
}

/// Opens the archive as a file, and lists it as a pipe.
pub(crate) fn open(bytes: &[u8]) {
    std::fs::write(archive(), bytes).expect("written");
    let opened = Archive::open(&archive());
    let mut listed: Vec<Listed> = Vec::new();
    let piped = list::list_from(bytes, Path::new("archive"), &mut |member| {
        listed.push(member);
        ControlFlow::Continue(())
    });
    let Ok(piped) = piped else {
        // A file may stand behind something, and its blocks weren't looked at.
        return;
    };
    let opened = opened.expect("a pipe gives no more than a file");
    assert_eq!(opened.root_hash(), piped.root_hash);
    assert_eq!(opened.entries().expect("it has an index"), listed);
}

/// A tree that a script made, and what its files hold.
#[derive(Default)]
pub(crate) struct Made {
    pub(crate) archive: Vec<u8>,
    /// Path and content of each file.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// Something in the archive is not so.
    pub(crate) lies: bool,
}

/// What is stored of a content, and where.
struct Content {
    stored: Vec<u8>,
    whole: Vec<u8>,
}

/// A tree that the bytes tell how to build, with a lie or more if they say so.
pub(crate) fn of_script(bytes: &[u8]) -> Made {
    let mut script = Script(bytes);
    let lies = script.below(4);
    let cut = script.byte();
    let mut rows = Rows::default();
    let contents: Vec<Content> = (0..=script.below(4))
        .map(|number| content(&mut script, &mut rows, number))
        .collect();
    let blocks = blocks(&mut script, &mut rows, &contents, cut);
    let mut files = entries(&mut script, &mut rows, &contents);
    for _ in 0..lies {
        lie(&mut script, &mut rows);
    }
    let tables = made::tables(&rows.columns());
    if lies > 0 {
        files.clear();
    }
    Made {
        archive: Parts::new(made::manifest(&tables), &blocks).bytes(),
        files,
        lies: lies > 0,
    }
}

fn content(script: &mut Script<'_>, rows: &mut Rows, number: usize) -> Content {
    let length = usize::from(script.short() % 3000);
    let seed = usize::from(script.byte());
    let fill = |at: usize| match (at + seed) % 7 {
        0 => 0xE8,
        3 | 4 => 0,
        _ => ((at * seed) >> 3) as u8,
    };
    let stored: Vec<u8> = (0..length).map(fill).collect();
    rows.content(&stored);
    let traits = script.byte();
    if traits & 1 != 0 && length > 0 {
        let start = usize::from(script.short()) % length;
        let over = 1 + usize::from(script.short()) % (length - start);
        *rows.filters.last_mut().expect("there is one") = 1;
        rows.filtered.push([start as u64, over as u64]);
    }
    let mut whole = stored.clone();
    if traits & 2 != 0 {
        let (before, between) = (usize::from(script.byte()), usize::from(script.short()));
        let (first, second) = stored.split_at(length / 2);
        let extents = [
            (before, first),
            (before + first.len() + between + 1, second),
        ];
        let extents = extents.into_iter().filter(|(_, data)| !data.is_empty());
        whole = vec![0; before + length + between + 2];
        rows.sizes[number] = whole.len() as u64;
        if length == 0 {
            rows.extents.push((number as u32, 0, 0));
        }
        for (at, data) in extents {
            whole[at..at + data.len()].copy_from_slice(data);
            rows.extents
                .push((number as u32, at as u64, data.len() as u64));
        }
    }
    Content { stored, whole }
}

/// Cuts what is stored of all contents into blocks, filtered piece by piece.
fn blocks(script: &mut Script<'_>, rows: &mut Rows, contents: &[Content], cut: u8) -> Vec<Section> {
    let mut raw: Vec<u8> = contents.iter().flat_map(|one| one.stored.clone()).collect();
    let cut = (1 + 8 * usize::from(cut)).max(raw.len() / 32 + 1);
    let (mut begin, mut ranges) = (0, rows.filtered.iter());
    for (number, content) in contents.iter().enumerate() {
        let end = begin + content.stored.len();
        if rows.filters[number] == 1 {
            let range = ranges.next().expect("each filter has one");
            let (from, to) = (
                begin + range[0] as usize,
                begin + (range[0] + range[1]) as usize,
            );
            for block in (0..raw.len()).step_by(cut) {
                let (first, last) = (from.max(block), to.min(block + cut));
                if first < last {
                    made::x86(&mut raw[first..last], (first - begin) as u64);
                }
            }
        }
        begin = end;
    }
    let sections = raw.chunks(cut).map(|raw| {
        rows.blocks.push(raw.len() as u32);
        let stored = Section::stored(raw);
        // What doesn't become smaller is stored.
        let zstd = Some(Section::zstd(raw)).filter(|_| script.byte() & 1 == 1);
        let zstd = zstd.filter(|zstd| zstd.payload.len() < stored.payload.len());
        zstd.unwrap_or(stored)
    });
    sections.collect()
}

const NAMES: [&str; 8] = ["a", "b", "..", "c", "l", "lib", "._a", "\u{e9}"];
const TARGETS: [&str; 8] = [
    "a",
    "../a",
    "..",
    "/etc/passwd",
    "b/c",
    "l",
    ".",
    "lib/../../b",
];

fn entries(
    script: &mut Script<'_>,
    rows: &mut Rows,
    contents: &[Content],
) -> Vec<(String, Vec<u8>)> {
    let (mut folders, mut files) = (vec![(0, String::new())], Vec::new());
    let mut numbers = Vec::new();
    let count = script.below(40);
    // At last each content once: one that nobody has is refused.
    for number in 0..count + contents.len() {
        let last = number.checked_sub(count);
        let kind = match last {
            Some(_) => FILE,
            None => script.byte() & 3,
        };
        let (parent, above) = folders[script.below(folders.len())].clone();
        let stock = script.byte();
        let name = match (stock & 0x80, NAMES[usize::from(stock & 7)]) {
            (0, name) => format!("{name}{number}"),
            (_, name) => name.to_owned(),
        };
        let path = format!("{above}{name}");
        match kind {
            FOLDER => {
                let own = rows.entry(FOLDER, parent, name.as_bytes(), 0o755);
                folders.push((own, path + "/"));
            }
            LINK => {
                let target = TARGETS[script.below(TARGETS.len())];
                rows.link(parent, name.as_bytes(), target.as_bytes());
            }
            HARD_LINK if !numbers.is_empty() => {
                let first = script.below(numbers.len());
                rows.entry(HARD_LINK, parent, name.as_bytes(), 0o644);
                rows.firsts.push(numbers[first]);
            }
            _ => {
                let content = last.unwrap_or_else(|| script.below(contents.len()));
                numbers.push(rows.kinds.len() as u32);
                rows.file(parent, name.as_bytes(), content as u32);
                files.push((path, contents[content].whole.clone()));
            }
        }
    }
    files
}

/// Changes one value of one column.
fn lie(script: &mut Script<'_>, rows: &mut Rows) {
    let (column, at) = (script.below(13), usize::from(script.byte()));
    let small = u32::from(script.byte());
    let large = match small & 7 {
        0 => 1 << 62,
        1 => u64::MAX,
        2 => i64::MAX as u64,
        _ => u64::from(small) << (small & 31),
    };
    fn set<T>(values: &mut [T], at: usize, value: T) {
        let count = values.len();
        if let Some(old) = values.get_mut(at % count.max(1)) {
            *old = value;
        }
    }
    match column {
        0 => rows.counts = Some([large, u64::from(small), at as u64]),
        1 => set(&mut rows.kinds, at, small as u8),
        2 => set(&mut rows.parents, at, small),
        3 => set(&mut rows.names, at, NAMES[small as usize & 7].into()),
        4 => set(&mut rows.modes, at, (small << 4) as u16),
        5 => set(&mut rows.content_numbers, at, small),
        6 => set(&mut rows.firsts, at, small),
        7 => set(&mut rows.sizes, at, large),
        8 => set(&mut rows.hashes, at, [small as u8; 32]),
        9 => set(&mut rows.filters, at, small as u8),
        10 => set(&mut rows.extents, at, (small & 3, large, u64::from(small))),
        11 => set(&mut rows.filtered, at, [u64::from(small), large]),
        _ => set(&mut rows.blocks, at, small << (at & 15)),
    }
}

/// Reads members of an archive here and there, and compares with what is in them.
pub(crate) fn seek(bytes: &[u8]) {
    let mut script = Script(bytes);
    let length = 4 * usize::from(script.byte());
    let made = of_script(script.some(length));
    std::fs::write(archive(), &made.archive).expect("written");
    let Ok(opened) = Archive::open(&archive()) else {
        return;
    };
    if made.lies {
        read_all(&opened);
        return;
    }
    for (path, content) in made.files {
        // What no path can be, and what is not the first of its path, has no reader.
        let Ok(mut member) = opened.seekable_member(Path::new(&path)) else {
            continue;
        };
        assert_eq!(member.size(), content.len() as u64, "{path}");
        let mut there = Cursor::new(&content);
        for _ in 0..script.below(12) {
            step(&mut script, &mut member, &mut there);
        }
    }
}

fn step(script: &mut Script<'_>, member: &mut (impl Read + Seek), there: &mut (impl Read + Seek)) {
    let (kind, by) = (script.byte(), script.short());
    let to = match kind & 3 {
        0 => SeekFrom::Start(u64::from(by)),
        1 => SeekFrom::End(i64::from(by as i16)),
        2 => SeekFrom::Current(i64::from(by as i16)),
        _ => SeekFrom::Start(u64::MAX - u64::from(by)),
    };
    let (here, expected) = (member.seek(to), there.seek(to));
    assert_eq!(here.as_ref().ok(), expected.as_ref().ok(), "{to:?}");
    let count = usize::from(kind >> 2) << (by & 7);
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    let read = member.by_ref().take(count as u64).read_to_end(&mut ours);
    read.expect("nothing is damaged");
    let read = there.by_ref().take(count as u64).read_to_end(&mut theirs);
    read.expect("it is in memory");
    assert!(ours == theirs, "{to:?}, {count} bytes");
}

/// Reads what there is of all members, in archives that may lie.
fn read_all(opened: &Archive) {
    for listed in opened.entries().expect("it has an index") {
        let path = listed.entry.path.to_path_buf();
        if let Ok(mut member) = opened.seekable_member(&path) {
            let size = member.size();
            for at in [0, size / 2, size.saturating_sub(100)] {
                let mut some = [0; 4096];
                let _ = member.seek(SeekFrom::Start(at));
                let _ = member.read(&mut some);
            }
        }
    }
}

/// Extracts an archive from a file and from a pipe, which come to the same.
pub(crate) fn extract(bytes: &[u8]) {
    super::extract(bytes);
    let destination = root().join("above/destination");
    let mut options = options();
    // Judged at another time of a pipe.
    options.limits.ratio = None;
    std::fs::write(archive(), bytes).expect("written");
    let before = look();
    let filed = extract::extract(&archive(), &destination, &options, &Silent);
    let after = tree(&destination);
    let shown = Path::new("archive");
    let piped = extract::extract_from(
        Cursor::new(bytes.to_vec()),
        shown,
        &destination,
        &options,
        &Silent,
    );
    assert_eq!(filed.is_ok(), piped.is_ok(), "{filed:?}, {piped:?}");
    assert_eq!(after, tree(&destination));
    assert_eq!(before, look());
    if let (Ok(filed), Ok(piped)) = (filed, piped) {
        assert_eq!(filed.root_hash, piped.root_hash);
        extract_one(options);
    }
}

/// Extracts single files of an archive that can be extracted: what comes out is that
/// file alone, with the bytes that a reader finds.
fn extract_one(mut options: extract::Options) {
    let destination = root().join("above/destination");
    let opened = Archive::open(&archive()).expect("it was extracted");
    let entries = opened.entries().expect("it has an index");
    let files = entries
        .iter()
        .filter(|one| one.entry.kind == EntryKind::File);
    for file in files.take(3) {
        let path = file.entry.path.to_path_buf();
        let only = path.clone();
        options.select = Some(Box::new(move |path| path == only));
        let done = extract::extract(&archive(), &destination, &options, &Silent);
        assert_eq!(done.expect("it came with the others").files, 1);
        let mut content = Vec::new();
        let mut reader = opened.member(&path).expect("it is a file");
        reader.read_to_end(&mut content).expect("it was extracted");
        let found = std::fs::read(destination.join(&path)).expect("it was extracted");
        assert!(found == content, "{}", path.display());
        remove(&destination);
    }
}

/// Paths and contents below `destination`, which is removed.
fn tree(destination: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    if destination.exists() {
        super::outside(destination, &mut seen);
        remove(destination);
    }
    seen
}
