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
//! - [`pack::pack`] and [`extract::extract`] do the same by way of an archive:
//!   tar, plain or compressed, zip, and our own `.bcp`; programs that PyInstaller's
//!   `--onefile` made are read as archives too. [`archive::Archive`]
//!   reads single members, of a `.bcp` from any place; [`list::list`] says what
//!   there is.
//! - [`convert::convert`] makes an archive of one of these formats from one of
//!   another, without unpacking it, and tells what the new one can't hold.
//! - [`onefile::Builder`] makes one executable of a bundle, which unpacks itself once and
//!   then starts like the folder.
//! - [`verify::verify`] compares two trees, in folders or archives, and tells a
//!   link that became a copy of its target from one that became a text file.
//! - [`manifest::write`](fn@manifest::write) writes down what a tree is, a line an entry with
//!   its hash, to be compared later without the tree itself.
//! - [`doctor::examine`] says what is wrong with a bundle, and which links it has lost on
//!   its way; [`repair::plan`](fn@repair::plan) and [`repair::apply`] put them back.
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
//! Pack a release into one file, and prove that it holds the bundle:
//!
//! ```
//! use bundlecp::{Silent, pack, verify};
//! # let temp = tempfile::tempdir()?;
//! # let (bundle, release) = (temp.path().join("app"), temp.path().join("app.tar.zst"));
//! # std::fs::create_dir(&bundle)?;
//!
//! let mut options = pack::Options::default();
//! options.profile = pack::Profile::Small;
//! let packed = pack::pack(&[bundle.clone()], &release, &options, &Silent)?;
//! assert_eq!(packed.external_links, 0, "the bundle needs what isn't in it");
//!
//! let proof = verify::verify(&bundle, &release, &verify::Options::default(), &Silent)?;
//! assert!(proof.is_equal());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Install it, with a bar and a button that stops:
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::sync::atomic::{AtomicBool, Ordering};
//!
//! use bundlecp::{ErrorKind, Existing, Progress, Status, extract};
//! # let temp = tempfile::tempdir()?;
//! # let (bundle, release) = (temp.path().join("app"), temp.path().join("app.tar.zst"));
//! # std::fs::create_dir(&bundle)?;
//! # bundlecp::pack::pack(&[bundle], &release, &Default::default(), &bundlecp::Silent)?;
//! # let installed = temp.path().join("opt");
//!
//! struct Window {
//!     cancelled: AtomicBool,
//! }
//!
//! impl Progress for Window {
//!     fn report(&self, status: &Status) -> ControlFlow<()> {
//!         // Draw `status.bytes` of `status.bytes_total` here.
//!         match self.cancelled.load(Ordering::Relaxed) {
//!             true => ControlFlow::Break(()),
//!             false => ControlFlow::Continue(()),
//!         }
//!     }
//! }
//!
//! let window = Window { cancelled: AtomicBool::new(false) };
//! let mut options = extract::Options::default();
//! options.existing = Existing::Replace;
//! match extract::extract(&release, &installed, &options, &window) {
//!     Ok(outcome) => assert_eq!(outcome.format, "tar.zst"),
//!     Err(error) if error.kind() == ErrorKind::Interrupted => println!("as it was"),
//!     Err(error) => return Err(error.into()),
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Extract what comes from anywhere, such as a download, and set limits to it:
//!
//! ```
//! use std::path::Path;
//!
//! use bundlecp::{Silent, extract};
//! # let temp = tempfile::tempdir()?;
//! # let (bundle, release) = (temp.path().join("app"), temp.path().join("app.tar.zst"));
//! # std::fs::create_dir(&bundle)?;
//! # bundlecp::pack::pack(&[bundle], &release, &Default::default(), &Silent)?;
//! # let download = std::fs::File::open(release)?;
//! # let installed = temp.path().join("opt");
//!
//! let mut options = extract::Options::default();
//! options.limits = extract::Limits::untrusted();
//! let shown = Path::new("https://example.org/app.tar.zst");
//! extract::extract_from(download, shown, &installed, &options, &Silent)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Operations take a [`Progress`], which is called on the calling thread about
//! twenty times a second and can stop them; [`Silent`] reports to nobody.
//! The library prints nothing, reads no environment and never exits.

pub mod archive;
mod codec;
pub mod convert;
pub mod copy;
mod dest;
pub mod doctor;
mod entry;
mod error;
mod extents;
pub mod extract;
mod fit;
mod format;
mod handles;
mod json;
mod links_file;
pub mod list;
pub mod manifest;
pub mod onefile;
pub mod pack;
mod path;
mod plan;
mod pool;
mod probe;
mod progress;
pub mod repair;
mod scan;
mod sys;
mod text;
mod tree;
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

/// The code in the guide compiles.
#[cfg(doctest)]
#[doc = include_str!("../docs/guide/library.md")]
struct Guide;
