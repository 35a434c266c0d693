//! Reads the tables of a manifest (docs/format.md, Manifest).
//!
//! What the tables say of themselves is checked here, before anything is
//! allocated by it; what names and links may be is the plan's to judge.

use std::collections::HashSet;

use super::column::{self, Columns, HAS_TIME, Heap, next, over, rows, values};
use super::contents::{read_blocks, read_contents};
use super::manifest::{Claim, Content, Entry, Judge, Manifest, Verdict};
use crate::entry::{Carried, Member, MemberKind};
use crate::error::{ErrorKind, Refusal};
use crate::extents::Extents;
use crate::sys::{LinkTo, Timestamp};

/// The bytes of all paths together, at most: a name may be in many.
const MAX_PATHS: usize = 128 << 20;
/// The extents of all files together, at most: files may share a content.
const MAX_EXTENTS: usize = 1 << 20;
/// The bits of an entry that tell its kind, and two kinds.
const KIND: u8 = 3;
const FOLDER: u8 = 0;
const FILE: u8 = 1;
/// Folders within folders, as deep as any tree may be.
const MAX_DEPTH: u32 = 1024;

impl Manifest {
    /// Reads the tables of a manifest, and keeps the entries that `judge` wants.
    pub(crate) fn from_tables(tables: &[u8], judge: Judge<'_>) -> Result<Self, Refusal> {
        let columns = Columns::split(tables)?;
        let counts = values::<8>(columns.needed(column::COUNTS)?, 3)?;
        let count = |at: usize| {
            let count = u64::from_le_bytes(counts[at]);
            // As many as there are bytes for; 2^32 are never there.
            usize::try_from(count)
                .ok()
                .filter(|count| *count <= tables.len() && *count < u32::MAX as usize)
                .ok_or_else(|| Refusal::malformed("it counts more than its tables hold"))
        };
        let (entries, contents, blocks) = (count(0)?, count(1)?, count(2)?);
        judge(Claim::Entries(entries as u64))?;
        let contents = read_contents(&columns, contents)?;
        let blocks = read_blocks(&columns, blocks, &contents)?;
        let entries = read_entries(&columns, entries, &contents, judge)?;
        Ok(Self {
            entries,
            contents,
            blocks,
        })
    }
}

/// The columns of entries, read row by row.
struct Reader<'t, 'c> {
    contents: &'c [Content],
    is_used: Vec<bool>,
    seconds: std::slice::Iter<'t, [u8; 8]>,
    nanoseconds: std::slice::Iter<'t, [u8; 4]>,
    content_numbers: std::slice::Iter<'t, [u8; 4]>,
    first_names: std::slice::Iter<'t, [u8; 4]>,
    target_lengths: std::slice::Iter<'t, [u8; 2]>,
    targets: Heap<'t>,
    /// Bytes of paths that may still come, and extents.
    paths_left: usize,
    extents_left: usize,
}

fn read_entries(
    columns: &Columns<'_>,
    count: usize,
    contents: &[Content],
    judge: Judge<'_>,
) -> Result<Vec<Entry>, Refusal> {
    let kinds = values::<1>(columns.needed(column::KINDS)?, count)?;
    let parents = values::<4>(columns.needed(column::PARENTS)?, count)?;
    let lengths = values::<4>(columns.needed(column::NAME_LENGTHS)?, count)?;
    let names = columns.needed(column::NAMES)?;
    let modes = values::<2>(columns.needed(column::MODES)?, count)?;
    let mut reader = Reader {
        contents,
        is_used: vec![false; contents.len()],
        seconds: rows(columns.optional(column::SECONDS)?)?.iter(),
        nanoseconds: rows(columns.optional(column::NANOSECONDS)?)?.iter(),
        content_numbers: rows(columns.optional(column::CONTENT_NUMBERS)?)?.iter(),
        first_names: rows(columns.optional(column::FIRST_NAMES)?)?.iter(),
        target_lengths: rows(columns.optional(column::TARGET_LENGTHS)?)?.iter(),
        targets: Heap(columns.optional(column::TARGETS)?),
        paths_left: MAX_PATHS,
        extents_left: MAX_EXTENTS,
    };
    let mut tree = Tree {
        kinds,
        parents,
        names,
        starts: check_names(parents, lengths, names)?,
        depths: Vec::with_capacity(count),
    };
    let mut kept = Kept {
        entries: Vec::with_capacity(count),
        numbers: Vec::with_capacity(count),
    };
    let mut path = CurrentPath::default();
    for number in 0..count {
        let parent = u32::from_le_bytes(parents[number]);
        let depth = tree.depth_below(parent, number)?;
        tree.depths.push(depth);
        let full = path.step_to(&tree, parent, number);
        let entry = reader.entry(kinds[number][0], full, modes[number], &tree)?;
        path.bytes = match judge(Claim::Entry(&entry.member))? {
            Verdict::LeaveOut => entry.member.path,
            Verdict::Keep => kept.push(number, entry),
        };
    }
    reader.finish()?;
    read_attributes(columns, count, &mut kept)?;
    read_owners(columns, count, &mut kept)?;
    Ok(kept.entries)
}

