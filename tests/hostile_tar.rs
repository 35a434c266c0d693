//! Hostile tars: names, links, types, modes and framing. Every archive is
//! extracted on 1, 2 and 16 threads, from a file and from a pipe, into nothing
//! and into a folder that stands, as the administrator and as nobody.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use bundlecp::ErrorKind::{
    AlreadyExists, BadName, FileTooLarge, LimitExceeded, Malformed, NameCollision, Truncated,
    Unsafe,
};
use bundlecp::extract::{Limits, Options};
use bundlecp::{Existing, ExternalLinks};
use common::snapshot::{Kind, Snapshot};
use hostile::arena::{Arena, Before, JOBS, Source, anything, case, refused, run};
use hostile::arena::{Case, Expected};
use hostile::tar::{Header, Tar, join};

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

fn has(seen: &Snapshot, path: &str) -> bool {
    seen.0.contains_key(path.as_bytes())
}

fn mode_of(seen: &Snapshot, path: &str) -> u32 {
    seen.node(path.as_bytes()).mode
}

#[test]
fn names_that_lead_out_are_refused_wherever_they_stand() {
    let mut cases = Vec::new();
    for name in [
        "../victim",
        "..",
        "a/../../victim",
        "a/..",
        "/victim",
        "//victim",
        "./../victim",
        "a/./../../victim",
    ] {
        let name = name.as_bytes();
        let plain = Tar::new().file(name, b"x").end();
        let in_prefix = Header::new(b"victim", b'0').prefix(name).size(1);
        let in_prefix = Tar::new().header(in_prefix).content(b"x").end();
        let in_pax = Tar::new().pax(&[("path", name)]).file(b"harmless", b"x");
        let mut long = name.to_vec();
        long.push(0);
        let header = Header::new(b"harmless", b'0').gnu().size(1);
        let in_gnu = Tar::new().long(b'L', &long).header(header).content(b"x");
        let sparse: &[(&str, &[u8])] = &[
            ("GNU.sparse.major", b"0"),
            ("GNU.sparse.minor", b"1"),
            ("GNU.sparse.name", name),
            ("GNU.sparse.size", b"512"),
            ("GNU.sparse.numblocks", b"1"),
            ("GNU.sparse.map", b"0,512"),
        ];
        let in_sparse = Tar::new().pax(sparse).file(b"harmless", &[1; 512]);
        for (place, bytes) in [
            ("name", plain),
            ("prefix", in_prefix),
            ("PAX path", in_pax.end()),
            ("GNU long name", in_gnu.end()),
            ("GNU.sparse.name", in_sparse.end()),
        ] {
            let shown = format!("{} in {place}", String::from_utf8_lossy(name));
            cases.push(refused(shown.leak(), bytes, &[Unsafe, Malformed]));
        }
        cases.push(refused("folder", Tar::new().dir(name).end(), &[Unsafe]));
        let link = Tar::new().symlink(name, b"x").end();
        cases.push(refused("link", link, &[Unsafe]));
    }
    run(&cases);
}

#[test]
fn only_a_folder_stands_for_the_destination_itself() {
    run(&[
        refused("file", Tar::new().file(b".", b"x").end(), &[Unsafe]),
        refused("link", Tar::new().symlink(b"./.", b"x").end(), &[Unsafe]),
        refused(
            "hard link",
            Tar::new().file(b"a", b"").hardlink(b".", b"a").end(),
            &[Unsafe],
        ),
        refused("slash", Tar::new().dir(b"/").end(), &[Unsafe]),
        case(
            "folder",
            Tar::new()
                .header(Header::new(b"./", b'5').mode(0o700))
                .file(b"./a", b"x")
                .end(),
            Expected::Fine(|seen| assert!(has(seen, "a"))),
        ),
        case(
            "folder without access",
            Tar::new()
                .header(Header::new(b"./", b'5').mode(0))
                .file(b"./a", b"x")
                .end(),
            Expected::Contained,
        ),
    ]);
}

#[test]
fn names_that_readers_cut_or_change_are_refused() {
    let nul = |key: &'static str| {
        let name: &[(&str, &[u8])] = &[(key, b"a\0b")];
        Tar::new().pax(name).file(b"x", b"").end()
    };
    let gnu = |name: &[u8]| {
        let header = Header::new(b"x", b'0').gnu();
        Tar::new().long(b'L', name).header(header).end()
    };
    run(&[
        refused("NUL in PAX path", nul("path"), &[Malformed, Unsafe]),
        refused("NUL in PAX key", nul("pa\0th"), &[Malformed]),
        refused("NUL in GNU name", gnu(b"a\0b\0"), &[Malformed]),
        refused("empty GNU name", gnu(b"\0"), &[Malformed]),
        refused(
            "empty PAX path",
            Tar::new().pax(&[("path", b"")]).file(b"x", b"").end(),
            &[Malformed],
        ),
        refused("no name", Tar::new().file(b"", b"").end(), &[Malformed]),
        refused(
            "file with a slash",
            Tar::new().file(b"a/", b"x").end(),
            &[Malformed],
        ),
        refused(
            "link with a slash",
            Tar::new().dir(b"d").symlink(b"l/", b"d").end(),
            &[Malformed],
        ),
        refused(
            "file by one name, folder by another",
            Tar::new()
                .pax(&[("path", b"a")])
                .header(Header::new(b"a/", 0).v7())
                .end(),
            &[Malformed],
        ),
    ]);
}

