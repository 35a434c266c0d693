//! The tree that is examined, and what each file begins with.
//!
//! All files are opened once, in parallel, and their first bytes looked at: what kind
//! of program one is, and whether its text could be a link's target. Whoever needs
//! more of a file reads it again. No link is followed on disk.

use std::fs::File;
use std::path::Path;

use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, FileKind, elf};

use crate::error::{Error, Result};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::scan::Special;
use crate::sys::{self, Dir, Stat};
use crate::tree::hashing::Style;
use crate::tree::reader::{Content, Reader};
use crate::tree::{Input, Reading, Side};

/// How much of each file is looked at: the headers of programs, and all of what could
/// be a link's target.
const HEAD: usize = 4096;

/// Files that one job opens, as in a comparison.
const FILES_PER_JOB: usize = 64;

/// What a file is, by its first bytes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum Head {
    /// No file, or an empty one.
    #[default]
    Nothing,
    /// A program or library for Linux.
    Elf(Use),
    /// A program or library for macOS.
    MachO(Use),
    /// A program or library for Windows.
    Pe,
    /// A script: `#!`.
    Script,
    /// All of a file that is one line of text, without its end.
    Line(Box<[u8]>),
    /// Anything else.
    Other,
}

/// What a program's file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Program,
    Library,
    /// Neither: an object file, or debug information.
    Other,
}

/// A tree that is examined.
pub(crate) struct Subject<'s> {
    /// A folder, whose contents are read when somebody asks.
    pub side: Side<'s>,
    /// By node.
    heads: Vec<Head>,
    pub threads: usize,
}

impl<'s> Subject<'s> {
    /// Scans the folder `root`, shown as `shown` in messages, and looks into its files.
    pub(crate) fn read(
        root: Dir,
        shown: &'s Path,
        operation: &'static str,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let reading = Reading {
            operation,
            phase: Phase::Examining,
            special: Special::Keep,
            junctions_as_links: true,
            style: Style::Plain,
            threads,
            progress,
        };
        let side = Side::of(Input::Folder(root), shown, None, &reading)?;
        let mut heads = vec![Head::Nothing; side.plan.len()];
        for (node, head) in look(&side, &reading)? {
            heads[node.index()] = head;
        }
        Ok(Self {
            side,
            heads,
            threads,
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.side.plan
    }

    /// A way to the files, for one thread.
    pub(crate) fn files(&self) -> Files<'_> {
        Files(Reader::new(&self.side, self.threads, Style::Plain))
    }

    pub(crate) fn head(&self, node: NodeId) -> &Head {
        &self.heads[node.index()]
    }

    pub(crate) fn stat(&self, node: NodeId) -> &Stat {
        self.side.stat(node).expect("a subject is a folder")
    }

    /// The permission bits of a node: 0 to 0o7777.
    pub(crate) fn mode(&self, node: NodeId) -> u32 {
        self.stat(node).mode & 0o7777
    }

    /// The nodes of regular files.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = NodeId> + '_ {
        let is_file = |node: &NodeId| self.plan().kind(*node) == NodeKind::File;
        self.plan().nodes().filter(is_file)
    }

    /// The nodes of folders, the root included.
    pub(crate) fn all_dirs(&self) -> impl Iterator<Item = NodeId> + '_ {
        let is_dir = |node: &NodeId| self.plan().kind(*node) == NodeKind::Dir;
        self.plan().nodes().filter(is_dir)
    }

    /// The node at `path` from the folder `from`; no link is followed.
    pub(crate) fn at(&self, from: NodeId, path: &[u8]) -> Option<NodeId> {
        let mut names = path
            .split(|byte| *byte == b'/')
            .filter(|name| !matches!(*name, b"" | b"."));
        names.try_fold(from, |at, name| match name {
            b".." => (at != NodeId::ROOT).then(|| self.plan().parent(at)),
            name => self.plan().child(at, name),
        })
    }
}

/// One thread's way to the files of a [`Subject`].
pub(crate) struct Files<'s>(Reader<'s>);

impl Files<'_> {
    /// Opens the file `node`.
    pub(crate) fn open(&mut self, node: NodeId) -> Result<File> {
        open(&mut self.0, node)
    }

    /// The BLAKE3 of the file `node`.
    pub(crate) fn hash(&mut self, node: NodeId) -> Result<blake3::Hash> {
        let content = self.0.open(node)?;
        let (hash, _) = self.0.hash(node, &content, &|| false)?;
        Ok(hash)
    }

    /// The first `most` bytes of the file `node`.
    pub(crate) fn read(&mut self, node: NodeId, most: u64) -> Result<Vec<u8>> {
        let file = self.open(node)?;
        let size = self.0.side.plan.size(node).min(most);
        let mut bytes = vec![0; usize::try_from(size).unwrap_or(usize::MAX)];
        let mut at = 0;
        while at < bytes.len() {
            let read = sys::read_at(&file, &mut bytes[at..], at as u64);
            match read.map_err(|error| self.error("read", node, error))? {
                0 => break,
                read => at += read,
            }
        }
        bytes.truncate(at);
        Ok(bytes)
    }

    /// An error about `node`, by its full path.
    pub(crate) fn error(
        &self,
        operation: &'static str,
        node: NodeId,
        error: std::io::Error,
    ) -> Error {
        self.0.error(operation, node, error)
    }
}

