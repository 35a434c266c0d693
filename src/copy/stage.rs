//! One source, from its scan to a complete copy in its staging folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::dest::Staging;
use crate::dest::deliver::Staged;
use crate::dest::merge::{Folders, Manner, Root};
use crate::dest::publish::Existing;
use crate::error::{Error, ErrorKind, Result};
use crate::fit::{self, Goal, Need, OnNoSymlinks};
use crate::handles::{Handles, limit_for};
use crate::links_file;
use crate::plan::{NewNode, NodeId, NodeKind, Plan};
use crate::probe::{self, Capabilities, Scope};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::scan::{self, Detail, Scan, Totals};
use crate::sys::{self, Dir, FileType, Timestamp};

use super::data::Routes;
use super::finish::{self, Links};
use super::flatten::{Growth, flatten};
use super::preflight;
use super::quiet::Quiet;
use super::target::{SourceKind, Target};
use super::tree::{self, Mapped, Shared, Tree, report_step};
use super::{Options, Outcome};

/// A source that was scanned, and where its copy goes.
pub(super) struct Prepared {
    target: Target,
    tree: Tree,
    totals: Totals,
    detail: Detail,
    quiet: Quiet,
}

impl Prepared {
    /// Scans the source of `target`.
    pub(super) fn new(target: Target, options: &Options, progress: &dyn Progress) -> Result<Self> {
        report_step(
            progress,
            &Counters::default(),
            Phase::Scanning,
            Total::default(),
        )?;
        let quiet = Quiet::since_now(&target.source_dir);
        let needs_sizes = options.dry_run || options.list_entries || progress.wants_bytes_total();
        let detail = match needs_sizes {
            true => Detail::Sizes,
            false => Detail::Names,
        };
        let scan = scan_source(&target, detail, options, progress)?;
        Ok(Self {
            tree: Tree {
                mapped: renamed(&target, &scan.plan)?,
                source: scan.plan,
                is_flattened: false,
                is_container: is_container(&target),
            },
            target,
            totals: scan.totals,
            detail,
            quiet,
        })
    }

    /// The source that was scanned before, with other links.
    pub(super) fn revised(target: Target, source: Plan, totals: Totals, mapped: Mapped) -> Self {
        Self {
            tree: Tree {
                source,
                mapped: Some(mapped),
                is_flattened: false,
                is_container: false,
            },
            target,
            totals,
            detail: Detail::Sizes,
            // Nobody knows when it was scanned.
            quiet: Quiet::never(),
        }
    }

    /// Copies the source into a staging folder; `None` for a dry run.
    pub(super) fn stage(
        mut self,
        options: &Options,
        progress: &dyn Progress,
        outcome: &mut Outcome,
    ) -> Result<Option<Staged>> {
        let target_path = self.target.path();
        let label = match self.target.name.is_empty() {
            true => &b"copy"[..],
            false => &self.target.name,
        };
        let before = sys::stat_dir(&self.target.parent);
        let staging = Staging::create(&self.target.parent, &self.target.parent_path, label)?;
        let found = probe::probe_in(staging.dir(), &self.target.parent_path, Scope::ForWriting)?;
        let growth = self.check(&found, staging.dir(), options, progress)?;
        if options.list_entries {
            self.list_entries(outcome);
        }
        if options.dry_run {
            let before =
                before.map_err(|error| Error::io("read", &self.target.parent_path, error))?;
            staging.discard()?;
            // The trial came and went: nobody needs to see that it was there.
            let _ = sys::set_dir_times(&self.target.parent, &before);
            self.count_planned(&target_path, growth, outcome);
            return Ok(None);
        }
        self.copy(&staging, &found, options, progress, outcome)?;
        outcome.flattened = growth.or(outcome.flattened);
        outcome.targets.push(target_path);
        Ok(Some(Staged {
            is_whole: !self.tree.is_container,
            is_stuck: Rc::default(),
            operation: "copy to",
            manner: Manner {
                folders: match found.folder_moves.is_yes() {
                    true => Folders::Move,
                    false => Folders::MakeAnew,
                },
                ownership: options.ownership,
                root: match self.tree.is_container {
                    true => Root::Kept,
                    false => Root::Merged,
                },
            },
            parent: self.target.parent,
            parent_path: self.target.parent_path,
            name: self.target.name,
            staging,
        }))
    }

