//! Single members of a `.bcp`: read from any place, extracted alone, behind a prefix,
//! in archives that are damaged elsewhere.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bundlecp::archive::{Archive, MemberReader, SeekableMember};
use bundlecp::extract::{self, Limits, Options, extract};
use bundlecp::pack::{self, Format};
use bundlecp::{ErrorKind, Silent, list, verify};
use common::build::{age, bundle, file};
use common::random::config;
use common::{Scratch, build};
use hostile::bcp::{FOLDER, Parts, Rows, Section, manifest, tables};
use hostile::bcp_sample::{SPARSE, of_rows, program, rows, sample, sparse_content};
use proptest::prelude::*;

/// The files of the sample: one in one block, one that is filtered and cut by three, one
/// with holes, one that is another's content.
fn files() -> [(&'static str, Vec<u8>); 4] {
    [
        ("d/a", b"hello".to_vec()),
        ("program", program()),
        ("sparse", sparse_content()),
        ("d/h", b"hello".to_vec()),
    ]
}

fn written(scratch: &Scratch, bytes: &[u8]) -> PathBuf {
    let path = scratch.path("archive.bcp");
    file(&path, bytes);
    path
}

fn read(archive: &Archive, path: &str) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut member = archive.member(Path::new(path)).unwrap();
    member.read_to_end(&mut content).map(|_| content)
}

/// One step of a reader: to a place, then so many bytes.
#[derive(Debug, Clone)]
struct Step(SeekFrom, usize);

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let near = prop_oneof![
        -50..50_i64,
        -5000..5000_i64,
        Just(SPARSE as i64),
        any::<i64>()
    ];
    let to = prop_oneof![
        prop_oneof![0..6000_u64, 0..SPARSE + 10, any::<u64>()].prop_map(SeekFrom::Start),
        near.clone().prop_map(SeekFrom::End),
        near.prop_map(SeekFrom::Current),
    ];
    let step = (to, prop_oneof![0..40_usize, 0..5000_usize]).prop_map(|(to, read)| Step(to, read));
    prop::collection::vec(step, 1..30)
}

/// Walks through a member and a copy of its bytes, and holds one against the other.
fn walk(member: &mut SeekableMember<'_>, content: &[u8], steps: &[Step]) {
    let mut there = Cursor::new(content);
    for Step(to, count) in steps {
        let (ours, expected) = (member.seek(*to), there.seek(*to));
        match (ours, expected) {
            (Ok(ours), Ok(expected)) => assert_eq!(ours, expected, "{to:?}"),
            (Err(ours), Err(expected)) => assert_eq!(ours.kind(), expected.kind(), "{to:?}"),
            other => panic!("{to:?}: {other:?}"),
        }
        assert_eq!(member.stream_position().unwrap(), there.position());
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        let most = *count as u64;
        member.by_ref().take(most).read_to_end(&mut ours).unwrap();
        there.by_ref().take(most).read_to_end(&mut theirs).unwrap();
        assert!(ours == theirs, "{count} bytes after {to:?}");
    }
}

proptest! {
    #![proptest_config(config(64))]

    #[test]
    fn any_way_through_a_member_is_that_through_its_bytes(steps in steps()) {
        let scratch = Scratch::new();
        let archive = Archive::open(&written(&scratch, &sample().bytes())).unwrap();
        for (path, content) in files() {
            let mut member = archive.seekable_member(Path::new(path)).unwrap();
            assert_eq!(member.size(), content.len() as u64);
            walk(&mut member, &content, &steps);
        }
    }
}

#[test]
fn places_behind_the_end_and_before_the_beginning_are_those_of_a_file() {
    let scratch = Scratch::new();
    let archive = Archive::open(&written(&scratch, &sample().bytes())).unwrap();
    let mut member = archive.seekable_member(Path::new("d/a")).unwrap();
    let mut some = [0; 10];
    assert_eq!(member.seek(SeekFrom::Start(u64::MAX)).unwrap(), u64::MAX);
    assert_eq!(member.read(&mut some).unwrap(), 0);
    let beyond = member.seek(SeekFrom::Current(1)).unwrap_err();
    assert_eq!(beyond.kind(), io::ErrorKind::InvalidInput);
    let before = member.seek(SeekFrom::End(-6)).unwrap_err();
    assert_eq!(before.kind(), io::ErrorKind::InvalidInput);
    // It stayed where it was.
    assert_eq!(member.stream_position().unwrap(), u64::MAX);
    member.seek(SeekFrom::End(-5)).unwrap();
    assert_eq!(member.read(&mut some).unwrap(), 5);
    assert_eq!(&some[..5], b"hello");
    assert_eq!(member.read(&mut some).unwrap(), 0);
}

