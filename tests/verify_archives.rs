//! Comparing archives: every change to a tree, found with an archive on either
//! side or on both, and nothing reported that a format can't hold.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "hostile/bcp.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod bcp;
mod common;
#[path = "verify/rows.rs"]
mod rows;

use std::path::{Path, PathBuf};

use bcp::{Parts, Rows, Section, manifest, tables};
use bundlecp::pack::{self, Format, Frames, RootName};
use bundlecp::verify::{self, DifferenceKind, verify};
use bundlecp::{ErrorKind, Silent};
use common::Scratch;
use common::build::{self, file, folder, hard_link, keeping_time, link, mode, time, xattr};
use rows::{ROWS, side};

/// Packs `tree`, under its own name, as `name`.
fn pack(tree: &Path, name: &str, format: Format) -> PathBuf {
    let mut options = pack::Options::default();
    options.format = format;
    pack_with(tree, name, &options)
}

fn pack_with(tree: &Path, name: &str, options: &pack::Options) -> PathBuf {
    let archive = tree.with_file_name(name);
    pack::pack(&[tree.to_owned()], &archive, options, &Silent).unwrap();
    archive
}

/// What differs, as paths and kinds.
fn differences(left: &Path, right: &Path) -> Vec<(String, String)> {
    let outcome = verify(left, right, &verify::Options::default(), &Silent);
    let outcome = outcome.unwrap_or_else(|error| panic!("{error:?}"));
    let text = |difference: &verify::Difference| {
        let path = String::from_utf8_lossy(difference.path.as_bytes());
        (path.into_owned(), difference.kind.name().to_owned())
    };
    outcome.differences.iter().map(text).collect()
}

/// What a row of the table comes to where `format` is on a side.
fn expected(row: &rows::Row, format: Option<Format>, prefix: &str) -> Vec<(String, String)> {
    let is_held = |kind: &str| kind != "hardlink" || format != Some(Format::Zip);
    let rows = row.differences.iter().filter(|(_, kind)| is_held(kind));
    rows.map(|(path, kind)| {
        let joined = match path.is_empty() {
            true => prefix.trim_end_matches('/').to_owned(),
            false => format!("{prefix}{path}"),
        };
        (joined, (*kind).to_owned())
    })
    .collect()
}

/// The fraction of a second is lost in this format, as far as this is written.
fn is_too_fine(row: &rows::Row, format: Format) -> bool {
    format == Format::Zip && row.name == "a file's time"
}

#[test]
fn each_change_is_found_with_an_archive_on_either_side() {
    for format in [Format::TarZst, Format::TarGz, Format::Zip, Format::Bcp] {
        for row in ROWS.iter().filter(|row| !is_too_fine(row, format)) {
            let scratch = Scratch::new();
            let (left, right) = (scratch.path("a/app"), scratch.path("b/app"));
            side(&left);
            side(&right);
            keeping_time(&right, || ());
            match row.differences.iter().any(|(path, _)| path.is_empty()) {
                true => (row.change)(&right),
                false => keeping_time(&right, || (row.change)(&right)),
            }
            let packed_left = pack(&left, "left", format);
            let packed_right = pack(&right, "right", format);
            let expected_here = expected(row, Some(format), "");
            for (left, right, what) in [
                (&packed_left, &right, "left"),
                (&left, &packed_right, "right"),
            ] {
                let found = differences(left, right);
                assert_eq!(found, expected_here, "{} {what} {format:?}", row.name);
            }
            let found = differences(&packed_left, &packed_right);
            let expected_here = expected(row, Some(format), "app/");
            assert_eq!(found, expected_here, "{} both {format:?}", row.name);
        }
    }
}

#[test]
fn an_archive_equals_what_it_was_made_of_in_every_format() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    file(app.join("large"), vec![3; 300 << 10]);
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(300 << 10).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&sparse, b"data", 100 << 10).unwrap();
    mode(app.join("large"), 0o4755);
    xattr(app.join("large"), "user.a", b"1");
    xattr(app.join("lib"), "user.b", b"2");
    build::age(&app);
    let mut archives = Vec::new();
    for format in Format::ALL {
        let archive = pack(&app, &format!("app.{}", format.name()), format);
        for (left, right) in [(&app, &archive), (&archive, &app), (&archive, &archive)] {
            assert_eq!(differences(left, right), [], "{format:?}");
        }
        archives.push(archive);
    }
    for left in &archives {
        for right in &archives {
            assert_eq!(differences(left, right), [], "{left:?} {right:?}");
        }
    }
    let outcome = verify(&archives[4], &app, &verify::Options::default(), &Silent).unwrap();
    let same = verify(&app, &app, &verify::Options::default(), &Silent).unwrap();
    let counts = |outcome: &verify::Outcome| (outcome.files, outcome.dirs, outcome.symlinks);
    assert_eq!(counts(&outcome), counts(&same));
    assert!(
        outcome.bytes_hashed > 1200 << 10,
        "{}",
        outcome.bytes_hashed
    );
}