#[test]
fn long_and_deep_names_end_in_an_error_not_in_a_crash() {
    hostile::arena::on_a_large_stack(names_long_and_deep);
}

fn names_long_and_deep() {
    let path = |name: &[u8]| Tar::new().pax(&[("path", name)]).file(b"x", b"x").end();
    let deep = |levels: usize| {
        path(
            &b"d/"
                .repeat(levels - 1)
                .into_iter()
                .chain(*b"f")
                .collect::<Vec<_>>(),
        )
    };
    run(&[
        case(
            "component of 255 bytes",
            path(&[b'n'; 255]),
            Expected::Fine(anything),
        ),
        refused(
            "component of 256 bytes",
            path(&[b'n'; 256]),
            &[BadName, Unsafe],
        ),
        refused(
            "component of 70,000 bytes",
            path(&[b'n'; 70_000]),
            &[LimitExceeded, BadName, Unsafe],
        ),
        case(
            "path of 100,000 bytes",
            path(&[&[b'n'; 250][..], b"/"].concat().repeat(400)[..100_000 - 151]),
            Expected::Fine(anything),
        ),
        case("1024 levels", deep(1024), Expected::Fine(anything)),
        refused("1025 levels", deep(1025), &[Unsafe]),
        refused("20,000 levels", deep(20_000), &[Unsafe]),
        refused("500,000 levels", deep(500_000), &[Unsafe]),
        refused(
            "PAX path over 1 MiB",
            path(&b"d/".repeat(600_000)),
            &[Malformed, LimitExceeded],
        ),
    ]);
}

/// Levels of folders that go deeper one member at a time.
#[test]
fn a_tree_that_grows_deep_is_refused_and_cleaned_up() {
    let mut tar = Tar::new();
    let mut name = Vec::new();
    for _ in 0..1100 {
        name.extend_from_slice(b"d/");
        tar = tar.pax(&[("path", &name)]).dir(b"x");
    }
    let tar = tar.end();
    hostile::arena::on_a_large_stack(|| run(&[refused("1100 folders", tar, &[Unsafe])]));
}

#[test]
fn bytes_that_are_no_text_are_kept() {
    run(&[
        case(
            "not UTF-8",
            Tar::new().file(b"caf\xe9", b"x").end(),
            Expected::Fine(|seen| assert!(seen.0.contains_key(&b"caf\xe9"[..]))),
        ),
        case(
            "control characters",
            Tar::new().file(b"a\n\x1b[31m\x07b", b"x").end(),
            Expected::Fine(|seen| assert!(seen.0.contains_key(&b"a\n\x1b[31m\x07b"[..]))),
        ),
        case(
            "backslashes and drives",
            Tar::new().file(b"C:\\..\\x", b"x").file(b"CON", b"").end(),
            Expected::Fine(|seen| assert!(has(seen, "C:\\..\\x") && has(seen, "CON"))),
        ),
    ]);
    let arena = Arena::new();
    let bytes = Tar::new().file(b"../a\n\x1b[31mb", b"x").end();
    let refused = arena.extract(&bytes, Source::File, &Options::default(), "escapes");
    let refused = refused.unwrap_err();
    let text = format!("{refused} {} {refused:?}", refused.cause());
    assert!(!text.contains('\x1b') && !text.contains('\n'), "{text:?}");
}

#[test]
fn nothing_is_written_through_a_link_of_the_archive() {
    let t = Tar::new;
    run(&[
        refused(
            "file below a link out",
            t().symlink(b"l", b"..").file(b"l/victim", b"x").end(),
            &[Unsafe],
        ),
        refused(
            "file below a link inside",
            t().dir(b"d").symlink(b"l", b"d").file(b"l/x", b"x").end(),
            &[Unsafe],
        ),
        refused(
            "folder below a link",
            t().symlink(b"l", b"../beside").dir(b"l/new").end(),
            &[Unsafe],
        ),
        refused(
            "folder at a link",
            t().symlink(b"l", b"../beside")
                .header(Header::new(b"l/", b'5').mode(0o777))
                .end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "link at a folder",
            t().dir(b"d")
                .symlink(b"d", b"../beside")
                .file(b"d/x", b"x")
                .end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "file at a link",
            t().symlink(b"l", b"../victim").file(b"l", b"x").end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "file at a link, by another spelling",
            t().symlink(b"l", b"../victim").file(b"./l", b"x").end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "file below a link that comes later",
            t().file(b"l/x", b"x").symlink(b"l", b"../beside").end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "file below a file",
            t().file(b"f", b"x").file(b"f/x", b"x").end(),
            &[Unsafe],
        ),
        refused(
            "links through links",
            t().symlink(b"a", b".")
                .symlink(b"a/b", b"..")
                .file(b"a/b/victim", b"x")
                .end(),
            &[Unsafe],
        ),
        refused(
            "same name twice",
            t().file(b"f", b"1").file(b"f", b"2").end(),
            &[Malformed],
        ),
    ]);
}

