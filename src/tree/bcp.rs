//! The contents of a `.bcp`: every block is decoded and every content compared
//! with its hash, whether anybody compares it with a file or not.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::codec::Decompressor;
use crate::error::{Refusal, Result};
use crate::extents::placed;
use crate::format::bcp::{
    Content, Layout, Piece, Restorer, StreamReader, decode_block, keep_all, read_index,
};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::Total;
use crate::text::escape_bytes;

use super::Reading;
use super::hashing::{Hasher, Style};
use super::packed::{HardLinks, Packed, TAR, Task};

/// Reads an archive in a file, blocks on all threads.
pub(super) fn read(
    file: &File,
    length: u64,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let index = read_index(file, length, &mut keep_all).map_err(task.refused)?;
    index.check_others(file).map_err(task.refused)?;
    let layout = &index.layout;
    let (mut packed, nodes) = accept(layout, task)?;
    packed.root_hash = Some(index.root_hash);
    let work = |queue: &mut Queue<'_, Job>| {
        let mut checker = Checker::new(layout, task);
        let mut payload = Vec::new();
        while let Some(job) = queue.next() {
            let stops = || queue.is_stopped();
            match job {
                Job::Empty => checker.check_empty(&stops).map_err(task.refused)?,
                Job::Blocks(blocks) => {
                    for number in blocks.take_while(|_| !stops()) {
                        let raw = layout.manifest.blocks[number];
                        let read = index.blocks[number].read_block(file, &mut payload, raw);
                        read.map_err(task.refused)?;
                        let checked = checker.check(number, &payload, &stops);
                        checked.map_err(task.refused)?;
                    }
                }
            }
        }
        Ok(checker.others)
    };
    let total = total(layout);
    let report = || reading.report(&task.counters, total);
    let jobs = runs(layout).into_iter().rev().map(Job::Blocks);
    let others = pool::run(task.threads, jobs.chain([Job::Empty]), work, report)?;
    note(
        &mut packed,
        layout,
        &nodes,
        task.style,
        others.into_iter().flatten().collect(),
    );
    Ok(packed)
}

enum Job {
    Blocks(Range<usize>),
    /// All contents that no block has anything of.
    Empty,
}

/// Reads an archive that comes as a stream, front to end.
pub(super) fn read_stream(
    reader: impl Read + Send,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let (reader, manifest) = StreamReader::new(reader, &mut keep_all).map_err(task.refused)?;
    let layout = Layout::new(manifest);
    let (mut packed, nodes) = accept(&layout, task)?;
    let reader = Mutex::new(reader);
    let work = |queue: &mut Queue<'_, ()>| {
        let mut checker = Checker::new(&layout, task);
        let stops = || queue.is_stopped();
        let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut hashes, mut root_hash) = (Vec::new(), None);
        while !stops() {
            let next = reader.next_block(&layout.manifest).map_err(task.refused)?;
            let Some(block) = next else {
                checker.check_empty(&stops).map_err(task.refused)?;
                root_hash = Some(reader.finish(&hashes).map_err(task.refused)?);
                break;
            };
            hashes.push(block.hash());
            let checked = checker.check(block.number, &block.payload, &stops);
            checked.map_err(task.refused)?;
        }
        while queue.next().is_some() {}
        Ok((checker.others, root_hash))
    };
    let total = total(&layout);
    let report = || reading.report(&task.counters, total);
    let mut others = Vec::new();
    for (found, root_hash) in pool::run(1, [()], work, report)? {
        others.extend(found);
        packed.root_hash = root_hash;
    }
    note(&mut packed, &layout, &nodes, task.style, others);
    Ok(packed)
}

fn total(layout: &Layout) -> Total {
    Total {
        entries: Some(layout.manifest.contents.len() as u64),
        bytes: Some(
            layout
                .manifest
                .blocks
                .iter()
                .map(|size| u64::from(*size))
                .sum(),
        ),
    }
}

/// Takes all members into the tree. Returns the files of each content.
fn accept(layout: &Layout, task: &Task<'_>) -> Result<(Packed, Vec<Vec<NodeId>>)> {
    let mut packed = Packed::new(HardLinks::Kept);
    let mut nodes = vec![Vec::new(); layout.manifest.contents.len()];
    for entry in &layout.manifest.entries {
        let node = packed.accept(&entry.member, TAR).map_err(task.refused)?;
        if let (Some(node), Some(content)) = (node, entry.content) {
            nodes[content as usize].push(node);
        }
    }
    Ok((packed, nodes))
}

/// Whether the manifest's hash is the one that contents are compared by.
fn is_told(content: &Content, style: Style) -> bool {
    content.extents.is_none() && !style.passes_zeros(content.size)
}

