//! The table of changes: one to a row, with exactly the differences it makes.

use std::fs::remove_file;
use std::path::Path;

use crate::common::build::{self, file, folder, hard_link, keeping_time, link, mode, time};

/// A change to the right side, and what verify has to say of it.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) change: fn(&Path),
    pub(crate) differences: &'static [(&'static str, &'static str)],
}

const fn row(
    name: &'static str,
    change: fn(&Path),
    differences: &'static [(&'static str, &'static str)],
) -> Row {
    Row {
        name,
        change,
        differences,
    }
}

/// Replaces the link `name` in the root by a file.
fn stand_in(root: &Path, name: &str, content: &[u8]) {
    remove_file(root.join(name)).unwrap();
    file(root.join(name), content);
}

/// Replaces the link `Current` to `lib` by a copy of `lib`.
fn copy_of_lib(root: &Path) {
    let at = root.join("Current");
    remove_file(&at).unwrap();
    folder(at.join("deep"));
    file(at.join("libfoo.so.1.2"), vec![7; 10_000]);
    file(at.join("deep/data"), "data");
}

pub(crate) const ROWS: &[Row] = &[
    row("nothing", |_| (), &[]),
    row(
        "a file less",
        |root| remove_file(root.join("run")).unwrap(),
        &[("run", "missing")],
    ),
    row(
        "a link less",
        |root| remove_file(root.join("Current")).unwrap(),
        &[("Current", "missing")],
    ),
    row(
        "a dangling link less",
        |root| remove_file(root.join("dangling")).unwrap(),
        &[("dangling", "missing")],
    ),
    row(
        "a folder less",
        |root| std::fs::remove_dir(root.join("empty")).unwrap(),
        &[("empty", "missing")],
    ),
    row(
        "a folder with contents less",
        |root| std::fs::remove_dir_all(root.join("tree")).unwrap(),
        &[("tree", "missing")],
    ),
    row(
        "a file more",
        |root| file(root.join("z"), ""),
        &[("z", "extra")],
    ),
    row(
        "a link more",
        |root| link(root.join("A"), b"run"),
        &[("A", "extra")],
    ),
    row(
        "a tree more",
        |root| folder(root.join("b/c/d")),
        &[("b", "extra")],
    ),
    row(
        "a renamed file",
        |root| std::fs::rename(root.join("run"), root.join("ran")).unwrap(),
        &[("ran", "extra"), ("run", "missing")],
    ),
    row(
        "a file for a folder",
        |root| {
            std::fs::remove_dir(root.join("empty")).unwrap();
            file(root.join("empty"), "");
        },
        &[("empty", "type")],
    ),
    row(
        "a folder for a file",
        |root| {
            remove_file(root.join("run")).unwrap();
            folder(root.join("run"));
        },
        &[("run", "type")],
    ),
    row(
        "a link for a file",
        |root| {
            remove_file(root.join("run")).unwrap();
            link(root.join("run"), b"lib/libfoo.so");
        },
        &[("run", "type")],
    ),
    row(
        "some file for a link",
        |root| stand_in(root, "Current", b"?"),
        &[("Current", "type")],
    ),
    row(
        "some file for a dangling link",
        |root| stand_in(root, "dangling", b"?"),
        &[("dangling", "type")],
    ),
    row(
        "an empty folder for a link",
        |root| {
            remove_file(root.join("Current")).unwrap();
            folder(root.join("Current"));
        },
        &[("Current", "type")],
    ),
    row(
        "a copy for a link to a file",
        |root| stand_in(root, "start", b"#!/bin/sh\n"),
        &[("start", "flattened")],
    ),
    row(
        "another file of the same size for a link",
        |root| stand_in(root, "start", b"#!/bin/no\n"),
        &[("start", "type")],
    ),
    row(
        "a copy for a link to a link",
        |root| {
            let lib = root.join("lib");
            keeping_time(&lib, || {
                stand_in(&root.join("lib"), "libfoo.so", &[7; 10_000]);
            });
        },
        &[("lib/libfoo.so", "flattened")],
    ),
    row(
        "a copy for a link to a folder",
        copy_of_lib_with_links,
        &[("Current", "flattened")],
    ),
    row(
        "a copy for a link to a folder, its links flattened too",
        |root| {
            copy_of_lib(root);
            for name in ["libfoo.so", "libfoo.so.1"] {
                file(root.join("Current").join(name), vec![7; 10_000]);
            }
            file(root.join("Current/deep/up"), "#!/bin/sh\n");
        },
        &[("Current", "flattened")],
    ),
    row(
        "a changed copy for a link to a folder",
        |root| {
            copy_of_lib_with_links(root);
            file(root.join("Current/deep/data"), "DATA");
        },
        &[("Current", "type")],
    ),
    row(
        "a link as text",
        |root| stand_in(root, "Current", b"lib"),
        &[("Current", "stub")],
    ),
    row(
        "a link as a line",
        |root| stand_in(root, "Current", b"lib\n"),
        &[("Current", "stub")],
    ),
    row(
        "a link as a string",
        |root| stand_in(root, "Current", b"lib\0"),
        &[("Current", "stub")],
    ),
    row(
        "a dangling link as text",
        |root| stand_in(root, "dangling", b"nowhere/at/all"),
        &[("dangling", "stub")],
    ),
    row(
        "a link as other text",
        |root| stand_in(root, "Current", b"lib\n\n"),
        &[("Current", "type")],
    ),
    row(
        "a link elsewhere",
        |root| {
            remove_file(root.join("Current")).unwrap();
            link(root.join("Current"), b"tree");
            time(root.join("Current"), build::THEN);
        },
        &[("Current", "retargeted")],
    ),
    row(
        "a link to the same place in other words",
        |root| {
            remove_file(root.join("Current")).unwrap();
            link(root.join("Current"), b"./lib");
            time(root.join("Current"), build::THEN);
        },
        &[("Current", "retargeted")],
    ),
    row(
        "other bytes of the same size",
        |root| keeping_time(root.join("run"), || file(root.join("run"), "#!/bin/no\n")),
        &[("run", "content")],
    ),
    row(
        "one bit in the middle",
        |root| {
            let path = root.join("lib/libfoo.so.1.2");
            let mut content = vec![7; 10_000];
            content[5_000] = 6;
            keeping_time(&path, || file(&path, content));
        },
        &[("lib/libfoo.so.1.2", "content")],
    ),
    row(
        "a longer file",
        |root| {
            keeping_time(root.join("run"), || {
                file(root.join("run"), "#!/bin/sh -e\n");
            });
        },
        &[("run", "content")],
    ),
    row(
        "an emptied file",
        |root| keeping_time(root.join("run"), || file(root.join("run"), "")),
        &[("run", "content")],
    ),
    row(
        "a file's mode",
        |root| mode(root.join("run"), 0o754),
        &[("run", "mode")],
    ),
    row(
        "a folder's mode",
        |root| mode(root.join("empty"), 0o700),
        &[("empty", "mode")],
    ),
    row("the root's mode", |root| mode(root, 0o700), &[("", "mode")]),
    row(
        "a file's time",
        |root| time(root.join("run"), (1_000_000_000, 123_456_788)),
        &[("run", "mtime")],
    ),
    row(
        "a folder's time",
        |root| time(root.join("lib"), (1_000_000_001, 123_456_789)),
        &[("lib", "mtime")],
    ),
    row(
        "a link's time",
        |root| time(root.join("Current"), (-1, 0)),
        &[("Current", "mtime")],
    ),
    row(
        "mode and time of one file",
        |root| {
            mode(root.join("run"), 0o700);
            time(root.join("run"), (0, 0));
        },
        &[("run", "mode"), ("run", "mtime")],
    ),
    row(
        "a file of two names made two",
        |root| {
            remove_file(root.join("same-data")).unwrap();
            file(root.join("same-data"), "data");
            mode(root.join("same-data"), 0o640);
            time(root.join("same-data"), build::THEN);
        },
        &[("same-data", "hardlink")],
    ),
    row(
        "two equal files made one",
        |root| {
            keeping_time(root.join("tree"), || {
                remove_file(root.join("tree/twin-b")).unwrap();
                hard_link(root.join("tree/twin-a"), root.join("tree/twin-b"));
            });
        },
        &[("tree/twin-b", "hardlink")],
    ),
];

fn copy_of_lib_with_links(root: &Path) {
    copy_of_lib(root);
    link(root.join("Current/libfoo.so"), b"libfoo.so.1");
    link(root.join("Current/libfoo.so.1"), b"libfoo.so.1.2");
    link(root.join("Current/deep/up"), b"../../run");
}

pub(crate) fn side(root: &Path) {
    build::bundle(root);
    link(root.join("start"), b"./run");
    folder(root.join("tree/of"));
    file(root.join("tree/twin-a"), "twins");
    file(root.join("tree/twin-b"), "twins");
    link(root.join("tree/of/up"), b"..");
    build::age(root);
}
