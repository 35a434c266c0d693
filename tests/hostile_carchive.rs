//! Hostile packages of PyInstaller's: what the cookie, the table of contents and
//! the data say. Upstream's loader checks none of it. Every program is extracted
//! on 1, 2 and 16 threads, into nothing and into a folder that stands, converted
//! and listed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::ops::ControlFlow;

use bundlecp::ErrorKind::{self, LimitExceeded, Malformed, Truncated, UnknownFormat, Unsafe};
use bundlecp::extract::{Limits, Options};
use bundlecp::list::list;
use common::snapshot::Kind;
use hostile::arena::{
    Arena, Before, Case, Expected, JOBS, Source, anything, case, convert_from, run_from,
};
use hostile::carchive::{Around, Entry, magic, program, program_with, put};

/// What has to be said of a program, and why it is refused.
type Row = (&'static str, Vec<u8>, ErrorKind, &'static str);

/// Whether listing refuses, too.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Listing {
    Refused,
    /// Only the plan or the content is at fault.
    Fine,
}

fn file() -> Entry {
    Entry::file(b"f", b"content")
}

fn row(name: &'static str, entry: Entry, kind: ErrorKind, says: &'static str) -> Row {
    (
        name,
        program(&[entry, Entry::file(b"other", b"x")]),
        kind,
        says,
    )
}

/// Extracts and converts every program, and looks at what is said.
#[track_caller]
fn refused(listing: Listing, rows: Vec<Row>) {
    let arena = Arena::new();
    for (name, bytes, kind, says) in rows {
        let kinds: &'static [ErrorKind] = vec![kind].leak();
        let case = Case {
            name,
            bytes,
            expected: Expected::Refused(kinds),
        };
        run_from(&arena, &case, Source::File);
        convert_from(&arena, &case, Source::File);
        arena.prepare(Before::Nothing);
        let error = arena.extract(&case.bytes, Source::File, &Options::default(), name);
        let cause = error.unwrap_err().cause();
        assert!(
            cause.contains(says),
            "{name}: `{cause}` instead of `{says}`"
        );
        let listed = list(&arena.archive(&case.bytes), &mut |_| {
            ControlFlow::Continue(())
        });
        match (listing, listed) {
            (Listing::Fine, Ok(_)) => {}
            (Listing::Refused, Err(error)) => {
                let cause = error.cause();
                assert!(
                    cause.contains(says),
                    "{name}: `{cause}` instead of `{says}`"
                );
            }
            (_, listed) => panic!("{name}: listed as {listed:?}"),
        }
    }
}

#[track_caller]
fn fine(cases: &[Case]) {
    let arena = Arena::new();
    for case in cases {
        run_from(&arena, case, Source::File);
        convert_from(&arena, case, Source::File);
    }
}

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

#[test]
fn a_cookie_with_other_numbers_is_refused() {
    let with = |name, change: fn(&mut Around), kind, says| {
        let mut around = Around::default();
        change(&mut around);
        (name, program_with(&[file()], &around), kind, says)
    };
    let outside = "its table of contents would lie outside of its package";
    refused(
        Listing::Refused,
        vec![
            with(
                "no length",
                |a| a.length = Some(0),
                Malformed,
                "shorter than its own cookie",
            ),
            with(
                "length of 87",
                |a| a.length = Some(87),
                Malformed,
                "shorter than its own cookie",
            ),
            with(
                "length past the start",
                |a| a.length = Some(1 << 20),
                Malformed,
                "longer than the file",
            ),
            with(
                "largest length",
                |a| a.length = Some(u32::MAX),
                Malformed,
                "longer than the file",
            ),
            with(
                "offset in the cookie",
                |a| a.toc_offset = Some(8),
                Malformed,
                outside,
            ),
            with(
                "largest offset",
                |a| a.toc_offset = Some(u32::MAX),
                Malformed,
                outside,
            ),
            with(
                "table into the cookie",
                |a| a.toc_length = Some(33),
                Malformed,
                outside,
            ),
            with(
                "largest table",
                |a| a.toc_length = Some(u32::MAX),
                Malformed,
                outside,
            ),
            with(
                "both together overflow",
                |a| (a.toc_offset, a.toc_length) = (Some(u32::MAX), Some(u32::MAX)),
                Malformed,
                outside,
            ),
            (
                "cut short",
                {
                    let bytes = program_with(
                        &[file()],
                        &Around {
                            behind: vec![],
                            ..Around::default()
                        },
                    );
                    bytes[..bytes.len() - 1].to_vec()
                },
                Truncated,
                "the cookie of its package is cut short",
            ),
            (
                "a later place that only looks like one",
                program_with(
                    &[file()],
                    &Around {
                        behind: [&magic(0x0c)[..], &[0xff; 200]].concat(),
                        ..Around::default()
                    },
                ),
                Malformed,
                "longer than the file",
            ),
        ],
    );
}