/// The entries that are wanted, and the number of each.
struct Kept {
    entries: Vec<Entry>,
    numbers: Vec<u32>,
}

impl Kept {
    /// Keeps an entry, with a path that is as long as it has to be. Returns the
    /// longer one.
    fn push(&mut self, number: usize, mut entry: Entry) -> Vec<u8> {
        let own = entry.member.path.as_slice().to_vec();
        let path = std::mem::replace(&mut entry.member.path, own);
        self.entries.push(entry);
        self.numbers.push(number as u32);
        path
    }

    fn get_mut(&mut self, number: usize) -> Option<&mut Member> {
        let at = self.numbers.binary_search(&(number as u32)).ok()?;
        Some(&mut self.entries[at].member)
    }
}

/// The columns that tell where entries stand.
struct Tree<'t> {
    kinds: &'t [[u8; 1]],
    parents: &'t [[u8; 4]],
    names: &'t [u8],
    /// Where the names begin, and the last one ends.
    starts: Vec<u32>,
    /// How deep the entries stand that were read, one at the top being 1.
    depths: Vec<u32>,
}

impl Tree<'_> {
    /// Whether the entry `number` is of this kind and stands before `end`.
    fn has(&self, number: usize, kind: u8, end: usize) -> bool {
        number < end && self.kinds[number][0] & KIND == kind
    }

    /// The depth of the entry `number`, which has this parent.
    fn depth_below(&self, parent: u32, number: usize) -> Result<u32, Refusal> {
        let depth = match parent.checked_sub(1).map(|above| above as usize) {
            None => 1,
            Some(above) if self.has(above, FOLDER, number) => self.depths[above] + 1,
            Some(_) => {
                let cause = "an entry stands in what is no folder before it";
                return Err(Refusal::malformed(cause));
            }
        };
        match depth > MAX_DEPTH {
            true => Err(over("it has folders deeper than 1,024")),
            false => Ok(depth),
        }
    }

    fn name(&self, number: usize) -> &[u8] {
        &self.names[self.starts[number] as usize..self.starts[number + 1] as usize]
    }

    /// Appends the path of an entry that was read to `path`.
    fn write_path(&self, number: usize, path: &mut Vec<u8>) {
        let above = |number: &usize| {
            let parent = u32::from_le_bytes(self.parents[*number]);
            parent.checked_sub(1).map(|above| above as usize)
        };
        let mut way: Vec<usize> = std::iter::successors(Some(number), above).collect();
        way.reverse();
        for (step, number) in way.into_iter().enumerate() {
            if step > 0 {
                path.push(b'/');
            }
            path.extend_from_slice(self.name(number));
        }
    }
}

/// The path of one entry after the other, most of which is that of the one before.
#[derive(Default)]
struct CurrentPath {
    bytes: Vec<u8>,
    /// The parent that the entry before has, and the length of its path with a slash.
    parent: u32,
    inside: usize,
}

