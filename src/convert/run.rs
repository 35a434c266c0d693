//! One conversion, from the archive to the published one.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::archive::spool::Spool;
use crate::archive::store::{Manner, Order, Store, Stored};
use crate::archive::{Input, Opened};
use crate::dest::deliver::open_parent;
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::pack::archived::{Archived, Fact};
use crate::pack::members::{Root, Source, depth_first};
use crate::pack::output::Packing;
use crate::pack::place::Place;
use crate::pack::{self, Format};
use crate::progress::Progress;
use crate::scan::{Scan, Totals};
use crate::sys::{self, Dir, Stat};

use super::losses;
use super::read::{self, Task};
use super::tree::{Finished, Implied, Tree};
use super::{Loss, Options, Outcome};

/// The verb of a conversion in errors about its result.
const OPERATION: &str = "convert to";

/// Converts into a file that appears when it is complete.
pub(super) fn to_file<'i>(
    open: impl FnOnce() -> Result<Opened<'i>>,
    archive: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let place = Place::find(archive, options.existing, OPERATION)?;
    let packing = packing(options);
    let home = match &options.scratch {
        Some(folder) => Home::at(folder)?,
        None => Home {
            parent: sys::reopen_dir(&place.parent)
                .map_err(|error| Error::io("open", &place.parent_path, error))?,
            path: place.parent_path.clone(),
            label: place.name.clone(),
        },
    };
    let mut job = Job::start(open()?, Some(&home), options, &packing, progress)?;
    let mut notes = Vec::new();
    if !options.dry_run {
        let write = |file: &File| job.write(file, archive, progress);
        notes = place.publish(options.sync, write)?;
    }
    Ok(job.outcome(notes, started))
}

/// Converts into a writer.
pub(super) fn to_writer(
    opened: Opened<'_>,
    writer: impl Write + Send,
    shown: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let packing = packing(options);
    let home = options.scratch.as_deref().map(Home::at).transpose()?;
    let mut job = Job::start(opened, home.as_ref(), options, &packing, progress)?;
    if !options.dry_run {
        job.write(writer, shown, progress)?;
    }
    Ok(job.outcome(Vec::new(), started))
}

/// How the tree is packed.
fn packing(options: &Options) -> pack::Options {
    pack::Options {
        format: options.format,
        profile: options.profile,
        level: options.level,
        frames: options.frames,
        zip_method: options.zip_method,
        latest: options.latest,
        ownership: options.ownership,
        jobs: options.jobs,
        list_entries: options.list_entries,
        ..pack::Options::default()
    }
}

/// Where private files are made.
struct Home {
    parent: Dir,
    path: PathBuf,
    label: Vec<u8>,
}

impl Home {
    fn at(path: &Path) -> Result<Self> {
        Ok(Self {
            parent: open_parent(path)?,
            path: path.to_owned(),
            label: b"convert".to_vec(),
        })
    }

    fn spool(&self) -> Result<Spool> {
        Spool::create(&self.parent, &self.path, &self.label)
    }
}

/// A conversion whose archive was checked.
struct Job<'j> {
    packing: Packing<'j>,
    losses: Vec<Loss>,
    external_links: u64,
    from: &'static str,
    original: Option<Original>,
    /// The archive, if it came through a pipe.
    _saved: Option<Spool>,
}

