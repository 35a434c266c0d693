//! `pack`: the format by the archive's name, options, and the report.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::path::Path;

use bundlecp::pack::{self, Format, Frames, Profile, RootName, ZipMethod};
use bundlecp::{Timestamp, escape_path};

use super::globs::globs;
use super::report::{EntriesTo, Report};
use super::{Failure, escaped, options, or_interrupted, progress};
use crate::cli::args::{self, PackArgs};
use crate::cli::bar::Bar;
use crate::cli::interrupt::Interrupt;
use crate::cli::render;

/// What standard output is called in messages.
const STANDARD_OUTPUT: &str = "standard output";

pub(super) fn run(arguments: &PackArgs) -> Result<u8, Failure> {
    let is_stream = arguments.file.as_os_str() == "-";
    if is_stream {
        check_stream(arguments)?;
    }
    let options = pack_options(arguments)?;
    let interrupt = Interrupt::listen()?;
    let output = &arguments.output;
    let bar = Bar::new(progress(output), interrupt.clone());
    let (sources, archive) = (&arguments.dirs, &arguments.file);
    let outcome = match is_stream {
        true => {
            let shown = Path::new(STANDARD_OUTPUT);
            pack::pack_to(sources, io::stdout(), shown, &options, &bar)
        }
        false => pack::pack(sources, archive, &options, &bar),
    };
    bar.clear();
    let outcome = outcome.map_err(|error| or_interrupted(error, &interrupt))?;
    let mut entries = String::new();
    for path in &outcome.entries {
        let _ = writeln!(entries, "{path}");
    }
    let (format, is_dry_run) = (options.format, options.dry_run);
    let report = Report {
        what: "the archive",
        json: render::packed_json(&outcome, format, is_dry_run),
        entries,
        remarks: render::packed_remarks(&outcome),
        sum: render::packed(&outcome, format, is_dry_run),
        is_dry_run,
        entries_to: match is_stream {
            true => EntriesTo::StandardError,
            false => EntriesTo::StandardOutput,
        },
    };
    report.print(output);
    Ok(0)
}

/// Standard output takes an archive alone, and no terminal takes one.
fn check_stream(arguments: &PackArgs) -> Result<(), Failure> {
    if arguments.output.json {
        let text = "pack to `-`: standard output can't have the archive and --json\n\
                    hint: -o FILE writes the archive to a file";
        return Err(Failure::Usage(text.to_owned()));
    }
    if !arguments.dry_run && io::stdout().is_terminal() {
        let text = "pack to `-`: standard output is a terminal\n\
                    hint: -o FILE writes to a file; a pipe can follow -o -";
        return Err(Failure::Usage(text.to_owned()));
    }
    Ok(())
}

fn pack_options(arguments: &PackArgs) -> Result<pack::Options, Failure> {
    let mut options = pack::Options::default();
    options.format = format(arguments)?;
    options.profile = match arguments.profile {
        args::Profile::Fast => Profile::Fast,
        args::Profile::Default => Profile::Default,
        args::Profile::Small => Profile::Small,
    };
    options.level = arguments.level;
    options.root = match (&arguments.root, arguments.strip_root) {
        (Some(name), _) => RootName::Named(root_name(name)?),
        (None, true) => RootName::Strip,
        (None, false) => RootName::Own,
    };
    options.frames = match arguments.single_frame {
        true => Frames::Single,
        false => Frames::Many,
    };
    options.zip_method = match arguments.zip_method {
        args::ZipMethod::Deflate => ZipMethod::Deflate,
        args::ZipMethod::Zstd => ZipMethod::Zstd,
    };
    options.special_files = options::special_files(arguments.skip_special);
    options.ownership = options::ownership(arguments.preserve_owner);
    options.existing = options::existing(arguments.replace, false);
    options.sync = options::sync(arguments.sync);
    if !arguments.exclude.is_empty() {
        let globs = globs("exclude", &arguments.exclude)?;
        options.exclude = Some(Box::new(move |path: &Path| globs.is_match(path)));
    }
    options.latest = match std::env::var_os(EPOCH) {
        Some(typed) => Some(epoch(&typed)?),
        None => None,
    };
    options.jobs = arguments.jobs.map(usize::from);
    options.dry_run = arguments.dry_run;
    options.list_entries = arguments.output.verbose && !arguments.output.json;
    Ok(options)
}

fn format(arguments: &PackArgs) -> Result<Format, Failure> {
    if let Some(named) = arguments.format {
        return Ok(named.0);
    }
    Format::of_name(&arguments.file).ok_or_else(|| {
        let cause = match arguments.file.as_os_str() == "-" {
            true => "standard output has no ending that names a format",
            false => "no format has this ending",
        };
        Failure::Usage(format!(
            "pack to `{}`: {cause}\nhint: --format names one of {}",
            escape_path(&arguments.file),
            Format::ALL.map(Format::name).join(", ")
        ))
    })
}

/// A name for the root is one that every extraction takes.
fn root_name(name: &str) -> Result<String, Failure> {
    let trimmed = name.trim_end_matches('/');
    let is_name = |part: &str| !matches!(part, "" | "." | "..") && !part.contains('\0');
    match trimmed.split('/').all(is_name) {
        true => Ok(trimmed.to_owned()),
        false => Err(Failure::Usage(format!(
            "root `{}`: not a name\nhint: --strip-root stores what is in the folder",
            escaped(name)
        ))),
    }
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