#[test]
fn links_out_of_the_tree_are_refused_by_where_they_lead() {
    let t = Tar::new;
    let out = |name: &'static str, tar: Tar| refused(name, tar.end(), &[Unsafe]);
    run(&[
        out("absolute", t().symlink(b"l", b"/etc/passwd")),
        out("root", t().symlink(b"l", b"/")),
        out("parent", t().symlink(b"l", b"..")),
        out("beside", t().symlink(b"l", b"../beside/victim")),
        out("dangling out", t().symlink(b"l", b"../nothing")),
        out("from below", t().dir(b"d").symlink(b"d/l", b"../../victim")),
        out(
            "missing then out",
            t().symlink(b"l", b"no/such/../../../victim"),
        ),
        out(
            "lexically inside, physically outside",
            t().dir(b"a")
                .dir(b"a/b")
                .symlink(b"a/b/c", b"..")
                .symlink(b"l", b"a/b/c/../../victim"),
        ),
        out(
            "through the name of a link that comes later",
            t().symlink(b"l", b"d/x/../../victim")
                .dir(b"d")
                .symlink(b"d/x", b".."),
        ),
        out(
            "out by two halves",
            t().dir(b"d")
                .symlink(b"d/up", b"..")
                .symlink(b"l", b"d/up/../victim"),
        ),
        out(
            "PAX linkpath",
            t().pax(&[("linkpath", b"../victim")]).symlink(b"l", b"ok"),
        ),
        out(
            "GNU long target",
            t().long(b'K', b"../victim\0")
                .header(Header::new(b"l", b'2').gnu().link(b"ok")),
        ),
        case(
            "in by syntax that looks like out",
            t().dir(b"d")
                .file(b"f", b"x")
                .symlink(b"d/l", b"../d/../f")
                .end(),
            Expected::Fine(|seen| {
                let is_link =
                    matches!(&seen.node(b"d/l").kind, Kind::Link(target) if target == b"../d/../f");
                assert!(is_link);
            }),
        ),
        case(
            "dangling inside",
            t().symlink(b"l", b"not/there").end(),
            Expected::Fine(|seen| assert!(has(seen, "l"))),
        ),
        refused(
            "empty target",
            t().header(Header::new(b"l", b'2')).end(),
            &[Malformed],
        ),
        refused(
            "NUL in target",
            t().pax(&[("linkpath", b"a\0b")]).symlink(b"l", b"x").end(),
            &[Malformed, Unsafe],
        ),
        refused(
            "target of 4096 bytes",
            t().pax(&[("linkpath", &[b'a'; 4096])])
                .symlink(b"l", b"x")
                .end(),
            &[Unsafe],
        ),
        case(
            "target of 4095 bytes",
            t().pax(&[("linkpath", &b"a/".repeat(2048)[..4095])])
                .symlink(b"l", b"x")
                .end(),
            Expected::Contained,
        ),
    ]);
}

/// Allowed links are made, and still nothing goes through them.
#[test]
fn allowed_links_are_kept_and_never_followed() {
    let arena = Arena::new();
    let t = Tar::new;
    for (bytes, is_fine) in [
        (t().symlink(b"l", b"../beside").end(), true),
        (t().symlink(b"l", b"/").end(), true),
        (
            t().symlink(b"l", b"..").file(b"l/victim", b"x").end(),
            false,
        ),
        (
            t().symlink(b"l", b"../victim").hardlink(b"h", b"l").end(),
            false,
        ),
        (
            t().symlink(b"l", b"../victim")
                .header(Header::new(b"l", b'5').mode(0o777))
                .end(),
            false,
        ),
    ] {
        for jobs in JOBS {
            for source in [Source::File, Source::Pipe] {
                arena.prepare(Before::Nothing);
                let mut options = Options::default();
                options.external_links = ExternalLinks::Allow;
                options.jobs = Some(jobs);
                let result = arena.extract(&bytes, source, &options, "allowed links");
                assert_eq!(result.is_ok(), is_fine, "{result:?}");
            }
        }
    }
}

