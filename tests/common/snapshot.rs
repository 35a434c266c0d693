//! All that can be seen of a tree, read through handles without following a
//! link: the measure of whether a copy is one.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;
use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, SeekFrom, Stat};
use rustix::io::Errno;

/// One entry, and what makes it equal to another.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: (i64, i64),
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Dir,
    File {
        size: u64,
        /// Blocks that aren't all zeros, by offset.
        blocks: BTreeMap<u64, Vec<u8>>,
        /// The first path of this file, where it has several.
        first_name: Option<Vec<u8>>,
    },
    Link(Vec<u8>),
    Special(u32),
}

/// A tree by path; the root has the empty path.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Snapshot(pub(crate) BTreeMap<Vec<u8>, Node>);

impl Snapshot {
    /// Reads everything at and below `root`, which is no link.
    pub(crate) fn of(root: &Path) -> Self {
        let dir = rustix::fs::open(root, super::folder_flags(), Mode::empty()).unwrap();
        let mut reader = Reader::default();
        let stat = rustix::fs::fstat(&dir).unwrap();
        let node = node(&stat, Kind::Dir, xattrs(&dir));
        reader.nodes.insert(Vec::new(), node);
        reader.read(&dir, b"");
        reader.into_snapshot()
    }

    /// The part at and below `prefix`, with paths from there.
    pub(crate) fn below(&self, prefix: &[u8]) -> Self {
        let inner = |path: &[u8]| match path.strip_prefix(prefix)? {
            [] => Some(Vec::new()),
            [b'/', rest @ ..] => Some(rest.to_vec()),
            _ => None,
        };
        let mut groups: HashMap<Vec<u8>, Vec<Vec<u8>>> = HashMap::new();
        let mut nodes = BTreeMap::new();
        for (path, node) in &self.0 {
            let Some(path) = inner(path) else {
                continue;
            };
            let mut node = node.clone();
            if let Some(first) = node.first_name().and_then(Option::take) {
                groups.entry(first).or_default().push(path.clone());
            }
            nodes.insert(path, node);
        }
        name_groups(&mut nodes, groups.into_values());
        Self(nodes)
    }

    /// Forgets the times of these folders, which making anything in them changes.
    pub(crate) fn without_times_of(mut self, paths: &[&[u8]]) -> Self {
        for path in paths {
            if let Some(node) = self.0.get_mut(*path) {
                node.mtime = (0, 0);
            }
        }
        self
    }

    pub(crate) fn node(&self, path: &[u8]) -> &Node {
        let shown = String::from_utf8_lossy(path);
        self.0.get(path).unwrap_or_else(|| panic!("no {shown}"))
    }

    /// Panics with what differs, in words.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, context: &str) {
        let mut paths: Vec<_> = self.0.keys().chain(other.0.keys()).collect();
        paths.sort();
        paths.dedup();
        let mut differences = String::new();
        for path in paths {
            let (left, right) = (self.0.get(path), other.0.get(path));
            if left != right {
                let shown = String::from_utf8_lossy(path);
                differences.push_str(&format!("`{shown}`: {left:?}\n  but {right:?}\n"));
            }
        }
        assert!(differences.is_empty(), "{context}:\n{differences}");
    }
}

#[derive(Default)]
struct Reader {
    nodes: BTreeMap<Vec<u8>, Node>,
    files: HashMap<(u64, u64), Vec<Vec<u8>>>,
}

impl Reader {
    fn read(&mut self, dir: &OwnedFd, path: &[u8]) {
        for entry in Dir::read_from(dir).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let mut path = path.to_vec();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(name.to_bytes());
            self.read_one(dir, name, path);
        }
    }

    fn read_one(&mut self, dir: &OwnedFd, name: &CStr, path: Vec<u8>) {
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let open = |flags| rustix::fs::openat(dir, name, flags, Mode::empty()).unwrap();
        let none = BTreeMap::new;
        let made = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let inner = open(super::folder_flags());
                self.read(&inner, &path);
                node(&stat, Kind::Dir, xattrs(&inner))
            }
            FileType::RegularFile => {
                let file = open(OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC);
                let kind = Kind::File {
                    size: stat.st_size as u64,
                    blocks: blocks(&file),
                    first_name: None,
                };
                if stat.st_nlink > 1 {
                    let id = (stat.st_dev as u64, stat.st_ino as u64);
                    self.files.entry(id).or_default().push(path.clone());
                }
                node(&stat, kind, xattrs(&file))
            }
            FileType::Symlink => {
                let target = rustix::fs::readlinkat(dir, name, Vec::new()).unwrap();
                node(&stat, Kind::Link(target.into_bytes()), none())
            }
            _ => node(&stat, Kind::Special(mode_of(&stat)), none()),
        };
        self.nodes.insert(path, made);
    }

    fn into_snapshot(mut self) -> Snapshot {
        name_groups(&mut self.nodes, self.files.into_values());
        Snapshot(self.nodes)
    }
}

