//! Random trees: a list of operations that `proptest` can shorten, carried out
//! through handles, so that paths may be longer than the system takes.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use rustix::fs::{AtFlags, Mode, OFlags, Timespec, Timestamps, XattrFlags};

use super::{Scratch, folder_flags, is_root};

/// How many cases there are in the full run, which a change has to pass. `PROPTEST_CASES`
/// wins over every number that a test says of itself, so it isn't that.
pub(crate) fn cases() -> Option<u32> {
    let cases = std::env::var("BUNDLECP_CASES").ok()?;
    Some(cases.parse().expect("`BUNDLECP_CASES` is a number"))
}

/// As many cases as `BUNDLECP_CASES` says; without it so `few`.
pub(crate) fn config(few: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases().unwrap_or(few),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

/// One in `share` of them, for properties that write each tree many times over.
pub(crate) fn costly(few: u32, share: u32) -> ProptestConfig {
    let mut config = config(few);
    config.cases = few.max(config.cases / share);
    config
}

/// Where a tree is made.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Disk,
    Memory,
}

impl Place {
    pub(crate) fn scratch(self) -> Scratch {
        match self {
            Place::Disk => Scratch::new(),
            Place::Memory => Scratch::in_memory(),
        }
    }
}

/// One in eight on the disk, which takes most of the time.
pub(crate) fn place() -> impl Strategy<Value = Place> {
    prop_oneof![1 => Just(Place::Disk), 7 => Just(Place::Memory)]
}

/// One step in making a tree. Folders and files are chosen among those that
/// stand already, so that any part of a list is a list too.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Dir(Index, Name, Meta),
    Deep(Index, Name, u8),
    File(Index, Name, Content, Meta),
    Link(Index, Name, Target, Meta),
    HardLink(Index, Name, Index),
    Xattr(Index, u8, Vec<u8>),
}

#[derive(Debug, Clone)]
pub(crate) struct Name(pub(crate) Vec<u8>);

#[derive(Debug, Clone)]
pub(crate) struct Meta {
    mode: u32,
    mtime: (i64, u32),
}

#[derive(Debug, Clone)]
pub(crate) enum Content {
    Bytes(Vec<u8>),
    /// Blocks of 4 KiB that hold this byte, in a file of so many blocks and bytes.
    Holes(Vec<(u16, u8)>, u16, u16),
}

#[derive(Debug, Clone)]
pub(crate) enum Target {
    Bytes(Vec<u8>),
    Fixed(&'static str),
    Itself,
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 0..40)
}

fn op() -> impl Strategy<Value = Op> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), name(), meta()).prop_map(|(at, name, meta)| Op::Dir(at, name, meta)),
        1 => (at(), name(), 1..40_u8).prop_map(|(at, name, levels)| Op::Deep(at, name, levels)),
        5 => (at(), name(), content(), meta())
            .prop_map(|(at, name, content, meta)| Op::File(at, name, content, meta)),
        5 => (at(), name(), target(), meta())
            .prop_map(|(at, name, target, meta)| Op::Link(at, name, target, meta)),
        2 => (at(), name(), at()).prop_map(|(at, name, file)| Op::HardLink(at, name, file)),
        1 => (at(), any::<u8>(), prop::collection::vec(any::<u8>(), 0..40))
            .prop_map(|(file, name, value)| Op::Xattr(file, name, value)),
    ]
}

/// Names that collide often, odd bytes, and the longest ones.
pub(crate) fn name() -> impl Strategy<Value = Name> {
    let byte = (1..=255_u8).prop_filter("no slash", |byte| *byte != b'/');
    let bytes = prop::collection::vec(byte, 1..24);
    let fixed = prop::sample::select(vec![
        " ",
        "-n",
        "...",
        "a\nb",
        "\u{e9}",
        "e\u{301}",
        "A",
        "\x1b[0m",
        "*",
        ".bundlecp-links.json",
        ".copy.bundlecp-0123456789abcde",
    ]);
    prop_oneof![
        6 => "[a-d]{1,2}".prop_map(String::into_bytes),
        2 => bytes,
        2 => fixed.prop_map(|name| name.as_bytes().to_vec()),
        1 => prop::collection::vec(b'a'..=b'c', 255..=255),
    ]
    .prop_filter("no name", |name| name != b"." && name != b"..")
    .prop_map(Name)
}

fn meta() -> impl Strategy<Value = Meta> {
    let seconds = prop_oneof![Just(0), -2_000_000_000..4_000_000_000_i64];
    let mode = prop_oneof![4 => Just(0o755), 4 => 0..0o1000_u32, 1 => 0..0o10000_u32];
    (mode, seconds, 0..1_000_000_000_u32).prop_map(|(mode, seconds, nanos)| Meta {
        mode,
        mtime: (seconds, nanos),
    })
}

