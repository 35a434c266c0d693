//! The members that an extraction makes: which of the archive's they are, where
//! they stand, and what is set on them.
//!
//! Members come in the archive's order, from a stream or from an index; what
//! the plan refuses is refused here before anything is done for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::archive::limits::Meter;
use crate::dest::attributes::Attributes;
use crate::dest::looks_staged;
use crate::dest::writer::NewFile;
use crate::entry::{Entry, Member, MemberKind};
use crate::error::{ErrorKind, Refusal, Result};
use crate::format::bcp::{Claim, Verdict};
use crate::handles::Folder;
use crate::plan::links::Resolver;
use crate::plan::members::{Added, Members, names_of};
use crate::plan::{NodeId, NodeKind};
use crate::progress::Total;
use crate::sys::{self, FileType, LinkTo, Stat, Timestamp};
use crate::text::escape_bytes;

use super::Select;

/// Bytes of user attributes of folders that are kept until the end. Real ones
/// have some 100 bytes, if any; a tar may give 1 MiB to each.
const MAX_KEPT: usize = 64 << 20;

/// How members of the archive become members of the tree.
pub(super) struct Choice<'o> {
    pub strip_components: usize,
    pub select: Option<&'o Select>,
    /// Permission bits that new files don't get.
    pub umask: u32,
    /// Times that the archive doesn't tell.
    pub now: Timestamp,
}

/// The tree as far as it is known.
pub(super) struct Tree<'o> {
    pub members: Members,
    choice: Choice<'o>,
    pub meter: Meter,
    /// The way to each folder, by its number; `None` for all else.
    folders: Vec<Option<Arc<Folder>>>,
    /// What is set on folders and links at the end. A folder that no member
    /// names has none.
    pub attributes: HashMap<NodeId, Attributes>,
    /// What links lead to, where the archive says so and it matters.
    leads_to: HashMap<NodeId, LinkTo>,
    /// Bytes of user attributes among `attributes`.
    kept: usize,
    /// Folders that the archive told of after they were made: with another mode.
    told_late: HashSet<NodeId>,
    made: Vec<NodeId>,
    new_top: Vec<NodeId>,
    pub counts: Counts,
    /// The root is a folder of this tree, not one that receives members.
    pub owns_root: bool,
}

/// How many of each kind there are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    pub files: u64,
    pub dirs: u64,
    pub symlinks: u64,
    pub hardlinks: u64,
    pub bytes: u64,
}

impl Counts {
    /// Members of all kinds.
    pub(super) fn entries(&self) -> u64 {
        self.files + self.dirs + self.symlinks + self.hardlinks
    }

    /// All that there will be, where no more members come.
    pub(super) fn total(&self) -> Total {
        Total {
            entries: Some(self.entries()),
            bytes: Some(self.bytes),
        }
    }
}

/// What a member is to the extraction.
#[derive(Debug)]
pub(super) enum Accepted {
    /// It wasn't chosen.
    LeftOut,
    /// A file, whose content comes now: see [`Tree::new_file`].
    File(NodeId),
    /// Anything else: made from what the tree remembers.
    Other(NodeId),
}

impl<'o> Tree<'o> {
    pub(super) fn new(choice: Choice<'o>, meter: Meter, owns_root: bool) -> Self {
        let root = Folder {
            node: NodeId::ROOT,
            depth: 0,
            name: Box::default(),
            parent: None,
        };
        Self {
            members: Members::new(),
            choice,
            meter,
            folders: vec![Some(Arc::new(root))],
            attributes: HashMap::new(),
            leads_to: HashMap::new(),
            kept: 0,
            told_late: HashSet::new(),
            made: Vec::new(),
            new_top: Vec::new(),
            counts: Counts::default(),
            owns_root,
        }
    }

    /// Judges what the manifest of a `.bcp` claims, whose paths are names with one slash
    /// between them: entries that aren't chosen are counted, and cost no more.
    pub(super) fn judge(&mut self, claim: Claim<'_>) -> Result<Verdict, Refusal> {
        let member = match claim {
            Claim::Entries(count) => {
                self.meter.check_entries(count)?;
                return Ok(Verdict::Keep);
            }
            Claim::Entry(member) => member,
        };
        let is_chosen = |select: &Select| select(&sys::bytes_to_path(&member.path));
        if self.choice.strip_components > 0 || self.choice.select.is_none_or(is_chosen) {
            return Ok(Verdict::Keep);
        }
        self.meter.count(member)?;
        Ok(Verdict::LeaveOut)
    }

