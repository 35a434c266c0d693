//! An archive that stays open: its list of members, and single members'
//! content without extracting it.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use crate::codec::{Codec, DecodeOptions, decoder};
use crate::entry::{Listed, Member, MemberKind};
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::{bcp, tar};
use crate::plan::members::names_of;
use crate::sys;
use crate::text::escape_bytes;

use super::bcp::ContentReader;
use super::directory::Directory;
use super::index::{Run, read_index};
use super::picked::{Picked, Want};
use super::tar_stream::TarStream;
use super::{Input, Kind, Opened, Section, Sequential, members};

/// Hard links that are followed, one to the next: archivers write one.
const MAX_HOPS: usize = 40;

/// Stored bytes of a member that are read at a time.
const PIECE: usize = 64 << 10;

/// An archive in a file, open for reading.
///
/// Zips, `.bcp`, PyInstaller programs and our own `.tar.zst` are read by their index: any member takes the
/// time that its own bytes, or the few MiB around it, take. Other tars have
/// none, and are read from the front to the member every time.
///
/// # Examples
///
/// ```
/// use std::io::Read;
/// use std::path::Path;
///
/// use bundlecp::archive::Archive;
/// # use bundlecp::{Silent, pack};
/// # let temp = tempfile::tempdir()?;
/// # let (app, path) = (temp.path().join("app"), temp.path().join("app.zip"));
/// # std::fs::create_dir(&app)?;
/// # std::fs::write(app.join("version.txt"), "1.2")?;
/// # let mut options = pack::Options::default();
/// # options.format = pack::Format::Zip;
/// # pack::pack(&[app], &path, &options, &Silent)?;
///
/// let archive = Archive::open(&path)?;
/// assert_eq!(archive.format(), "zip");
/// assert_eq!(archive.entries()?.len(), 2);
///
/// let mut version = String::new();
/// let mut member = archive.member(Path::new("app/version.txt"))?;
/// member.read_to_string(&mut version)?;
/// assert_eq!(version, "1.2");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Archive {
    file: File,
    length: u64,
    kind: Kind,
    path: PathBuf,
    index: Option<Indexed>,
}

/// What an archive with an index holds.
struct Indexed {
    members: Vec<Member>,
    /// The first member of each path, as [`plain`] writes it.
    by_path: HashMap<Vec<u8>, usize>,
    places: Places,
}

/// Where members are.
enum Places {
    Directory(Directory),
    Runs(Vec<Run>),
    Blocks(Box<bcp::Index>),
}

/// The content of one member, from its first byte to its last.
///
/// Reading fails with [`InvalidData`] or [`UnexpectedEof`] where the archive is
/// damaged; the inner error is an [`Error`] that names the archive. With the last
/// byte, everything was checked that the archive has to check it by: sizes always,
/// in zips, `.bcp` and our own `.tar.zst` checksums too, and those of what PyInstaller
/// compressed. The checksums of other
/// compressed tars stand behind members that aren't read.
///
/// [`InvalidData`]: io::ErrorKind::InvalidData
/// [`UnexpectedEof`]: io::ErrorKind::UnexpectedEof
pub struct MemberReader<'a> {
    content: Box<dyn Read + Send + 'a>,
    size: u64,
    /// The archive's path, for messages.
    archive: &'a Path,
}

/// The content of one member, to be read from any place: see
/// [`Archive::seekable_member`].
///
/// It behaves as the file would: a read behind the end gives nothing, a place before the
/// beginning is [`InvalidInput`], and holes are zeros that take no time. One block of
/// the archive, of at most 16 MiB, is in memory at a time; a read that leaves it reads,
/// checks and decodes another. Errors of reading are those of [`MemberReader`], and
/// leave the place where it was.
///
/// [`InvalidInput`]: io::ErrorKind::InvalidInput
pub struct SeekableMember<'a> {
    content: ContentReader<'a>,
    /// The archive's path, for messages.
    archive: &'a Path,
}

/// A member, and its content, if it is a file.
type Found<'a> = (Member, Box<dyn Read + Send + 'a>);

impl MemberReader<'_> {
    /// Returns the content's bytes, holes included.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for MemberReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer);
        read.map_err(|error| about(self.archive, error))
    }
}

