//! Copying one tree into a staging folder, in parallel.
//!
//! A job is a folder: its worker opens both sides, makes the folders in it,
//! copies its files and sets what belongs to it. The files of a very large
//! folder are split among workers, and so are the bytes of a very large file.
//! No link exists while this runs: [`finish`](super::finish) makes them last,
//! and closes the folders that had to stay open for them.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::dest::attributes::{self, Attributes, Losses, Ownership, Rules};
use crate::dest::writer::{create_error, tampered};
use crate::error::{Error, Result};
use crate::handles::{CannotEnter, Handles, limit_for};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::pool::{self, Queue};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::sys::{self, Dir, Stat, Timestamp};

use super::data::{BUFFER, Routes};
use super::file::{Copied, Large};
use super::quiet::Quiet;

/// Files of one folder that one job copies; a folder with more is shared out.
/// A worker that is left with a long job at the end keeps the others waiting:
/// node_modules took 146 ms with 32, 166 ms with 64 and 165 ms with 256 files a
/// job on tmpfs, and 210, 218 and 260 ms on ext4 (medians of 9 in turn).
const FILES_PER_JOB: usize = 32;

/// What the copies of all trees of one operation have in common.
pub(super) struct Shared<'s> {
    pub tree: &'s Tree,
    pub source_root: &'s Dir,
    pub target_root: &'s Dir,
    /// The source's own path, for messages.
    pub source_shown: &'s Path,
    /// The path that the copy will have, for messages.
    pub target_shown: &'s Path,
    pub threads: usize,
    pub routes: Routes,
    pub ownership: Ownership,
    pub inherits_group: bool,
    pub keeps_modes: bool,
    pub keeps_hardlinks: bool,
    pub quiet: Quiet,
    pub counters: Counters,
    pub losses: Losses,
    names: Mutex<HashMap<(u64, u64), NodeId>>,
}

/// What is read from the source, and what is made of it.
#[derive(Debug)]
pub(super) struct Tree {
    pub source: Plan,
    /// The tree to write, where it isn't the source's.
    pub mapped: Option<Mapped>,
    /// The links were replaced by what they point to.
    pub is_flattened: bool,
    /// The root stands for a list of members: it has no attributes of its own.
    pub is_container: bool,
}

impl Tree {
    /// The tree that is written.
    pub(super) fn target(&self) -> &Plan {
        match &self.mapped {
            Some(mapped) => &mapped.plan,
            None => &self.source,
        }
    }
}

/// A tree with other names than the source, or with files for its links.
#[derive(Debug)]
pub(super) struct Mapped {
    pub plan: Plan,
    /// The source's node that each node is a copy of.
    pub origins: Vec<NodeId>,
    /// Links that the source doesn't have, and when they were last modified.
    pub links: HashMap<NodeId, Option<Timestamp>>,
    /// What files and folders have otherwise than the source.
    pub attributes: HashMap<NodeId, Change>,
}

impl Mapped {
    /// A tree that differs in names, or files for links, only.
    pub(super) fn new(plan: Plan, origins: Vec<NodeId>) -> Self {
        Self {
            plan,
            origins,
            links: HashMap::new(),
            attributes: HashMap::new(),
        }
    }
}

/// What becomes of a file or folder besides its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Change {
    /// The permission bits: 0 to 0o7777.
    pub mode: Option<u32>,
    pub modified: Option<Timestamp>,
}

impl Change {
    fn apply(self, stat: &mut Stat) {
        if let Some(mode) = self.mode {
            stat.mode = stat.mode & !0o7777 | mode;
        }
        if let Some(modified) = self.modified {
            stat.modified = modified;
        }
    }
}

/// What is left to do when all files are there.
#[derive(Debug, Default)]
pub(super) struct Leftover {
    /// A file's second name and the node that holds its content.
    pub hardlinks: Vec<(NodeId, NodeId)>,
    /// Folders that get links.
    pub with_links: Vec<NodeId>,
    /// Folders whose attributes are still to be set.
    pub open_dirs: Vec<NodeId>,
    pub files: u64,
    pub bytes: u64,
}

/// One worker's state. Its folders are held apart, in [`work`].
pub(super) struct Worker<'s> {
    pub shared: &'s Shared<'s>,
    pub rules: Rules,
    pub buffer: Vec<u8>,
    /// The way to files that stand in for links from other folders.
    elsewhere: Handles<'s>,
    leftover: Leftover,
}

