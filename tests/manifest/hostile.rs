//! Manifests that somebody made to be misunderstood: each with the count and the hash that
//! it has to have.

use std::path::Path;

use bundlecp::manifest::{self, Limits};

use super::common::{Scratch, build, bundlecp};
use super::signed::signed;

const HASH: &str = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";

fn file(path: &str) -> String {
    format!(r#"{{"path":"{path}","kind":"file","size":0,"mode":"0644","hash":"{HASH}"}}"#)
}

fn dir(path: &str) -> String {
    format!(r#"{{"path":"{path}","kind":"dir","mode":"0755"}}"#)
}

fn link(path: &str, kind: &str, target: &str) -> String {
    format!(r#"{{"path":"{path}","kind":"{kind}","target":"{target}"}}"#)
}

fn refusal(text: &[u8]) -> String {
    let read = manifest::read_from(text, Path::new("x"), Limits::default());
    let error = read.expect_err(&String::from_utf8_lossy(text));
    assert_eq!(error.kind().exit_status(), 4, "{error:?}");
    error.cause()
}

#[test]
fn lines_that_make_no_tree_are_refused() {
    let deep = vec!["d"; 1025].join("/");
    let cases: &[(&[&str], &str)] = &[
        (&[&file("../x")], "`..`"),
        (&[&dir("a"), &file("a/../x")], "`..`"),
        (&[&file("/etc/x")], "absolute"),
        (&[&file("a\\u0000b")], "NUL"),
        (&[&file("")], "twice"),
        (&[&dir(".")], "another way"),
        (&[&file("./a")], "another way"),
        (&[&dir("a/")], "another way"),
        (&[&dir("a"), &file("a//b")], "another way"),
        (&[&file("a"), &file("a")], "`a` is there twice"),
        (&[&dir("a"), &file("a")], "`a` is there twice"),
        (&[&file("b"), &file("a")], "order"),
        (&[&dir("a"), &file("a/b"), &file("a-b")], "order"),
        (&[&file("a/b")], "isn't an entry before it"),
        (&[&dir("a"), &file("a/b/c")], "isn't an entry before it"),
        (&[&file("a"), &file("a/b")], "below a file"),
        (&[&link("a", "symlink", "b"), &file("a/b")], "below a link"),
        (&[&file(&deep)], "1024"),
        (&[&link("a", "symlink", "")], "without a target"),
        (&[&link("a", "symlink", &"t".repeat(4096))], "4095"),
        (
            &[&link("a", "hardlink", "b"), &file("b")],
            "isn't in the archive",
        ),
        (&[&dir("a"), &link("b", "hardlink", "a")], "no file"),
        (&[&file("a"), &link("b", "hardlink", "../a")], "`..`"),
        (
            &[&file("a"), &link("b", "hardlink", "./a")],
            "than the first",
        ),
        (
            &[
                &file("a"),
                &link("b", "hardlink", "a"),
                &link("c", "hardlink", "b"),
            ],
            "than the first",
        ),
    ];
    for (lines, expected) in cases {
        let cause = refusal(signed(lines).as_bytes());
        assert!(cause.contains(expected), "{lines:?}: {cause}");
    }
    // The same rules let these pass.
    let fine = [
        &*dir("a"),
        &file("a-b"),
        &file("a/b"),
        &link("c", "hardlink", "a/b"),
        &link("d", "symlink", "/etc/passwd"),
    ];
    let text = signed(&fine);
    let read = manifest::read_from(text.as_bytes(), Path::new("x"), Limits::default());
    assert_eq!(read.unwrap().entries().len(), 5);
}

#[test]
fn a_line_is_written_in_one_way_alone() {
    let whole = file("a");
    for line in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        "null".to_owned(),
        format!(" {whole}"),
        format!("{whole} "),
        format!("{whole}\r"),
        format!("{whole}{whole}"),
        whole.replace(",\"kind", ", \"kind"),
        whole.replace("\"a\"", "\"\\u0061\""),
        whole.replace("\"a\"", "\"a\",\"path_base64\":\"YQ==\""),
        whole.replace("\"a\"", "\"a\",\"path\":\"a\""),
        whole.replace("\"a\"", "\"\u{fffd}\",\"path_base64\":\"6Q\""),
        whole.replace("\"a\"", "\"b\",\"path_base64\":\"6Q==\""),
        whole.replace("\"file\"", "\"fifo\""),
        whole.replace("\"file\"", "\"dir\""),
        whole.replace("\"file\"", "\"symlink\""),
        whole.replace("\"size\":0,", ""),
        whole.replace("\"size\":0", "\"size\":-1"),
        whole.replace("\"size\":0", "\"size\":0.0"),
        whole.replace("\"size\":0", "\"size\":18446744073709551616"),
        whole.replace("\"size\":0", "\"size\":\"0\""),
        whole.replace("0644", "644"),
        whole.replace("0644", "+644"),
        whole.replace("0644", "0648"),
        whole.replace("0644", "10644"),
        whole.replace("\"mode\":\"0644\"", "\"mode\":null"),
        whole.replace("af1349", "AF1349"),
        whole.replace("af1349", "af134"),
        whole.replace(HASH, ""),
        whole.replace(&format!(",\"hash\":\"{HASH}\""), ""),
        whole.replace("\"hash\"", "\"mtime\":\"yesterday\",\"hash\""),
        whole.replace("\"hash\"", "\"mtime\":\"2001-09-09T01:46:40.5Z\",\"hash\""),
        whole.replace(
            "\"hash\"",
            "\"mtime\":\"2001-09-09T03:46:40+02:00\",\"hash\"",
        ),
        whole.replace("\"hash\"", "\"target\":\"a\",\"hash\""),
        whole.replace("}", ",\"more\":1}"),
        whole.replace("}", ",\"xattrs\":[]}"),
        whole.replace("}", ",\"xattrs\":[{\"name\":\"user.a\"}]}"),
        whole.replace("}", ",\"xattrs\":[{\"name\":\"user.a\",\"value\":\"?\"}]}"),
        whole.replace(
            "}",
            ",\"xattrs\":[{\"name\":\"b\",\"value\":\"\"},{\"name\":\"a\",\"value\":\"\"}]}",
        ),
        whole.replace(
            "}",
            ",\"xattrs\":[{\"name\":\"a\",\"value\":\"\"},{\"name\":\"a\",\"value\":\"\"}]}",
        ),
        whole
            .replace("\"mode\":\"0644\",", "")
            .replace("}", ",\"xattrs\":[{\"name\":\"user.a\",\"value\":\"\"}]}"),
    ] {
        let cause = refusal(signed(&[&line]).as_bytes());
        assert!(cause.starts_with("its line 2 "), "{line:?}: {cause}");
    }
    let mut bytes = signed(&[&file("a?")]).into_bytes();
    let at = bytes.iter().position(|byte| *byte == b'?').unwrap();
    bytes[at] = 0xFF;
    assert!(refusal(&bytes).starts_with("its line 2 "));
}

#[test]
fn whatever_is_read_is_a_tree_in_its_only_text() {
    let golden = include_str!("../data/golden.manifest");
    let lines: Vec<&str> = golden.lines().skip(1).collect();
    let (mut read, mut refused) = (0, 0);
    let mut judge = |lines: &[&str]| {
        let text = signed(lines);
        match manifest::read_from(text.as_bytes(), Path::new("x"), Limits::default()) {
            Ok(manifest) => {
                read += 1;
                let entries = manifest.entries();
                assert!(entries.is_sorted_by(|a, b| a.path < b.path), "{text}");
                for entry in entries {
                    let path = entry.path.to_path_buf();
                    let is_name = |part| matches!(part, std::path::Component::Normal(_));
                    assert!(path.components().all(is_name), "{text}");
                }
            }
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind().exit_status(), 4, "{error:?}");
            }
        }
    };
    for at in 0..lines.len() {
        let mut changed = lines.clone();
        let line = changed.remove(at);
        judge(&changed);
        changed.push(line);
        judge(&changed);
        let mut changed = lines.clone();
        changed.insert(at, line);
        judge(&changed);
        for byte in 0..line.len() {
            for bit in [1, 2, 4, 8, 16] {
                let mut bytes = line.as_bytes().to_vec();
                bytes[byte] ^= bit;
                if let Ok(line) = std::str::from_utf8(&bytes) {
                    let mut changed = lines.clone();
                    changed[at] = line;
                    judge(&changed);
                }
            }
        }
    }
    assert!(
        read > 1000 && refused > 1000,
        "{read} read, {refused} refused"
    );
}

