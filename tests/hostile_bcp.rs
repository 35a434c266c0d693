//! `.bcp` archives that lie: all that docs/format.md rules out is refused, from a
//! file as from a pipe, and what it allows comes out right.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::Read;

use bundlecp::ErrorKind::{Malformed, Unsafe, Unsupported};
use bundlecp::archive::Archive;
use bundlecp::extract::Options;
use bundlecp::{Silent, verify};
use common::snapshot::{Kind, Snapshot};
use hostile::arena::{Arena, Before, Source};
use hostile::bcp::{Column, FILE, FOLDER, HARD_LINK, HAS_TIME, LINK, Parts, Rows, Section};
use hostile::bcp::{manifest, tables};
use hostile::bcp_sample::{
    BOTH, Kinds, Reading, SPARSE, is_refused, of_columns, of_rows, program, rows, sample,
    sparse_content,
};

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

/// Checks that the sample's tree came out.
#[track_caller]
fn is_sample(seen: &Snapshot) {
    let content = |path: &[u8]| match &seen.node(path).kind {
        Kind::File { size, blocks, .. } => (*size, blocks.clone()),
        Kind::Dir | Kind::Link(_) | Kind::Special(_) => panic!("no file"),
    };
    assert_eq!(seen.0.len(), 8);
    assert_eq!(seen.node(b"d").mtime, (-5, 999_999_999));
    assert!(seen.node(b"l").kind == Kind::Link(b"d/a".to_vec()));
    assert_eq!(content(b"same"), content(b"d/a"));
    assert_eq!(content(b"sparse").0, SPARSE);
    let Kind::File { first_name, .. } = &seen.node(b"d/h").kind else {
        panic!("no file");
    };
    assert!(first_name.is_some());
}

/// Extracts from a file and a pipe, and reads the sample in every other way.
#[track_caller]
fn comes_out(name: &str, bytes: &[u8], sources: &[Source]) {
    let arena = Arena::new();
    for source in sources {
        arena.prepare(Before::Nothing);
        let result = arena.extract(bytes, *source, &Options::default(), name);
        result.unwrap_or_else(|error| panic!("{name}, {source:?}: {error:?}"));
        is_sample(&arena.extracted());
        let program_there = std::fs::read(arena.destination().join("program")).unwrap();
        assert_eq!(program_there, program(), "{name}");
        let sparse = std::fs::read(arena.destination().join("sparse")).unwrap();
        assert_eq!(sparse, sparse_content(), "{name}");
        assert_eq!(
            std::fs::read(arena.destination().join("d/a")).unwrap(),
            b"hello"
        );
    }
    let path = arena.archive(bytes);
    let proof = verify::verify(
        &path,
        &arena.destination(),
        &verify::Options::default(),
        &Silent,
    );
    let differences = proof.unwrap().differences;
    // Folders of the sample without a time of their own are as new as the extraction.
    let is_time = |one: &verify::Difference| one.kind == verify::DifferenceKind::Mtime;
    assert!(differences.iter().all(is_time), "{name}: {differences:?}");
    let archive = Archive::open(&path).unwrap();
    for (member, expected) in [("program", program()), ("sparse", sparse_content())] {
        let mut found = Vec::new();
        let mut reader = archive.member(member.as_ref()).unwrap();
        reader.read_to_end(&mut found).unwrap();
        assert_eq!(found, expected, "{name}: {member}");
    }
}

#[test]
fn what_the_description_allows_comes_out() {
    comes_out("sample", &sample().bytes(), BOTH);
    let mut parts = sample();
    for at in [1, 3, 5] {
        let mut section = Section::new(b"NEWS", b"whatever".repeat(at));
        section.flags = 0;
        parts.sections.insert(at, section);
    }
    comes_out("unknown sections", &parts.bytes(), BOTH);
    let mut columns = rows().columns();
    for number in [0, 30, 54, u32::MAX] {
        let mut column = Column::new(number, b"whatever".to_vec());
        column.flags = 0;
        columns.push(column);
    }
    columns.sort_by_key(|column| column.number);
    comes_out("unknown columns", &of_columns(&columns).bytes(), BOTH);
    let behind = [&b"#!/bin/sh\nexit\n"[..], &sample().bytes()].concat();
    comes_out("prefix", &behind, &[Source::File]);
}