pub(super) enum Job {
    Dir(NodeId),
    /// Some of a folder's files, by their place among its children.
    Files(NodeId, usize, usize),
    Help(Arc<Large>),
}

/// A folder's source and target, both open.
#[derive(Clone, Copy)]
pub(super) struct Sides<'d> {
    pub from: &'d Dir,
    pub to: &'d Dir,
}

/// Copies all folders and files of `shared.tree` into the empty folder
/// `shared.target_root`, and returns what is to be done after that.
pub(super) fn copy_files(
    shared: &Shared<'_>,
    total: Total,
    progress: &dyn Progress,
) -> Result<Leftover> {
    let report = || progress.report(&shared.counters.status(Phase::Copying, total));
    let done = pool::run(
        shared.threads,
        [Job::Dir(NodeId::ROOT)],
        |queue| work(shared, queue),
        report,
    )?;
    let mut all = Leftover::default();
    for part in done {
        all.hardlinks.extend(part.hardlinks);
        all.with_links.extend(part.with_links);
        all.open_dirs.extend(part.open_dirs);
        all.files += part.files;
        all.bytes += part.bytes;
    }
    Ok(all)
}

fn work(shared: &Shared<'_>, queue: &mut Queue<'_, Job>) -> Result<Leftover> {
    let isolation = sys::isolate_thread(&[shared.source_root, shared.target_root]);
    let (mut source, mut target) = shared.handles();
    let mut worker = Worker {
        shared,
        rules: shared.rules(isolation.exact_modes),
        buffer: vec![0; BUFFER],
        elsewhere: shared.handles().0,
        leftover: Leftover::default(),
    };
    while let Some(job) = queue.next() {
        let node = match &job {
            Job::Dir(node) | Job::Files(node, ..) => *node,
            Job::Help(large) => shared.target_plan().parent(large.node),
        };
        let sides = shared.enter(&mut source, &mut target, node)?;
        match job {
            Job::Dir(node) => worker.copy_dir(queue, sides, node)?,
            Job::Files(node, first, count) => {
                worker.copy_files(queue, sides, node, first, count)?;
            }
            Job::Help(large) => worker.help(queue, sides, &large)?,
        }
    }
    Ok(worker.leftover)
}

impl<'s> Worker<'s> {
    fn copy_dir(&mut self, queue: &Queue<'_, Job>, sides: Sides<'_>, node: NodeId) -> Result<()> {
        let shared = self.shared;
        let plan = shared.target_plan();
        let stat =
            sys::stat_dir(sides.from).map_err(|error| shared.source_error("read", node, error))?;
        if !shared.is_as_listed(node, &stat) {
            return Err(shared.changed(node));
        }
        let is_dir = |child: &NodeId| plan.kind(*child) == NodeKind::Dir;
        let dirs: Vec<NodeId> = plan.children(node).filter(is_dir).collect();
        for dir in &dirs {
            self.make_dir(sides, *dir)?;
        }
        shared.counters.add(dirs.len() as u64, 0);
        let count = plan.child_count(node);
        let is_split = count - dirs.len() > FILES_PER_JOB && shared.threads > 1;
        if is_split {
            let parts = (0..count).step_by(FILES_PER_JOB);
            queue.push(parts.map(|first| Job::Files(node, first, FILES_PER_JOB)));
        }
        queue.push(dirs.into_iter().rev().map(Job::Dir));
        let marks = (
            self.leftover.hardlinks.len(),
            self.leftover.with_links.len(),
        );
        if plan
            .children(node)
            .any(|child| plan.kind(child) == NodeKind::Symlink)
        {
            self.leftover.with_links.push(node);
        }
        if !is_split {
            self.copy_files(queue, sides, node, 0, count)?;
        }
        let is_complete = !is_split
            && marks
                == (
                    self.leftover.hardlinks.len(),
                    self.leftover.with_links.len(),
                )
            && stat.mode & 0o700 == 0o700;
        match is_complete {
            true => self.finish_dir(sides, node, stat),
            false => {
                self.leftover.open_dirs.push(node);
                Ok(())
            }
        }
    }

