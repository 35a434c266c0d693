//! The arguments of `copy`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

use super::{JobsArgs, OnNoSymlinks, OutputArgs, Sync};

pub(super) const HELP: &str = "\
Like `cp -a`, every copy keeps links byte for byte, modes, times to the nanosecond,
hard links, holes and user attributes, with or without -R, -a, -p. Unlike `cp`, the
copy appears whole, by one rename, or not at all.

If DST is an existing folder the copy is DST/<name of SRC>; -T says that DST is the
copy's own name. SRC/. copies what is in SRC. A target that exists is an error unless
-f (swap it for the copy) or --merge (lay the copy over it) is given.

Examples:
  bundlecp -R dist/app /opt            makes /opt/app
  bundlecp -fRT dist/app /opt/app      replaces /opt/app in one step
  bundlecp -R --merge dist/app /opt    updates /opt/app, keeps what else is there
  bundlecp -R app1 app2 -t /opt        both or none
  bundlecp -R dist/app /mnt/stick --on-no-symlinks=copy
                                       flattens the links where there can be none
  bundlecp -nv -R dist/app /opt        checks and lists everything, writes nothing";

#[derive(Debug, Args)]
pub(crate) struct CopyArgs {
    /// What to copy, then where to; with -t all are copied
    #[arg(value_name = "SRC... DST", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,

    /// Copy folders with all that is in them: always on, for `cp`'s sake
    #[arg(short = 'R', long, short_alias = 'r', overrides_with = "recursive")]
    pub recursive: bool,

    /// Like cp -a: also keep owners, as far as this user may
    #[arg(short = 'a', long, overrides_with = "archive")]
    pub archive: bool,

    /// Like cp -p: also keep owners, as far as this user may
    #[arg(short = 'p', long, overrides_with = "preserve")]
    pub preserve: bool,

    /// Keep owners and groups, as far as this user may
    #[arg(long, overrides_with = "preserve_owner")]
    pub preserve_owner: bool,

    /// Copy links as links: always on, for `cp`'s sake
    #[arg(
        short = 'P',
        long,
        short_alias = 'd',
        overrides_with = "no_dereference"
    )]
    pub no_dereference: bool,

    /// Refused: bundlecp never follows links
    #[arg(short = 'L', long, short_alias = 'H', hide = true)]
    pub dereference: bool,

    /// Swap a target that exists for the copy, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Lay the copy over a target that exists, file by file
    #[arg(long, conflicts_with = "replace")]
    pub merge: bool,

    /// Copy into this folder, which must exist
    #[arg(short = 't', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub target_directory: Option<PathBuf>,

    /// DST is the copy's own name, even if it is an existing folder
    #[arg(short = 'T', long, conflicts_with = "target_directory")]
    pub no_target_directory: bool,

    /// Check everything and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    /// Leave out devices, FIFOs and sockets instead of refusing them
    #[arg(long)]
    pub skip_special: bool,

    /// Keep Windows' junctions as links, relative ones within a drive
    #[arg(long)]
    pub junctions_as_links: bool,

    /// What to do with links where the destination can't hold them
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub on_no_symlinks: OnNoSymlinks,

    /// Share storage with the source where the file system can
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub reflink: Reflink,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    /// Leave out paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    #[command(flatten)]
    pub jobs: JobsArgs,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Reflink {
    /// Where the file system can
    #[default]
    Auto,
    /// Or fail
    Always,
    /// Never
    Never,
}
