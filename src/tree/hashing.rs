//! The hash of one file's content, as it comes out of an archive or a folder.
//!
//! Small files have the BLAKE3 of their bytes, which a `.bcp` tells of those without
//! holes. Large ones may have one over what is not zero and where it stands: the same for
//! the same bytes, wherever holes are, and a hole of any length takes no time.

use crate::plan::NodeId;

use super::packed::Task;

/// From this size on, zeros are passed over: a tenth of a second to hash.
const LARGE: u64 = 512 << 20;

/// Bytes that are judged together in a large file, from a multiple of this on.
const PIECE: u64 = 64 << 10;

/// What holes read as.
static ZEROS: [u8; PIECE as usize] = [0; PIECE as usize];

/// The context of hashes of large files.
const CONTEXT: &str = "bundlecp 2026-11-23 verify pieces of a large file";

/// How contents are hashed. Both sides of a comparison have to be hashed alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    /// BLAKE3 of all bytes, as manifests have it, however long the holes are.
    Plain,
    /// Large files by what isn't zero in them.
    OverHoles,
}

impl Style {
    /// Whether a file of `size` bytes is hashed by what isn't zero in it.
    pub(crate) fn passes_zeros(self, size: u64) -> bool {
        match self {
            Style::Plain => false,
            Style::OverHoles => size >= LARGE,
        }
    }
}

/// Hashes content that comes in order, holes included.
pub(crate) struct Hasher {
    hasher: Box<blake3::Hasher>,
    size: u64,
    passes_zeros: bool,
    at: u64,
    /// Where zeros are passed over: the beginning of the piece that `at` is in.
    piece: Vec<u8>,
}

impl Hasher {
    /// For a file of `size` bytes.
    pub(crate) fn new(size: u64, style: Style) -> Self {
        let passes_zeros = style.passes_zeros(size);
        let mut hasher = Box::new(match passes_zeros {
            true => blake3::Hasher::new_derive_key(CONTEXT),
            false => blake3::Hasher::new(),
        });
        if passes_zeros {
            hasher.update(&size.to_le_bytes());
        }
        Self {
            hasher,
            size,
            passes_zeros,
            at: 0,
            piece: Vec::new(),
        }
    }

    /// Takes the bytes that stand at `offset` in the file, never before those
    /// that were taken. `stops` is asked in long holes whether to give up.
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8], stops: &dyn Fn() -> bool) {
        self.skip_to(offset, stops);
        self.put(bytes);
    }

    /// The hash of all of the file.
    pub(crate) fn finish(mut self, stops: &dyn Fn() -> bool) -> blake3::Hash {
        self.skip_to(self.size, stops);
        self.end_piece();
        self.hasher.finalize()
    }

    /// Passes over zeros up to `offset`.
    fn skip_to(&mut self, offset: u64, stops: &dyn Fn() -> bool) {
        while self.at < offset && !stops() {
            let left = offset - self.at;
            if self.passes_zeros && self.piece.is_empty() && left >= PIECE {
                self.at += left / PIECE * PIECE;
                continue;
            }
            let most = left.min(PIECE - self.at % PIECE);
            self.put(&ZEROS[..most as usize]);
        }
    }

    /// Takes the bytes from `at` on.
    fn put(&mut self, mut bytes: &[u8]) {
        if !self.passes_zeros {
            self.hasher.update(bytes);
            self.at += bytes.len() as u64;
            return;
        }
        while !bytes.is_empty() {
            let room = PIECE as usize - self.piece.len();
            let (here, rest) = bytes.split_at(room.min(bytes.len()));
            self.piece.extend_from_slice(here);
            self.at += here.len() as u64;
            if here.len() == room {
                self.end_piece();
            }
            bytes = rest;
        }
    }

    /// Hashes the piece that ends here, if there is something in it.
    fn end_piece(&mut self) {
        if self.piece[..] != ZEROS[..self.piece.len()] {
            let start = self.at - self.piece.len() as u64;
            self.hasher.update(&start.to_le_bytes());
            self.hasher.update(&self.piece);
        }
        self.piece.clear();
    }
}

/// Hashes the content of one file, if somebody compares it.
pub(crate) struct Hashing {
    node: NodeId,
    /// `None` for a file that nobody compares.
    hasher: Option<Hasher>,
}

impl Hashing {
    /// Begins with the file `node` of `size` bytes.
    pub(crate) fn new(node: NodeId, size: u64, task: &Task<'_>) -> Self {
        Self {
            node,
            hasher: (task.sizes.has(size)).then(|| Hasher::new(size, task.style)),
        }
    }

    /// As [`Hasher::take`].
    pub(crate) fn take(&mut self, offset: u64, bytes: &[u8], stops: &dyn Fn() -> bool) {
        if let Some(hasher) = &mut self.hasher {
            hasher.take(offset, bytes, stops);
        }
    }

    /// The hash of all.
    pub(crate) fn finish(self, stops: &dyn Fn() -> bool) -> (NodeId, Option<blake3::Hash>) {
        let hash = self.hasher.map(|hasher| hasher.finish(stops));
        (self.node, hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hash of a file that is zeros but for these bytes, told in these parts.
    fn hash(size: u64, parts: &[(u64, &[u8])]) -> blake3::Hash {
        let mut hasher = Hasher::new(size, Style::OverHoles);
        for (offset, bytes) in parts {
            hasher.take(*offset, bytes, &|| false);
        }
        hasher.finish(&|| false)
    }

    #[test]
    fn a_hash_depends_on_the_bytes_alone_and_not_on_where_holes_are_told() {
        for size in [3 * PIECE, LARGE - 1, LARGE, LARGE + 5, 1 << 62] {
            let zeros = vec![0; 2 * PIECE as usize];
            let bare = hash(size, &[(70_000, b"data"), (size - 3, b"end")]);
            let told = hash(
                size,
                &[
                    (0, &zeros[..69_999]),
                    (69_999, b"\0da"),
                    (70_002, b"ta\0\0"),
                    (70_010, &zeros[..100_000]),
                    (size - 6, b"\0\0\0end"),
                ],
            );
            assert_eq!(bare, told, "{size}");
            for other in [
                hash(size, &[(70_001, b"data"), (size - 3, b"end")]),
                hash(size, &[(70_000 + PIECE, b"data"), (size - 3, b"end")]),
                hash(size, &[(70_000, b"data")]),
                hash(size + 1, &[(70_000, b"data"), (size - 3, b"end")]),
            ] {
                assert_ne!(bare, other, "{size}");
            }
            if size > LARGE {
                continue;
            }
            assert_eq!(hash(size, &[]), hash(size, &[(5, &zeros)]), "{size}");
        }
        assert_eq!(hash(5, &[(0, b"hello")]), blake3::hash(b"hello"));
    }

    #[test]
    fn the_plain_hash_of_a_large_file_is_that_of_its_bytes() {
        let size = LARGE + 3;
        let mut hasher = Hasher::new(size, Style::Plain);
        hasher.take(LARGE, b"end", &|| false);
        let mut plain = blake3::Hasher::new();
        for _ in 0..LARGE / PIECE {
            plain.update(&ZEROS);
        }
        assert_eq!(hasher.finish(&|| false), plain.update(b"end").finalize());
    }
}
