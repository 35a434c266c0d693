//! `verify`: the differences between two trees.

use std::io::{self, IsTerminal, Write};

use bundlecp::verify::{self, DifferenceKind};

use super::{FOUND, Failure, escaped, or_interrupted, print_json, progress, unless_closed};
use crate::cli::args::{VerifyArgs, When};
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &VerifyArgs) -> Result<u8, Failure> {
    let mut options = verify::Options::default();
    options.jobs = arguments.jobs.map(usize::from);
    for name in &arguments.ignore {
        let kind = DifferenceKind::ALL
            .into_iter()
            .find(|kind| kind.name() == name);
        let Some(kind) = kind else {
            let name = escaped(name);
            let names = DifferenceKind::ALL.map(DifferenceKind::name).join(", ");
            let text = format!("ignore `{name}`: no such kind of difference\nhint: one of {names}");
            return Err(Failure::Usage(text));
        };
        options.ignore.push(kind);
    }
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let Some(right) = &arguments.right else {
        let checked = verify::check(&arguments.left, &options, &bar);
        bar.clear();
        let checked = checked.map_err(|error| or_interrupted(error, &interrupt))?;
        unless_closed(match (output.json, output.quiet) {
            (true, _) => print_json(&render::checked_json(&checked)),
            (false, false) => write!(io::stdout(), "{}", render::checked(&checked)),
            (false, true) => Ok(()),
        })?;
        return Ok(0);
    };
    let outcome = verify::verify(&arguments.left, right, &options, &bar);
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let color = match output.color {
        When::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        When::Always => true,
        When::Never => false,
    };
    unless_closed(match (output.json, output.quiet) {
        (true, _) => print_json(&render::verified_json(&outcome)),
        (false, false) => write!(io::stdout(), "{}", render::verified(&outcome, color)),
        (false, true) => Ok(()),
    })?;
    Ok(match outcome.is_equal() {
        true => 0,
        false => FOUND,
    })
}
