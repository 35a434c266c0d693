//! An archive that is examined: unpacked by the one writer into a staging folder, which
//! is removed again, whatever was found.

use std::path::Path;

use crate::dest::Staging;
use crate::error::{Error, Result};
use crate::extract::{self, extract};
use crate::path::RelPath;
use crate::plan::members::ExternalLinks;
use crate::progress::Progress;
use crate::sys::{self, Dir};

use super::finding::{Code, Finding};
use super::{Options, Outcome, examine_folder};

/// What the archive is unpacked as.
const TREE: &str = "tree";

/// Examines the archive at `path`.
pub(super) fn examine(path: &Path, options: &Options, progress: &dyn Progress) -> Result<Outcome> {
    let beside = || match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let scratch = options.scratch.as_deref().unwrap_or_else(beside);
    let home = sys::open_root(scratch).map_err(|error| Error::io("open", scratch, error))?;
    let staging = Staging::create(&home, scratch, b"doctor")?;
    let tree = sys::join_bytes(scratch, staging.name()).join(TREE);
    let examined = unpack(path, &tree, options, progress);
    let examined = examined.and_then(|(root, format)| {
        let mut outcome = examine_folder(root, path, options, progress)?;
        outcome
            .findings
            .extend(made_without_links(&outcome, format));
        outcome.sort();
        Ok(outcome)
    });
    // What went wrong first is what is told.
    let discarded = staging.discard();
    let outcome = examined?;
    discarded?;
    Ok(outcome)
}

/// Unpacks the archive as `tree`, and opens the bundle in it: its only folder, if it has
/// nothing else.
fn unpack(
    path: &Path,
    tree: &Path,
    options: &Options,
    progress: &dyn Progress,
) -> Result<(Dir, &'static str)> {
    let extraction = extract::Options {
        external_links: ExternalLinks::Allow,
        jobs: options.jobs,
        ..extract::Options::default()
    };
    let extracted = extract(path, tree, &extraction, progress)?;
    let failed = |error| Error::io("read", path, error);
    let root = sys::open_root(tree).map_err(failed)?;
    let mut names = Vec::new();
    sys::list_dir::<std::io::Error>(&root, |listed| {
        names.push(listed.name.to_vec());
        Ok(())
    })
    .map_err(failed)?;
    let root = match &names[..] {
        [only] => sys::open_dir(&root, only).unwrap_or(root),
        _ => root,
    };
    Ok((root, extracted.format))
}

/// That all lost links of a bundle were lost when it was packed, if there are some.
fn made_without_links(outcome: &Outcome, format: &str) -> Option<Finding> {
    let is_lost = |finding: &&Finding| matches!(finding.code, Code::FlattenedLink | Code::StubLink);
    let count = outcome.findings.iter().filter(is_lost).count();
    let message = format!("{count} links of the bundle are copies or text files in this {format}");
    let fix = "pack the bundle with `bundlecp pack`, or `zip -y`";
    (count > 0).then(|| {
        let root = RelPath::from_names([]);
        Finding::new(Code::ArchiveWithoutLinks, root, message).with_fix(fix)
    })
}
