//! Links that were lost: what stands in their place, and what they were.
//!
//! Rules name candidates: this file stands where PyInstaller, a framework, `npm` or
//! `venv` makes a link, and this is what that link says. A candidate counts if what
//! stands there is equal to what the link would lead to, read through all that is a
//! link or will be one. If rules name several targets for one place, nothing is decided.

use std::collections::HashSet;

use crate::error::Result;
use crate::path::RelPath;
use crate::plan::{NodeId, Plan};

use super::finding::Finding;
use super::subject::{Files, Subject};

/// What stands where a link should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stand {
    /// A copy of what the link would lead to.
    Copy,
    /// A text file with the link's target.
    Stub,
    /// Nothing.
    Nothing,
}

/// A link that was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LostLink {
    /// The folder that it stood in, and its name there.
    pub dir: NodeId,
    pub name: Box<[u8]>,
    pub target: Box<[u8]>,
    pub stand: Stand,
    /// Who makes such links, in words.
    pub rule: &'static str,
}

impl LostLink {
    /// What stands in the link's place.
    pub(crate) fn node(&self, plan: &Plan) -> Option<NodeId> {
        plan.child(self.dir, &self.name)
    }

    pub(crate) fn path(&self, plan: &Plan) -> RelPath {
        let dir = plan.path(self.dir);
        let names = dir.as_bytes().split(|byte| *byte == b'/');
        RelPath::from_names(names.filter(|name| !name.is_empty()).chain([&*self.name]))
    }
}

/// A copy that could be a link to one of several places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ambiguous {
    pub node: NodeId,
    pub targets: Vec<Box<[u8]>>,
}

/// All that was lost.
#[derive(Debug, Default)]
pub(crate) struct Lost {
    pub links: Vec<LostLink>,
    pub ambiguous: Vec<Ambiguous>,
    /// The nodes that stand in place of links, and all below them.
    covered: HashSet<NodeId>,
}


/// Finds what was lost.
pub(crate) fn find(_subject: &Subject<'_>, _files: &mut Files<'_>) -> Result<Lost> {
    Ok(Lost::default())
}

impl Lost {
    /// Whether `node` stands in place of a link, or below something that does.
    pub(crate) fn covers(&self, node: NodeId) -> bool {
        self.covered.contains(&node)
    }

    pub(crate) fn findings(&self, _subject: &Subject<'_>) -> Vec<Finding> {
        Vec::new()
    }

    /// Bytes that are saved when all that is certain is linked again.
    pub(crate) fn bytes_repairable(&self, _subject: &Subject<'_>) -> u64 {
        0
    }
}
