//! Opening an archive: what it is, found by its content and never by its name.
//!
//! A regular file can be read from any place, and so by several threads; a
//! pipe only from its beginning. Both are recognised by their first bytes, and
//! a file also by its end, where archives stand that have a program in front.

pub(crate) mod bcp;
pub(crate) mod directory;
pub(crate) mod index;
pub(crate) mod limits;
mod lookup;
pub(crate) mod members;
mod picked;
pub(crate) mod spool;
pub(crate) mod store;
pub(crate) mod tar_stream;
mod zip_stream;

use std::fs::File;
use std::io::{self, Cursor, Read, Seek};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::codec::Codec;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::carchive::{self, Found};
use crate::format::{self, ReadAt, manifest, tar, zip};
use crate::sys::{self, FileType};

pub use lookup::{Archive, MemberReader, SeekableMember};

/// What an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tar(Codec),
    Zip,
    Bcp,
    /// A program that PyInstaller made, or its package.
    PyInstaller,
}

impl Kind {
    /// The ending that files of this kind have; of programs, who makes them.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Tar(Codec::Store) => "tar",
            Kind::Tar(Codec::Gzip) => "tar.gz",
            Kind::Tar(Codec::Bzip2) => "tar.bz2",
            Kind::Tar(Codec::Xz) => "tar.xz",
            Kind::Tar(Codec::Zstd) => "tar.zst",
            Kind::Zip => "zip",
            Kind::Bcp => "bcp",
            Kind::PyInstaller => "pyinstaller",
        }
    }
}

/// Where an archive's bytes come from.
pub(crate) enum Input<'i> {
    /// A regular file and its length in bytes.
    File(File, u64),
    /// Anything else, from its first byte on.
    Stream(Box<dyn Read + Send + 'i>),
}

/// An archive that was recognised.
pub(crate) struct Opened<'i> {
    pub kind: Kind,
    pub input: Input<'i>,
    /// Its path, for messages.
    pub shown: PathBuf,
    /// Bytes that were read of a stream so far.
    pub read: Arc<AtomicU64>,
}

/// How much of an archive is looked at to recognise it: a tar header.
const HEAD: usize = 512;

/// What a file or pipe was found to be.
pub(crate) enum Recognised<'i> {
    Archive(Opened<'i>),
    /// A manifest: a tree without its contents, to be read from its first byte on.
    Manifest(Box<dyn Read + Send + 'i>),
}

impl<'i> Recognised<'i> {
    fn archive(self, path: &Path) -> Result<Opened<'i>> {
        match self {
            Recognised::Archive(opened) => Ok(opened),
            Recognised::Manifest(_) => Err(a_manifest().at("read", path)),
        }
    }
}

/// The refusal of a manifest where there has to be content.
pub(crate) fn a_manifest() -> Refusal {
    let cause = "is a manifest, which holds no contents";
    Refusal::new(ErrorKind::UnknownFormat, cause)
        .with_hint("bundlecp verify and repair --from take it")
}

/// Opens the archive at `path`.
pub(crate) fn open(path: &Path) -> Result<Opened<'static>> {
    recognise_at(path)?.archive(path)
}

/// Recognises the archive that `reader` brings, shown as `shown` in messages.
pub(crate) fn from_reader<'i>(reader: impl Read + Send + 'i, shown: &Path) -> Result<Opened<'i>> {
    recognise_from(reader, shown)?.archive(shown)
}

/// Opens the archive or manifest at `path`.
pub(crate) fn recognise_at(path: &Path) -> Result<Recognised<'static>> {
    let failed = |error| Error::io("open", path, error);
    let mut file = sys::open_path(path).map_err(failed)?;
    let stat = sys::stat_file(&file).map_err(failed)?;
    match stat.file_type {
        FileType::File => {
            let mut head = [0; HEAD];
            let filled = file.read_start(&mut head).map_err(failed)?;
            if manifest::is_start(&head[..filled]) {
                // On Windows, reading from a place moves there.
                file.rewind().map_err(failed)?;
                return Ok(Recognised::Manifest(Box::new(file)));
            }
            let kind = recognise(&head[..filled], Some((&file, stat.size)));
            Ok(Recognised::Archive(Opened {
                kind: kind.map_err(|refusal| refusal.at("read", path))?,
                input: Input::File(file, stat.size),
                shown: path.to_owned(),
                read: Arc::new(AtomicU64::new(stat.size)),
            }))
        }
        FileType::Dir => {
            let cause = "is a folder, not an archive";
            Err(Error::new(ErrorKind::UnknownFormat, "read", path, cause))
        }
        FileType::Symlink | FileType::Special | FileType::Unknown => recognise_from(file, path),
    }
}

