//! The arguments of `doctor`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{JobsArgs, OutputArgs};

pub(super) const HELP: &str = "\
Finds links that became copies or text files, by the rules of what made them: PyInstaller,
frameworks, applications, venv, npm and pnpm; links that lead to nothing, out of the bundle
or in a circle; programs that lost their executable bits; libraries that the loader doesn't
find or finds twice; names that collide on macOS and Windows, or that Windows can't hold;
and what code signing refuses in an .app. Nothing is changed.

An archive is unpacked into a folder in TMPDIR, which is removed again. Exits with 1 if
there are problems; a note is none.

Examples:
  bundlecp doctor dist/app                       what is wrong, and what mends it
  bundlecp doctor app.zip                        did the links survive packing?
  bundlecp doctor dist/app --html report.html    a page with a map of the bundle
  bundlecp doctor dist/app --format sarif > doctor.sarif
                                                 for code hosts that show such findings";

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The folder or archive of a bundle
    #[arg(value_name = "DIR|ARCHIVE", value_hint = ValueHint::AnyPath)]
    pub source: PathBuf,

    /// What is printed on standard output
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        default_value_t,
        conflicts_with = "json"
    )]
    pub format: ReportFormat,

    /// Write a page for browsers, with a map of the bundle
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub html: Option<PathBuf>,

    /// Replace a FILE that exists, in one step
    #[arg(
        short = 'f',
        long,
        visible_alias = "force",
        requires = "html",
        overrides_with = "replace"
    )]
    pub replace: bool,

    #[command(flatten)]
    pub jobs: JobsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people
    #[default]
    Text,
    /// As --json
    Json,
    /// SARIF 2.1.0, for code hosts
    Sarif,
}
