//! A source tree into a [`Plan`], in parallel, without following a link.
//!
//! A scan reads names and kinds; sizes, link targets and all that the file
//! system says of each entry only when asked ([`Detail`]), because one look at
//! each of many small files costs a tenth of copying them. Folders are entered
//! by handle ([`Handles`]), so that a folder swapped for a link is an error.

use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::Mutex;
use std::sync::PoisonError;

use crate::error::{Error, ErrorKind, Result};
use crate::handles::{CannotEnter, Handles, limit_for};
use crate::plan::{NewNode, NodeId, NodeKind, Plan};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::sys::{self, Dir, FileType, Stat};

/// How much a scan finds out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Names and kinds.
    Names,
    /// Sizes and link targets too.
    Sizes,
    /// All that the file system says of each entry.
    Stats,
}

/// What a scan found.
#[derive(Debug)]
pub(crate) struct Scan {
    pub plan: Plan,
    pub totals: Totals,
    /// What the file system said, by node; empty unless [`Detail::Stats`].
    pub stats: Vec<Stat>,
}

/// The sums over a tree. Bytes are 0 with [`Detail::Names`].
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub files: u64,
    pub dirs: u64,
    pub symlinks: u64,
    /// Content in bytes, holes included, each file of several names once.
    pub bytes: u64,
    /// Storage in bytes that a copy needs, holes left out.
    pub storage: u64,
    /// Further names of files that were counted already.
    pub further_names: u64,
}

impl Totals {
    /// The sums of a single file or link.
    pub(crate) fn of_one(stat: &Stat) -> Self {
        let mut totals = Totals::default();
        match stat.file_type {
            FileType::Symlink => totals.symlinks = 1,
            _ => totals.add_file(stat, true),
        }
        totals
    }

    /// Files, folders and links.
    pub(crate) fn entries(&self) -> u64 {
        self.files + self.dirs + self.symlinks
    }
}

/// What to do with a device, FIFO or socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpecialFiles {
    /// Report it as an error, before anything is written.
    #[default]
    Refuse,
    /// Leave it out.
    Skip,
}

/// What a scan does with them: as [`SpecialFiles`], or list them for a look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Special {
    Refuse,
    Skip,
    Keep,
}

impl From<SpecialFiles> for Special {
    fn from(policy: SpecialFiles) -> Self {
        match policy {
            SpecialFiles::Refuse => Special::Refuse,
            SpecialFiles::Skip => Special::Skip,
        }
    }
}

/// What a scan is to do.
#[derive(Clone, Copy)]
pub(crate) struct Options<'o> {
    pub detail: Detail,
    pub special: Special,
    /// Whether junctions are links, and no special files.
    pub junctions_as_links: bool,
    /// Leaves out what this says of a path below the root, and all below it.
    pub is_excluded: Option<&'o (dyn Fn(&Path) -> bool + Sync)>,
    pub threads: usize,
}

/// Storage is handed out in blocks; this is the usual one.
const BLOCK: u64 = 4096;

struct Shared {
    plan: Plan,
    stats: Vec<Stat>,
    totals: Totals,
    seen: HashSet<(u64, u64)>,
}

/// Scans the tree below `root`, which is shown as `shown` in errors.
pub(crate) fn scan(
    root: &Dir,
    shown: &Path,
    options: Options<'_>,
    progress: &dyn Progress,
) -> Result<Scan> {
    let root_stat = sys::stat_dir(root).map_err(|error| Error::io("read", shown, error))?;
    let wants_stats = options.detail == Detail::Stats;
    let shared = Mutex::new(Shared {
        plan: Plan::new(),
        stats: if wants_stats {
            vec![root_stat]
        } else {
            Vec::new()
        },
        totals: Totals {
            dirs: 1,
            storage: BLOCK,
            ..Totals::default()
        },
        seen: HashSet::new(),
    });
    let counters = Counters::default();
    let work = |queue: &mut Queue<'_, Folder>| {
        Scanner {
            root,
            shown,
            options,
            shared: &shared,
            counters: &counters,
        }
        .work(queue)
    };
    let report = || progress.report(&counters.status(Phase::Scanning, Total::default()));
    pool::run(options.threads, [Folder::root()], work, report)?;
    let shared = shared.into_inner().unwrap_or_else(PoisonError::into_inner);
    Ok(Scan {
        plan: shared.plan,
        totals: shared.totals,
        stats: shared.stats,
    })
}

/// A folder to scan, with what it takes to open it from the one above.
struct Folder {
    node: NodeId,
    parent: NodeId,
    depth: usize,
    name: Box<[u8]>,
}