#[test]
fn a_header_has_to_be_of_this_version_and_to_fit() {
    let text = signed(&[&file("a")]);
    for (from, to, expected) in [
        ("\"version\":1", "\"version\":2", "version 2"),
        ("\"version\":1", "\"version\":\"1\"", "first line"),
        ("\"version\":1,", "", "first line"),
        ("\"version\":1", "\"version\": 1", "first line"),
        ("\"entries\":1", "\"entries\":0", "goes on after 0"),
        ("\"entries\":1", "\"entries\":2", "after 1 of 2"),
        (
            "\"entries\":1",
            "\"entries\":18446744073709551615",
            "after 1 of",
        ),
        ("\"entries\":1", "\"entries\":-1", "first line"),
        ("\"source\":\"folder\"", "\"source\":\"pipe\"", "first line"),
        (
            "\"source\":\"folder\"",
            "\"source\":\"folder\",\"more\":1",
            "first line",
        ),
        (
            "\"source\":\"folder\"",
            "\"source\":\"folder\",\"untold\":[\"modes\"]",
            "first line",
        ),
        (
            "\"source\":\"folder\"",
            "\"source\":\"folder\",\"untold\":[\"xattrs\"]",
            "tree hash",
        ),
        (
            "\"source\":\"folder\"",
            "\"source\":\"folder\",\"root_hash\":\"00\"",
            "first line",
        ),
        ("\"size\":0", "\"size\":1", "tree hash"),
        ("bundlecp-manifest", "bundlecp-manifesto", "first line"),
    ] {
        assert!(text.contains(from), "{from}");
        let cause = refusal(text.replace(from, to).as_bytes());
        assert!(cause.contains(expected), "{to}: {cause}");
    }
    assert!(refusal(b"").contains("empty"));
}