    /// Checks all that can be known before the first byte, and replaces links
    /// where they are to be lost on purpose.
    fn check(
        &mut self,
        found: &Capabilities,
        private: &Dir,
        options: &Options,
        progress: &dyn Progress,
    ) -> Result<Option<Growth>> {
        let target_path = &self.target.path();
        let policy = options.on_no_symlinks;
        let loses_links = self.totals.symlinks > 0 && !found.symlinks.is_yes();
        let goal = |path| Goal {
            operation: "copy to",
            path,
        };
        fit::check_links(self.totals.symlinks, found, policy, goal(target_path))?;
        self.check_standing(options.existing)?;
        let needs_sizes =
            loses_links || !preflight::surely_fits(&self.target.source_dir, &self.totals, found);
        if needs_sizes && self.detail == Detail::Names {
            let scan = scan_source(&self.target, Detail::Sizes, options, progress)?;
            self.tree.source = scan.plan;
            self.totals = scan.totals;
            self.detail = Detail::Sizes;
        }
        let mut growth = None;
        if loses_links && policy == OnNoSymlinks::Copy {
            let source = &self.tree.source;
            let (flattened, grown) = flatten(source).map_err(|cannot| {
                let path = source.path(cannot.link);
                cannot.into_error(sys::join_bytes(&self.target.source, path.as_bytes()))
            })?;
            self.tree.mapped = Some(flattened);
            self.tree.is_flattened = true;
            growth = Some(grown);
        }
        let shown = self.shown_target();
        fit::check_names(self.plan(), found, private, goal(&shown))?;
        if self.detail != Detail::Names {
            let grown = growth.map_or(0, |growth| growth.bytes);
            fit::check_space(Need::of(&self.totals, grown), found, goal(target_path))?;
        }
        Ok(growth)
    }

    /// Looks for what stands in the way of the copy's members.
    fn check_standing(&self, existing: Existing) -> Result<()> {
        let target = &self.target;
        if self.tree.is_container {
            return preflight::check_members(self.plan(), target, existing);
        }
        if existing != Existing::Merge {
            return Ok(());
        }
        match sys::open_dir(&target.parent, &target.name) {
            Ok(standing) => fit::check_merge(self.plan(), &standing, &target.path()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("open", target.path(), error)),
        }
    }

    fn copy(
        &self,
        staging: &Staging,
        found: &Capabilities,
        options: &Options,
        progress: &dyn Progress,
        outcome: &mut Outcome,
    ) -> Result<()> {
        let loses_links = self.totals.symlinks > 0 && !found.symlinks.is_yes();
        let writes_links_down = loses_links && !self.tree.is_flattened;
        let target_path = self.shown_target();
        let source_path = self.shown_source();
        let mut shared = Shared::new(
            &self.tree,
            (&self.target.source_dir, staging.dir()),
            (&source_path, &target_path),
            Routes::new(staging.dir(), options.reflink),
            options.threads(),
        );
        shared.ownership = options.ownership;
        shared.quiet = self.quiet;
        shared.inherits_group = staging.inherits_group();
        shared.keeps_modes = found.modes.is_yes();
        shared.keeps_hardlinks = found.hardlinks.is_yes() && !self.tree.is_flattened;
        let total = self.total();
        if writes_links_down {
            self.write_links_down(staging, outcome)?;
        }
        let leftover = tree::copy_files(&shared, total, progress)?;
        let links = match writes_links_down {
            true => Links::LeaveOut,
            false => Links::Make,
        };
        let linked = finish::finish(&shared, &leftover, links, total, progress)?;
        outcome.files += leftover.files;
        outcome.bytes += leftover.bytes;
        outcome.dirs += self.count_dirs();
        outcome.symlinks += linked.symlinks;
        outcome.hardlinks += linked.hardlinks;
        outcome.methods.extend(shared.routes.methods());
        outcome.losses += shared.losses.counts();
        report_step(progress, &shared.counters, Phase::Publishing, total)
    }

    /// Writes `.bundlecp-links.json` before anything else: a source that has a
    /// file of this name already is refused when that file is copied.
    fn write_links_down(&self, staging: &Staging, outcome: &mut Outcome) -> Result<()> {
        let path = self.shown_target().join(links_file::NAME);
        let failed = |error| Error::io("write", &path, error);
        let plan = &self.tree.source;
        let document = links_file::document(plan, &self.link_times()?);
        let name = links_file::NAME.as_bytes();
        let file = sys::create_file(staging.dir(), name, 0o644).map_err(failed)?;
        sys::write_all_at(&file, &document, 0).map_err(failed)?;
        outcome
            .links_files
            .push((path.clone(), self.totals.symlinks));
        Ok(())
    }

    /// When each link was made, by node.
    fn link_times(&self) -> Result<HashMap<NodeId, Timestamp>> {
        let plan = &self.tree.source;
        let shown = self.shown_source();
        let failed = |node, error| {
            let path = sys::join_bytes(&shown, plan.path(node).as_bytes());
            Error::io("read", path, error)
        };
        let limit = limit_for(1);
        let mut handles = Handles::new(&self.target.source_dir, limit);
        let mut times = HashMap::new();
        for link in plan
            .nodes()
            .filter(|node| plan.kind(*node) == NodeKind::Symlink)
        {
            let dir = handles
                .enter(plan, plan.parent(link))
                .map_err(|lost| failed(lost.node, lost.source))?;
            let stat = sys::stat_at(dir, plan.name(link)).map_err(|error| failed(link, error))?;
            times.insert(link, stat.modified);
        }
        Ok(times)
    }

    /// The tree that is written.
    fn plan(&self) -> &Plan {
        self.tree.target()
    }

