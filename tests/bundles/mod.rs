//! Bundles as their makers lay them out, and the ways in which they lose their links.
#![allow(dead_code, reason = "each test file uses a part of this")]

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::common::build::{age, file, folder, link, mode};

/// A library for Linux, as far as its first bytes tell, with this content.
pub(crate) fn elf(content: &str) -> Vec<u8> {
    let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
    bytes.resize(64, 0);
    bytes[16] = 3;
    bytes.extend_from_slice(content.as_bytes());
    bytes
}

/// A library for macOS, as far as its first bytes tell, with this content.
fn macho(content: &str) -> Vec<u8> {
    let mut bytes = vec![0xcf, 0xfa, 0xed, 0xfe];
    bytes.resize(32, 0);
    bytes[12] = 6;
    bytes.extend_from_slice(content.as_bytes());
    bytes
}

pub(crate) fn program(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    file(&path, content);
    mode(path, 0o755);
}

/// A folder of PyInstaller's, with libraries in subfolders.
pub(crate) fn pyinstaller(app: &Path) {
    let contents = app.join("_internal");
    folder(contents.join("numpy.libs"));
    folder(contents.join("data/v1"));
    folder(contents.join("data/v2"));
    program(app.join("app"), elf("program"));
    file(contents.join("base_library.zip"), "modules");
    for name in ["libblas.so.3", "libgfortran.so.5"] {
        program(contents.join("numpy.libs").join(name), elf(name));
        link(contents.join(name), format!("numpy.libs/{name}").as_bytes());
    }
    program(contents.join("libz.so.1"), elf("z"));
    file(contents.join("data/v1/text"), "first");
    file(contents.join("data/v2/text"), "second");
    link(contents.join("data/current"), b"v2");
    link(contents.join("data/latest"), b"v2/text");
}

/// An application for macOS, with a framework, and code and data linked both ways.
pub(crate) fn app(app: &Path) {
    let contents = app.join("Contents");
    let framework = contents.join("Frameworks/Python.framework");
    folder(contents.join("MacOS"));
    folder(contents.join("Resources/pkg"));
    folder(contents.join("Frameworks/pkg"));
    folder(contents.join("Frameworks/a__dot__b"));
    folder(framework.join("Versions/3.11/Resources"));
    file(contents.join("Info.plist"), "<plist/>");
    let mut main = macho("main");
    main[12] = 2;
    program(contents.join("MacOS/app"), main);
    program(framework.join("Versions/3.11/Python"), macho("python"));
    file(
        framework.join("Versions/3.11/Resources/Info.plist"),
        "<plist>python</plist>",
    );
    link(framework.join("Versions/Current"), b"3.11");
    link(framework.join("Python"), b"Versions/Current/Python");
    link(framework.join("Resources"), b"Versions/Current/Resources");
    link(
        contents.join("Resources/Python.framework"),
        b"../Frameworks/Python.framework",
    );
    program(contents.join("Frameworks/libssl.dylib"), macho("ssl"));
    link(
        contents.join("Resources/libssl.dylib"),
        b"../Frameworks/libssl.dylib",
    );
    file(contents.join("Resources/base_library.zip"), "modules");
    link(
        contents.join("Frameworks/base_library.zip"),
        b"../Resources/base_library.zip",
    );
    program(contents.join("Frameworks/pkg/code.so"), macho("code"));
    link(
        contents.join("Resources/pkg/code.so"),
        b"../../Frameworks/pkg/code.so",
    );
    file(contents.join("Resources/pkg/data.json"), "{\"data\": 1}");
    link(
        contents.join("Frameworks/pkg/data.json"),
        b"../../Resources/pkg/data.json",
    );
    program(contents.join("Frameworks/a__dot__b/x.so"), macho("x"));
    link(contents.join("Frameworks/a.b"), b"a__dot__b");
}