struct Scanner<'s> {
    root: &'s Dir,
    shown: &'s Path,
    options: Options<'s>,
    shared: &'s Mutex<Shared>,
    counters: &'s Counters,
}

/// One folder's entries before they go into the plan.
#[derive(Default)]
struct Listing {
    nodes: Vec<NewNode>,
    stats: Vec<Stat>,
    totals: Totals,
    /// Files with several names, counted under the lock.
    linked: Vec<Stat>,
}

impl Folder {
    fn root() -> Self {
        Self {
            node: NodeId::ROOT,
            parent: NodeId::ROOT,
            depth: 0,
            name: Box::default(),
        }
    }
}

impl Scanner<'_> {
    fn work(&self, queue: &mut Queue<'_, Folder>) -> Result<()> {
        // What the caller's own code has open has to stay open on this thread.
        if self.options.is_excluded.is_none() {
            sys::isolate_thread(&[self.root]);
        }
        let limit = limit_for(self.options.threads);
        let mut handles = Handles::new(self.root, limit);
        while let Some(folder) = queue.next() {
            self.enter(&mut handles, &folder)?;
            let dirs = self.scan_dir(handles.deepest(), folder.node)?;
            queue.push(dirs);
        }
        Ok(())
    }

    /// Opens a folder; without a look at the plan, and so without its lock, if
    /// the folder above is the one that was scanned last.
    fn enter(&self, handles: &mut Handles<'_>, folder: &Folder) -> Result<()> {
        let failed = |failed: CannotEnter| self.error("open", failed.node, &[], failed.source);
        if folder.node == NodeId::ROOT {
            return Ok(());
        }
        if handles.leads_to(folder.parent, folder.depth - 1) {
            return handles
                .step(folder.node, folder.depth, &folder.name)
                .map_err(failed);
        }
        let missing: Vec<(NodeId, usize, Vec<u8>)> = {
            let shared = self.lock();
            let missing = handles.rewind(&shared.plan, folder.node);
            let owned =
                |(node, name): (NodeId, &[u8])| (node, shared.plan.depth(node), name.to_vec());
            missing.into_iter().map(owned).collect()
        };
        for (node, depth, name) in missing {
            handles.step(node, depth, &name).map_err(failed)?;
        }
        Ok(())
    }

    /// Scans one folder and returns the folders in it.
    fn scan_dir(&self, dir: &Dir, node: NodeId) -> Result<Vec<Folder>> {
        // Taken before the listing: a change while it is read shows later.
        let stat = sys::stat_dir(dir).map_err(|error| self.error("read", node, &[], error))?;
        let listing = self.list(dir, node)?;
        self.insert(node, &stat, listing)
    }

    fn list(&self, dir: &Dir, node: NodeId) -> Result<Listing> {
        let mut listing = Listing::default();
        let base = self
            .options
            .is_excluded
            .map(|_| self.lock().plan.path(node));
        let mut failed = None;
        sys::list_dir::<io::Error>(dir, |listed| {
            if let (Some(is_excluded), Some(base)) = (self.options.is_excluded, &base) {
                let path = sys::join_bytes(&base.to_path_buf(), listed.name);
                if is_excluded(&path) {
                    return Ok(());
                }
            }
            match self.look_at(dir, listed) {
                Ok(Some(found)) => listing.add(found),
                Ok(None) => {}
                Err(look) => {
                    failed = Some(self.look_error(node, listed.name, look));
                    return Err(io::ErrorKind::Other.into());
                }
            }
            Ok(())
        })
        .map_err(|error| failed.unwrap_or_else(|| self.error("read", node, &[], error)))?;
        Ok(listing)
    }

    /// Finds out what one listed name is; `None` for what is left out.
    fn look_at(
        &self,
        dir: &Dir,
        listed: sys::Listed<'_>,
    ) -> Result<Option<(NewNode, Option<Stat>)>, Look> {
        let needs_stat =
            self.options.detail != Detail::Names || listed.file_type == FileType::Unknown;
        let stat = match needs_stat {
            true => Some(sys::stat_at(dir, listed.name).map_err(Look::Failed)?),
            false => None,
        };
        let file_type = stat.map_or(listed.file_type, |stat| stat.file_type);
        let kind = match file_type {
            FileType::Dir => NodeKind::Dir,
            FileType::File => NodeKind::File,
            FileType::Symlink => NodeKind::Symlink,
            FileType::Special
                if self.options.junctions_as_links
                    && sys::is_junction(dir, listed.name).map_err(Look::Failed)? =>
            {
                NodeKind::Symlink
            }
            FileType::Special | FileType::Unknown => match self.options.special {
                Special::Refuse => return Err(Look::Special),
                Special::Skip => return Ok(None),
                Special::Keep => NodeKind::Special,
            },
        };
        let wants_target = self.options.detail != Detail::Names && kind == NodeKind::Symlink;
        let target = match wants_target {
            true => Some(sys::read_link(dir, listed.name).map_err(Look::Failed)?),
            false => None,
        };
        let node = NewNode {
            name: listed.name.into(),
            kind,
            size: match kind {
                NodeKind::File => stat.map_or(0, |stat| stat.size),
                NodeKind::Dir | NodeKind::Symlink | NodeKind::Special => 0,
            },
            target: target.map(Vec::into_boxed_slice),
        };
        Ok(Some((node, stat)))
    }

    fn insert(&self, node: NodeId, stat: &Stat, mut listing: Listing) -> Result<Vec<Folder>> {
        listing.sort();
        self.counters.add(listing.nodes.len() as u64, 0);
        let mut shared = self.lock();
        let shared = &mut *shared;
        shared.totals.add(&listing.totals);
        for stat in &listing.linked {
            let is_new = shared.seen.insert((stat.device, stat.inode));
            shared.totals.add_file(stat, is_new);
        }
        let added = shared.plan.set_children(node, listing.nodes);
        added.map_err(|_| {
            let path = sys::join_bytes(self.shown, shared.plan.path(node).as_bytes());
            Error::new(ErrorKind::Io, "scan", path, "too many names or levels")
        })?;
        shared
            .plan
            .set_dir(node, stat.modified.as_fingerprint(), stat.mode);
        if self.options.detail == Detail::Stats {
            shared.stats.extend(listing.stats);
        }
        let plan = &shared.plan;
        let is_dir = |child: &NodeId| plan.kind(*child) == NodeKind::Dir;
        let folder = |child: NodeId| Folder {
            node: child,
            parent: node,
            depth: plan.depth(child),
            name: plan.name(child).into(),
        };
        Ok(plan
            .children(node)
            .rev()
            .filter(is_dir)
            .map(folder)
            .collect())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shown_path(&self, node: NodeId, name: &[u8]) -> std::path::PathBuf {
        let path = sys::join_bytes(self.shown, self.lock().plan.path(node).as_bytes());
        sys::join_bytes(&path, name)
    }

    fn error(
        &self,
        operation: &'static str,
        node: NodeId,
        name: &[u8],
        source: io::Error,
    ) -> Error {
        Error::io(operation, self.shown_path(node, name), source)
    }

    fn look_error(&self, node: NodeId, name: &[u8], look: Look) -> Error {
        match look {
            Look::Failed(source) => self.error("read", node, name, source),
            Look::Special => Error::new(
                ErrorKind::SpecialFile,
                "read",
                self.shown_path(node, name),
                format!("is a {}, which a bundle can't hold", sys::SPECIAL),
            )
            .with_hint(sys::SPECIAL_HINT),
        }
    }
}

