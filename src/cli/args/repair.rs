//! The arguments of `repair`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{JobsArgs, OutputArgs, Sync};

pub(super) const HELP: &str = "\
Without --apply it only says what it would do. With it, the repaired folder is made beside
the old one, both are compared, and they are swapped in one step.

Without --from it goes by rules: PyInstaller's links to libraries, those of frameworks,
applications, venv, npm and pnpm, .bundlecp-links.json, and text files that hold a link's
target. A copy becomes a link only if it is equal to what that leads to, and to nothing
else that it may have led to; all else is listed and stays. Programs get their executable
bits back.

With --from, links, modes and times become what they were: by a manifest, an archive or
a folder of the bundle before it was damaged.

Examples:
  bundlecp repair dist/app                       what would be done?
  bundlecp repair dist/app --apply
  bundlecp repair /opt/app --from app.manifest --apply";

#[derive(Debug, Args)]
pub(crate) struct RepairArgs {
    /// The folder of the bundle
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,

    /// The bundle as it was
    #[arg(long, value_name = "MANIFEST|ARCHIVE|DIR", value_hint = ValueHint::AnyPath)]
    pub from: Option<PathBuf>,

    /// Do it, whole or not at all
    #[arg(long, conflicts_with = "dry_run")]
    pub apply: bool,

    /// Only say what would be done (the default)
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}
