//! Random trees are copied on a random number of threads: the copy is equal by
//! an independent snapshot and by `verify`, and after any one change it isn't.
//!
//! `BUNDLECP_CASES` sets how many trees; without it few, to be quick.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::os::fd::OwnedFd;
use std::path::Path;

use bundlecp::copy::{Options, copy};
use bundlecp::verify::{self, verify};
use bundlecp::{Existing, Silent};
use common::Scratch;
use common::random::{Op, build, config, ops, place};
use common::snapshot::{Kind, Node, Snapshot};
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps};

/// Enough to meet every kind of entry in every run.
const QUICK: u32 = 64;

/// One change to a tree, as far as the entry that is chosen allows it.
#[derive(Debug, Clone, Copy)]
enum Change {
    Remove,
    Mode,
    Time,
    Replace,
    Add,
}

fn change() -> impl Strategy<Value = Change> {
    prop::sample::select(vec![
        Change::Remove,
        Change::Mode,
        Change::Time,
        Change::Replace,
        Change::Add,
    ])
}

/// Copies `source` to `target` and compares by both measures.
fn assert_copied(source: &Path, target: &Path, options: &Options) -> Snapshot {
    let before = Snapshot::of(source);
    let copied = copy(&[source.to_owned()], target, options, &Silent);
    let outcome = copied.unwrap_or_else(|error| panic!("{error:?}"));
    before.assert_same(&Snapshot::of(target), "the copy");
    before.assert_same(&Snapshot::of(source), "the source");
    let count =
        |is: fn(&Kind) -> bool| before.0.values().filter(|one| is(&one.kind)).count() as u64;
    let files = count(|kind| matches!(kind, Kind::File { .. }));
    assert_eq!(outcome.files + outcome.hardlinks, files);
    assert_eq!(outcome.dirs, count(|kind| matches!(kind, Kind::Dir)));
    assert_eq!(
        outcome.symlinks,
        count(|kind| matches!(kind, Kind::Link(_)))
    );
    assert_eq!(outcome.losses, Default::default());
    let found = verified(source, target);
    assert!(found.is_empty(), "{found:?}");
    before
}

fn verified(left: &Path, right: &Path) -> Vec<verify::Difference> {
    let outcome = verify(left, right, &verify::Options::default(), &Silent);
    let outcome = outcome.unwrap_or_else(|error| panic!("{error:?}"));
    outcome.differences
}

proptest! {
    #![proptest_config(config(QUICK))]

    #[test]
    fn a_copy_is_equal_until_it_is_changed(
        ops in ops(),
        place in place(),
        jobs in 1..9_usize,
        which in any::<Index>(),
        change in change(),
    ) {
        let scratch = place.scratch();
        let (source, target) = (scratch.path("source"), scratch.path("copy"));
        build(&source, &ops);
        let mut options = Options::default();
        options.jobs = Some(jobs);
        let tree = assert_copied(&source, &target, &options);
        prop_assert_eq!(common::names(scratch.root()), ["copy", "source"]);
        let paths: Vec<_> = tree.0.iter().collect();
        let (path, node) = which.get(&paths);
        alter(&target, path, node, change);
        prop_assert_ne!(verified(&source, &target).len(), 0, "{:?} of {:?}", change, path);
    }

    #[test]
    fn replacing_one_tree_by_another_leaves_nothing_of_the_first(
        old in ops(),
        new in ops(),
        place in place(),
        jobs in 1..5_usize,
    ) {
        let scratch = place.scratch();
        let (source, target) = (scratch.path("source"), scratch.path("copy"));
        build(&source, &new);
        build(&target, &old);
        let mut options = Options::default();
        options.jobs = Some(jobs);
        options.existing = Existing::Replace;
        options.destination_rule = bundlecp::copy::DestinationRule::Exact;
        assert_copied(&source, &target, &options);
        prop_assert_eq!(common::names(scratch.root()), ["copy", "source"]);
    }

    #[test]
    fn merging_two_trees_keeps_both_or_changes_nothing(
        old in ops(),
        new in ops(),
        place in place(),
    ) {
        let scratch = place.scratch();
        let (source, target) = (scratch.path("source"), scratch.path("copy"));
        build(&source, &new);
        build(&target, &old);
        merge_and_judge(&source, &target);
        prop_assert_eq!(common::names(scratch.root()), ["copy", "source"]);
    }
}

/// Merges `source` over `target`; the model is one map laid over the other.
fn merge_and_judge(source: &Path, target: &Path) {
    let (new, old) = (Snapshot::of(source), Snapshot::of(target));
    let mut options = Options::default();
    options.existing = Existing::Merge;
    options.destination_rule = bundlecp::copy::DestinationRule::Exact;
    let is_dir = |node: &Node| node.kind == Kind::Dir;
    let collides = |(path, node): (&Vec<u8>, &Node)| {
        old.0
            .get(path)
            .is_some_and(|old| is_dir(old) != is_dir(node))
    };
    let has_conflict = new.0.iter().any(collides);
    // Nothing can be moved into a folder that its owner made read-only.
    let is_locked = |(path, node): (&Vec<u8>, &Node)| {
        let is_shared = new.0.get(path).is_some_and(is_dir);
        is_shared && is_dir(node) && node.mode & 0o300 != 0o300
    };
    let may_refuse = !common::is_root() && old.0.iter().any(is_locked);
    let merged = copy(&[source.to_owned()], target, &options, &Silent);
    let after = Snapshot::of(target);
    let is_refused = merged.is_err();
    assert!(
        is_refused == has_conflict || (is_refused && may_refuse),
        "{merged:?}"
    );
    if is_refused {
        old.assert_same(&after, "a refused merge");
        return;
    }
    let mut model = old.clone();
    model.0.extend(new.0.clone());
    // Names that the model can't tell apart: a file of several names, of which
    // some were replaced.
    let model = forget_groups(model);
    model.assert_same(&forget_groups(after.clone()), "the merged tree");
    for (path, node) in &new.0 {
        let kept = after.node(path);
        assert!(kept.xattrs == node.xattrs, "attributes");
    }
}

