//! What `doctor` writes for code hosts and browsers: SARIF as its schema wants it, and a
//! page that no name in a bundle can break out of.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bundles;
mod common;

use std::fs;

use bundles::{Damage, damage};
use common::build::{bytes, file, link};
use common::{Scratch, bundlecp};
use serde_json::Value;

/// Names that would be more than names, if they were written as they are.
const HOSTILE: [&[u8]; 6] = [
    b"<script>alert(1)<",
    b"\"'&amp; x=`y`",
    b"line\nbreak",
    b"\xff\xfe",
    "\u{202e}gnp.exe".as_bytes(),
    b"%41 b#c?d",
];

fn world() -> Scratch {
    let scratch = Scratch::new();
    let (original, app) = (scratch.path("original"), scratch.path("app"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &app, Damage::Flattened);
    for name in HOSTILE {
        let at = app.join(bytes(name));
        file(&at, name);
        link(
            app.join(bytes(&[name, b".link"].concat())),
            &[name, b".none"].concat(),
        );
    }
    scratch
}

#[test]
fn sarif_is_what_its_schema_wants() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["doctor", "app", "--format", "sarif"]);
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let log = ran.json();
    assert_eq!(log["version"], "2.1.0");
    let run = &log["runs"][0];
    assert_eq!(run["tool"]["driver"]["name"], "bundlecp");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    let results = run["results"].as_array().unwrap();
    assert!(results.len() >= 4 + HOSTILE.len());
    for result in results {
        let rule = &rules[usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap()];
        assert_eq!(rule["id"], result["ruleId"]);
        assert!(matches!(
            result["level"].as_str().unwrap(),
            "error" | "warning" | "note"
        ));
        assert!(!result["message"]["text"].as_str().unwrap().is_empty());
        let place = &result["locations"][0]["physicalLocation"];
        let address = place["artifactLocation"]["uri"].as_str().unwrap();
        let is_plain = |char: char| char.is_ascii_alphanumeric() || "/-._~%".contains(char);
        assert!(
            address.starts_with("app/") && address.chars().all(is_plain),
            "{address}"
        );
        assert!(place["region"]["startLine"].as_u64() == Some(1));
    }
    let has = |address: &str| {
        results.iter().any(|result| {
            result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == address
        })
    };
    assert!(has("app/_internal/libblas.so.3"));
    assert!(has("app/%FF%FE.link"));
    assert!(has("app/%2541%20b%23c%3Fd.link"));
}

#[test]
fn sarif_of_what_is_whole_has_no_results() {
    let scratch = world();
    let original = scratch.path("original");
    let arguments = ["doctor", original.to_str().unwrap(), "--format", "sarif"];
    let ran = bundlecp(scratch.root(), &arguments);
    assert_eq!(ran.status, 0);
    assert_eq!(ran.json()["runs"][0]["results"], Value::Array(Vec::new()));
}

#[test]
fn no_name_breaks_out_of_the_page() {
    let scratch = world();
    let ran = bundlecp(
        scratch.root(),
        &["doctor", "app", "-q", "--html", "page.html"],
    );
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let page = fs::read_to_string(scratch.path("page.html")).unwrap();
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;"));
    assert!(!page.contains('\u{202e}'));
    assert_eq!(page.matches("<script").count(), 2);
    assert_eq!(page.matches("</script>").count(), 2);
    for outside in ["http://", "https://", "src=", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    // What the script reads.
    let start = "<script type=\"application/json\" id=\"data\">";
    let data = page
        .split_once(start)
        .unwrap()
        .1
        .split_once("</script>")
        .unwrap()
        .0;
    let data: Value = serde_json::from_str(data).unwrap();
    assert_eq!(data["name"], "app");
    let entries = data["entries"].as_array().unwrap();
    let parents = entries.iter().map(|entry| entry[0].as_u64().unwrap());
    // Each stands behind the folder that it is in.
    assert!(
        parents
            .enumerate()
            .skip(1)
            .all(|(index, parent)| parent < index as u64)
    );
    let findings = data["findings"].as_array().unwrap();
    assert!(
        findings
            .iter()
            .all(|finding| finding[0].as_i64().unwrap() > 0)
    );
    assert_eq!(
        page.matches("<li><span class=\"path\">").count(),
        findings.len()
    );
}

#[test]
fn the_same_bundle_has_the_same_page() {
    let scratch = world();
    let page = |jobs: &str, name: &str| {
        let arguments = ["doctor", "app", "-q", "-j", jobs, "--html", name];
        assert_eq!(bundlecp(scratch.root(), &arguments).status, 1);
        fs::read(scratch.path(name)).unwrap()
    };
    assert!(page("1", "a.html") == page("4", "b.html"));
}
