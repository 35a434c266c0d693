//! Libraries that are in a bundle twice, or where no loader looks for them.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use bundlecp::doctor::{self, Code};
use common::build::{file, folder, hard_link, link, mode};
use common::{Scratch, examine};

/// Codes, paths, messages and wasted bytes of what was found.
fn found(path: &Path) -> Vec<(Code, String, String, u64)> {
    let outcome = examine(path);
    let findings = outcome.findings.into_iter();
    findings
        .map(|found| {
            (
                found.code,
                found.path.to_string(),
                found.message,
                found.bytes_wasted,
            )
        })
        .collect()
}

#[track_caller]
fn assert_found(path: &Path, expected: &[(Code, &str, &str)]) {
    let found = found(path);
    let short: Vec<_> = found
        .iter()
        .map(|(code, path, message, _)| (*code, path.as_str(), message.as_str()))
        .collect();
    let fits = |(found, expected): (&(Code, &str, &str), &(Code, &str, &str))| {
        found.0 == expected.0 && found.1 == expected.1 && found.2.contains(expected.2)
    };
    assert!(
        short.len() == expected.len() && short.iter().zip(expected).all(fits),
        "{short:#?}\n{expected:#?}"
    );
}

/// A library for Linux on x86-64 with the entries of a dynamic section.
fn elf(soname: &str, needs: &[&str], runpath: &str, content: &str) -> Vec<u8> {
    let mut strings = vec![0];
    let mut add = |text: &str| {
        let at = strings.len() as u64;
        strings.extend_from_slice(text.as_bytes());
        strings.push(0);
        at
    };
    let mut entries: Vec<(u64, u64)> = needs.iter().map(|need| (1, add(need))).collect();
    if !soname.is_empty() {
        entries.push((14, add(soname)));
    }
    if !runpath.is_empty() {
        entries.push((29, add(runpath)));
    }
    let headers = 64 + 2 * 56;
    let dynamic = (entries.len() as u64 + 2) * 16;
    entries.push((5, headers + dynamic));
    entries.push((0, 0));
    let total = headers + dynamic + strings.len() as u64;
    let mut bytes = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    for (value, size) in [
        (3, 2),
        (62, 2),
        (1, 4),
        (0, 8),
        (64, 8),
        (0, 8),
        (0, 4),
        (64, 2),
        (56, 2),
        (2, 2),
        (64, 2),
        (0, 2),
        (0, 2),
    ] {
        bytes.extend_from_slice(&u64::to_le_bytes(value)[..size]);
    }
    for (kind, offset, size) in [(1_u32, 0, total), (2, headers, dynamic)] {
        bytes.extend_from_slice(&kind.to_le_bytes());
        bytes.extend_from_slice(&4_u32.to_le_bytes());
        for value in [offset, offset, offset, size, size, 8] {
            bytes.extend_from_slice(&value.to_le_bytes());
        }
    }
    for (tag, value) in entries {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&value.to_le_bytes());
    }
    bytes.extend_from_slice(&strings);
    bytes.extend_from_slice(content.as_bytes());
    bytes
}

/// A file for macOS of this type, with load commands that hold a path each.
fn macho(file_type: u32, commands: &[(u32, &str)]) -> Vec<u8> {
    let mut all = Vec::new();
    for (command, path) in commands {
        let start: u32 = if *command == 0x8000_001c { 12 } else { 24 };
        let size = (start as usize + path.len() + 1).next_multiple_of(8);
        let mut bytes = Vec::new();
        for word in [*command, u32::try_from(size).unwrap(), start] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
        bytes.resize(start as usize, 0);
        bytes.extend_from_slice(path.as_bytes());
        bytes.resize(size, 0);
        all.extend_from_slice(&bytes);
    }
    let mut bytes = Vec::new();
    let count = u32::try_from(commands.len()).unwrap();
    let size = u32::try_from(all.len()).unwrap();
    for word in [0xfeed_facf, 0x0100_0007, 3, file_type, count, size, 0, 0] {
        bytes.extend_from_slice(&u32::to_le_bytes(word));
    }
    bytes.extend_from_slice(&all);
    bytes
}

