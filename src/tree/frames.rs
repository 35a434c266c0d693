//! The contents of tars: our own `.tar.zst` in runs of frames on all threads,
//! any other as one stream.

use std::fs::File;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

use crate::archive::Section;
use crate::archive::index::{Index, Run};
use crate::archive::tar_stream::{Piece, Step, TarStream};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::error::{Refusal, Result};
use crate::format::tar;
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::progress::Total;

use super::Reading;
use super::hashing::Hashing;
use super::packed::{HardLinks, Packed, TAR, Task};

type Hashes = Vec<(NodeId, Option<blake3::Hash>)>;

/// Reads an archive by its index, and checks the frames against it.
pub(super) fn read(
    file: &File,
    index: &Index,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let mut packed = Packed::new(HardLinks::Kept);
    let mut slots = Vec::with_capacity(index.members.len());
    for member in &index.members {
        slots.push(packed.accept(member, TAR).map_err(task.refused)?);
    }
    let total = Total {
        entries: Some(slots.iter().flatten().count() as u64),
        bytes: Some(index.members.iter().map(tar::stored_size).sum()),
    };
    let work = |queue: &mut Queue<'_, Run>| {
        let mut hashes = Vec::new();
        while let Some(run) = queue.next() {
            let stops = || queue.is_stopped();
            let read = read_run(file, index, &slots, &run, task, &stops);
            hashes.extend(read.map_err(task.refused)?);
        }
        Ok(hashes)
    };
    let report = || reading.report(&task.counters, total);
    for hashes in pool::run(task.threads, index.runs().into_iter().rev(), work, report)? {
        packed.set_hashes(hashes);
    }
    Ok(packed)
}

fn read_run(
    file: &File,
    index: &Index,
    slots: &[Option<NodeId>],
    run: &Run,
    task: &Task<'_>,
    stops: &dyn Fn() -> bool,
) -> Result<Hashes, Refusal> {
    let differs = || Refusal::malformed("its index names other members than it holds");
    let section = Section::new(file, run.range.clone());
    let reader = decoder(Codec::Zstd, section, DecodeOptions { threads: 1 })?;
    let mut stream = TarStream::of_run(reader);
    let mut members = run.members.clone();
    let mut current = None;
    let mut hashes = Vec::new();
    while !stops() {
        let step = stream.step(&mut |piece| {
            if let Piece::Member(member) = &piece {
                let next = members.next().ok_or_else(differs)?;
                if index.members[next] != *member {
                    return Err(differs());
                }
                current = slots[next].map(|node| Hashing::new(node, member.size, task));
            }
            hash_piece(&piece, &mut current, &mut hashes, task, stops);
            Ok(())
        })?;
        if step == Step::Ended {
            return match members.is_empty() && stream.is_all_of(run) {
                true => Ok(hashes),
                false => Err(differs()),
            };
        }
    }
    Ok(hashes)
}

/// Hashes what `piece` has of the current file.
fn hash_piece(
    piece: &Piece<'_>,
    current: &mut Option<Hashing>,
    hashes: &mut Hashes,
    task: &Task<'_>,
    stops: &dyn Fn() -> bool,
) {
    match piece {
        Piece::Member(_) => {}
        Piece::Data { offset, bytes } => {
            task.counters.add(0, bytes.len() as u64);
            if let Some(hashing) = current {
                hashing.take(*offset, bytes, stops);
            }
        }
        Piece::End => {
            if let Some(hashing) = current.take() {
                task.counters.add(1, 0);
                hashes.push(hashing.finish(stops));
            }
        }
    }
}

/// Reads the tar that `reader` decodes, member by member.
pub(super) fn read_stream(
    reader: impl Read + Send,
    options: tar::Options,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let state = Mutex::new((
        TarStream::new(reader, options),
        Packed::new(HardLinks::Kept),
    ));
    let work = |queue: &mut Queue<'_, ()>| {
        let mut hashes = Vec::new();
        while queue.next().is_some() {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            let (stream, packed) = &mut *state;
            let stops = || queue.is_stopped();
            let mut current = None;
            while !stops() {
                let step = stream.step(&mut |piece| {
                    if let Piece::Member(member) = &piece {
                        let node = packed.accept(member, TAR)?;
                        current = node.map(|node| Hashing::new(node, member.size, task));
                    }
                    hash_piece(&piece, &mut current, &mut hashes, task, &stops);
                    Ok(())
                });
                if step.map_err(task.refused)? == Step::Ended {
                    break;
                }
            }
        }
        Ok(hashes)
    };
    let report = || reading.report(&task.counters, Total::default());
    let hashes = pool::run(1, [()], work, report)?;
    let (_, mut packed) = state.into_inner().unwrap_or_else(PoisonError::into_inner);
    hashes
        .into_iter()
        .for_each(|hashes| packed.set_hashes(hashes));
    Ok(packed)
}