#[test]
fn hard_links_name_files_of_the_same_archive() {
    let t = Tar::new;
    let wrong = |name: &'static str, tar: Tar| refused(name, tar.end(), &[Unsafe, Malformed]);
    run(&[
        wrong("to a victim", t().hardlink(b"h", b"../victim")),
        wrong("absolute", t().hardlink(b"h", b"/etc/passwd")),
        wrong("to what stands there", t().hardlink(b"h", b"standing/file")),
        wrong(
            "to a symlink",
            t().file(b"f", b"x")
                .symlink(b"l", b"f")
                .hardlink(b"h", b"l"),
        ),
        wrong(
            "through a link",
            t().symlink(b"l", b"../beside").hardlink(b"h", b"l/victim"),
        ),
        wrong(
            "through a link inside",
            t().dir(b"d")
                .file(b"d/f", b"x")
                .symlink(b"l", b"d")
                .hardlink(b"h", b"l/f"),
        ),
        wrong("to a folder", t().dir(b"d").hardlink(b"h", b"d")),
        wrong("to the root", t().hardlink(b"h", b".")),
        wrong("to itself", t().hardlink(b"h", b"h")),
        wrong(
            "to a later member",
            t().hardlink(b"h", b"f").file(b"f", b"x"),
        ),
        wrong("with a slash", t().file(b"f", b"x").hardlink(b"h", b"f/x")),
        wrong(
            "with content",
            t().file(b"f", b"x")
                .header(Header::new(b"h", b'1').link(b"f").size(4))
                .content(b"evil"),
        ),
        wrong(
            "over a file",
            t().file(b"f", b"x").file(b"h", b"y").hardlink(b"h", b"f"),
        ),
        wrong(
            "file over a hard link",
            t().file(b"f", b"x")
                .hardlink(b"h", b"f")
                .file(b"h", b"through"),
        ),
        wrong(
            "PAX linkpath out",
            t().file(b"f", b"x")
                .pax(&[("linkpath", b"../victim")])
                .hardlink(b"h", b"f"),
        ),
        case(
            "chain of hard links",
            t().file(b"f", b"x")
                .hardlink(b"g", b"f")
                .hardlink(b"h", b"./g")
                .end(),
            Expected::Fine(|seen| {
                for name in ["f", "g", "h"] {
                    let Kind::File { first_name, .. } = &seen.node(name.as_bytes()).kind else {
                        panic!("{name} is no file");
                    };
                    assert_eq!(first_name.as_deref(), Some(&b"f"[..]));
                }
            }),
        ),
        case(
            "to a folder that can't be entered",
            t().header(Header::new(b"d", b'5').mode(0))
                .file(b"d/f", b"x")
                .hardlink(b"h", b"d/f")
                .end(),
            Expected::Contained,
        ),
    ]);
}

#[test]
fn loops_and_chains_of_links_end() {
    let mut chain = Tar::new();
    for number in 0..200 {
        let target = format!("l{}", number + 1);
        chain = chain.symlink(format!("l{number}").as_bytes(), target.as_bytes());
    }
    // Each link goes twice through the one before: 2^30 steps for the last.
    let mut doubling = Tar::new().dir(b"d0");
    for number in 1..30 {
        let target = format!("d{0}/../d{0}/..", number - 1);
        doubling = doubling.symlink(format!("d{number}").as_bytes(), target.as_bytes());
    }
    let mut heavy = Tar::new();
    let target = b"a/../".repeat(800);
    heavy = heavy.dir(b"a");
    for number in 0..3000 {
        let name = format!("l{number}");
        heavy = heavy
            .pax(&[("linkpath", &target)])
            .symlink(name.as_bytes(), b"x");
    }
    let fine = Expected::Fine(anything);
    run(&[
        case("to itself", Tar::new().symlink(b"l", b"l").end(), fine),
        case(
            "in a circle",
            Tar::new().symlink(b"a", b"b").symlink(b"b", b"a").end(),
            fine,
        ),
        refused(
            "below a circle",
            Tar::new()
                .symlink(b"a", b"b")
                .symlink(b"b", b"a")
                .file(b"a/x", b"")
                .end(),
            &[Unsafe],
        ),
        case("chain of 200", chain.end(), fine),
        case("doubling", doubling.end(), Expected::Contained),
    ]);
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let heavy = heavy.end();
    let _ = arena.extract(&heavy, Source::File, &Options::default(), "heavy targets");
}

#[test]
fn names_that_collide_are_never_written_over() {
    // Where case is told apart these are two files; elsewhere an error.
    let t = Tar::new;
    run(&[
        case(
            "case",
            t().symlink(b"a", b".").file(b"A", b"x").end(),
            Expected::Contained,
        ),
        case(
            "case of folders",
            t().symlink(b"d", b"..").file(b"D/victim", b"x").end(),
            Expected::Refused(&[Unsafe, NameCollision]),
        ),
        case(
            "Unicode",
            t().symlink("é".as_bytes(), b".")
                .file("e\u{301}".as_bytes(), b"x")
                .end(),
            Expected::Contained,
        ),
    ]);
}

#[test]
fn devices_and_unknown_types_are_refused() {
    let mut cases = Vec::new();
    for flag in (0..=255_u8).filter(|flag| !b"\x0001257xgLKSV".contains(flag)) {
        for (gnu, size) in [(false, 0), (true, 512)] {
            let header = Header::new(b"x", flag).size(size);
            let header = if gnu { header.gnu() } else { header };
            let tar = Tar::new().header(header).content(&vec![1; size as usize]);
            let name = format!("type {flag:#x}, gnu {gnu}, size {size}");
            cases.push(refused(name.leak(), tar.end(), &[Unsafe, Malformed]));
        }
    }
    // All from a pipe at one width; those that are known of old in every manner.
    let arena = Arena::new();
    for case in &cases {
        arena.prepare(Before::Nothing);
        let mut options = Options::default();
        options.jobs = Some(2);
        let result = arena.extract(&case.bytes, Source::Pipe, &options, case.name);
        let kind = result.unwrap_err().kind();
        assert!(
            matches!(kind, Unsafe | Malformed),
            "{}: {kind:?}",
            case.name
        );
    }
    let devices = [
        "type 0x33",
        "type 0x34",
        "type 0x36",
        "type 0x44",
        "type 0x4d",
        "type 0x4e",
    ];
    cases.retain(|case| devices.iter().any(|device| case.name.starts_with(device)));
    run(&cases);
}

