//! Packing into a `.bcp`.
//!
//! Every file is read twice: once for the manifest, which tells the hash of all
//! before the first block, and once to be compressed. A file that changes
//! meanwhile is an error, as everywhere.

use std::io::Write;
use std::sync::Arc;

use crate::entry::MemberKind;
use crate::error::{Refusal, Result};
use crate::extents::places;
use crate::format::bcp::{
    self, Content, Entry, Filter, Layout, MAX_BLOCK, Manifest, Part, Piece, Restorer, Row,
    Transformer,
};
use crate::plan::links::Resolver;
use crate::progress::Progress;

use super::Profile;
use super::blocks::{Chosen, Cut, Order, choose};
use super::buffer::Buffer;
use super::crew::{Packer, Place, pack_all};
use super::encoder::{BlockEncoder, Method};
use super::output::Job;
use super::reader::Reader;
use super::sink::{Ledger, Product, Sink};
use super::survey::{Depth, survey};

/// What a profile means here.
struct Tuning {
    method: Method,
    block: u32,
    /// Contents of so many bytes begin a block.
    apart: Option<u64>,
    order: Order,
    depth: Depth,
}

/// Where files share storage with an archive, smaller ones are written faster.
const SHARED: u64 = 64 << 10;

/// Blocks of an executable's bundle by default, bytes: what a worker decodes and writes stays in
/// its caches, and few pages are new. Unpacking a scientific bundle of 266 MB takes 0.28 s of
/// CPU with blocks of 1 MiB, 0.30 with 2, 0.41 with 4 and 0.46 with 8, in 83.5, 81.7, 79.8 and
/// 78.7 MB; with filters and blocks of 16 MiB it took a third longer still.
const STARTED: u32 = 2 << 20;

/// Level 12 is the last that zstd searches lazily: 13 takes three times as long
/// for 0.1 %. Blocks of 8 MiB instead of 16 are 1.2 % larger for a scientific
/// bundle, 5 % for a node_modules.
fn tuning(job: &Job<'_>) -> Tuning {
    let level = job.level;
    let (usual, block, order, depth) = match level.profile {
        Profile::Default if job.launch.is_some() => {
            (Method::Zstd(12), STARTED, Order::Path, Depth::Hashes)
        }
        Profile::Stored => (Method::Stored, MAX_BLOCK, Order::Path, Depth::Hashes),
        Profile::Fast => (Method::Zstd(3), MAX_BLOCK / 2, Order::Path, Depth::Hashes),
        Profile::Default => (Method::Zstd(12), MAX_BLOCK, Order::Similar, Depth::Likeness),
        Profile::Small => (Method::Trial, MAX_BLOCK, Order::Similar, Depth::Parts),
    };
    let method = level.number.map_or(usual, Method::Zstd);
    Tuning {
        method,
        block,
        apart: (method == Method::Stored).then_some(SHARED),
        order,
        depth,
    }
}

impl Tuning {
    fn cut(&self) -> Cut {
        Cut {
            size: self.block,
            apart: self.apart,
        }
    }
}

/// A block, compressed.
struct Packed {
    bytes: Vec<u8>,
    row: Row,
}