#[test]
fn a_table_that_isnt_one_is_refused() {
    let e = |name, change: fn(&mut Entry), says| row(name, file().change(change), Malformed, says);
    let more = |name, bytes: &[u8], says| {
        let around = Around {
            more_toc: bytes.to_vec(),
            ..Around::default()
        };
        (name, program_with(&[file()], &around), Malformed, says)
    };
    let mut endless = Vec::new();
    put(&mut endless, &[0; 8]);
    let unknown =
        |name, change: fn(&mut Entry), says| row(name, file().change(change), UnknownFormat, says);
    refused(
        Listing::Refused,
        vec![
            e(
                "length 0",
                |e| e.length = Some(0),
                "entry 1 of its table of contents says that it has no bytes",
            ),
            more(
                "length 0 at the end",
                &endless,
                "entry 2 of its table of contents says that it has no bytes",
            ),
            e("length 16", |e| e.length = Some(16), "ends before its name"),
            e("length 18", |e| e.length = Some(18), "ends before its name"),
            e("length 31", |e| e.length = Some(31), "no multiple of 16"),
            e(
                "longer than the table",
                |e| e.length = Some(4096),
                "longer than the rest of the table",
            ),
            e(
                "largest length",
                |e| e.length = Some(u32::MAX - 15),
                "longer than the rest of the table",
            ),
            more(
                "half an entry",
                &[0; 17],
                "ends with the table before its name",
            ),
            e(
                "no NUL",
                |e| e.padding = Some(vec![b'x'; 13]),
                "a name without an end",
            ),
            e(
                "bytes behind the NUL",
                |e| e.padding = Some(b"\0hidden\0\0\0\0\0\0".to_vec()),
                "other bytes than NULs",
            ),
            e(
                "no name",
                |e| (e.name, e.padding) = (vec![], Some(vec![0; 14])),
                "has no name",
            ),
            e("not UTF-8", |e| e.name = b"\xff".to_vec(), "isn't UTF-8"),
            e("Latin-1", |e| e.name = b"caf\xe9".to_vec(), "isn't UTF-8"),
            unknown(
                "unknown type",
                |e| e.kind = b'q',
                "of a type that isn't known here: `q`",
            ),
            unknown(
                "type of no character",
                |e| e.kind = 0x1b,
                "of a type that isn't known here",
            ),
            unknown(
                "compression 2",
                |e| e.compressed = 2,
                "compressed in a way that isn't known here: 2",
            ),
            unknown(
                "compression 255",
                |e| e.compressed = 255,
                "isn't known here: 255",
            ),
        ],
    );
}

#[test]
fn data_elsewhere_is_refused() {
    let e = |name, change: fn(&mut Entry), says| row(name, file().change(change), Malformed, says);
    let outside = "member `f`: its data would lie outside of the package's";
    let overlaps = "its data overlaps that of another";
    let two = |name, second: Entry| (name, program(&[file(), second]), Malformed, overlaps);
    let inner = |change: fn(&mut Entry)| Entry::file(b"g", b"abc").change(change);
    let sized = |name, entry: Entry, says| row(name, entry, Malformed, says);
    let text = || Entry::file(b"f", &[b'x'; 5000]).compressed();
    refused(
        Listing::Refused,
        vec![
            e("offset in the table", |e| e.offset = Some(2), outside),
            e("largest offset", |e| e.offset = Some(u32::MAX), outside),
            e(
                "largest size",
                |e| (e.stored, e.size) = (Some(u32::MAX), u32::MAX),
                outside,
            ),
            e(
                "into the table",
                |e| (e.stored, e.size) = (Some(9), 9),
                outside,
            ),
            two("same data", inner(|e| e.offset = Some(0))),
            (
                "an empty one between",
                program(&[
                    file(),
                    Entry::file(b"empty", b"").change(|e| e.offset = Some(3)),
                    inner(|e| e.offset = Some(6)),
                ]),
                Malformed,
                overlaps,
            ),
            two("last byte of the one before", inner(|e| e.offset = Some(6))),
            (
                "a script's data",
                program(&[
                    Entry::new(b's', b"main", b"code"),
                    file().change(|e| (e.offset, e.stored, e.size) = (Some(0), Some(4), 4)),
                ]),
                Malformed,
                overlaps,
            ),
            e(
                "not compressed, larger",
                |e| e.size = 8,
                "its two sizes differ",
            ),
            e(
                "not compressed, smaller",
                |e| e.size = 6,
                "its two sizes differ",
            ),
            sized(
                "a bomb's size",
                text().change(|e| e.size = u32::MAX),
                "more content than its data can hold",
            ),
            sized(
                "size of no data",
                Entry::file(b"f", b"").change(|e| (e.compressed, e.size) = (1, 1)),
                "more content than its data can hold",
            ),
        ],
    );
}

