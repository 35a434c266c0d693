//! The parts of a copy on their own: scan, plan and writer.
//!
//! `cargo bench --bench micro`. A tree of 5,000 small files in 500 folders, on
//! the file system of the temporary folder; set `TMPDIR` to choose another.

use std::fs;
use std::path::{Path, PathBuf};
use std::slice::from_ref;

use bundlecp::copy::{self, copy};
use bundlecp::verify::{self, verify};
use bundlecp::{Silent, probe_dir};
use divan::{Bencher, counter::ItemsCount};

const DIRS: usize = 500;
const FILES: usize = 10;

fn main() {
    divan::main();
}

fn make_tree(root: &Path) -> PathBuf {
    let tree = root.join("tree");
    for dir in 0..DIRS {
        let dir = tree.join(format!("d{}", dir % 20)).join(format!("d{dir}"));
        fs::create_dir_all(&dir).expect("a folder in a new tree");
        for file in 0..FILES {
            fs::write(dir.join(format!("f{file}")), vec![b'x'; 1000 * file])
                .expect("a file in a new tree");
        }
    }
    tree
}

/// Reading folders and building the plan, with a look at each file: all that a
/// dry run does.
#[divan::bench]
fn scan_and_plan(bencher: Bencher) {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let tree = make_tree(temp.path());
    let mut options = copy::Options::default();
    options.dry_run = true;
    bencher
        .counter(ItemsCount::new(DIRS * FILES))
        .bench_local(|| {
            copy(
                from_ref(&tree),
                &temp.path().join("copy"),
                &options,
                &Silent,
            )
        });
}

/// Scan, plan and writer together, on one thread and on all.
#[divan::bench(args = [1, 2, 4])]
fn copy_tree(bencher: Bencher, jobs: usize) {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let tree = make_tree(temp.path());
    let target = temp.path().join("copy");
    let mut options = copy::Options::default();
    options.jobs = Some(jobs);
    bencher
        .counter(ItemsCount::new(DIRS * FILES))
        .with_inputs(|| {
            if target.exists() {
                fs::remove_dir_all(&target).expect("the last round's copy");
            }
        })
        .bench_local_values(|()| copy(from_ref(&tree), &target, &options, &Silent));
}

/// What every copy pays before it begins.
#[divan::bench]
fn probe(bencher: Bencher) {
    let temp = tempfile::tempdir().expect("a temporary folder");
    bencher.bench_local(|| probe_dir(temp.path()));
}

/// Hashing both sides of two equal trees.
#[divan::bench]
fn verify_tree(bencher: Bencher) {
    let temp = tempfile::tempdir().expect("a temporary folder");
    let tree = make_tree(temp.path());
    let target = temp.path().join("copy");
    copy(from_ref(&tree), &target, &copy::Options::default(), &Silent).expect("a copy");
    bencher
        .counter(ItemsCount::new(DIRS * FILES))
        .bench_local(|| verify(&tree, &target, &verify::Options::default(), &Silent));
}