    /// Takes the next member of the archive into the tree. Folders that have to
    /// be made first are in [`take_made`](Self::take_made) after that.
    pub(super) fn accept(&mut self, member: &Member) -> Result<Accepted, Refusal> {
        self.meter.count(member)?;
        let names = names_of(&member.path)?;
        let linked = match member.kind {
            MemberKind::Hardlink => names_of(&member.target)?,
            MemberKind::Dir | MemberKind::File | MemberKind::Symlink => Vec::new(),
        };
        let strip = self.choice.strip_components;
        if strip > 0 && names.len() <= strip {
            return Ok(Accepted::LeftOut);
        }
        if !self.is_chosen(&names) {
            return Ok(Accepted::LeftOut);
        }
        if member.kind == MemberKind::Hardlink
            && ((strip > 0 && linked.len() <= strip) || !self.is_chosen(&linked))
        {
            let target = escape_bytes(&member.target);
            let cause = format!("is a hard link to `{target}`, which is left out");
            let refusal = Refusal::new(ErrorKind::Usage, cause);
            return Err(refusal.with_hint("extract that member too: it has the content"));
        }
        let (names, linked) = (&names[strip..], linked.get(strip..).unwrap_or_default());
        if names.iter().any(|name| looks_staged(name)) {
            let cause = "has the name of a staging folder, which the next run would clean up";
            return Err(Refusal::new(ErrorKind::Unsafe, cause));
        }
        let first = self.made.len();
        let added = self.members.add(names, member, linked, &mut self.made)?;
        self.remember_folders(first);
        let (Added::New(node) | Added::Again(node)) = added;
        let plan = self.members.plan();
        let is_new_dir = self.made[first..].contains(&node);
        if matches!(added, Added::New(_)) && !is_new_dir && plan.depth(node) == 1 {
            self.new_top.push(node);
        }
        self.count(member);
        Ok(match member.kind {
            MemberKind::File => Accepted::File(node),
            MemberKind::Dir | MemberKind::Symlink => {
                if !is_new_dir && member.kind == MemberKind::Dir {
                    self.told_late.insert(node);
                }
                if sys::HAS_KINDS_OF_LINKS && member.leads_to != LinkTo::Unknown {
                    self.leads_to.insert(node, member.leads_to);
                }
                self.keep(node, self.attributes_of(member))?;
                Accepted::Other(node)
            }
            MemberKind::Hardlink => Accepted::Other(node),
        })
    }

    /// Whether the caller wants the member `names`.
    fn is_chosen(&self, names: &[&[u8]]) -> bool {
        let is_selected = |select: &Select| select(&sys::bytes_to_path(&names.join(&b'/')));
        names.is_empty() || self.choice.select.is_none_or(is_selected)
    }

    /// Keeps what is set on a folder or link until the end.
    fn keep(&mut self, node: NodeId, mut attributes: Attributes) -> Result<(), Refusal> {
        if attributes.stat.file_type == FileType::Symlink {
            // Links have no user attributes.
            attributes.xattrs.clear();
        }
        let pairs = attributes.xattrs.iter();
        self.kept += pairs
            .map(|(name, value)| name.len() + value.len())
            .sum::<usize>();
        if self.kept > MAX_KEPT {
            let cause = "has attributes that make more than 64 MiB with those of other folders";
            return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
        }
        self.attributes.insert(node, attributes);
        Ok(())
    }

    /// The file that is to be made of `member`, which became `node`.
    pub(super) fn new_file(&self, node: NodeId, member: &Member) -> NewFile {
        let plan = self.members.plan();
        NewFile {
            folder: Arc::clone(self.folder(plan.parent(node))),
            name: plan.name(node).into(),
            size: member.size,
            has_holes: member.extents.is_some(),
            attributes: self.attributes_of(member),
        }
    }

    fn count(&mut self, member: &Member) {
        let counts = &mut self.counts;
        match member.kind {
            MemberKind::File => {
                counts.files += 1;
                counts.bytes = counts.bytes.saturating_add(member.size);
            }
            MemberKind::Symlink => counts.symlinks += 1,
            MemberKind::Hardlink => counts.hardlinks += 1,
            // The folders on the way are counted as they are made.
            MemberKind::Dir => {}
        }
    }

