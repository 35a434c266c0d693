//! The archive that is converted, of each kind: its members into the tree, and
//! how their contents are read.

use std::fs::File;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::archive::directory::Directory;
use crate::archive::index::{Claim, read_index};
use crate::archive::limits::Meter;
use crate::archive::spool::Spool;
use crate::archive::store::{Chosen, Manner, Store, of_items};
use crate::archive::{Input, Kind, Opened, Sequential, from_pipe};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::entry::Member;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::bcp;
use crate::format::tar::{self, Event, Parser};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Total};

use super::Options;
use super::tree::Tree;

/// Bytes that are decoded at a time.
const CHUNK: usize = 256 << 10;

/// Bytes that a saved archive may have besides twice what it may hold.
const BESIDES: u64 = 64 << 20;

/// Contents that are not opened yet.
pub(super) enum Contents {
    Store(Box<Store>),
    Items {
        file: File,
        directory: Directory,
        chosen: Vec<Chosen>,
    },
}

/// What all readers need.
pub(super) struct Task<'t> {
    pub options: &'t Options,
    pub manner: Manner<'t>,
    /// Makes a file for what can be read only once.
    pub spool: &'t dyn Fn() -> Result<Spool>,
}

impl Contents {
    /// Opens them.
    pub(super) fn open(self, task: &Task<'_>) -> Result<Store> {
        match self {
            Contents::Store(store) => Ok(*store),
            Contents::Items {
                file,
                directory,
                chosen,
            } => of_items(file, directory, chosen, task.spool, &task.manner),
        }
    }
}

/// Takes all members of `opened` into `tree`.
pub(super) fn read(opened: Opened<'_>, tree: &mut Tree<'_>, task: &Task<'_>) -> Result<Contents> {
    let read = opened.read;
    match (opened.kind, opened.input) {
        (Kind::Zip, Input::File(file, length)) => {
            let directory = Directory::of_zip(&file, length);
            let read = directory.and_then(|directory| read_items(file, length, directory, tree));
            read.map_err(task.manner.refused)
        }
        (Kind::PyInstaller, Input::File(file, length)) => {
            let directory = Directory::of_package(&file, length);
            let read = directory.and_then(|directory| read_items(file, length, directory, tree));
            read.map_err(task.manner.refused)
        }
        (Kind::Bcp, Input::File(file, length)) => {
            read_bcp(file, length, tree).map_err(task.manner.refused)
        }
        (Kind::Zip | Kind::Bcp | Kind::PyInstaller, Input::Stream(_)) => {
            Err((task.manner.refused)(from_pipe()))
        }
        (Kind::Tar(Codec::Zstd), Input::File(file, length)) => {
            let mut meter = Meter::new(task.options.limits);
            let mut allows = |claim: Claim<'_>| match claim {
                Claim::Raw(raw) => meter.receive(raw, length),
                Claim::Member(member) => meter.count(member),
            };
            let index = read_index(&file, length, tar::Options::default(), &mut allows)
                .map_err(task.manner.refused)?;
            let Some(index) = index else {
                let input = Sequential::new(&file);
                return read_stream(Codec::Zstd, input, &read, tree, task);
            };
            let accept = |(member, start): (&Member, &u64)| accept(tree, member, *start);
            let mut members = index.members.iter().zip(&index.contents);
            let accepted = members.try_for_each(accept);
            accepted
                .and_then(|()| tree.meter.check_announced(length))
                .map_err(task.manner.refused)?;
            Ok(Contents::Store(Box::new(Store::of_frames(file, index))))
        }
        (Kind::Tar(Codec::Store), Input::File(file, _)) => {
            read_tar(Sequential::new(&file), Keep::InPlace, &read, tree, task)?;
            Ok(Contents::Store(Box::new(Store::InPlace(file))))
        }
        (Kind::Tar(codec), Input::File(file, _)) => {
            read_stream(codec, Sequential::new(&file), &read, tree, task)
        }
        (Kind::Tar(codec), Input::Stream(reader)) => read_stream(codec, reader, &read, tree, task),
    }
}

fn accept(tree: &mut Tree<'_>, member: &Member, start: u64) -> Result<(), Refusal> {
    if let Some(node) = tree.accept(member)? {
        tree.set_start(node, start);
    }
    Ok(())
}

