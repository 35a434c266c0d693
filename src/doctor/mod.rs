//! What is wrong with a bundle: links that were lost on the way, and what else breaks
//! it elsewhere.
//!
//! A tree tells by itself what it was: PyInstaller, frameworks, `node_modules` and Python
//! environments make links by known rules, and a lost link left a file equal to the one
//! that it led to. Every finding has a stable [`Code`]. Nothing is written to what is
//! examined; an archive is unpacked into a folder of its own, which is removed.

mod archive;
mod finding;
pub(crate) mod kind;
mod libraries;
mod links;
pub(crate) mod lost;
pub(crate) mod modes;
mod names;
mod report;
mod shape;
pub(crate) mod subject;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::pool;
use crate::progress::Progress;
use crate::sys::{self, Dir};

pub use finding::{Code, Finding, Severity};
pub use kind::BundleKind;
pub use report::Report;

use subject::Subject;

/// How to examine.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Options {
    /// Where an archive is unpacked, to be removed again; `None` is beside it.
    pub scratch: Option<PathBuf>,
    /// Lists every entry in [`Outcome::entries`].
    pub list_entries: bool,
    /// How many threads work: at least 1; `None` is one a core.
    pub jobs: Option<usize>,
}

/// What was found.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Outcome {
    /// What kind of bundle it is.
    pub kind: BundleKind,
    /// What is wrong with it, sorted by severity, code and path.
    pub findings: Vec<Finding>,
    /// Regular files.
    pub files: u64,
    /// Folders, the root included.
    pub dirs: u64,
    /// Symbolic links.
    pub symlinks: u64,
    /// Content of all files in bytes, each once however many names it has.
    pub bytes_total: u64,
    /// Content in bytes that would be there again if every link were a copy.
    pub bytes_saved_by_links: u64,
    /// Content in bytes of copies that stand where links should.
    pub bytes_wasted: u64,
    /// Content in bytes of those that `repair` would make links of by itself.
    pub bytes_repairable: u64,
    /// Every entry, sorted by path, if [`Options::list_entries`] asked for them.
    pub entries: Vec<Entry>,
    /// The time that it took.
    pub duration: Duration,
}

impl Outcome {
    /// How many findings of this severity there are.
    pub fn count(&self, severity: Severity) -> u64 {
        let findings = self.findings.iter();
        findings
            .filter(|finding| finding.severity == severity)
            .count() as u64
    }

    /// Whether something was found that is more than worth knowing.
    pub fn has_problems(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity != Severity::Note)
    }

    fn sort(&mut self) {
        let findings = &mut self.findings;
        findings.sort_by(|a, b| (a.severity, a.code, &a.path).cmp(&(b.severity, b.code, &b.path)));
    }
}

/// Examines the bundle at `path`, a folder or an archive.
///
/// # Errors
///
/// When `path` is neither, when something in it can't be read, or when an archive is
/// damaged or holds what an extraction would refuse, links that lead out of it excepted.
/// Findings are no error.
pub fn examine(path: &Path, options: &Options, progress: &dyn Progress) -> Result<Outcome> {
    match sys::open_root(path) {
        Ok(root) => examine_folder(root, path, options, progress),
        Err(error) if sys::is_not_a_real_dir(&error) => archive::examine(path, options, progress),
        Err(error) => Err(Error::io("open", path, error)),
    }
}

fn examine_folder(
    root: Dir,
    shown: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<Outcome> {
    let started = Instant::now();
    let threads = pool::threads(options.jobs);
    let subject = Subject::read(root, shown, "doctor", threads, progress)?;
    let mut files = subject.files();
    let kind = kind::recognise(&subject, &mut files)?;
    let lost = lost::find(&subject)?;
    let mut findings = lost.findings(&subject);
    findings.extend(links::check(&subject, &kind, &lost));
    findings.extend(names::check(&subject, &kind));
    findings.extend(modes::check(&subject, &kind, &lost));
    findings.extend(shape::check(&subject, &lost));
    findings.extend(libraries::check(&subject, &mut files, &kind, &lost)?);
    let plan = subject.plan();
    let mut entries = Vec::new();
    if options.list_entries {
        entries.extend(plan.nodes().skip(1).filter_map(|node| plan.entry(node)));
        entries.sort_by(|a, b| a.path.cmp(&b.path));
    }
    let totals = subject.side.totals;
    let mut outcome = Outcome {
        kind,
        bytes_wasted: findings.iter().map(|finding| finding.bytes_wasted).sum(),
        bytes_repairable: lost.bytes_repairable(&subject),
        findings,
        files: totals.files,
        dirs: totals.dirs,
        symlinks: totals.symlinks,
        bytes_total: totals.bytes,
        bytes_saved_by_links: links::saved(&subject),
        entries,
        duration: started.elapsed(),
    };
    outcome.sort();
    Ok(outcome)
}
