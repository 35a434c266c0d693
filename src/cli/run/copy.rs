//! `copy`: sources and destination told apart, options, and the report.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use bundlecp::copy::{self, DestinationRule, OnNoSymlinks, Reflink, Sync};
use bundlecp::{Existing, Ownership, SpecialFiles, escape_path};

use super::globs::globs;
use super::{Failure, or_interrupted, print_json, progress};
use crate::cli::args::{self, CopyArgs, OutputArgs};
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
    // The copy stands, and a failure would say that nothing does: with nobody
    // to read the result, that is all.
    if let Err(error) = print_copied(&outcome, &options, output)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _ = writeln!(
            io::stderr(),
            "bundlecp: note: the copy is complete, but not its report: {error}"
        );
    }
    Ok(0)
}

fn print_copied(
    outcome: &copy::Outcome,
    options: &copy::Options,
    output: &OutputArgs,
) -> io::Result<()> {
    if output.json {
        print_json(&render::copied_json(outcome, options.dry_run))?;
    } else if output.verbose {
        write!(io::stdout(), "{}", render::entries(outcome))?;
    }
    if output.quiet {
        return Ok(());
    }
    for remark in render::remarks(outcome) {
        writeln!(io::stderr(), "bundlecp: note: {remark}")?;
    }
    let wants_sum = output.verbose || options.dry_run || io::stderr().is_terminal();
    match wants_sum && !output.json {
        true => writeln!(io::stderr(), "{}", render::copied(outcome, options.dry_run)),
        false => Ok(()),
    }
}

/// Tells sources and destination apart.
fn paths(arguments: &CopyArgs) -> Result<(Vec<PathBuf>, PathBuf, DestinationRule), Failure> {
    if arguments.dereference {
        let text = "copy `-L`: links are never followed\n\
                    hint: --on-no-symlinks=copy flattens them where they can't be kept";
        return Err(Failure::Usage(text.to_owned()));
    }
    let mut paths = arguments.paths.clone();
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
    options.existing = match (arguments.replace, arguments.merge) {
        (true, _) => Existing::Replace,
        (false, true) => Existing::Merge,
        (false, false) => Existing::Refuse,
    };
    options.on_no_symlinks = match arguments.on_no_symlinks {
        args::OnNoSymlinks::Fail => OnNoSymlinks::Fail,
        args::OnNoSymlinks::Copy => OnNoSymlinks::Copy,
        args::OnNoSymlinks::Manifest => OnNoSymlinks::Manifest,
    };
    options.reflink = match arguments.reflink {
        args::Reflink::Auto => Reflink::Auto,
        args::Reflink::Always => Reflink::Always,
        args::Reflink::Never => Reflink::Never,
    };
    options.sync = match arguments.sync {
        args::Sync::None => Sync::None,
        args::Sync::Data => Sync::Data,
        args::Sync::Full => Sync::Full,
    };
    if arguments.skip_special {
        options.special_files = SpecialFiles::Skip;
    }
    if keeps_owner {
        options.ownership = Ownership::Original;
    }
    if !arguments.exclude.is_empty() {
        let globs = globs(&arguments.exclude)?;
        options.exclude = Some(Box::new(move |path: &Path| globs.is_match(path)));
    }
    options.jobs = arguments.jobs.map(usize::from);
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}