impl CurrentPath {
    /// Takes the path of the entry `number`, which has this parent, one that was read.
    fn step_to(&mut self, tree: &Tree<'_>, parent: u32, number: usize) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        if parent != self.parent {
            bytes.clear();
            if let Some(above) = parent.checked_sub(1) {
                tree.write_path(above as usize, &mut bytes);
                bytes.push(b'/');
            }
            (self.parent, self.inside) = (parent, bytes.len());
        }
        bytes.truncate(self.inside);
        bytes.extend_from_slice(tree.name(number));
        bytes
    }
}

/// Checks the names of all entries, before anything is made of them. Returns where each
/// begins, and where the last one ends.
///
/// Where those in each folder come in the order of their bytes, as in archives that
/// were made here, none comes twice.
fn check_names(
    parents: &[[u8; 4]],
    lengths: &[[u8; 4]],
    names: &[u8],
) -> Result<Vec<u32>, Refusal> {
    let mut starts: Vec<u32> = Vec::with_capacity(parents.len() + 1);
    // The last entry of each folder, by what its members have as parent; counted from 1.
    let mut last = vec![0_u32; parents.len() + 1];
    let (mut rest, mut are_sorted) = (Heap(names), true);
    for (number, (parent, length)) in parents.iter().zip(lengths).enumerate() {
        let start = names.len() - rest.0.len();
        let name = rest.take(u32::from_le_bytes(*length) as usize)?;
        let is_name = !name.is_empty() && memchr::memchr2(b'/', 0, name).is_none();
        if !is_name || name == b"." || name == b".." {
            return Err(Refusal::new(ErrorKind::Unsafe, "a name of it is none"));
        }
        starts.push(start as u32);
        // That a parent is there is checked later.
        if let Some(last) = last.get_mut(u32::from_le_bytes(*parent) as usize) {
            if let Some(before) = last.checked_sub(1).map(|before| before as usize) {
                let (from, to) = (starts[before] as usize, starts[before + 1] as usize);
                are_sorted &= &names[from..to] < name;
            }
            *last = number as u32 + 1;
        }
    }
    starts.push(names.len() as u32);
    rest.finish()?;
    match are_sorted {
        true => Ok(starts),
        false => check_unique(parents, names, &starts).map(|()| starts),
    }
}

/// Checks that no folder has a name twice, whatever their order.
fn check_unique(parents: &[[u8; 4]], names: &[u8], starts: &[u32]) -> Result<(), Refusal> {
    let mut taken: HashSet<([u8; 4], &[u8])> = HashSet::with_capacity(parents.len());
    for (parent, range) in parents.iter().zip(starts.windows(2)) {
        let name = &names[range[0] as usize..range[1] as usize];
        if !taken.insert((*parent, name)) {
            return Err(Refusal::malformed("a folder has a name twice"));
        }
    }
    Ok(())
}

