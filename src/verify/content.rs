//! Reading what two trees hold, in parallel: content hashes, user attributes,
//! and whether a file is a link's target in writing.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::entry::Carried;
use crate::error::Result;
use crate::plan::{NodeId, NodeKind};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Total};
use crate::sys;
use crate::text::escape_bytes;
use crate::tree::hashing::Style;
use crate::tree::reader::{Content, Reader};
use crate::tree::{Reading, Side, Xattrs};

use super::pair::Found;
use super::{Difference, DifferenceKind};

/// Pairs that one job compares: enough to make taking a job cheap, few enough
/// to keep all cores busy to the end.
const PAIRS_PER_JOB: usize = 64;

/// What reading found.
#[derive(Default)]
pub(super) struct Hashed {
    /// What differs, by the left side's nodes.
    differing: Vec<Differing>,
    /// Suspects that hold their link's target as text.
    stubs: HashSet<usize>,
    /// Suspects that differ from what their link leads to.
    changed: HashSet<usize>,
    /// Suspects that have the shape of what their link leads to.
    shaped: HashSet<usize>,
    /// Bytes that were hashed.
    pub bytes: u64,
}

impl Hashed {
    pub(super) fn is_stub(&self, suspect: usize) -> bool {
        self.stubs.contains(&suspect)
    }

    pub(super) fn is_copy(&self, suspect: usize) -> bool {
        self.shaped.contains(&suspect) && !self.changed.contains(&suspect)
    }

    pub(super) fn differences(&self, left: &Side<'_>) -> Vec<Difference> {
        let difference = |differing: &Differing| Difference {
            path: left.plan.path(differing.node),
            kind: differing.kind,
            left: Some(differing.left.clone()),
            right: Some(differing.right.clone()),
        };
        self.differing.iter().map(difference).collect()
    }

    fn add(&mut self, other: Hashed) {
        self.differing.extend(other.differing);
        self.stubs.extend(other.stubs);
        self.changed.extend(other.changed);
        self.shaped.extend(other.shaped);
        self.bytes += other.bytes;
    }
}

/// One difference that reading found, with both sides in words.
struct Differing {
    node: NodeId,
    kind: DifferenceKind,
    left: String,
    right: String,
}

#[derive(Clone, Copy)]
enum Job<'f> {
    Pairs(&'f [(NodeId, NodeId)]),
    Suspect(usize),
}

/// Compares what `found` left to be read.
pub(super) fn compare(
    left: &Side<'_>,
    right: &Side<'_>,
    found: &Found,
    reading: &Reading<'_>,
) -> Result<Hashed> {
    let (counters, threads, style) = (Counters::default(), reading.threads, reading.style);
    let pairs = found.pairs.chunks(PAIRS_PER_JOB).map(Job::Pairs);
    let suspects = (0..found.suspects.len()).map(Job::Suspect);
    let total = Total {
        entries: Some(found.pairs.len() as u64),
        bytes: Some(left.totals.bytes),
    };
    let report = || reading.report(&counters, total);
    let work = |queue: &mut Queue<'_, Job<'_>>| {
        let roots: Vec<_> = [left.root(), right.root()].into_iter().flatten().collect();
        sys::isolate_thread(&roots);
        let mut comparer = Comparer::new(left, right, threads, style);
        while let Some(job) = queue.next() {
            match job {
                Job::Pairs(pairs) => comparer.compare_pairs(queue, pairs, &counters)?,
                Job::Suspect(index) => comparer.look_at_suspect(found, index)?,
            }
        }
        Ok(comparer.hashed)
    };
    let mut all = Hashed::default();
    for part in pool::run(threads, pairs.chain(suspects), work, report)? {
        all.add(part);
    }
    Ok(all)
}

/// One worker's state.
struct Comparer<'s> {
    left: Reader<'s>,
    right: Reader<'s>,
    style: Style,
    hashed: Hashed,
}

impl<'s> Comparer<'s> {
    fn new(left: &'s Side<'s>, right: &'s Side<'s>, threads: usize, style: Style) -> Self {
        Self {
            left: Reader::new(left, threads, style),
            right: Reader::new(right, threads, style),
            style,
            hashed: Hashed::default(),
        }
    }

    fn compare_pairs(
        &mut self,
        queue: &Queue<'_, Job<'_>>,
        pairs: &[(NodeId, NodeId)],
        counters: &Counters,
    ) -> Result<()> {
        for &(a, b) in pairs {
            if queue.is_stopped() {
                break;
            }
            match self.left.side.plan.kind(a) {
                NodeKind::Dir => self.compare_dirs(a, b)?,
                NodeKind::File => self.compare_files(a, b)?,
                NodeKind::Symlink | NodeKind::Special => {}
            }
            counters.add(1, self.left.side.plan.size(a));
        }
        Ok(())
    }

    fn compare_dirs(&mut self, a: NodeId, b: NodeId) -> Result<()> {
        if self.tell_xattrs(a, b) {
            let (left, right) = (self.left.dir_xattrs(a)?, self.right.dir_xattrs(b)?);
            self.compare_xattrs(a, &left, &right);
        }
        Ok(())
    }

