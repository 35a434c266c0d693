//! Starting a self-extracting executable.
//!
//! A bundle that is in the cache takes a few dozen system calls: the end of the
//! executable, the way to the cache, the stamp, a look at some entries, a lock, and the
//! program. Nothing of the payload is read, and nothing is printed.

use std::ffi::OsString;
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

use crate::error::{Error, ErrorKind, Result};
use crate::format::bcp;
use crate::progress::{Progress, Silent, Status};
use crate::sys::{self, FileType, Held, OwnExecutable, Program};

use super::cache::stamp::{Head, Stamp};
use super::cache::{self, Cache, Key, Lease, Look};
use super::environment::{Environment, ORIGINAL_EXE};
use super::trust::Absent;
use super::unpack::{self, Present, Source};
use super::{check, ephemeral, locate};

/// The variable that asks for a comparison of all that is in the cache with its hashes.
const VERIFY: &str = "BUNDLECP_VERIFY";

/// How an executable was called.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Invocation {
    /// The arguments, with the name that it was called by.
    pub arguments: Vec<OsString>,
    /// Its variables.
    pub environment: Environment,
}

impl Invocation {
    /// A call with these arguments, the name first, and these variables.
    pub fn new(arguments: Vec<OsString>, environment: Environment) -> Self {
        Self {
            arguments,
            environment,
        }
    }
}

/// What a program came to that ran as a child.
#[derive(Debug)]
#[non_exhaustive]
pub struct Exit {
    /// Its exit status.
    pub status: i32,
    /// Why something of its folder could not be removed, if so.
    pub leftover: Option<Error>,
}

/// Starts the bundle that this process's own executable holds: unpacks it if that is
/// needed, and becomes the program in it.
///
/// Returns how the program ended if the bundle is an ephemeral one, whose program runs
/// as a child; otherwise not at all, if it starts. The process must have one thread.
///
/// # Errors
///
/// When the executable holds no bundle, or a damaged one; when no folder can be the cache;
/// when a signal asked to stop. Nothing half-done is left.
pub fn launch(invocation: Invocation) -> Result<Exit> {
    sys::hold_standard_streams();
    let own = sys::own_executable();
    let own = own.map_err(|error| Error::io("open", sys::OWN_EXECUTABLE, error))?;
    let mut start = Start {
        own,
        invocation,
        verify: false,
    };
    if !sys::has_callers_rights() {
        // The cache is where its caller can write.
        let cause =
            "runs with rights that its caller hasn't (set-user-ID, set-group-ID, capabilities)";
        let error = Error::new(ErrorKind::PermissionDenied, "start", start.own.path, cause);
        return Err(error.with_hint("extract it, and give the rights to the program in the folder"));
    }
    start.verify = start
        .invocation
        .environment
        .get(VERIFY)
        .is_some_and(|value| value == "1");
    start.run()
}

/// Says what went wrong where the user sees it: on standard error, or on Windows, in a
/// program that has none, in a window.
pub fn tell(error: &Error) {
    sys::tell(&error.report());
}

struct Start {
    own: OwnExecutable,
    invocation: Invocation,
    /// All has to be compared with its hashes.
    verify: bool,
}

impl Start {
    fn run(self) -> Result<Exit> {
        let mut present = Present::Adopt;
        if let Some(lease) = self.find()? {
            let is_settled = lease.stamp.head.is_settled || is_of_this_run(&lease);
            if !self.verify && is_settled {
                let failed = self.become_program(&lease);
                if !is_gone(&lease) {
                    return Err(failed);
                }
            } else if self.is_intact(&lease)? {
                Stamp::settle(&lease.dir);
                return Err(self.become_program(&lease));
            }
            present = Present::Replace(lease.identity);
        }
        let (index, launch) = locate::read(&self.own.file, &self.own.path)?;
        let held = Held::stop_signals();
        let source = Source {
            file: &self.own.file,
            path: &self.own.path,
            index: &index,
            launch: &launch,
            progress: &UntilSignal(&held),
        };
        if launch.is_ephemeral {
            let (program, staging) = ephemeral::prepare(&source, &self.invocation, &self.own)?;
            return ephemeral::run(program, staging, held, &self.own.path);
        }
        let candidates = cache::candidates(&self.invocation.environment);
        let lease = unpack::unpack(&source, &candidates, present)?;
        drop(held);
        Err(self.become_program(&lease))
    }