#[test]
fn attributes_of_the_user_are_compared_where_the_format_has_them() {
    for (path, format, kinds) in [
        ("run", Format::TarZst, &["xattr"][..]),
        ("lib", Format::TarXz, &["xattr"]),
        ("run", Format::Zip, &[]),
    ] {
        let scratch = Scratch::new();
        let app = scratch.path("app");
        side(&app);
        let archive = pack(&app, "archive", format);
        if !xattr(app.join(path), "user.new", b"1") {
            return;
        }
        for (left, right) in [(&app, &archive), (&archive, &app)] {
            let found = differences(left, right);
            let found: Vec<_> = found.iter().map(|(_, kind)| kind.as_str()).collect();
            assert_eq!(found, kinds, "{path} {format:?}");
        }
    }
}

#[test]
fn the_root_is_the_only_folder_at_the_top_or_all_of_the_archive() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    let own = pack(&app, "own.tar", Format::Tar);
    let mut options = pack::Options::default();
    options.root = RootName::Strip;
    let stripped = pack_with(&app, "stripped.tar.zst", &options);
    options.root = RootName::Named("other".to_owned());
    let other = pack_with(&app, "other.tar.zst", &options);
    for archive in [&own, &stripped, &other] {
        assert_eq!(differences(archive, &app), [], "{archive:?}");
        assert_eq!(differences(&app, archive), [], "{archive:?}");
    }

    // The folder that the archive is of has a folder of this name, and only that.
    let nested = scratch.path("nested");
    folder(nested.join("app"));
    file(nested.join("app/f"), "");
    build::age(&nested);
    let inner = scratch.path("inner.tar");
    let packed = pack(&nested.join("app"), "inner.tar", Format::Tar);
    keeping_time(&nested, || std::fs::rename(packed, &inner).unwrap());
    build::age(&nested);
    assert_eq!(differences(&nested, &inner), []);
    let kinds = |found: Vec<(String, String)>| found.into_iter().map(|one| one.1);
    assert!(kinds(differences(&app, &inner)).any(|kind| kind == "missing"));

    let two = scratch.path("two");
    std::fs::rename(&nested, &two).unwrap();
    keeping_time(&two, || file(two.join("g"), ""));
    let found = differences(&two, &inner);
    assert_eq!(found.len(), 3, "{found:?}");
}

#[test]
fn the_mode_and_time_of_the_root_count_where_the_archive_has_them() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    let named = pack(&app, "named.zip", Format::Zip);
    let mut options = pack::Options::default();
    options.root = RootName::Strip;
    let stripped = pack_with(&app, "stripped.tar", &options);
    mode(&app, 0o700);
    time(&app, (5, 0));
    let root = |kind: &str| (String::new(), kind.to_owned());
    assert_eq!(differences(&app, &named), [root("mode"), root("mtime")]);
    assert_eq!(differences(&app, &stripped), []);
}

#[test]
fn links_that_lead_out_are_compared_and_not_refused() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    link(app.join("out"), b"../../../etc/passwd");
    build::age(&app);
    for format in [Format::TarZst, Format::Zip, Format::Bcp] {
        let archive = pack(&app, "archive", format);
        assert_eq!(differences(&archive, &app), []);
        std::fs::remove_file(archive).unwrap();
    }
}

#[test]
fn large_files_and_files_of_several_names_are_compared_across_frames() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    let noise: Vec<u8> = (0..9_u32 << 20)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    file(app.join("large"), &noise);
    file(app.join("a"), "small");
    file(app.join("z"), "small too");
    hard_link(app.join("large"), app.join("name"));
    build::age(&app);
    for frames in [Frames::Many, Frames::Single] {
        let mut options = pack::Options::default();
        options.frames = frames;
        options.profile = pack::Profile::Fast;
        let archive = pack_with(&app, "archive", &options);
        assert_eq!(differences(&archive, &app), []);
        let mut changed = noise.clone();
        changed[8 << 20] ^= 1;
        let path = app.join("large");
        keeping_time(&path, || {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &changed, 0).unwrap();
        });
        let kinds = ["large", "name"].map(|path| (path.to_owned(), "content".to_owned()));
        assert_eq!(differences(&archive, &app), kinds);
        keeping_time(&path, || {
            let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &noise, 0).unwrap();
        });
        std::fs::remove_file(archive).unwrap();
    }
}

