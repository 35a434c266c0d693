//! Hostile zips: what the directory and the local headers say, what stands
//! between them, names, links and types. Every archive is extracted on 1, 2 and
//! 16 threads, from a file and from a pipe, into nothing and into a folder that
//! stands, as the administrator and as nobody.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use bundlecp::ErrorKind::{
    self, AlreadyExists, Encrypted, LimitExceeded, Malformed, Truncated, UnknownFormat, Unsafe,
    Unsupported,
};
use bundlecp::Existing;
use bundlecp::extract::{Limits, Options};
use common::snapshot::{Kind, Snapshot};
use hostile::arena::{Arena, Before, Case, Expected, JOBS, Source, anything, case, refused, run};
use hostile::zip::{End, Entry, put16, put32, unicode_path, zip, zip_with};

const WRONG: &[ErrorKind] = &[Malformed, Unsafe, Truncated, Unsupported, UnknownFormat];

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

fn file() -> Entry {
    Entry::file(b"f", b"content")
}

fn wrong(name: &'static str, entry: Entry) -> Case {
    refused(name, zip(&[entry, Entry::file(b"other", b"x")]), WRONG)
}

fn mode_of(seen: &Snapshot, path: &str) -> u32 {
    seen.node(path.as_bytes()).mode
}

#[test]
fn names_that_lead_out_are_refused_wherever_they_stand() {
    let mut cases = Vec::new();
    for name in [
        "../victim",
        "..",
        "a/../../victim",
        "/victim",
        "a\0b",
        "./../victim",
    ] {
        let name = name.as_bytes();
        let shown: &'static str = String::from_utf8_lossy(name).into_owned().leak();
        let fine = || Entry::file(b"harmless", b"x");
        cases.push(wrong(shown, Entry::file(name, b"x")));
        cases.push(wrong("folder", Entry::dir(&[name, b"/"].concat())));
        cases.push(wrong("link", Entry::symlink(name, b"x")));
        cases.push(wrong(
            "local name",
            fine().local(|said| said.name = name.to_vec()),
        ));
        cases.push(wrong(
            "central name",
            fine().central(|said| said.name = name.to_vec()),
        ));
        let extra = unicode_path(b"harmless", name);
        cases.push(wrong(
            "Unicode path",
            fine().both(|said| said.extra = extra.clone()),
        ));
        cases.push(wrong(
            "local Unicode path",
            fine().local(|said| said.extra = extra.clone()),
        ));
        cases.push(wrong(
            "central Unicode path",
            fine().central(|said| said.extra = extra.clone()),
        ));
    }
    cases.push(wrong("empty name", Entry::file(b"", b"x")));
    cases.push(wrong("the root", Entry::file(b".", b"x")));
    cases.push(wrong("link at the root", Entry::symlink(b".", b"x")));
    cases.push(wrong("file with a slash", Entry::file(b"f/", b"x")));
    let twice = [Entry::file(b"f", b"1"), Entry::file(b"f", b"2")];
    cases.push(refused("same name twice", zip(&twice), WRONG));
    let spelled = [Entry::file(b"f", b"1"), Entry::file(b"./f", b"2")];
    cases.push(refused("two spellings", zip(&spelled), WRONG));
    let below = [Entry::file(b"f", b"1"), Entry::file(b"f/g", b"2")];
    cases.push(refused("below a file", zip(&below), WRONG));
    run(&cases);
}

#[test]
fn deep_and_long_names_end_in_an_error() {
    hostile::arena::on_a_large_stack(|| {
        let deep = |levels: usize| {
            let name: Vec<u8> = b"d/".repeat(levels - 1).into_iter().chain(*b"f").collect();
            zip(&[Entry::file(&name, b"x")])
        };
        run(&[
            case("1024 levels", deep(1024), Expected::Fine(anything)),
            refused("1025 levels", deep(1025), &[Unsafe]),
            refused("20,000 levels", deep(20_000), &[Unsafe]),
            refused(
                "long name",
                zip(&[Entry::file(&[b'n'; 256], b"x")]),
                &[ErrorKind::BadName, Unsafe],
            ),
        ]);
    });
}