fn content() -> impl Strategy<Value = Content> {
    let blocks = prop::collection::vec((0..600_u16, 1..=255_u8), 0..4);
    prop_oneof![
        3 => prop::collection::vec(any::<u8>(), 0..300).prop_map(Content::Bytes),
        1 => (blocks, 0..600_u16, 0..4096_u16)
            .prop_map(|(blocks, size, rest)| Content::Holes(blocks, size, rest)),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    let byte = 1..=255_u8;
    let fixed = prop::sample::select(vec![
        ".",
        "..",
        "../..",
        "../../../..",
        "/",
        "/etc/passwd",
        "/nonexistent",
        "../outside",
        "a/..",
        "a/b",
        "b//",
        "./a/./b",
        "../a/../b",
    ]);
    prop_oneof![
        3 => name().prop_map(|name| Target::Bytes(name.0)),
        3 => fixed.prop_map(Target::Fixed),
        1 => Just(Target::Itself),
        1 => prop::collection::vec(byte, 1..400).prop_map(Target::Bytes),
    ]
}

/// A tree while it is made. The root is the first folder.
struct Tree {
    dirs: Vec<(OwnedFd, Option<Meta>)>,
    /// Files by the number of their folder and their name.
    files: Vec<(usize, Name)>,
}

/// Carries out `ops` in the new folder `root`. What can't be done, as a name
/// that is taken, is left out.
pub(crate) fn build(root: &Path, ops: &[Op]) {
    std::fs::create_dir(root).unwrap();
    let root = rustix::fs::open(root, folder_flags(), Mode::empty()).unwrap();
    let mut tree = Tree {
        dirs: vec![(root, None)],
        files: Vec::new(),
    };
    for op in ops {
        tree.apply(op);
    }
    // From the deepest, which was made last: whatever is set stays as it is.
    for (dir, meta) in tree.dirs.iter().rev() {
        if let Some(meta) = meta {
            let needed = if is_root() { 0 } else { 0o500 };
            rustix::fs::fchmod(dir, mode(meta.mode | needed)).unwrap();
            rustix::fs::futimens(dir, &times(meta)).unwrap();
        }
    }
}

impl Tree {
    fn apply(&mut self, op: &Op) {
        let count = self.dirs.len();
        match op {
            Op::Dir(at, name, meta) => {
                self.make_dir(at.index(count), name, Some(meta.clone()));
            }
            Op::Deep(at, name, levels) => {
                let mut at = at.index(count);
                for _ in 0..*levels {
                    match self.make_dir(at, name, None) {
                        Some(inner) => at = inner,
                        None => break,
                    }
                }
            }
            Op::File(at, name, content, meta) => {
                self.make_file(at.index(count), name, content, meta);
            }
            Op::Link(at, name, target, meta) => {
                let dir = &self.dirs[at.index(count)].0;
                let target = match target {
                    Target::Bytes(bytes) => bytes.as_slice(),
                    Target::Fixed(text) => text.as_bytes(),
                    Target::Itself => &name.0,
                };
                if rustix::fs::symlinkat(target, dir, &*name.0).is_ok() {
                    let flags = AtFlags::SYMLINK_NOFOLLOW;
                    rustix::fs::utimensat(dir, &*name.0, &times(meta), flags).unwrap();
                }
            }
            Op::HardLink(at, name, file) => {
                if let Some((dir, original)) = self.file(file) {
                    let to = &self.dirs[at.index(count)].0;
                    let flags = AtFlags::empty();
                    let _ = rustix::fs::linkat(dir, &*original.0, to, &*name.0, flags);
                }
            }
            Op::Xattr(file, name, value) => {
                if let Some((dir, original)) = self.file(file) {
                    // As an ordinary user it takes a mode that allows it.
                    let flags = OFlags::RDONLY | OFlags::NOFOLLOW;
                    if let Ok(file) = rustix::fs::openat(dir, &*original.0, flags, Mode::empty()) {
                        let name = format!("user.{name}");
                        let _ = rustix::fs::fsetxattr(&file, name, value, XattrFlags::empty());
                    }
                }
            }
        }
    }

    fn file(&self, which: &Index) -> Option<(&OwnedFd, &Name)> {
        if self.files.is_empty() {
            return None;
        }
        let (dir, name) = which.get(&self.files);
        Some((&self.dirs[*dir].0, name))
    }

    fn make_dir(&mut self, at: usize, name: &Name, meta: Option<Meta>) -> Option<usize> {
        let dir = &self.dirs[at].0;
        rustix::fs::mkdirat(dir, &*name.0, Mode::RWXU).ok()?;
        let made = rustix::fs::openat(dir, &*name.0, folder_flags(), Mode::empty()).unwrap();
        self.dirs.push((made, meta));
        Some(self.dirs.len() - 1)
    }

    fn make_file(&mut self, at: usize, name: &Name, content: &Content, meta: &Meta) {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let made = rustix::fs::openat(&self.dirs[at].0, &*name.0, flags, Mode::RWXU);
        let Ok(file) = made.map(File::from) else {
            return;
        };
        match content {
            Content::Bytes(bytes) => file.write_all_at(bytes, 0).unwrap(),
            Content::Holes(blocks, size, rest) => {
                let size = u64::from(*size) * 4096 + u64::from(*rest);
                file.set_len(size).unwrap();
                for (block, byte) in blocks {
                    let at = u64::from(*block) * 4096;
                    file.write_all_at(&[*byte; 4096], at).unwrap();
                }
            }
        }
        let needed = if is_root() { 0 } else { 0o400 };
        rustix::fs::fchmod(&file, mode(meta.mode | needed)).unwrap();
        rustix::fs::futimens(&file, &times(meta)).unwrap();
        self.files.push((at, name.clone()));
    }
}

fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits as _)
}

fn times(meta: &Meta) -> Timestamps {
    let time = Timespec {
        tv_sec: meta.mtime.0,
        tv_nsec: meta.mtime.1.into(),
    };
    Timestamps {
        last_access: time,
        last_modification: time,
    }
}
