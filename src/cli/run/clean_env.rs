//! `clean-env`: a program outside of the bundle that this runs in.

use std::io::{self, Write};
use std::path::Path;
use std::process::Command;

use bundlecp::escape_path;
use bundlecp::onefile::{Environment, run_outside};

use super::Failure;
use crate::cli::args::CleanEnvArgs;

pub(super) fn run(arguments: &CleanEnvArgs) -> Result<u8, Failure> {
    let Some((program, rest)) = arguments.command.split_first() else {
        return Err(Failure::Usage("clean-env: which command?".into()));
    };
    let mut command = Command::new(program);
    command.args(rest);
    let environment = Environment::new(std::env::vars_os());
    match run_outside(command, &environment) {
        Ok(status) => Ok(u8::try_from(status).unwrap_or(u8::MAX)),
        Err(error) => {
            let program = escape_path(Path::new(program));
            let _ = writeln!(io::stderr(), "bundlecp: clean-env `{program}`: {error}");
            // As env and shells say it.
            Ok(match error.kind() {
                io::ErrorKind::NotFound => 127,
                _ => 126,
            })
        }
    }
}