type RowLie = (&'static str, Kinds, fn(&mut Rows));

#[track_caller]
fn lies(cases: &[RowLie], reading: Reading) {
    let arena = Arena::new();
    for (name, kinds, lie) in cases {
        let mut rows = rows();
        lie(&mut rows);
        is_refused(&arena, name, &of_rows(&rows).bytes(), kinds, reading);
    }
}

#[test]
fn counts_that_lie_are_refused() {
    let mut cases = Vec::new();
    for at in 0..3 {
        for count in [0, 1, 8, 1 << 32, (1 << 32) - 1, 1 << 63, u64::MAX] {
            let mut rows = rows();
            let counts = [rows.kinds.len(), rows.sizes.len(), rows.blocks.len()];
            let mut counts = counts.map(|count| count as u64);
            counts[at] = count;
            rows.counts = Some(counts);
            cases.push((format!("count {at}: {count}"), rows));
        }
    }
    let arena = Arena::new();
    for (name, rows) in cases {
        let bytes = of_rows(&rows).bytes();
        is_refused(&arena, &name, &bytes, &[Malformed], Reading::Manifest);
    }
}

#[test]
fn columns_that_lie_are_refused() {
    let arena = Arena::new();
    let honest = rows().columns();
    let refused = |name: &str, columns: &[Column], kinds| {
        let bytes = of_columns(columns).bytes();
        is_refused(&arena, name, &bytes, kinds, Reading::Manifest);
    };
    for at in 0..honest.len() {
        let number = honest[at].number;
        let change = |change: &dyn Fn(&mut Vec<Column>)| {
            let mut columns = honest.clone();
            change(&mut columns);
            columns
        };
        let name = |what: &str| format!("column {number} {what}");
        let lies: [(&str, Vec<Column>); 9] = [
            ("missing", change(&|all| drop(all.remove(at)))),
            ("twice", change(&|all| all.insert(at, all[at].clone()))),
            (
                "last",
                change(&|all| {
                    let last = all.remove(at);
                    all.push(last);
                    all.push(Column::new(1, Vec::new()));
                }),
            ),
            ("empty", change(&|all| all[at].values.clear())),
            ("longer", change(&|all| all[at].values.push(0))),
            (
                "shorter",
                change(&|all| {
                    all[at].values.pop();
                }),
            ),
            (
                "doubled",
                change(&|all| {
                    let values = all[at].values.repeat(2);
                    all[at].values = values;
                }),
            ),
            ("not critical", change(&|all| all[at].flags = 0)),
            ("with flags", change(&|all| all[at].flags |= 1 << 31)),
        ];
        for (what, columns) in &lies {
            refused(&name(what), columns, &[Malformed]);
        }
        for length in [u64::MAX, 1 << 63, 1 << 32, u64::MAX - 15] {
            let columns = change(&|all| all[at].length = Some(length));
            refused(&name("too long"), &columns, &[Malformed]);
        }
    }
    let mut columns = honest.clone();
    columns.push(Column::new(65, vec![0]));
    refused("unknown, critical", &columns, &[Unsupported]);
    let mut columns = honest;
    columns.last_mut().unwrap().number = 29;
    refused("owners last", &columns, &[Malformed]);
}

#[test]
fn an_empty_starred_column_is_refused() {
    let arena = Arena::new();
    let mut plain = Rows::default();
    plain.entry(FOLDER, 0, b"d", 0o755);
    for number in [21, 22, 23, 24, 25, 26, 27, 28, 29, 48, 49, 50, 51, 52, 64] {
        let mut columns = plain.columns();
        columns.push(Column::new(number, Vec::new()));
        let bytes = Parts::new(manifest(&tables(&columns)), &[]).bytes();
        let name = format!("empty column {number}");
        is_refused(&arena, &name, &bytes, &[Malformed], Reading::Manifest);
    }
    for cut in [0, 1, 15, 16, 17] {
        let bytes = Parts::new(manifest(&tables(&plain.columns())[..cut]), &[]).bytes();
        is_refused(&arena, "cut", &bytes, &[Malformed], Reading::Manifest);
    }
}

#[test]
fn entries_that_lie_are_refused() {
    let cases: &[RowLie] = &[
        ("parent itself", &[Malformed], |rows| rows.parents[0] = 1),
        ("parent behind", &[Malformed], |rows| rows.parents[0] = 2),
        ("parent past the end", &[Malformed], |rows| {
            rows.parents[1] = 99;
        }),
        ("parent u32::MAX", &[Malformed], |rows| {
            rows.parents[1] = u32::MAX;
        }),
        ("parent a file", &[Malformed], |rows| rows.parents[2] = 2),
        ("parent a link", &[Malformed], |rows| rows.parents[4] = 4),
        ("hard link to a folder", &[Malformed], |rows| {
            rows.firsts[0] = 0;
        }),
        ("hard link to a link", &[Malformed], |rows| {
            rows.firsts[0] = 3;
        }),
        ("hard link to itself", &[Malformed], |rows| {
            rows.firsts[0] = 4;
        }),
        ("hard link to one behind", &[Malformed], |rows| {
            rows.firsts[0] = 5;
        }),
        ("hard link to none", &[Malformed], |rows| {
            rows.firsts[0] = u32::MAX;
        }),
        ("hard link to a hard link", &[Malformed], |rows| {
            rows.entry(HARD_LINK, 0, b"i", 0o644);
            rows.firsts.push(4);
        }),
        ("content past the end", &[Malformed], |rows| {
            rows.content_numbers[0] = 3;
        }),
        ("content u32::MAX", &[Malformed], |rows| {
            rows.content_numbers[0] = u32::MAX;
        }),
        ("content unused", &[Malformed], |rows| {
            rows.content_numbers[1] = 0;
        }),
        ("kind 5", &[Malformed], |rows| rows.kinds[0] |= 1 << 5),
        ("kind bit 7", &[Malformed], |rows| rows.kinds[0] |= 1 << 7),
        ("kind without value", &[Malformed], |rows| {
            rows.kinds[0] = FILE;
        }),
        ("kind without rest", &[Malformed], |rows| {
            rows.kinds[1] = FOLDER;
        }),
        ("a folder's hint", &[Malformed], |rows| {
            rows.kinds[0] |= 1 << 2;
        }),
        ("a file's hint", &[Malformed], |rows| {
            rows.kinds[1] |= 2 << 2;
        }),
        ("hint 3", &[Malformed], |rows| rows.kinds[3] = LINK | 3 << 2),
        ("no time", &[Malformed], |rows| rows.kinds[0] = FOLDER),
        ("one time more", &[Malformed], |rows| {
            rows.kinds[1] |= HAS_TIME;
        }),
        ("mode", &[Malformed], |rows| rows.modes[1] = 0o10000),
        ("nanoseconds", &[Malformed], |rows| {
            rows.nanoseconds[0] = 1_000_000_000;
        }),
        ("no target", &[Malformed], |rows| rows.targets[0].clear()),
        ("long target", &[Malformed], |rows| {
            rows.targets[0] = vec![b'x'; 4096];
        }),
        ("attribute", &[Malformed], |rows| {
            rows.attributes[0].1 = b"trusted.a".to_vec();
        }),
        ("attribute without name", &[Malformed], |rows| {
            rows.attributes[0].1.clear();
        }),
        ("attribute of none", &[Malformed], |rows| {
            rows.attributes[0].0 = 7;
        }),
        ("attribute twice", &[Malformed], |rows| {
            rows.attributes.push(rows.attributes[0].clone());
        }),
        ("attributes backwards", &[Malformed], |rows| {
            rows.attributes.push((0, b"user.a".to_vec(), Vec::new()));
        }),
        ("attribute with NUL", &[Malformed], |rows| {
            rows.attributes[0].1 = b"user.a\0b".to_vec();
        }),
    ];
    lies(cases, Reading::Manifest);
}

#[test]
fn names_that_no_tree_can_have_are_refused() {
    let arena = Arena::new();
    for name in [
        &b""[..],
        b".",
        b"..",
        b"/",
        b"a/b",
        b"/a",
        b"a/",
        b"../victim",
        b"a\0b",
        b"\0",
    ] {
        for at in [0, 1, 3, 4] {
            let mut rows = rows();
            rows.names[at] = name.to_vec();
            let shown = format!("name {name:?} of {at}");
            let bytes = of_rows(&rows).bytes();
            is_refused(&arena, &shown, &bytes, &[Unsafe], Reading::Manifest);
        }
    }
    let cases: &[RowLie] = &[
        ("two files", &[Malformed], |rows| {
            rows.names[6] = b"program".to_vec();
        }),
        ("file and link", &[Malformed], |rows| {
            rows.names[3] = b"program".to_vec();
        }),
        ("folder and link", &[Malformed], |rows| {
            rows.names[3] = b"d".to_vec();
        }),
        ("two names of one file", &[Malformed], |rows| {
            rows.names[4] = b"a".to_vec();
        }),
        ("two folders", &[Malformed], |rows| {
            rows.entry(FOLDER, 0, b"d", 0o755);
        }),
    ];
    lies(cases, Reading::Manifest);
}

#[test]
fn targets_that_lead_out_are_refused() {
    let arena = Arena::new();
    for target in [
        &b"/etc/passwd"[..],
        b"..",
        b"../victim",
        b"d/../../victim",
        b"a\0b",
    ] {
        let mut rows = rows();
        rows.targets[0] = target.to_vec();
        let bytes = of_rows(&rows).bytes();
        for source in BOTH {
            arena.prepare(Before::Nothing);
            let name = format!("target {target:?}");
            let result = arena.extract(&bytes, *source, &Options::default(), &name);
            let error = result.expect_err(&name);
            let is_known = matches!(error.kind(), Unsafe | Malformed);
            assert!(is_known, "{name}: {error:?}");
        }
    }
}

#[test]
fn contents_that_lie_are_refused() {
    let cases: &[RowLie] = &[
        ("size 2^63", &[Malformed], |rows| rows.sizes[0] = 1 << 63),
        ("size u64::MAX", &[Malformed], |rows| {
            rows.sizes[0] = u64::MAX;
        }),
        ("sizes overflow", &[Malformed], |rows| {
            rows.sizes[..2].fill(i64::MAX as u64);
            rows.sizes[2] = i64::MAX as u64;
            rows.extents.clear();
        }),
        ("size less", &[Malformed], |rows| rows.sizes[0] = 4),
        ("size more", &[Malformed], |rows| rows.sizes[0] = 6),
        ("block of 0", &[Malformed], |rows| rows.blocks[2] = 0),
        ("block less", &[Malformed], |rows| rows.blocks[2] = 34),
        ("block more", &[Malformed], |rows| rows.blocks[2] = 36),
        ("block over 16 MiB", &[Malformed], |rows| {
            rows.blocks[2] = (16 << 20) + 1;
            rows.sizes[0] = u64::from(rows.blocks[2]) - 30;
        }),
        ("block of 4 GiB", &[Malformed], |rows| {
            rows.blocks[2] = u32::MAX;
        }),
        ("extents overlap", &[Malformed], |rows| {
            rows.extents[1].1 = 4105;
        }),
        ("extents touch", &[Malformed], |rows| {
            rows.extents[1].1 = 4106;
        }),
        ("extents backwards", &[Malformed], |rows| {
            rows.extents.swap(0, 1);
        }),
        ("extent past the end", &[Malformed], |rows| {
            rows.extents[1].1 = SPARSE - 19;
        }),
        ("extent overflows", &[Malformed], |rows| {
            rows.extents[1].1 = u64::MAX - 5;
        }),
        ("extent of 2^63", &[Malformed], |rows| {
            rows.extents[1].2 = 1 << 63;
        }),
        ("extent empty", &[Malformed], |rows| {
            rows.extents.push((2, 150_000, 0));
        }),
        ("extent empty, first", &[Malformed], |rows| {
            rows.extents.insert(0, (2, 0, 0));
        }),
        ("extent of none", &[Malformed], |rows| {
            rows.extents.push((3, 0, 0));
        }),
        ("extents of others", &[Malformed], |rows| {
            rows.extents.push((0, 0, 5));
        }),
        ("extent is all", &[Malformed], |rows| {
            rows.extents.insert(0, (0, 0, 5));
        }),
        ("filter unknown", &[Unsupported], |rows| rows.filters[1] = 4),
        ("filter 255", &[Unsupported], |rows| rows.filters[0] = 255),
        ("filter without range", &[Malformed], |rows| {
            rows.filters[0] = 1;
        }),
        ("range without filter", &[Malformed], |rows| {
            rows.filters[1] = 0;
        }),
        ("range of nothing", &[Malformed], |rows| {
            rows.filtered[0] = [100, 0];
        }),
        ("range past the end", &[Malformed], |rows| {
            rows.filtered[0] = [100, 2901];
        }),
        ("range behind the end", &[Malformed], |rows| {
            rows.filtered[0] = [3000, 1];
        }),
        ("range overflows", &[Malformed], |rows| {
            rows.filtered[0] = [100, u64::MAX - 50];
        }),
        ("range in the hole", &[Malformed], |rows| {
            rows.filters[2] = 1;
            rows.filtered.push([0, SPARSE]);
        }),
    ];
    lies(cases, Reading::Manifest);
}
