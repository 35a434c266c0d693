//! Bad input: the exit status, the one line that names operation, path and
//! cause, the hint where something can be done, and that nothing was changed
//! or left behind. A path in a message may have `./` before what was typed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;

use common::build::{self, bundle, file, folder, link, mode};
use common::snapshot::Snapshot;
use common::{Ran, Scratch, bundlecp, is_root, leave_out, names};

/// One bad input. `says` is the first line behind `bundlecp: `.
struct Case {
    arguments: &'static [&'static str],
    status: i32,
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

const USAGE: i32 = 2;
const UNSAFE: i32 = 4;
const FAILED: i32 = 5;
const SPECIAL: &str = "is a device, FIFO or socket, which a bundle can't hold";
const STANDS: &str = "-f replaces it, --merge lays the source over it";

#[rustfmt::skip]
const PATHS: &[Case] = &[
    case(&["-R", "missing", "new"], FAILED, "read `missing`: No such file or directory", ""),
    case(&["pack", "app", "-o", "x.zip", "--apple-attributes"], USAGE, "pack `app`: only tars hold macOS' own attributes", ".tar.zst"),
    case(&["-q", "pack", "app"], USAGE, "copy `pack`: there is no such file", "bundlecp pack [OPTIONS]"),
    case(&["-q", "pack", "app", "-o", "x.zip"], USAGE, "unexpected argument '-o' found", "bundlecp pack [OPTIONS]"),
    case(&["-R", "missing/x", "new"], FAILED, "read `missing/x`: No such file or directory", ""),
    case(&["-R", "missing/.", "new"], FAILED, "open `missing/.`: No such file or directory", ""),
    case(&["-R", "app", "missing", "dst"], FAILED, "read `missing`: No such file or directory", ""),
    case(&["-R", "app", "app/copy"], USAGE, "copy `app`: the copy would stand inside the source", "app/copy"),
    case(&["-R", "app", "app/lib"], USAGE, "copy `app`: the copy would stand inside the source", "app/lib/app"),
    case(&["-R", "app/.", "app/lib"], USAGE, "copy `app/.`: the copy would stand inside the source", "app/lib"),
    case(&["-R", "app", "to-lib"], USAGE, "copy `app`: the copy would stand inside the source", "to-lib/app"),
    case(&["-RT", "app", "app"], USAGE, "copy `app`: the source and the copy are the same", ""),
    case(&["-R", "app", "."], USAGE, "copy `app`: the source and the copy are the same", ""),
    case(&["-fR", "app", "."], USAGE, "copy `app`: the source and the copy are the same", ""),
    case(&["-f", "file", "file"], USAGE, "copy `file`: the source and the copy are the same", ""),
    case(&["-f", "file", "same-file"], USAGE, "copy `file`: the source and the copy are the same", ""),
    case(&["-f", "dangling", "."], USAGE, "copy `dangling`: the source and the copy are the same", ""),
    case(&["-fRT", "app/lib", "app"], USAGE, "copy `app/lib`: the source stands inside what it would replace", ""),
    case(&["-fT", "app/run", "app"], USAGE, "copy `app/run`: the source stands inside what it would replace", ""),
    case(&["-R", "app", "full"], FAILED, "copy to `full/app`: exists already", STANDS),
    case(&["-RT", "app", "dst"], FAILED, "copy to `dst`: exists already", STANDS),
    case(&["-R", "app", "file"], FAILED, "copy to `file`: exists already", STANDS),
    case(&["-R", "app", "dangling"], FAILED, "copy to `dangling`: exists already", STANDS),
    case(&["-R", "app", "no/where"], FAILED, "open `no`: No such file or directory", "mkdir -p"),
    case(&["-R", "app", "file/x"], FAILED, "open `file`: Not a directory", ""),
    case(&["-R", "app", "two/app", "dst"], USAGE, "copy to `dst/app`: two sources have this name", ""),
    case(&["-R", "app", "app", "dst"], USAGE, "copy to `dst/app`: two sources have this name", ""),
    case(&["-R", "app", "file", "nowhere"], FAILED, "copy into `nowhere`: no such folder", "several sources need an existing folder"),
    case(&["-R", "app", "dst", "file"], USAGE, "copy into `file`: is not a folder", "several sources need an existing folder"),
    case(&["-R", "app", "-t", "nowhere"], FAILED, "copy into `nowhere`: no such folder", "mkdir -p"),
    case(&["-R", "app", "-t", "file"], USAGE, "copy into `file`: is not a folder", ""),
    case(&["-RT", "app", "file", "new"], USAGE, "copy to `new`: one name can't be given to several sources", ""),
    case(&["-R", "app"], USAGE, "copy `app`: no destination", "SRC... DST"),
    case(&["-R", "/", "dst"], USAGE, "copy `/`: has no name of its own", "/."),
    case(&["-R", "fifo", "new"], UNSAFE, "read `fifo/sub/pipe`: ", "--skip-special"),
    case(&["-R", "socket", "new"], UNSAFE, "read `socket/socket`: ", "--skip-special"),
    case(&["-R", "app", "fifo", "dst"], UNSAFE, "read `fifo/sub/pipe`: ", "--skip-special"),
    case(&["-R", "fifo/sub/pipe", "new"], UNSAFE, "read `fifo/sub/pipe`: ", ""),
    case(&["-R", "--merge", "app", "full2"], FAILED, "merge into `full2/app`: a folder can't be laid over what is no folder", "-f"),
    case(&["-T", "--merge", "file", "dst"], FAILED, "merge into `dst`: a file or link can't be laid over a folder", "-f"),
    case(&["-L", "app", "new"], USAGE, "copy `-L`: links are never followed", "--on-no-symlinks=copy"),
    case(&["-R", "--exclude", "[", "app", "new"], USAGE, "exclude `[`: ", ""),
    case(&["-R", "--exclude=a/{b", "app", "new"], USAGE, "exclude `a/{b`: ", ""),
];