    fn tell_xattrs(&self, a: NodeId, b: NodeId) -> bool {
        self.left.side.tells_xattrs(a) && self.right.side.tells_xattrs(b)
    }

    fn compare_files(&mut self, a: NodeId, b: NodeId) -> Result<()> {
        if let (Some(left), Some(right)) = (self.left.side.stat(a), self.right.side.stat(b))
            && left.is_same_object(right)
        {
            return Ok(());
        }
        let (left, right) = (self.left.open(a)?, self.right.open(b)?);
        if self.tell_xattrs(a, b) {
            let (ours, theirs) = (self.left.xattrs(a, &left)?, self.right.xattrs(b, &right)?);
            self.compare_xattrs(a, &ours, &theirs);
        }
        let (ours, theirs) = (self.hash_left(a, &left)?, self.hash_right(b, &right)?);
        if ours != theirs {
            let what = match self.style.passes_zeros(self.left.side.plan.size(a)) {
                true => "fingerprint",
                false => "BLAKE3",
            };
            let words = |hash: blake3::Hash| format!("content with {what} {:.16}", hash.to_hex());
            self.differ(a, DifferenceKind::Content, words(ours), words(theirs));
        }
        Ok(())
    }

    fn compare_xattrs(&mut self, node: NodeId, left: &Xattrs, right: &Xattrs) {
        let (mut left, mut right) = (Cow::Borrowed(left), Cow::Borrowed(right));
        if self.left.side.is_folder() != self.right.side.is_folder() {
            // What no archive holds is no difference.
            for side in [&mut left, &mut right] {
                if side.iter().any(|(name, _)| !Carried::Users.has(name)) {
                    side.to_mut().retain(|(name, _)| Carried::Users.has(name));
                }
            }
        }
        if left != right {
            let (left, right) = (describe(&left, &right), describe(&right, &left));
            self.differ(node, DifferenceKind::Xattr, left, right);
        }
    }

    fn differ(&mut self, node: NodeId, kind: DifferenceKind, left: String, right: String) {
        self.hashed.differing.push(Differing {
            node,
            kind,
            left,
            right,
        });
    }

    fn look_at_suspect(&mut self, found: &Found, index: usize) -> Result<()> {
        let suspect = &found.suspects[index];
        let target = self.left.side.plan.target(suspect.link).to_vec();
        if self.right.side.plan.kind(suspect.right) == NodeKind::File
            && self.holds_target(suspect.right, &target)?
        {
            self.hashed.stubs.insert(index);
        }
        let Some(copies) = &suspect.copies else {
            return Ok(());
        };
        self.hashed.shaped.insert(index);
        for &(a, b) in copies {
            let (left, right) = (self.left.open(a)?, self.right.open(b)?);
            if self.hash_left(a, &left)? != self.hash_right(b, &right)? {
                self.hashed.changed.insert(index);
                break;
            }
        }
        Ok(())
    }

    /// Whether a file of the right side is `target` in writing, perhaps with
    /// the newline or NUL that some tools add.
    fn holds_target(&mut self, node: NodeId, target: &[u8]) -> Result<bool> {
        let size = self.right.side.plan.size(node);
        let longest = target.len() as u64 + 1;
        if size > longest || size < target.len() as u64 {
            return Ok(false);
        }
        let file = match self.right.open(node)? {
            Content::File(file) => file,
            Content::Known(fact) => {
                let is_hash = |end: &[u8]| fact.hash == Some(blake3::hash(&[target, end].concat()));
                return Ok(is_hash(b"") || is_hash(b"\n") || is_hash(b"\0"));
            }
        };
        let mut text = vec![0; target.len() + 2];
        let read = sys::read_at(&file, &mut text, 0)
            .map_err(|error| self.right.error("read", node, error))?;
        let rest = text[..read].strip_prefix(target);
        Ok(matches!(rest, Some(b"" | b"\n" | b"\0")))
    }

    fn hash_left(&mut self, node: NodeId, content: &Content<'_>) -> Result<blake3::Hash> {
        let (hash, bytes) = self.left.hash(node, content, &|| false)?;
        self.hashed.bytes += bytes;
        Ok(hash)
    }

    fn hash_right(&mut self, node: NodeId, content: &Content<'_>) -> Result<blake3::Hash> {
        let (hash, bytes) = self.right.hash(node, content, &|| false)?;
        self.hashed.bytes += bytes;
        Ok(hash)
    }
}

/// The attributes that the other side lacks or has otherwise.
fn describe(own: &Xattrs, other: &Xattrs) -> String {
    let differing = own.iter().filter(|attribute| !other.contains(attribute));
    let text = |bytes: &Vec<u8>| escape_bytes(bytes);
    let words: Vec<_> = differing
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect();
    match words.is_empty() {
        true => "no such attribute".to_owned(),
        false => words.join(", "),
    }
}