    /// Makes the folder `node` with room for what comes into it.
    fn make_dir(&self, sides: Sides<'_>, node: NodeId) -> Result<()> {
        let shared = self.shared;
        let mode = shared.source_plan().dir_mode(shared.origin(node));
        let name = shared.target_plan().name(node);
        sys::create_dir(sides.to, name, mode & 0o777 | 0o700)
            .map_err(|error| shared.create_error(node, error))
    }

    /// Copies the files among `count` children of `node`, from the `first` on.
    fn copy_files(
        &mut self,
        queue: &Queue<'_, Job>,
        sides: Sides<'_>,
        node: NodeId,
        first: usize,
        count: usize,
    ) -> Result<()> {
        let shared = self.shared;
        let plan = shared.target_plan();
        let (mut files, mut bytes) = (0, 0);
        for child in plan.children(node).skip(first).take(count) {
            if plan.kind(child) != NodeKind::File {
                continue;
            }
            if queue.is_stopped() {
                break;
            }
            match self.copy_file(queue, sides, child)? {
                Copied::Whole(size) => {
                    files += 1;
                    bytes += size;
                }
                Copied::SameAs(first) => self.leftover.hardlinks.push((child, first)),
            }
        }
        shared.counters.add(files, bytes);
        self.leftover.files += files;
        self.leftover.bytes += bytes;
        Ok(())
    }

    fn finish_dir(&self, sides: Sides<'_>, node: NodeId, stat: Stat) -> Result<()> {
        self.shared.finish_dir(sides, node, stat, self.rules)
    }

    /// Opens the source of the file `node`, which stands in the folder `from`
    /// unless a link led to it.
    pub(super) fn open_source(&mut self, from: &Dir, node: NodeId) -> io::Result<File> {
        let (shared, plan) = (self.shared, self.shared.source_plan());
        let origin = shared.origin(node);
        let folder = plan.parent(origin);
        let from = match folder == shared.origin(shared.target_plan().parent(node)) {
            true => from,
            false => self
                .elsewhere
                .enter(plan, folder)
                .map_err(|lost| lost.source)?,
        };
        sys::open_file(from, plan.name(origin))
    }
}

impl<'s> Shared<'s> {
    pub(super) fn new(
        tree: &'s Tree,
        roots: (&'s Dir, &'s Dir),
        shown: (&'s Path, &'s Path),
        routes: Routes,
        threads: usize,
    ) -> Self {
        Self {
            tree,
            source_root: roots.0,
            target_root: roots.1,
            source_shown: shown.0,
            target_shown: shown.1,
            threads,
            routes,
            ownership: Ownership::Caller,
            inherits_group: true,
            keeps_modes: true,
            keeps_hardlinks: true,
            quiet: Quiet::never(),
            counters: Counters::default(),
            losses: Losses::default(),
            names: Mutex::new(HashMap::new()),
        }
    }