#[test]
fn links_are_judged_and_never_followed() {
    let two = |name, first, second| refused(name, zip(&[first, second]), WRONG);
    let out = |name: &'static str, target: &[u8]| {
        refused(name, zip(&[Entry::symlink(b"l", target)]), &[Unsafe])
    };
    run(&[
        out("absolute", b"/etc/passwd"),
        out("beside", b"../beside/victim"),
        out("missing then out", b"no/../../x"),
        refused("empty target", zip(&[Entry::symlink(b"l", b"")]), WRONG),
        refused(
            "NUL in target",
            zip(&[Entry::symlink(b"l", b"a\0b")]),
            WRONG,
        ),
        refused(
            "target of 4096",
            zip(&[Entry::symlink(b"l", &[b'a'; 4096])]),
            WRONG,
        ),
        refused(
            "target bomb",
            zip(&[Entry::symlink(b"l", &vec![b'a'; 50 << 20]).deflated()]),
            WRONG,
        ),
        refused(
            "target that declares little",
            zip(&[Entry::symlink(b"l", &vec![b'a'; 1 << 20])
                .deflated()
                .both(|said| said.size = 10)]),
            WRONG,
        ),
        two(
            "below a link",
            Entry::symlink(b"l", b".."),
            Entry::file(b"l/victim", b"x"),
        ),
        two(
            "below a later link",
            Entry::file(b"l/victim", b"x"),
            Entry::symlink(b"l", b".."),
        ),
        two(
            "folder at a link",
            Entry::symlink(b"l", b"../beside"),
            Entry::dir(b"l/"),
        ),
        two(
            "file at a link",
            Entry::symlink(b"l", b"../victim"),
            Entry::file(b"l", b"x"),
        ),
        two(
            "physically out",
            Entry::symlink(b"a/b/c", b".."),
            Entry::symlink(b"l", b"a/b/c/../../victim"),
        ),
        case(
            "deflated link",
            zip(&[Entry::symlink(b"l", b"f").deflated(), file()]),
            Expected::Fine(|seen| {
                assert!(matches!(&seen.node(b"l").kind, Kind::Link(target) if target == b"f"));
            }),
        ),
        case(
            "link mode by DOS is a file",
            zip(&[Entry::symlink(b"l", b"../victim").change(|entry| entry.made_by = 20)]),
            Expected::Fine(|seen| assert!(matches!(seen.node(b"l").kind, Kind::File { .. }))),
        ),
        wrong("link by a name with a slash", Entry::symlink(b"l/", b"f")),
    ]);
}

#[test]
fn types_and_modes_are_tamed() {
    let mut cases = Vec::new();
    for (name, mode) in [
        ("FIFO", 0o010_644),
        ("character device", 0o020_644),
        ("block device", 0o060_644),
        ("socket", 0o140_644),
    ] {
        cases.push(refused(
            name,
            zip(&[Entry::with_mode(b"x", b"", mode)]),
            WRONG,
        ));
    }
    cases.push(refused(
        "folder by mode, file by name",
        zip(&[Entry::with_mode(b"x", b"", 0o040_755)]),
        WRONG,
    ));
    cases.push(case(
        "special bits",
        zip(&[
            Entry::with_mode(b"x", b"x", 0o107_777),
            Entry::with_mode(b"d/", b"", 0o047_777),
        ]),
        Expected::Fine(|seen| {
            assert_eq!(mode_of(seen, "x") & !0o755, 0);
            assert_eq!(mode_of(seen, "d") & !0o755, 0);
        }),
    ));
    cases.push(case(
        "no access",
        zip(&[
            Entry::with_mode(b"d/", b"", 0o040_000),
            Entry::with_mode(b"d/f", b"x", 0o100_000),
        ]),
        Expected::Fine(|seen| {
            assert_eq!(mode_of(seen, "d"), 0);
            assert_eq!(mode_of(seen, "d/f"), 0);
        }),
    ));
    cases.push(case(
        "no access, and no write",
        zip(&[
            Entry::with_mode(b"d/", b"", 0o040_555),
            Entry::with_mode(b"d/f", b"x", 0o100_444),
            Entry::symlink(b"d/l", b"f"),
        ]),
        Expected::Fine(|seen| assert_eq!(mode_of(seen, "d"), 0o555)),
    ));
    run(&cases);
}

