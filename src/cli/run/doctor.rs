//! `doctor`: what is wrong with a bundle, as text, JSON, SARIF or a page.

use std::io::{self, Write};

use bundlecp::doctor::{self, Options, Report};

use super::{FOUND, Failure, options, or_interrupted, print_json, progress, unless_closed};
use crate::cli::args::{DoctorArgs, ReportFormat};
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &DoctorArgs) -> Result<u8, Failure> {
    let mut options = Options::default();
    options.scratch = Some(std::env::temp_dir());
    options.list_entries = arguments.html.is_some();
    options.jobs = arguments.jobs.count();
    let existing = options::existing(arguments.replace, false);
    let page = arguments.html.as_deref();
    // Whether there may be such a file is known before anything is read.
    let page = page.map(|file| Report::at(file, existing)).transpose()?;
    let output = &arguments.output;
    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(progress(output), interrupt.clone());
    let outcome = doctor::examine(&arguments.source, &options, &bar);
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    if let Some(page) = page {
        let text = render::page(&arguments.source, &outcome);
        for note in page.write(text.as_bytes())? {
            let _ = writeln!(io::stderr(), "bundlecp: note: {note}");
        }
    }
    unless_closed(match (arguments.format, output.json, output.quiet) {
        (ReportFormat::Json, ..) | (_, true, _) => print_json(&render::diagnosed_json(&outcome)),
        (ReportFormat::Sarif, ..) => print_json(&render::sarif(&arguments.source, &outcome)),
        (ReportFormat::Text, false, false) => {
            let style = render::Diagnosis {
                shown: &arguments.source,
                color: super::is_colored(output),
                is_whole: output.verbose,
            };
            write!(io::stdout(), "{}", style.text(&outcome))
        }
        (ReportFormat::Text, false, true) => Ok(()),
    })?;
    Ok(match outcome.has_problems() {
        true => FOUND,
        false => 0,
    })
}
