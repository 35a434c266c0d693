//! Folders get the mode that the archive tells, also where it tells of them
//! only after what is in them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use bundlecp::Silent;
use bundlecp::extract::{Options, extract, extract_from};
use bundlecp::pack::{self, Format, pack};
use common::Scratch;
use common::build::{file, folder, mode};

/// A tar of these members: path, kind and mode.
fn tar_of(members: &[(&str, tar::EntryType, u32)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, kind, mode) in members {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_size(0);
        header.set_mtime(1);
        tar.append_data(&mut header, path, &[][..]).unwrap();
    }
    tar.into_inner().unwrap()
}

fn mode_of(path: &Path) -> u32 {
    std::fs::symlink_metadata(path)
        .unwrap()
        .permissions()
        .mode()
        & 0o7777
}

#[test]
fn a_tar_may_name_folders_after_what_is_in_them() {
    use tar::EntryType::{Directory, Regular};
    for (what, members) in [
        (
            "late",
            &[("a/f", Regular, 0o600), ("a", Directory, 0o700)][..],
        ),
        (
            "twice",
            &[
                ("a", Directory, 0o755),
                ("a/f", Regular, 0o600),
                ("a", Directory, 0o700),
            ],
        ),
    ] {
        let bytes = tar_of(members);
        let scratch = Scratch::new();
        file(scratch.path("archive"), &bytes);
        let (read, streamed) = (scratch.path("read"), scratch.path("streamed"));
        extract(
            &scratch.path("archive"),
            &read,
            &Options::default(),
            &Silent,
        )
        .unwrap();
        let shown = Path::new("a pipe");
        extract_from(&*bytes, shown, &streamed, &Options::default(), &Silent).unwrap();
        assert_eq!(mode_of(&read.join("a")), 0o700, "{what}, from a file");
        assert_eq!(mode_of(&streamed.join("a")), 0o700, "{what}, from a pipe");
    }
}

#[test]
fn a_zip_from_a_pipe_tells_modes_at_its_end() {
    let scratch = Scratch::new();
    folder(scratch.path("app/private"));
    file(scratch.path("app/private/key"), "secret");
    mode(scratch.path("app/private"), 0o700);
    mode(scratch.path("app/private/key"), 0o600);
    let mut options = pack::Options::default();
    options.format = Format::Zip;
    let archive = scratch.path("app.zip");
    pack(&[scratch.path("app")], &archive, &options, &Silent).unwrap();
    let bytes = std::fs::read(archive).unwrap();
    let out = scratch.path("out");
    extract_from(
        &*bytes,
        Path::new("a pipe"),
        &out,
        &Options::default(),
        &Silent,
    )
    .unwrap();
    assert_eq!(mode_of(&out.join("app/private")), 0o700);
    assert_eq!(mode_of(&out.join("app/private/key")), 0o600);
}
