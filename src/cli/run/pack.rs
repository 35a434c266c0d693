//! `pack`: options, and the report.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use bundlecp::pack::{self, RootName};

use super::globs::globs;
use super::report::{EntriesTo, Report};
use super::{Failure, escaped, options, or_interrupted, progress};
use crate::cli::args::PackArgs;
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &PackArgs) -> Result<u8, Failure> {
    let is_stream = arguments.file.as_os_str() == "-";
    if is_stream {
        let hint = "-o FILE writes the archive to a file";
        options::check_standard_output("pack to", hint, arguments.output.json, arguments.dry_run)?;
    }
    let options = pack_options(arguments)?;
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let (sources, archive) = (&arguments.dirs, &arguments.file);
    let outcome = match is_stream {
        true => {
            let shown = Path::new(options::STANDARD_OUTPUT);
            pack::pack_to(sources, io::stdout(), shown, &options, &bar)
        }
        false => pack::pack(sources, archive, &options, &bar),
    };
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let mut entries = String::new();
    for path in &outcome.entries {
        let _ = writeln!(entries, "{path}");
    }
    let (format, is_dry_run) = (options.format, options.dry_run);
    let report = Report {
        what: "the archive",
        json: render::packed_json(&outcome, format, is_dry_run),
        entries,
        remarks: render::packed_remarks(&outcome),
        sum: render::packed(&outcome, format, is_dry_run),
        is_dry_run,
        entries_to: match is_stream {
            true => EntriesTo::StandardError,
            false => EntriesTo::StandardOutput,
        },
    };
    report.print(output);
    Ok(0)
}

fn pack_options(arguments: &PackArgs) -> Result<pack::Options, Failure> {
    let mut options = pack::Options::default();
    options.format = options::format("pack to", arguments.format, &arguments.file)?;
    options.profile = options::profile(arguments.profile);
    options.level = arguments.level;
    options.root = match (&arguments.root, arguments.strip_root) {
        (Some(name), _) => RootName::Named(root_name(name)?),
        (None, true) => RootName::Strip,
        (None, false) => RootName::Own,
    };
    options.frames = options::frames(arguments.single_frame);
    options.zip_method = options::zip_method(arguments.zip_method);
    options.special_files = options::special_files(arguments.skip_special);
    options.junctions_as_links = arguments.junctions_as_links;
    options.apple_attributes = arguments.apple_attributes;
    options.ownership = options::ownership(arguments.preserve_owner);
    options.existing = options::existing(arguments.replace, false);
    options.sync = options::sync(arguments.sync);
    if !arguments.exclude.is_empty() {
        let globs = globs("exclude", &arguments.exclude)?;
        options.exclude = Some(Box::new(move |path: &Path| globs.is_match(path)));
    }
    options.latest = options::latest()?;
    options.jobs = arguments.jobs.count();
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}

/// A name for the root is one that every extraction takes.
fn root_name(name: &str) -> Result<String, Failure> {
    let trimmed = name.trim_end_matches('/');
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    match trimmed.split('/').all(is_name) {
        true => Ok(trimmed.to_owned()),
        false => Err(Failure::Usage(format!(
            "root `{}`: not a name\nhint: --strip-root stores what is in the folder",
            escaped(name)
        ))),
    }
}
