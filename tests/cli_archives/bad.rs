//! Bad input: the exit status, the one line that names operation, path and
//! cause, the hint, and that nothing was changed or left behind.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use tar::EntryType;

use super::common::build::{self, bundle, file, folder, link};
use super::common::snapshot::Snapshot;
use super::common::{Ran, Scratch, bundlecp};
use super::evil::{self, Evil, data, hardlink, special, symlink};
use super::pipes::with_input;
use super::{FORMATS, packed};

const USAGE: i32 = 2;
const BAD: i32 = 4;
const FAILED: i32 = 5;

struct Case {
    arguments: &'static [&'static str],
    status: i32,
    /// The first line behind `bundlecp: `; its beginning if it ends in `: `.
    says: &'static str,
    /// A part of the hint; empty where none is asked for.
    hint: &'static str,
}

const fn case(
    arguments: &'static [&'static str],
    status: i32,
    says: &'static str,
    hint: &'static str,
) -> Case {
    Case {
        arguments,
        status,
        says,
        hint,
    }
}

const MISSING: &str = "No such file or directory";

#[rustfmt::skip]
const CASES: &[Case] = &[
    case(&["pack", "missing", "-o", "new.tar"], FAILED, "open `missing`: No such file or directory", ""),
    case(&["pack", "file", "-o", "new.tar"], FAILED, "open `file`: Not a directory", "pack takes folders"),
    case(&["pack", "app", "-o", "new.rar"], USAGE, "pack to `new.rar`: no format has this ending", "--format names one of tar, tar.gz"),
    case(&["pack", "app", "-o", "new"], USAGE, "pack to `new`: no format has this ending", "--format"),
    case(&["pack", "app", "-o", "-"], USAGE, "pack to `-`: standard output has no ending that names a format", "--format"),
    case(&["pack", "app", "-o", "-", "--format=tar", "--json"], USAGE, "pack to `-`: standard output can't have the archive and --json", "-o FILE"),
    case(&["pack", "app", "-o", "app.tar"], FAILED, "pack to `app.tar`: exists already", "-f replaces it"),
    case(&["pack", "app", "-fo", "dst", "--format=tar"], FAILED, "pack to `dst`: is a folder", ""),
    case(&["pack", "app", "-o", "no/new.tar"], FAILED, "open `no`: No such file or directory", "mkdir -p"),
    case(&["pack", "app", "-o", "file/new.tar"], FAILED, "open `file`: Not a directory", ""),
    case(&["pack", "app", "-o", "new.tar", "--level=3"], USAGE, "pack `new.tar`: without compression there is no level to choose", "format"),
    case(&["pack", "app", "-o", "new.tgz", "--level=13"], USAGE, "pack `new.tgz`: gzip has levels 1 to 12, 13 is none of them", "level"),
    case(&["pack", "app", "-o", "new.tbz2", "--level=0"], USAGE, "pack `new.tbz2`: bzip2 has levels 1 to 9, 0 is none of them", "level"),
    case(&["pack", "app", "-o", "new.txz", "--level=-1"], USAGE, "pack `new.txz`: xz has levels 0 to 9, -1 is none of them", "level"),
    case(&["pack", "app", "-o", "new.tzst", "--level=23"], USAGE, "pack `new.tzst`: zstd has levels 1 to 22, 23 is none of them", "level"),
    case(&["pack", "app", "two/app", "-o", "new.tar"], USAGE, "pack `two/app`: two folders have this name", ""),
    case(&["pack", "app", "dst", "-o", "new.tar", "--root=x"], USAGE, "pack `dst`: several folders keep their own names", ""),
    case(&["pack", "app", "-o", "new.tar", "--root=../x"], USAGE, "root `../x`: not a name", "--strip-root"),
    case(&["pack", "app", "-o", "new.tar", "--root=/x"], USAGE, "root `/x`: not a name", ""),
    case(&["pack", "app", "-o", "new.tar", "--root="], USAGE, "root ``: not a name", ""),
    case(&["pack", "/", "-o", "new.tar"], USAGE, "pack `/`: has no name of its own", "--root NAME"),
    case(&["pack", "app", "-o", "new.tar", "--exclude=["], USAGE, "exclude `[`: ", ""),
    case(&["pack", "fifo", "-o", "new.tar"], BAD, "read `fifo/pipe`: ", "--skip-special"),
    case(&["extract", "missing.tar"], FAILED, "open `missing.tar`: No such file or directory", ""),
    case(&["extract", "dst"], BAD, "read `dst`: is a folder, not an archive", ""),
    case(&["extract", "file"], BAD, "read `file`: it is no archive that is known here", "tar (plain, gz"),
    case(&["extract", "empty"], BAD, "read `empty`: it is empty", ""),
    case(&["extract", "app.tar", "-C", "file"], FAILED, "extract to `file`: is no folder", ""),
    case(&["extract", "app.tar", "-C", "no/new"], FAILED, "open `no`: No such file or directory", "mkdir -p"),
    case(&["extract", "app.tar", "-C", "file/new"], FAILED, "extract to `file/new`: Not a directory", ""),
    case(&["extract", "app.tar"], FAILED, "extract to `app`: exists already", "-f replaces it"),
    case(&["extract", "app.tar", "-C", "new"], BAD, "extract `app.tar`: its member `app/absolute` ", "--allow-external-links"),
    case(&["extract", "app.tar", "-C", "new", "nope"], FAILED, "extract `app.tar`: no such member: `nope`", "bundlecp list"),
    case(&["extract", "app.tar", "-C", "new", "--max-size=9K"], BAD, "extract `app.tar`: it holds more bytes than the limit allows", "--max-size"),
    case(&["extract", "app.tar", "-C", "new", "--max-entries=3"], BAD, "extract `app.tar`: it holds more members than the limit allows", "--max-entries"),
    case(&["extract", "bomb.tar.gz", "-C", "new", "--max-ratio=100"], BAD, "extract `bomb.tar.gz`: it expands to more than the limit allows", "--max-ratio"),
    case(&["extract", "bomb.tar.gz", "-C", "new", "--untrusted"], BAD, "extract `bomb.tar.gz`: it expands to more than the limit allows", "--max-ratio"),
    case(&["extract", "app.tar", "-C", "new", "--include=["], USAGE, "include `[`: ", ""),
    case(&["extract", "app.tar", "-C", "new", "--exclude=a/{b"], USAGE, "exclude `a/{b`: ", ""),
    case(&["convert", "missing.tar", "new.zip"], FAILED, "open `missing.tar`: No such file or directory", ""),
    case(&["convert", "dst", "new.zip"], BAD, "read `dst`: is a folder, not an archive", ""),
    case(&["convert", "file", "new.zip"], BAD, "read `file`: it is no archive that is known here", "tar (plain, gz"),
    case(&["convert", "app.tar", "new.rar"], USAGE, "convert to `new.rar`: no format has this ending", "--format names one of tar, tar.gz"),
    case(&["convert", "app.tar", "-"], USAGE, "convert to `-`: standard output has no ending that names a format", "--format"),
    case(&["convert", "app.tar", "-", "--format=tar", "--json"], USAGE, "convert to `-`: standard output can't have the archive and --json", "the name of a file"),
    case(&["convert", "app.tar", "app.tar"], FAILED, "convert to `app.tar`: exists already", "-f replaces it"),
    case(&["convert", "app.tar", "-f", "dst", "--format=tar"], FAILED, "convert to `dst`: is a folder", ""),
    case(&["convert", "app.tar", "no/new.tar"], FAILED, "open `no`: No such file or directory", "mkdir -p"),
    case(&["convert", "app.tar", "new.zip"], BAD, "convert `app.tar`: its member `app/absolute` ", "--allow-external-links"),
    case(&["convert", "app.tar", "new.zip", "--max-size=9K"], BAD, "convert `app.tar`: it holds more bytes than the limit allows", "--max-size"),
    case(&["convert", "app.tar", "new.zip", "--max-entries=3"], BAD, "convert `app.tar`: it holds more members than the limit allows", "--max-entries"),
    case(&["convert", "bomb.tar.gz", "new.zip", "--untrusted"], BAD, "convert `bomb.tar.gz`: it expands to more than the limit allows", "--max-ratio"),
    case(&["convert", "app.tar", "new.zip", "--exclude=["], USAGE, "exclude `[`: ", ""),
    case(&["list", "missing.tar"], FAILED, "open `missing.tar`: No such file or directory", ""),
    case(&["list", "dst"], BAD, "read `dst`: is a folder, not an archive", ""),
    case(&["list", "file"], BAD, "read `file`: it is no archive that is known here", "tar (plain, gz"),
    case(&["list", "empty"], BAD, "read `empty`: it is empty", ""),
];