    /// Looks for the bundle in every folder that can be the cache.
    fn find(&self) -> Result<Option<Box<Lease>>> {
        let (file, path) = (&self.own.file, &self.own.path);
        let root_hash = root_hash(file, path)?;
        let key = Key::of(&root_hash);
        for candidate in cache::candidates(&self.invocation.environment) {
            // A folder that isn't to be trusted is looked at again, and named, if none is left.
            let Ok(cache) = Cache::open(&candidate.path, Absent::Fail) else {
                continue;
            };
            match cache.look(&key, &root_hash) {
                Ok(Look::Ready(lease)) => return Ok(Some(lease)),
                // It is unpacked anew where it is.
                Ok(Look::Damaged(_)) => return Ok(None),
                Ok(Look::Absent) | Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Whether all of a bundle is what it was.
    fn is_intact(&self, lease: &Lease) -> Result<bool> {
        let (index, _) = locate::read(&self.own.file, &self.own.path)?;
        let manifest = &index.layout.manifest;
        let found = check::differences(&lease.dir, &lease.path, manifest, &Silent)?;
        Ok(found.is_empty())
    }

    /// Becomes the program of a bundle; returns why that failed.
    fn become_program(&self, lease: &Lease) -> Error {
        lease.stamp.touch();
        let program = program(
            &lease.path,
            &Parts::from(&lease.stamp.head),
            &self.invocation,
            &self.own,
        );
        match sys::keep_over_exec(&lease.dir) {
            Ok(_kept) => Error::io("start", &program.path, sys::exec(&program)),
            Err(error) => Error::io("lock", &lease.path, error),
        }
    }
}

/// The hash that the executable's end says its payload has.
fn root_hash(file: &File, path: &Path) -> Result<[u8; 32]> {
    let stat = sys::stat_file(file).map_err(|error| Error::io("read", path, error))?;
    bcp::read_root_hash(file, stat.size).map_err(|refusal| refusal.at("read", path))
}

/// Whether the system was not started again since the bundle was unpacked, so that all
/// that was written is there.
fn is_of_this_run(lease: &Lease) -> bool {
    let head = &lease.stamp.head;
    // Where nobody knows, it was brought to the disk before it was published.
    !head.knows_boot() || sys::boot_id() == Some(head.boot)
}

/// Whether the program of a bundle isn't there, or nobody may run it any more.
fn is_gone(lease: &Lease) -> bool {
    let program = sys::join_bytes(&lease.path, &lease.stamp.head.entry);
    let may_run = |mode: u32| !sys::HAS_PERMISSION_BITS || mode & 0o100 != 0;
    let is_one = |stat: sys::Stat| stat.file_type == FileType::File && may_run(stat.mode);
    !sys::stat_path(&program).is_ok_and(is_one)
}

/// What of a bundle's folder becomes a program, and how.
pub(super) struct Parts<'p> {
    pub entry: &'p [u8],
    pub library_path: Option<&'p [u8]>,
    /// It is called by its own path.
    pub has_own_name: bool,
}

impl<'p> From<&'p Head> for Parts<'p> {
    fn from(head: &'p Head) -> Self {
        Self {
            entry: &head.entry,
            library_path: head.library_path.as_deref(),
            has_own_name: head.has_own_name,
        }
    }
}

/// What the process becomes, of the bundle in `folder`.
pub(super) fn program(
    folder: &Path,
    parts: &Parts<'_>,
    invocation: &Invocation,
    own: &OwnExecutable,
) -> Program {
    let path = sys::join_bytes(folder, parts.entry);
    let mut environment = invocation.environment.clone();
    environment.set(ORIGINAL_EXE, own.path.as_os_str());
    if let Some(libraries) = parts.library_path {
        environment.add_library_path(&sys::join_bytes(folder, libraries));
    }
    let mut arguments = invocation.arguments.clone();
    if arguments.is_empty() {
        arguments.push(path.clone().into_os_string());
    }
    // A program that can't ask the system where it is looks at the name it is called by.
    if (!own.is_told || parts.has_own_name)
        && let Some(name) = arguments.first_mut()
    {
        *name = path.clone().into_os_string();
    }
    Program {
        path,
        arguments,
        environment: environment.into_variables(),
    }
}

/// Stops an operation when a signal asks for it.
struct UntilSignal<'h>(&'h Held);

impl Progress for UntilSignal<'_> {
    fn report(&self, _: &Status) -> ControlFlow<()> {
        match self.0.has_come() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
