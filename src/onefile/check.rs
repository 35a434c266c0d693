//! An unpacked bundle against the hashes of what it was unpacked from.

use std::fs::File;
use std::io::Read;

use crate::archive::Section;
use crate::entry::MemberKind;
use crate::error::{Error, Result};
use crate::extents::places;
use crate::format::bcp::{Content, Entry, Manifest};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::sys::{self, Dir, FileType};

/// Bytes that are read at a time: what the cache of one core holds.
const STEP: usize = 128 << 10;

/// Returns the paths of what is missing in `dir` or isn't what `manifest` says: kinds,
/// targets, the right to run, and contents. What is there besides doesn't matter.
pub(super) fn differences(
    dir: &Dir,
    shown: &std::path::Path,
    manifest: &Manifest,
    progress: &dyn Progress,
) -> Result<Vec<Vec<u8>>> {
    let counters = Counters::default();
    let sizes = manifest.entries.iter().map(|entry| entry.member.size);
    let total = Total {
        entries: Some(manifest.entries.len() as u64),
        bytes: Some(sizes.sum()),
    };
    let work = |queue: &mut Queue<'_, &[Entry]>| {
        let mut found = Vec::new();
        let mut buffer = vec![0; STEP];
        while let Some(entries) = queue.next() {
            for entry in entries {
                if !is_same(dir, entry, manifest, &mut buffer) {
                    found.push(entry.member.path.clone());
                }
                counters.add(1, entry.member.size);
            }
        }
        Ok(found)
    };
    let report = || progress.report(&counters.status(Phase::Verifying, total));
    let threads = pool::default_threads();
    let found = pool::run(threads, manifest.entries.chunks(16), work, report);
    let found = found.map_err(|error: Error| match error.path().as_os_str().is_empty() {
        true => Error::new(error.kind(), "verify", shown, error.cause()),
        false => error,
    })?;
    let mut found: Vec<Vec<u8>> = found.into_iter().flatten().collect();
    found.sort();
    Ok(found)
}

fn is_same(dir: &Dir, entry: &Entry, manifest: &Manifest, buffer: &mut [u8]) -> bool {
    let member = &entry.member;
    let Ok(stat) = sys::stat_below(dir, &member.path) else {
        return false;
    };
    let may_run = |mode: u32| match sys::HAS_PERMISSION_BITS {
        true => mode & 0o500,
        false => 0,
    };
    match (member.kind, stat.file_type) {
        (MemberKind::Dir, FileType::Dir) => true,
        (MemberKind::Symlink, FileType::Symlink) => {
            sys::read_link_below(dir, &member.path).is_ok_and(|target| target == member.target)
        }
        // What it is a name of is compared by itself.
        (MemberKind::Hardlink, FileType::File) => {
            sys::stat_below(dir, &member.target).is_ok_and(|first| first.is_same_object(&stat))
        }
        (MemberKind::File, FileType::File) => {
            let content = entry
                .content
                .map(|number| &manifest.contents[number as usize]);
            let Some(content) = content else {
                return stat.size == 0;
            };
            may_run(stat.mode) == may_run(member.mode)
                && stat.size == content.size
                && sys::open_file_below(dir, &member.path)
                    .is_ok_and(|file| has_hash(&file, content, buffer))
        }
        _ => false,
    }
}

fn has_hash(file: &File, content: &Content, buffer: &mut [u8]) -> bool {
    let mut hasher = blake3::Hasher::new();
    for place in places(content.extents.as_ref(), 0..content.data()) {
        let length = place.end - place.start;
        let mut reader = Section::new(file, place);
        let mut read = 0;
        loop {
            match reader.read(buffer) {
                Ok(0) => break,
                Ok(count) => {
                    hasher.update(&buffer[..count]);
                    read += count as u64;
                }
                Err(_) => return false,
            }
        }
        if read != length {
            return false;
        }
    }
    *hasher.finalize().as_bytes() == content.hash
}
