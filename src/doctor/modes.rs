//! Programs that may not be run any more, and programs that give away rights.
//!
//! Archives made on Windows, Python's `zipfile`, artifact stores and network shares drop
//! modes. Where every program had its executable bits is known: PyInstaller sets them on
//! every program and library, macOS' linkers do, installers of scripts do in `bin`. A
//! script elsewhere may be meant to be read, and is left alone.

use std::collections::HashSet;

use crate::plan::NodeId;
use crate::plan::links::Resolver;
use crate::sys;

use super::finding::{Code, Finding};
use super::kind::{self, BundleKind};
use super::lost::Lost;
use super::subject::{Head, Subject, Use};

/// Who may run a file: its owner, group, others.
const EXEC: u32 = 0o111;

/// Set-user-ID and set-group-ID.
const SET_ID: u32 = 0o6000;

/// Folders whose scripts are run by name.
const BIN: [&[u8]; 4] = [b"bin", b"sbin", b"libexec", b"MacOS"];

/// Folders of an application with nothing but code.
const CODE: [&[u8]; 2] = [b"MacOS", b"Frameworks"];

pub(super) fn check(subject: &Subject<'_>, kind: &BundleKind, lost: &Lost) -> Vec<Finding> {
    let plan = subject.plan();
    let programs = self::lost(subject, lost).into_iter().map(|(node, _)| {
        let message = match subject.head(node) {
            Head::Script => "a script without an executable bit: it can't be run",
            _ => "a program or library without an executable bit: it can't be run, or isn't loaded",
        };
        let finding = Finding::new(Code::LostExec, plan.path(node), message);
        finding.with_fix("`bundlecp repair --apply` sets the bit, or `chmod +x`")
    });
    let mut findings: Vec<Finding> = programs.collect();
    // A system's own programs need them.
    if *kind != BundleKind::System {
        let has_bit = |node: &NodeId| subject.mode(*node) & SET_ID != 0;
        findings.extend(subject.all_files().filter(has_bit).map(|node| {
            let message = "whoever runs it gets the rights of its owner or group";
            let finding = Finding::new(Code::SetId, plan.path(node), message);
            finding.with_fix("`chmod ug-s`, unless it has to be so")
        }));
    }
    findings
}

/// Files that lost their executable bits, and the modes that they had: those who may read
/// one may run it.
pub(crate) fn lost(subject: &Subject<'_>, lost: &Lost) -> Vec<(NodeId, u32)> {
    if !sys::HAS_PERMISSION_BITS {
        return Vec::new();
    }
    let places = Places::of(subject, lost);
    let is_lost = |node: &NodeId| {
        subject.mode(*node) & EXEC == 0 && !lost.covers(*node) && places.runs(subject, *node)
    };
    let files = subject.all_files().filter(is_lost);
    let mode = |node| {
        let mode = subject.mode(node);
        (node, mode | (mode & 0o444) >> 2)
    };
    files.map(mode).collect()
}

/// Where files are run or loaded.
struct Places {
    /// Folders with nothing but code below them, by node.
    is_code: Vec<bool>,
    /// Folders whose files are run by name.
    bin: HashSet<NodeId>,
    /// Folders with a program of PyInstaller's and its contents.
    tops: HashSet<NodeId>,
    /// What the links of `.bin` folders lead to.
    named: HashSet<NodeId>,
}

impl Places {
    fn of(subject: &Subject<'_>, lost: &Lost) -> Self {
        let plan = subject.plan();
        let mut is_code = vec![false; plan.len()];
        let (mut bin, mut tops) = (HashSet::new(), HashSet::new());
        for contents in kind::contents_folders(subject) {
            is_code[contents.index()] = true;
            tops.insert(plan.parent(contents));
        }
        for dir in subject.all_dirs().skip(1) {
            let (above, name) = (plan.parent(dir), plan.name(dir));
            let is_in_app = plan.name(above) == b"Contents" && CODE.contains(&name);
            // Nodes stand behind the folders that they are in.
            is_code[dir.index()] |= is_code[above.index()] || is_in_app;
            if BIN.contains(&name) && is_prefix(subject, above) {
                bin.insert(dir);
            }
        }
        Self {
            is_code,
            bin,
            tops,
            named: named(subject, lost),
        }
    }

    /// Whether the file `node` is one that is run or loaded, by what it is and where.
    fn runs(&self, subject: &Subject<'_>, node: NodeId) -> bool {
        let folder = subject.plan().parent(node);
        let is_by_name = || self.bin.contains(&folder) || self.named.contains(&node);
        let is_code = || self.is_code[folder.index()] || self.tops.contains(&folder);
        match subject.head(node) {
            // A library may be a program as well, which nobody runs: libc and libcap are.
            Head::Elf(Use::Program) if is_library(subject.plan().name(node)) => {
                is_code() || is_by_name()
            }
            Head::Elf(Use::Program) | Head::MachO(Use::Program) => !is_debug(subject, node),
            Head::Elf(Use::Library) | Head::MachO(Use::Library) => is_code() || is_by_name(),
            Head::Script => is_by_name(),
            Head::Elf(Use::Other)
            | Head::MachO(Use::Other)
            | Head::Pe
            | Head::Nothing
            | Head::Line(_)
            | Head::Other => false,
        }
    }
}

/// Whether `dir` is what programs are installed into: the bundle itself, a Python
/// environment in it, an application's `Contents`, or a system's `usr`.
fn is_prefix(subject: &Subject<'_>, dir: NodeId) -> bool {
    let plan = subject.plan();
    let has = |name: &[u8]| plan.child(dir, name).is_some();
    dir == NodeId::ROOT
        || matches!(plan.name(dir), b"Contents" | b"usr" | b"local")
        || has(b"pyvenv.cfg")
        || has(b"conda-meta")
}

/// What the links of `.bin` folders lead to, those included that were lost.
fn named(subject: &Subject<'_>, lost: &Lost) -> HashSet<NodeId> {
    let plan = subject.plan();
    let mut resolver = Resolver::new(plan);
    let is_bin = |dir: NodeId| plan.name(dir) == b".bin";
    let links = plan.symlinks().filter(|link| is_bin(plan.parent(*link)));
    let mut named: HashSet<NodeId> = links
        .filter_map(|link| resolver.resolve(link).inside())
        .collect();
    let were = lost.links.iter().filter(|link| is_bin(link.dir));
    named.extend(were.filter_map(|link| resolver.lead(link.dir, &link.target).inside()));
    named
}

/// Whether a file of this name is a library: `libcap.so.2.66`.
fn is_library(name: &[u8]) -> bool {
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

/// Whether it is a program's debug information, which begins as the program does.
fn is_debug(subject: &Subject<'_>, node: NodeId) -> bool {
    let plan = subject.plan();
    let is_for_debug = |dir: NodeId| matches!(plan.name(dir), b"debug" | b".debug");
    plan.above(node).any(is_for_debug) || plan.name(node).ends_with(b".debug")
}