#[test]
fn special_bits_are_stripped_and_the_umask_holds() {
    let with = |flag, mode| Header::new(b"x", flag).mode(mode);
    run(&[
        case(
            "set-ID file",
            Tar::new().header(with(b'0', 0o7777)).end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "x") & !0o755, 0)),
        ),
        case(
            "set-ID folder",
            Tar::new().header(with(b'5', 0o7777)).end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "x") & !0o755, 0)),
        ),
        case(
            "file type in the mode",
            Tar::new().header(with(b'0', 0o120_644)).end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "x"), 0o644)),
        ),
    ]);
}

#[test]
fn folders_and_files_without_access_still_work() {
    let dir = |name: &[u8], mode| Header::new(name, b'5').mode(mode);
    run(&[
        case(
            "folders of mode 0",
            Tar::new()
                .header(dir(b"d", 0))
                .header(dir(b"d/e", 0))
                .file(b"d/e/f", b"x")
                .symlink(b"d/e/l", b"f")
                .hardlink(b"d/e/h", b"d/e/f")
                .end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "d"), 0)),
        ),
        case(
            "folder that can only be read",
            Tar::new().header(dir(b"d", 0o555)).file(b"d/f", b"x").end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "d"), 0o555)),
        ),
        case(
            "mode changed by a second member",
            Tar::new()
                .header(dir(b"d", 0o500))
                .file(b"d/f", b"x")
                .header(dir(b"d", 0))
                .end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "d"), 0)),
        ),
        case(
            "file of mode 0",
            Tar::new()
                .header(Header::new(b"f", b'0').mode(0).size(1))
                .content(b"x")
                .end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "f"), 0)),
        ),
        case(
            "large file of mode 0",
            Tar::new()
                .header(Header::new(b"f", b'0').mode(0).size(9 << 20))
                .content(&vec![1; 9 << 20])
                .end(),
            Expected::Fine(|seen| assert_eq!(mode_of(seen, "f"), 0)),
        ),
    ]);
}

#[test]
fn owners_times_and_foreign_attributes_do_no_harm() {
    let header = || Header::new(b"f", b'0');
    let base_256 = |value: [u8; 8]| value;
    let owned = |value: [u8; 8]| {
        header()
            .with(108..116, &base_256(value))
            .with(116..124, &value)
    };
    let xattrs: &[(&str, &[u8])] = &[
        (
            "SCHILY.xattr.security.capability",
            b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        ),
        ("SCHILY.xattr.trusted.overlay.opaque", b"y"),
        ("SCHILY.xattr.system.posix_acl_access", b"\x02\0\0\0"),
        ("SCHILY.acl.access", b"user::rwx,user:nobody:rwx"),
        ("LIBARCHIVE.xattr.security.selinux", b"eA"),
    ];
    run(&[
        case(
            "owner 12345",
            Tar::new().header(owned(*b"0030071\0")).end(),
            Expected::Fine(|seen| {
                let own = rustix::process::geteuid().as_raw();
                assert_eq!(seen.node(b"f").owner.0, own);
            }),
        ),
        case(
            "owner over 32 bits",
            Tar::new().header(owned([0x80, 0, 0, 1, 0, 0, 0, 0])).end(),
            Expected::Contained,
        ),
        refused(
            "negative owner",
            Tar::new().header(owned([0xff; 8])).end(),
            &[Malformed],
        ),
        case(
            "time before 1970",
            Tar::new().header(header().mtime(-1)).end(),
            Expected::Fine(anything),
        ),
        case(
            "time of 2^62",
            Tar::new().header(header().mtime(1 << 62)).end(),
            Expected::Contained,
        ),
        case(
            "least time",
            Tar::new().header(header().mtime(i64::MIN)).end(),
            Expected::Contained,
        ),
        case(
            "attributes of the system",
            Tar::new().pax(xattrs).file(b"f", b"x").end(),
            Expected::Fine(|seen| assert!(seen.node(b"f").xattrs.is_empty())),
        ),
        case(
            "attributes of macOS, which nobody asked for",
            Tar::new()
                .pax(&[("SCHILY.xattr.com.apple.quarantine", b"x")])
                .file(b"f", b"x")
                .end(),
            Expected::Fine(|seen| assert!(seen.node(b"f").xattrs.is_empty())),
        ),
        case(
            "user attribute of 100,000 bytes",
            Tar::new()
                .pax(&[("SCHILY.xattr.user.big", &vec![b'x'; 100_000])])
                .file(b"f", b"x")
                .end(),
            Expected::Contained,
        ),
    ]);
}

