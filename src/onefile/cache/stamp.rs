//! The stamp of an unpacked bundle: that it is complete, what it is, and what each
//! of its entries looked like (docs/format.md, Stamps).
//!
//! A start reads the head and a few records, never all: which, changes with the time,
//! so that what one start misses a later one finds.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::time::{Duration, Instant};

use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;
use crate::sys::{self, Dir, FileType, Stat, Timestamp};

/// The stamp's name in the folder of an unpacked bundle.
pub(crate) const NAME: &[u8] = b".bundlecp-stamp";

const MAGIC: [u8; 8] = *b"\x89BCPstp\n";
const VERSION: u16 = 1;
/// Bytes in front of the texts.
const HEAD: usize = 104;
/// Where the head says whether the stamp is settled.
const SETTLED_AT: u64 = 10;
/// Bytes of a record.
const RECORD: usize = 64;
/// The most bytes of all texts: two paths and a name.
const TEXTS: usize = 2 * 4095 + 255;

/// The most entries that a stamp has: a manifest's tables have no room for more.
const MOST_RECORDS: u64 = 16 << 20;
/// How many entries one start looks at: a look takes 1 to 2 µs.
const LOOKS: usize = 320;
/// The time that the looks may take, if each takes longer.
const MOST: Duration = Duration::from_micros(500);

/// What a stamp says of the bundle as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    /// All was compared with its hashes in another run of the system than the one that
    /// wrote it, or it is known to be on the disk.
    pub is_settled: bool,
    pub root_hash: [u8; 32],
    /// The run of the system that unpacked it; zeros if that is not known.
    pub boot: [u8; 16],
    /// Content of all files, bytes.
    pub bytes: u64,
    /// The program's path, from the folder on.
    pub entry: Vec<u8>,
    /// The path of the folder with libraries.
    pub library_path: Option<Vec<u8>>,
    /// The name of the executable that it was unpacked from.
    pub label: Vec<u8>,
    /// The program is called by its own path.
    pub has_own_name: bool,
    folders: u32,
    others: u32,
    /// Bytes of all paths.
    heap: u32,
}

/// What an entry looked like when the bundle was complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// From the folder on.
    pub path: Vec<u8>,
    pub kind: FileType,
    pub mode: u32,
    /// Content in bytes; 0 for a folder.
    pub size: u64,
    pub modified: Timestamp,
    /// BLAKE3 of a file's content; zeros for what has holes, and all else.
    pub hash: [u8; 32],
    /// What is in a folder, but for folders: numbers among all that are none.
    inside: Range<u32>,
}

impl Record {
    pub(crate) fn new(path: Vec<u8>, stat: &Stat, hash: [u8; 32]) -> Self {
        Self {
            path,
            kind: stat.file_type,
            mode: stat.mode,
            size: size_of(stat),
            modified: stat.modified,
            hash,
            inside: 0..0,
        }
    }

    /// The path of the folder that it is in.
    fn folder(&self) -> &[u8] {
        let cut = self.path.iter().rposition(|byte| *byte == b'/');
        &self.path[..cut.unwrap_or_default()]
    }

    /// Whether what `stat` is of is still what it was. A folder's time changes with what is
    /// in it: that is for a closer look.
    fn is_same(&self, stat: &Stat) -> bool {
        let is_alike =
            self.kind == stat.file_type && self.mode == stat.mode && self.size == size_of(stat);
        is_alike && (self.kind == FileType::Dir || self.modified == stat.modified)
    }

    fn to_bytes(&self, at: u32) -> [u8; RECORD] {
        let mut bytes = [0; RECORD];
        bytes[..4].copy_from_slice(&at.to_le_bytes());
        bytes[4..6].copy_from_slice(&(self.path.len() as u16).to_le_bytes());
        bytes[6] = match self.kind {
            FileType::Dir => 0,
            FileType::File => 1,
            FileType::Symlink | FileType::Special | FileType::Unknown => 2,
        };
        bytes[8..10].copy_from_slice(&(self.mode as u16).to_le_bytes());
        bytes[12..16].copy_from_slice(&self.modified.nanos.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.modified.secs.to_le_bytes());
        bytes[32..].copy_from_slice(&self.hash);
        if self.kind == FileType::Dir {
            bytes[32..36].copy_from_slice(&self.inside.start.to_le_bytes());
            bytes[36..40].copy_from_slice(&self.inside.end.to_le_bytes());
        }
        bytes
    }
}