/// What the parser of the arguments finds: the words that it has to name.
const WORDS: &[(&[&str], &str)] = &[
    (&["pack", "app"], "--output"),
    (&["pack", "-o", "new.tar"], "DIR"),
    (&["pack", "app", "-o", "new.tar", "--format=rar"], "rar"),
    (&["pack", "app", "-o", "new.tar", "--level=high"], "high"),
    (&["pack", "app", "-o", "new.tar", "--profile=x"], "x"),
    (
        &["pack", "app", "-o", "new.tar", "--strip-root", "--root=a"],
        "--root",
    ),
    (&["pack", "app", "-o", "new.tar", "--merge"], "--merge"),
    (&["extract"], "FILE"),
    (&["extract", "app.tar", "--merge", "-f"], "--merge"),
    (&["extract", "app.tar", "--max-size=1X"], "1X"),
    (&["extract", "app.tar", "--max-ratio=0"], "0"),
    (&["extract", "app.tar", "--strip-components=-1"], "-1"),
    (&["extract", "app.tar", "--frobnicate"], "--frobnicate"),
    (&["convert", "app.tar"], "OUT"),
    (&["convert", "app.tar", "new.tar", "--merge"], "--merge"),
    (&["list"], "FILE"),
    (&["list", "app.tar", "-l", "--json"], "--json"),
];

