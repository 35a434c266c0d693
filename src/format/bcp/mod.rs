//! `.bcp`, our own container: docs/format.md, `.bcp`.
//!
//! A manifest that tells all before the first byte of content, blocks that each
//! stand alone, and a hash for everything. `layout`, `manifest`, `tables` and
//! `pieces` know what the bytes mean, `read`, `stream` and `write` where they come from.

mod column;
mod contents;
mod filters;
mod launch;
mod layout;
mod manifest;
mod pieces;
mod read;
mod stream;
mod tables;
mod write;

pub(crate) use filters::{Restorer, Transformer, filter};
pub(crate) use launch::Launch;
pub(crate) use layout::{BlockCodec, MAGIC, MAX_BLOCK, MAX_PARTS, Row};
pub(crate) use manifest::{Claim, Content, Entry, Filter, Form, Manifest, Part, Verdict, keep_all};
pub(crate) use pieces::{Layout, Piece};
pub(crate) use read::{Index, decode_block, decode_start, has_trailer, read_index, read_root_hash};
pub(crate) use stream::{Block, StreamReader};
pub(crate) use write::{Writer, append_block, append_stored, paddings};