#[test]
fn content_that_isnt_what_was_declared_is_refused() {
    let text = || Entry::file(b"f", &[b'x'; 5000]).compressed();
    let large = || Entry::file(b"f", &vec![b'x'; 9 << 20]).compressed();
    let cut = |entry: Entry, by: usize| entry.change(|e| e.data.truncate(e.data.len() - by));
    let grown = |entry: Entry, by: &[u8]| entry.change(|e| e.data.extend(by));
    let wrong = |name, entry, says| row(name, entry, Malformed, says);
    let mut rows = Vec::new();
    for entry in [text(), large()] {
        let sum = entry.data[entry.data.len() - 4..].to_vec();
        let other = |change: fn(&mut Entry)| entry.clone().change(change);
        rows.extend([
            wrong(
                "less than declared",
                other(|e| e.size += 1),
                "member `f`: it has less content than it declares",
            ),
            wrong(
                "more than declared",
                other(|e| e.size -= 1),
                "it has more content than it declares",
            ),
            wrong(
                "much more than declared",
                other(|e| e.size = 1),
                "it has more content than it declares",
            ),
            wrong(
                "nothing declared",
                other(|e| e.size = 0),
                "it has more content than it declares",
            ),
            wrong(
                "bytes behind the stream",
                grown(entry.clone(), b"hidden"),
                "unused bytes behind its zlib stream",
            ),
            wrong(
                "the sum again",
                grown(entry.clone(), &sum),
                "unused bytes behind its zlib stream",
            ),
            wrong(
                "no sum",
                cut(entry.clone(), 4),
                "ends within the zlib stream",
            ),
            wrong(
                "half a sum",
                cut(entry.clone(), 1),
                "ends within the zlib stream",
            ),
            wrong(
                "no end",
                cut(entry.clone(), 7),
                "ends within the zlib stream",
            ),
            wrong(
                "wrong sum",
                other(|e| *e.data.last_mut().unwrap() ^= 1),
                "no zlib stream, or a damaged one",
            ),
            wrong(
                "no stream",
                other(|e| e.data.fill(0xaa)),
                "no zlib stream, or a damaged one",
            ),
            wrong(
                "a dictionary",
                other(|e| (e.data[0], e.data[1]) = (0x78, 0xbb)),
                "no zlib stream, or a damaged one",
            ),
            wrong(
                "without a header",
                other(|e| drop(e.data.drain(..2))),
                "no zlib stream, or a damaged one",
            ),
        ]);
    }
    refused(Listing::Fine, rows);
}

#[test]
fn names_that_lead_out_are_refused() {
    let below = |name, link: &[u8], second: Entry| {
        let entries = [
            Entry::symlink(b"l", link),
            Entry::file(b"d/f", b"x"),
            second,
        ];
        (name, program(&entries), Unsafe, "")
    };
    let out = |name, path: &[u8]| row(name, Entry::file(path, b"x"), Unsafe, "");
    refused(
        Listing::Fine,
        vec![
            out("above", b"../victim"),
            out("..", b".."),
            out("later", b"a/../../victim"),
            out("absolute", b"/victim"),
            out("the root", b"."),
            row(
                "link above",
                Entry::symlink(b"../victim", b"f"),
                Unsafe,
                "leads out",
            ),
            below("below a link", b"..", Entry::file(b"l/victim", b"x")),
            below("data in a linked folder", b"d", Entry::file(b"l/g", b"x")),
            (
                "below a later link",
                program(&[Entry::file(b"l/victim", b"x"), Entry::symlink(b"l", b"..")]),
                Malformed,
                "the name of two members",
            ),
            (
                "below a file",
                program(&[file(), Entry::file(b"f/g", b"x")]),
                Unsafe,
                "below a file",
            ),
            (
                "file over a folder",
                program(&[Entry::file(b"f/g", b"x"), file()]),
                Malformed,
                "the name of two members",
            ),
            (
                "two spellings",
                program(&[file(), Entry::file(b"./f", b"x")]),
                Malformed,
                "the name of two members",
            ),
            row(
                "absolute target",
                Entry::symlink(b"l", b"/etc/passwd"),
                Unsafe,
                "",
            ),
            row(
                "target above",
                Entry::symlink(b"l", b"../victim"),
                Unsafe,
                "",
            ),
        ],
    );
    refused(
        Listing::Refused,
        vec![
            (
                "same name twice",
                program(&[file(), file()]),
                Malformed,
                "member `f`: the name is there twice",
            ),
            (
                "link and file of one name",
                program(&[Entry::symlink(b"f", b"g"), file()]),
                Malformed,
                "the name is there twice",
            ),
        ],
    );
}

