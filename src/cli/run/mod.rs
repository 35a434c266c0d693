//! The subcommands: from arguments to an exit status, a file each.

mod cache;
mod clean_env;
mod convert;
mod copy;
mod doctor;
mod extract;
mod globs;
mod list;
mod manifest;
mod manual;
mod onefile;
mod options;
mod pack;
mod probe;
mod repair;
mod report;
mod selection;
mod verify;

use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use bundlecp::{Error, ErrorKind, escape_path};

use super::args::{Cli, Command, OutputArgs, When};
use super::interrupt::Interrupt;

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

/// Differences, problems, or no symbolic links.
const FOUND: u8 = 1;

/// Runs one command and says what went wrong on standard error.
pub(crate) fn run(cli: Cli) -> ExitCode {
    let done = match cli.command {
        Command::Copy(arguments) => copy::run(&arguments),
        Command::Pack(arguments) => pack::run(&arguments),
        Command::Extract(arguments) => extract::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::List(arguments) => list::run(&arguments),
        Command::Probe(arguments) => probe::run(&arguments),
        Command::Verify(arguments) => verify::run(&arguments),
        Command::Manifest(arguments) => manifest::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Repair(arguments) => repair::run(&arguments),
        Command::Onefile(arguments) => onefile::run(&arguments),
        Command::Cache(arguments) => cache::run(&arguments.command),
        Command::CleanEnv(arguments) => clean_env::run(&arguments),
        Command::Completions(arguments) => manual::completions(arguments.shell),
        Command::Man => manual::man(),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(failure) => ExitCode::from(report(failure)),
    }
}

fn report(failure: Failure) -> u8 {
    let (text, status) = match failure {
        Failure::Usage(text) => (format!("bundlecp: {text}"), 2),
        Failure::Operation(error) => (error.report(), error.kind().exit_status()),
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

fn escaped(typed: &str) -> String {
    escape_path(Path::new(typed))
}

fn progress(output: &OutputArgs) -> When {
    match output.quiet {
        true => When::Never,
        false => output.progress,
    }
}

/// Whether standard output gets colours.
fn is_colored(output: &OutputArgs) -> bool {
    match output.color {
        When::Auto => io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        When::Always => true,
        When::Never => false,
    }
}

/// A terminal has no archive to read.
fn check_standard_input(command: &str) -> Result<(), Failure> {
    match io::stdin().is_terminal() {
        true => Err(Failure::Usage(format!(
            "{command} `-`: standard input is a terminal\n\
             hint: name a file, or put a pipe in front"
        ))),
        false => Ok(()),
    }
}

/// An interrupted operation ends with its signal's status, not with an error.
fn or_interrupted(error: Error, interrupt: &Interrupt) -> Failure {
    match error.kind() {
        ErrorKind::Interrupted => Failure::Interrupted(interrupt.exit_status()),
        // The signal reached a reader before it reached the operation.
        _ if interrupt.is_set() => Failure::Interrupted(interrupt.exit_status()),
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