impl Reader<'_, '_> {
    fn entry(
        &mut self,
        byte: u8,
        path: Vec<u8>,
        mode: [u8; 2],
        tree: &Tree<'_>,
    ) -> Result<Entry, Refusal> {
        let kind = match byte & KIND {
            FOLDER => MemberKind::Dir,
            FILE => MemberKind::File,
            2 => MemberKind::Symlink,
            _ => MemberKind::Hardlink,
        };
        let leads_to = match (kind, byte >> 2 & 3) {
            (_, 0) => LinkTo::Unknown,
            (MemberKind::Symlink, 1) => LinkTo::File,
            (MemberKind::Symlink, 2) => LinkTo::Dir,
            (
                MemberKind::Symlink | MemberKind::Dir | MemberKind::File | MemberKind::Hardlink,
                _,
            ) => return Err(Refusal::malformed("reserved bits of an entry are set")),
        };
        let mode = u32::from(u16::from_le_bytes(mode));
        if byte >> 5 != 0 || mode > 0o7777 {
            return Err(Refusal::malformed("reserved bits of an entry are set"));
        }
        self.spend_path(&path)?;
        let mut member = Member::new(kind, path);
        member.mode = mode;
        member.leads_to = leads_to;
        if byte & HAS_TIME != 0 {
            let secs = next(&mut self.seconds).map(i64::from_le_bytes)?;
            let nanos = next(&mut self.nanoseconds).map(u32::from_le_bytes)?;
            if nanos > 999_999_999 {
                return Err(Refusal::malformed(
                    "a time has more than 999,999,999 nanoseconds",
                ));
            }
            member.modified = Some(Timestamp { secs, nanos });
        }
        let mut content = None;
        match kind {
            MemberKind::Dir => {}
            MemberKind::File => {
                let number = next(&mut self.content_numbers).map(u32::from_le_bytes)?;
                let about = self.contents.get(number as usize);
                let about = about.ok_or_else(|| Refusal::malformed("a file has no content"))?;
                self.is_used[number as usize] = true;
                let extents = about.extents.as_ref().map_or(0, Extents::len);
                let left = self.extents_left.checked_sub(extents);
                self.extents_left = left.ok_or_else(|| over("its files have too many holes"))?;
                member.size = about.size;
                member.extents.clone_from(&about.extents);
                content = Some(number);
            }
            MemberKind::Symlink => {
                let length = next(&mut self.target_lengths).map(u16::from_le_bytes)?;
                if !(1..=4095).contains(&length) {
                    return Err(Refusal::malformed(
                        "a link's target has no or over 4,095 bytes",
                    ));
                }
                member.target = self.targets.take(usize::from(length))?.to_vec();
            }
            MemberKind::Hardlink => {
                let first = next(&mut self.first_names).map(u32::from_le_bytes)? as usize;
                // The last one that was read is this one.
                if !tree.has(first, FILE, tree.depths.len() - 1) {
                    let cause = "a hard link names what is no file before it";
                    return Err(Refusal::malformed(cause));
                }
                tree.write_path(first, &mut member.target);
                self.spend_path(&member.target)?;
            }
        }
        Ok(Entry { member, content })
    }

    fn spend_path(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let left = self.paths_left.checked_sub(path.len());
        self.paths_left = left.ok_or_else(|| over("its paths make more than 128 MiB"))?;
        Ok(())
    }

    fn finish(self) -> Result<(), Refusal> {
        let is_used_up = self.seconds.len() == 0
            && self.nanoseconds.len() == 0
            && self.content_numbers.len() == 0
            && self.first_names.len() == 0
            && self.target_lengths.len() == 0;
        if !is_used_up {
            return Err(Refusal::malformed("a column has more values than rows"));
        }
        if self.is_used.contains(&false) {
            return Err(Refusal::malformed("a content belongs to no file"));
        }
        self.targets.finish()
    }
}

fn read_attributes(columns: &Columns<'_>, count: usize, kept: &mut Kept) -> Result<(), Refusal> {
    let wrong = || Refusal::malformed("its attributes are not those of entries, in their order");
    let mut heap = Heap(columns.optional(column::ATTRIBUTES)?);
    let mut last: (usize, &[u8]) = (0, &[]);
    for row in rows::<12>(columns.optional(column::ATTRIBUTE_LENGTHS)?)? {
        let (numbers, _) = row.as_chunks::<4>();
        let [number, name, value] = [0, 1, 2].map(|at| u32::from_le_bytes(numbers[at]) as usize);
        let (name, value) = (heap.take(name)?, heap.take(value)?);
        let is_sorted = last < (number, name);
        if number >= count || !Carried::Users.has(name) || name.contains(&0) || !is_sorted {
            return Err(wrong());
        }
        if let Some(member) = kept.get_mut(number) {
            member.xattrs.push((name.to_vec(), value.to_vec()));
        }
        last = (number, name);
    }
    heap.finish()
}

fn read_owners(columns: &Columns<'_>, count: usize, kept: &mut Kept) -> Result<(), Refusal> {
    let owners = columns.optional(column::OWNERS)?;
    if owners.is_empty() {
        return Ok(());
    }
    let owners = values::<8>(owners, count)?;
    for (entry, number) in kept.entries.iter_mut().zip(&kept.numbers) {
        let (numbers, _) = owners[*number as usize].as_chunks::<4>();
        entry.member.uid = u64::from(u32::from_le_bytes(numbers[0]));
        entry.member.gid = u64::from(u32::from_le_bytes(numbers[1]));
    }
    Ok(())
}