#[test]
fn targets_that_are_none_are_refused() {
    let link = |name, change: fn(&mut Entry), says| {
        row(
            name,
            Entry::symlink(b"l", b"other").change(change),
            Malformed,
            says,
        )
    };
    let set = |e: &mut Entry, data: &[u8]| (e.data, e.size) = (data.to_vec(), data.len() as u32);
    let of = |name, data: &[u8], says| {
        let mut entry = Entry::symlink(b"l", b"other");
        set(&mut entry, data);
        row(name, entry, Malformed, says)
    };
    refused(
        Listing::Refused,
        vec![
            of("no NUL", b"other", "has no NUL at its end"),
            of("no bytes", b"", "has no NUL at its end"),
            of("NUL within", b"ot\0her\0", "its target has a NUL"),
            of("two NULs", b"other\0\0", "its target has a NUL"),
            of(
                "4096 bytes and a NUL",
                &[&[b'a'; 4096][..], b"\0"].concat(),
                "more than 4095 bytes",
            ),
            of(
                "a target bomb",
                &vec![b'a'; 5 << 20],
                "more than 4095 bytes",
            ),
            link(
                "compressed",
                |e| *e = Entry::symlink(b"l", b"other").compressed(),
                "a link that is compressed",
            ),
        ],
    );
    refused(
        Listing::Fine,
        vec![(
            "empty",
            program(&[Entry::symlink(b"l", b""), file()]),
            Malformed,
            "",
        )],
    );
    fine(&[case(
        "4095 bytes",
        program(&[
            Entry::symlink(
                b"l",
                &[&[b'a'; 200][..], &b"/a".repeat(1947), b"/"].concat(),
            ),
            file(),
        ]),
        Expected::Contained,
    )]);
}

#[test]
fn what_is_no_whole_bundle_says_so() {
    let code = || {
        vec![
            Entry::new(b's', b"main", b"code"),
            Entry::new(b'z', b"PYZ.pyz", b"PYZ\0"),
        ]
    };
    let option = Entry::new(b'o', b"pyi-contents-directory _internal", b"");
    let beside = Around {
        before: [hostile::carchive::elf(), magic(0x0d).to_vec()].concat(),
        ..Around::default()
    };
    let mut pure = program_with(&[], &beside);
    pure.truncate(beside.before.len());
    let with = |more: Entry| [code(), vec![more]].concat();
    refused(
        Listing::Refused,
        vec![
            (
                "a folder's program",
                program(&with(option)),
                UnknownFormat,
                "it is the program of a PyInstaller folder",
            ),
            (
                "nothing at all",
                program(&[]),
                UnknownFormat,
                "it is the program of a PyInstaller folder",
            ),
            (
                "files of another program",
                program(&[Entry::new(b'd', b"../base:lib/x.so", b""), file()]),
                UnknownFormat,
                "its member `../base:lib/x.so` stands in another program's package",
            ),
            (
                "package beside",
                pure,
                UnknownFormat,
                "in a package beside it",
            ),
            (
                "neither",
                hostile::carchive::elf(),
                UnknownFormat,
                "no archive that is known here",
            ),
        ],
    );
}

#[test]
fn a_pipe_is_told_to_be_saved() {
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let bytes = program(&[file()]);
    let piped = arena.extract(&bytes, Source::Pipe, &Options::default(), "pipe");
    let error = piped.unwrap_err();
    assert_eq!(error.kind(), UnknownFormat);
    assert!(error.hint().unwrap().contains("save it to a file first"));
}

