//! The arguments of `pack`, `extract` and `list`.

use std::path::PathBuf;

use bundlecp::pack::Format;
use clap::builder::PossibleValue;
use clap::{Args, ValueEnum, ValueHint};

use super::{JobsArgs, OnNoSymlinks, OutputArgs, Sync};

pub(super) const PACK_HELP: &str = "\
The format follows from FILE's ending: .tar, .tar.gz (.tgz), .tar.bz2 (.tbz2),
.tar.xz (.txz), .tar.zst (.tzst), .zip. Links are kept byte for byte, and so are modes,
times, hard links, holes and user attributes, as far as the format has them.

The same folder gives the same bytes, on any machine and for any number of threads:
members are sorted, belong to 0/0, and no time of the run is written down. If
SOURCE_DATE_EPOCH is set, no time is later than that. FILE appears whole or not at all.

Examples:
  bundlecp pack dist/app -o app.tar.zst          stores app/...
  bundlecp pack dist/app -o app.zip --strip-root stores what is in app
  bundlecp pack dist/app -o app-1.2.tar.xz --root app-1.2 --profile small
  bundlecp pack dist/app -o - --format tar.zst | ssh host bundlecp extract - -C /opt";

pub(super) const EXTRACT_HELP: &str = "\
The format is found by FILE's content: any that pack makes, or a program that
PyInstaller's --onefile made, of which all is extracted that it unpacks at its start.

DIR is made if it isn't there, and then appears whole. If it is there, it receives each
member at the top of the archive by one rename; a member that stands there already is an
error unless -f or --merge is given.

A MEMBER is a member's path, a folder's path (which takes all that is in it) or a
pattern. Patterns without a slash match at any depth.

Nothing is ever written outside of DIR or through a link. Links that lead out of the
bundle are refused unless --allow-external-links is given.

Examples:
  bundlecp extract app.tar.zst -C /opt           makes /opt/app
  bundlecp extract -f app.tar.zst -C /opt        replaces /opt/app in one step
  bundlecp extract app.zip -C new --strip-components 1
  bundlecp extract app.tar.gz app/lib '*.txt'    these only
  bundlecp extract dist/app.exe -C new           what PyInstaller put into the program
  curl -s URL | bundlecp extract - -C new --untrusted";

pub(super) const LIST_HELP: &str = "\
Members are listed in the archive's order and as it spells them, those included that
extract would refuse. Folders end in a slash. The long list of a .bcp ends with its
root hash, as pack and verify print it; only verify compares every byte with it.

Examples:
  bundlecp list app.tar.zst
  bundlecp list -l app.zip                       modes, sizes, times and targets
  bundlecp list --root-hash app.bcp
  bundlecp list app.tar --json | jq -r 'select(.kind == \"symlink\") | .target'";

#[derive(Debug, Args)]
pub(crate) struct PackArgs {
    /// The folders to pack
    #[arg(value_name = "DIR", required = true, value_hint = ValueHint::DirPath)]
    pub dirs: Vec<PathBuf>,

    /// The archive; - writes it to standard output
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub file: PathBuf,

    /// The archive's format [default: by FILE's ending]
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: Option<ArchiveFormat>,

    /// How hard to compress, in the format's own numbers
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub level: Option<i32>,

    /// What to spend time on
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub profile: Profile,

    /// Store what is in DIR, without DIR itself
    #[arg(long, conflicts_with = "root")]
    pub strip_root: bool,

    /// Store DIR under this name
    #[arg(long, value_name = "NAME")]
    pub root: Option<String>,

    /// Make one zstd frame, for decoders that stop after the first
    #[arg(long)]
    pub single_frame: bool,

    /// How a zip's members are compressed
    #[arg(long, value_enum, value_name = "METHOD", default_value_t)]
    pub zip_method: ZipMethod,

    /// Replace a FILE that exists, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Leave out paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Leave out devices, FIFOs and sockets instead of refusing them
    #[arg(long)]
    pub skip_special: bool,

    /// Keep Windows' junctions as links, relative ones within a drive
    #[arg(long)]
    pub junctions_as_links: bool,

    /// Write down macOS' own attributes as well (com.apple.*; only tars hold them)
    #[arg(long)]
    pub apple_attributes: bool,

    /// Write down owners and groups; without it everything belongs to 0/0
    #[arg(long, overrides_with = "preserve_owner")]
    pub preserve_owner: bool,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    /// Check everything and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ExtractArgs {
    /// The archive; - reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub archive: PathBuf,

    /// What to extract [default: everything]
    #[arg(value_name = "MEMBER")]
    pub members: Vec<PathBuf>,

    /// Extract into this folder, which is made if it isn't there
    #[arg(short = 'C', long, value_name = "DIR", default_value = ".", value_hint = ValueHint::DirPath)]
    pub directory: PathBuf,

