//! How the workers of a packing read files.
//!
//! A file is packed only if it is what the scan found, and stands still while it
//! is read. What stands in an archive is read from there.

use std::fs::File;
use std::ops::Range;

use crate::entry::{Member, MemberKind};
use crate::error::{Error, ErrorKind, Result};
use crate::extents::{Extent, Extents};
use crate::handles::{Handles, limit_for};
use crate::sys::{self, FileType, Stat};

use super::archived::{Archived, BLOCK, MAX_EXTENTS};
use super::buffer::Buffer;
use super::members::{Item, Root, Source, Style, has_holes, member_of};
use super::program::is_run;

/// Name and value of attributes.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// Bytes of all attributes of one file at most: a tar's header that is longer than 1 MiB
/// is refused by readers, ours among them.
const MAX_XATTRS: usize = 768 << 10;

/// One worker's way to the files.
pub(super) struct Reader<'r> {
    sources: &'r [Source],
    items: &'r [Item],
    style: Style,
    ways: Vec<Way<'r>>,
}

/// One worker's way to the files of one source.
enum Way<'r> {
    Folder(Handles<'r>),
    Archive(&'r Archived),
}

/// A file that was opened and is what the scan found.
pub(super) struct Opened {
    /// `None` for one that stands in an archive.
    file: Option<File>,
    stat: Stat,
}

impl Opened {
    /// The content's bytes, holes included.
    pub(super) fn size(&self) -> u64 {
        self.stat.size
    }
}

impl<'r> Reader<'r> {
    pub(super) fn new(
        sources: &'r [Source],
        items: &'r [Item],
        style: Style,
        threads: usize,
    ) -> Self {
        let limit = (limit_for(threads) / sources.len().max(1)).max(1);
        let ways = sources.iter().map(|source| match &source.root {
            Root::Folder(root) => Way::Folder(Handles::new(root, limit)),
            Root::Archive(archived) => Way::Archive(archived),
        });
        Self {
            sources,
            items,
            style,
            ways: ways.collect(),
        }
    }

    pub(super) fn items(&self) -> &'r [Item] {
        self.items
    }

    pub(super) fn item(&self, number: usize) -> &'r Item {
        &self.items[number]
    }

    /// What the scan found of an item.
    pub(super) fn stat(&self, item: &Item) -> &'r Stat {
        self.sources[item.source as usize].stat(item.node)
    }

    /// The path of an item, for messages.
    pub(super) fn path(&self, item: &Item) -> std::path::PathBuf {
        self.sources[item.source as usize].path(item.node)
    }

    /// What the archive says of an item that is no file.
    pub(super) fn member(&mut self, item: &Item) -> Result<Member> {
        let mut member = member_of(self.sources, self.items, item, self.style);
        if item.kind == MemberKind::Dir {
            let source = &self.sources[item.source as usize];
            let handles = match &mut self.ways[item.source as usize] {
                Way::Folder(handles) => handles,
                Way::Archive(archived) => {
                    member.xattrs = archived.fact(item.node).xattrs.clone();
                    return Ok(member);
                }
            };
            let entered = handles.enter(source.plan(), item.node);
            let dir =
                entered.map_err(|lost| Error::io("open", source.path(lost.node), lost.source))?;
            let xattrs = sys::dir_xattrs(dir)
                .map_err(|error| Error::io("read", source.path(item.node), error))?;
            member.xattrs = self.carried(item, xattrs)?;
        }
        Ok(member)
    }

    /// Opens the file of an item. The member has no [extents](Self::extents) yet.
    pub(super) fn open(&mut self, item: &Item) -> Result<(Opened, Member)> {
        let source = &self.sources[item.source as usize];
        let plan = source.plan();
        let failed = |error| Error::io("open", source.path(item.node), error);
        let mut member = member_of(self.sources, self.items, item, self.style);
        let handles = match &mut self.ways[item.source as usize] {
            Way::Folder(handles) => handles,
            Way::Archive(archived) => {
                member.xattrs = archived.fact(item.node).xattrs.clone();
                let (file, stat) = (None, *source.stat(item.node));
                return Ok((Opened { file, stat }, member));
            }
        };
        let entered = handles.enter(plan, plan.parent(item.node));
        let dir = entered.map_err(|lost| Error::io("open", source.path(lost.node), lost.source))?;
        let file = sys::open_file(dir, plan.name(item.node)).map_err(failed)?;
        let stat = sys::stat_file(&file).map_err(failed)?;
        let listed = source.stat(item.node);
        let is_same = stat.file_type == FileType::File
            && stat.is_same_object(listed)
            && stat.size == listed.size
            && stat.modified == listed.modified;
        if !is_same {
            return Err(self.changed(item));
        }
        let xattrs = sys::file_xattrs(&file).map_err(failed)?;
        member.xattrs = self.carried(item, xattrs)?;
        if !sys::HAS_PERMISSION_BITS {
            // Who may read it may run it.
            let mut begin = [0; 4];
            let read = sys::read_at(&file, &mut begin, 0);
            let read = read.map_err(|error| Error::io("read", source.path(item.node), error))?;
            if is_run(&begin[..read]) {
                member.mode |= (member.mode & 0o444) >> 2;
            }
        }
        let file = Some(file);
        Ok((Opened { file, stat }, member))
    }

    /// The attributes of an item that are written, by name.
    fn carried(&self, item: &Item, mut xattrs: Xattrs) -> Result<Xattrs> {
        xattrs.retain(|(name, _)| self.style.carried.has(name));
        xattrs.sort();
        let bytes: usize = xattrs
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes <= MAX_XATTRS {
            return Ok(xattrs);
        }
        let cause = format!("its attributes have {bytes} bytes, of which an archive holds 768 KiB");
        let error = Error::new(ErrorKind::Unsupported, "pack", self.path(item), cause);
        Err(error.with_hint("without --apple-attributes, resource forks are left out"))
    }

    /// Where a file has data; `None` if it has no holes that can be left out.
    pub(super) fn extents(&self, item: &Item, opened: &Opened) -> Result<Option<Extents>> {
        if let Way::Archive(archived) = &self.ways[item.source as usize] {
            return Ok(archived.fact(item.node).extents.clone());
        }
        match &opened.file {
            Some(file) if has_holes(&opened.stat) => extents(file, opened.stat.size)
                .map_err(|error| Error::io("read", self.path(item), error)),
            Some(_) | None => Ok(None),
        }
    }

    /// Appends the bytes `range` of a file to `out`.
    pub(super) fn read(
        &self,
        item: &Item,
        opened: &Opened,
        range: Range<u64>,
        out: &mut Buffer,
    ) -> Result<()> {
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let room = out.grow(length);
        let Some(file) = &opened.file else {
            return self.read_archived(item, range, room);
        };
        let mut at = range.start;
        let mut filled = 0;
        while at < range.end {
            let read = sys::read_at(file, &mut room[filled..], at);
            match read.map_err(|error| Error::io("read", self.path(item), error))? {
                0 => return Err(self.changed(item)),
                count => {
                    filled += count;
                    at += count as u64;
                }
            }
        }
        Ok(())
    }

    fn read_archived(&self, item: &Item, range: Range<u64>, room: &mut [u8]) -> Result<()> {
        let Way::Archive(archived) = &self.ways[item.source as usize] else {
            return Ok(());
        };
        let read = archived.read(item.node, range, room);
        read.map_err(|refusal| refusal.at("read", &self.sources[item.source as usize].shown))
    }

    /// Looks whether the file stood still while it was read.
    pub(super) fn check(&self, item: &Item, opened: &Opened) -> Result<()> {
        // Whoever opened the archive looks whether that did.
        let Some(file) = &opened.file else {
            return Ok(());
        };
        let now =
            sys::stat_file(file).map_err(|error| Error::io("read", self.path(item), error))?;
        let before = &opened.stat;
        let is_same = now.size == before.size
            && now.modified == before.modified
            && now.changed == before.changed;
        match is_same {
            true => Ok(()),
            false => Err(self.changed(item)),
        }
    }

    pub(super) fn changed(&self, item: &Item) -> Error {
        let cause = "it changed while it was packed";
        Error::new(ErrorKind::SourceChanged, "pack", self.path(item), cause)
            .with_hint("stop what writes to the source, and pack again")
    }
}

/// Where a file has data; `None` if that can't be told, or it has no holes.
fn extents(file: &File, size: u64) -> std::io::Result<Option<Extents>> {
    let mut extents: Vec<Extent> = Vec::new();
    let mut at = 0;
    while at < size {
        let data = match sys::seek_extent(file, sys::Extent::Data, at) {
            Err(error) if sys::is_unsupported(&error) => return Ok(None),
            found => found?,
        };
        let Some(data) = data.filter(|data| *data < size) else {
            break;
        };
        let hole = sys::seek_extent(file, sys::Extent::Hole, data)?;
        let end = hole.map_or(size, |hole| hole.next_multiple_of(BLOCK).min(size));
        // GNU tar begins each part in a new block.
        let start = data - data % BLOCK;
        match extents.last_mut() {
            Some((first, length)) if *first + *length >= start => *length = end - *first,
            Some(_) | None => extents.push((start, end - start)),
        }
        at = end;
        if extents.len() > MAX_EXTENTS {
            return Ok(None);
        }
    }
    let stored: u64 = extents.iter().map(|(_, length)| length).sum();
    Ok((stored < size).then(|| extents.into()))
}
