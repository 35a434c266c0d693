//! Reading an archive: its tree, and a hash of each content.
//!
//! An archive is decoded once and as a whole, whatever of it is compared, so
//! that damage anywhere is found; what an extraction would refuse is refused
//! here. Contents are hashed as they come and never kept: zips, programs, `.bcp` and our
//! own `.tar.zst` on all threads, anything else from front to end.

use std::io::Read;

use crate::archive::directory::Directory;
use crate::archive::{Input, Kind, Opened, Sequential, from_pipe, index};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::entry::{Carried, Member, MemberKind};
use crate::error::{Error, ErrorKind, Refusal, Result};
use crate::format::tar;
use crate::path::RelPath;
use crate::plan::members::{Added, Members, names_of};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::progress::Counters;
use crate::text::escape_bytes;

use super::hashing::Style;
use super::moment::{Clock, Moment};
use super::side::Sizes;
use super::{Reading, bcp, frames, items};

/// Name and value of each user attribute.
pub(crate) type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

/// What an archive says of one node; `None` where it says nothing.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fact {
    pub mode: Option<u32>,
    pub modified: Option<Moment>,
    /// The user attributes, sorted by name.
    pub xattrs: Option<Xattrs>,
    /// The hash of a file's content, if somebody may compare it.
    pub hash: Option<blake3::Hash>,
    /// For a file of several names, the one that has the content.
    pub first: Option<NodeId>,
}

/// Whether a format has hard links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HardLinks {
    Kept,
    /// They are files like any other.
    Lost,
}

/// An archive that was read.
pub(crate) struct Packed {
    members: Members,
    /// By the nodes of `members`.
    facts: Vec<Fact>,
    made: Vec<NodeId>,
    pub hard_links: HardLinks,
    /// Bytes that were hashed.
    pub hashed: u64,
    /// The hash that names all of the archive, where its format has one.
    pub root_hash: Option<[u8; 32]>,
}

/// What a format tells of a member.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tells {
    pub mode: bool,
    pub xattrs: bool,
    pub clock: Clock,
}

/// A tar tells all; a time without a fraction may have lost it.
pub(crate) const TAR: Tells = Tells {
    mode: true,
    xattrs: true,
    clock: Clock::Nanoseconds,
};

/// What all that read an archive need.
pub(crate) struct Task<'t> {
    pub sizes: &'t Sizes,
    pub style: Style,
    pub threads: usize,
    pub counters: Counters,
    /// Names the archive in an error.
    pub refused: &'t (dyn Fn(Refusal) -> Error + Sync),
}

/// Reads all of `opened`, and hashes files of the sizes in `sizes`.
pub(crate) fn read(opened: Opened<'_>, sizes: &Sizes, reading: &Reading<'_>) -> Result<Packed> {
    let (shown, operation) = (opened.shown, reading.operation);
    let refused = |refusal: Refusal| refusal.at(operation, &shown);
    let task = Task {
        sizes,
        style: reading.style,
        threads: reading.threads,
        counters: Counters::default(),
        refused: &refused,
    };
    match (opened.kind, opened.input) {
        (Kind::Zip, Input::File(file, length)) => {
            let directory = Directory::of_zip(&file, length).map_err(refused)?;
            items::read(&file, &directory, &task, reading)
        }
        (Kind::PyInstaller, Input::File(file, length)) => {
            let directory = Directory::of_package(&file, length).map_err(refused)?;
            items::read(&file, &directory, &task, reading)
        }
        (Kind::PyInstaller, Input::Stream(_)) => Err(refused(from_pipe())),
        (Kind::Zip, Input::Stream(_)) => {
            let cause = "a zip that comes through a pipe can't be read as a whole";
            let refusal = Refusal::new(ErrorKind::Usage, cause);
            Err(refused(refusal.with_hint("save it to a file first")))
        }
        (Kind::Bcp, Input::File(file, length)) => bcp::read(&file, length, &task, reading),
        (Kind::Bcp, Input::Stream(reader)) => bcp::read_stream(reader, &task, reading),
        (Kind::Tar(codec), Input::File(file, length)) => {
            if codec == Codec::Zstd
                && let Some(index) =
                    index::read_index(&file, length, tar_options(), &mut |_| Ok(()))
                        .map_err(refused)?
            {
                return frames::read(&file, &index, &task, reading);
            }
            read_stream(codec, Sequential::new(&file), &task, reading)
        }
        (Kind::Tar(codec), Input::Stream(reader)) => read_stream(codec, reader, &task, reading),
    }
}