fn open(reader: &mut Reader<'_>, node: NodeId) -> Result<File> {
    match reader.open(node)? {
        Content::File(file) => Ok(file),
        Content::Known(_) => unreachable!("the contents of a subject weren't read"),
    }
}

/// What each file that isn't empty begins with.
fn look(side: &Side<'_>, reading: &Reading<'_>) -> Result<Vec<(NodeId, Head)>> {
    let plan = &side.plan;
    let has_content = |node: &NodeId| plan.kind(*node) == NodeKind::File && plan.size(*node) > 0;
    let files: Vec<NodeId> = plan.nodes().filter(has_content).collect();
    let counters = Counters::default();
    let total = Total {
        entries: Some(files.len() as u64),
        bytes: None,
    };
    let (threads, style) = (reading.threads, reading.style);
    let work = |queue: &mut Queue<'_, &[NodeId]>| {
        let roots: Vec<_> = side.root().into_iter().collect();
        sys::isolate_thread(&roots);
        let mut reader = Reader::new(side, threads, style);
        let mut heads = Vec::new();
        let mut buffer = [0; HEAD];
        while let Some(nodes) = queue.next() {
            for &node in nodes {
                let file = open(&mut reader, node)?;
                let read = sys::read_at(&file, &mut buffer, 0);
                let read = read.map_err(|error| reader.error("read", node, error))?;
                heads.push((node, head(&buffer[..read], plan.size(node))));
                sys::close_file(file);
            }
            counters.add(nodes.len() as u64, 0);
        }
        Ok(heads)
    };
    let report = || reading.report(&counters, total);
    let chunks = files.chunks(FILES_PER_JOB);
    Ok(pool::run(threads, chunks, work, report)?.concat())
}

/// What a file of `size` bytes is that begins with `bytes`.
fn head(bytes: &[u8], size: u64) -> Head {
    match bytes {
        [0x7f, b'E', b'L', b'F', ..] => Head::Elf(elf_use(bytes)),
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] => Head::MachO(mach_use(be32(bytes, 12))),
        [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Head::MachO(mach_use(le32(bytes, 12))),
        // The number of architectures tells a universal binary from Java's classes.
        [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 1..=20, ..] => Head::MachO(Use::Library),
        [b'M', b'Z', ..] => Head::Pe,
        [b'#', b'!', ..] => Head::Script,
        _ if size < HEAD as u64 && size == bytes.len() as u64 => line(bytes),
        _ => Head::Other,
    }
}

fn line(bytes: &[u8]) -> Head {
    let is_text = |byte: &u8| *byte >= b' ' && *byte != 0x7f;
    match bytes.iter().all(is_text) {
        true => Head::Line(bytes.into()),
        false => Head::Other,
    }
}

/// What an ELF file is that begins with `bytes`.
fn elf_use(bytes: &[u8]) -> Use {
    let used = match FileKind::parse(bytes) {
        Ok(FileKind::Elf32) => elf_use_of::<elf::FileHeader32<Endianness>>(bytes),
        Ok(FileKind::Elf64) => elf_use_of::<elf::FileHeader64<Endianness>>(bytes),
        _ => None,
    };
    used.unwrap_or(Use::Other)
}

/// The same by its type, and by whether it names an interpreter.
fn elf_use_of<H: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<Use> {
    let header = H::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let is_interpreter = |segment: &H::ProgramHeader| segment.p_type(endian) == elf::PT_INTERP;
    let is_interpreted = || {
        let segments = header.program_headers(endian, bytes);
        segments.is_ok_and(|segments| segments.iter().any(is_interpreter))
    };
    Some(match header.e_type(endian) {
        elf::ET_EXEC => Use::Program,
        elf::ET_DYN if is_interpreted() => Use::Program,
        elf::ET_DYN => Use::Library,
        _ => Use::Other,
    })
}

/// What a Mach-O file of this type is: MH_EXECUTE, MH_DYLIB and MH_BUNDLE.
fn mach_use(file_type: Option<u32>) -> Use {
    match file_type {
        Some(2) => Use::Program,
        Some(6 | 8) => Use::Library,
        _ => Use::Other,
    }
}

fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
