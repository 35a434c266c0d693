//! A destination among victims, and what must hold after every extraction:
//! nothing outside has changed, no staging is left, and a refusal leaves the
//! destination as it was.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bundlecp::convert;
use bundlecp::extract::{Options, Outcome, extract, extract_from};
use bundlecp::pack::{Format, Profile};
use bundlecp::{Error, ErrorKind, Silent};

use crate::common::snapshot::{Kind, Snapshot};
use crate::common::{Scratch, build, folder_flags, is_root, open_up};
use rustix::fs::{AtFlags, Dir, FileType, Mode};

/// Longer than any of these archives may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) const JOBS: [usize; 3] = [1, 2, 16];

/// What has to become of an archive.
#[derive(Clone, Copy)]
pub(crate) enum Expected {
    /// It is refused, for one of these reasons.
    Refused(&'static [ErrorKind]),
    /// It is extracted, and what came out is as this checks.
    Fine(fn(&Snapshot)),
    /// Extracted or refused, it stays in the destination.
    Contained,
}

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expected: Expected,
}

pub(crate) fn case(name: &'static str, bytes: Vec<u8>, expected: Expected) -> Case {
    Case {
        name,
        bytes,
        expected,
    }
}

pub(crate) fn refused(name: &'static str, bytes: Vec<u8>, kinds: &'static [ErrorKind]) -> Case {
    case(name, bytes, Expected::Refused(kinds))
}

/// Where an archive is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    File,
    Pipe,
}

/// What stands at the destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    Nothing,
    Folder,
}

/// A destination with victims beside and above it.
pub(crate) struct Arena {
    scratch: Scratch,
    archives: Scratch,
    extracted: RefCell<Snapshot>,
    /// What stands here since the last extraction, where that was refused and nothing was
    /// prepared since: looking takes as long as refusing.
    known: RefCell<Option<Snapshot>>,
}

impl Arena {
    pub(crate) fn new() -> Self {
        let (scratch, archives) = (Scratch::in_memory(), Scratch::in_memory());
        let at = |path: &str| scratch.path(path);
        for folder in ["above", "above/beside", "above/beside/in", "above/locked"] {
            build::folder(at(folder));
        }
        for file in [
            "victim",
            "above/victim",
            "above/beside/victim",
            "above/beside/in/victim",
        ] {
            build::file(at(file), "unharmed");
            build::mode(at(file), 0o640);
        }
        build::hard_link(at("above/victim"), at("above/beside/other-name"));
        build::link(at("above/link"), b"beside/victim");
        build::link(at("above/folder-link"), b"beside");
        build::mode(at("above/locked"), 0o700);
        build::age(scratch.root());
        Self {
            scratch,
            archives,
            extracted: RefCell::new(Snapshot(BTreeMap::new())),
            known: RefCell::new(None),
        }
    }

    /// The folder that everything is in.
    pub(crate) fn root(&self) -> &Path {
        self.scratch.root()
    }

    pub(crate) fn destination(&self) -> PathBuf {
        self.scratch.path("above/destination")
    }

    /// An archive that tests may write to.
    pub(crate) fn archive(&self, bytes: &[u8]) -> PathBuf {
        let path = self.archives.path("archive");
        build::file(&path, bytes);
        path
    }

    /// Everything there is; making and removing entries changes the times of
    /// the destination and the folder around it.
    pub(crate) fn seen(&self) -> Snapshot {
        let mut modes = BTreeMap::new();
        if !is_root() {
            let above = rustix::fs::open(self.scratch.path("above"), folder_flags(), Mode::empty());
            open_to_owner(&above.unwrap(), b"above", &mut modes);
        }
        let mut seen = Snapshot::of(self.root());
        for (path, mode) in modes {
            if let Some(node) = seen.0.get_mut(&path) {
                node.mode = mode;
            }
        }
        seen.without_times_of(&[b"above", b"above/destination"])
    }

    /// Puts what has to stand before an extraction.
    pub(crate) fn prepare(&self, before: Before) {
        self.clear();
        if before == Before::Folder {
            self.known.take();
            build::folder(self.destination().join("standing"));
            build::file(self.destination().join("standing/file"), "stood before");
            build::link(self.destination().join("way-out"), b"../beside");
            build::link(self.destination().join("way-to-file"), b"../victim");
        }
    }