fn forget_groups(mut snapshot: Snapshot) -> Snapshot {
    for node in snapshot.0.values_mut() {
        if let Kind::File { first_name, .. } = &mut node.kind {
            *first_name = None;
        }
        if node.kind == Kind::Dir {
            // A folder of both sides keeps its own attributes besides the new ones.
            node.xattrs.clear();
        }
    }
    snapshot
}

/// Opens the folder that `path` stands in, and returns its last name.
fn parent<'p>(root: &Path, path: &'p [u8]) -> (OwnedFd, &'p [u8]) {
    let mut at = rustix::fs::open(root, common::folder_flags(), Mode::empty()).unwrap();
    let mut rest = path;
    while let Some(end) = rest.iter().position(|byte| *byte == b'/') {
        at = rustix::fs::openat(&at, &rest[..end], common::folder_flags(), Mode::empty()).unwrap();
        rest = &rest[end + 1..];
    }
    (at, rest)
}

/// Makes one change to the entry at `path`, or beside it.
fn alter(root: &Path, path: &[u8], node: &Node, change: Change) {
    if path.is_empty() {
        // The root can't be removed or replaced from inside.
        return add(root);
    }
    let (dir, name) = parent(root, path);
    let before = rustix::fs::fstat(&dir).unwrap();
    rustix::fs::fchmod(&dir, Mode::RWXU).unwrap();
    match (change, &node.kind) {
        (Change::Add, _) => drop(rustix::fs::symlinkat("x", &dir, "added by the test")),
        (Change::Time, _) => {
            let time = Timespec {
                tv_sec: node.mtime.0,
                tv_nsec: ((node.mtime.1 + 1) % 1_000_000_000) as _,
            };
            let times = Timestamps {
                last_access: time,
                last_modification: time,
            };
            rustix::fs::utimensat(&dir, name, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        }
        (Change::Mode, Kind::Dir | Kind::File { .. }) => {
            let mode = Mode::from_raw_mode((node.mode ^ 0o010) as _);
            rustix::fs::chmodat(&dir, name, mode, AtFlags::empty()).unwrap();
        }
        (Change::Replace, Kind::Link(target)) => {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty()).unwrap();
            let other: &[u8] = if target == b"o" { b"p" } else { b"o" };
            rustix::fs::symlinkat(other, &dir, name).unwrap();
        }
        (Change::Replace, Kind::File { .. }) => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            rustix::fs::unlinkat(&dir, name, AtFlags::empty()).unwrap();
            let file = rustix::fs::openat(&dir, name, flags, Mode::RWXU).unwrap();
            rustix::io::write(&file, b"content that no random file has: \x00\x01\x02").unwrap();
        }
        (_, Kind::Dir) => {
            // One that has something in it goes elsewhere.
            let to = b"moved by the test";
            rustix::fs::renameat(&dir, name, &dir, &to[..]).unwrap();
        }
        (_, _) => rustix::fs::unlinkat(&dir, name, AtFlags::empty()).unwrap(),
    }
    common::restore(&dir, &before);
}

fn add(root: &Path) {
    let dir = rustix::fs::open(root, common::folder_flags(), Mode::empty()).unwrap();
    let before = rustix::fs::fstat(&dir).unwrap();
    rustix::fs::fchmod(&dir, Mode::RWXU).unwrap();
    rustix::fs::symlinkat("x", &dir, "added by the test").unwrap();
    common::restore(&dir, &before);
}

#[test]
fn a_tree_of_every_kind_of_operation_is_built() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = prop::collection::vec(ops(), 20);
    let lists = strategy.new_tree(&mut runner).unwrap().current();
    let has = |is: fn(&Op) -> bool| lists.iter().flatten().any(is);
    assert!(has(|op| matches!(op, Op::Deep(..))) && has(|op| matches!(op, Op::HardLink(..))));
    let scratch = Scratch::new();
    let mut kinds = [0; 4];
    for (number, list) in lists.iter().enumerate() {
        let root = scratch.path(&number.to_string());
        build(&root, list);
        for node in Snapshot::of(&root).0.values() {
            match &node.kind {
                Kind::Dir => kinds[0] += 1,
                Kind::File { first_name, .. } => kinds[1 + usize::from(first_name.is_some())] += 1,
                Kind::Link(_) => kinds[3] += 1,
                Kind::Special(_) => panic!("a special file"),
            }
        }
    }
    assert!(kinds.iter().all(|count| *count > 10), "{kinds:?}");
}