#[test]
fn what_upstream_takes_and_harms_nobody_is_taken() {
    fine(&[
        case(
            "options, scripts and modules that repeat",
            program(&[
                Entry::new(b'o', b"pyi-python-flag W x", b""),
                Entry::new(b'o', b"pyi-python-flag W x", b""),
                Entry::new(b's', b"f", b"code"),
                Entry::new(b'm', b"f", b"code").compressed(),
                Entry::new(b'M', b"..", b"code"),
                Entry::new(b'l', b"splash", b"image"),
                file(),
            ]),
            Expected::Fine(|seen| {
                assert!(seen.0.contains_key(&b"f"[..]));
                assert!(!seen.0.contains_key(&b"splash"[..]));
            }),
        ),
        case(
            "bytes of no entry",
            program(&[file().change(|e| (e.offset, e.stored, e.size) = (Some(1), Some(3), 3))]),
            Expected::Fine(anything),
        ),
        case(
            "empty files within the data of another",
            program(&[
                Entry::file(b"f", &[b'x'; 100]),
                Entry::file(b"empty", b"").change(|e| e.offset = Some(50)),
                Entry::file(b"last", b"").change(|e| e.offset = Some(99)),
            ]),
            Expected::Fine(anything),
        ),
        case(
            "empty files, compressed and not, at one place",
            program(&[
                Entry::file(b"a", b""),
                Entry::file(b"b", b""),
                Entry::file(b"c", b"").compressed(),
            ]),
            Expected::Fine(anything),
        ),
        case(
            "a link to a folder, one that leads nowhere, one in a circle",
            program(&[
                Entry::file(b"d/f", b"x"),
                Entry::symlink(b"l", b"d"),
                Entry::symlink(b"d/up", b"../d/f"),
                Entry::symlink(b"gone", b"nowhere"),
                Entry::symlink(b"circle", b"circle"),
            ]),
            Expected::Fine(|seen| {
                assert!(matches!(&seen.node(b"l").kind, Kind::Link(target) if target == b"d"));
                assert!(
                    matches!(&seen.node(b"d/up").kind, Kind::Link(target) if target == b"../d/f")
                );
            }),
        ),
    ]);
}

#[test]
fn limits_are_kept() {
    let arena = Arena::new();
    let bomb = program(&[Entry::file(b"f", &vec![0; 20 << 20]).compressed()]);
    let many: Vec<Entry> = (0..2000)
        .map(|n| Entry::file(format!("f{n}").as_bytes(), b""))
        .collect();
    let mut limits = [Limits::default(); 3];
    limits[0].ratio = Some(200);
    limits[1].bytes = Some(1 << 20);
    limits[2].entries = Some(1999);
    for (bytes, limits) in [
        (&bomb, limits[0]),
        (&bomb, limits[1]),
        (&program(&many), limits[2]),
    ] {
        for jobs in JOBS {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            (options.jobs, options.limits) = (Some(jobs), limits);
            let result = arena.extract(bytes, Source::File, &options, "limits");
            assert_eq!(result.unwrap_err().kind(), LimitExceeded);
            options.limits = Limits::default();
            arena
                .extract(bytes, Source::File, &options, "no limits")
                .unwrap();
        }
    }
}

#[test]
fn exit_status_and_message_are_those_of_other_archives() {
    let scratch = common::Scratch::new();
    let write = |name: &str, bytes: Vec<u8>| std::fs::write(scratch.path(name), bytes).unwrap();
    write("bad", program(&[file().change(|e| e.length = Some(0))]));
    write("dir", program(&[Entry::new(b's', b"main", b"code")]));
    write("good", program(&[file()]));
    for (arguments, status, stderr) in [
        (
            &["extract", "bad", "-C", "out"][..],
            4,
            "bundlecp: extract `bad`: entry 1 of its table of contents says that it has no bytes\n",
        ),
        (
            &["list", "dir"],
            4,
            "bundlecp: read `dir`: it is the program of a PyInstaller folder, and has none of its files\n\
             hint: the bundle is the folder that it stands in\n",
        ),
        (&["extract", "good", "-C", "out"], 0, ""),
        (&["verify", "good", "out"], 0, ""),
    ] {
        let ran = common::bundlecp(scratch.root(), arguments);
        assert_eq!(
            (ran.status, ran.stderr.as_str()),
            (status, stderr),
            "{arguments:?}"
        );
    }
}