#[rustfmt::skip]
const OTHERS: &[Case] = &[
    case(&["verify", "missing", "app"], FAILED, "open `missing`: No such file or directory", ""),
    case(&["verify", "app", "missing"], FAILED, "open `missing`: No such file or directory", ""),
    case(&["verify", "app", "file"], UNSAFE, "read `file`: it is no archive that is known here", "tar (plain, gz, bz2, xz, zst), zip, bcp and PyInstaller programs are known"),
    case(&["verify", "file", "app"], UNSAFE, "read `file`: it is no archive that is known here", "tar (plain, gz, bz2, xz, zst), zip, bcp and PyInstaller programs are known"),
    case(&["verify", "app"], USAGE, "verify `app`: is a folder, and there is nothing to hold it against", "name what it should be equal to"),
    case(&["verify", "file"], UNSAFE, "read `file`: it is no archive that is known here", "tar (plain, gz"),
    case(&["verify", "app", "app", "--ignore", "nope"], USAGE, "ignore `nope`: no such kind of difference", "one of missing, extra, type, flattened, stub"),
    case(&["verify", "app", "app", "--ignore", "mode,nope"], USAGE, "ignore `nope`: no such kind of difference", "one of missing"),
    case(&["probe", "missing"], FAILED, "probe `missing`: No such file or directory", ""),
    case(&["probe", "file"], FAILED, "probe `file`: Not a directory", ""),
];

/// What the parser of the arguments finds: the words that it has to name.
const WORDS: &[(&[&str], &str)] = &[
    (&["--frobnicate", "app", "new"], "--frobnicate"),
    (&["-RX", "app", "new"], "-X"),
    (&["-R", "--reflink=perhaps", "app", "new"], "perhaps"),
    (&["-R", "-j0", "app", "new"], "0"),
    (&["-R", "--jobs", "many", "app", "new"], "many"),
    (&["-f", "--merge", "app", "new"], "--merge"),
    (&["-T", "-t", "dst", "app"], "--target-directory"),
    (&["-qv", "app", "new"], "--quiet"),
    (&["-R", "-t"], "-t"),
    (&["-R"], "SRC... DST"),
    (&["probe"], "DIR"),
    (&["probe", "--frobnicate", "."], "--frobnicate"),
];

