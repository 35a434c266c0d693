//! `manifest`: both ends, options, and the report.

use std::io;
use std::path::Path;

use bundlecp::manifest::{self, Options, Output};
use bundlecp::verify::Tree;

use super::report::{EntriesTo, Report};
use super::{Failure, options, or_interrupted, progress};
use crate::cli::args::ManifestArgs;
use crate::cli::bar::Bar;
use crate::cli::input::{self, STANDARD_INPUT};
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &ManifestArgs) -> Result<u8, Failure> {
    let is_dash = |path: &Path| path.as_os_str() == "-";
    let file = arguments.file.as_deref().filter(|file| !is_dash(file));
    let output = &arguments.output;
    if file.is_none() && output.json {
        let text = "manifest `-`: standard output can't have the manifest and --json\n\
                    hint: -o FILE writes the manifest to a file";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut options = Options::default();
    options.special_files = options::special_files(arguments.skip_special);
    options.junctions_as_links = arguments.junctions_as_links;
    options.existing = options::existing(arguments.replace, false);
    options.sync = options::sync(arguments.sync);
    options.jobs = arguments.jobs.count();
    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(progress(output), interrupt.clone());
    let source = match is_dash(&arguments.source) {
        true => {
            super::check_standard_input("manifest")?;
            let reader = input::standard_input(interrupt.clone())?;
            Tree::From(Box::new(reader), Path::new(STANDARD_INPUT))
        }
        false => Tree::At(&arguments.source),
    };
    let to = match file {
        Some(file) => Output::Path(file),
        None => Output::Writer(Box::new(io::stdout()), Path::new(options::STANDARD_OUTPUT)),
    };
    let outcome = manifest::write_stream(source, to, &options, &bar);
    bar.clear();
    let outcome = match outcome {
        // Whoever closed the pipe has read enough.
        Err(error) if file.is_none() && is_closed(&error) => return Ok(0),
        outcome => outcome.map_err(|error| or_interrupted(error, &interrupt))?,
    };
    let report = Report {
        what: "the manifest",
        json: render::noted_json(&outcome),
        entries: String::new(),
        remarks: outcome.notes.clone(),
        sum: render::noted(&outcome),
        is_dry_run: false,
        entries_to: EntriesTo::StandardError,
    };
    report.print(output);
    Ok(0)
}

fn is_closed(error: &bundlecp::Error) -> bool {
    let source = error.io_error();
    source.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