/// Tells every file of several names its group's first one.
fn name_groups(nodes: &mut BTreeMap<Vec<u8>, Node>, groups: impl Iterator<Item = Vec<Vec<u8>>>) {
    for paths in groups.filter(|paths| paths.len() > 1) {
        let first = paths.iter().min();
        for path in &paths {
            if let Some(name) = nodes.get_mut(path).and_then(Node::first_name) {
                *name = first.cloned();
            }
        }
    }
}

impl Node {
    fn first_name(&mut self) -> Option<&mut Option<Vec<u8>>> {
        match &mut self.kind {
            Kind::File { first_name, .. } => Some(first_name),
            Kind::Dir | Kind::Link(_) | Kind::Special(_) => None,
        }
    }
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the field's type differs between platforms"
)]
fn mode_of(stat: &Stat) -> u32 {
    stat.st_mode as u32
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the fields' types differ between platforms"
)]
fn node(stat: &Stat, kind: Kind, xattrs: BTreeMap<Vec<u8>, Vec<u8>>) -> Node {
    Node {
        kind,
        mode: mode_of(stat) & 0o7777,
        owner: (stat.st_uid, stat.st_gid),
        mtime: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        xattrs,
    }
}

/// Those that aren't zero. Holes are passed over: some file systems have files of 8 EiB.
fn blocks(file: &OwnedFd) -> BTreeMap<u64, Vec<u8>> {
    const BLOCK: usize = 4096;
    let mut found = BTreeMap::new();
    let mut buffer = vec![0; 256 * BLOCK];
    let mut at = 0;
    loop {
        at = match rustix::fs::seek(file, SeekFrom::Data(at)) {
            Ok(data) => data - data % BLOCK as u64,
            Err(Errno::NXIO) => return found,
            Err(_) => at,
        };
        let read = rustix::io::pread(file, &mut buffer[..], at).unwrap();
        if read == 0 {
            return found;
        }
        for (number, block) in buffer[..read].chunks(BLOCK).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                found.insert(at + (number * BLOCK) as u64, block.to_vec());
            }
        }
        at += read as u64;
    }
}

/// The user attributes; none where the file system has none.
fn xattrs(fd: &impl AsFd) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut names = vec![0_u8; 64 * 1024];
    let Ok(len) = rustix::fs::flistxattr(fd, &mut names[..]) else {
        return BTreeMap::new();
    };
    let names = names[..len].split(|byte| *byte == 0);
    let value = |name: &[u8]| {
        let mut value = vec![0_u8; 64 * 1024];
        let len = rustix::fs::fgetxattr(fd, name, &mut value[..]).unwrap();
        (name.to_vec(), value[..len].to_vec())
    };
    let is_user = |name: &&[u8]| name.starts_with(b"user.");
    names.filter(is_user).map(value).collect()
}

impl fmt::Debug for Node {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Dir => write!(out, "folder")?,
            Kind::Link(target) => write!(out, "link to {:?}", String::from_utf8_lossy(target))?,
            Kind::Special(mode) => write!(out, "special file {mode:o}")?,
            Kind::File {
                size,
                blocks,
                first_name,
            } => {
                let head: Vec<_> = blocks.values().flatten().take(16).collect();
                let first = first_name.as_deref().map(String::from_utf8_lossy);
                let count = blocks.len();
                write!(out, "file of {size} ({count} blocks, {head:?}) {first:?}")?;
            }
        }
        write!(out, " mode {:o} owner {:?}", self.mode, self.owner)?;
        write!(
            out,
            " time {:?} with {} attributes",
            self.mtime,
            self.xattrs.len()
        )
    }
}
