//! Repair never changes what any path reads, and keeps each link that there is, whatever
//! the tree: names, contents and files that rules go by are thrown together at random.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bundles;
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use bundlecp::Silent;
use bundlecp::repair::{self, ChangeKind, Plan};
use bundles::links;
use common::random;
use common::{Scratch, examine, names};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// Names that rules look for, and some beside them.
const NAMES: &[&str] = &[
    "_internal",
    "a",
    "libz.so",
    "current",
    "latest",
    "v1",
    "lib",
    "lib64",
    "bin",
    "python",
    "python3",
    "Contents",
    "Frameworks",
    "Resources",
    "X.framework",
    "Versions",
    "Current",
    "A",
    "X",
    "node_modules",
    ".bin",
    "tool",
    ".pnpm",
    "tool@1",
    "a.b",
    "a__dot__b",
];

/// Files whose presence or content rules go by.
const TOLD: &[(&str, &str)] = &[
    ("base_library.zip", "x"),
    (
        "pyvenv.cfg",
        "home = /usr/bin\ncommand = /usr/bin/python3 -m venv /x\n",
    ),
    (
        "package.json",
        r#"{"name": "tool", "bin": {"a": "a", "tool": "./bin/a"}}"#,
    ),
];

const CONTENTS: &[&[u8]] = &[
    b"",
    b"x",
    b"same",
    b"\x7fELF same",
    b"\x7fELF same",
    b"\x7fELF other",
    b"a",
    b"v1",
    b"lib/a",
    b"../lib",
    b"../../lib",
    b"..",
    ".".as_bytes(),
];

const TARGETS: &[&str] = &[
    "a",
    "v1",
    "lib",
    "../lib",
    "lib/a",
    "libz.so",
    "../..",
    "/etc",
    "none",
    "Current/X",
];

/// One thing that stands somewhere.
#[derive(Debug, Clone)]
enum Thing {
    File(usize, bool),
    Told(usize),
    Link(usize),
    /// A copy of what the path so far has, under this name.
    CopyOf(Vec<&'static str>),
}

fn thing() -> impl Strategy<Value = Thing> {
    prop_oneof![
        6 => (0..CONTENTS.len(), any::<bool>()).prop_map(|(content, runs)| Thing::File(content, runs)),
        2 => (0..TOLD.len()).prop_map(Thing::Told),
        2 => (0..TARGETS.len()).prop_map(Thing::Link),
        3 => vec(select(NAMES), 1..3).prop_map(Thing::CopyOf),
    ]
}

fn things() -> impl Strategy<Value = Vec<(Vec<&'static str>, Thing)>> {
    vec((vec(select(NAMES), 1..5), thing()), 4..40)
}

/// Makes as much of it as fits together.
fn make(root: &Path, things: &[(Vec<&'static str>, Thing)]) {
    fs::create_dir(root).unwrap();
    let root = root.canonicalize().unwrap();
    for (path, thing) in things {
        let at: PathBuf = root.join(path.iter().collect::<PathBuf>());
        let folder = match thing {
            Thing::Told(_) => at.clone(),
            _ => at.parent().unwrap().to_owned(),
        };
        let is_through_link = folder.ancestors().any(Path::is_symlink);
        if is_through_link || fs::create_dir_all(&folder).is_err() {
            continue;
        }
        let _ = match thing {
            Thing::File(content, runs) => write_new(&at, CONTENTS[*content], *runs),
            Thing::Told(told) => {
                write_new(&at.join(TOLD[*told].0), TOLD[*told].1.as_bytes(), false)
            }
            Thing::Link(target) => symlink(TARGETS[*target], &at),
            Thing::CopyOf(from) => {
                let from = root.join(from.iter().collect::<PathBuf>());
                copy(&root, &from, &at, &mut 40)
            }
        };
    }
}

fn write_new(at: &Path, content: &[u8], runs: bool) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mode = if runs { 0o755 } else { 0o644 };
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(mode).open(at)?;
    std::io::Write::write_all(&mut file, content)
}

/// A copy without links, of `budget` entries at most, of what is in the tree.
fn copy(root: &Path, from: &Path, to: &Path, budget: &mut usize) -> std::io::Result<()> {
    let real = from.canonicalize()?;
    let is_around = real.starts_with(root) && !to.starts_with(&real);
    if !is_around || *budget == 0 || to.symlink_metadata().is_ok() {
        return Ok(());
    }
    *budget -= 1;
    if !real.is_dir() {
        return fs::copy(&real, to).map(drop);
    }
    fs::create_dir(to)?;
    for entry in fs::read_dir(&real)? {
        let entry = entry?;
        copy(root, &entry.path(), &to.join(entry.file_name()), budget)?;
    }
    Ok(())
}

/// What every path reads, links followed, as deep as trees here are.
fn read(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    let mut pending = vec![(PathBuf::new(), 0)];
    while let Some((dir, depth)) = pending.pop() {
        let Ok(entries) = fs::read_dir(root.join(&dir)) else {
            continue;
        };
        for entry in entries {
            let path = dir.join(entry.unwrap().file_name());
            let at = root.join(&path);
            let inside = at
                .canonicalize()
                .is_ok_and(|real| real.starts_with(root.canonicalize().unwrap()));
            if !inside {
                continue;
            }
            match at.is_dir() {
                true if depth < 6 && all.len() < 2000 => pending.push((path, depth + 1)),
                true => {}
                false => {
                    all.insert(path, fs::read(&at).unwrap());
                }
            }
        }
    }
    all
}

/// Whether the plan says that `path` becomes something else to read: what was a text or
/// nothing, and all that leads through it.
fn is_told(plan: &Plan, root: &Path, path: &Path) -> bool {
    let stubs = plan.changes.iter().filter(|change| {
        change.kind == ChangeKind::Link && !change.reason.starts_with("in place of a copy")
    });
    let stubs: Vec<PathBuf> = stubs
        .map(|change| root.join(change.path.to_string()))
        .collect();
    // Who reads through a link to a text reads the text's target then.
    let real = root.join(path).canonicalize();
    stubs.iter().any(|stub| {
        root.join(path).starts_with(stub)
            || real
                .as_ref()
                .is_ok_and(|real| *real == stub.canonicalize().unwrap_or_default())
    })
}

proptest! {
    #![proptest_config(random::config(64))]

    #[test]
    fn what_any_path_reads_stays(things in things()) {
        let scratch = Scratch::in_memory();
        let root = scratch.path("app");
        make(&root, &things);
        let before = read(&root);
        let links = links(&root);
        let options = repair::Options::default();
        let plan = repair::plan(&root, &options, &Silent).unwrap();
        let told: Vec<PathBuf> = before
            .keys()
            .filter(|path| is_told(&plan, &root, path))
            .cloned()
            .collect();
        let changes = format!("{:#?}", plan.changes);
        repair::apply(plan, &options, &Silent).unwrap();
        for (path, content) in before.iter().filter(|(path, _)| !told.contains(path)) {
            let after = fs::read(root.join(path)).ok();
            prop_assert_eq!(after.as_ref(), Some(content), "{}\n{}", path.display(), changes);
        }
        for (link, _) in links {
            prop_assert!(root.join(&link).is_symlink(), "{link}\n{changes}");
        }
        prop_assert_eq!(names(scratch.root()), ["app"]);
        // What is done may make more certain, but that comes to an end.
        for round in 0.. {
            let again = repair::plan(&root, &options, &Silent).unwrap();
            if again.is_empty() {
                break;
            }
            prop_assert!(round < 8, "{:#?}", again.changes);
            repair::apply(again, &options, &Silent).unwrap();
        }
        examine(&root);
    }
}