#[test]
fn a_local_header_that_disagrees_is_refused() {
    let deflated = || Entry::file(b"f", &[b'x'; 1000]).deflated();
    run(&[
        wrong("name", file().local(|said| said.name = b"g".to_vec())),
        wrong(
            "longer name",
            file().local(|said| said.name = b"ff".to_vec()),
        ),
        wrong("method", deflated().local(|said| said.method = 0)),
        wrong("CRC", file().local(|said| said.crc ^= 1)),
        wrong("central CRC", file().central(|said| said.crc ^= 1)),
        wrong("CRC of both", file().both(|said| said.crc ^= 1)),
        wrong("size", file().local(|said| said.size += 1)),
        wrong("packed size", deflated().local(|said| said.packed += 1)),
        wrong("central size", deflated().central(|said| said.size += 1)),
        wrong(
            "both sizes too large",
            deflated().both(|said| said.size += 1),
        ),
        wrong(
            "both sizes too small",
            deflated().both(|said| said.size -= 1),
        ),
        wrong("flags", file().local(|said| said.flags = 8)),
        wrong(
            "size 0 in the header without a descriptor",
            file().local(|said| (said.size, said.packed, said.crc) = (0, 0, 0)),
        ),
        wrong("patched data", file().both(|said| said.flags = 1 << 5)),
        wrong("unknown method", deflated().both(|said| said.method = 42)),
        wrong("Zip64 sizes that differ", {
            let mut extra = Vec::new();
            put16(&mut extra, &[1, 16]);
            put32(&mut extra, &[7, 0, 1, 0]);
            file().local(|said| {
                (said.size, said.packed) = (u32::MAX, u32::MAX);
                said.extra = extra.clone();
            })
        }),
        wrong(
            "extra field past its end",
            file().both(|said| {
                said.extra = Vec::new();
                put16(&mut said.extra, &[0x1234, 100]);
            }),
        ),
        refused(
            "encrypted",
            zip(&[file().both(|said| said.flags = 1)]),
            &[Encrypted],
        ),
        refused(
            "AES",
            zip(&[file().both(|said| said.method = 99)]),
            &[Encrypted],
        ),
        refused(
            "strongly encrypted",
            zip(&[file().both(|said| said.flags = 1 | 1 << 6)]),
            &[Encrypted],
        ),
        wrong("another disk", file().change(|entry| entry.disk = 1)),
    ]);
}

