//! `onefile`: options, and the report.

use std::path::{Path, PathBuf};

use bundlecp::onefile::{Builder, from_pyinstaller};
use bundlecp::pack;

use super::globs::globs;
use super::report::{EntriesTo, Report};
use super::{Failure, escaped, options, or_interrupted, progress};
use crate::cli::args::OnefileArgs;
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

/// The stub's name beside the command.
const STUB: &str = "bundlecp-stub";

pub(super) fn run(arguments: &OnefileArgs) -> Result<u8, Failure> {
    let mut builder = Builder::new(stub(arguments)?, entry(arguments)?)
        .ephemeral(arguments.ephemeral)
        .share(!arguments.no_share)
        .own_name(arguments.own_name)
        .options(pack_options(arguments)?);
    if let Some(folder) = &arguments.library_path {
        builder = builder.library_path(folder);
    }
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let outcome = match (&arguments.from_pyinstaller, &arguments.dir) {
        (Some(program), _) => from_pyinstaller(builder, program, &arguments.file, &bar),
        (None, dir) => builder.build(
            dir.as_deref().unwrap_or(Path::new(".")),
            &arguments.file,
            &bar,
        ),
    };
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let is_dry_run = arguments.dry_run;
    let report = Report {
        what: "the executable",
        json: render::built_json(&outcome, is_dry_run),
        entries: String::new(),
        remarks: render::packed_remarks(&outcome.packed),
        sum: render::built(&outcome, is_dry_run),
        is_dry_run,
        entries_to: EntriesTo::StandardOutput,
    };
    report.print(output);
    Ok(0)
}

/// The stub that was named, or the one beside this program.
fn stub(arguments: &OnefileArgs) -> Result<PathBuf, Failure> {
    if let Some(stub) = &arguments.stub {
        return Ok(stub.clone());
    }
    let own = std::env::current_exe().ok();
    let beside = own.as_deref().and_then(Path::parent).map(|folder| {
        let name = format!("{STUB}{}", std::env::consts::EXE_SUFFIX);
        folder.join(name)
    });
    beside.filter(|path| path.is_file()).ok_or_else(|| {
        let text = format!(
            "find `{STUB}`: it isn't beside bundlecp\nhint: --stub PATH names it; it is built as \
             cargo build --release --bin {STUB}"
        );
        Failure::Usage(text)
    })
}

/// The program that was named, or the one that has the folder's name.
fn entry(arguments: &OnefileArgs) -> Result<PathBuf, Failure> {
    if let Some(entry) = &arguments.entry {
        return Ok(entry.clone());
    }
    let Some(dir) = &arguments.dir else {
        return Ok(PathBuf::new());
    };
    let folder = std::fs::canonicalize(dir).unwrap_or_else(|_| dir.clone());
    let name = folder.file_name().map(PathBuf::from);
    name.ok_or_else(|| {
        let dir = escaped(&dir.to_string_lossy());
        Failure::Usage(format!(
            "start with `{dir}`: what?\nhint: --entry names the program"
        ))
    })
}

fn pack_options(arguments: &OnefileArgs) -> Result<pack::Options, Failure> {
    let mut options = pack::Options::default();
    options.profile = options::profile(arguments.profile);
    options.level = arguments.level;
    options.existing = options::existing(arguments.replace, false);
    options.sync = options::sync(arguments.sync);
    if !arguments.exclude.is_empty() {
        let globs = globs("exclude", &arguments.exclude)?;
        options.exclude = Some(Box::new(move |path: &Path| globs.is_match(path)));
    }
    options.latest = options::latest()?;
    options.jobs = arguments.jobs.count();
    options.dry_run = arguments.dry_run;
    Ok(options)
}