    /// Removes the destination.
    pub(crate) fn clear(&self) {
        let destination = self.destination();
        if destination.symlink_metadata().is_ok() {
            self.known.take();
            build::mode(&destination, 0o700);
            let dir = rustix::fs::open(&destination, folder_flags(), Mode::empty()).unwrap();
            open_up(&dir);
            std::fs::remove_dir_all(&destination).unwrap();
        }
    }

    /// Extracts `bytes` and checks what must hold whatever comes of it.
    #[track_caller]
    pub(crate) fn extract(
        &self,
        bytes: &[u8],
        source: Source,
        options: &Options,
        context: &str,
    ) -> Result<Outcome, Error> {
        let path = self.archive(bytes);
        let run = || match source {
            Source::File => extract(&path, &self.destination(), options, &Silent),
            Source::Pipe => self.extract_from(Cursor::new(bytes.to_vec()), options),
        };
        self.check(context, run)
    }

    /// Runs an extraction, and checks the same of it.
    #[track_caller]
    pub(crate) fn check(
        &self,
        context: &str,
        run: impl FnOnce() -> Result<Outcome, Error>,
    ) -> Result<Outcome, Error> {
        let before = self.known.take().unwrap_or_else(|| self.seen());
        let started = Instant::now();
        let result = run();
        let took = started.elapsed();
        assert!(took < PATIENCE, "{context}: took {took:?}");
        let after = self.seen();
        *self.extracted.borrow_mut() = after.below(b"above/destination");
        match &result {
            Err(error) => {
                let context = format!("{context}: refused ({error:?}), but something changed");
                before.assert_same(&after, &context);
                *self.known.borrow_mut() = Some(after);
            }
            Ok(_) => {
                let context = format!("{context}: extracted, and something outside changed");
                outside(&before).assert_same(&outside(&after), &context);
                tame(&after.below(b"above/destination"), &context);
            }
        }
        result
    }

    pub(crate) fn extract_from(
        &self,
        reader: impl Read + Send,
        options: &Options,
    ) -> Result<Outcome, Error> {
        let shown = Path::new("archive");
        extract_from(reader, shown, &self.destination(), options, &Silent)
    }

    /// What the last extraction left in the destination.
    pub(crate) fn extracted(&self) -> Snapshot {
        self.extracted.borrow().clone()
    }
}

/// Lets an ordinary user read everything below `dir`, and notes the modes that
/// stood in the way.
#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the field's type differs between platforms"
)]
fn open_to_owner(dir: &OwnedFd, path: &[u8], modes: &mut BTreeMap<Vec<u8>, u32>) {
    for entry in Dir::read_from(dir).unwrap().flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." || entry.file_type() == FileType::Symlink {
            continue;
        }
        let path = [path, b"/", name.to_bytes()].concat();
        let stat = rustix::fs::statat(dir, name, AtFlags::SYMLINK_NOFOLLOW).unwrap();
        let needed = match entry.file_type() {
            FileType::Directory => 0o700,
            _ => 0o400,
        };
        if stat.st_mode & needed != needed {
            modes.insert(path.clone(), stat.st_mode as u32 & 0o7777);
            let mode = Mode::from_raw_mode(stat.st_mode & 0o7777 | needed);
            rustix::fs::chmodat(dir, name, mode, AtFlags::empty()).unwrap();
        }
        if entry.file_type() == FileType::Directory {
            let inner = rustix::fs::openat(dir, name, folder_flags(), Mode::empty()).unwrap();
            open_to_owner(&inner, &path, modes);
        }
    }
}

/// All but the destination.
fn outside(seen: &Snapshot) -> Snapshot {
    let is_outside = |path: &[u8]| !path.starts_with(b"above/destination");
    let nodes = seen.0.iter().filter(|(path, _)| is_outside(path));
    Snapshot(
        nodes
            .map(|(path, node)| (path.clone(), node.clone()))
            .collect(),
    )
}

/// Nothing that came out of an archive is a device, has a special bit, or is
/// what was staged.
#[track_caller]
fn tame(extracted: &Snapshot, context: &str) {
    for (path, node) in &extracted.0 {
        let shown = String::from_utf8_lossy(path);
        assert!(
            !matches!(node.kind, Kind::Special(_)),
            "{context}: {shown} is {node:?}"
        );
        let is_link = matches!(node.kind, Kind::Link(_));
        assert!(
            is_link || node.mode & 0o7000 == 0,
            "{context}: {shown} is {node:?}"
        );
        assert!(!shown.contains(".bundlecp-"), "{context}: {shown} was left");
    }
}