/// Recognises what `reader` brings, shown as `shown` in messages.
pub(crate) fn recognise_from<'i>(
    mut reader: impl Read + Send + 'i,
    shown: &Path,
) -> Result<Recognised<'i>> {
    let mut head = Vec::with_capacity(HEAD);
    // `read_to_end` of a part goes on after an interruption.
    let filled = (&mut reader).take(HEAD as u64).read_to_end(&mut head);
    filled.map_err(|error| Error::io("read", shown, error))?;
    if manifest::is_start(&head) {
        return Ok(Recognised::Manifest(Box::new(
            Cursor::new(head).chain(reader),
        )));
    }
    let kind = recognise(&head, None).map_err(|refusal| refusal.at("read", shown))?;
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted {
        reader: Cursor::new(head).chain(reader),
        read: Arc::clone(&read),
    };
    Ok(Recognised::Archive(Opened {
        kind,
        input: Input::Stream(Box::new(counted)),
        shown: shown.to_owned(),
        read,
    }))
}

fn recognise(head: &[u8], file: Option<(&File, u64)>) -> Result<Kind, Refusal> {
    if head.is_empty() {
        return Err(Refusal::truncated("it is empty"));
    }
    if zip::is_start(head) {
        return Ok(Kind::Zip);
    }
    if head.starts_with(&format::bcp::MAGIC) {
        return Ok(Kind::Bcp);
    }
    match Codec::detect(head) {
        Codec::Store if tar::is_start(head) => Ok(Kind::Tar(Codec::Store)),
        Codec::Store => match file {
            Some((file, length)) => recognise_end(file, length),
            None if carchive::is_program(head) => Err(unknown()
                .with_hint("save it to a file first: what a program holds is found from its end")),
            None => Err(unknown()),
        },
        codec @ (Codec::Gzip | Codec::Bzip2 | Codec::Xz | Codec::Zstd) => Ok(Kind::Tar(codec)),
    }
}

/// Recognises an archive by its end: a program may stand in front of it.
fn recognise_end(file: &File, length: u64) -> Result<Kind, Refusal> {
    if format::bcp::has_trailer(file, length)? {
        return Ok(Kind::Bcp);
    }
    if zip::is_at_end(file, length) {
        return Ok(Kind::Zip);
    }
    // Any program that knows the format has a cookie's first bytes somewhere, and
    // most packages hold a zip.
    let found = carchive::find(file, length)?;
    match found {
        Found::Cookie(at) if carchive::Package::has_cookie_at(file, length, at) => {
            Ok(Kind::PyInstaller)
        }
        _ if zip::has_end_record(file, length) => Ok(Kind::Zip),
        Found::Cookie(_) => Ok(Kind::PyInstaller),
        Found::Beside => Err(carchive::beside()),
        Found::Nothing => Err(unknown()),
    }
}

/// The refusal of a format that is found at its end, where there is only a pipe.
pub(crate) fn from_pipe() -> Refusal {
    Refusal::new(ErrorKind::Usage, "it comes through a pipe").with_hint("save it to a file first")
}

fn unknown() -> Refusal {
    let cause = "it is no archive that is known here";
    Refusal::new(ErrorKind::UnknownFormat, cause)
        .with_hint("tar (plain, gz, bz2, xz, zst), zip, bcp and PyInstaller programs are known")
}

/// Counts what is read.
struct Counted<R> {
    reader: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.reader.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// A file read from its beginning on, by one reader, without moving the place
/// that the descriptor stands at.
pub(crate) struct Sequential<'f> {
    file: &'f File,
    at: u64,
}

impl<'f> Sequential<'f> {
    pub(crate) fn new(file: &'f File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Sequential<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = sys::read_at(self.file, buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// A part of a file, to be read once.
pub(crate) struct Section<'f> {
    file: &'f File,
    rest: Range<u64>,
}

impl<'f> Section<'f> {
    pub(crate) fn new(file: &'f File, range: Range<u64>) -> Self {
        Self { file, rest: range }
    }
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.rest.end.saturating_sub(self.rest.start);
        let most = buffer
            .len()
            .min(usize::try_from(left).unwrap_or(usize::MAX));
        let count = sys::read_at(self.file, &mut buffer[..most], self.rest.start)?;
        self.rest.start += count as u64;
        Ok(count)
    }
}
