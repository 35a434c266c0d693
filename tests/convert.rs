//! `convert`: every format into every other, byte for byte what packing the
//! folder makes; losses are told, and what is damaged or hostile makes no archive.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::Cursor;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bundlecp::convert::{self, Input, LossKind, Options, Output, convert, convert_stream};
use bundlecp::extract::{self, extract};
use bundlecp::pack::{self, Format, Frames, Profile, ZipMethod};
use bundlecp::verify::{self, verify};
use bundlecp::{Error, ErrorKind, Existing, ExternalLinks, Ownership, Silent, Timestamp};
use common::build::{self, age, bytes, file, folder, hard_link, link, mode, time};
use common::snapshot::Snapshot;
use common::{Scratch, names};
use hostile::tar::{Header, Tar};

/// A time that a zip holds too.
const EVEN: (i64, i64) = (1_000_000_000, 123_456_700);

fn noise(count: u32) -> Vec<u8> {
    (0..count)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// A tree that every format holds: no hard links, attributes, holes or odd times.
fn plain(at: &Path) {
    folder(at.join("lib/deep"));
    folder(at.join("empty"));
    file(at.join("none"), "");
    file(at.join("run"), "#!/bin/sh\n");
    mode(at.join("run"), 0o755);
    file(at.join("lib/one"), vec![7; 10_000]);
    file(at.join("lib/deep/same"), vec![7; 10_000]);
    file(at.join("noise"), noise(150_000));
    file(at.join(bytes(b"caf\xe9")), "not UTF-8");
    file(at.join("long".repeat(60)), "a long name");
    mode(at.join("lib/deep/same"), 0o440);
    mode(at.join("lib/deep"), 0o711);
    link(at.join("lib/two"), b"one");
    link(at.join("Current"), b"lib");
    link(at.join("dangling"), b"nowhere/at/all");
    link(at.join("odd"), b"caf\xe9");
    link(at.join("long"), "x/".repeat(150).as_bytes());
    link(at.join("up"), b"lib/../run");
    for entry in walkdir::WalkDir::new(at).contents_first(true) {
        time(entry.unwrap().path(), EVEN);
    }
}

/// As [`plain`], with all that a zip doesn't hold.
fn full(at: &Path) {
    plain(at);
    hard_link(at.join("lib/one"), at.join("also"));
    hard_link(at.join("lib/one"), at.join("lib/again"));
    build::xattr(at.join("run"), "user.note", b"kept");
    build::xattr(at.join("lib"), "user.note", b"kept too");
    let sparse = std::fs::File::create(at.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    let hole = std::fs::File::create(at.join("hole")).unwrap();
    hole.set_len(100_000).unwrap();
    age(at);
}

fn packed(scratch: &Scratch, format: Format, label: &str) -> PathBuf {
    packed_before(scratch, format, label, None)
}

/// As [`packed`], with no time after `latest`.
fn packed_before(
    scratch: &Scratch,
    format: Format,
    label: &str,
    latest: Option<Timestamp>,
) -> PathBuf {
    let archive = scratch.path(&format!("{label}.{}", format.name()));
    let mut options = pack::Options::default();
    options.format = format;
    options.profile = Profile::Fast;
    options.latest = latest;
    let sources = [scratch.path("app")];
    pack::pack(&sources, &archive, &options, &Silent).unwrap();
    archive
}

fn options_for(format: Format) -> Options {
    let mut options = Options::default();
    options.format = format;
    options.profile = Profile::Fast;
    options
}

#[track_caller]
fn assert_same_bytes(left: &Path, right: &Path, context: &str) {
    let (left, right) = (std::fs::read(left).unwrap(), std::fs::read(right).unwrap());
    assert!(
        left == right,
        "{context}: {} and {} bytes",
        left.len(),
        right.len()
    );
}

/// Nothing is left besides `expected`.
#[track_caller]
fn assert_names(scratch: &Scratch, expected: &[&str]) {
    assert_eq!(names(scratch.root()), expected);
}

#[test]
fn every_format_becomes_every_other_as_if_it_had_been_packed() {
    let scratch = Scratch::new();
    plain(&scratch.path("app"));
    let packed = Format::ALL.map(|format| (format, packed(&scratch, format, "packed")));
    let out = scratch.path("out");
    for (from, archive) in &packed {
        for (to, expected) in &packed {
            let context = format!("{from:?} to {to:?}");
            let outcome = convert(archive, &out, &options_for(*to), &Silent);
            let outcome = outcome.unwrap_or_else(|error| panic!("{context}: {error:?}"));
            assert_same_bytes(&out, expected, &context);
            assert_eq!(
                (outcome.losses, outcome.notes),
                (vec![], vec![]),
                "{context}"
            );
            assert_eq!((outcome.files, outcome.symlinks), (7, 6), "{context}");
            assert_eq!(outcome.from, from.name());
            std::fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn what_only_some_formats_hold_is_kept_or_told() {
    let scratch = Scratch::new();
    full(&scratch.path("app"));
    let has_xattrs = build::xattr(scratch.path("app/run"), "user.note", b"kept");
    age(&scratch.path("app"));
    let packed = Format::ALL.map(|format| (format, packed(&scratch, format, "packed")));
    let out = scratch.path("out");
    for (from, archive) in &packed {
        for (to, expected) in &packed {
            let context = format!("{from:?} to {to:?}");
            let outcome = convert(archive, &out, &options_for(*to), &Silent).unwrap();
            let found: Vec<_> = outcome
                .losses
                .iter()
                .map(|loss| (loss.kind, loss.count, loss.path.to_string()))
                .collect();
            match (*from == Format::Zip, *to == Format::Zip) {
                (false, true) => {
                    let xattrs = (LossKind::Xattrs, 2, "app/lib".to_owned());
                    let mut losses = vec![
                        (LossKind::Hardlinks, 2, "app/lib/again".to_owned()),
                        (LossKind::Holes, 2, "app/hole".to_owned()),
                        (LossKind::Times, 21, "app".to_owned()),
                    ];
                    if has_xattrs {
                        losses.insert(1, xattrs);
                    }
                    assert_eq!(found, losses, "{context}");
                    assert_eq!(outcome.hardlinks, 0, "{context}");
                }
                (true, _) | (_, false) => assert_eq!(found, [], "{context}"),
            }
            // A zip lost what others have: its own bytes come back, no others.
            if *from != Format::Zip || *to == Format::Zip {
                assert_same_bytes(&out, expected, &context);
            }
            let verified = verify(archive, &out, &verify::Options::default(), &Silent);
            let differences = verified.unwrap().differences;
            assert!(differences.is_empty(), "{context}: {differences:?}");
            std::fs::remove_file(&out).unwrap();
        }
    }
}

#[test]
fn contents_that_are_cut_come_from_several_chunks() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    // More than is remembered of chunks, and more than a chunk has.
    for name in ["a", "b", "c"] {
        let mut content = noise(5 << 20);
        content[0] = name.as_bytes()[0];
        let content: Vec<u8> = content.iter().copied().cycle().take(26 << 20).collect();
        file(app.join(name), content);
        file(app.join(format!("{name}-small")), name);
    }
    age(&app);
    let formats = [Format::Tar, Format::TarZst, Format::Zip, Format::Bcp];
    let packed = formats.map(|format| (format, packed(&scratch, format, "packed")));
    let out = scratch.path("out");
    for (from, archive) in &packed {
        for (to, expected) in &packed {
            // A zip is slow to make without optimisation.
            if from == to || *to == Format::Zip && *from != Format::Bcp {
                continue;
            }
            let context = format!("{from:?} to {to:?}");
            let mut options = options_for(*to);
            options.jobs = Some(3);
            convert(archive, &out, &options, &Silent).unwrap();
            match from {
                // Its times are others.
                Format::Zip => {
                    let verified = verify(archive, &out, &verify::Options::default(), &Silent);
                    assert!(verified.unwrap().differences.is_empty(), "{context}");
                }
                _ => assert_same_bytes(&out, expected, &context),
            }
            std::fs::remove_file(&out).unwrap();
        }
    }
    std::fs::remove_dir_all(&app).unwrap();
    let left = ["packed.bcp", "packed.tar", "packed.tar.zst", "packed.zip"];
    assert_names(&scratch, &left);
}

#[test]
fn archives_of_others_are_read_as_well() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    full(&app);
    let mut options = pack::Options::default();
    options.frames = Frames::Single;
    let single = scratch.path("single.tar.zst");
    pack::pack(std::slice::from_ref(&app), &single, &options, &Silent).unwrap();
    options.format = Format::Zip;
    options.zip_method = ZipMethod::Zstd;
    let zstd = scratch.path("zstd.zip");
    pack::pack(std::slice::from_ref(&app), &zstd, &options, &Silent).unwrap();
    let (bcp, zip) = (
        packed(&scratch, Format::Bcp, "p"),
        packed(&scratch, Format::Zip, "p"),
    );
    let out = scratch.path("out");
    convert(&single, &out, &options_for(Format::Bcp), &Silent).unwrap();
    assert_same_bytes(&out, &bcp, "one frame");
    let mut replacing = options_for(Format::Zip);
    replacing.existing = Existing::Replace;
    convert(&zstd, &out, &replacing, &Silent).unwrap();
    assert_same_bytes(&out, &zip, "zstd in a zip");
}

/// Folders that no member names, several at the top, a folder twice.
#[test]
fn trees_that_no_packing_makes_come_through() {
    let scratch = Scratch::new();
    let tar = Tar::new()
        .header(Header::new(b"./", b'5').mode(0o700))
        .file(b"b/c/x", b"content")
        .dir(b"a")
        .header(Header::new(b"a", b'5').mode(0o700))
        .file(b"a/f", b"f")
        .hardlink(b"z", b"b/c/x")
        .end();
    let archive = scratch.path("in.tar");
    file(&archive, &tar);
    for format in Format::ALL {
        let out = scratch.path("out");
        let outcome = convert(&archive, &out, &options_for(format), &Silent).unwrap();
        let root: Vec<_> = outcome.losses.iter().map(|loss| loss.kind).collect();
        assert!(root.contains(&LossKind::Root), "{format:?}: {root:?}");
        let back = scratch.path("back");
        extract(&out, &back, &extract::Options::default(), &Silent).unwrap();
        assert_eq!(std::fs::read(back.join("b/c/x")).unwrap(), b"content");
        assert_eq!(std::fs::read(back.join("z")).unwrap(), b"content");
        let seen = Snapshot::of(&back);
        assert_eq!(seen.node(b"a").mode & 0o777, 0o700, "{format:?}");
        assert_eq!(seen.node(b"b").mode & 0o777, 0o755, "{format:?}");
        std::fs::remove_dir_all(&back).unwrap();
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn pipes_bring_and_take_every_format() {
    let scratch = Scratch::new();
    plain(&scratch.path("app"));
    let bcp = packed(&scratch, Format::Bcp, "p");
    let zip = packed(&scratch, Format::Zip, "p");
    for from in Format::ALL {
        let archive = packed(&scratch, from, "from");
        let bytes = std::fs::read(&archive).unwrap();
        let shown = Path::new("a pipe");
        let reader = || Input::Reader(Box::new(Cursor::new(&bytes)), shown);
        let out = scratch.path("out");
        let options = options_for(Format::Bcp);
        convert_stream(reader(), Output::Path(&out), &options, &Silent).unwrap();
        assert_same_bytes(&out, &bcp, from.name());
        std::fs::remove_file(&out).unwrap();

        let mut written = Vec::new();
        let mut options = options_for(Format::Zip);
        let output = Output::Writer(Box::new(&mut written), shown);
        let refused = convert_stream(reader(), output, &options, &Silent);
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage, "{error:?}");
        assert!(error.hint().is_some(), "{error:?}");
        options.scratch = Some(scratch.root().to_owned());
        let output = Output::Writer(Box::new(&mut written), shown);
        convert_stream(reader(), output, &options, &Silent).unwrap();
        assert!(written == std::fs::read(&zip).unwrap(), "{from:?}");
        std::fs::remove_file(&archive).unwrap();
    }
    assert_names(&scratch, &["app", "p.bcp", "p.zip"]);
}

#[test]
fn an_archive_can_be_replaced_by_its_conversion() {
    let scratch = Scratch::new();
    full(&scratch.path("app"));
    let bcp = packed(&scratch, Format::Bcp, "p");
    for from in Format::ALL {
        let archive = packed(&scratch, from, "in");
        let before = std::fs::read(&archive).unwrap();
        let mut options = options_for(Format::Bcp);
        let error = convert(&archive, &archive, &options, &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        assert!(std::fs::read(&archive).unwrap() == before);
        options.existing = Existing::Replace;
        convert(&archive, &archive, &options, &Silent).unwrap();
        if from != Format::Zip {
            assert_same_bytes(&archive, &bcp, from.name());
        }
        std::fs::remove_file(&archive).unwrap();
    }
    assert_names(&scratch, &["app", "p.bcp"]);
}

#[test]
fn owners_are_written_where_they_are_asked_for() {
    let scratch = Scratch::new();
    let mut header = Header::new(b"f", b'0').size(1);
    header.put(108..116, b"0001750\0");
    let tar = Tar::new().header(header).content(b"x").end();
    file(scratch.path("in.tar"), tar);
    let mut options = options_for(Format::Tar);
    options.ownership = Ownership::Original;
    let (input, out) = (scratch.path("in.tar"), scratch.path("out"));
    convert(&input, &out, &options, &Silent).unwrap();
    assert_eq!(&std::fs::read(&out).unwrap()[108..115], b"0001750");
    options.format = Format::Zip;
    options.existing = Existing::Replace;
    let outcome = convert(&input, &out, &options, &Silent).unwrap();
    let kinds: Vec<_> = outcome.losses.iter().map(|loss| loss.kind).collect();
    assert_eq!(kinds, [LossKind::Owners]);
}

#[test]
fn only_what_is_chosen_is_converted() {
    let scratch = Scratch::new();
    plain(&scratch.path("app"));
    for from in Format::ALL {
        let archive = packed(&scratch, from, "in");
        let out = scratch.path("out");
        let mut options = options_for(Format::Bcp);
        options.select = Some(Box::new(|path| !path.starts_with("app/lib")));
        options.list_entries = true;
        let outcome = convert(&archive, &out, &options, &Silent).unwrap();
        let has_lib = |path: &bundlecp::RelPath| path.to_string().starts_with("app/lib");
        assert!(!outcome.entries.iter().any(has_lib), "{from:?}");
        assert_eq!(outcome.files, 5, "{from:?}");
        std::fs::remove_file(&out).unwrap();
    }
}

/// Converts `bytes`, and expects nothing to come of it.
#[track_caller]
fn refused(scratch: &Scratch, bytes: &[u8], options: &Options, context: &str) -> Error {
    let archive = scratch.path("archive");
    file(&archive, bytes);
    let out = scratch.path("out");
    let before = names(scratch.root());
    let result = convert(&archive, &out, options, &Silent);
    assert_eq!(
        names(scratch.root()),
        before,
        "{context}: something is left"
    );
    match result {
        Err(error) => error,
        Ok(outcome) => panic!("{context}: {outcome:?}"),
    }
}

#[test]
fn damage_is_found_before_anything_is_published() {
    const KINDS: [ErrorKind; 2] = [ErrorKind::Malformed, ErrorKind::Truncated];
    let scratch = Scratch::new();
    let app = scratch.path("app");
    plain(&app);
    // Of which nothing is read: an empty file, and a frame of links alone.
    for number in 0..50 {
        link(app.join(format!("x{number}")), b"run");
    }
    for from in Format::ALL {
        // bzip2 has bits that mean nothing, such as those that fill its last byte: of
        // other times, other bits would be damaged here in every run.
        let archive = packed_before(&scratch, from, "packed", Some(Timestamp::default()));
        let bytes = std::fs::read(archive).unwrap();
        for to in [Format::Tar, Format::Bcp] {
            // Plain tars have sums of their headers alone.
            if from != Format::Tar {
                for at in [bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4] {
                    let context = format!("{from:?} to {to:?} at {at}");
                    let mut damaged = bytes.clone();
                    damaged[at] ^= 1;
                    let error = refused(&scratch, &damaged, &options_for(to), &context);
                    assert!(KINDS.contains(&error.kind()), "{context}: {error:?}");
                }
            }
            for length in [bytes.len() / 2, bytes.len() - 100] {
                let context = format!("{from:?} to {to:?}, {length} bytes");
                // Zeros at a tar's end may be fewer than they are.
                let length = length.min(bytes.len() - 2000);
                let cut = &bytes[..length];
                let error = refused(&scratch, cut, &options_for(to), &context);
                assert!(KINDS.contains(&error.kind()), "{context}: {error:?}");
            }
        }
    }
}

#[test]
fn links_that_lead_out_take_an_option() {
    let scratch = Scratch::new();
    build::bundle(&scratch.path("app"));
    for from in Format::ALL {
        let archive = packed(&scratch, from, "in");
        let bytes = std::fs::read(&archive).unwrap();
        let mut options = options_for(Format::TarZst);
        let error = refused(&scratch, &bytes, &options, from.name());
        assert_eq!(error.kind(), ErrorKind::Unsafe, "{error:?}");
        assert!(error.hint().unwrap().contains("--allow-external-links"));
        options.external_links = ExternalLinks::Allow;
        let out = scratch.path("out");
        let outcome = convert(&archive, &out, &options, &Silent).unwrap();
        assert_eq!(outcome.external_links, 1, "{from:?}");
        std::fs::remove_file(&out).unwrap();
    }
}

#[test]
fn limits_hold_for_every_format() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    file(app.join("zeros"), vec![0; 4 << 20]);
    for number in 0..10 {
        file(app.join(number.to_string()), "x");
    }
    for from in Format::ALL {
        let bytes = std::fs::read(packed(&scratch, from, "packed")).unwrap();
        let mut small = options_for(Format::Zip);
        small.limits.bytes = Some(1 << 20);
        let mut few = options_for(Format::Zip);
        few.limits.entries = Some(5);
        let mut flat = options_for(Format::Zip);
        flat.limits.ratio = Some(2);
        for (name, options) in [("bytes", small), ("entries", few), ("ratio", flat)] {
            if from == Format::Tar && name == "ratio" {
                continue;
            }
            let context = format!("{from:?} {name}");
            let error = refused(&scratch, &bytes, &options, &context);
            assert_eq!(
                error.kind(),
                ErrorKind::LimitExceeded,
                "{context}: {error:?}"
            );
        }
    }
}

#[test]
fn a_dry_run_writes_nothing_and_counts_the_same() {
    let scratch = Scratch::new();
    full(&scratch.path("app"));
    for from in Format::ALL {
        let archive = packed(&scratch, from, "in");
        let before = Snapshot::of(scratch.root());
        let mut options = options_for(Format::Zip);
        options.dry_run = true;
        let out = scratch.path("out");
        let dry = convert(&archive, &out, &options, &Silent).unwrap();
        let context = format!("{from:?}: a dry run changed something");
        before.assert_same(&Snapshot::of(scratch.root()), &context);
        options.dry_run = false;
        let done = convert(&archive, &out, &options, &Silent).unwrap();
        assert_eq!((dry.files, dry.bytes), (done.files, done.bytes), "{from:?}");
        assert_eq!(dry.losses, done.losses, "{from:?}");
        std::fs::remove_file(&out).unwrap();
    }
    let shown = Path::new("a pipe");
    let bytes = std::fs::read(scratch.path("in.zip")).unwrap();
    let reader = Input::Reader(Box::new(Cursor::new(bytes)), shown);
    let mut options = options_for(Format::Bcp);
    options.dry_run = true;
    let out = scratch.path("out");
    let error = convert_stream(reader, Output::Path(&out), &options, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Usage);
}

#[test]
fn any_number_of_threads_makes_the_same_bytes() {
    let scratch = Scratch::new();
    full(&scratch.path("app"));
    let archive = packed(&scratch, Format::TarGz, "in");
    for format in Format::ALL {
        let mut made = Vec::new();
        for jobs in [1, 2, 16] {
            let out = scratch.path("out");
            let mut options = convert::Options::default();
            options.format = format;
            options.jobs = Some(jobs);
            convert(&archive, &out, &options, &Silent).unwrap();
            made.push(std::fs::read(&out).unwrap());
            std::fs::remove_file(&out).unwrap();
        }
        assert!(made.iter().all(|one| *one == made[0]), "{format:?}");
    }
}