/// Why one name could not be taken into the plan.
enum Look {
    Failed(io::Error),
    Special,
}

impl Listing {
    fn add(&mut self, (node, stat): (NewNode, Option<Stat>)) {
        match node.kind {
            NodeKind::Dir => {
                self.totals.dirs += 1;
                self.totals.storage += BLOCK;
            }
            NodeKind::Symlink => self.totals.symlinks += 1,
            NodeKind::Special => {}
            NodeKind::File => match &stat {
                Some(stat) if stat.links > 1 => self.linked.push(*stat),
                Some(stat) => self.totals.add_file(stat, true),
                None => self.totals.files += 1,
            },
        }
        self.nodes.push(node);
        self.stats.extend(stat);
    }

    /// Brings nodes and stats into the order that the plan gives them.
    fn sort(&mut self) {
        if self.stats.len() != self.nodes.len() {
            return;
        }
        let mut pairs: Vec<_> = self.nodes.drain(..).zip(self.stats.drain(..)).collect();
        pairs.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        (self.nodes, self.stats) = pairs.into_iter().unzip();
    }
}

impl Totals {
    fn add(&mut self, other: &Totals) {
        self.files += other.files;
        self.dirs += other.dirs;
        self.symlinks += other.symlinks;
        self.bytes += other.bytes;
        self.storage += other.storage;
        self.further_names += other.further_names;
    }

    /// Counts a file; its content only the first time that it is met.
    fn add_file(&mut self, stat: &Stat, is_new: bool) {
        self.files += 1;
        if is_new {
            self.bytes += stat.size;
            self.storage += stat.allocated.min(stat.size).next_multiple_of(BLOCK);
        } else {
            self.further_names += 1;
        }
    }
}
