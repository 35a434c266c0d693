//! `convert` as a user runs it: what is printed, pipes on both sides, a reader
//! that goes away, and a kill.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::common::build::{self, file, folder, hard_link, link};
use super::common::{Scratch, bundlecp, names};
use super::pipes::{output_of, with_epoch, with_input};
use super::{ANY_LINKS, FORMATS, assert_silent, packed};

#[test]
fn every_format_is_converted_silently_and_back() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        let first = std::fs::read(scratch.path(&archive)).unwrap();
        let note = "bundlecp: note: 1 link leads out of the bundle; whoever extracts it \
                    needs --allow-external-links\n";
        let there = bundlecp(scratch.root(), &["convert", ANY_LINKS, &archive, "new.bcp"]);
        assert_eq!(
            (there.status, &*there.stdout, &*there.stderr),
            (0, "", note)
        );
        let verify = ["verify", "-q", &archive, "new.bcp"];
        assert_eq!(bundlecp(scratch.root(), &verify).status, 0);
        let back = ["convert", "-qf", ANY_LINKS, "new.bcp", &archive];
        assert_silent(&bundlecp(scratch.root(), &back));
        assert!(std::fs::read(scratch.path(&archive)).unwrap() == first);
        assert_eq!(names(scratch.root()), ["app", &archive, "new.bcp"]);
    }
}

/// A small tree with what a zip doesn't hold.
fn lossy() -> Scratch {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    file(scratch.path("app/a"), "content");
    hard_link(scratch.path("app/a"), scratch.path("app/b"));
    link(scratch.path("app/l"), b"a");
    build::age(&scratch.path("app"));
    assert_silent(&bundlecp(
        scratch.root(),
        &["pack", "-q", "app", "-o", "app.tar"],
    ));
    scratch
}

#[test]
fn losses_are_told_a_line_each_and_in_json() {
    let scratch = lossy();
    let ran = bundlecp(scratch.root(), &["convert", "app.tar", "app.zip"]);
    let expected = "\
bundlecp: note: lost: a hard link of `app/b`; a zip can't hold that
bundlecp: note: lost: the exact time of 4 entries, the first `app`; a zip can't hold that
";
    assert_eq!((ran.status, &*ran.stderr), (0, expected));
    let ran = bundlecp(
        scratch.root(),
        &["convert", "-qf", "--json", "app.tar", "app.zip"],
    );
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    let document = ran.json();
    let losses = serde_json::json!([
        { "kind": "hardlinks", "count": 1, "path": "app/b" },
        { "kind": "times", "count": 4, "path": "app" },
    ]);
    assert_eq!(document["losses"], losses);
    for (name, value) in [("files", 2), ("symlinks", 1), ("hardlinks", 0), ("dirs", 1)] {
        assert_eq!(document[name], value, "{name}");
    }
    assert_eq!(
        (&document["from"], &document["format"]),
        (&"tar".into(), &"zip".into())
    );
}

#[test]
fn a_dry_run_and_a_list_of_members() {
    let scratch = lossy();
    let ran = bundlecp(scratch.root(), &["convert", "-nv", "app.tar", "app.bcp"]);
    assert_eq!(
        (ran.status, &*ran.stdout),
        (0, "app\napp/a\napp/b\napp/l\n")
    );
    assert!(
        ran.stderr
            .starts_with("would convert 1 file, 1 folder, 1 link, 1 hard link")
    );
    assert_eq!(names(scratch.root()), ["app", "app.tar"]);
    let chosen = ["convert", "-qv", "--exclude=l", "app.tar", "app.bcp"];
    assert_eq!(bundlecp(scratch.root(), &chosen).status, 2);
    let chosen = ["convert", "-v", "--exclude=l", "app.tar", "app.bcp"];
    let ran = bundlecp(scratch.root(), &chosen);
    assert_eq!((ran.status, &*ran.stdout), (0, "app\napp/a\napp/b\n"));
    assert!(ran.stderr.contains("\nroot hash "), "{}", ran.stderr);
}

#[test]
fn pipes_stand_on_both_sides() {
    let scratch = lossy();
    let bcp = ["pack", "app", "-o", "-", "--format=bcp"];
    let (bcp, tar) = (
        output_of(scratch.root(), &bcp),
        std::fs::read(scratch.path("app.tar")).unwrap(),
    );
    let convert = ["convert", "app.tar", "-", "--format=bcp"];
    assert!(output_of(scratch.root(), &convert) == bcp);
    for input in [&bcp, &tar] {
        let ran = with_input(scratch.root(), &["convert", "-", "new.tar"], input);
        assert_silent(&ran);
        assert!(std::fs::read(scratch.path("new.tar")).unwrap() == tar);
        std::fs::remove_file(scratch.path("new.tar")).unwrap();
    }
    let cut = with_input(
        scratch.root(),
        &["convert", "-", "new.tar"],
        &bcp[..bcp.len() / 2],
    );
    assert_eq!(cut.status, 4, "{cut:?}");
    assert!(
        cut.stderr
            .starts_with("bundlecp: convert `standard input`: "),
        "{cut:?}"
    );
    assert_eq!(names(scratch.root()), ["app", "app.tar"]);
}

#[test]
fn times_are_clamped_as_a_packing_does() {
    let scratch = lossy();
    let packed = ["pack", "-q", "app", "-o", "early.tar"];
    assert_silent(&with_epoch(scratch.root(), "1000", &packed));
    let converted = ["convert", "app.tar", "new.tar"];
    assert_silent(&with_epoch(scratch.root(), "1000", &converted));
    let read = |name: &str| std::fs::read(scratch.path(name)).unwrap();
    assert!(read("early.tar") == read("new.tar"));
}

#[test]
fn a_signal_leaves_nothing() {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    let noise: Vec<u8> = (0..24_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    file(scratch.path("app/noise"), noise);
    let pack = ["pack", "-q", "app", "-o", "app.tar"];
    assert_silent(&bundlecp(scratch.root(), &pack));
    let mut command = Command::new(env!("CARGO_BIN_EXE_bundlecp"));
    command.args(["convert", "app.tar", "new.tar.xz", "-j1"]);
    command.current_dir(scratch.root()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let started = Instant::now();
    while names(scratch.root()).len() < 3 && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_eq!(names(scratch.root()), ["app", "app.tar"]);
}