#[test]
fn a_large_file_is_read_from_the_middle_of_its_blocks() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    build::folder(&app);
    let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
    let content: Vec<u8> = (0..20_000_000).map(noise).collect();
    file(app.join("large"), &content);
    let path = scratch.path("app.bcp");
    let mut options = pack::Options::default();
    options.format = Format::Bcp;
    options.profile = pack::Profile::Fast;
    pack::pack(&[app], &path, &options, &Silent).unwrap();
    let archive = Archive::open(&path).unwrap();
    let mut member = archive.seekable_member(Path::new("app/large")).unwrap();
    let cut = 8 << 20;
    let steps = [
        Step(SeekFrom::End(-1), 10),
        Step(SeekFrom::Start(cut - 3), 6),
        Step(SeekFrom::Start(2 * cut - 1), 100_000),
        Step(SeekFrom::Start(5), 9),
        Step(SeekFrom::Current(cut as i64), 7),
    ];
    walk(&mut member, &content, &steps);
}

#[test]
fn only_a_bcp_is_read_from_the_middle() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    age(&app);
    for format in Format::ALL {
        let path = scratch.path(&format!("app.{}", format.name()));
        let mut options = pack::Options::default();
        options.format = format;
        pack::pack(std::slice::from_ref(&app), &path, &options, &Silent).unwrap();
        let archive = Archive::open(&path).unwrap();
        let entries = archive.entries().unwrap();
        let file = entries.iter().find(|one| one.entry.size > 0).unwrap();
        let member = file.entry.path.to_path_buf();
        match (format, archive.seekable_member(&member)) {
            (Format::Bcp, found) => assert_eq!(found.unwrap().size(), file.entry.size),
            (_, found) => {
                let error = found.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{format:?}");
                assert_eq!(error.path(), path);
            }
        }
    }
    let archive = Archive::open(&scratch.path("app.bcp")).unwrap();
    for (path, kind) in [
        ("app", ErrorKind::Usage),
        ("app/none", ErrorKind::NotFound),
        ("../app", ErrorKind::Unsafe),
    ] {
        let error = archive.seekable_member(Path::new(path)).unwrap_err();
        assert_eq!(error.kind(), kind, "{path}");
    }
}

#[test]
fn damage_shows_in_the_members_that_it_is_in_and_names_the_archive() {
    let scratch = Scratch::new();
    let bytes = sample().bytes();
    // The program goes on into the third block, which is stored as it is.
    let third = bytes.len() - 64 - 4 * 48 - 16 - 10;
    let mut damaged = bytes.clone();
    damaged[third] ^= 1;
    let path = written(&scratch, &damaged);
    let archive = Archive::open(&path).unwrap();
    assert_eq!(read(&archive, "d/a").unwrap(), b"hello");
    for member in ["program", "sparse"] {
        let error = read(&archive, member).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{member}");
        let inner = error.get_ref().unwrap().downcast_ref::<bundlecp::Error>();
        assert_eq!(inner.unwrap().path(), path, "{member}");
    }
    let mut program = archive.seekable_member(Path::new("program")).unwrap();
    let mut some = [0; 900];
    program.read_exact(&mut some).unwrap();
    assert!(some == self::program()[..900]);
    // A failed read leaves it where it was, and what is intact can be read after it.
    program.seek(SeekFrom::End(-2)).unwrap();
    assert!(program.read(&mut some).is_err());
    assert_eq!(program.stream_position().unwrap(), 2998);
    program.seek(SeekFrom::Start(0)).unwrap();
    program.read_exact(&mut some).unwrap();
    assert!(some == self::program()[..900]);
}

fn only(name: &'static str) -> Options {
    let mut options = Options::default();
    options.select = Some(Box::new(move |path| path == Path::new(name)));
    options
}

#[test]
fn a_member_comes_out_of_an_archive_that_is_damaged_elsewhere() {
    let scratch = Scratch::new();
    let mut bytes = sample().bytes();
    let third = bytes.len() - 64 - 4 * 48 - 16 - 10;
    bytes[third] ^= 1;
    let path = written(&scratch, &bytes);
    let to = scratch.path("to");
    let done = extract(&path, &to, &only("same"), &Silent).unwrap();
    assert_eq!((done.files, done.dirs), (1, 1));
    assert_eq!(std::fs::read(to.join("same")).unwrap(), b"hello");
    let to = scratch.path("not");
    let error = extract(&path, &to, &only("program"), &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Malformed);
    assert!(!to.exists());
}

