//! All or nothing: what killed runs left is removed and what live ones use is
//! not; a copy that fails leaves the destination as it was, whether it was to
//! appear, to replace, to be merged, or to stand beside others.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use bundlecp::copy::{Options, Outcome, copy};
use bundlecp::{Error, ErrorKind, Existing, Phase, Progress, Silent, Status};
use common::build::{self, bundle, file, folder, link, mode, time};
use common::snapshot::{Kind, Snapshot};
use common::{Scratch, bundlecp, names};
use rustix::fs::FlockOperation;

/// What a killed copy to `app` leaves.
const FORGOTTEN: &str = ".app.bundlecp-0123456789abcdef";

/// A source, and a destination folder with something in it.
fn world() -> Scratch {
    let scratch = Scratch::new();
    bundle(&scratch.path("src/app"));
    bundle(&scratch.path("src/b"));
    file(scratch.path("src/b/only-b"), "b");
    file(scratch.path("src/app/lib/only-app"), "app");
    bundle(&scratch.path("outside"));
    folder(scratch.path("dst"));
    file(scratch.path("dst/beside"), "beside");
    build::age(scratch.root());
    scratch
}

/// Everything, without the times of folders where staging came and went.
fn seen(scratch: &Scratch) -> Snapshot {
    Snapshot::of(scratch.root()).without_times_of(&[b"", b"dst"])
}

fn options(existing: Existing) -> Options {
    let mut options = Options::default();
    options.existing = existing;
    options.jobs = Some(2);
    options
}

/// Copies `names` from `src` into `dst`.
fn copy_names(scratch: &Scratch, names: &[&str], options: &Options) -> Result<Outcome, Error> {
    let source = |name: &&str| scratch.path("src").join(name);
    let sources: Vec<PathBuf> = names.iter().map(source).collect();
    copy(&sources, &scratch.path("dst"), options, &Silent)
}

/// Makes `options` call `act` while the path `at` of a source is listed: after
/// all destinations were looked at, before anything of that source is copied.
fn during_scan(options: &mut Options, at: &'static str, act: impl Fn() + Send + Sync + 'static) {
    options.exclude = Some(Box::new(move |path| {
        if path == Path::new(at) {
            act();
        }
        false
    }));
}

#[test]
fn what_a_killed_run_left_is_removed_by_the_next() {
    let scratch = world();
    let left = scratch.path("dst").join(FORGOTTEN);
    folder(left.join("lib/deep"));
    file(left.join("lib/deep/data"), "half");
    link(left.join("out"), b"../../outside");
    mode(left.join("lib/deep"), 0o500);
    mode(left.join("lib"), 0o000);
    file(
        scratch.path("dst/.app.bundlecp-00000000000000ff"),
        "a parked file",
    );
    link(
        scratch.path("dst/.app.bundlecp-ffffffffffffffff"),
        b"../outside/run",
    );
    let outside = Snapshot::of(&scratch.path("outside"));
    copy_names(&scratch, &["app"], &Options::default()).unwrap();
    assert_eq!(names(&scratch.path("dst")), ["app", "beside"]);
    outside.assert_same(
        &Snapshot::of(&scratch.path("outside")),
        "what a link led to",
    );
}

#[test]
fn a_locked_staging_folder_is_another_run_at_work() {
    let scratch = world();
    let live = scratch.path("dst").join(FORGOTTEN);
    folder(live.join("lib"));
    let held = std::fs::File::open(&live).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    copy_names(&scratch, &["app"], &Options::default()).unwrap();
    assert_eq!(names(&scratch.path("dst")), [FORGOTTEN, "app", "beside"]);
    assert_eq!(names(&live), ["lib"]);
    drop(held);
    copy_names(&scratch, &["app"], &options(Existing::Replace)).unwrap();
    assert_eq!(names(&scratch.path("dst")), ["app", "beside"]);
}

#[test]
fn names_that_only_look_alike_are_left_alone() {
    let alike = [
        ".app.bundlecp-",
        ".app.bundlecp-0123456789abcde",
        ".app.bundlecp-0123456789abcdef0",
        ".app.bundlecp-0123456789abcdeg",
        ".app.bundlecp-0123456789abcdef.bak",
        ".app.bundlecp-notes",
        ".application.bundlecp-0123456789abcdef",
        ".other.bundlecp-0123456789abcdef",
        "app.bundlecp-0123456789abcdef",
        "..app.bundlecp-0123456789abcdef",
    ];
    let scratch = world();
    for name in alike {
        folder(scratch.path("dst").join(name).join("inner"));
    }
    let mut expected = names(&scratch.path("dst"));
    copy_names(&scratch, &["app"], &Options::default()).unwrap();
    expected.push("app".to_owned());
    expected.sort();
    assert_eq!(names(&scratch.path("dst")), expected);
}

/// Stops an operation in a phase.
struct StopIn(Phase);

