//! `copy`: sources and destination told apart, options, and the report.

use std::path::{Path, PathBuf};

use bundlecp::copy::{self, DestinationRule, Reflink};
use bundlecp::escape_path;

use super::globs::globs;
use super::report::{EntriesTo, Report};
use super::{Failure, options, or_interrupted, progress};
use crate::cli::args::{self, CopyArgs};
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &CopyArgs) -> Result<u8, Failure> {
    let (sources, destination, rule) = paths(arguments)?;
    let options = copy_options(arguments, rule)?;
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let outcome = copy::copy(&sources, &destination, &options, &bar);
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let report = Report {
        what: "the copy",
        json: render::copied_json(&outcome, options.dry_run),
        entries: render::entries(&outcome),
        remarks: render::remarks(&outcome),
        sum: render::copied(&outcome, options.dry_run),
        is_dry_run: options.dry_run,
        entries_to: EntriesTo::StandardOutput,
    };
    report.print(output);
    Ok(0)
}

/// Tells sources and destination apart.
fn paths(arguments: &CopyArgs) -> Result<(Vec<PathBuf>, PathBuf, DestinationRule), Failure> {
    if arguments.dereference {
        let text = "copy `-L`: links are never followed\n\
                    hint: --on-no-symlinks=copy flattens them where they can't be kept";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut paths = arguments.paths.clone();
    if let Some(hint) = crate::cli::meant(paths[0].as_os_str()) {
        let name = escape_path(&paths[0]);
        let text = format!("copy `{name}`: there is no such file\nhint: {hint}");
        return Err(Failure::Usage(text));
    }
    if let Some(dir) = &arguments.target_directory {
        return Ok((paths, dir.clone(), DestinationRule::Into));
    }
    let destination = paths.pop().filter(|_| !paths.is_empty());
    let Some(destination) = destination else {
        let text = format!(
            "copy `{}`: no destination\nhint: bundlecp -R SRC... DST",
            escape_path(&arguments.paths[0])
        );
        return Err(Failure::Usage(text));
    };
    let rule = match arguments.no_target_directory {
        true => DestinationRule::Exact,
        false => DestinationRule::Auto,
    };
    Ok((paths, destination, rule))
}

fn copy_options(arguments: &CopyArgs, rule: DestinationRule) -> Result<copy::Options, Failure> {
    let keeps_owner = arguments.archive || arguments.preserve || arguments.preserve_owner;
    let mut options = copy::Options::default();
    options.destination_rule = rule;
    options.existing = options::existing(arguments.replace, arguments.merge);
    options.on_no_symlinks = options::on_no_symlinks(arguments.on_no_symlinks);
    options.reflink = match arguments.reflink {
        args::Reflink::Auto => Reflink::Auto,
        args::Reflink::Always => Reflink::Always,
        args::Reflink::Never => Reflink::Never,
    };
    options.sync = options::sync(arguments.sync);
    options.special_files = options::special_files(arguments.skip_special);
    options.junctions_as_links = arguments.junctions_as_links;
    options.ownership = options::ownership(keeps_owner);
    if !arguments.exclude.is_empty() {
        let globs = globs("exclude", &arguments.exclude)?;
        options.exclude = Some(Box::new(move |path: &Path| globs.is_match(path)));
    }
    options.jobs = arguments.jobs.count();
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}