fn world() -> Scratch {
    let scratch = Scratch::new();
    bundle(&scratch.path("app"));
    bundle(&scratch.path("two/app"));
    folder(scratch.path("dst"));
    file(scratch.path("dst/kept"), "kept");
    folder(scratch.path("fifo"));
    file(scratch.path("file"), "no archive");
    file(scratch.path("empty"), "");
    let zeros = evil::tar(&[data("zeros", &vec![0; 4 << 20])]);
    file(scratch.path("bomb.tar.gz"), gzip(&zeros));
    build::fifo(scratch.path("fifo/pipe"));
    let pack = ["pack", "-q", "app", "-o", "app.tar"];
    assert_eq!(bundlecp(scratch.root(), &pack).status, 0);
    build::age(scratch.root());
    scratch
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// The tree below `scratch`, without the times of folders in which something
/// may have been made and removed again.
fn seen(scratch: &Scratch) -> Snapshot {
    Snapshot::of(scratch.root()).without_times_of(&[b"", b"dst"])
}

#[track_caller]
fn assert_says(ran: &Ran, status: i32, says: &str, hint: &str) {
    let context = format!("{ran:?}");
    assert_eq!((ran.status, &*ran.stdout), (status, ""), "{context}");
    let mut lines = ran.stderr.lines();
    let first = lines.next().unwrap_or_default().replace("`./", "`");
    let expected = format!("bundlecp: {says}");
    match says.ends_with(' ') {
        true => assert!(first.starts_with(&expected), "{context}, not {expected}"),
        false => assert_eq!(first, expected),
    }
    assert!(!first.ends_with('.'), "{context}");
    if !hint.is_empty() {
        let second = lines.next().unwrap_or_default();
        assert!(
            second.starts_with("hint: ") && second.contains(hint),
            "{context}"
        );
    }
    assert!(lines.all(|line| line.starts_with("hint: ")), "{context}");
}

/// Runs every check in a world of its own, and then names all that failed.
#[track_caller]
fn assert_all<C>(
    cases: impl IntoIterator<Item = C>,
    name: impl Fn(&C) -> String,
    check: impl Fn(&C, &Scratch),
) {
    let passes = |case: &C| {
        let scratch = world();
        let before = seen(&scratch);
        let judged = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            check(case, &scratch);
            before.assert_same(&seen(&scratch), &name(case));
        }));
        judged.is_ok()
    };
    let failed = cases.into_iter().filter(|case| !passes(case));
    let failed: Vec<_> = failed.map(|case| name(&case)).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn what_cannot_be_is_one_line_and_changes_nothing() {
    let name = |case: &&Case| case.arguments.join(" ");
    assert_all(CASES, name, |case, scratch| {
        let ran = bundlecp(scratch.root(), case.arguments);
        assert_says(&ran, case.status, case.says, case.hint);
    });
}

