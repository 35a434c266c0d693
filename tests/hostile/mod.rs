//! What the tests against hostile archives share: a place with victims around
//! the destination, a way to run one archive in every manner, and archives that
//! are made byte by byte.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod arena;
pub(crate) mod bcp;
pub(crate) mod bcp_sample;
pub(crate) mod bcp_small;
pub(crate) mod carchive;
pub(crate) mod tar;
pub(crate) mod user;
pub(crate) mod zip;

/// Whether this is the full run that a change has to pass: it tries random trees
/// a thousand times, too.
pub(crate) fn is_thorough() -> bool {
    crate::common::random::cases().is_some_and(|cases| cases >= 1000)
}