/// A library for Windows that exports under this name.
fn dll(name: &str) -> Vec<u8> {
    let mut bytes = vec![0; 0x400];
    let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
    put(0, b"MZ");
    put(0x3c, &0x80_u32.to_le_bytes());
    put(0x80, b"PE\0\0");
    put(0x84, &0x8664_u16.to_le_bytes());
    put(0x86, &1_u16.to_le_bytes());
    put(0x94, &240_u16.to_le_bytes());
    let optional = 0x98;
    put(optional, &0x20b_u16.to_le_bytes());
    put(optional + 108, &16_u32.to_le_bytes());
    put(optional + 112, &0x1000_u32.to_le_bytes());
    put(optional + 116, &40_u32.to_le_bytes());
    let section = optional + 240;
    put(section, b".edata\0\0");
    for (index, value) in [0x200_u32, 0x1000, 0x200, 0x200].into_iter().enumerate() {
        put(section + 8 + index * 4, &value.to_le_bytes());
    }
    put(0x200 + 12, &0x1028_u32.to_le_bytes());
    put(0x200 + 0x28, name.as_bytes());
    bytes
}

fn library(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    folder(path.as_ref().parent().unwrap());
    file(&path, bytes);
    mode(path, 0o755);
}

fn pyinstaller(app: &Path) {
    library(app.join("_internal/base_library.zip"), "x");
    library(app.join("app"), elf("", &["libc.so.6"], "", "program"));
}

#[test]
fn a_library_that_is_there_twice_is_named() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    pyinstaller(&app);
    let ours = elf("libz.so.1", &["libc.so.6"], "", "ours");
    let contents = app.join("_internal");
    library(contents.join("libz.so.1"), &ours);
    library(
        contents.join("pkg/libz.so.1.2.13"),
        elf("libz.so.1", &[], "", "theirs"),
    );
    // The same name inside is no other library: modules are loaded by their paths.
    library(
        contents.join("pkg/_module.so"),
        elf("libz.so.1", &[], "", "module"),
    );
    hard_link(contents.join("libz.so.1"), contents.join("pkg/libz.so.1.1"));
    library(
        contents.join("glibc-hwcaps/v3/libz.so.1"),
        elf("libz.so.1", &[], "", "v3"),
    );
    let message = "is another `libz.so.1` than `_internal/libz.so.1`";
    let all = [(
        Code::DuplicateLibrary,
        "_internal/pkg/libz.so.1.2.13",
        message,
    )];
    assert_found(&app, &all);
    assert_eq!(found(&app)[0].3, 0);
    // As a folder of many programs, it may well be that both are wanted.
    std::fs::remove_file(contents.join("base_library.zip")).unwrap();
    assert_found(&app, &[]);
    // That equal ones are, it can't.
    library(contents.join("other/libz.so.1"), &ours);
    let message = "is the library `libz.so.1` once more: `_internal/libz.so.1` is equal";
    assert_found(
        &app,
        &[(Code::DuplicateLibrary, "_internal/other/libz.so.1", message)],
    );
    assert_eq!(found(&app)[0].3, ours.len() as u64);
}

#[test]
fn libraries_for_macos_and_windows_have_names_too() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    let dylib = macho(6, &[(0xd, "@rpath/libssl.3.dylib")]);
    for path in ["a/libssl.3.dylib", "b/libssl.3.dylib"] {
        library(app.join(path), &dylib);
    }
    for path in ["a/Qt6Core.dll", "b/qt6core.dll"] {
        library(app.join(path), dll("Qt6Core.dll"));
    }
    for path in ["a/VCRUNTIME140.dll", "b/VCRUNTIME140.dll"] {
        library(app.join(path), dll("VCRUNTIME140.dll"));
    }
    let code = Code::DuplicateLibrary;
    let all = [
        (
            code,
            "b/libssl.3.dylib",
            "is the library `libssl.3.dylib` once more",
        ),
        (
            code,
            "b/qt6core.dll",
            "is the library `qt6core.dll` once more",
        ),
    ];
    assert_found(&app, &all);
}