fn world() -> Scratch {
    let scratch = Scratch::new();
    bundle(&scratch.path("app"));
    bundle(&scratch.path("two/app"));
    bundle(&scratch.path("full/app"));
    for path in ["dst", "full2", "fifo/sub", "socket"] {
        folder(scratch.path(path));
    }
    file(scratch.path("full2/app"), "no folder");
    file(scratch.path("file"), "x");
    build::hard_link(scratch.path("file"), scratch.path("same-file"));
    link(scratch.path("dangling"), b"nothing");
    link(scratch.path("to-lib"), b"app/lib");
    build::fifo(scratch.path("fifo/sub/pipe"));
    drop(UnixListener::bind(scratch.path("socket/socket")).unwrap());
    build::age(scratch.root());
    scratch
}

/// The tree below `scratch`, without the times of folders in which something
/// may have been made and removed again.
fn seen(scratch: &Scratch) -> Snapshot {
    let receivers: [&[u8]; 6] = [b"", b"dst", b"full", b"full2", b"app", b"app/lib"];
    Snapshot::of(scratch.root()).without_times_of(&receivers)
}

/// Runs every case, in a world of its own, and then names all that failed.
#[track_caller]
fn assert_all(cases: &[Case]) {
    let passes = |case: &&Case| {
        let scratch = world();
        let before = seen(&scratch);
        let ran = bundlecp(scratch.root(), case.arguments);
        let judged = std::panic::catch_unwind(|| {
            assert_says(&ran, case);
            before.assert_same(&seen(&scratch), &format!("{:?}", case.arguments));
        });
        judged.is_ok()
    };
    let failed = cases.iter().filter(|case| !passes(case));
    let failed: Vec<_> = failed.map(|case| case.arguments.join(" ")).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[track_caller]
fn assert_says(ran: &Ran, case: &Case) {
    let context = format!("{:?} said {}", case.arguments, ran.stderr);
    assert_eq!(ran.status, case.status, "{context}");
    assert_eq!(ran.stdout, "", "{context}");
    let mut lines = ran.stderr.lines();
    let first = lines.next().unwrap_or_default().replace("`./", "`");
    let expected = format!("bundlecp: {}", case.says);
    match case.says.ends_with(": ") {
        true => {
            let cause = first.strip_prefix(&expected);
            assert!(cause.is_some_and(|cause| !cause.is_empty()), "{context}");
        }
        false => assert_eq!(first, expected, "{context}"),
    }
    assert!(!first.ends_with('.'), "{context}");
    match case.hint {
        "" => {}
        hint => {
            let second = lines.next().unwrap_or_default();
            assert!(second.starts_with("hint: "), "{context}");
            assert!(second.contains(hint), "{context}");
        }
    }
    let is_hint = |line: &str| line.starts_with("hint: ");
    assert!(lines.all(is_hint), "more than one line: {context}");
}

#[test]
fn a_copy_that_cannot_be_is_one_line_and_changes_nothing() {
    assert_all(PATHS);
}

#[test]
fn the_other_commands_name_what_is_wrong() {
    assert_all(OTHERS);
}

#[test]
fn special_files_are_named_as_what_they_are() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["-R", "fifo", "new"]);
    assert!(ran.stderr.contains(SPECIAL), "{}", ran.stderr);
    let ran = bundlecp(
        scratch.root(),
        &["-R", "--skip-special", "fifo", "socket", "dst"],
    );
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    assert_eq!(names(&scratch.path("dst")), ["fifo", "socket"]);
    assert_eq!(names(&scratch.path("dst/fifo")), ["sub"]);
    assert!(names(&scratch.path("dst/fifo/sub")).is_empty());
    assert!(names(&scratch.path("dst/socket")).is_empty());
}

