//! `verify`: the differences between two trees.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use bundlecp::onefile::cache::{self, Verified};
use bundlecp::onefile::{Environment, locate};
use bundlecp::verify::{self, DifferenceKind, Tree};

use super::{FOUND, Failure, escaped, or_interrupted, print_json, progress, unless_closed};
use crate::cli::args::VerifyArgs;
use crate::cli::bar::Bar;
use crate::cli::input::{self, STANDARD_INPUT};
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

pub(super) fn run(arguments: &VerifyArgs) -> Result<u8, Failure> {
    let mut options = verify::Options::default();
    options.jobs = arguments.jobs.count();
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
    let (left, right) = trees(arguments, &interrupt)?;
    let Some(right) = right else {
        let checked = verify::check_tree(left, &options, &bar).and_then(|checked| {
            let cached = unpacked(&arguments.left, &bar)?;
            Ok((checked, cached))
        });
        bar.clear();
        let (checked, cached) = checked.map_err(|error| or_interrupted(error, &interrupt))?;
        let cached = cached.as_ref();
        unless_closed(match (output.json, output.quiet) {
            (true, _) => print_json(&render::checked_json(&checked, cached)),
            (false, false) => write!(io::stdout(), "{}", render::checked(&checked, cached)),
            (false, true) => Ok(()),
        })?;
        return Ok(match cached.is_none_or(Verified::is_intact) {
            true => 0,
            false => FOUND,
        });
    };
    let outcome = verify::verify_trees(left, right, &options, &bar);
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let color = super::is_colored(output);
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

/// What a self-extracting executable unpacked, compared with its hashes.
fn unpacked(path: &Path, bar: &Bar) -> bundlecp::Result<Option<Verified>> {
    match path.as_os_str() != "-" && locate(path).is_ok() {
        true => cache::verify(path, &Environment::new(std::env::vars_os()), bar),
        false => Ok(None),
    }
}

/// The one or two trees that are named, of which one may be standard input.
fn trees<'a>(
    arguments: &'a VerifyArgs,
    interrupt: &Interrupt,
) -> Result<(Tree<'a>, Option<Tree<'a>>), Failure> {
    let is_stream = |path: &PathBuf| path.as_os_str() == "-";
    if is_stream(&arguments.left) && arguments.right.as_ref().is_some_and(is_stream) {
        let text = "verify: standard input can be only one of the two\nhint: name a file";
        return Err(Failure::Usage(text.to_owned()));
    }
    let tree = |path: &'a PathBuf| match is_stream(path) {
        false => Ok(Tree::At(path)),
        true => {
            super::check_standard_input("verify")?;
            let reader = input::standard_input(interrupt.clone())?;
            Ok::<_, Failure>(Tree::From(Box::new(reader), Path::new(STANDARD_INPUT)))
        }
    };
    let right = arguments.right.as_ref().map(tree).transpose()?;
    Ok((tree(&arguments.left)?, right))
}
