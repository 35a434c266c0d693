//! What the fuzzers in `fuzz/` found worth keeping, once more: a file of
//! `tests/corpus/TARGET` is an input of that target.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "../fuzz/fuzz_targets/arena/mod.rs"]
mod arena;

use std::path::Path;

/// One test, as all of them share one destination.
#[test]
fn inputs_of_the_fuzzers_do_no_harm() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut count = 0;
    for entry in walkdir::WalkDir::new(&corpus).sort_by_file_name() {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        let bytes = std::fs::read(entry.path()).unwrap();
        let target = entry.path().parent().unwrap().file_name().unwrap();
        match target.to_str().unwrap() {
            "links" => arena::extract_and_resolve(&arena::tar_of(&bytes)),
            "bcp_index" => arena::bcp::open(&arena::bcp::of_parts(&bytes)),
            "bcp_seek" => arena::bcp::seek(&bytes),
            "bcp_extract" => arena::bcp::extract(&arena::bcp::of_script(&bytes).archive),
            "carchive" => arena::carchive::open(&arena::carchive::of_parts(&bytes)),
            "plan_tar" | "plan_zip" | "extract" => {
                let bytes = arena::with_checksums(&bytes);
                arena::list(&bytes);
                let _ = arena::look_at(&bytes);
                arena::extract(&bytes);
            }
            other => panic!("no target `{other}`"),
        }
        count += 1;
    }
    assert!(count > 0, "there is nothing in {}", corpus.display());
    arena::clean_up();
}