fn read_items(
    file: File,
    length: u64,
    directory: Directory,
    tree: &mut Tree<'_>,
) -> Result<Contents, Refusal> {
    let ranges = directory.check_all(&file)?;
    let mut chosen = Vec::new();
    let mut start = 0_u64;
    for (number, (item, data)) in directory.items().zip(ranges).enumerate() {
        let member = directory.member(&file, item)?;
        if let Some(node) = tree.accept(&member)? {
            tree.set_start(node, start);
            start = start.saturating_add(item.size());
            chosen.push((number, data));
        }
    }
    tree.meter.check_announced(length)?;
    Ok(Contents::Items {
        file,
        directory,
        chosen,
    })
}

fn read_bcp(file: File, length: u64, tree: &mut Tree<'_>) -> Result<Contents, Refusal> {
    let index = bcp::read_index(&file, length, &mut |claim| {
        if let bcp::Claim::Entries(entries) = claim {
            tree.meter.check_entries(entries)?;
        }
        Ok(bcp::Verdict::Keep)
    })?;
    let starts = index.layout.content_starts();
    for entry in &index.layout.manifest.entries {
        let Some(node) = tree.accept(&entry.member)? else {
            continue;
        };
        if let Some(content) = entry.content {
            tree.set_start(node, starts[content as usize]);
        }
    }
    tree.meter.check_announced(length)?;
    Ok(Contents::Store(Box::new(Store::of_blocks(file, index))))
}

/// Reads a tar that can't be read from the middle.
fn read_stream(
    codec: Codec,
    input: impl Read + Send,
    read: &AtomicU64,
    tree: &mut Tree<'_>,
    task: &Task<'_>,
) -> Result<Contents> {
    let options = DecodeOptions {
        threads: u32::try_from(task.manner.threads).unwrap_or(u32::MAX),
    };
    let reader = decoder(codec, input, options).map_err(task.manner.refused)?;
    if task.options.dry_run {
        read_tar(reader, Keep::Nothing, read, tree, task)?;
        return Ok(Contents::Store(Box::new(Store::Nothing)));
    }
    let mut spool = (task.spool)()?;
    read_tar(reader, Keep::Spool(&mut spool), read, tree, task)?;
    Ok(Contents::Store(Box::new(Store::Kept(spool))))
}

/// What becomes of contents that come by.
enum Keep<'k> {
    Nothing,
    /// The tar itself can be read again.
    InPlace,
    Spool(&'k mut Spool),
}

/// A tar as far as it was read.
struct Reading<'r, 'o> {
    tree: &'r mut Tree<'o>,
    keep: Keep<'r>,
    /// The file whose content comes.
    node: Option<NodeId>,
    /// Nothing of its content came yet.
    is_first: bool,
    /// Names the archive in an error.
    refused: &'r (dyn Fn(Refusal) -> Error + Sync),
}

impl Reading<'_, '_> {
    /// Reads the tar that `reader` brings, to its end; `read` counts what that
    /// takes of the archive.
    fn run(
        &mut self,
        mut reader: impl Read,
        read: &AtomicU64,
        queue: &Queue<'_, ()>,
    ) -> Result<()> {
        let mut parser = Parser::new(tar::Options::default());
        let mut buffer = vec![0; CHUNK];
        let mut base = 0;
        while !queue.is_stopped() {
            let filled = match reader.read(&mut buffer) {
                Ok(0) => return parser.finish().map_err(self.refused),
                Ok(filled) => filled,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err((self.refused)(Refusal::io(error))),
            };
            let read = read.load(Ordering::Relaxed);
            let received = self.tree.meter.receive(filled as u64, read);
            received.map_err(self.refused)?;
            self.feed(&mut parser, &buffer[..filled], base)?;
            base += filled as u64;
        }
        Ok(())
    }