impl Progress for StopIn {
    fn report(&self, status: &Status) -> ControlFlow<()> {
        match status.phase == self.0 {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

#[test]
fn a_copy_that_is_stopped_leaves_everything_as_it_was() {
    for phase in [Phase::Scanning, Phase::Copying, Phase::Publishing] {
        for existing in [Existing::Refuse, Existing::Replace, Existing::Merge] {
            let scratch = world();
            if existing != Existing::Refuse {
                bundle(&scratch.path("dst/app"));
                file(scratch.path("dst/app/run"), "old");
            }
            let before = seen(&scratch);
            let (source, target) = (scratch.path("src/app"), scratch.path("dst"));
            let stopped = copy(&[source], &target, &options(existing), &StopIn(phase));
            let context = format!("{existing:?}, stopped in {phase:?}");
            match stopped {
                Err(error) => assert_eq!(error.kind(), ErrorKind::Interrupted, "{context}"),
                Ok(_) => panic!("not stopped: {context}"),
            }
            before.assert_same(&seen(&scratch), &context);
        }
    }
}

#[test]
fn a_copy_that_fails_leaves_everything_as_it_was() {
    for existing in [Existing::Refuse, Existing::Replace, Existing::Merge] {
        for sources in [&["app"][..], &["b", "app"]] {
            let scratch = world();
            if existing != Existing::Refuse {
                bundle(&scratch.path("dst/app"));
                file(scratch.path("dst/app/run"), "old");
                file(scratch.path("dst/app/lib/old"), "old");
                build::age(&scratch.path("dst"));
            }
            let before = seen(&scratch);
            let mut options = options(existing);
            let lib = scratch.path("src/app/lib");
            let (count, made) = (AtomicU32::new(0), lib.clone());
            // On a disk that is more than half full, the source is listed twice.
            during_scan(&mut options, "lib/only-app", move || {
                let number = count.fetch_add(1, Ordering::Relaxed);
                file(made.join(format!("late{number}")), "x");
            });
            let error = copy_names(&scratch, sources, &options).unwrap_err();
            let context = format!("{existing:?} of {sources:?}");
            assert_eq!(
                error.kind(),
                ErrorKind::SourceChanged,
                "{context}: {error:?}"
            );
            for late in names(&lib).iter().filter(|name| name.starts_with("late")) {
                std::fs::remove_file(lib.join(late)).unwrap();
            }
            build::age(&scratch.path("src"));
            before.assert_same(&seen(&scratch), &context);
        }
    }
}

#[test]
fn replacing_is_one_step_and_removes_the_old_tree_afterwards() {
    let scratch = world();
    bundle(&scratch.path("dst/app"));
    file(scratch.path("dst/app/lib/old"), "old");
    mode(scratch.path("dst/app/lib"), 0o500);
    let held = std::fs::File::open(scratch.path("dst/app/run")).unwrap();
    copy_names(&scratch, &["app"], &options(Existing::Replace)).unwrap();
    assert_eq!(held.metadata().unwrap().nlink(), 0, "the old tree is gone");
    let after = seen(&scratch);
    let (source, copied) = (after.below(b"src/app"), after.below(b"dst/app"));
    source.assert_same(&copied, "the new tree");
    assert_eq!(names(&scratch.path("dst")), ["app", "beside"]);
}

#[test]
fn a_conflict_deep_in_a_merge_changes_nothing() {
    type Conflict = fn(&Path);
    let conflicts: [(&str, Conflict); 4] = [
        ("a file for a folder", |old| {
            file(old.join("lib/deep"), "file");
        }),
        ("a link for a folder", |old| {
            link(old.join("lib/deep"), b"../../outside");
        }),
        ("a folder for a file", |old| {
            folder(old.join("lib/libfoo.so.1.2/x"));
        }),
        ("a folder for a link", |old| {
            folder(old.join("lib/libfoo.so"));
        }),
    ];
    for (name, conflict) in conflicts {
        let scratch = world();
        folder(scratch.path("dst/app/lib"));
        file(scratch.path("dst/app/run"), "old");
        conflict(&scratch.path("dst/app"));
        build::age(&scratch.path("dst"));
        let before = seen(&scratch);
        let error = copy_names(&scratch, &["app"], &options(Existing::Merge)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{name}: {error:?}");
        assert!(error.path().starts_with(scratch.path("dst/app/lib")));
        before.assert_same(&seen(&scratch), name);
    }
}

#[test]
fn a_merge_replaces_links_and_never_writes_through_them() {
    let scratch = world();
    let old = scratch.path("dst/app");
    folder(old.join("lib"));
    link(old.join("run"), b"../../outside/run");
    link(
        old.join("lib/libfoo.so.1.2"),
        b"../../../outside/lib/libfoo.so.1.2",
    );
    link(old.join("Current"), b"../../outside/empty");
    let outside = seen(&scratch).below(b"outside");
    copy_names(&scratch, &["app"], &options(Existing::Merge)).unwrap();
    let after = seen(&scratch);
    outside.assert_same(&after.below(b"outside"), "what the links led to");
    after
        .below(b"src/app")
        .assert_same(&after.below(b"dst/app"), "the merged tree");
}

#[test]
fn the_target_of_a_merge_may_not_be_a_link_itself() {
    let scratch = world();
    link(scratch.path("dst/app"), b"../outside");
    let before = seen(&scratch);
    let error = copy_names(&scratch, &["app"], &options(Existing::Merge)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    before.assert_same(&seen(&scratch), "a link as the target");
}

#[test]
fn a_merge_gives_folders_the_sources_mode_time_and_attributes() {
    let scratch = world();
    bundle(&scratch.path("dst/app"));
    let lib = scratch.path("src/app/lib");
    mode(&lib, 0o751);
    let has_xattrs = build::xattr(&lib, "user.a", b"1");
    time(&lib, (5, 5));
    copy_names(&scratch, &["app"], &options(Existing::Merge)).unwrap();
    let after = seen(&scratch);
    let (source, merged) = (after.below(b"src/app/lib"), after.below(b"dst/app/lib"));
    assert_eq!(merged.node(b"").mode, 0o751);
    assert_eq!(merged.node(b"").mtime, (5, 5));
    if has_xattrs {
        source.assert_same(&merged, "attributes");
    }
}

#[test]
fn read_only_folders_of_the_source_are_published_in_any_way() {
    let mut failed = Vec::new();
    for (arguments, made) in [
        (&["-R", "src/app", "dst"][..], "dst/app"),
        (&["-fR", "src/app", "full"], "full/app"),
        (&["-R", "--merge", "src/app", "full"], "full/app"),
        (&["-R", "src/app/.", "dst"], "dst"),
        (&["-R", "--merge", "src/app/.", "full/app"], "full/app"),
    ] {
        let scratch = world();
        bundle(&scratch.path("full/app"));
        std::fs::remove_dir_all(scratch.path("full/app/lib/deep")).unwrap();
        mode(scratch.path("src/app/lib/deep"), 0o500);
        mode(scratch.path("src/app/lib"), 0o555);
        build::age(scratch.root());
        let ran = bundlecp(scratch.root(), arguments);
        if ran.status != 0 {
            failed.push((arguments.join(" "), ran.stderr));
            continue;
        }
        let after = seen(&scratch);
        for part in ["lib", "run"] {
            let source = after.below(format!("src/app/{part}").as_bytes());
            let copied = after.below(format!("{made}/{part}").as_bytes());
            source.assert_same(&copied, &format!("{arguments:?}"));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn several_sources_are_published_together_or_not_at_all() {
    let scratch = world();
    let before = seen(&scratch);
    let mut options = options(Existing::Refuse);
    let appears = scratch.path("dst/b");
    let made = appears.clone();
    // Only `b` has this file: when it is listed, `app` waits in its staging.
    during_scan(&mut options, "only-b", move || {
        file(&made, "somebody was faster");
    });
    let error = copy_names(&scratch, &["app", "b"], &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    assert_eq!(error.path(), appears);
    let after = seen(&scratch);
    let Kind::File { size, .. } = after.node(b"dst/b").kind else {
        panic!("what appeared was replaced");
    };
    assert_eq!(size, 19);
    std::fs::remove_file(appears).unwrap();
    before.assert_same(&seen(&scratch), "the first source is taken back");
}

#[test]
fn a_merge_is_taken_back_when_a_later_one_cannot_be() {
    let scratch = world();
    bundle(&scratch.path("dst/app"));
    file(scratch.path("dst/app/run"), "old");
    file(scratch.path("dst/app/lib/old"), "old");
    std::fs::remove_file(scratch.path("dst/app/Current")).unwrap();
    mode(scratch.path("dst/app/lib"), 0o700);
    // A folder in the way of a file of `b`.
    folder(scratch.path("dst/b/only-b"));
    build::age(&scratch.path("dst"));
    time(scratch.path("dst/app"), (1, 1));
    let before = seen(&scratch);
    let failed = copy_names(&scratch, &["app", "b"], &options(Existing::Merge));
    assert_eq!(failed.unwrap_err().path(), scratch.path("dst/b/only-b"));
    before.assert_same(&seen(&scratch), "the first merge");
}

/// Moves the staging folder for `b` away before anything is published.
struct Thief {
    dst: PathBuf,
}

impl Progress for Thief {
    fn report(&self, status: &Status) -> ControlFlow<()> {
        let is_staging = |name: &&String| name.starts_with(".b.bundlecp-");
        let staged = names(&self.dst);
        if status.phase == Phase::Publishing
            && let Some(name) = staged.iter().find(is_staging)
        {
            std::fs::rename(self.dst.join(name), self.dst.join("stolen")).unwrap();
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_replacement_is_taken_back_when_a_later_one_cannot_be() {
    let scratch = world();
    for name in ["app", "b"] {
        bundle(&scratch.path("dst").join(name));
        file(scratch.path("dst").join(name).join("old"), "old");
    }
    let before = seen(&scratch);
    let sources = ["app", "b"].map(|name| scratch.path("src").join(name));
    let dst = scratch.path("dst");
    let thief = Thief { dst: dst.clone() };
    let error = copy(&sources, &dst, &options(Existing::Replace), &thief).unwrap_err();
    std::fs::remove_dir_all(scratch.path("dst/stolen")).unwrap();
    before.assert_same(&seen(&scratch), "the first replacement");
    assert_eq!(error.kind(), ErrorKind::Tampered, "{error:?}");
}
