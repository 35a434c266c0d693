//! Self-extracting executables: one file that starts like the folder that it was
//! made from.
//!
//! [`Builder`] puts a `.bcp` behind the stub, a small program; [`locate()`] finds it
//! again. When the file is run, the stub [launches](launch()) it: it unpacks the
//! bundle once into a private [cache], verified and whole or not at all, and
//! becomes the program in there. Every later start finds the cache, takes part in
//! the lock that keeps it, and becomes the program at once.
//!
//! Nothing here trusts a folder that another user could have prepared.

mod build;
pub mod cache;
mod check;
mod environment;
mod ephemeral;
mod from_pyinstaller;
mod launch;
mod locate;
mod stub;
mod trust;
mod unpack;

pub use crate::sys::arguments;
pub use build::{Builder, Outcome};
pub use environment::{Environment, ORIGINAL_EXE, run_outside};
pub use from_pyinstaller::from_pyinstaller;
pub use launch::{Exit, Invocation, launch, tell};
pub use locate::{Onefile, locate};
