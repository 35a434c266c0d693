//! A onefile program that PyInstaller made as the folder that it would have made
//! instead: the same loader, which finds its files in a folder beside it when it has
//! none to unpack.

use std::path::{Path, PathBuf};

use crate::dest::Staging;
use crate::dest::deliver::{open_parent, parent_of};
use crate::error::{Error, ErrorKind, Result};
use crate::extract;
use crate::format::carchive::onedir_program;
use crate::progress::Progress;
use crate::sys::{self, Timestamp};

use super::build::{Builder, Outcome};

/// The folder that PyInstaller's programs look for their files in.
const CONTENTS: &str = "_internal";

/// Builds `executable` of the onefile program `program`, made by PyInstaller for Linux, as
/// [`Builder::build`] does of a folder: `builder`'s entry doesn't count.
///
/// No file is later than the program, so that the same program gives the same bytes.
///
/// # Errors
///
/// When it is no such program, holds what PyInstaller's loader takes from other files, and
/// as [`extract::extract`] and [`Builder::build`].
pub fn from_pyinstaller(
    builder: Builder,
    program: &Path,
    executable: &Path,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let failed = |error| Error::io("read", program, error);
    let file = sys::open_path(program).map_err(|error| Error::io("open", program, error))?;
    let stat = sys::stat_file(&file).map_err(failed)?;
    let refused = |refusal: crate::error::Refusal| refusal.at("read", program);
    let loader = onedir_program(&file, stat.size, CONTENTS).map_err(refused)?;
    let name = program.file_stem().ok_or_else(|| {
        let cause = "is not the name of a program";
        Error::new(ErrorKind::Usage, "read", program, cause)
    })?;
    let (parent, label) = (parent_of(executable), sys::os_to_bytes(name));
    let staging = Staging::create(&open_parent(&parent)?, &parent, label)?;
    let folder = sys::join_bytes(&parent, staging.name()).join(name);
    fill(&staging, &folder, &loader, program, progress)?;
    let built = builder
        .entry(PathBuf::from(name))
        .latest(stat.modified)
        .build(&folder, executable, progress);
    staging.discard()?;
    built
}

/// Makes the folder: the loader, and beside it all that the program would unpack.
fn fill(
    staging: &Staging,
    folder: &Path,
    loader: &[u8],
    program: &Path,
    progress: &dyn Progress,
) -> Result<()> {
    let failed = |error| Error::io("write", folder, error);
    let name = folder.file_name().map_or(&b"app"[..], sys::os_to_bytes);
    sys::create_dir(staging.dir(), name, 0o755).map_err(failed)?;
    let dir = sys::open_dir(staging.dir(), name).map_err(failed)?;
    let file = sys::create_file(&dir, name, 0o755).map_err(failed)?;
    sys::write_all_at(&file, loader, 0).map_err(failed)?;
    sys::set_file_mode(&file, 0o755).map_err(failed)?;
    drop(file);
    let options = extract::Options::default();
    extract::extract(program, &folder.join(CONTENTS), &options, progress).map(drop)
}

impl Builder {
    fn entry(mut self, entry: PathBuf) -> Self {
        self.entry = entry;
        self
    }

    /// Lets no file be later than `time`, nor than what was asked for.
    fn latest(mut self, time: Timestamp) -> Self {
        let options = &mut self.options;
        options.latest = Some(options.latest.map_or(time, |latest| latest.min(time)));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack;

    #[test]
    fn the_earlier_time_counts() {
        let time = |secs| Timestamp { secs, nanos: 0 };
        let options = pack::Options {
            latest: Some(time(5)),
            ..pack::Options::default()
        };
        let builder = Builder::new("stub", "app").options(options);
        let builder = builder.latest(time(7));
        assert_eq!(builder.options.latest, Some(time(5)));
        assert_eq!(builder.latest(time(3)).options.latest, Some(time(3)));
    }
}