#[test]
fn sizes_and_records_that_readers_take_in_two_ways_are_refused() {
    let t = Tar::new;
    // A whole archive as content: who takes the wrong size sees its member.
    let inner = t().file(b"smuggled", b"x").end();
    let smuggled = Expected::Fine(|seen| assert!(!has(seen, "smuggled") && has(seen, "after")));
    let zero = |records: &[(&str, &[u8])]| t().pax(records).header(Header::new(b"f", b'0'));
    let size = inner.len().to_string();
    let malformed = |name: &'static str, tar: Tar| refused(name, tar.end(), &[Malformed, Unsafe]);
    run(&[
        case(
            "PAX size over a header's 0",
            zero(&[("size", size.as_bytes())])
                .content(&inner)
                .file(b"after", b"")
                .end(),
            smuggled,
        ),
        case(
            "last of two PAX sizes",
            zero(&[("size", b"0"), ("size", size.as_bytes())])
                .content(&inner)
                .file(b"after", b"")
                .end(),
            smuggled,
        ),
        malformed(
            "PAX size before a long name",
            t().pax(&[("size", b"512")])
                .long(b'L', b"n\0")
                .file(b"f", b""),
        ),
        malformed(
            "long name before PAX",
            t().long(b'L', b"n\0")
                .pax(&[("size", b"512")])
                .file(b"f", b""),
        ),
        malformed(
            "two PAX headers",
            t().pax(&[("path", b"a")])
                .pax(&[("path", b"b")])
                .file(b"f", b""),
        ),
        malformed(
            "two long names",
            t().long(b'L', b"a\0")
                .long(b'L', b"b\0")
                .header(Header::new(b"f", b'0').gnu()),
        ),
        malformed(
            "global header in between",
            t().pax(&[("path", b"a")])
                .records(b'g', &join(&[("comment", b"x")]))
                .file(b"f", b""),
        ),
        malformed(
            "global path",
            t().records(b'g', &join(&[("path", b"../victim")]))
                .file(b"f", b""),
        ),
        malformed(
            "global size",
            t().records(b'g', &join(&[("size", b"512")]))
                .file(b"f", b""),
        ),
        malformed("size that is no number", zero(&[("size", b"0x10")])),
        malformed("negative PAX size", zero(&[("size", b"-1")])),
        malformed(
            "PAX size over 2^63",
            zero(&[("size", b"9223372036854775808")]),
        ),
        malformed(
            "record of no length",
            t().records(b'x', b"path=x\n").file(b"f", b""),
        ),
        malformed(
            "record past the end",
            t().records(b'x', b"99 path=x\n").file(b"f", b""),
        ),
        malformed(
            "record without newline",
            t().records(b'x', b"9 path=xy").file(b"f", b""),
        ),
        malformed(
            "record without equals",
            t().records(b'x', b"7 path\n").file(b"f", b""),
        ),
        malformed(
            "charset",
            t().pax(&[("hdrcharset", b"ISO-8859-1"), ("path", b"x")])
                .file(b"f", b""),
        ),
        malformed(
            "negative size",
            t().header(Header::new(b"f", b'0').raw_size([0xff; 12])),
        ),
        malformed(
            "size over 2^63",
            t().header(
                Header::new(b"f", b'0').raw_size([0x80, 0, 0, 0, 0xff, 0, 0, 0, 0, 0, 0, 0]),
            ),
        ),
        malformed(
            "folder with content",
            t().header(Header::new(b"d", b'5').size(512))
                .content(&inner[..512]),
        ),
        malformed(
            "link with content",
            t().header(Header::new(b"l", b'2').link(b"x").size(512))
                .content(&inner[..512]),
        ),
        refused(
            "pending PAX at the end",
            t().pax(&[("path", b"x")]).end(),
            &[Malformed, Truncated],
        ),
        refused(
            "pending PAX and nothing",
            t().pax(&[("path", b"x")]).0,
            &[Truncated],
        ),
        refused(
            "pending long name",
            t().long(b'L', b"x\0").end(),
            &[Malformed, Truncated],
        ),
        malformed("wrong checksum", {
            let mut tar = t().file(b"f", b"x").file(b"g", b"x");
            tar.0[1024] ^= 1;
            tar
        }),
        refused(
            "size of 8 EiB",
            t().header(Header::new(b"f", b'0').raw_size([
                0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ]))
            .end(),
            &[
                Truncated,
                FileTooLarge,
                bundlecp::ErrorKind::NoSpace,
                bundlecp::ErrorKind::Io,
            ],
        ),
        refused(
            "size of 1 TiB",
            t().header(
                Header::new(b"f", b'0')
                    .size(1 << 32)
                    .raw_size([0x80, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0]),
            )
            .end(),
            &[Truncated, bundlecp::ErrorKind::NoSpace],
        ),
    ]);
}

#[test]
fn a_second_archive_behind_the_end_is_refused() {
    let one = Tar::new().file(b"f", b"x").end();
    let two = Tar::new().file(b"smuggled", b"x").end();
    let single = [&one[..one.len() - 512], &two].concat();
    run(&[
        refused("behind two blocks", [&one[..], &two].concat(), &[Malformed]),
        refused("behind one block", single, &[Malformed]),
        refused("junk", [&one[..], b"x"].concat(), &[Malformed]),
        case(
            "zeros",
            [&one[..], &[0; 9000]].concat(),
            Expected::Fine(anything),
        ),
    ]);
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let mut options = Options::default();
    options.after_end = bundlecp::extract::AfterEnd::Continue;
    let both = [&one[..], &two].concat();
    arena
        .extract(&both, Source::Pipe, &options, "continued")
        .unwrap();
    assert!(has(&arena.extracted(), "smuggled"));
}

