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

use std::ffi::OsString;
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
    let cli = match args::Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            return answer(&error);
        }
    };
    run::run(cli)
}

/// Prints help and versions as clap does, and errors as all others are.
fn answer(error: &clap::Error) -> ExitCode {
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
    let hint = match details.is_empty() {
        true => "bundlecp --help, or bundlecp COMMAND --help".to_owned(),
        false => details.join(" "),
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
