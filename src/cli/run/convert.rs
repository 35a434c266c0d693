//! `convert`: both ends, options, and the report.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use bundlecp::ExternalLinks;
use bundlecp::convert::{self, Input, Output};

use super::options::{self, Asked};
use super::report::{EntriesTo, Report};
use super::selection::Selection;
use super::{Failure, or_interrupted, progress};
use crate::cli::args::ConvertArgs;
use crate::cli::bar::Bar;
use crate::cli::input::{self, STANDARD_INPUT};
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &ConvertArgs) -> Result<u8, Failure> {
    let is_dash = |path: &Path| path.as_os_str() == "-";
    let (from_pipe, to_pipe) = (is_dash(&arguments.input), is_dash(&arguments.file));
    if from_pipe {
        super::check_standard_input("convert")?;
    }
    let output = &arguments.output;
    if to_pipe {
        let hint = "the name of a file in place of - writes the archive there";
        options::check_standard_output("convert to", hint, output.json, arguments.dry_run)?;
    }
    let options = convert_options(arguments, to_pipe)?;
    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(progress(output), interrupt.clone());
    let from = match from_pipe {
        true => {
            let reader = input::standard_input(interrupt.clone())?;
            Input::Reader(Box::new(reader), Path::new(STANDARD_INPUT))
        }
        false => Input::Path(&arguments.input),
    };
    let to = match to_pipe {
        true => Output::Writer(Box::new(io::stdout()), Path::new(options::STANDARD_OUTPUT)),
        false => Output::Path(&arguments.file),
    };
    let outcome = convert::convert_stream(from, to, &options, &bar);
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let mut entries = String::new();
    for path in &outcome.entries {
        let _ = writeln!(entries, "{path}");
    }
    let (format, is_dry_run) = (options.format, options.dry_run);
    let report = Report {
        what: "the archive",
        json: render::converted_json(&outcome, format, is_dry_run),
        entries,
        remarks: render::converted_remarks(&outcome, format),
        sum: render::converted(&outcome, format, is_dry_run),
        is_dry_run,
        entries_to: match to_pipe {
            true => EntriesTo::StandardError,
            false => EntriesTo::StandardOutput,
        },
    };
    report.print(output);
    Ok(0)
}

fn convert_options(arguments: &ConvertArgs, to_pipe: bool) -> Result<convert::Options, Failure> {
    let mut options = convert::Options::default();
    let file = &arguments.file;
    options.format = options::format("convert to", arguments.format, file)?;
    options.profile = options::profile(arguments.profile);
    options.level = arguments.level;
    options.frames = options::frames(arguments.single_frame);
    options.zip_method = options::zip_method(arguments.zip_method);
    let selection = Selection::new(&[], &arguments.include, &arguments.exclude)?;
    if !selection.is_everything() {
        options.select = Some(Box::new(move |path: &Path| selection.takes(path)));
    }
    options.limits = options::limits(&Asked {
        untrusted: arguments.untrusted,
        max_size: arguments.max_size,
        max_entries: arguments.max_entries,
        max_ratio: arguments.max_ratio,
    });
    options.external_links = match arguments.allow_external_links {
        true => ExternalLinks::Allow,
        false => ExternalLinks::Refuse,
    };
    options.latest = options::latest()?;
    options.ownership = options::ownership(arguments.preserve_owner);
    options.existing = options::existing(arguments.replace, false);
    options.sync = options::sync(arguments.sync);
    options.jobs = arguments.jobs.count();
    // Beside a file it needs no folder of its own.
    options.scratch = to_pipe.then(std::env::temp_dir);
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}