    /// Takes what a chunk has of members and contents; it begins `base` bytes
    /// from the tar's start.
    fn feed(&mut self, parser: &mut Parser, chunk: &[u8], base: u64) -> Result<()> {
        let refused = self.refused;
        let mut failed = None;
        let fed = parser.feed(chunk, &mut |event| match event {
            Event::Member(member) => {
                self.node = self.tree.accept(&member)?;
                self.is_first = true;
                Ok(())
            }
            Event::Data { bytes, .. } => {
                let at = base + bytes.start as u64;
                self.take(at, &chunk[bytes]).map_err(|error| {
                    failed = Some(error);
                    Refusal::malformed("it could not be kept")
                })
            }
            Event::Held { .. } | Event::MemberEnd => Ok(()),
        });
        match failed {
            Some(error) => Err(error),
            None => fed.map_err(refused),
        }
    }

    /// Takes content, which stands at `at` in the tar.
    fn take(&mut self, at: u64, bytes: &[u8]) -> Result<()> {
        let Some(node) = self.node else {
            return Ok(());
        };
        let start = match &self.keep {
            Keep::Nothing | Keep::InPlace => at,
            Keep::Spool(spool) => spool.length(),
        };
        if std::mem::take(&mut self.is_first) {
            self.tree.set_start(node, start);
        }
        match &mut self.keep {
            Keep::Nothing | Keep::InPlace => Ok(()),
            Keep::Spool(spool) => spool.append(bytes),
        }
    }
}

/// Reads the tar that `reader` brings, to its end.
fn read_tar(
    reader: impl Read + Send,
    keep: Keep<'_>,
    read: &AtomicU64,
    tree: &mut Tree<'_>,
    task: &Task<'_>,
) -> Result<()> {
    let reading = Reading {
        tree,
        keep,
        node: None,
        is_first: false,
        refused: task.manner.refused,
    };
    let state = Mutex::new((reader, reading));
    let work = |queue: &mut Queue<'_, ()>| {
        while queue.next().is_some() {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (reader, reading) = &mut *state;
            reading.run(reader, read, queue)?;
        }
        Ok(())
    };
    let status = Counters::default().status(Phase::Scanning, Total::default());
    pool::run(1, [()], work, || task.manner.progress.report(&status))?;
    Ok(())
}

/// Saves a zip or `.bcp` that comes through a pipe: neither is whole before its
/// end. Returns it as a file, and what has to live as long as that.
pub(super) fn save<'i>(opened: Opened<'i>, task: &Task<'_>) -> Result<(Opened<'i>, Option<Spool>)> {
    let Opened {
        kind,
        input,
        shown,
        read,
    } = opened;
    let is_late = matches!(kind, Kind::Zip | Kind::Bcp);
    let reader = match input {
        Input::Stream(reader) if is_late && !task.options.dry_run => reader,
        input => {
            let opened = Opened {
                kind,
                input,
                shown,
                read,
            };
            return Ok((opened, None));
        }
    };
    let spool = save_all(reader, (task.spool)()?, task)?;
    let length = spool.length();
    let file = spool.file().try_clone();
    let file = file.map_err(|error| (task.manner.refused)(Refusal::io(error)))?;
    let opened = Opened {
        kind,
        input: Input::File(file, length),
        shown,
        read: Arc::new(AtomicU64::new(length)),
    };
    Ok((opened, Some(spool)))
}

fn save_all(reader: impl Read + Send, spool: Spool, task: &Task<'_>) -> Result<Spool> {
    let refused = task.manner.refused;
    let limits = task.options.limits;
    let most = limits
        .bytes
        .map(|bytes| bytes.saturating_mul(2).saturating_add(BESIDES));
    let state = Mutex::new((reader, spool));
    let work = |queue: &mut Queue<'_, ()>| {
        let mut buffer = vec![0; CHUNK];
        while queue.next().is_some() {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (reader, spool) = &mut *state;
            while !queue.is_stopped() {
                match reader.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => spool.append(&buffer[..count])?,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(refused(Refusal::io(error))),
                }
                if most.is_some_and(|most| spool.length() > most) {
                    let cause = "it has more bytes than an archive within the limit has";
                    let refusal = Refusal::new(ErrorKind::LimitExceeded, cause);
                    return Err(refused(
                        refusal.with_hint("raise --max-size if you trust it"),
                    ));
                }
            }
        }
        Ok(())
    };
    let status = Counters::default().status(Phase::Scanning, Total::default());
    pool::run(1, [()], work, || task.manner.progress.report(&status))?;
    let (_, spool) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(spool)
}