#[test]
fn one_member_of_a_block_is_that_member_and_its_folders() {
    let scratch = Scratch::new();
    let path = written(&scratch, &sample().bytes());
    for (number, (name, content)) in files().into_iter().take(3).enumerate() {
        let to = scratch.path(&format!("to{number}"));
        extract(&path, &to, &only(name), &Silent).unwrap();
        assert!(std::fs::read(to.join(name)).unwrap() == content, "{name}");
        let found = walkdir::WalkDir::new(&to).min_depth(1).into_iter();
        assert_eq!(found.count(), name.split('/').count(), "{name}");
    }
    let error = extract(&path, &scratch.path("alone"), &only("d/h"), &Silent).unwrap_err();
    assert!(error.cause().contains("hard link"), "{error:?}");
}

/// A lie about the sample, and its name.
type Lie = (&'static str, fn(&mut Rows));

#[test]
fn a_choice_lets_no_lie_of_the_manifest_pass() {
    let scratch = Scratch::new();
    let lies: [Lie; 4] = [
        ("below a link", |rows| rows.parents[6] = 4),
        ("below a file", |rows| rows.parents[6] = 3),
        ("an unsafe name of another", |rows| {
            rows.names[5] = b"..".to_vec();
        }),
        ("a name twice, apart", |rows| {
            rows.names[5] = b"program".to_vec();
        }),
    ];
    for (name, lie) in lies {
        let mut rows = rows();
        lie(&mut rows);
        let path = written(&scratch, &of_rows(&rows).bytes());
        let to = scratch.path("to");
        let error = extract(&path, &to, &only("same"), &Silent).unwrap_err();
        let kinds = [ErrorKind::Malformed, ErrorKind::Unsafe];
        assert!(kinds.contains(&error.kind()), "{name}: {error:?}");
        assert!(!to.exists(), "{name}");
    }
}

#[test]
fn members_are_counted_before_they_are_looked_at() {
    let scratch = Scratch::new();
    let mut rows = Rows::default();
    for number in 0..100 {
        rows.entry(FOLDER, 0, format!("{number:03}").as_bytes(), 0o755);
    }
    let archive = |rows: &Rows| {
        let blocks: [Section; 0] = [];
        Parts::new(manifest(&tables(&rows.columns())), &blocks).bytes()
    };
    let limited = |entries| {
        let mut options = Options::default();
        options.limits = Limits::default();
        options.limits.entries = Some(entries);
        options
    };
    let to = scratch.path("to");
    let whole = archive(&rows);
    extract(&written(&scratch, &whole), &to, &limited(100), &Silent).unwrap();
    // The last one is no name: nobody comes that far.
    rows.names[99] = b"..".to_vec();
    let bytes = archive(&rows);
    let path = written(&scratch, &bytes);
    for (entries, kind) in [(99, ErrorKind::LimitExceeded), (100, ErrorKind::Unsafe)] {
        let to = scratch.path("refused");
        let filed = extract(&path, &to, &limited(entries), &Silent);
        let shown = Path::new("-");
        let piped = extract::extract_from(&*bytes, shown, &to, &limited(entries), &Silent);
        for error in [filed.unwrap_err(), piped.unwrap_err()] {
            assert_eq!(error.kind(), kind, "{entries}");
        }
        assert!(!to.exists());
    }
}

#[test]
fn behind_an_executable_everything_is_read_as_without_it() {
    let scratch = Scratch::new();
    let prefix = [b"#!/bin/sh\nexec true\n", &[0x90; 5000][..]].concat();
    let path = written(&scratch, &[&prefix[..], &sample().bytes()].concat());
    let mut names = Vec::new();
    let listed = list::list(&path, &mut |member| {
        names.push(member.entry.path.to_string());
        ControlFlow::Continue(())
    });
    let archive = Archive::open(&path).unwrap();
    assert_eq!(listed.unwrap().root_hash, archive.root_hash());
    assert_eq!(names, ["d", "d/a", "program", "l", "d/h", "sparse", "same"]);
    for (name, content) in files() {
        assert!(read(&archive, name).unwrap() == content, "{name}");
        let mut member = archive.seekable_member(Path::new(name)).unwrap();
        let middle = SeekFrom::Start(content.len() as u64 / 2);
        walk(
            &mut member,
            &content,
            &[Step(middle, usize::MAX), Step(SeekFrom::Start(0), 9)],
        );
    }
    let to = scratch.path("to");
    extract(&path, &to, &only("program"), &Silent).unwrap();
    assert!(std::fs::read(to.join("program")).unwrap() == program());
    let checked = verify::check(&path, &verify::Options::default(), &Silent).unwrap();
    assert_eq!(checked.root_hash, archive.root_hash());
}

/// Readers go to other threads.
#[test]
fn readers_can_be_sent() {
    fn is_send<T: Send>() {}
    is_send::<MemberReader<'_>>();
    is_send::<SeekableMember<'_>>();
}