/// What npm installs: programs of packages, and a package of the project itself.
pub(crate) fn npm(app: &Path) {
    let modules = app.join("node_modules");
    folder(modules.join(".bin"));
    folder(modules.join("tool/bin"));
    folder(modules.join("@scope/other"));
    folder(app.join("packages/own"));
    file(
        app.join("package.json"),
        r#"{"name": "app", "workspaces": ["packages/*"]}"#,
    );
    file(
        modules.join("tool/package.json"),
        r#"{"name": "tool", "bin": {"tool": "./bin/tool.js", "t2": "bin/two.js"}}"#,
    );
    program(
        modules.join("tool/bin/tool.js"),
        "#!/usr/bin/env node\nrun()\n",
    );
    program(
        modules.join("tool/bin/two.js"),
        "#!/usr/bin/env node\ntwo()\n",
    );
    file(
        modules.join("@scope/other/package.json"),
        r#"{"name": "@scope/other", "bin": "cli.js"}"#,
    );
    program(
        modules.join("@scope/other/cli.js"),
        "#!/usr/bin/env node\nother()\n",
    );
    link(modules.join(".bin/tool"), b"../tool/bin/tool.js");
    link(modules.join(".bin/t2"), b"../tool/bin/two.js");
    link(modules.join(".bin/other"), b"../@scope/other/cli.js");
    file(
        app.join("packages/own/package.json"),
        r#"{"name": "own", "version": "1.0.0"}"#,
    );
    file(app.join("packages/own/index.js"), "module.exports = 1\n");
    link(modules.join("own"), b"../packages/own");
}

/// What pnpm installs: each package once, in `.pnpm`.
pub(crate) fn pnpm(app: &Path) {
    let modules = app.join("node_modules");
    let store = modules.join(".pnpm");
    for (version, name) in [("a@1.0.0", "a"), ("@s+b@2.0.0", "@s/b")] {
        let package = store.join(version).join("node_modules").join(name);
        folder(&package);
        file(
            package.join("package.json"),
            format!(r#"{{"name": "{name}"}}"#),
        );
        file(package.join("index.js"), format!("// {name}\n"));
    }
    folder(modules.join("@s"));
    file(modules.join(".modules.yaml"), "layoutVersion: 5\n");
    link(modules.join("a"), b".pnpm/a@1.0.0/node_modules/a");
    link(
        modules.join("@s/b"),
        b"../.pnpm/@s+b@2.0.0/node_modules/@s/b",
    );
    folder(store.join("a@1.0.0/node_modules/@s"));
    link(
        store.join("a@1.0.0/node_modules/@s/b"),
        b"../../../@s+b@2.0.0/node_modules/@s/b",
    );
}

/// A name, and what makes such a bundle.
pub(crate) type Maker = (&'static str, fn(&Path));

/// Every bundle that tells by itself what it was.
pub(crate) const ALL: &[Maker] = &[
    ("pyinstaller", pyinstaller),
    ("app", app),
    ("npm", npm),
    ("pnpm", pnpm),
];

/// Builds a bundle that was not changed for long.
pub(crate) fn build(at: &Path, bundle: fn(&Path)) {
    folder(at);
    bundle(at);
    age(at);
}

/// The links below `root`, and their targets.
pub(crate) fn links(root: &Path) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut pending = vec![PathBuf::new()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(root.join(&dir)).unwrap() {
            let entry = entry.unwrap();
            let path = dir.join(entry.file_name());
            let kind = entry.file_type().unwrap();
            if kind.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap();
                let text = |path: &Path| path.to_str().unwrap().to_owned();
                links.push((text(&path), text(&target)));
            } else if kind.is_dir() {
                pending.push(path);
            }
        }
    }
    links.sort();
    links
}

/// How links are lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Damage {
    /// Each is a copy of what it led to, as `cp -rL` and `zip` without `-y` make it.
    Flattened,
    /// Each is a text file with its target, as Python's `zipfile` makes it.
    Stubs,
}

/// Copies the bundle `from` as `to`, without its links.
pub(crate) fn damage(from: &Path, to: &Path, how: Damage) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        let is_link = entry.file_type().unwrap().is_symlink();
        if is_link && how == Damage::Stubs {
            let target = fs::read_link(&path).unwrap();
            file(&copy, target.as_os_str().as_bytes());
        } else if path.is_dir() {
            damage(&path, &copy, how);
        } else {
            fs::copy(&path, &copy).unwrap();
        }
    }
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
}