#[test]
fn wrong_arguments_name_the_argument() {
    let name = |case: &&(&[&str], &str)| case.0.join(" ");
    assert_all(WORDS, name, |(arguments, word), scratch| {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!((ran.status, &*ran.stdout), (USAGE, ""), "{ran:?}");
        assert!(ran.stderr.contains(word), "{ran:?}");
    });
}

/// Archives that would do harm, and what is said of them.
fn evil() -> Vec<(&'static str, Vec<Evil>, &'static str)> {
    let fine = || data("fine", b"fine");
    vec![
        (
            "parent",
            vec![fine(), data("../x", b"x")],
            "its member `../x` ",
        ),
        (
            "deep parent",
            vec![fine(), data("a/../../x", b"x")],
            "its member `a/../../x` ",
        ),
        (
            "absolute",
            vec![fine(), data("/tmp/x", b"x")],
            "its member `/tmp/x` ",
        ),
        (
            "below a link",
            vec![symlink("d", "dst"), data("d/x", b"x")],
            "its member `d/x` ",
        ),
        (
            "below a link to a folder of its own",
            vec![
                special("real", EntryType::Directory, ""),
                symlink("d", "real"),
                data("d/x", b"x"),
            ],
            "its member `d/x` ",
        ),
        (
            "below a file",
            vec![fine(), data("fine/x", b"x")],
            "its member `fine/x` ",
        ),
        (
            "link out",
            vec![fine(), symlink("out", "../two")],
            "its member `out` ",
        ),
        (
            "absolute link",
            vec![fine(), symlink("out", "/etc")],
            "its member `out` ",
        ),
        (
            "link out through another",
            vec![symlink("a/up", ".."), symlink("b", "a/up/../x")],
            "its member `b` ",
        ),
        (
            "empty link",
            vec![fine(), symlink("x", "")],
            "`x` is a link without a target",
        ),
        (
            "hard link out",
            vec![fine(), hardlink("x", "../file")],
            "its member `x` ",
        ),
        (
            "absolute hard link",
            vec![fine(), hardlink("x", "/etc/passwd")],
            "its member `x` ",
        ),
        (
            "hard link to what stands",
            vec![fine(), hardlink("x", "kept")],
            "its member `x` ",
        ),
        (
            "hard link to a link",
            vec![symlink("l", "fine"), hardlink("x", "l")],
            "its member `x` ",
        ),
        (
            "twice",
            vec![fine(), data("x", b"1"), data("x", b"2")],
            "its member `x` ",
        ),
        (
            "link, then file",
            vec![symlink("x", "dst/kept"), data("x", b"2")],
            "its member `x` ",
        ),
        (
            "device",
            vec![fine(), special("null", EntryType::Char, "")],
            "`null` is a device",
        ),
        (
            "fifo",
            vec![fine(), special("pipe", EntryType::Fifo, "")],
            "`pipe` is a FIFO",
        ),
    ]
}

#[test]
fn evil_members_are_refused_before_anything_appears() {
    let name = |case: &(&str, _, _)| case.0.to_owned();
    assert_all(evil(), name, |(_, members, says), scratch| {
        let archive = evil::tar(members);
        let outside = tempfile::tempdir().unwrap();
        let path = outside.path().join("evil.tar");
        file(&path, &archive);
        let path = path.to_str().unwrap();
        for out in ["dst", "new"] {
            for option in ["-j1", "--merge", "--replace", "-n"] {
                let ran = bundlecp(scratch.root(), &["extract", path, "-C", out, option]);
                assert_says(&ran, BAD, &format!("extract `{path}`: {says}"), "");
            }
            let extract = ["extract", "-", "-C", out];
            let ran = with_input(scratch.root(), &extract, &gzip(&archive));
            assert_says(&ran, BAD, &format!("extract `standard input`: {says}"), "");
        }
    });
}