#[test]
fn damage_is_an_error_wherever_it_is_and_no_difference() {
    for format in Format::ALL {
        let scratch = Scratch::new();
        let app = scratch.path("app");
        side(&app);
        let noise: Vec<u8> = (0..200_000_u32)
            .map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        file(app.join("noise"), noise);
        let archive = pack(&app, "archive", format);
        let whole = std::fs::read(&archive).unwrap();
        std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
        let failed = verify(&archive, &app, &verify::Options::default(), &Silent);
        let kind = failed.unwrap_err().kind();
        let is_damage = matches!(kind, ErrorKind::Malformed | ErrorKind::Truncated);
        assert!(is_damage, "{format:?} {kind:?}");
        if format == Format::Tar {
            continue;
        }
        let mut broken = whole.clone();
        broken[whole.len() / 2] ^= 4;
        std::fs::write(&archive, &broken).unwrap();
        let failed = verify(&app, &archive, &verify::Options::default(), &Silent);
        let error = failed.unwrap_err();
        // A block of bzip2 whose bits are others may want more than there are.
        let is_damage = matches!(error.kind(), ErrorKind::Malformed | ErrorKind::Truncated);
        assert!(is_damage, "{format:?} {error:?}");
        assert_eq!((error.operation(), error.path()), ("verify", &*archive));
    }
}

/// A tar of empty files, or links where a target is given, in plain ustar.
fn ustar(members: &[(&str, u8, &str)]) -> Vec<u8> {
    let mut tar = Vec::new();
    for (path, kind, target) in members {
        let mut block = [0_u8; 512];
        block[..path.len()].copy_from_slice(path.as_bytes());
        block[100..107].copy_from_slice(b"0000644");
        block[124..135].copy_from_slice(b"00000000000");
        block[136..147].copy_from_slice(b"07346545000");
        block[156] = *kind;
        block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        block[257..265].copy_from_slice(b"ustar\x0000");
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        tar.extend_from_slice(&block);
    }
    tar.extend_from_slice(&[0; 1024]);
    tar
}

#[test]
fn what_an_extraction_refuses_is_refused() {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    let archive = scratch.path("a.tar");
    for (members, kind) in [
        (&[("../x", b'0', "")][..], ErrorKind::Unsafe),
        (&[("l", b'2', "x"), ("l/x", b'0', "")], ErrorKind::Unsafe),
        (&[("h", b'1', "x")], ErrorKind::Unsafe),
        (&[("x", b'0', ""), ("./x", b'0', "")], ErrorKind::Malformed),
    ] {
        file(&archive, ustar(members));
        for (left, right) in [
            (&archive, &scratch.path("app")),
            (&scratch.path("app"), &archive),
        ] {
            let failed = verify(left, right, &verify::Options::default(), &Silent);
            let error = failed.unwrap_err();
            assert_eq!(error.kind(), kind, "{members:?}");
            assert!(error.cause().contains("its member `"), "{}", error.cause());
        }
    }
}

#[test]
fn plain_headers_have_seconds_and_no_more() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    file(app.join("f"), "");
    mode(app.join("f"), 0o644);
    time(app.join("f"), (1_000_000_000, 123_456_789));
    let archive = scratch.path("a.tar");
    file(&archive, ustar(&[("f", b'0', "")]));
    assert_eq!(differences(&app, &archive), []);
    time(app.join("f"), (1_000_000_001, 0));
    let kinds = [("f".to_owned(), "mtime".to_owned())];
    assert_eq!(differences(&app, &archive), kinds);
}

#[test]
fn zips_made_on_dos_have_neither_modes_nor_odd_seconds() {
    use zip::write::SimpleFileOptions;
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(app.join("lib"));
    file(app.join("f"), "content");
    file(app.join("lib/g"), "content");
    mode(app.join("f"), 0o755);
    build::age(&app);
    let archive = scratch.path("a.zip");
    let mut writer = zip::ZipWriter::new(std::fs::File::create(&archive).unwrap());
    // 2001-09-09 01:46:40, which is `THEN`.
    let at = zip::DateTime::from_date_and_time(2001, 9, 9, 1, 46, 40).unwrap();
    let options = SimpleFileOptions::default()
        .last_modified_time(at)
        .system(zip::System::Dos);
    for path in ["f", "lib/g"] {
        writer.start_file(path, options).unwrap();
        std::io::Write::write_all(&mut writer, b"content").unwrap();
    }
    writer.finish().unwrap();
    assert_eq!(differences(&app, &archive), []);
    time(app.join("f"), (1_000_000_001, 5));
    assert_eq!(differences(&app, &archive), []);
    time(app.join("f"), (1_000_000_002, 0));
    let kinds = [("f".to_owned(), "mtime".to_owned())];
    assert_eq!(differences(&archive, &app), kinds);
}

