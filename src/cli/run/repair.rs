//! `repair`: the plan, and its application.

use std::io::{self, Write};

use bundlecp::repair::{self, Options};

use super::{Failure, options, or_interrupted, print_json, progress, unless_closed};
use crate::cli::args::RepairArgs;
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &RepairArgs) -> Result<u8, Failure> {
    let mut options = Options::default();
    options.from = arguments.from.clone();
    options.sync = options::sync(arguments.sync);
    options.jobs = arguments.jobs.count();
    let output = &arguments.output;
    let interrupt = Interrupt::listen()?;
    let bar = Bar::new(progress(output), interrupt.clone());
    let plan = repair::plan(&arguments.dir, &options, &bar);
    bar.clear();
    let plan = plan.map_err(|error| or_interrupted(error, &interrupt))?;
    let (text, mut document) = (render::planned(&plan), render::planned_json(&plan));
    let outcome = match arguments.apply && !plan.is_empty() {
        true => {
            let outcome = repair::apply(plan, &options, &bar);
            bar.clear();
            Some(outcome.map_err(|error| or_interrupted(error, &interrupt))?)
        }
        false => None,
    };
    document["applied"] = outcome.is_some().into();
    // What was done stands, whoever reads of it.
    let printed = match (output.json, output.quiet) {
        (true, _) => print_json(&document),
        (false, false) => {
            let sum = render::repaired(outcome.as_ref(), document["changes"].as_array());
            write!(io::stdout(), "{text}{sum}")
        }
        (false, true) => Ok(()),
    };
    match (unless_closed(printed), outcome.is_some()) {
        (Err(error), true) => {
            let note = format!("the repair is complete, but not its report: {error}");
            let _ = writeln!(io::stderr(), "bundlecp: note: {note}");
        }
        (printed, _) => printed?,
    }
    for note in outcome.iter().flat_map(|outcome| &outcome.notes) {
        let _ = writeln!(io::stderr(), "bundlecp: note: {note}");
    }
    Ok(0)
}