/// As an extraction reads by default.
fn tar_options() -> tar::Options {
    tar::Options {
        ignore_zeros: false,
        skip_apple_double: true,
        carried: Carried::Users,
    }
}

fn read_stream(
    codec: Codec,
    input: impl Read + Send,
    task: &Task<'_>,
    reading: &Reading<'_>,
) -> Result<Packed> {
    let threads = u32::try_from(task.threads).unwrap_or(u32::MAX);
    let options = DecodeOptions { threads };
    let reader = decoder(codec, input, options).map_err(task.refused)?;
    frames::read_stream(reader, tar_options(), task, reading)
}

impl Packed {
    pub(crate) fn new(hard_links: HardLinks) -> Self {
        Self {
            members: Members::new(),
            facts: vec![Fact::default()],
            made: Vec::new(),
            hard_links,
            hashed: 0,
            root_hash: None,
        }
    }

    /// Takes the next member into the tree. Returns its node if it is a file.
    pub(crate) fn accept(
        &mut self,
        member: &Member,
        tells: Tells,
    ) -> Result<Option<NodeId>, Refusal> {
        let named = |refusal: Refusal| match refusal.kind() {
            // All members together are too many, not this one.
            ErrorKind::LimitExceeded => refusal,
            _ => refusal.about(format!("its member `{}`", escape_bytes(&member.path))),
        };
        self.add(member, tells).map_err(named)
    }

    fn add(&mut self, member: &Member, tells: Tells) -> Result<Option<NodeId>, Refusal> {
        let names = names_of(&member.path)?;
        let linked = match member.kind {
            MemberKind::Hardlink => names_of(&member.target)?,
            MemberKind::Dir | MemberKind::File | MemberKind::Symlink => Vec::new(),
        };
        let added = self.members.add(&names, member, &linked, &mut self.made)?;
        self.made.clear();
        let (Added::New(node) | Added::Again(node)) = added;
        self.facts
            .resize(self.members.plan().len(), Fact::default());
        let xattrs = || {
            let mut xattrs = member.xattrs.clone();
            xattrs.sort_unstable();
            xattrs
        };
        self.facts[node.index()] = Fact {
            mode: tells.mode.then_some(member.mode & 0o7777),
            modified: member.modified.map(|time| Moment::told(time, tells.clock)),
            xattrs: tells.xattrs.then(xattrs),
            hash: None,
            first: None,
        };
        Ok((member.kind == MemberKind::File).then_some(node))
    }

    /// Where the file stands that the last hard link is a name of.
    pub(crate) fn last_linked(&self) -> Option<RelPath> {
        let (_, first) = self.members.hardlinks().last()?;
        Some(self.members.plan().path(*first))
    }

    /// Takes the hash of a file that nobody had to read.
    pub(crate) fn note_hash(&mut self, node: NodeId, hash: [u8; 32]) {
        self.facts[node.index()].hash = Some(hash.into());
    }

    /// How many nodes there are, the root and folders that no member names included.
    pub(crate) fn len(&self) -> usize {
        self.members.plan().len()
    }

    /// Notes what the content of files was.
    pub(crate) fn set_hashes(&mut self, hashes: Vec<(NodeId, Option<blake3::Hash>)>) {
        for (node, hash) in hashes {
            self.facts[node.index()].hash = hash;
            if hash.is_some() {
                self.hashed = self.hashed.saturating_add(self.members.plan().size(node));
            }
        }
    }

    /// The only member at the top, if that is a folder.
    pub(crate) fn only_folder(&self) -> Option<NodeId> {
        let plan = self.members.plan();
        let mut top = plan.nodes().filter(|node| plan.depth(*node) == 1);
        match (top.next(), top.next()) {
            (Some(only), None) if plan.kind(only) == NodeKind::Dir => Some(only),
            _ => None,
        }
    }

    pub(crate) fn name(&self, node: NodeId) -> &[u8] {
        self.members.plan().name(node)
    }

    /// The tree below the folder `top`, and what is known of each of its nodes.
    pub(crate) fn into_tree(mut self, top: NodeId) -> Result<(Plan, Vec<Fact>), Refusal> {
        for (name, first) in self.members.hardlinks() {
            self.facts[first.index()].first = Some(*first);
            self.facts[name.index()] = self.facts[first.index()].clone();
        }
        let (plan, origins) = self.members.sorted_below(top)?;
        let fact = |origin: &NodeId| std::mem::take(&mut self.facts[origin.index()]);
        let facts = origins.iter().map(fact).collect();
        Ok((plan, facts))
    }
}