#[test]
fn what_is_no_archive_is_said_so() {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    file(scratch.path("text"), "some text");
    let (app, text) = (scratch.path("app"), scratch.path("text"));
    for (left, right) in [(&app, &text), (&text, &app)] {
        let error = verify(left, right, &verify::Options::default(), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnknownFormat);
    }
}

#[test]
fn ignored_kinds_and_threads_work_with_archives_too() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    let archive = pack(&app, "a.zip", Format::Zip);
    mode(app.join("run"), 0o700);
    for jobs in [1, 3] {
        let mut options = verify::Options::default();
        options.jobs = Some(jobs);
        let found = verify(&archive, &app, &options, &Silent).unwrap();
        assert_eq!(found.differences.len(), 1);
        options.ignore = vec![DifferenceKind::Mode];
        assert!(
            verify(&archive, &app, &options, &Silent)
                .unwrap()
                .is_equal()
        );
    }
}

#[test]
fn holes_of_terabytes_take_no_time() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(8 << 40).unwrap();
    build::age(&app);
    for format in [Format::Tar, Format::TarZst, Format::Bcp] {
        let archive = pack(&app, format.name(), format);
        let other = scratch.path("other");
        folder(&other);
        file(other.join("sparse"), "not that long");
        build::age(&other);
        mode(&other, 0o755);
        mode(&app, 0o755);
        for (left, right) in [(&archive, &other), (&other, &archive)] {
            let found = differences(left, right);
            assert_eq!(found, [("sparse".to_owned(), "content".to_owned())]);
        }
        assert!(differences(&archive, &archive).is_empty());
    }
}

#[test]
fn files_of_the_largest_size_are_compared_by_what_is_in_them() {
    const SIZE: u64 = 1 << 62;
    let scratch = Scratch::new();
    let archive = |name: &str, parts: &[(u64, &[u8])]| {
        let mut rows = Rows::default();
        let stored: Vec<u8> = parts.iter().flat_map(|part| part.1.to_vec()).collect();
        rows.content(&stored);
        rows.sizes[0] = SIZE;
        let extents = parts.iter().map(|(at, part)| (0, *at, part.len() as u64));
        rows.extents = match parts {
            [] => vec![(0, 0, 0)],
            _ => extents.collect(),
        };
        rows.file(0, b"hole", 0);
        let mut blocks = Vec::new();
        if !stored.is_empty() {
            rows.blocks.push(stored.len() as u32);
            blocks.push(Section::stored(&stored));
        }
        let path = scratch.path(name);
        file(
            &path,
            Parts::new(manifest(&tables(&rows.columns())), &blocks).bytes(),
        );
        path
    };
    let empty = archive("empty.bcp", &[]);
    let end = archive("end.bcp", &[(SIZE - 1, b"x")]);
    let zeros = archive("zeros.bcp", &[(1 << 50, &[0; 100_000])]);
    let started = std::time::Instant::now();
    assert!(differences(&empty, &empty).is_empty());
    assert!(differences(&end, &end).is_empty());
    assert!(differences(&empty, &zeros).is_empty(), "holes are zeros");
    let found = differences(&empty, &end);
    assert_eq!(found, [("hole".to_owned(), "content".to_owned())]);
    for path in [&empty, &end, &zeros] {
        verify::check(path, &verify::Options::default(), &Silent).unwrap();
    }
    assert!(started.elapsed().as_secs() < 5);
}

#[test]
fn an_archive_alone_is_checked_by_all_that_it_has() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    for format in Format::ALL {
        let path = scratch.path(&format!("alone.{}", format.name()));
        let mut options = pack::Options::default();
        options.format = format;
        let packed = pack::pack(std::slice::from_ref(&app), &path, &options, &Silent).unwrap();
        let check = || verify::check(&path, &verify::Options::default(), &Silent);
        let checked = check().unwrap();
        assert_eq!(checked.format, format.name());
        assert_eq!(checked.dirs, packed.dirs, "{format:?}");
        assert_eq!(checked.symlinks, packed.symlinks, "{format:?}");
        assert_eq!(checked.files, packed.files + packed.hardlinks, "{format:?}");
        assert_eq!(checked.root_hash, packed.root_hash, "{format:?}");
        assert_eq!(packed.root_hash.is_some(), format == Format::Bcp);
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.len() / 2;
        bytes[at] ^= 0x10;
        std::fs::write(&path, bytes).unwrap();
        // A plain tar has no sums of contents, and a zip none of its directory.
        let has_sums = !matches!(format, Format::Tar | Format::Zip);
        assert!(check().is_err() || !has_sums, "{format:?}");
    }
}