#[test]
fn a_library_that_nothing_looks_for_where_it_is_is_named() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    let contents = app.join("_internal");
    pyinstaller(&app);
    let needs = ["libfoo.so.1", "libc.so.6"];
    library(
        contents.join("pkg/libfoo.so.1"),
        elf("libfoo.so.1", &[], "", ""),
    );
    library(contents.join("_ext.so"), elf("", &needs, "", "ext"));
    library(contents.join("_more.so"), elf("", &needs, "", "more"));
    let message = "needs `libfoo.so.1`, and so does another: `_internal/pkg/libfoo.so.1` is";
    assert_found(
        &app,
        &[(Code::MissingLibrary, "_internal/_ext.so", message)],
    );
    // The link that PyInstaller makes.
    link(contents.join("libfoo.so.1"), b"pkg/libfoo.so.1");
    assert_found(&app, &[]);
    std::fs::remove_file(contents.join("libfoo.so.1")).unwrap();
    // Or somebody else who loads it first.
    let beside = elf("", &needs, "$ORIGIN/../pkg", "beside");
    library(contents.join("other/_ext.so"), beside);
    assert_found(&app, &[]);
}

#[test]
fn a_link_with_a_version_that_is_gone_is_missed() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    library(
        app.join("bin/tool"),
        elf("", &["libfoo.so.1"], "$ORIGIN/../lib", "tool"),
    );
    library(
        app.join("lib/libfoo.so.1.2.3"),
        elf("libfoo.so.1", &[], "", ""),
    );
    let message = "needs `libfoo.so.1`: `lib/libfoo.so.1.2.3` is that library, but";
    assert_found(&app, &[(Code::MissingLibrary, "bin/tool", message)]);
    link(app.join("lib/libfoo.so.1"), b"libfoo.so.1.2.3");
    assert_found(&app, &[]);
    // What is elsewhere may be the system's as well.
    std::fs::remove_file(app.join("lib/libfoo.so.1")).unwrap();
    folder(app.join("far"));
    std::fs::rename(app.join("lib/libfoo.so.1.2.3"), app.join("far/libfoo.so.1")).unwrap();
    assert_found(&app, &[]);
}

#[test]
fn what_macos_looks_for_by_the_file_is_missed() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    let needs = [
        (0xc, "@executable_path/../Frameworks/liba.dylib"),
        (0xc, "@rpath/libb.dylib"),
        (0x8000_0018, "@rpath/weak.dylib"),
        (0x8000_001c, "@loader_path/../Frameworks"),
        (0xc, "/usr/lib/libSystem.B.dylib"),
    ];
    let contents = app.join("Contents");
    library(contents.join("Info.plist"), "x");
    library(contents.join("MacOS/app"), macho(2, &needs));
    for name in ["liba.dylib", "libb.dylib"] {
        let id = format!("@rpath/{name}");
        library(
            contents.join("Frameworks").join(name),
            macho(6, &[(0xd, &id)]),
        );
    }
    assert_found(&app, &[]);
    let moved = contents.join("Frameworks/sub");
    folder(&moved);
    for name in ["liba.dylib", "libb.dylib"] {
        std::fs::rename(contents.join("Frameworks").join(name), moved.join(name)).unwrap();
    }
    let code = Code::MissingLibrary;
    let all = [
        (
            code,
            "Contents/MacOS/app",
            "needs `@executable_path/../Frameworks/liba.dylib`",
        ),
        (code, "Contents/MacOS/app", "needs `@rpath/libb.dylib`"),
    ];
    assert_found(&app, &all);
}

#[test]
fn damaged_files_tell_nothing_and_break_nothing() {
    let scratch = Scratch::in_memory();
    let app = scratch.path("app");
    folder(&app);
    let files = [
        elf("libz.so.1", &["libc.so.6"], "$ORIGIN", "x"),
        macho(
            6,
            &[(0xd, "@rpath/libz.dylib"), (0xc, "@rpath/other.dylib")],
        ),
        dll("z.dll"),
    ];
    let mut count = 0;
    for whole in &files {
        for at in 0..whole.len().min(0x250) {
            for (name, value) in [("flip", whole[at] ^ 0xff), ("low", 0x7f)] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                file(app.join(format!("{count}-{name}")), &bytes);
                count += 1;
            }
            file(app.join(format!("{count}-cut")), &whole[..at]);
        }
    }
    let outcome = examine(&app);
    let is_missing = |found: &doctor::Finding| found.code == Code::MissingLibrary;
    assert!(!outcome.findings.iter().any(is_missing));
}