#[test]
fn a_line_without_an_end_is_not_kept() {
    let mut long = signed(&[&file("a")]).into_bytes();
    long.truncate(long.len() - 3);
    long.resize(17 << 20, b' ');
    assert!(refusal(&long).contains("16 MiB"));
    let begin = long.len() - (16 << 20);
    assert!(refusal(&long[begin..]).contains("16 MiB"));
}

#[test]
fn the_command_says_what_is_wrong_in_one_line() {
    let scratch = Scratch::new();
    build::folder(scratch.path("app"));
    let edited = signed(&[&file("a")]).replace("0644", "0600");
    for (name, text, says) in [
        ("edited", edited, "its entries don't have its tree hash"),
        (
            "cut",
            signed(&[&file("a")]).trim_end().to_owned(),
            "it ends within a line",
        ),
        (
            "newer",
            signed(&[]).replace("\"version\":1", "\"version\":7"),
            "its first line has version 7 of the format, and only version 1 is known\n\
             hint: a newer bundlecp may know it",
        ),
    ] {
        build::file(scratch.path(name), text);
        for arguments in [
            &["verify", name, "app"][..],
            &["verify", "app", name],
            &["verify", name],
        ] {
            let ran = bundlecp(scratch.root(), arguments);
            let expected = format!("bundlecp: verify `{name}`: {says}\n");
            assert_eq!((ran.status, ran.stderr.as_str()), (4, expected.as_str()));
        }
    }
}
