//! `extract`: what is extracted, options, and the report.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use bundlecp::ExternalLinks;
use bundlecp::extract::{self, AfterEnd, AppleDouble, Sharing};

use super::options::Asked;
use super::report::{EntriesTo, Report};
use super::selection::Selection;
use super::{Failure, options, or_interrupted, progress};
use crate::cli::args::{self, ExtractArgs};
use crate::cli::bar::Bar;
use crate::cli::input::{self, STANDARD_INPUT};
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &ExtractArgs) -> Result<u8, Failure> {
    let is_stream = arguments.archive.as_os_str() == "-";
    if is_stream {
        super::check_standard_input("extract")?;
    }
    let options = extract_options(arguments)?;
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let (archive, directory) = (&arguments.archive, &arguments.directory);
    let outcome = match is_stream {
        true => {
            let reader = input::standard_input(interrupt.clone())?;
            let shown = Path::new(STANDARD_INPUT);
            extract::extract_from(reader, shown, directory, &options, &bar)
        }
        false => extract::extract(archive, directory, &options, &bar),
    };
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let mut entries = String::new();
    for entry in &outcome.entries {
        let _ = match &entry.target {
            Some(target) => writeln!(entries, "{} -> {target}", entry.path),
            None => writeln!(entries, "{}", entry.path),
        };
    }
    let report = Report {
        what: "the extraction",
        json: render::extracted_json(&outcome, options.dry_run),
        entries,
        remarks: render::extracted_remarks(&outcome),
        sum: render::extracted(&outcome, options.dry_run),
        is_dry_run: options.dry_run,
        entries_to: EntriesTo::StandardOutput,
    };
    report.print(output);
    Ok(0)
}

fn extract_options(arguments: &ExtractArgs) -> Result<extract::Options, Failure> {
    let mut options = extract::Options::default();
    let selection = Selection::new(&arguments.members, &arguments.include, &arguments.exclude)?;
    if !selection.is_everything() {
        let selection = Arc::new(selection);
        let asked = Arc::clone(&selection);
        options.select = Some(Box::new(move |path: &Path| selection.takes(path)));
        options.missing = Some(Box::new(move || asked.missing()));
    }
    options.strip_components = arguments.strip_components;
    options.limits = options::limits(&Asked {
        untrusted: arguments.untrusted,
        max_size: arguments.max_size,
        max_entries: arguments.max_entries,
        max_ratio: arguments.max_ratio,
    });
    options.existing = options::existing(arguments.replace, arguments.merge);
    options.on_no_symlinks = options::on_no_symlinks(arguments.on_no_symlinks);
    options.ownership = options::ownership(arguments.preserve_owner);
    options.external_links = match arguments.allow_external_links {
        true => ExternalLinks::Allow,
        false => ExternalLinks::Refuse,
    };
    options.after_end = match arguments.ignore_zeros {
        true => AfterEnd::Continue,
        false => AfterEnd::Refuse,
    };
    options.apple_double = match arguments.keep_apple_double {
        true => AppleDouble::Keep,
        false => AppleDouble::Skip,
    };
    options.apple_attributes = arguments.apple_attributes;
    options.sharing = match arguments.reflink {
        args::Sharing::Auto => Sharing::Auto,
        args::Sharing::Never => Sharing::Never,
    };
    options.sync = options::sync(arguments.sync);
    options.jobs = arguments.jobs.count();
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}