/// PAX records of a sparse file of the form 0.1.
fn sparse(size: &str, count: &str, map: &str, stored: usize) -> Vec<u8> {
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"0"),
        ("GNU.sparse.minor", b"1"),
        ("GNU.sparse.size", size.as_bytes()),
        ("GNU.sparse.numblocks", count.as_bytes()),
        ("GNU.sparse.map", map.as_bytes()),
    ];
    Tar::new().pax(records).file(b"f", &vec![1; stored]).end()
}

/// A sparse file of the form 1.0: the map is text before the data.
fn text_map(size: &str, map: &str, stored: usize) -> Vec<u8> {
    let records: &[(&str, &[u8])] = &[
        ("GNU.sparse.major", b"1"),
        ("GNU.sparse.minor", b"0"),
        ("GNU.sparse.name", b"f"),
        ("GNU.sparse.realsize", size.as_bytes()),
    ];
    let mut content = map.as_bytes().to_vec();
    content.resize(content.len().next_multiple_of(512), 0);
    content.resize(content.len() + stored, 1);
    Tar::new().pax(records).file(b"g", &content).end()
}

#[test]
fn sparse_maps_that_lie_are_refused() {
    let huge = i64::MAX.to_string();
    let many: String = std::iter::once("90000\n".to_owned())
        .chain((0..180_000).map(|number| format!("{}\n", number * 512)))
        .collect();
    let wrong = |name: &'static str, bytes| refused(name, bytes, &[Malformed]);
    let is_sparse = Expected::Fine(|seen| {
        let Kind::File { size, .. } = seen.node(b"f").kind else {
            panic!("no file");
        };
        assert_eq!(size, 4096);
    });
    run(&[
        case(
            "honest 0.1",
            sparse("4096", "2", "512,512,4096,0", 512),
            is_sparse,
        ),
        case(
            "honest 1.0",
            text_map("4096", "2\n512\n512\n4096\n0\n", 512),
            is_sparse,
        ),
        wrong(
            "backwards",
            sparse("4096", "3", "1024,512,0,512,4096,0", 1024),
        ),
        wrong(
            "overlapping",
            sparse("4096", "3", "0,1024,512,512,4096,0", 1536),
        ),
        wrong("past the end", sparse("512", "1", "512,512", 512)),
        wrong("more than is stored", sparse("4096", "1", "0,4096", 512)),
        wrong(
            "less than is stored",
            sparse("4096", "2", "0,512,4096,0", 1024),
        ),
        wrong("count too high", sparse("4096", "3", "0,512,4096,0", 512)),
        wrong(
            "overflowing",
            sparse(&huge, "1", &format!("{huge},512"), 512),
        ),
        wrong("negative", sparse("4096", "2", "-1,512,4096,0", 512)),
        wrong(
            "text backwards",
            text_map("4096", "3\n1024\n512\n0\n512\n4096\n0\n", 1024),
        ),
        wrong("text past the end", text_map("512", "1\n512\n512\n", 512)),
        wrong("text that isn't a map", text_map("512", "x\n", 512)),
        wrong(
            "text with junk behind",
            text_map("512", "1\n0\n512\nevil", 512),
        ),
        wrong(
            "text that overflows",
            text_map("512", "1\n0\n99999999999999999999999\n", 512),
        ),
        wrong("text over 1 MiB", text_map("46080000", &many, 0)),
        case(
            "hole of 8 EiB",
            sparse(&huge, "1", &format!("{huge},0"), 0),
            Expected::Contained,
        ),
    ]);
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let mut options = Options::default();
    options.limits = Limits::untrusted();
    let bytes = sparse(&huge, "1", &format!("{huge},0"), 0);
    let limited = arena.extract(&bytes, Source::Pipe, &options, "8 EiB");
    assert_eq!(limited.unwrap_err().kind(), LimitExceeded);
}

/// What the members are called in the archive is no way around the rules for
/// what they are called in the destination.
#[test]
fn stripped_and_chosen_members_follow_the_same_rules() {
    let t = Tar::new;
    let cases: &[(&str, Tar, bool)] = &[
        (
            "link that leaves the stripped tree",
            t().dir(b"a").symlink(b"a/l", b"../b"),
            false,
        ),
        (
            "link that stays",
            t().dir(b"a").file(b"a/f", b"x").symlink(b"a/l", b"f"),
            true,
        ),
        ("dots stripped", t().file(b"../victim", b"x"), false),
        (
            "dots left out",
            t().file(b"a/f", b"x").file(b"..", b"x"),
            false,
        ),
        ("absolute stripped", t().file(b"/victim", b"x"), false),
        (
            "two that become one",
            t().file(b"a/f", b"x").file(b"b/f", b"y"),
            false,
        ),
        (
            "link and folder become one",
            t().symlink(b"a/l", b"x").file(b"b/l/victim", b"y"),
            false,
        ),
        (
            "hard link to what was left out",
            t().file(b"f", b"x").hardlink(b"a/h", b"f"),
            false,
        ),
        (
            "file for the root",
            t().dir(b"a").file(b"a/", b"").file(b"b", b"x"),
            false,
        ),
    ];
    let arena = Arena::new();
    for (name, tar, is_fine) in cases {
        for source in [Source::File, Source::Pipe] {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            options.strip_components = 1;
            let result = arena.extract(&tar.clone().end(), source, &options, name);
            assert_eq!(result.is_ok(), *is_fine, "{name}: {result:?}");
        }
    }
    let mut options = Options::default();
    options.select = Some(Box::new(|path| !path.starts_with("f")));
    let tar = t().file(b"f", b"x").hardlink(b"h", b"f").end();
    arena.prepare(Before::Nothing);
    let result = arena.extract(
        &tar,
        Source::File,
        &options,
        "hard link to what wasn't chosen",
    );
    assert_eq!(result.unwrap_err().kind(), bundlecp::ErrorKind::Usage);
}