impl Product for Packed {
    fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl Ledger<Packed> for bcp::Writer {
    fn note(&mut self, product: &mut Packed, _: u64) -> Result<(), Refusal> {
        bcp::Writer::note(self, product.row);
        Ok(())
    }
}

/// Packs into `writer`. Returns it, with the bytes written and the root hash.
pub(super) fn pack<W: Write + Send>(
    job: &Job<'_>,
    writer: W,
    progress: &dyn Progress,
) -> Result<(W, u64, [u8; 32])> {
    let refused = |refusal: Refusal| refusal.at("pack", job.shown);
    let tuning = tuning(job);
    let none: Arc<[u16]> = Arc::default();
    BlockEncoder::new(tuning.method, tuning.block, none).map_err(refused)?;
    let found = survey(job, tuning.depth, progress)?;
    let chosen = choose(job, found, tuning.order, tuning.cut());
    let (items, manifest) = manifest(job, chosen)?;
    let mut edge = Vec::new();
    let mut ledger = bcp::Writer::begin(&manifest, &mut edge).map_err(refused)?;
    if let Some(launch) = job.launch {
        ledger.note(launch.append(&mut edge).map_err(refused)?);
    }
    let sink = Sink::new(writer, ledger, 2 * job.threads + 2);
    sink.write(&edge).map_err(|error| job.write_error(error))?;
    let paddings: Arc<[u16]> = bcp::paddings(edge.len() as u64, &manifest.blocks).into();
    let layout = Layout::new(manifest);
    // Holes, and what is there several times, are done by now.
    let data: u64 = layout.manifest.contents.iter().map(Content::data).sum();
    let all = job.total.bytes.unwrap_or(data);
    job.counters
        .add(job.items.len() as u64, all.saturating_sub(data));
    let start = || {
        Ok(BlockPacker {
            job,
            layout: &layout,
            items: &items,
            reader: job.reader(),
            encoder: BlockEncoder::new(tuning.method, tuning.block, Arc::clone(&paddings))
                .map_err(refused)?,
            raw: Buffer::with_capacity(tuning.block as usize),
        })
    };
    let blocks: Vec<usize> = (0..layout.manifest.blocks.len()).collect();
    pack_all(job, &blocks, job.threads, &sink, start, progress)?;
    let (mut writer, ledger, written) = sink.into_parts();
    let mut edge = Vec::new();
    let root_hash = ledger.end(&mut edge);
    writer
        .write_all(&edge)
        .map_err(|error| job.write_error(error))?;
    Ok((writer, written + edge.len() as u64, root_hash))
}

/// What the archive says of all members; and the item of each content.
fn manifest(job: &Job<'_>, chosen: Chosen) -> Result<(Vec<usize>, Manifest)> {
    let mut reader = job.reader();
    let resolvers = job.sources.iter().map(|one| Resolver::new(one.plan()));
    let mut resolvers: Vec<Resolver<'_>> = resolvers.collect();
    let mut entries = Vec::with_capacity(job.items.len());
    for (item, file) in job.items.iter().zip(chosen.of_item) {
        let (mut member, content) = match file {
            Some((member, content)) => (member, Some(content)),
            None => (reader.member(item)?, None),
        };
        if item.kind == MemberKind::Symlink {
            member.leads_to = resolvers[item.source as usize].leads_to(item.node);
        }
        entries.push(Entry { member, content });
    }
    let manifest = Manifest {
        entries,
        contents: chosen.contents,
        blocks: chosen.blocks,
    };
    Ok((chosen.items, manifest))
}

/// One worker.
struct BlockPacker<'p> {
    job: &'p Job<'p>,
    layout: &'p Layout,
    /// The item of each content.
    items: &'p [usize],
    reader: Reader<'p>,
    encoder: BlockEncoder,
    raw: Buffer,
}

/// What contents go through that have parts: dropped before a block is compressed,
/// which takes as much memory.
#[derive(Default)]
struct Workshop {
    data: Buffer,
    transformer: Transformer,
    restorer: Restorer,
}

impl Packer<usize, Packed> for BlockPacker<'_> {
    fn pack(&mut self, block: &usize, _: Place, spare: Vec<u8>) -> Result<Packed> {
        self.raw.clear();
        let layout = self.layout;
        let mut workshop = Workshop::default();
        for piece in layout.pieces(*block) {
            let content = &layout.manifest.contents[piece.content];
            self.append(&piece, content, &mut workshop)?;
        }
        drop(workshop);
        let mut bytes = spare;
        let row = self.encoder.append(*block, &self.raw, &mut bytes);
        let row = row.map_err(|refusal| refusal.at("pack", self.job.shown))?;
        Ok(Packed { bytes, row })
    }
}

impl BlockPacker<'_> {
    /// Appends what is stored of a piece.
    fn append(&mut self, piece: &Piece, content: &Content, workshop: &mut Workshop) -> Result<()> {
        match &content.filter {
            Filter::Parts(parts) => self.transform(piece, content, parts, workshop),
            Filter::None | Filter::X86(_) | Filter::Arm64(_) => {
                let mut raw = std::mem::take(&mut self.raw);
                let read = self.read(piece, content, &mut raw);
                self.raw = raw;
                read?;
                let bytes = self.raw.filled_mut(piece.range.start);
                bcp::filter(&content.filter, piece, bytes);
                Ok(())
            }
        }
    }

    /// Appends the data of a piece to `out`.
    fn read(&mut self, piece: &Piece, content: &Content, out: &mut Buffer) -> Result<()> {
        let item = *self.reader.item(self.items[piece.content]);
        let (opened, _) = self.reader.open(&item)?;
        for range in places(content.extents.as_ref(), piece.data.clone()) {
            self.reader.read(&item, &opened, range, out)?;
        }
        self.reader.check(&item, &opened)?;
        let count = piece.data.end - piece.data.start;
        self.job.counters.add(0, count);
        Ok(())
    }

    /// Appends a piece with its parts in their forms. It is made again, and compared, as
    /// whoever extracts the archive will make it.
    fn transform(
        &mut self,
        piece: &Piece,
        content: &Content,
        parts: &[Part],
        workshop: &mut Workshop,
    ) -> Result<()> {
        let Workshop {
            data,
            transformer,
            restorer,
        } = workshop;
        data.clear();
        self.read(piece, content, data)?;
        let raw = &mut self.raw;
        let transformed = raw.append_by(|stored| transformer.transform(parts, piece, data, stored));
        let is_same = transformed.is_some_and(|()| {
            let stored = raw.filled_mut(piece.range.start);
            let restored = restorer.restore(content, piece, stored);
            restored.is_ok_and(|restored| *restored == **data)
        });
        match is_same {
            true => Ok(()),
            false => Err(self
                .reader
                .changed(self.reader.item(self.items[piece.content]))),
        }
    }
}
