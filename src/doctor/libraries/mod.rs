//! Libraries that are in a bundle twice, and such that are in it where the loader doesn't
//! look.
//!
//! Only what is certain is told. A name that isn't in the bundle is the system's. A file
//! that anything in the bundle looks for where it stands may have been loaded before it is
//! needed elsewhere. What a lost link explains, that link's finding tells.

mod facts;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::error::Result;
use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind, Plan};

use super::finding::{Code, Finding};
use super::kind::{self, BundleKind};
use super::lost::{Lost, Stand};
use super::subject::{Files, Head, Subject, Use};

use facts::{Facts, Machine};

/// Folders with further builds of a library, of which the loader takes one, and with
/// debug information.
const BUILDS: [&[u8]; 3] = [b"glibc-hwcaps", b"debug", b".debug"];

/// Windows' own runtime, which everybody puts beside what needs it.
const RUNTIME: [&[u8]; 6] = [
    b"api-ms-",
    b"concrt",
    b"msvcp",
    b"ucrtbase",
    b"vcomp",
    b"vcruntime",
];

pub(super) fn check(
    subject: &Subject<'_>,
    files: &mut Files<'_>,
    kind: &BundleKind,
    lost: &Lost,
) -> Result<Vec<Finding>> {
    if *kind == BundleKind::System {
        return Ok(Vec::new());
    }
    let mut programs = Vec::new();
    for node in subject.all_files().filter(|node| !lost.covers(*node)) {
        let is_program = match subject.head(node) {
            Head::Elf(used) | Head::MachO(used) => *used != Use::Other,
            Head::Pe => true,
            Head::Nothing | Head::Script | Head::Line(_) | Head::Other => false,
        };
        if is_program && let Some(facts) = facts::read(&files.open(node)?) {
            programs.push((node, facts));
        }
    }
    let mut findings = duplicates(subject, files, kind, &programs)?;
    // Links that come back may be what leads to them.
    if lost.links.iter().all(|link| link.stand == Stand::Copy) {
        findings.extend(missing(subject, kind, &programs));
    }
    Ok(findings)
}

/// Libraries of one name to the loader.
fn duplicates(
    subject: &Subject<'_>,
    files: &mut Files<'_>,
    kind: &BundleKind,
    programs: &[(NodeId, Facts)],
) -> Result<Vec<Finding>> {
    let plan = subject.plan();
    let mut named: HashMap<(Machine, &[u8]), Vec<NodeId>> = HashMap::new();
    for (node, facts) in programs {
        if let Some(name) = &facts.name
            && is_shared(plan, *node, name, facts.machine)
        {
            named.entry((facts.machine, name)).or_default().push(*node);
        }
    }
    // In an application's one process, others of that name aren't loaded any more.
    let is_one_process = matches!(kind, BundleKind::PyInstaller { .. } | BundleKind::App);
    let mut findings = Vec::new();
    for ((machine, name), mut nodes) in named {
        nodes.sort_by_key(|node| (plan.depth(*node), plan.path(*node)));
        let mut seen = HashSet::new();
        nodes.retain(|node| {
            let stat = subject.stat(*node);
            seen.insert((stat.device, stat.inode))
        });
        let Some((first, others)) = nodes.split_first().filter(|(_, others)| !others.is_empty())
        else {
            continue;
        };
        let hash = files.hash(*first)?;
        for node in others {
            let is_equal = plan.size(*node) == plan.size(*first) && files.hash(*node)? == hash;
            let is_certain = is_one_process && !matches!(machine, Machine::Pe(_));
            if is_equal || is_certain {
                findings.push(duplicate(plan, *node, *first, name, is_equal));
            }
        }
    }
    Ok(findings)
}

fn duplicate(plan: &Plan, node: NodeId, first: NodeId, name: &[u8], is_equal: bool) -> Finding {
    let name = crate::text::escape_bytes(name);
    let first = plan.path(first);
    let (message, fix) = match is_equal {
        true => (
            format!("is the library `{name}` once more: `{first}` is equal"),
            "a link to the other, or leave one of them out when the bundle is made",
        ),
        false => (
            format!("is another `{name}` than `{first}`: a program gets the one that comes first"),
            "leave one of them out when the bundle is made",
        ),
    };
    let finding = Finding::new(Code::DuplicateLibrary, plan.path(node), message);
    Finding {
        bytes_wasted: match is_equal {
            true => plan.size(node),
            false => 0,
        },
        ..finding.with_fix(fix)
    }
}

/// Whether `node` is what the loader takes for the library `name`: a module that Python
/// loads by its path may have any name inside.
fn is_shared(plan: &Plan, node: NodeId, name: &[u8], machine: Machine) -> bool {
    let own = plan.name(node).to_ascii_lowercase();
    let is_named = own.starts_with(&name.to_ascii_lowercase());
    let is_runtime = || RUNTIME.iter().any(|start| own.starts_with(start));
    let is_build = || plan.above(node).any(|dir| BUILDS.contains(&plan.name(dir)));
    is_named && !is_build() && !(matches!(machine, Machine::Pe(_)) && is_runtime())
}

/// Where all programs of a bundle look for what they need.
struct Search<'s> {
    plan: &'s Plan,
    resolver: Resolver<'s>,
    /// The folders that anything looks in.
    dirs: BTreeSet<NodeId>,
    /// The folders of programs: `@executable_path`.
    tops: BTreeSet<NodeId>,
    /// What was looked for in all of `dirs`, and whether it is there.
    known: HashMap<&'s [u8], bool>,
}

/// Folders and names that a search looks at: of a large environment 300 and 3,000. With
/// more of them nothing is told.
const MOST_DIRS: usize = 1000;
const MOST_NAMES: usize = 50_000;