impl SeekableMember<'_> {
    /// Returns the content's bytes, holes included.
    pub fn size(&self) -> u64 {
        self.content.size()
    }
}

impl Read for SeekableMember<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.content.read(buffer);
        read.map_err(|error| about(self.archive, error))
    }
}

impl Seek for SeekableMember<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

/// An error of reading that says which archive it is about.
fn about(archive: &Path, error: io::Error) -> io::Error {
    match error.kind() {
        // Callers look for this one, and read again.
        io::ErrorKind::Interrupted => error,
        kind => io::Error::new(kind, Refusal::io(error).at("read", archive)),
    }
}

impl Archive {
    /// Opens the archive at `path`, a regular file, and reads its index if it
    /// has one.
    ///
    /// # Errors
    ///
    /// When the file can't be read, is no archive, or its index is damaged.
    pub fn open(path: &Path) -> Result<Self> {
        let opened = super::open(path)?;
        let Input::File(file, length) = opened.input else {
            let cause = "is no regular file, and can be read only once";
            return Err(Error::new(ErrorKind::Usage, "open", path, cause));
        };
        let index = match opened.kind {
            Kind::Zip => Some(Indexed::of_directory(
                &file,
                Directory::of_zip(&file, length),
            )),
            Kind::PyInstaller => Some(Indexed::of_directory(
                &file,
                Directory::of_package(&file, length),
            )),
            Kind::Bcp => Some(Indexed::of_bcp(&file, length)),
            Kind::Tar(Codec::Zstd) => Indexed::of_frames(&file, length).transpose(),
            Kind::Tar(Codec::Store | Codec::Gzip | Codec::Bzip2 | Codec::Xz) => None,
        };
        Ok(Self {
            file,
            length,
            kind: opened.kind,
            path: opened.shown,
            index: index
                .transpose()
                .map_err(|refusal| refusal.at("read", path))?,
        })
    }

