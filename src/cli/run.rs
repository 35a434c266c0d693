//! The subcommands: one short function each, from arguments to an exit status.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use bundlecp::copy::{self, DestinationRule, OnNoSymlinks, Reflink, Sync};
use bundlecp::verify::{self, DifferenceKind};
use bundlecp::{Error, ErrorKind, Existing, Ownership, SpecialFiles, escape_path};
use clap::CommandFactory;
use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::args::{self, Cli, Command, CopyArgs, OutputArgs, ProbeArgs, VerifyArgs, When};
use super::bar::Bar;
use super::interrupt::Interrupt;
use super::render;

/// What a command came to: an exit status, or why there is none.
enum Failure {
    Usage(String),
    Operation(Error),
    Output(io::Error),
    Interrupted(u8),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Operation(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Output(error)
    }
}

/// Differences, or no symbolic links.
const FOUND: u8 = 1;

/// Runs one command and says what went wrong on standard error.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Copy(arguments) => run_copy(&arguments),
        Command::Probe(arguments) => run_probe(&arguments),
        Command::Verify(arguments) => run_verify(&arguments),
        Command::Completions(arguments) => run_completions(arguments.shell),
        Command::Man => run_man(),
        Command::Coming(words) => Err(coming(&words)),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(failure) => ExitCode::from(report(failure)),
    }
}

fn report(failure: Failure) -> u8 {
    let (text, status) = match failure {
        Failure::Usage(text) => (format!("bundlecp: {text}"), 2),
        Failure::Operation(error) => (render::error(&error), render::exit_status(error.kind())),
        Failure::Output(error) => (format!("bundlecp: write `standard output`: {error}"), 5),
        Failure::Interrupted(status) => {
            let text = "bundlecp: interrupted; the destination is as it was".to_owned();
            (text, status)
        }
    };
    // With standard error closed, the exit status still tells.
    let _ = writeln!(io::stderr(), "{text}");
    status
}

fn run_copy(arguments: &CopyArgs) -> Result<u8, Failure> {
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

/// `*.pyc` matches at any depth, `a/*.pyc` in the folder `a` of the root.
fn globs(patterns: &[String]) -> Result<GlobSet, Failure> {
    let failed = |typed: &str, error: &globset::Error| {
        Failure::Usage(format!("exclude `{}`: {}", escaped(typed), error.kind()))
    };
    let mut set = GlobSetBuilder::new();
    for typed in patterns {
        let pattern = typed.trim_end_matches('/');
        let anywhere = match pattern.contains('/') {
            true => pattern.trim_start_matches('/').to_owned(),
            false => format!("**/{pattern}"),
        };
        let glob = GlobBuilder::new(&anywhere).literal_separator(true).build();
        set.add(glob.map_err(|error| failed(typed, &error))?);
    }
    set.build()
        .map_err(|error| failed(&patterns.join(" "), &error))
}

fn run_probe(arguments: &ProbeArgs) -> Result<u8, Failure> {
    let found = bundlecp::probe_dir(&arguments.dir)?;
    unless_closed(match arguments.json {
        true => print_json(&render::capabilities_json(&found)),
        false => write!(io::stdout(), "{}", render::capabilities(&found)),
    })?;
    Ok(match found.symlinks.is_yes() {
        true => 0,
        false => FOUND,
    })
}

fn run_verify(arguments: &VerifyArgs) -> Result<u8, Failure> {
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
    let outcome = verify::verify(&arguments.left, &arguments.right, &options, &bar);
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

fn run_completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bundlecp", &mut script);
    unless_closed(io::stdout().write_all(&script))?;
    Ok(0)
}

/// One page with the options of every command.
fn run_man() -> Result<u8, Failure> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let man = clap_mangen::Man::new(subcommand.clone());
        writeln!(
            page,
            ".SH \"BUNDLECP {}\"",
            subcommand.get_name().to_uppercase()
        )?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    unless_closed(io::stdout().write_all(&page))?;
    Ok(0)
}

/// The answer to a command of the contract that this version doesn't have.
fn coming(words: &[OsString]) -> Failure {
    let name = words
        .first()
        .map(|word| escape_path(Path::new(word)))
        .unwrap_or_default();
    Failure::Usage(format!(
        "run `{name}`: this version does not have the command yet\n\
         hint: to copy something of this name, write `./{name}`"
    ))
}

fn escaped(typed: &str) -> String {
    escape_path(Path::new(typed))
}

fn progress(output: &OutputArgs) -> When {
    match output.quiet {
        true => When::Never,
        false => output.progress,
    }
}

/// An interrupted operation ends with its signal's status, not with an error.
fn or_interrupted(error: Error, interrupt: &Interrupt) -> Failure {
    match error.kind() {
        ErrorKind::Interrupted => Failure::Interrupted(interrupt.exit_status()),
        _ => Failure::Operation(error),
    }
}

/// Whoever closed the pipe has read enough.
fn unless_closed(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

fn print_json(document: &serde_json::Value) -> io::Result<()> {
    writeln!(io::stdout(), "{document:#}")
}
