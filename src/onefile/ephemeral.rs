//! A bundle that is unpacked for one start: into a private folder that is removed when
//! the program ends, however it ends.

use std::path::{Path, PathBuf};

use crate::dest::Staging;
use crate::error::{Error, Result};
use crate::extract::donors::Donors;
use crate::sys::{self, End, Held, OwnExecutable, Program, Umask};

use super::cache::{self, Candidate};
use super::launch::{self, Exit, Invocation, Parts};
use super::trust::{self, Absent, Last};
use super::unpack::{Rejections, Source};

/// Permission bits that nothing in the folder gets.
const PRIVATE: u32 = 0o077;

/// Unpacks the bundle. Returns what is to be run, and its folder.
pub(super) fn prepare(
    source: &Source<'_>,
    invocation: &Invocation,
    own: &OwnExecutable,
) -> Result<(Program, Staging)> {
    let mut rejections = Rejections::default();
    let _umask = Umask::set(PRIVATE);
    for folder in cache::temporary(&invocation.environment) {
        match unpack_into(source, &folder, &mut rejections)? {
            Some((staging, path)) => {
                let parts = Parts {
                    entry: &source.launch.entry,
                    library_path: source.launch.library_path.as_deref(),
                    has_own_name: source.launch.has_own_name,
                };
                return Ok((launch::program(&path, &parts, invocation, own), staging));
            }
            None => continue,
        }
    }
    Err(rejections.into_error(source.path))
}

fn unpack_into(
    source: &Source<'_>,
    folder: &Candidate,
    rejections: &mut Rejections,
) -> Result<Option<(Staging, PathBuf)>> {
    let (parent, folder) = match trust::open(&folder.path, Last::Safe, Absent::Fail) {
        Ok(opened) => opened,
        Err(refused) => {
            rejections.add(&folder.path, &refused);
            return Ok(None);
        }
    };
    let label = source
        .path
        .file_name()
        .map_or(&b"app"[..], sys::os_to_bytes);
    let unpacked = Staging::create(&parent, &folder, label).and_then(|staging| {
        let found = source.probe(&staging, &folder)?;
        let path = sys::join_bytes(&folder, staging.name());
        source.extract(&staging, &found, &path, (&Donors::default(), PRIVATE))?;
        Ok((staging, path))
    });
    match unpacked {
        Ok(unpacked) => Ok(Some(unpacked)),
        Err(error) => rejections.add_error(&folder, error).map(|()| None),
    }
}

/// Runs the program, and removes its folder. Returns its exit status; a signal that ended
/// it ends this process as well.
pub(super) fn run(program: Program, staging: Staging, mut held: Held, own: &Path) -> Result<Exit> {
    if held.has_come() {
        drop(staging);
        held.release();
        return Err(crate::pool::interruption());
    }
    let ended = sys::run_child(program, staging.dir(), &mut held);
    let removed = staging.discard();
    let ended = ended.map_err(|error| Error::io("start", own, error))?;
    if let End::Signal(number) = ended {
        sys::die_by(number);
    }
    Ok(Exit {
        status: match ended {
            End::Status(status) => status,
            // The signal was one that doesn't end a process.
            End::Signal(number) => 128 + number,
        },
        leftover: removed.err(),
    })
}
