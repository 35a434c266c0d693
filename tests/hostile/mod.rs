//! What the tests against hostile archives share: a place with victims around
//! the destination, a way to run one archive in every manner, and archives that
//! are made byte by byte.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod arena;
pub(crate) mod tar;
pub(crate) mod user;
pub(crate) mod zip;