/// Extracts every case in every manner.
#[track_caller]
pub(crate) fn run(cases: &[Case]) {
    let arena = Arena::new();
    for case in cases {
        for source in [Source::File, Source::Pipe] {
            run_from(&arena, case, source);
            convert_from(&arena, case, source);
        }
    }
}

#[track_caller]
pub(crate) fn run_from(arena: &Arena, case: &Case, source: Source) {
    let nothing = JOBS.map(|jobs| (Before::Nothing, jobs));
    for (before, jobs) in nothing.into_iter().chain([(Before::Folder, 2)]) {
        {
            arena.prepare(before);
            let context = format!("{}, {jobs} jobs, {source:?}, {before:?}", case.name);
            let mut options = Options::default();
            options.jobs = Some(jobs);
            let result = arena.extract(&case.bytes, source, &options, &context);
            match (case.expected, result) {
                (Expected::Contained, _) => {}
                (Expected::Fine(check), Ok(_)) => check(&arena.extracted()),
                (Expected::Refused(kinds), Err(error)) => {
                    let is_known = kinds.contains(&error.kind());
                    assert!(is_known, "{context}: {error:?} is none of {kinds:?}");
                }
                (Expected::Fine(_), Err(error)) => panic!("{context}: {error:?}"),
                (Expected::Refused(_), Ok(_)) => {
                    panic!("{context}: extracted: {:?}", arena.extracted().0)
                }
            }
        }
    }
}

/// Converts a case, which has to come to what its extraction does.
#[track_caller]
pub(crate) fn convert_from(arena: &Arena, case: &Case, source: Source) {
    /// What only a destination refuses.
    const OF_PLACES: [ErrorKind; 4] = [
        ErrorKind::AlreadyExists,
        ErrorKind::NameCollision,
        ErrorKind::BadName,
        ErrorKind::FileTooLarge,
    ];
    let archive = arena.archive(&case.bytes);
    for format in [Format::Tar, Format::Bcp] {
        let context = format!("{} from {source:?} to {format:?}", case.name);
        let out = arena.archives.path("converted");
        let mut options = convert::Options::default();
        (options.format, options.profile) = (format, Profile::Fast);
        options.jobs = Some(2);
        let input = match source {
            Source::File => convert::Input::Path(&archive),
            Source::Pipe => {
                let reader = Box::new(Cursor::new(&case.bytes));
                convert::Input::Reader(reader, Path::new("archive"))
            }
        };
        let started = Instant::now();
        let output = convert::Output::Path(&out);
        let result = convert::convert_stream(input, output, &options, &Silent);
        let took = started.elapsed();
        assert!(took < PATIENCE, "{context}: took {took:?}");
        let left = crate::common::names(arena.archives.root());
        match (&case.expected, &result) {
            (Expected::Refused(kinds), Ok(_)) => {
                let is_of_places = |kind: &ErrorKind| OF_PLACES.contains(kind);
                let is_fine = kinds.iter().any(is_of_places);
                assert!(is_fine, "{context}: converted");
            }
            (Expected::Fine(_), Err(error)) => panic!("{context}: {error:?}"),
            (Expected::Refused(kinds), Err(error)) => {
                let is_known = kinds.contains(&error.kind());
                assert!(is_known, "{context}: {error:?} is none of {kinds:?}");
            }
            (Expected::Contained, _) | (Expected::Fine(_), Ok(_)) => {}
        }
        match result {
            Ok(_) => std::fs::remove_file(&out).unwrap(),
            Err(error) => assert_eq!(left, ["archive"], "{context}: {error:?}"),
        }
    }
}

/// Runs a test that looks at deep trees, which takes stack and descriptors: a
/// snapshot is taken by going down, level by level.
pub(crate) fn on_a_large_stack(test: impl FnOnce() + Send + 'static) {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
    let thread = std::thread::Builder::new().stack_size(64 << 20);
    let result = thread.spawn(test).unwrap().join();
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// A check for what only has to come out at all.
pub(crate) fn anything(_: &Snapshot) {}