#[test]
fn bytes_that_belong_to_no_member_are_refused() {
    let members = || [file(), Entry::file(b"g", b"more")];
    let with = |name: &'static str, change: fn(&mut End)| {
        let mut end = End::default();
        change(&mut end);
        refused(
            name,
            zip_with(&members(), &end),
            &[Malformed, Truncated, Unsafe, UnknownFormat, Unsupported],
        )
    };
    let inner = zip(&[Entry::file(b"smuggled", b"x")]);
    let arena = Arena::new();
    // In front of a file, something else may stand: self-extracting archives.
    for prefix in [b"#!/bin/sh\n".to_vec(), vec![0; 100], inner.clone()] {
        arena.prepare(Before::Nothing);
        let end = End {
            prefix,
            ..End::default()
        };
        let bytes = zip_with(&members(), &end);
        let _ = arena.extract(&bytes, Source::File, &Options::default(), "prefix");
        assert!(!arena.extracted().0.contains_key(&b"smuggled"[..]));
        arena.prepare(Before::Nothing);
        let piped = arena.extract(&bytes, Source::Pipe, &Options::default(), "prefix");
        assert!(piped.is_err());
    }
    run(&[
        refused(
            "gap between",
            zip(&[
                file(),
                file()
                    .both(|said| said.name = b"g".to_vec())
                    .change(|entry| entry.gap = vec![0; 10]),
            ]),
            WRONG,
        ),
        refused(
            "a member that the directory leaves out",
            zip_with(
                &[file().change(|entry| entry.behind = inner[..inner.len() - 76].to_vec())],
                &End::default(),
            ),
            WRONG,
        ),
        with("gap before the directory", |end| end.gap = vec![0; 10]),
        with("gap behind the directory", |end| {
            end.before_end = vec![0; 10];
        }),
        with("bytes behind the end", |end| end.behind = vec![1; 10]),
        with("count too low", |end| end.count = Some(1)),
        with("count too high", |end| end.count = Some(3)),
        with("count modulo 65536", |end| end.count = Some(0)),
        with("count of this disk", |end| end.count_here = Some(1)),
        with("directory size", |end| end.size = Some(10)),
        with("directory start", |end| end.start = Some(1)),
        with("directory start past the end", |end| {
            end.start = Some(u32::MAX - 1);
        }),
        with("another disk", |end| end.disk = 1),
        with("end record in the comment", |end| {
            end.comment = b"PK\x05\x06".repeat(6);
            end.comment.truncate(22);
        }),
        refused(
            "whole archive in the comment",
            zip_with(
                &members(),
                &End {
                    comment: inner.clone(),
                    ..End::default()
                },
            ),
            WRONG,
        ),
        refused("two archives", [zip(&members()), inner].concat(), WRONG),
    ]);
}

#[test]
fn members_that_overlap_are_refused() {
    let kernel = hostile::zip::deflate(&vec![0; 1 << 20]);
    let quine = |number: u32| {
        Entry::file(format!("f{number}").as_bytes(), &vec![0; 1 << 20])
            .deflated()
            .change(|entry| {
                entry.offset = Some(0);
                if number > 0 {
                    entry.data.clear();
                }
            })
    };
    let _ = kernel;
    let all: Vec<Entry> = (0..100).map(quine).collect();
    run(&[
        refused("all at one place", zip(&all), WRONG),
        refused(
            "twice the same header",
            zip(&[file(), file().change(|entry| entry.offset = Some(0))]),
            WRONG,
        ),
        refused(
            "header inside another's content",
            {
                let inner = zip(&[Entry::file(b"g", b"x")]);
                let outer = Entry::file(b"f", &inner);
                zip(&[
                    outer,
                    Entry::file(b"g", b"x").change(|entry| entry.offset = Some(31)),
                ])
            },
            WRONG,
        ),
        refused(
            "offset past the end",
            zip(&[file().change(|entry| entry.offset = Some(1 << 30))]),
            WRONG,
        ),
    ]);
}

#[test]
fn content_that_isnt_what_was_declared_is_refused() {
    let text = [b'x'; 5000];
    let deflated = || Entry::file(b"f", &text).deflated();
    let grown = |by: usize| {
        deflated().change(|entry| {
            entry.data.resize(entry.data.len() + by, 0);
            let packed = entry.data.len() as u32;
            entry.local.packed = packed;
            entry.central.packed = packed;
        })
    };
    run(&[
        wrong(
            "damaged data",
            deflated().change(|entry| entry.data[2] ^= 0x55),
        ),
        wrong(
            "cut data",
            deflated().change(|entry| {
                entry.data.truncate(entry.data.len() - 2);
                let packed = entry.data.len() as u32;
                entry.local.packed = packed;
                entry.central.packed = packed;
            }),
        ),
        wrong(
            "size of 4 GiB",
            deflated().both(|said| said.size = u32::MAX - 1),
        ),
        wrong(
            "size of 0",
            deflated().both(|said| (said.size, said.crc) = (0, 0)),
        ),
    ]);
    let arena = Arena::new();
    // A pipe tells of bytes behind the end of the data; from a file that is
    // left to readers that look for them.
    arena.prepare(Before::Nothing);
    let result = arena.extract(
        &zip(&[grown(30)]),
        Source::Pipe,
        &Options::default(),
        "grown",
    );
    assert!(result.is_err());
}