    /// The folders that the copy has; a container is none.
    fn count_dirs(&self) -> u64 {
        let plan = self.plan();
        let dirs = plan
            .nodes()
            .filter(|node| plan.kind(*node) == NodeKind::Dir)
            .count() as u64;
        dirs - u64::from(self.tree.is_container)
    }

    fn total(&self) -> Total {
        let has_bytes = self.detail != Detail::Names && !self.tree.is_flattened;
        Total {
            entries: Some(self.plan().len() as u64 - 1),
            bytes: has_bytes.then_some(self.totals.bytes),
        }
    }

    /// Counts what a dry run would have copied.
    fn count_planned(&self, target_path: &Path, growth: Option<Growth>, outcome: &mut Outcome) {
        outcome.files += self.totals.files - self.totals.further_names;
        outcome.dirs += self.count_dirs();
        outcome.hardlinks += self.totals.further_names;
        outcome.bytes += self.totals.bytes + growth.map_or(0, |growth| growth.bytes);
        match growth {
            None => outcome.symlinks += self.totals.symlinks,
            Some(_) => outcome.flattened = growth,
        }
        outcome.targets.push(target_path.to_owned());
    }

    fn list_entries(&self, outcome: &mut Outcome) {
        let plan = self.plan();
        let skipped = usize::from(self.tree.is_container);
        let entries = plan
            .nodes()
            .skip(skipped)
            .filter_map(|node| plan.entry(node));
        let base = self.shown_target();
        let mut entries: Vec<_> = entries.map(|entry| (base.clone(), entry)).collect();
        entries.sort_by(|a, b| a.1.path.cmp(&b.1.path));
        outcome.entries.extend(entries);
    }

    /// The path that the tree's root has in messages.
    fn shown_source(&self) -> PathBuf {
        match self.target.kind {
            SourceKind::Dir | SourceKind::Contents => self.target.source.clone(),
            SourceKind::FileOrLink => match self.target.source.parent() {
                Some(parent) => parent.to_owned(),
                None => PathBuf::new(),
            },
        }
    }

    /// The path that the tree's root will have.
    fn shown_target(&self) -> PathBuf {
        match self.target.kind {
            SourceKind::Dir | SourceKind::Contents => self.target.path(),
            SourceKind::FileOrLink => self.target.parent_path.clone(),
        }
    }
}

/// Whether the staging folder only holds what is published.
fn is_container(target: &Target) -> bool {
    match target.kind {
        SourceKind::Dir => false,
        SourceKind::Contents => target.name.is_empty(),
        SourceKind::FileOrLink => true,
    }
}

fn scan_source(
    target: &Target,
    detail: Detail,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Scan> {
    if target.kind == SourceKind::FileOrLink {
        return scan_one(target);
    }
    let is_excluded = options.exclude.as_ref();
    let scan = scan::Options {
        detail,
        special: options.special_files.into(),
        junctions_as_links: options.junctions_as_links,
        is_excluded: is_excluded.map(|exclude| &**exclude as &(dyn Fn(&Path) -> bool + Sync)),
        threads: options.threads(),
    };
    scan::scan(&target.source_dir, &target.source, scan, progress)
}

/// A plan of one file or link, in a root that stands for the folder around it.
fn scan_one(target: &Target) -> Result<Scan> {
    let failed = |error| Error::io("read", &target.source, error);
    let stat = sys::stat_at(&target.source_dir, &target.source_name).map_err(failed)?;
    let is_link = stat.file_type == FileType::Symlink;
    let node = NewNode {
        name: target.source_name.clone().into_boxed_slice(),
        kind: match is_link {
            true => NodeKind::Symlink,
            false => NodeKind::File,
        },
        size: stat.size,
        target: match is_link {
            true => {
                let link = sys::read_link(&target.source_dir, &target.source_name);
                Some(link.map_err(failed)?.into_boxed_slice())
            }
            false => None,
        },
    };
    Ok(Scan {
        plan: plan_of_one(target, node)?,
        totals: Totals::of_one(&stat),
        stats: Vec::new(),
    })
}

/// The tree of a single file or link whose copy has another name.
fn renamed(target: &Target, source: &Plan) -> Result<Option<Mapped>> {
    let is_renamed = target.kind == SourceKind::FileOrLink && target.name != target.source_name;
    let Some(original) = source.nodes().nth(1).filter(|_| is_renamed) else {
        return Ok(None);
    };
    let link = source.target(original);
    let node = NewNode {
        name: target.name.clone().into_boxed_slice(),
        kind: source.kind(original),
        size: source.size(original),
        target: (!link.is_empty()).then(|| link.into()),
    };
    let origins = vec![NodeId::ROOT, original];
    Ok(Some(Mapped::new(plan_of_one(target, node)?, origins)))
}

fn plan_of_one(target: &Target, node: NewNode) -> Result<Plan> {
    let mut plan = Plan::new();
    let too_long = |_| Error::new(ErrorKind::BadName, "copy", &target.source, "name too long");
    plan.set_children(NodeId::ROOT, vec![node])
        .map_err(too_long)?;
    Ok(plan)
}
