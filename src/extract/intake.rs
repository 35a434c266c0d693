//! What an extraction asks of each member as it comes: whether the plan takes
//! it, the limits allow it, and the destination can hold it.
//!
//! Errors get their names here: the archive, and the member that was refused.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::dest::publish::{Existing, already_exists};
use crate::dest::writer::{Site, Writer};
use crate::entry::{Member, MemberKind};
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::fit::{self, Goal, OnNoSymlinks, standing};
use crate::plan::NodeId;
use crate::pool::{self, Queue};
use crate::probe::Capabilities;
use crate::progress::{Phase, Progress};
use crate::sys;
use crate::text::escape_bytes;

use super::donors::Donors;
use super::target::Target;
use super::tree::{Accepted, Tree};
use super::{AppleDouble, Sharing};

/// The verb of an extraction in errors about the destination.
pub(super) const OPERATION: &str = "extract to";

/// Takes members into the tree, or says why not.
pub(super) struct Intake<'o> {
    pub tree: Tree<'o>,
    /// The archive's path, for messages.
    pub archive: PathBuf,
    pub target: &'o Target,
    pub found: &'o Capabilities,
    pub existing: Existing,
    pub on_no_symlinks: OnNoSymlinks,
    pub apple_double: AppleDouble,
    pub sharing: Sharing,
    /// Files of another version, to share contents with.
    pub donors: Option<&'o Donors>,
    /// Bytes of the archive that were read so far.
    pub read: Arc<AtomicU64>,
    pub mode: Mode,
    /// The whole tree was checked before anything was written.
    pub is_checked: bool,
    /// The hash that names the archive, where its format has one.
    pub root_hash: Option<[u8; 32]>,
}

/// Whether members are written, or only looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Write,
    Look,
}

impl Intake<'_> {
    /// Takes the next member of the archive.
    pub(super) fn accept(&mut self, member: &Member) -> Result<Accepted> {
        let is_link = member.kind == MemberKind::Symlink;
        let accepted = self
            .tree
            .accept(member)
            .map_err(|refusal| match refusal.kind() {
                // All members together are too many or too much, not this one.
                ErrorKind::LimitExceeded => self.refused(refusal),
                _ => self.refused_member(refusal, &member.path),
            })?;
        if is_link && !matches!(accepted, Accepted::LeftOut) {
            self.check_links()?;
        }
        self.check_standing()?;
        Ok(accepted)
    }

    /// Makes all folders of a tree that is complete, each before those in it.
    pub(super) fn make_dirs(
        &mut self,
        site: &Site<'_>,
        threads: usize,
        progress: &dyn Progress,
    ) -> Result<()> {
        let mut inside: HashMap<NodeId, Vec<NodeId>> = HashMap::new();
        for node in self.tree.take_made() {
            let above = self.tree.members.plan().parent(node);
            inside.entry(above).or_default().push(node);
        }
        let (intake, inside) = (&*self, &inside);
        let work = |queue: &mut Queue<'_, NodeId>| {
            let mut writer = site.writer();
            while let Some(above) = queue.next() {
                let made = inside.get(&above).map_or(&[][..], Vec::as_slice);
                for node in made {
                    intake.make_dir(*node, &mut writer)?;
                }
                let has_folders = |node: &&NodeId| inside.contains_key(node);
                queue.push(made.iter().filter(has_folders).copied());
            }
            Ok(())
        };
        let total = self.tree.counts.total();
        let report = || progress.report(&site.counters.status(Phase::Extracting, total));
        // One job makes the folders in one folder.
        let threads = threads.min(inside.len());
        pool::run(threads, [NodeId::ROOT], work, report)?;
        Ok(())
    }

    /// Makes one folder.
    pub(super) fn make_dir(&self, node: NodeId, writer: &mut Writer<'_>) -> Result<()> {
        writer.make_dir(self.tree.folder(node), self.tree.dir_mode(node))
    }

    /// Counts content that came out of the archive, and that no header announced.
    pub(super) fn receive_content(&mut self, bytes: u64) -> Result<()> {
        let read = self.read.load(Ordering::Relaxed);
        let received = self.tree.meter.receive_content(bytes, read);
        received.map_err(|refusal| self.refused(refusal))
    }

    /// Counts bytes that the archive was decoded to.
    pub(super) fn receive(&mut self, bytes: u64) -> Result<()> {
        let read = self.read.load(Ordering::Relaxed);
        let received = self.tree.meter.receive(bytes, read);
        received.map_err(|refusal| self.refused(refusal))
    }

    /// The destination has to hold links as soon as there is one.
    pub(super) fn check_links(&self) -> Result<()> {
        let goal = Goal {
            operation: OPERATION,
            path: &self.target.path,
        };
        let links = self.tree.members.symlinks();
        fit::check_links(links, self.found, self.on_no_symlinks, goal)
    }

    /// What stands in an existing destination stays, unless it may be replaced.
    fn check_standing(&mut self) -> Result<()> {
        for node in self.tree.take_new_top() {
            let Some(dir) = self.target.receives() else {
                continue;
            };
            let name = self.tree.members.plan().name(node);
            if self.existing == Existing::Refuse && standing(dir, name).is_some() {
                let path = sys::join_bytes(&self.target.path, name);
                return Err(already_exists(OPERATION, &path));
            }
        }
        Ok(())
    }

    /// The error of an archive that was refused.
    pub(super) fn refused(&self, refusal: Refusal) -> Error {
        refusal.at("extract", &self.archive)
    }

    /// The error of a member that was refused.
    pub(super) fn refused_member(&self, refusal: Refusal, path: &[u8]) -> Error {
        let shown = escape_bytes(path);
        refusal
            .about(format!("its member `{shown}`"))
            .at("extract", &self.archive)
    }
}
