//! `cache`: what executables unpacked.

use std::io::{self, Write};
use std::path::PathBuf;

use bundlecp::escape_path;
use bundlecp::onefile::cache::{self, Limits};
use bundlecp::onefile::{Environment, locate};

use super::{FOUND, Failure, print_json, unless_closed};
use crate::cli::args::{CacheCleanArgs, CacheCommand, CacheListArgs, CachePathArgs};
use crate::cli::render;

const DAY: u64 = 24 * 3600;

pub(super) fn run(command: &CacheCommand) -> Result<u8, Failure> {
    match command {
        CacheCommand::List(arguments) => list(arguments),
        CacheCommand::Clean(arguments) => clean(arguments),
        CacheCommand::Path(arguments) => path(arguments),
    }
}

fn list(arguments: &CacheListArgs) -> Result<u8, Failure> {
    let mut found = Vec::new();
    for folder in folders(arguments.dir.as_ref()) {
        found.extend(cache::list(&folder)?);
    }
    unless_closed(match arguments.json {
        true => print_json(&render::cached_json(&found)),
        false => write!(io::stdout(), "{}", render::cached(&found)),
    })?;
    Ok(0)
}

fn clean(arguments: &CacheCleanArgs) -> Result<u8, Failure> {
    let limits = Limits {
        bytes: arguments.max_size,
        age: arguments.max_age.map(|days| u64::from(days) * DAY),
    };
    let mut all = cache::Cleaned::default();
    for folder in folders(arguments.dir.as_ref()) {
        let cleaned = cache::clean(&folder, limits, arguments.dry_run)?;
        all.removed.extend(cleaned.removed);
        all.in_use.extend(cleaned.in_use);
        all.failed.extend(cleaned.failed);
    }
    unless_closed(match arguments.json {
        true => print_json(&render::cleaned_json(&all)),
        false => write!(io::stdout(), "{}", render::cleaned(&all, arguments.dry_run)),
    })?;
    match all.failed.is_empty() {
        true => Ok(0),
        false => Ok(5),
    }
}

fn path(arguments: &CachePathArgs) -> Result<u8, Failure> {
    let environment = environment();
    let path = match &arguments.file {
        None => cache::folder(&environment),
        Some(file) => cache::find(&locate(file)?, &environment),
    };
    match path {
        Some(path) => {
            unless_closed(writeln!(io::stdout(), "{}", path.display()))?;
            Ok(0)
        }
        None => {
            let what = match &arguments.file {
                Some(file) => format!("`{}` is not unpacked anywhere", escape_path(file)),
                None => "no folder can be the cache".to_owned(),
            };
            // As verify and probe say it: with their status, and no error.
            let _ = writeln!(io::stderr(), "bundlecp: {what}");
            Ok(FOUND)
        }
    }
}

fn environment() -> Environment {
    Environment::new(std::env::vars_os())
}

/// The folder that was named, or all that executables would use.
fn folders(named: Option<&PathBuf>) -> Vec<PathBuf> {
    match named {
        Some(folder) => vec![folder.clone()],
        None => cache::folders(&environment()),
    }
}