#[test]
fn wrong_arguments_name_the_argument() {
    for (arguments, word) in WORDS {
        let scratch = world();
        let before = seen(&scratch);
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, USAGE, "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
        assert!(ran.stderr.contains(word), "{arguments:?}: {}", ran.stderr);
        before.assert_same(&seen(&scratch), &format!("{arguments:?}"));
    }
}

#[test]
fn what_may_not_be_read_is_an_error_that_names_it() {
    if is_root() {
        leave_out("the administrator may read everything");
        return;
    }
    for (locked, says) in [
        ("app/run", "open `app/run`: Permission denied"),
        ("app/lib/deep", "open `app/lib/deep`: Permission denied"),
        ("app", "open `app`: Permission denied"),
    ] {
        let scratch = world();
        mode(scratch.path(locked), 0);
        let before = names(scratch.root());
        let ran = bundlecp(scratch.root(), &["-R", "app", "new"]);
        assert_says(&ran, &case(&["-R", "app", "new"], FAILED, says, ""));
        assert_eq!(names(scratch.root()), before);
        mode(scratch.path(locked), 0o755);
    }
}

#[test]
fn what_may_not_be_written_to_is_an_error_that_names_it() {
    if is_root() {
        leave_out("the administrator may write everywhere");
        return;
    }
    let scratch = world();
    mode(scratch.path("dst"), 0o555);
    for arguments in [
        &["-R", "app", "dst"][..],
        &["-n", "-R", "app", "dst"],
        &["probe", "dst"],
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, FAILED, "{arguments:?}");
        let first = ran.stderr.lines().next().unwrap();
        assert!(first.contains("`dst`"), "{first}");
        assert!(first.ends_with("Permission denied"), "{first}");
    }
    assert!(names(&scratch.path("dst")).is_empty());
}

#[test]
fn names_print_escaped_and_never_steer_the_terminal() {
    let cases: [(&[u8], &str); 3] = [
        (b"caf\xe9", "read `caf\\xe9`: No such file or directory"),
        (
            b"\x1b[31mred",
            "read `\\u{1b}[31mred`: No such file or directory",
        ),
        (b"new\nline", "read `new\\nline`: No such file or directory"),
    ];
    let scratch = Scratch::new();
    let mut failed = Vec::new();
    for (name, says) in cases {
        let arguments = [OsStr::new("-R"), OsStr::from_bytes(name), OsStr::new("new")];
        let ran = bundlecp(scratch.root(), &arguments);
        if ran.stderr != format!("bundlecp: {says}\n") {
            failed.push((says, ran.stderr));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn hints_and_lists_print_names_escaped_too() {
    let scratch = Scratch::new();
    let name = OsStr::from_bytes(b"caf\xe9\x1b[31m");
    folder(scratch.root().join(name));
    let shown = "caf\\xe9\\u{1b}[31m";
    let into_itself = [OsStr::new("-RT"), name, name];
    let ran = bundlecp(scratch.root(), &into_itself);
    assert_eq!(ran.status, USAGE);
    for line in ran.stderr.lines() {
        assert!(line.contains(shown), "{line:?}");
    }
    let listed = [OsStr::new("-Rv"), name, OsStr::new("new")];
    file(scratch.root().join(name).join(name), "x");
    let ran = bundlecp(scratch.root(), &listed);
    assert_eq!(ran.stdout, format!("new\nnew/{shown}\n"));
}

#[test]
fn operations_have_exit_statuses_of_their_own() {
    let scratch = world();
    link(scratch.path("app/extra"), b"x");
    let statuses = [
        &["-R", "app", "fine"][..],
        &["verify", "app", "two/app"],
        &["--frobnicate"],
        &["-R", "fifo", "new"],
        &["-R", "missing", "new"],
    ]
    .map(|arguments| bundlecp(scratch.root(), arguments).status);
    assert_eq!(statuses, [0, 1, 2, 4, 5]);
}
