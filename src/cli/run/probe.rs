//! `probe`: what a folder's file system can hold.

use std::io::{self, Write};

use super::{FOUND, Failure, print_json, unless_closed};
use crate::cli::args::ProbeArgs;
use crate::cli::render;

pub(super) fn run(arguments: &ProbeArgs) -> Result<u8, Failure> {
    let found = bundlecp::probe_dir(&arguments.dir)?;
    unless_closed(match arguments.json {
        true => print_json(&render::capabilities_json(&found)),
        false => write!(io::stdout(), "{}", render::capabilities(&found)),
    })?;
    Ok(match found.symlinks.is_yes() {
        true => 0,
        false => FOUND,
    })
}
