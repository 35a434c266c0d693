//! Self-extracting executables as their users meet them: started, killed, damaged, in
//! hostile surroundings. What needs mounts or real bundles is in ci/starts.sh.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "onefile/cache.rs"]
mod cache;
#[path = "onefile/cli.rs"]
mod cli;
mod common;
#[path = "onefile/ephemeral.rs"]
mod ephemeral;
#[path = "onefile/for_windows.rs"]
mod for_windows;
#[path = "onefile/hostile.rs"]
mod hostile;
#[path = "onefile/start.rs"]
mod start;
#[path = "onefile/world.rs"]
mod world;