    /// Returns the format: `tar`, `tar.gz`, `tar.bz2`, `tar.xz`, `tar.zst`,
    /// `zip`, `bcp` or `pyinstaller`.
    pub fn format(&self) -> &'static str {
        self.kind.name()
    }

    /// Returns the hash that names all of the archive: of a `.bcp`. It was
    /// compared with the list of members; contents are when they are read.
    pub fn root_hash(&self) -> Option<[u8; 32]> {
        self.blocks().map(|(_, index)| index.root_hash)
    }

    /// Returns every member, in the archive's order.
    ///
    /// # Errors
    ///
    /// When an archive without an index can't be read to its end.
    pub fn entries(&self) -> Result<Vec<Listed>> {
        if let Some(index) = &self.index {
            return Ok(index.members.iter().map(Listed::from).collect());
        }
        let file = self.file.try_clone();
        let opened = Opened {
            kind: self.kind,
            input: Input::File(file.map_err(|e| self.failed(e))?, self.length),
            shown: self.path.clone(),
            read: Arc::new(AtomicU64::new(self.length)),
        };
        let mut entries = Vec::new();
        members::for_each(opened, tar::Options::default(), 1, &mut |member| {
            entries.push(Listed::from(&member));
            Ok(())
        })?;
        Ok(entries)
    }

    /// Opens the content of the file at `path`: the first member of this path,
    /// or for a hard link the member that it is a further name of.
    ///
    /// # Errors
    ///
    /// When there is no such member, or it is a folder or a symbolic link, whose
    /// target the error names; when the archive can't be read.
    pub fn member(&self, path: &Path) -> Result<MemberReader<'_>> {
        let (member, content) = self.follow(path, |wanted| self.find(wanted))?;
        Ok(MemberReader {
            content,
            size: member.size,
            archive: &self.path,
        })
    }

    /// Opens the content of the file at `path`, as [`member`](Self::member) does, for
    /// reading it from any place: of a `.bcp`.
    ///
    /// # Errors
    ///
    /// As [`member`](Self::member), and [`ErrorKind::Unsupported`] for every other
    /// format: what is in front of a place has to be decoded there every time.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::io::{Read, Seek, SeekFrom};
    /// use std::path::Path;
    ///
    /// use bundlecp::archive::Archive;
    /// # use bundlecp::{Silent, pack};
    /// # let temp = tempfile::tempdir()?;
    /// # let (app, path) = (temp.path().join("app"), temp.path().join("app.bcp"));
    /// # std::fs::create_dir(&app)?;
    /// # std::fs::write(app.join("data"), "0123456789")?;
    /// # let mut options = pack::Options::default();
    /// # options.format = pack::Format::Bcp;
    /// # pack::pack(&[app], &path, &options, &Silent)?;
    ///
    /// let archive = Archive::open(&path)?;
    /// let mut data = archive.seekable_member(Path::new("app/data"))?;
    /// data.seek(SeekFrom::End(-3))?;
    /// let mut end = String::new();
    /// data.read_to_string(&mut end)?;
    /// assert_eq!(end, "789");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn seekable_member(&self, path: &Path) -> Result<SeekableMember<'_>> {
        let Some((indexed, index)) = self.blocks() else {
            let cause = format!(
                "a {} is not read from the middle of a member",
                self.format()
            );
            let error = Error::new(ErrorKind::Unsupported, "seek in", &self.path, cause);
            return Err(error.with_hint("a .bcp is"));
        };
        let find = |wanted: &[u8]| {
            let number = indexed.by_path.get(wanted);
            let number = *number.ok_or_else(|| self.no_member(wanted))?;
            let content = index.layout.manifest.entries[number].content;
            Ok((indexed.members[number].clone(), content))
        };
        let (_, content) = self.follow(path, find)?;
        let content = content.ok_or_else(|| self.refused(no_content()))?;
        Ok(SeekableMember {
            content: ContentReader::new(&self.file, index, content),
            archive: &self.path,
        })
    }

    /// What a `.bcp` holds, and where.
    fn blocks(&self) -> Option<(&Indexed, &bcp::Index)> {
        let indexed = self.index.as_ref()?;
        match &indexed.places {
            Places::Blocks(index) => Some((indexed, index)),
            Places::Directory(_) | Places::Runs(_) => None,
        }
    }

    /// The file that `path` leads to, from one hard link to the next, and what `find`
    /// has for it.
    fn follow<T>(
        &self,
        path: &Path,
        find: impl Fn(&[u8]) -> Result<(Member, T)>,
    ) -> Result<(Member, T)> {
        let mut wanted = plain(sys::os_to_bytes(path.as_os_str())).map_err(|r| self.refused(r))?;
        for _ in 0..MAX_HOPS {
            let (member, found) = find(&wanted)?;
            match member.kind {
                MemberKind::File => return Ok((member, found)),
                MemberKind::Hardlink => {
                    wanted = plain(&member.target).map_err(|r| self.refused(r))?;
                }
                MemberKind::Symlink => {
                    let target = escape_bytes(&member.target);
                    return Err(self.no_file(&wanted, &format!("is a link to `{target}`")));
                }
                MemberKind::Dir => return Err(self.no_file(&wanted, "is a folder")),
            }
        }
        let cause = format!(
            "its member `{}` leads through too many hard links",
            escape_bytes(&wanted)
        );
        Err(Error::new(
            ErrorKind::LimitExceeded,
            "read",
            &self.path,
            cause,
        ))
    }

    /// The first member at `wanted`, and its content, if it is a file.
    fn find(&self, wanted: &[u8]) -> Result<Found<'_>> {
        let found = match &self.index {
            None => self.find_from_front(wanted),
            Some(index) => match index.by_path.get(wanted) {
                None => Ok(None),
                Some(number) => index
                    .content(&self.file, *number)
                    .map(|content| Some((index.members[*number].clone(), content))),
            },
        };
        let found = found.map_err(|r| self.refused(r))?;
        found.ok_or_else(|| self.no_member(wanted))
    }

    fn no_member(&self, wanted: &[u8]) -> Error {
        let cause = format!("it has no member `{}`", escape_bytes(wanted));
        Error::new(ErrorKind::NotFound, "read", &self.path, cause)
    }

    fn find_from_front(&self, wanted: &[u8]) -> Result<Option<Found<'_>>, Refusal> {
        let codec = match self.kind {
            Kind::Tar(codec) => codec,
            Kind::Zip | Kind::Bcp | Kind::PyInstaller => return Ok(None),
        };
        let input = Sequential::new(&self.file);
        let reader = decoder(codec, input, DecodeOptions { threads: 1 })?;
        let stream = TarStream::new(reader, tar::Options::default());
        let mut picked = Picked::new(stream, Want::Path(wanted.to_vec()));
        let member = picked.find()?;
        Ok(member.map(|member| (member, Box::new(picked) as _)))
    }

    fn no_file(&self, wanted: &[u8], what: &str) -> Error {
        let cause = format!("its member `{}` {what}", escape_bytes(wanted));
        Error::new(ErrorKind::Usage, "read", &self.path, cause)
    }

    fn refused(&self, refusal: Refusal) -> Error {
        refusal.at("read", &self.path)
    }

    fn failed(&self, error: io::Error) -> Error {
        Error::io("read", &self.path, error)
    }
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Archive")
            .field("path", &self.path)
            .field("format", &self.format())
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for MemberReader<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("MemberReader")
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SeekableMember<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("SeekableMember")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

