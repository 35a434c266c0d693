//! Copies application bundles from A to B without losing a link, and proves it.

pub mod copy;
mod dest;
mod entry;
mod error;
mod handles;
mod json;
mod path;
mod plan;
mod pool;
mod probe;
mod progress;
mod scan;
mod sys;
pub mod verify;

pub use dest::attributes::Ownership;
pub use dest::publish::Existing;
pub use entry::{Entry, EntryKind};
pub use error::{Error, ErrorKind, Result};
pub use path::{LinkTarget, RelPath};
pub use probe::{Capabilities, Support, probe_dir};
pub use progress::{Phase, Progress, Silent, Status};
pub use scan::SpecialFiles;