/// A folder's own size says nothing.
fn size_of(stat: &Stat) -> u64 {
    match stat.file_type {
        FileType::Dir => 0,
        FileType::File | FileType::Symlink | FileType::Special | FileType::Unknown => stat.size,
    }
}

/// Writes the stamp of what is complete in `dir`.
pub(crate) fn write(dir: &Dir, head: &Head, records: Vec<Record>) -> io::Result<()> {
    let records = &in_order(records)[..];
    let folders = records
        .iter()
        .filter(|one| one.kind == FileType::Dir)
        .count();
    let library = head.library_path.as_deref().unwrap_or_default();
    let mut bytes = Vec::with_capacity(HEAD + records.len() * (RECORD + 48));
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    let flags = [u8::from(head.is_settled), u8::from(head.has_own_name)];
    bytes.extend_from_slice(&flags);
    bytes.resize(16, 0);
    bytes.extend_from_slice(&head.root_hash);
    bytes.extend_from_slice(&head.boot);
    bytes.extend_from_slice(&head.bytes.to_le_bytes());
    let heap: usize = records.iter().map(|one| one.path.len()).sum();
    for number in [folders, records.len() - folders, heap] {
        bytes.extend_from_slice(&(number as u32).to_le_bytes());
    }
    for text in [&head.entry, library, &head.label] {
        bytes.extend_from_slice(&(text.len() as u16).to_le_bytes());
    }
    bytes.resize(HEAD, 0);
    for text in [&head.entry, library, &head.label] {
        bytes.extend_from_slice(text);
    }
    let mut at = 0;
    for record in records {
        bytes.extend_from_slice(&record.to_bytes(at));
        at += record.path.len() as u32;
    }
    for record in records {
        bytes.extend_from_slice(&record.path);
    }
    let file = sys::create_file(dir, NAME, 0o600)?;
    sys::write_all_at(&file, &bytes, 0)
}

/// Folders first, and after them what is in each folder together.
fn in_order(records: Vec<Record>) -> Vec<Record> {
    let is_dir = |one: &Record| one.kind == FileType::Dir;
    let (mut folders, mut others): (Vec<_>, Vec<_>) = records.into_iter().partition(is_dir);
    others.sort_by(|a, b| (a.folder(), &a.path).cmp(&(b.folder(), &b.path)));
    for folder in &mut folders {
        let before = |one: &Record| one.folder() < folder.path.as_slice();
        let up_to = |one: &Record| one.folder() <= folder.path.as_slice();
        let (start, end) = (
            others.partition_point(before),
            others.partition_point(up_to),
        );
        folder.inside = start as u32..end as u32;
    }
    folders.append(&mut others);
    folders
}

/// A stamp that is open.
pub(crate) struct Stamp {
    file: File,
    pub head: Head,
    pub stat: Stat,
    /// Where the records begin.
    records: u64,
}

/// What a look at a bundle found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Health {
    Good,
    /// This is no longer what it was.
    Damaged(Vec<u8>),
}

impl Stamp {
    /// Opens the stamp of the folder `dir`.
    pub(crate) fn open(dir: &Dir) -> Result<Self, Refusal> {
        let file = sys::open_file(dir, NAME).map_err(Refusal::io)?;
        let stat = sys::stat_file(&file).map_err(Refusal::io)?;
        let mut bytes = vec![0; HEAD + TEXTS];
        let read = file.read_start(&mut bytes).map_err(Refusal::io)?;
        let (head, records) = head(&bytes[..read])?;
        let end = records + head.count() * RECORD as u64 + u64::from(head.heap);
        let is_possible = head.count() <= MOST_RECORDS;
        match stat.size == end && stat.file_type == FileType::File && is_possible {
            true => Ok(Self {
                file,
                head,
                stat,
                records,
            }),
            false => Err(wrong("it has another length than it says")),
        }
    }

