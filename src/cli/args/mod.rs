//! The arguments, as clap reads them. Only shapes and texts; no decisions.

mod archive;
mod convert;
mod copy;
mod doctor;
mod manifest;
mod onefile;
mod repair;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

pub(crate) use archive::{
    ArchiveFormat, ExtractArgs, ListArgs, PackArgs, Profile, Sharing, ZipMethod,
};
pub(crate) use convert::ConvertArgs;
pub(crate) use copy::{CopyArgs, Reflink};
pub(crate) use doctor::{DoctorArgs, ReportFormat};
pub(crate) use manifest::ManifestArgs;
pub(crate) use onefile::{
    CacheArgs, CacheCleanArgs, CacheCommand, CacheListArgs, CachePathArgs, CleanEnvArgs,
    OnefileArgs,
};
pub(crate) use repair::RepairArgs;

/// Copies application bundles without losing a link, all or nothing, and proves it.
#[derive(Debug, Parser)]
#[command(
    name = "bundlecp",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    override_usage = "bundlecp [-R] [OPTIONS] SRC... DST\n       bundlecp <COMMAND>",
    after_help = AFTER_HELP
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Without a command, bundlecp copies: `bundlecp -R dist/app /opt/app` is
`bundlecp copy -R dist/app /opt/app`. See `bundlecp copy --help` for its options.

Examples:
  bundlecp -R dist/app /opt/app      copy a bundle, whole or not at all
  bundlecp -R dist/app /mnt/stick    fails before the first byte if links can't be kept there
  bundlecp verify dist/app /opt/app  name every difference and every lost link
  bundlecp manifest dist/app -o app.manifest
                                     what it is, with hashes; verify compares with it later
  bundlecp doctor app.zip            what is wrong with it, and which links were lost?
  bundlecp repair /opt/app           put lost links back (says what it would do, first)
  bundlecp probe /mnt/stick          can this place hold a bundle?
  bundlecp pack dist/app -o app.tar.zst
                                     an archive that is the same on every machine
  bundlecp extract app.tar.zst -C /opt
                                     makes /opt/app, whole or not at all
  bundlecp convert app.zip app.bcp   the same in another format
  bundlecp list app.zip              what an archive holds
  bundlecp onefile dist/app --entry app -o app.run
                                     one executable, unpacked once, starts like the folder

Exit status:
  0  done                           3  the destination can't hold the bundle; nothing was written
  1  differences or problems        4  the input is malformed, unsafe or truncated
  2  wrong usage                    5  an I/O error; the destination is as it was
                                    130, 143, 129  interrupted; staging removed";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy files, folders and links, whole or not at all (the default)
    #[command(override_usage = "bundlecp [-R] [OPTIONS] SRC... DST\n       bundlecp [-R] [OPTIONS] -t DIR SRC...", after_help = copy::HELP)]
    Copy(Box<CopyArgs>),
    /// Pack folders into an archive, whole or not at all
    #[command(after_help = archive::PACK_HELP)]
    Pack(Box<PackArgs>),
    /// Extract an archive, whole or not at all
    #[command(after_help = archive::EXTRACT_HELP)]
    Extract(Box<ExtractArgs>),
    /// Convert an archive into another format, without unpacking it
    #[command(after_help = convert::HELP)]
    Convert(Box<ConvertArgs>),
    /// List what an archive holds
    #[command(after_help = archive::LIST_HELP)]
    List(ListArgs),
    /// Find out by trying what a folder's file system can hold
    #[command(after_help = PROBE_HELP)]
    Probe(ProbeArgs),
    /// Compare two folders, archives or manifests and name every difference
    #[command(after_help = VERIFY_HELP)]
    Verify(VerifyArgs),
    /// Write down what a folder or an archive holds, with a hash of each content
    #[command(after_help = manifest::HELP)]
    Manifest(ManifestArgs),
    /// Find out what is wrong with a bundle, and which links it has lost
    #[command(after_help = doctor::HELP)]
    Doctor(DoctorArgs),
    /// Put back the links that a folder has lost
    #[command(after_help = repair::HELP)]
    Repair(RepairArgs),
    /// Make one executable of a bundle, which unpacks itself once and starts like the folder
    #[command(after_help = onefile::ONEFILE_HELP)]
    Onefile(Box<OnefileArgs>),
    /// Look after what such executables unpacked
    #[command(after_help = onefile::CACHE_HELP)]
    Cache(CacheArgs),
    /// Run a program without what a bundle changed in its environment
    #[command(name = "clean-env", after_help = onefile::CLEAN_ENV_HELP)]
    CleanEnv(CleanEnvArgs),
    /// Print a completion script for a shell
    Completions(CompletionsArgs),
    /// Print the manual page in roff
    Man,
}

const PROBE_HELP: &str = "\
Makes links, files and names in a private folder inside DIR, reads them back, and
removes them. Exits with 1 if symbolic links can't be made there.

Example:
  bundlecp probe /mnt/stick --json";

const VERIFY_HELP: &str = "\
Kinds of difference: missing, extra, type, flattened (a link became a copy of its
target), stub (a link became a text file holding its target), retargeted, content,
mode, mtime, hardlink, xattr. Exits with 1 if there are any. What an archive's format
can't hold is no difference.

Examples:
  bundlecp verify dist/app /opt/app
  bundlecp verify app.tar.zst /opt/app
  bundlecp verify app.manifest /opt/app          a manifest that `bundlecp manifest` wrote
  curl -s URL | bundlecp verify -
  bundlecp verify dist/app /mnt/stick/app --ignore mode,mtime --json";

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// The folder to ask; must be writable
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: PathBuf,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// The original: a folder, an archive or a manifest; - reads an archive or a manifest
    /// from standard input
    #[arg(value_name = "LEFT", value_hint = ValueHint::AnyPath)]
    pub left: PathBuf,

    /// What is held against it: a folder, an archive or a manifest. Without it, LEFT is
    /// no folder, and is checked by all sums and hashes that it has
    #[arg(value_name = "RIGHT", value_hint = ValueHint::AnyPath)]
    pub right: Option<PathBuf>,

    /// Kinds of difference that don't count, separated by commas
    #[arg(long, value_name = "KIND", value_delimiter = ',')]
    pub ignore: Vec<String>,

    #[command(flatten)]
    pub jobs: JobsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct JobsArgs {
    /// How many threads work [default: one a core]
    #[arg(short = 'j', long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub jobs: Option<u16>,
}

impl JobsArgs {
    /// The number as the library takes it.
    pub(crate) fn count(&self) -> Option<usize> {
        self.jobs.map(usize::from)
    }
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Say what is done
    #[arg(short = 'v', long, overrides_with = "verbose")]
    pub verbose: bool,

    /// Say nothing but errors
    #[arg(short = 'q', long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Print one JSON document on standard output
    #[arg(long)]
    pub json: bool,

    /// Show a progress bar on standard error
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub progress: When,

    /// Use colours
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub color: When,
}

#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum When {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum OnNoSymlinks {
    /// Refuse, before anything is written
    #[default]
    Fail,
    /// Copy what the links lead to in their place
    Copy,
    /// Copy the rest, and write the links down in .bundlecp-links.json
    Manifest,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Sync {
    /// Nothing, as after cp
    #[default]
    None,
    /// The content, before it appears under its name
    Data,
    /// The name as well
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