impl<'j> Job<'j> {
    /// Checks all that `opened` holds, up to the contents that are read while
    /// they are packed.
    fn start(
        opened: Opened<'_>,
        home: Option<&Home>,
        options: &Options,
        packing: &'j pack::Options,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let shown = opened.shown.clone();
        let refused = |refusal: Refusal| refusal.at("convert", &shown);
        let spool = || match home {
            Some(home) => home.spool(),
            None => Err(no_home(&shown)),
        };
        let task = Task {
            options,
            manner: Manner {
                threads: options.threads(),
                progress,
                refused: &refused,
            },
            spool: &spool,
        };
        let from = opened.kind.name();
        let original = Original::of(&opened)?;
        let (opened, saved) = read::save(opened, &task)?;
        let mut tree = Tree::new(options);
        let contents = read::read(opened, &mut tree, &task)?;
        let implied = match options.format {
            Format::Bcp => Implied::Write,
            Format::Tar
            | Format::TarGz
            | Format::TarBz2
            | Format::TarXz
            | Format::TarZst
            | Format::Zip => Implied::LeaveOut,
        };
        let finished = tree.finish(options.external_links, implied, &refused)?;
        let losses = losses::find(&finished, options);
        let external_links = finished.external_links;
        let store = match options.dry_run {
            true => Store::Nothing,
            false => {
                let order = match options.format {
                    Format::Bcp => Order::Any,
                    Format::Tar
                    | Format::TarGz
                    | Format::TarBz2
                    | Format::TarXz
                    | Format::TarZst
                    | Format::Zip => Order::Once,
                };
                let store = contents.open(&task)?;
                store.prepare(&wanted(&finished), order, &spool, &task.manner)?
            }
        };
        Ok(Self {
            packing: Packing::new(vec![source(finished, store, shown)], packing),
            losses,
            external_links,
            from,
            original,
            _saved: saved,
        })
    }

    fn write(
        &mut self,
        writer: impl Write + Send,
        shown: &Path,
        progress: &dyn Progress,
    ) -> Result<()> {
        self.packing.write(writer, shown, progress)?;
        match &self.original {
            Some(original) => original.check(),
            None => Ok(()),
        }
    }

    fn outcome(self, notes: Vec<String>, started: Instant) -> Outcome {
        let packed = self.packing.outcome;
        Outcome {
            files: packed.files,
            dirs: packed.dirs,
            symlinks: packed.symlinks,
            hardlinks: packed.hardlinks,
            bytes: packed.bytes,
            packed: packed.packed,
            root_hash: packed.root_hash,
            duration: started.elapsed(),
            from: self.from,
            external_links: self.external_links,
            losses: self.losses,
            notes,
            entries: packed.entries,
        }
    }
}

fn no_home(shown: &Path) -> Error {
    let cause = "it can be read only once, and there is no folder to keep its contents in";
    Error::new(ErrorKind::Usage, "convert", shown, cause).with_hint("convert to a file")
}

/// The stored bytes of all files, in the order in which they are packed.
fn wanted(tree: &Finished) -> Vec<Stored> {
    let nodes = depth_first(&tree.plan).into_iter();
    let stored = nodes.map(|node| {
        let fact: &Fact = &tree.facts[node.index()];
        let size = tree.plan.size(node);
        let stored = match &fact.stored {
            Some(extents) => extents.data(),
            None => size,
        };
        (fact.start, stored)
    });
    stored.filter(|(_, length)| *length > 0).collect()
}

/// The tree as a packing takes it.
fn source(tree: Finished, store: Store, shown: PathBuf) -> Source {
    Source {
        root: Root::Archive(Box::new(Archived {
            store,
            facts: tree.facts,
        })),
        shown,
        name: tree.name,
        scan: Scan {
            plan: tree.plan,
            totals: Totals::default(),
            stats: tree.stats,
        },
    }
}

/// The archive's file as it was when it was opened.
struct Original {
    file: File,
    stat: Stat,
    shown: PathBuf,
}

impl Original {
    /// `None` for what comes through a pipe.
    fn of(opened: &Opened<'_>) -> Result<Option<Self>> {
        let Input::File(file, _) = &opened.input else {
            return Ok(None);
        };
        let failed = |error| Error::io("read", &opened.shown, error);
        let file = file.try_clone().map_err(failed)?;
        let stat = sys::stat_file(&file).map_err(failed)?;
        let shown = opened.shown.clone();
        Ok(Some(Self { file, stat, shown }))
    }

    /// Looks whether the archive stood still while it was read.
    fn check(&self) -> Result<()> {
        let now = sys::stat_file(&self.file);
        let now = now.map_err(|error| Error::io("read", &self.shown, error))?;
        let is_same = now.size == self.stat.size
            && now.modified == self.stat.modified
            && now.changed == self.stat.changed;
        if is_same {
            return Ok(());
        }
        let cause = "it changed while it was converted";
        let error = Error::new(ErrorKind::SourceChanged, "convert", &self.shown, cause);
        Err(error.with_hint("stop what writes to it, and convert again"))
    }
}