    /// All records, folders first.
    pub(crate) fn records(&self) -> Result<Vec<Record>, Refusal> {
        self.some(0, self.head.count() as usize)
    }

    /// Some of the records, from the one with number `first` on.
    fn some(&self, first: usize, count: usize) -> Result<Vec<Record>, Refusal> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let all = self.head.count();
        let mut bytes = vec![0; count * RECORD];
        let at = self.records + (first * RECORD) as u64;
        self.file
            .read_exact_at(&mut bytes, at)
            .map_err(Refusal::io)?;
        let (rows, _) = bytes.as_chunks::<RECORD>();
        let number = |row: &[u8; RECORD], at: usize| {
            u32::from_le_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]])
        };
        let path_of = |row: &[u8; RECORD]| {
            let start = number(row, 0) as usize;
            start..start + usize::from(u16::from_le_bytes([row[4], row[5]]))
        };
        let (Some(start), Some(end)) = (rows.first().map(path_of), rows.last().map(path_of)) else {
            return Ok(Vec::new());
        };
        let heap = start.start..end.end;
        if heap.start > heap.end || heap.end > self.head.heap as usize {
            return Err(wrong("its paths are not where it says"));
        }
        let mut paths = vec![0; heap.len()];
        let at = self.records + all * RECORD as u64 + heap.start as u64;
        self.file
            .read_exact_at(&mut paths, at)
            .map_err(Refusal::io)?;
        let record = |row: &[u8; RECORD]| {
            let path = path_of(row);
            let range = path.start.checked_sub(heap.start)?..path.end.checked_sub(heap.start)?;
            let mut hash = [0; 32];
            hash.copy_from_slice(&row[32..]);
            Some(Record {
                path: paths.get(range)?.to_vec(),
                kind: match row[6] {
                    0 => FileType::Dir,
                    1 => FileType::File,
                    _ => FileType::Symlink,
                },
                mode: u32::from(u16::from_le_bytes([row[8], row[9]])),
                size: u64::from(number(row, 16)) | u64::from(number(row, 20)) << 32,
                modified: Timestamp {
                    secs: (u64::from(number(row, 24)) | u64::from(number(row, 28)) << 32) as i64,
                    nanos: number(row, 12),
                },
                hash,
                inside: match row[6] {
                    0 => number(row, 32)..number(row, 36),
                    _ => 0..0,
                },
            })
        };
        let records = rows.iter().map(record).collect::<Option<_>>();
        records.ok_or_else(|| wrong("its paths are not where it says"))
    }

    /// Looks at some of the entries in `dir`, at others with every start: half of them folders,
    /// whose times tell what came and went in them.
    pub(crate) fn glance(&self, dir: &Dir) -> Result<Health, Refusal> {
        let started = Instant::now();
        let now = Timestamp::now().as_fingerprint() >> 10;
        let (folders, others) = (self.head.folders as usize, self.head.others as usize);
        let of_folders = folders.min(LOOKS / 2);
        let of_others = others.min(LOOKS - of_folders);
        for (first, all, count) in [(0, folders, of_folders), (folders, others, of_others)] {
            let start = (now % (all - count + 1) as u64) as usize;
            for record in &self.some(first + start, count)? {
                if started.elapsed() > MOST {
                    return Ok(Health::Good);
                }
                if let Some(path) = self.damage(dir, record, now)? {
                    return Ok(Health::Damaged(path));
                }
            }
        }
        Ok(Health::Good)
    }

    /// What is no longer as it was, of an entry or in a folder.
    fn damage(&self, dir: &Dir, record: &Record, now: u64) -> Result<Option<Vec<u8>>, Refusal> {
        let stat = sys::stat_below(dir, &record.path);
        let Some(stat) = stat.ok().filter(|stat| record.is_same(stat)) else {
            return Ok(Some(record.path.clone()));
        };
        if record.modified == stat.modified {
            return Ok(None);
        }
        // A folder that something was made or removed in: a program may write there, but
        // what the bundle has in it has to be there.
        let (first, end) = (record.inside.start as usize, record.inside.end as usize);
        if first > end || end > self.head.others as usize {
            return Err(wrong("its folders have more in them than there is"));
        }
        let count = (end - first).min(LOOKS);
        let start = first + (now % (end - first - count + 1) as u64) as usize;
        let inside = self.some(self.head.folders as usize + start, count)?;
        let is_good =
            |one: &Record| sys::stat_below(dir, &one.path).is_ok_and(|stat| one.is_same(&stat));
        let bad = inside.into_iter().find(|one| !is_good(one));
        Ok(bad.map(|one| one.path))
    }

    /// Notes that the bundle is used now, once an hour.
    pub(crate) fn touch(&self) {
        const HOUR: i64 = 3600;
        let now = Timestamp::now();
        if now
            .secs
            .saturating_sub(self.stat.modified.secs)
            .saturating_abs()
            > HOUR
        {
            let stat = Stat {
                modified: now,
                accessed: now,
                ..self.stat
            };
            let _ = sys::set_file_times(&self.file, &stat);
        }
    }

    /// Notes that all of the bundle in `dir` was compared with its hashes.
    pub(crate) fn settle(dir: &Dir) {
        if let Ok(file) = sys::open_file_for_write(dir, NAME) {
            let _ = sys::write_all_at(&file, &[1], SETTLED_AT);
        }
    }
}

