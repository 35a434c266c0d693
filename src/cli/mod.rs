//! The command line: arguments in, text or JSON and an exit status out.
//!
//! It uses only what the crate exports, and decides nothing that a library
//! caller would have to decide again.

mod args;
mod bar;
mod input;
mod interrupt;
mod render;
mod run;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand;

/// The names that begin a subcommand rather than a copy.
const SUBCOMMANDS: [&str; 16] = [
    "copy",
    "pack",
    "extract",
    "convert",
    "list",
    "probe",
    "verify",
    "manifest",
    "doctor",
    "repair",
    "onefile",
    "cache",
    "clean-env",
    "completions",
    "man",
    "help",
];

/// Exit status for wrong usage.
const USAGE: u8 = 2;

/// Runs the command line `arguments`, the program's own name first.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = with_subcommand(arguments.into_iter().collect());
    let cli = match args::Cli::try_parse_from(&arguments) {
        Ok(cli) => cli,
        Err(error) => {
            return answer(&error, &arguments);
        }
    };
    run::run(cli)
}

/// Prints help and versions as clap does, and errors as all others are.
fn answer(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    use std::io::Write;
    if !error.use_stderr() || error.kind() == DisplayHelpOnMissingArgumentOrSubcommand {
        // A closed pipe behind `--help` is nobody's error.
        let _ = error.print();
        return match error.use_stderr() {
            true => ExitCode::from(USAGE),
            false => ExitCode::SUCCESS,
        };
    }
    let text = error.render().to_string();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let cause = lines.next().unwrap_or_default();
    let cause = cause.strip_prefix("error: ").unwrap_or(cause);
    let details: Vec<&str> = lines
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim_start_matches("tip: "))
        .collect();
    let is_option = |argument: &&OsString| argument.as_encoded_bytes().starts_with(b"-");
    let source = arguments
        .iter()
        .skip(2)
        .find(|argument| !is_option(argument));
    let is_copy = arguments.get(1).is_some_and(|name| name == "copy");
    let hint = match source.filter(|_| is_copy).and_then(|source| meant(source)) {
        Some(hint) => hint,
        None if details.is_empty() => "bundlecp --help, or bundlecp COMMAND --help".to_owned(),
        None => details.join(" "),
    };
    let _ = writeln!(std::io::stderr(), "bundlecp: {cause}\nhint: {hint}");
    ExitCode::from(USAGE)
}

/// Puts `copy` before arguments that name no subcommand.
fn with_subcommand(mut arguments: Vec<OsString>) -> Vec<OsString> {
    let first = arguments.get(1).and_then(|first| first.to_str());
    let is_top_level = match first {
        None => arguments.len() < 2,
        Some("-h" | "--help" | "-V" | "--version") => true,
        Some(name) => SUBCOMMANDS.contains(&name),
    };
    if !is_top_level {
        arguments.insert(1, "copy".into());
    }
    arguments
}

/// The hint for a source of a copy that is no file, but a command's name: options in front
/// of it made it a source.
fn meant(source: &OsStr) -> Option<String> {
    let name = source.to_str().filter(|name| SUBCOMMANDS.contains(name))?;
    let is_there = Path::new(name).symlink_metadata().is_ok();
    (!is_there).then(|| format!("options stand behind a command: bundlecp {name} [OPTIONS]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_first_argument_is_a_subcommand() {
        for (arguments, expected) in [
            (vec!["bundlecp", "a", "b"], "copy"),
            (vec!["bundlecp", "-R", "probe", "b"], "copy"),
            (vec!["bundlecp", "--", "probe", "b"], "copy"),
            (vec!["bundlecp", "./probe", "b"], "copy"),
            (vec!["bundlecp", "probe", "b"], "probe"),
            (vec!["bundlecp", "--help"], "--help"),
            (vec!["bundlecp", "-v", "a", "b"], "copy"),
        ] {
            let given = arguments.iter().map(Into::into).collect();
            assert_eq!(with_subcommand(given)[1], expected, "{arguments:?}");
        }
    }
}