#[test]
fn what_stands_is_not_written_through() {
    let scratch = world();
    link(scratch.path("dst/app"), b"../two");
    let before = seen(&scratch);
    let archive = evil::tar(&[data("app/x", b"x")]);
    let extract = ["extract", "-", "-C", "dst", "--merge"];
    let ran = with_input(scratch.root(), &extract, &archive);
    assert_ne!(ran.status, 0);
    before.assert_same(&seen(&scratch), "merge");
    let extract = ["extract", "-", "-C", "dst", "--replace"];
    let ran = with_input(scratch.root(), &extract, &archive);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    assert!(!scratch.path("two/x").exists());
    assert!(scratch.path("dst/app").join("x").exists());
}

#[test]
fn links_that_lead_out_are_made_on_demand_and_nothing_is_written_through_them() {
    let scratch = world();
    let allowed = ["extract", "-", "-C", "new", "--allow-external-links"];
    let archive = evil::tar(&[symlink("out", "../two"), data("fine", b"x")]);
    let ran = with_input(scratch.root(), &allowed, &archive);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    let archive = evil::tar(&[symlink("out", "../two"), data("out/x", b"x")]);
    let ran = with_input(
        scratch.root(),
        &["extract", "-", "-C", "new2", "--allow-external-links"],
        &archive,
    );
    assert_eq!(ran.status, BAD, "{ran:?}");
    assert!(!scratch.path("two/x").exists() && !scratch.path("new2").exists());
}

#[test]
fn evil_members_are_listed_as_they_are() {
    let scratch = Scratch::new();
    for (name, members, _) in evil() {
        let archive = evil::tar(&members);
        let ran = with_input(scratch.root(), &["list", "-"], &archive);
        let expected = match name {
            "device" | "fifo" | "empty link" => BAD,
            _ => 0,
        };
        assert_eq!(ran.status, expected, "{name}: {ran:?}");
        assert!(ran.stdout.lines().count() >= members.len() - usize::from(expected != 0));
    }
}

#[test]
fn archives_that_end_early_or_have_other_bytes_are_refused() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let name = format!("app.{}", format.name);
        let whole = std::fs::read(scratch.path(&name)).unwrap();
        folder(scratch.path("dst"));
        build::age(scratch.root());
        let known = [b"" as &[u8], b"dst", b"bad"];
        let refused = |bytes: &[u8], what: &str| {
            file(scratch.path("bad"), bytes);
            let before = Snapshot::of(scratch.root()).without_times_of(&known);
            let any = "--allow-external-links";
            for out in ["dst", "new"] {
                let ran = bundlecp(scratch.root(), &["extract", "bad", "-C", out, any]);
                assert_eq!(ran.status, BAD, "{format:?} {what}: {ran:?}");
                let ran = with_input(scratch.root(), &["extract", "-", "-C", out, any], bytes);
                assert_eq!(ran.status, BAD, "{format:?} {what}, piped: {ran:?}");
            }
            let after = Snapshot::of(scratch.root()).without_times_of(&known);
            before.assert_same(&after, &format!("{format:?} {what}"));
        };
        for part in [1, 100, whole.len() / 4, whole.len() / 2] {
            refused(&whole[..part], &format!("of {part} bytes"));
        }
        if format.name != "tar" {
            refused(&whole[..whole.len() - 1], "less its last byte");
            let mut other = whole.clone();
            other[whole.len() / 2] ^= 0x55;
            refused(&other, "with another byte");
        }
    }
}

#[test]
fn a_missing_archive_is_named_the_same_by_all() {
    let scratch = Scratch::new();
    for command in ["extract", "list"] {
        let ran = bundlecp(scratch.root(), &[command, "x.tar"]);
        assert_says(&ran, FAILED, &format!("open `x.tar`: {MISSING}"), "");
    }
}