/// Decodes the head and the texts. Returns where the records begin as well.
fn head(bytes: &[u8]) -> Result<(Head, u64), Refusal> {
    let Some((head, texts)) = bytes.split_first_chunk::<HEAD>() else {
        return Err(wrong("it is shorter than its own head"));
    };
    if head[..8] != MAGIC {
        return Err(wrong("it doesn't begin as a stamp does"));
    }
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    if short(8) != VERSION {
        let cause = format!("version {} of a stamp is not known", short(8));
        return Err(Refusal::new(ErrorKind::Unsupported, cause));
    }
    let number =
        |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let mut at = 0;
    let mut text = |length: u16| {
        let text = texts.get(at..at + usize::from(length))?;
        at += text.len();
        Some(text.to_vec())
    };
    let lengths = [short(84), short(86), short(88)];
    let [Some(entry), Some(library), Some(label)] = lengths.map(&mut text) else {
        return Err(wrong("it ends within its texts"));
    };
    let (mut root_hash, mut boot) = ([0; 32], [0; 16]);
    root_hash.copy_from_slice(&head[16..48]);
    boot.copy_from_slice(&head[48..64]);
    let head = Head {
        is_settled: head[10] == 1,
        has_own_name: head[11] == 1,
        root_hash,
        boot,
        bytes: u64::from(number(64)) | u64::from(number(68)) << 32,
        folders: number(72),
        others: number(76),
        heap: number(80),
        entry,
        library_path: (!library.is_empty()).then_some(library),
        label,
    };
    Ok((head, (HEAD + at) as u64))
}

impl Head {
    /// Whether it is known in which run of the system the bundle was unpacked.
    pub(crate) fn knows_boot(&self) -> bool {
        self.boot != [0; 16]
    }

    fn count(&self) -> u64 {
        u64::from(self.folders) + u64::from(self.others)
    }

    /// A head for [`write()`], which counts the records itself.
    pub(crate) fn new(root_hash: [u8; 32], bytes: u64, boot: Option<[u8; 16]>) -> Self {
        Self {
            is_settled: false,
            root_hash,
            boot: boot.unwrap_or_default(),
            bytes,
            entry: Vec::new(),
            library_path: None,
            label: Vec::new(),
            has_own_name: false,
            folders: 0,
            others: 0,
            heap: 0,
        }
    }
}

fn wrong(cause: &str) -> Refusal {
    Refusal::malformed(format!("its stamp: {cause}"))
}
