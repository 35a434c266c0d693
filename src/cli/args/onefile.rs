//! The arguments of `onefile`, `cache` and `clean-env`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

use super::archive::size;
use super::{JobsArgs, OutputArgs, Profile, Sync};

pub(super) const ONEFILE_HELP: &str = "\
FILE is the stub, a small program, followed by the folder as a .bcp. Its first start
unpacks the folder into a private cache, verified and whole or not at all; every later
one becomes the program in there at once. It runs as it does in the folder: its own
arguments, signals, exit status and working folder.

The cache is the first of these that can hold and run the program, and that nobody else
can have prepared: what BUNDLECP_CACHE_DIR names, XDG_CACHE_HOME/bundlecp (else
~/.cache/bundlecp), TMPDIR, /var/tmp, /tmp; on Windows LOCALAPPDATA\\bundlecp, TEMP.
BUNDLECP_VERIFY=1 has all of it compared with its hashes first. The program finds
FILE's path in BUNDLECP_ORIGINAL_EXE.

A stub for Windows makes an .exe, anywhere: with a console if the program has one. It may
be signed afterwards.

list, extract, verify and convert read FILE as any archive.

Examples:
  bundlecp onefile dist/app --entry app -o app.run
  bundlecp onefile dist/tool --entry bin/tool --library-path lib -o tool.run
  bundlecp onefile dist/app --entry app -o app.run --profile small --ephemeral
  bundlecp onefile --from-pyinstaller dist/app -o app.run";

pub(super) const CACHE_HELP: &str = "\
Examples:
  bundlecp cache list
  bundlecp cache clean --max-age 30 --max-size 2G
  bundlecp cache path app.run                    where app.run is unpacked";

pub(super) const CLEAN_ENV_HELP: &str = "\
A program that is started from a bundle, such as a browser or xdg-open, must not load the
bundle's libraries. LD_LIBRARY_PATH and its kin get the values that were kept for them in
LD_LIBRARY_PATH_ORIG and so on, or go if there was none; what only a bundle's own programs
read goes as well. Outside of a bundle nothing changes.

Example:
  bundlecp clean-env -- xdg-open https://example.org";

#[derive(Debug, Args)]
pub(crate) struct OnefileArgs {
    /// The folder of the program and all that it needs
    #[arg(value_name = "DIR", required_unless_present = "from_pyinstaller", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,

    /// Take a program that PyInstaller's --onefile made for Linux instead of a folder
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["dir", "entry", "library_path", "exclude"], value_hint = ValueHint::FilePath)]
    pub from_pyinstaller: Option<PathBuf>,

    /// The program, by its path in DIR [default: DIR's own name]
    #[arg(long, value_name = "PATH")]
    pub entry: Option<PathBuf>,

    /// The executable to make
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The program that FILE begins with, of the platform that FILE is for
    /// [default: bundlecp-stub, beside bundlecp]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub stub: Option<PathBuf>,

    /// Search libraries in this folder of DIR first. Programs that PyInstaller made see
    /// to that themselves
    #[arg(long, value_name = "PATH")]
    pub library_path: Option<PathBuf>,

    /// Call the program by its own path, not as FILE was called: for Python environments and
    /// others that find their files by that
    #[arg(long)]
    pub own_name: bool,

    /// Unpack for each start, and remove all when the program ends
    #[arg(long)]
    pub ephemeral: bool,

    /// Never share files with another version in the cache
    #[arg(long)]
    pub no_share: bool,

    /// How hard to compress: 1 to 22
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub level: Option<i32>,

    /// What to spend time on
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub profile: Profile,

    /// Replace a FILE that exists, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Leave out paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    /// Find out and check everything, and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    pub command: CacheCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum CacheCommand {
    /// List what executables unpacked, the last used first
    List(CacheListArgs),
    /// Remove what isn't in use, or what is beyond limits
    Clean(CacheCleanArgs),
    /// Print the folder of the cache, or of an executable in it
    Path(CachePathArgs),
}

#[derive(Debug, Args)]
pub(crate) struct CacheListArgs {
    /// The cache [default: every folder that executables would use]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CacheCleanArgs {
    /// The cache [default: every folder that executables would use]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,

    /// Keep so much, the last used first: 500M, 2G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,

    /// Keep what was used in so many days
    #[arg(long, value_name = "DAYS")]
    pub max_age: Option<u32>,

    /// Say what would be removed, and remove nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Print one JSON document
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CachePathArgs {
    /// An executable that bundlecp onefile made
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct CleanEnvArgs {
    /// The program and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true, value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}