    /// Remembers the way to the folders that were made since `first`.
    fn remember_folders(&mut self, first: usize) {
        let plan = self.members.plan();
        for node in &self.made[first..] {
            self.counts.dirs += 1;
            if plan.depth(*node) == 1 {
                self.new_top.push(*node);
            }
            let folder = Folder {
                node: *node,
                depth: plan.depth(*node),
                name: plan.name(*node).into(),
                parent: self.folders[plan.parent(*node).index()].clone(),
            };
            self.folders.resize(node.index(), None);
            self.folders.push(Some(Arc::new(folder)));
        }
    }

    /// The way to a folder of the tree.
    pub(super) fn folder(&self, node: NodeId) -> &Arc<Folder> {
        let folder = self.folders[node.index()].as_ref();
        folder.expect("files stand in folders")
    }

    /// The mode that a member's file or folder will have: never set-user-ID,
    /// set-group-ID or sticky.
    pub(super) fn mode_of(&self, member: &Member) -> u32 {
        member.mode & 0o777 & !self.choice.umask
    }

    /// The bytes that a file was announced with.
    pub(super) fn size(&self, node: NodeId) -> u64 {
        self.members.plan().size(node)
    }

    /// Replaces what is set on a folder or link at the end.
    pub(super) fn set_attributes(&mut self, node: NodeId, member: &Member) {
        let attributes = self.attributes_of(member);
        self.told_late.insert(node);
        self.attributes.insert(node, attributes);
    }

    /// Makes a link of what came as a file.
    pub(super) fn become_link(&mut self, node: NodeId, member: &Member) -> Result<(), Refusal> {
        self.counts.files -= 1;
        self.counts.symlinks += 1;
        self.counts.bytes -= self.size(node);
        self.members.become_link(node, &member.target)?;
        self.set_attributes(node, member);
        Ok(())
    }

    /// What each link leads to, on platforms where that matters: in this tree, or
    /// else where it was packed.
    pub(super) fn kinds_of_links(&self) -> Result<HashMap<NodeId, LinkTo>, Refusal> {
        let mut kinds = HashMap::new();
        if !sys::HAS_KINDS_OF_LINKS || self.counts.symlinks == 0 {
            return Ok(kinds);
        }
        let (plan, origins) = self.members.sorted()?;
        let mut resolver = Resolver::new(&plan);
        for link in plan
            .nodes()
            .filter(|node| plan.kind(*node) == NodeKind::Symlink)
        {
            let origin = origins[link.index()];
            let leads_to = match resolver.leads_to(link) {
                LinkTo::Unknown => self.leads_to.get(&origin).copied().unwrap_or_default(),
                known => known,
            };
            kinds.insert(origin, leads_to);
        }
        Ok(kinds)
    }

    /// The mode that a folder will have.
    pub(super) fn dir_mode(&self, node: NodeId) -> u32 {
        const USUAL: u32 = 0o755;
        match self.attributes.get(&node) {
            Some(attributes) => attributes.stat.mode,
            None => USUAL & !self.choice.umask,
        }
    }

    /// Whether a folder may have been made with another mode than it will have.
    pub(super) fn is_told_late(&self, node: NodeId) -> bool {
        self.told_late.contains(&node)
    }

    /// The folders that came into the tree since the last call, outermost first.
    pub(super) fn take_made(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.made)
    }

    /// The nodes at the top of the tree that came since the last call.
    pub(super) fn take_new_top(&mut self) -> Vec<NodeId> {
        std::mem::take(&mut self.new_top)
    }

    /// Every member, sorted, as a caller sees it.
    pub(super) fn entries(&self) -> Result<Vec<Entry>, Refusal> {
        let (plan, _) = self.members.sorted()?;
        let mut entries: Vec<Entry> = plan.nodes().skip(1).filter_map(|n| plan.entry(n)).collect();
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// What is set on a member's file, folder or link.
    pub(super) fn attributes_of(&self, member: &Member) -> Attributes {
        let modified = member.modified.unwrap_or(self.choice.now);
        let id = |id: u64| u32::try_from(id).unwrap_or(u32::MAX);
        Attributes {
            stat: Stat {
                file_type: match member.kind {
                    MemberKind::Dir => FileType::Dir,
                    MemberKind::Symlink => FileType::Symlink,
                    MemberKind::File | MemberKind::Hardlink => FileType::File,
                },
                mode: self.mode_of(member),
                size: member.size,
                allocated: member.size,
                modified,
                accessed: self.choice.now,
                changed: modified,
                device: 0,
                inode: 0,
                links: 1,
                uid: id(member.uid),
                gid: id(member.gid),
            },
            xattrs: member.xattrs.clone(),
        }
    }
}