/// CVE-2025-45582 and its kin: links that stand in the destination already,
/// perhaps from an archive before.
#[test]
fn links_that_stand_in_the_destination_are_never_followed() {
    let t = Tar::new;
    let archives: &[(&str, Tar)] = &[
        ("file below", t().file(b"way-out/victim", b"x")),
        ("folder below", t().dir(b"way-out/new")),
        (
            "folder at",
            t().header(Header::new(b"way-out", b'5').mode(0o777)),
        ),
        ("file at", t().file(b"way-to-file", b"x")),
        (
            "hard link at",
            t().file(b"f", b"x").hardlink(b"way-to-file", b"f"),
        ),
        ("link at", t().symlink(b"way-to-file", b"standing/file")),
        ("file at folder link", t().file(b"way-out", b"x")),
        ("below a file", t().file(b"way-to-file/x", b"x")),
        ("empty way through", t().dir(b"way-out").dir(b"way-out/in")),
        ("beside what stands", t().file(b"standing/new", b"x")),
    ];
    let arena = Arena::new();
    for (name, tar) in archives {
        for existing in [Existing::Refuse, Existing::Replace, Existing::Merge] {
            for jobs in JOBS {
                for source in [Source::File, Source::Pipe] {
                    arena.prepare(Before::Folder);
                    let mut options = Options::default();
                    options.existing = existing;
                    options.jobs = Some(jobs);
                    let context = format!("{name}, {existing:?}, {jobs} jobs, {source:?}");
                    let result = arena.extract(&tar.clone().end(), source, &options, &context);
                    if existing == Existing::Refuse {
                        assert_eq!(result.unwrap_err().kind(), AlreadyExists, "{context}");
                    }
                }
            }
        }
    }
}

/// Two archives, each with links that stay inside: laid over one another, the
/// second's would lead out by way of the first's.
#[test]
fn links_of_two_archives_do_not_lead_out_together() {
    let t = Tar::new;
    let first = t()
        .dir(b"top")
        .dir(b"d")
        .dir(b"d/e")
        .symlink(b"d/e/m", b"../../top")
        .end();
    let second = t().symlink(b"l", b"d/e/m/../../victim").end();
    let arena = Arena::new();
    for source in [Source::File, Source::Pipe] {
        for existing in [Existing::Refuse, Existing::Replace, Existing::Merge] {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            options.existing = existing;
            arena
                .extract(&first, source, &options, "the first")
                .unwrap();
            let result = arena.extract(&second, source, &options, "the second");
            assert_eq!(result.unwrap_err().kind(), Unsafe);
        }
    }
}

/// What looks like the staging folder of a killed run is taken up by the next
/// one, which puts back what it finds there, one level higher: a link that
/// stayed inside leads out then.
#[test]
fn forged_staging_folders_are_refused() {
    let t = Tar::new;
    let inside = b".extract.bundlecp-0123456789abcdef/l.replaced";
    let at_top = b".extract.bundlecp-0123456789abcdef.replaced";
    let below = b"d/.app.bundlecp-0123456789abcdef/f";
    let cases = [
        refused(
            "forged",
            t().symlink(inside, b"../standing").end(),
            &[Unsafe],
        ),
        refused("parked", t().symlink(at_top, b"f").end(), &[Unsafe]),
        refused("below", t().file(below, b"x").end(), &[Unsafe]),
        case(
            "of another form",
            t().file(b".extract.bundlecp0123456789abcdef", b"x").end(),
            Expected::Contained,
        ),
    ];
    run(&cases);
    let arena = Arena::new();
    arena.prepare(Before::Folder);
    let options = Options::default();
    let _ = arena.extract(&cases[0].bytes, Source::File, &options, "forged");
    let next = t().file(b"harmless", b"x").end();
    arena
        .extract(&next, Source::File, &options, "the next")
        .unwrap();
    assert!(!has(&arena.extracted(), "l"));
}

/// What can't be an archive.
#[test]
fn what_is_no_archive_is_refused() {
    let not: &[(&str, &[u8])] = &[
        ("nothing", b""),
        ("one byte", b"x"),
        ("text", &[b'x'; 2000]),
        ("block of text", &[b'x'; 512]),
    ];
    let kinds = &[bundlecp::ErrorKind::UnknownFormat, Truncated];
    let cases: Vec<Case> = not
        .iter()
        .map(|(name, bytes)| refused(name, bytes.to_vec(), kinds))
        .collect();
    run(&cases);
}
