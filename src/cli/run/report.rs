//! Telling the result of an operation that succeeded.

use std::io::{self, IsTerminal, Write};

use serde_json::Value;

use super::print_json;
use crate::cli::args::OutputArgs;

/// A result, in all the forms in which it may be asked for.
pub(super) struct Report {
    /// What stands whether the result can be told or not: `the copy`.
    pub what: &'static str,
    pub json: Value,
    /// What was done, a line each; asked for with `-v`.
    pub entries: String,
    pub remarks: Vec<String>,
    pub sum: String,
    pub is_dry_run: bool,
    pub entries_to: EntriesTo,
}

/// Where the lines of `-v` go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntriesTo {
    StandardOutput,
    /// Standard output has the archive.
    StandardError,
}

impl Report {
    /// Prints it. What was done stands, and a failure would say that nothing
    /// does: with nobody to read the result, that is all.
    pub(super) fn print(&self, output: &OutputArgs) {
        if let Err(error) = self.try_print(output)
            && error.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = writeln!(
                io::stderr(),
                "bundlecp: note: {} is complete, but not its report: {error}",
                self.what
            );
        }
    }

    fn try_print(&self, output: &OutputArgs) -> io::Result<()> {
        match (output.json, output.verbose, self.entries_to) {
            (true, ..) => print_json(&self.json)?,
            (false, true, EntriesTo::StandardOutput) => {
                io::stdout().write_all(self.entries.as_bytes())?;
            }
            (false, true, EntriesTo::StandardError) => {
                io::stderr().write_all(self.entries.as_bytes())?;
            }
            (false, false, _) => {}
        }
        if output.quiet {
            return Ok(());
        }
        for remark in &self.remarks {
            writeln!(io::stderr(), "bundlecp: note: {remark}")?;
        }
        let wants_sum = output.verbose || self.is_dry_run || io::stderr().is_terminal();
        match wants_sum && !output.json {
            true => writeln!(io::stderr(), "{}", self.sum),
            false => Ok(()),
        }
    }
}