/// Libraries that are needed, and are where nothing looks for them.
fn missing(subject: &Subject<'_>, kind: &BundleKind, programs: &[(NodeId, Facts)]) -> Vec<Finding> {
    let plan = subject.plan();
    let mut search = Search {
        plan,
        resolver: Resolver::new(plan),
        dirs: kind::contents_folders(subject).collect(),
        tops: BTreeSet::new(),
        known: HashMap::new(),
    };
    let is_run = |node| matches!(subject.head(node), Head::MachO(Use::Program));
    let runs = programs.iter().filter(|(node, _)| is_run(*node));
    search.tops.extend(runs.map(|(node, _)| plan.parent(*node)));
    let names: usize = programs.iter().map(|(_, facts)| facts.needs.len()).sum();
    for (node, facts) in programs {
        let dirs = search.dirs_of(*node, facts);
        search.dirs.extend(dirs);
        if names > MOST_NAMES || search.dirs.len() > MOST_DIRS {
            return Vec::new();
        }
    }
    let mut by_name: HashMap<&[u8], NodeId> = HashMap::new();
    for (node, facts) in programs.iter().rev() {
        by_name.insert(plan.name(*node), *node);
        by_name.extend(facts.name.iter().map(|name| (&**name, *node)));
    }
    let mut unfound: BTreeMap<&[u8], Vec<(NodeId, NodeId)>> = BTreeMap::new();
    for (node, facts) in programs {
        for need in &facts.needs {
            if search.finds(*node, need, facts.machine) {
                continue;
            }
            let name = need.rsplit(|byte| *byte == b'/').next().unwrap_or(need);
            let Some(there) = by_name.get(name) else {
                continue;
            };
            // The system may have one as well, unless the bundle brings all it needs, or
            // has it beside under the name of its version.
            let is_beside = search.dirs_of(*node, facts).contains(&plan.parent(*there));
            let is_own = matches!(kind, BundleKind::PyInstaller { .. }) || need.starts_with(b"@");
            if is_own || is_beside {
                unfound.entry(need).or_default().push((*node, *there));
            }
        }
    }
    let found = unfound.into_iter();
    found
        .map(|(need, users)| unfound_library(plan, need, &users))
        .collect()
}

fn unfound_library(plan: &Plan, need: &[u8], users: &[(NodeId, NodeId)]) -> Finding {
    let need = crate::text::escape_bytes(need);
    let (first, there) = users[0];
    let there = plan.path(there);
    let others = match users.len() - 1 {
        0 => String::new(),
        1 => ", and so does another".to_owned(),
        others => format!(", and so do {others} others"),
    };
    let message = format!(
        "needs `{need}`{others}: `{there}` is that library, but nothing looks for it there"
    );
    let finding = Finding::new(Code::MissingLibrary, plan.path(first), message);
    finding.with_fix("a link of that name where it is looked for, as the bundle was made with")
}

impl<'s> Search<'s> {
    /// The folders of the bundle that `node` wants to be looked in.
    fn dirs_of(&mut self, node: NodeId, facts: &'s Facts) -> Vec<NodeId> {
        let mut dirs = Vec::new();
        for path in &facts.paths {
            dirs.extend(
                self.starts(node, path)
                    .into_iter()
                    .filter_map(|(from, rest)| {
                        let dir = self.lead(from, rest)?;
                        (self.plan.kind(dir) == NodeKind::Dir).then_some(dir)
                    }),
            );
        }
        dirs
    }

    /// Where a path begins that is told from the file itself, or from a program.
    fn starts<'p>(&self, node: NodeId, path: &'p [u8]) -> Vec<(NodeId, &'p [u8])> {
        let after = |begin: &[u8]| path.strip_prefix(begin);
        let own = [&b"$ORIGIN"[..], b"${ORIGIN}", b"@loader_path"];
        if let Some(rest) = own.into_iter().find_map(after) {
            return vec![(self.plan.parent(node), rest)];
        }
        let rest = after(b"@executable_path").into_iter();
        rest.flat_map(|rest| self.tops.iter().map(move |top| (*top, rest)))
            .collect()
    }

    /// What `rest` leads to from the folder `from`.
    fn lead(&mut self, from: NodeId, rest: &'s [u8]) -> Option<NodeId> {
        let rest = &rest[rest.iter().take_while(|byte| **byte == b'/').count()..];
        if rest.is_empty() {
            return Some(from);
        }
        self.resolver.lead(from, rest).inside()
    }

    /// Whether what `node` needs is where anything in the bundle looks for it, or none of
    /// the bundle's business.
    fn finds(&mut self, node: NodeId, need: &'s [u8], machine: Machine) -> bool {
        match machine {
            Machine::Elf(..) => need.contains(&b'/') || self.is_anywhere(need),
            Machine::MachO => match need.strip_prefix(b"@rpath/") {
                Some(rest) => self.is_anywhere(rest),
                None => {
                    let starts = self.starts(node, need);
                    !need.starts_with(b"@")
                        || starts
                            .into_iter()
                            .any(|(from, rest)| self.lead(from, rest).is_some())
                }
            },
            Machine::Pe(_) => true,
        }
    }

    /// Whether anything looks for `name` where it is.
    fn is_anywhere(&mut self, name: &'s [u8]) -> bool {
        if let Some(known) = self.known.get(name) {
            return *known;
        }
        let dirs: Vec<NodeId> = self.dirs.iter().copied().collect();
        let is_there = dirs.into_iter().any(|dir| self.lead(dir, name).is_some());
        self.known.insert(name, is_there);
        is_there
    }
}
