//! Copies application bundles from A to B without losing a link, whole or not
//! at all, and proves it.
//!
//! PyInstaller folders, macOS `.app`s, Python and conda environments and
//! `node_modules` are trees in which symbolic links carry meaning. Tools on
//! the way to the user follow the links and copy what they point to; the
//! result is twice as large and crashes. This crate keeps them:
//!
//! - [`copy::copy`] copies trees through a staging folder that is published by
//!   one rename. Links stay links byte for byte; modes, times to the
//!   nanosecond, hard links, holes and user attributes are kept. If anything
//!   fails, the destination is as it was.
//! - [`probe_dir`] finds out by trying whether a folder's file system can hold
//!   a bundle. Every copy does the same before it writes the first byte.
//! - [`verify::verify`] compares two trees and tells a link that became a copy
//!   of its target from one that became a text file.
//!
//! # Examples
//!
//! Install a bundle, replacing an older version in one step, and prove that
//! it arrived:
//!
//! ```
//! use bundlecp::copy::{self, DestinationRule, copy};
//! use bundlecp::{Existing, Silent, verify};
//! # use std::fs;
//! # let temp = tempfile::tempdir()?;
//! # let (bundle, installed) = (temp.path().join("dist"), temp.path().join("opt"));
//! # fs::create_dir(&bundle)?;
//! # fs::create_dir(&installed)?;
//! # fs::write(bundle.join("libz.so.1"), "x")?;
//! # #[cfg(unix)]
//! # std::os::unix::fs::symlink("libz.so.1", bundle.join("libz.so"))?;
//!
//! let mut options = copy::Options::default();
//! options.destination_rule = DestinationRule::Exact;
//! options.existing = Existing::Replace;
//! let copied = copy(&[bundle.clone()], &installed, &options, &Silent)?;
//!
//! let proof = verify::verify(&bundle, &installed, &verify::Options::default(), &Silent)?;
//! assert!(proof.is_equal());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Operations take a [`Progress`], which is called on the calling thread about
//! twenty times a second and can stop them; [`Silent`] reports to nobody.
//! The library prints nothing, reads no environment and never exits.

pub mod archive;
mod codec;
pub mod copy;
mod dest;
mod entry;
mod error;
pub mod extract;
mod fit;
mod format;
mod handles;
mod json;
mod links_file;
pub mod list;
pub mod pack;
mod path;
mod plan;
mod pool;
mod probe;
mod progress;
mod scan;
mod sys;
mod text;
pub mod verify;

pub use dest::attributes::Ownership;
pub use dest::publish::Existing;
pub use entry::{Entry, EntryKind};
pub use error::{Error, ErrorKind, Result};
pub use path::{LinkTarget, RelPath};
pub use plan::members::ExternalLinks;
pub use probe::{Capabilities, Support, probe_dir};
pub use progress::{Phase, Progress, Silent, Status};
pub use scan::SpecialFiles;
pub use sys::Timestamp;
pub use text::escape_path;