impl Indexed {
    fn of_directory(file: &File, directory: Result<Directory, Refusal>) -> Result<Self, Refusal> {
        let directory = directory?;
        let members = directory.members(file)?;
        Ok(Self::new(members, Places::Directory(directory)))
    }

    fn of_bcp(file: &File, length: u64) -> Result<Self, Refusal> {
        let index = bcp::read_index(file, length, &mut bcp::keep_all)?;
        let entries = index.layout.manifest.entries.iter();
        let members = entries.map(|entry| entry.member.clone()).collect();
        Ok(Self::new(members, Places::Blocks(Box::new(index))))
    }

    fn of_frames(file: &File, length: u64) -> Result<Option<Self>, Refusal> {
        let index = read_index(file, length, tar::Options::default(), &mut |_| Ok(()))?;
        Ok(index.map(|index| {
            let runs = index.runs();
            Self::new(index.members, Places::Runs(runs))
        }))
    }

    fn new(members: Vec<Member>, places: Places) -> Self {
        let mut by_path = HashMap::with_capacity(members.len());
        for (number, member) in members.iter().enumerate() {
            // A path that no extraction would take can't be asked for.
            if let Ok(path) = plain(&member.path) {
                by_path.entry(path).or_insert(number);
            }
        }
        Self {
            members,
            by_path,
            places,
        }
    }

    /// The content of one member; of what is no file, nothing.
    fn content<'a>(
        &'a self,
        file: &'a File,
        number: usize,
    ) -> Result<Box<dyn Read + Send + 'a>, Refusal> {
        let member = &self.members[number];
        if member.kind != MemberKind::File {
            return Ok(Box::new(io::empty()));
        }
        match &self.places {
            Places::Directory(directory) => {
                let item = directory.item(number);
                let data = directory.check(file, item)?;
                let raw = BufReader::with_capacity(PIECE, Section::new(file, data));
                Ok(Box::new(item.decode(raw)?))
            }
            Places::Blocks(index) => {
                let content = index.layout.manifest.entries[number].content;
                let content = content.ok_or_else(no_content)?;
                Ok(Box::new(ContentReader::new(file, index, content)))
            }
            Places::Runs(runs) => {
                let at = runs.partition_point(|run| run.members.end <= number);
                let run = &runs[at];
                let section = Section::new(file, run.range.clone());
                let reader = decoder(Codec::Zstd, section, DecodeOptions { threads: 1 })?;
                let stream = TarStream::of_run(reader);
                let want = Want::Number(number - run.members.start, run.clone());
                let mut picked = Picked::new(stream, want);
                match picked.find()? {
                    Some(found) if found == *member => Ok(Box::new(picked)),
                    Some(_) | None => {
                        let cause = "its index names other members than it holds";
                        Err(Refusal::malformed(cause))
                    }
                }
            }
        }
    }
}

fn no_content() -> Refusal {
    Refusal::malformed("it has no content")
}

/// A path's names with one `/` between them.
pub(super) fn plain(path: &[u8]) -> Result<Vec<u8>, Refusal> {
    let names = names_of(path).map_err(|r| r.about(format!("`{}`", escape_bytes(path))))?;
    Ok(names.join(&b'/'))
}
