//! Options that several commands have, as the library takes them.

use std::ffi::OsStr;
use std::io::{self, IsTerminal};
use std::path::Path;

use bundlecp::copy::{OnNoSymlinks, Sync};
use bundlecp::extract::Limits;
use bundlecp::pack::{Format, Frames, Profile, ZipMethod};
use bundlecp::{Existing, Ownership, SpecialFiles, Timestamp, escape_path};

use super::Failure;
use crate::cli::args::{self, ArchiveFormat};

/// What standard output is called in messages.
pub(super) const STANDARD_OUTPUT: &str = "standard output";

pub(super) fn existing(replace: bool, merge: bool) -> Existing {
    match (replace, merge) {
        (true, _) => Existing::Replace,
        (false, true) => Existing::Merge,
        (false, false) => Existing::Refuse,
    }
}

pub(super) fn on_no_symlinks(what: args::OnNoSymlinks) -> OnNoSymlinks {
    match what {
        args::OnNoSymlinks::Fail => OnNoSymlinks::Fail,
        args::OnNoSymlinks::Copy => OnNoSymlinks::Copy,
        args::OnNoSymlinks::Manifest => OnNoSymlinks::Manifest,
    }
}

pub(super) fn sync(what: args::Sync) -> Sync {
    match what {
        args::Sync::None => Sync::None,
        args::Sync::Data => Sync::Data,
        args::Sync::Full => Sync::Full,
    }
}

pub(super) fn special_files(skip: bool) -> SpecialFiles {
    match skip {
        true => SpecialFiles::Skip,
        false => SpecialFiles::default(),
    }
}

pub(super) fn ownership(preserve: bool) -> Ownership {
    match preserve {
        true => Ownership::Original,
        false => Ownership::default(),
    }
}

pub(super) fn profile(what: args::Profile) -> Profile {
    match what {
        args::Profile::Stored => Profile::Stored,
        args::Profile::Fast => Profile::Fast,
        args::Profile::Default => Profile::Default,
        args::Profile::Small => Profile::Small,
    }
}

pub(super) fn frames(is_single: bool) -> Frames {
    match is_single {
        true => Frames::Single,
        false => Frames::Many,
    }
}

pub(super) fn zip_method(method: args::ZipMethod) -> ZipMethod {
    match method {
        args::ZipMethod::Deflate => ZipMethod::Deflate,
        args::ZipMethod::Zstd => ZipMethod::Zstd,
    }
}

/// The limits that were asked for.
pub(super) struct Asked {
    pub untrusted: bool,
    pub max_size: Option<u64>,
    pub max_entries: Option<u64>,
    pub max_ratio: Option<u64>,
}

/// The limits that were named count, whatever `--untrusted` sets.
pub(super) fn limits(asked: &Asked) -> Limits {
    let mut limits = match asked.untrusted {
        true => Limits::untrusted(),
        false => Limits::default(),
    };
    limits.bytes = asked.max_size.or(limits.bytes);
    limits.entries = asked.max_entries.or(limits.entries);
    limits.ratio = asked.max_ratio.or(limits.ratio);
    limits
}

/// Standard output takes an archive alone, and no terminal takes one; `hint` says
/// how a file gets it.
pub(super) fn check_standard_output(
    operation: &str,
    hint: &str,
    has_json: bool,
    is_dry_run: bool,
) -> Result<(), Failure> {
    if has_json {
        return Err(Failure::Usage(format!(
            "{operation} `-`: standard output can't have the archive and --json\n\
             hint: {hint}"
        )));
    }
    if !is_dry_run && io::stdout().is_terminal() {
        return Err(Failure::Usage(format!(
            "{operation} `-`: standard output is a terminal\n\
             hint: {hint}; a pipe can follow"
        )));
    }
    Ok(())
}

/// The format of an archive that is written: the one that was named, or that
/// of `file`'s ending.
pub(super) fn format(
    operation: &str,
    named: Option<ArchiveFormat>,
    file: &Path,
) -> Result<Format, Failure> {
    if let Some(named) = named {
        return Ok(named.0);
    }
    Format::of_name(file).ok_or_else(|| {
        let cause = match file.as_os_str() == "-" {
            true => "standard output has no ending that names a format",
            false => "no format has this ending",
        };
        Failure::Usage(format!(
            "{operation} `{}`: {cause}\nhint: --format names one of {}",
            escape_path(file),
            Format::ALL.map(Format::name).join(", ")
        ))
    })
}

/// The latest time in whatever is built.
pub(super) fn latest() -> Result<Option<Timestamp>, Failure> {
    std::env::var_os(EPOCH)
        .map(|typed| epoch(&typed))
        .transpose()
}

/// The environment's word on the latest time in whatever is built:
/// <https://reproducible-builds.org/specs/source-date-epoch/>.
const EPOCH: &str = "SOURCE_DATE_EPOCH";

fn epoch(typed: &OsStr) -> Result<Timestamp, Failure> {
    let secs = typed.to_str().and_then(|text| text.parse().ok());
    let timestamp = secs.map(|secs| Timestamp { secs, nanos: 0 });
    timestamp.ok_or_else(|| {
        let typed = escape_path(Path::new(typed));
        Failure::Usage(format!(
            "{EPOCH} `{typed}`: not a number of seconds\nhint: date +%s prints one"
        ))
    })
}