    /// Leave out this many names at the beginning of each path
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub strip_components: usize,

    /// Extract only paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub include: Vec<String>,

    /// Leave out paths that match, with all below them; can be repeated
    #[arg(long, value_name = "GLOB")]
    pub exclude: Vec<String>,

    /// Swap what exists for what is extracted, in one step
    #[arg(short = 'f', long, visible_alias = "force", overrides_with = "replace")]
    pub replace: bool,

    /// Lay what is extracted over what exists, file by file
    #[arg(long, conflicts_with = "replace")]
    pub merge: bool,

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

    /// Keep owners and groups, as far as this user may
    #[arg(long, overrides_with = "preserve_owner")]
    pub preserve_owner: bool,

    /// Make links that lead out of the bundle, too
    #[arg(long)]
    pub allow_external_links: bool,

    /// Read on behind the end of a tar, where others may follow
    #[arg(long)]
    pub ignore_zeros: bool,

    /// Extract the ._ files in which macOS keeps its attributes
    #[arg(long)]
    pub keep_apple_double: bool,

    /// Set macOS' own attributes (com.apple.*) that a tar has
    #[arg(long)]
    pub apple_attributes: bool,

    /// What to do with links where the destination can't hold them
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub on_no_symlinks: OnNoSymlinks,

    /// Share storage with a .bcp that isn't compressed, where the file system can
    #[arg(long, value_enum, value_name = "WHEN", default_value_t)]
    pub reflink: Sharing,

    /// What is on disk for certain when the command returns
    #[arg(long, value_enum, value_name = "WHAT", default_value_t)]
    pub sync: Sync,

    #[command(flatten)]
    pub jobs: JobsArgs,

    /// Check everything and write nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,

    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// The archive; - reads standard input
    #[arg(value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub archive: PathBuf,

    /// Show modes, sizes, times and targets as well
    #[arg(short = 'l', long, conflicts_with = "json")]
    pub long: bool,

    /// Print one JSON document a line
    #[arg(long)]
    pub json: bool,

    /// Print only the hash that names all of a .bcp
    #[arg(long, conflicts_with = "long")]
    pub root_hash: bool,
}

/// A format by its name: the library's, with names for the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ArchiveFormat(pub Format);

impl ValueEnum for ArchiveFormat {
    fn value_variants<'a>() -> &'a [Self] {
        const { &formats() }
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.0.name()))
    }
}

const fn formats() -> [ArchiveFormat; Format::ALL.len()] {
    let mut formats = [ArchiveFormat(Format::Tar); Format::ALL.len()];
    let mut index = 0;
    while index < formats.len() {
        formats[index] = ArchiveFormat(Format::ALL[index]);
        index += 1;
    }
    formats
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ZipMethod {
    /// As every reader of zips knows it
    #[default]
    Deflate,
    /// Smaller and faster, for readers that know it: 7-Zip, bsdtar, bundlecp
    Zstd,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Sharing {
    /// Where possible; what is shared isn't compared with its hash
    #[default]
    Auto,
    /// Read and compare everything
    Never,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum Profile {
    /// No compression: .bcp and .tar. Files from a .bcp share its storage where that is possible
    Stored,
    /// As fast as the disk
    Fast,
    /// Small where it costs little
    #[default]
    Default,
    /// As small as the format gets
    Small,
}

/// Reads `512`, `64K`, `10MiB` or `2G`: units are powers of 1024.
pub(super) fn size(typed: &str) -> Result<u64, String> {
    let end = typed.find(|c: char| !c.is_ascii_digit());
    let (number, unit) = typed.split_at(end.unwrap_or(typed.len()));
    let shift = match &*unit.to_ascii_lowercase() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        "t" | "tib" => 40,
        _ => {
            return Err(
                "a size is a number of bytes, or a number with K, M, G or T behind it".to_owned(),
            );
        }
    };
    let number: u64 = number.parse().map_err(|_| "not a number of bytes")?;
    let bytes = number.checked_mul(1 << shift);
    bytes.ok_or_else(|| "too large".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        for (typed, bytes) in [
            ("0", Some(0)),
            ("512", Some(512)),
            ("64K", Some(64 << 10)),
            ("64kib", Some(64 << 10)),
            ("10MiB", Some(10 << 20)),
            ("2G", Some(2 << 30)),
            ("1T", Some(1 << 40)),
            ("", None),
            ("G", None),
            ("1X", None),
            ("1ib", None),
            ("1Kibib", None),
            ("-1", None),
            ("1.5G", None),
            ("99999999T", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(size(typed).ok(), bytes, "{typed}");
        }
    }

    #[test]
    fn every_format_can_be_named() {
        for format in Format::ALL {
            let named = ArchiveFormat::from_str(format.name(), false);
            assert_eq!(named, Ok(ArchiveFormat(format)));
        }
    }
}
