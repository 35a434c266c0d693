//! The arguments of `manifest`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::{JobsArgs, OutputArgs, Sync};

pub(super) const HELP: &str = "\
A line of JSON for each entry, sorted by path: kind, size, mode, time, link target, user
attributes and the BLAKE3 of each content. The line in front has the tree hash, which is
one for the folder and for every archive of its contents that tells as much; of a .bcp,
the root hash stands beside it.

The same tree gives the same bytes, for any number of threads. FILE appears whole or not
at all. verify takes a manifest on either side.

Examples:
  bundlecp manifest dist/app -o app.manifest
  bundlecp verify app.manifest /opt/app          what changed since then?
  bundlecp manifest app.tar.zst | jq -r 'select(.kind == \"file\") | .hash + \"  \" + .path'
  curl -s URL | bundlecp manifest - -o app.manifest";

#[derive(Debug, Args)]
pub(crate) struct ManifestArgs {
    /// A folder or an archive; - reads an archive from standard input
    #[arg(value_name = "DIR|ARCHIVE", value_hint = ValueHint::AnyPath)]
    pub source: PathBuf,

    /// The manifest [default: standard output]
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,

    /// Replace a FILE that exists, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Leave out devices, FIFOs and sockets instead of refusing them
    #[arg(long)]
    pub skip_special: bool,

    /// Keep Windows' junctions as links, relative ones within a drive
    #[arg(long)]
    pub junctions_as_links: bool,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}
