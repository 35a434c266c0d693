//! The root hash of a `.bcp`, as each command prints it, and archives that `verify`
//! reads from standard input.

use super::common::build::file;
use super::common::{Scratch, bundlecp};
use super::pipes::with_input;
use super::{ANY_LINKS, packed};

/// The hash behind the last `root hash ` of a text.
fn hash_in(text: &str) -> &str {
    let (_, hash) = text.rsplit_once("root hash ").unwrap_or_default();
    let hash = hash.trim_end();
    assert_eq!(hash.len(), 64, "{text}");
    assert!(hash.bytes().all(|digit| digit.is_ascii_hexdigit()));
    hash
}

#[test]
fn pack_list_and_verify_print_the_same_root_hash() {
    let scratch = packed("bcp");
    let run = |arguments: &[&str]| {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        ran.stdout
    };
    let packed = run(&["pack", "app", "-o", "again.bcp", "--json"]);
    let packed: serde_json::Value = serde_json::from_str(&packed).unwrap();
    let hash = packed["root_hash"].as_str().unwrap();
    assert_eq!(
        run(&["list", "--root-hash", "app.bcp"]),
        format!("{hash}\n")
    );
    let document: serde_json::Value =
        serde_json::from_str(&run(&["list", "--root-hash", "--json", "app.bcp"])).unwrap();
    assert_eq!(document, serde_json::json!({ "root_hash": hash }));
    assert_eq!(hash_in(&run(&["list", "--long", "app.bcp"])), hash);
    assert_eq!(hash_in(&run(&["verify", "app.bcp"])), hash);
    let archive = std::fs::read(scratch.path("app.bcp")).unwrap();
    for arguments in [
        &["list", "-", "--root-hash"][..],
        &["list", "-", "-l"],
        &["verify", "-"],
    ] {
        let ran = with_input(scratch.root(), arguments, &archive);
        assert_eq!(ran.status, 0, "{arguments:?}");
        assert!(ran.stdout.trim_end().ends_with(hash), "{arguments:?}");
    }
    // Scripts count on a line a member.
    for arguments in [&["list", "app.bcp"][..], &["list", "app.bcp", "--json"]] {
        let listed = run(arguments);
        assert_eq!(listed.lines().count(), 17, "{arguments:?}");
        assert!(!listed.contains(hash));
    }
}

#[test]
fn a_root_hash_that_there_is_not_is_said_so() {
    let scratch = packed("tar");
    let ran = bundlecp(scratch.root(), &["list", "--root-hash", "app.tar"]);
    assert_eq!((ran.status, &*ran.stdout), (2, ""));
    let text = "bundlecp: list `app.tar`: its format has no root hash\nhint: a .bcp has one\n";
    assert_eq!(ran.stderr, text);
    assert!(
        !bundlecp(scratch.root(), &["list", "-l", "app.tar"])
            .stdout
            .contains("root hash")
    );
    let ran = bundlecp(scratch.root(), &["list", "--root-hash", "gone.bcp"]);
    assert_eq!(ran.status, 5);
    let ran = bundlecp(
        scratch.root(),
        &["list", "--root-hash", "--long", "app.tar"],
    );
    assert_eq!(ran.status, 2);
}

#[test]
fn verify_reads_either_side_from_standard_input() {
    for format in ["bcp", "tar.zst", "tar.gz"] {
        let scratch = packed(format);
        let archive = std::fs::read(scratch.path(&format!("app.{format}"))).unwrap();
        let run = |arguments: &[&str], archive: &[u8]| {
            let ran = with_input(scratch.root(), arguments, archive);
            (ran.status, ran.stdout, ran.stderr)
        };
        for arguments in [
            &["verify", "-"][..],
            &["verify", "-", "app"],
            &["verify", "app", "-"],
        ] {
            let (status, _, error) = run(arguments, &archive);
            assert_eq!((status, &*error), (0, ""), "{format} {arguments:?}");
        }
        file(scratch.path("app/run"), "changed");
        let (status, found, _) = run(&["verify", "-", "app"], &archive);
        assert_eq!(status, 1, "{format}");
        assert!(found.contains("run"), "{found}");
        for arguments in [&["verify", "-"][..], &["verify", "app", "-"]] {
            let (status, _, error) = run(arguments, &archive[..archive.len() - 1]);
            assert_eq!(status, 4, "{format} {arguments:?}");
            assert!(error.contains("`standard input`"), "{error}");
        }
    }
}

#[test]
fn standard_input_is_one_side_at_most_and_no_zip() {
    let scratch = Scratch::new();
    let ran = with_input(scratch.root(), &["verify", "-", "-"], b"");
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr
            .starts_with("bundlecp: verify: standard input can be only one")
    );
    let scratch = packed("zip");
    let zip = std::fs::read(scratch.path("app.zip")).unwrap();
    let ran = with_input(scratch.root(), &["verify", "-", "app"], &zip);
    assert_eq!(ran.status, 2);
    assert!(
        ran.stderr.contains("hint: save it to a file"),
        "{}",
        ran.stderr
    );
    let ran = with_input(
        scratch.root(),
        &["extract", "-", "-C", "out", ANY_LINKS],
        &zip,
    );
    assert_eq!(ran.status, 0);
}