    pub(super) fn source_plan(&self) -> &'s Plan {
        &self.tree.source
    }

    /// The tree that is written.
    pub(super) fn target_plan(&self) -> &'s Plan {
        self.tree.target()
    }

    /// The source's node that `node` is a copy of.
    pub(super) fn origin(&self, node: NodeId) -> NodeId {
        match &self.tree.mapped {
            Some(mapped) => mapped.origins[node.index()],
            None => node,
        }
    }

    /// What `node` is to have, if `stat` is what the source has.
    pub(super) fn wanted(&self, mut stat: Stat, node: NodeId) -> Stat {
        let mapped = self.tree.mapped.as_ref();
        if let Some(change) = mapped.and_then(|mapped| mapped.attributes.get(&node)) {
            change.apply(&mut stat);
        }
        stat
    }

    /// When the link `node` that the source doesn't have was last modified; `None` if the
    /// source has it.
    pub(super) fn new_link(&self, node: NodeId) -> Option<Option<Timestamp>> {
        self.tree.mapped.as_ref()?.links.get(&node).copied()
    }

    /// How attributes are set by a thread that creates modes `exact`ly or not.
    pub(super) fn rules(&self, exact_modes: bool) -> Rules {
        Rules {
            ownership: self.ownership,
            exact_modes,
            inherits_group: self.inherits_group,
            keeps_modes: self.keeps_modes,
        }
    }

    /// The handles of one worker to both sides.
    pub(super) fn handles(&self) -> (Handles<'s>, Handles<'s>) {
        let limit = limit_for(self.threads);
        let source = Handles::new(self.source_root, limit);
        (source, Handles::new(self.target_root, limit))
    }

    /// Opens both sides of the folder `node` of the tree that is written.
    pub(super) fn enter<'d>(
        &self,
        source: &'d mut Handles<'s>,
        target: &'d mut Handles<'s>,
        node: NodeId,
    ) -> Result<Sides<'d>> {
        let from = source
            .enter(self.source_plan(), self.origin(node))
            .map_err(|failed| self.enter_error(node, failed))?;
        let to =
            target
                .enter(self.target_plan(), node)
                .map_err(
                    |CannotEnter { node, source }| match sys::is_not_a_real_dir(&source) {
                        true => tampered(self.target_path(node)),
                        false => Error::io("open", self.target_path(node), source),
                    },
                )?;
        Ok(Sides { from, to })
    }

    fn enter_error(&self, node: NodeId, failed: CannotEnter) -> Error {
        let is_gone = failed.source.kind() == io::ErrorKind::NotFound;
        if is_gone || sys::is_not_a_real_dir(&failed.source) {
            return self.changed(node);
        }
        let path = self.source_plan().path(failed.node);
        let path = sys::join_bytes(self.source_shown, path.as_bytes());
        Error::io("open", path, failed.source)
    }

    /// Sets what belongs to a folder in which nothing will be made any more.
    pub(super) fn finish_dir(
        &self,
        sides: Sides<'_>,
        node: NodeId,
        stat: Stat,
        rules: Rules,
    ) -> Result<()> {
        if self.is_root_container(node) {
            return Ok(());
        }
        let xattrs =
            sys::dir_xattrs(sides.from).map_err(|error| self.source_error("read", node, error))?;
        let attributes = Attributes {
            stat: self.wanted(stat, node),
            xattrs,
        };
        let rules = Rules {
            // The staging folder itself was made for its owner alone.
            exact_modes: rules.exact_modes && node != NodeId::ROOT,
            ..rules
        };
        attributes::finish_dir(sides.to, &attributes, rules, &self.losses)
            .map_err(|error| self.create_error(node, error))
    }

    /// The node whose content is this file's too, if one was met before;
    /// otherwise remembers `node` for the file's other names.
    pub(super) fn first_name_of(&self, stat: &Stat, node: NodeId) -> Option<NodeId> {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        match names.entry((stat.device, stat.inode)) {
            std::collections::hash_map::Entry::Occupied(first) if self.keeps_hardlinks => {
                Some(*first.get())
            }
            std::collections::hash_map::Entry::Occupied(_) => {
                Losses::count(&self.losses.hardlinks);
                None
            }
            std::collections::hash_map::Entry::Vacant(empty) => {
                empty.insert(node);
                None
            }
        }
    }

    /// Whether the source folder of `node` was not changed since it was listed.
    pub(super) fn is_as_listed(&self, node: NodeId, stat: &Stat) -> bool {
        let listed = self.source_plan().fingerprint(self.origin(node));
        self.is_root_container(node) || stat.modified.as_fingerprint() == listed
    }

    fn is_root_container(&self, node: NodeId) -> bool {
        self.tree.is_container && node == NodeId::ROOT
    }

    pub(super) fn source_path(&self, node: NodeId) -> PathBuf {
        let path = self.source_plan().path(self.origin(node));
        sys::join_bytes(self.source_shown, path.as_bytes())
    }

    pub(super) fn target_path(&self, node: NodeId) -> PathBuf {
        let path = self.target_plan().path(node);
        sys::join_bytes(self.target_shown, path.as_bytes())
    }

    pub(super) fn source_error(
        &self,
        operation: &'static str,
        node: NodeId,
        error: io::Error,
    ) -> Error {
        Error::io(operation, self.source_path(node), error)
    }

    /// The error of making something in a folder that nobody else writes to: a
    /// name that is taken there is taken by another name of the same tree.
    pub(super) fn create_error(&self, node: NodeId, error: io::Error) -> Error {
        create_error(self.target_path(node), error, "another name of the source")
    }
}

/// Calls `report` once, for steps that have no workers.
pub(super) fn report_step(
    progress: &dyn Progress,
    counters: &Counters,
    phase: Phase,
    total: Total,
) -> Result<()> {
    match progress.report(&counters.status(phase, total)) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(pool::interruption()),
    }
}
