//! The arguments of `convert`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::archive::{ArchiveFormat, size};
use super::{JobsArgs, OutputArgs, Profile, Sync, ZipMethod};

pub(super) const HELP: &str = "\
IN's format is found by its content, as in extract; OUT's follows from its ending, as in pack. Members
are checked as extract checks them, and nothing is unpacked: contents go from one
archive into the other, and OUT has the bytes that pack makes of the same folder.

What OUT's format can't hold, such as a zip hard links, is named on standard error and
in --json. OUT appears whole or not at all; with -f it may be IN itself.

Examples:
  bundlecp convert app.zip app.tar.zst
  bundlecp convert -f app.tar.gz app.bcp --profile small
  curl -s URL | bundlecp convert - app.bcp --untrusted
  bundlecp convert app.bcp - --format tar | tar -t";

#[derive(Debug, Args)]
pub(crate) struct ConvertArgs {
    /// The archive; - reads standard input
    #[arg(value_name = "IN", value_hint = ValueHint::FilePath)]
    pub input: PathBuf,

    /// The new archive; - writes it to standard output
    #[arg(value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The new archive's format [default: by OUT's ending]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ArchiveFormat>,

    /// How hard to compress, in the format's own numbers
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub level: Option<i32>,

    /// What to spend time on
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub profile: Profile,

    /// Make one zstd frame, for decoders that stop after the first
    #[arg(long)]
    pub single_frame: bool,

    /// How a zip's members are compressed
    #[arg(long, value_enum, value_name = "METHOD", default_value_t)]
    pub zip_method: ZipMethod,

    /// Replace an OUT that exists, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Convert only paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,

    /// Leave out paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Refuse archives from strangers that hold more than 16 GiB, a million members, or 200 times their size
    #[arg(long)]
    pub untrusted: bool,

    /// Refuse more content than this: bytes, or with K, M, G, T
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,

    /// Refuse more members than this
    #[arg(long, value_name = "N")]
    pub max_entries: Option<u64>,

    /// Refuse more bytes of content than this for each byte of the archive
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_ratio: Option<u64>,

    /// Write down owners and groups; without it everything belongs to 0/0
    #[arg(long, overrides_with = "preserve_owner")]
    pub preserve_owner: bool,

    /// Take links that lead out of the bundle, too
    #[arg(long)]
    pub allow_external_links: bool,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    /// Check all members and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}