/// Notes what the contents of files are: some are what the manifest says, by now;
/// `others` are the others.
fn note(
    packed: &mut Packed,
    layout: &Layout,
    nodes: &[Vec<NodeId>],
    style: Style,
    others: Vec<Other>,
) {
    let mut hashes: Vec<(NodeId, Option<blake3::Hash>)> = Vec::new();
    for (content, nodes) in layout.manifest.contents.iter().zip(nodes) {
        if is_told(content, style) {
            let hash = blake3::Hash::from_bytes(content.hash);
            hashes.extend(nodes.iter().map(|node| (*node, Some(hash))));
        }
    }
    for (content, hash) in others {
        hashes.extend(nodes[content].iter().map(|node| (*node, Some(hash))));
    }
    packed.set_hashes(hashes);
}

/// The hash of a content that the manifest doesn't tell: with its holes, or large.
type Other = (usize, blake3::Hash);

/// Blocks that no content leads out of.
fn runs(layout: &Layout) -> Vec<Range<usize>> {
    let mut runs = Vec::new();
    let mut start = 0;
    for number in 0..layout.manifest.blocks.len() {
        let last = layout.pieces(number).last();
        let goes_on = last.is_some_and(|piece| layout.blocks_of(piece.content).end > number + 1);
        if !goes_on {
            runs.push(start..number + 1);
            start = number + 1;
        }
    }
    runs
}

/// The refusal of a content that isn't what the manifest says.
fn wrong(layout: &Layout, number: usize) -> Refusal {
    let mut entries = layout.manifest.entries.iter();
    let entry = entries.find(|entry| entry.content == Some(number as u32));
    let path = entry.map_or_else(Default::default, |entry| escape_bytes(&entry.member.path));
    Refusal::malformed(format!("its member `{path}` doesn't have its hash"))
}

struct Checker<'c> {
    layout: &'c Layout,
    task: &'c Task<'c>,
    decompressor: Decompressor,
    restorer: Restorer,
    raw: Vec<u8>,
    /// What came of the content that goes on in the next block.
    stored: blake3::Hasher,
    /// All of it as it is compared, where somebody does by another hash.
    whole: Option<Hasher>,
    others: Vec<Other>,
}

impl<'c> Checker<'c> {
    fn new(layout: &'c Layout, task: &'c Task<'c>) -> Self {
        Self {
            layout,
            task,
            decompressor: Decompressor::new(),
            restorer: Restorer::default(),
            raw: Vec::new(),
            stored: blake3::Hasher::new(),
            whole: None,
            others: Vec::new(),
        }
    }

    fn check(
        &mut self,
        number: usize,
        payload: &[u8],
        stops: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        let layout = self.layout;
        let size = layout.manifest.blocks[number];
        decode_block(&mut self.decompressor, payload, size, &mut self.raw)?;
        for piece in layout.pieces(number) {
            self.take(&piece, stops)?;
        }
        self.task.counters.add(0, u64::from(size));
        Ok(())
    }

    fn take(&mut self, piece: &Piece, stops: &dyn Fn() -> bool) -> Result<(), Refusal> {
        let content = &self.layout.manifest.contents[piece.content];
        let bytes = &mut self.raw[piece.range.clone()];
        let bytes = self.restorer.restore(content, piece, bytes)?;
        self.stored.update(bytes);
        if !is_told(content, self.task.style) && self.task.sizes.has(content.size) {
            let new = || Hasher::new(content.size, self.task.style);
            let whole = self.whole.get_or_insert_with(new);
            for (offset, here) in placed(content.extents.as_ref(), piece.data.start, bytes) {
                whole.take(offset, here, stops);
            }
        }
        match piece.stored.end == content.stored() {
            true => self.finish(piece.content, stops),
            false => Ok(()),
        }
    }

    /// Compares what came of a content that is complete.
    fn finish(&mut self, number: usize, stops: &dyn Fn() -> bool) -> Result<(), Refusal> {
        let content = &self.layout.manifest.contents[number];
        let stored = std::mem::replace(&mut self.stored, blake3::Hasher::new());
        if stored.finalize().as_bytes() != &content.hash {
            return Err(wrong(self.layout, number));
        }
        if let Some(whole) = self.whole.take() {
            self.others.push((number, whole.finish(stops)));
        }
        self.task.counters.add(1, 0);
        Ok(())
    }

    /// Checks contents that no block has anything of.
    fn check_empty(&mut self, stops: &dyn Fn() -> bool) -> Result<(), Refusal> {
        for (number, content) in self.layout.manifest.contents.iter().enumerate() {
            if content.stored() == 0 {
                let is_compared = content.extents.is_some() && self.task.sizes.has(content.size);
                self.whole = is_compared.then(|| Hasher::new(content.size, self.task.style));
                self.finish(number, stops)?;
            }
        }
        Ok(())
    }
}