#[test]
fn links_that_stand_in_the_destination_are_never_followed() {
    let archives = [
        ("file below", zip(&[Entry::file(b"way-out/victim", b"x")])),
        ("folder below", zip(&[Entry::dir(b"way-out/new/")])),
        (
            "folder at",
            zip(&[Entry::with_mode(b"way-out/", b"", 0o040_777)]),
        ),
        ("file at", zip(&[Entry::file(b"way-to-file", b"x")])),
        (
            "link at",
            zip(&[Entry::symlink(b"way-to-file", b"standing/file")]),
        ),
    ];
    let arena = Arena::new();
    for (name, bytes) in &archives {
        for existing in [Existing::Refuse, Existing::Replace, Existing::Merge] {
            for jobs in JOBS {
                for source in [Source::File, Source::Pipe] {
                    arena.prepare(Before::Folder);
                    let mut options = Options::default();
                    options.existing = existing;
                    options.jobs = Some(jobs);
                    let context = format!("{name}, {existing:?}, {jobs} jobs, {source:?}");
                    let result = arena.extract(bytes, source, &options, &context);
                    if existing == Existing::Refuse {
                        assert_eq!(result.unwrap_err().kind(), AlreadyExists, "{context}");
                    }
                }
            }
        }
    }
}

#[test]
fn limits_stop_bombs() {
    let arena = Arena::new();
    let bomb = zip(&[Entry::file(b"bomb", &vec![0; 30 << 20]).deflated()]);
    let many: Vec<Entry> = (0..2000)
        .map(|n| Entry::file(format!("f{n}").as_bytes(), b""))
        .collect();
    let many = zip(&many);
    for source in [Source::File, Source::Pipe] {
        for jobs in JOBS {
            let mut options = Options::default();
            options.jobs = Some(jobs);
            options.limits = Limits::untrusted();
            arena.prepare(Before::Nothing);
            let ratio = arena.extract(&bomb, source, &options, "ratio").unwrap_err();
            assert_eq!(ratio.kind(), LimitExceeded, "{source:?}");
            options.limits = Limits::default();
            options.limits.bytes = Some(1 << 20);
            let bytes = arena.extract(&bomb, source, &options, "bytes").unwrap_err();
            assert_eq!(bytes.kind(), LimitExceeded, "{source:?}");
            options.limits = Limits::default();
            options.limits.entries = Some(1999);
            let entries = arena
                .extract(&many, source, &options, "entries")
                .unwrap_err();
            assert_eq!(entries.kind(), LimitExceeded, "{source:?}");
            options.limits.entries = Some(2000);
            arena
                .extract(&many, source, &options, "as many as may be")
                .unwrap();
        }
    }
}

/// What a pipe can't know beforehand: members whose size stands behind them.
#[test]
fn limits_hold_for_sizes_that_come_later() {
    let content = vec![0; 30 << 20];
    let mut entry = Entry::file(b"bomb", &content)
        .deflated()
        .both(|said| said.flags = 8);
    let sums = entry.central.clone();
    (entry.local.crc, entry.local.packed, entry.local.size) = (0, 0, 0);
    entry.behind.extend(b"PK\x07\x08");
    put32(&mut entry.behind, &[sums.crc, sums.packed, sums.size]);
    let bytes = zip(&[entry]);
    let arena = Arena::new();
    for source in [Source::File, Source::Pipe] {
        arena.prepare(Before::Nothing);
        let context = format!("{source:?}");
        arena
            .extract(&bytes, source, &Options::default(), &context)
            .unwrap();
        arena.prepare(Before::Nothing);
        let mut options = Options::default();
        options.limits.bytes = Some(1 << 20);
        let result = arena.extract(&bytes, source, &options, &context);
        assert_eq!(result.unwrap_err().kind(), LimitExceeded, "{context}");
    }
}
