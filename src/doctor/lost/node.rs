//! The links that JavaScript's package managers make in `node_modules`: of programs in
//! `.bin`, of packages of the project itself, and pnpm's of all packages.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::error::Result;
use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind, Plan};

use super::{Rule, Search, way};

const BIN: Rule = Rule::by_content("a package.json names it, and npm makes a link in .bin");
const WORKSPACE: Rule = Rule::by_content("npm links packages of the project itself");
const PNPM: Rule = Rule::by_content("pnpm links packages to .pnpm");

/// More than any `package.json` has.
const LONGEST: u64 = 1 << 20;

/// A package, by the name in its folder's path.
struct Package {
    /// Its place in `node_modules`: a folder, or a link to one.
    place: NodeId,
    name: Vec<u8>,
}

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let (subject, plan) = (search.subject(), search.plan());
    let folders: Vec<NodeId> = subject
        .all_dirs()
        .filter(|dir| plan.name(*dir) == b"node_modules" || is_bare(plan, *dir))
        .collect();
    if folders.is_empty() {
        return Ok(());
    }
    let own = own_packages(search)?;
    let stored = stored_packages(plan);
    for &folder in &folders {
        for package in packages(plan, folder) {
            let is_store = |(_, led): &(Vec<u8>, NodeId)| *led == package.place;
            let at = plan.parent(package.place);
            let to = |node: &NodeId| (way(plan, at, *node), *node);
            let stores: Vec<_> = stored
                .get(&package.name)
                .into_iter()
                .flatten()
                .map(to)
                .collect();
            if !stores.iter().any(is_store) {
                search.judge(package.place, &stores, PNPM)?;
            }
            let owns: Vec<_> = own
                .get(&package.name)
                .into_iter()
                .flatten()
                .map(to)
                .collect();
            search.judge(package.place, &owns, WORKSPACE)?;
        }
    }
    for folder in folders {
        programs(search, folder)?;
    }
    Ok(())
}

/// Whether the root is a `node_modules` by itself.
fn is_bare(plan: &Plan, dir: NodeId) -> bool {
    let has = |name: &[u8]| plan.child(dir, name).is_some();
    dir == NodeId::ROOT && (has(b".package-lock.json") || has(b".modules.yaml") || has(b".bin"))
}

/// The packages in a `node_modules`, those of scopes with their scopes' names.
fn packages(plan: &Plan, folder: NodeId) -> Vec<Package> {
    let mut packages = Vec::new();
    for node in plan.children(folder) {
        let name = plan.name(node);
        match name.first() {
            Some(b'.') => {}
            Some(b'@') => packages.extend(plan.children(node).map(|place| Package {
                place,
                name: [name, b"/", plan.name(place)].concat(),
            })),
            _ => packages.push(Package {
                place: node,
                name: name.to_vec(),
            }),
        }
    }
    packages
}

/// The packages of `.pnpm` that are there for real: `.pnpm/a@1.0.0/node_modules/a`.
fn stored_packages(plan: &Plan) -> HashMap<Vec<u8>, Vec<NodeId>> {
    let mut stored: HashMap<Vec<u8>, Vec<NodeId>> = HashMap::new();
    let is_store = |node: &NodeId| plan.name(*node) == b".pnpm";
    for store in plan.nodes().filter(is_store) {
        for version in plan.children(store) {
            let Some(folder) = plan.child(version, b"node_modules") else {
                continue;
            };
            for package in packages(plan, folder) {
                let flat: Vec<u8> = package
                    .name
                    .iter()
                    .map(|byte| match byte {
                        b'/' => b'+',
                        byte => *byte,
                    })
                    .chain(*b"@")
                    .collect();
                if plan.name(version).starts_with(&flat) {
                    stored.entry(package.name).or_default().push(package.place);
                }
            }
        }
    }
    stored
}

/// The packages that stand outside of any `node_modules`, by the names that they have.
fn own_packages(search: &mut Search<'_>) -> Result<HashMap<Vec<u8>, Vec<NodeId>>> {
    let (subject, plan) = (search.subject(), search.plan());
    let mut own: HashMap<Vec<u8>, Vec<NodeId>> = HashMap::new();
    let mut pending: Vec<NodeId> = plan.children(NodeId::ROOT).collect();
    while let Some(dir) = pending.pop() {
        if plan.name(dir) == b"node_modules" || plan.kind(dir) != NodeKind::Dir {
            continue;
        }
        pending.extend(plan.children(dir));
        if subject.at(dir, b"package.json").is_some()
            && let Some(Value::String(name)) = read(search, dir)?.get("name")
        {
            own.entry(name.clone().into_bytes()).or_default().push(dir);
        }
    }
    Ok(own)
}

/// The programs that packages of `folder` have in its `.bin`.
fn programs(search: &mut Search<'_>, folder: NodeId) -> Result<()> {
    let plan = search.plan();
    let Some(bin) = plan.child(folder, b".bin") else {
        return Ok(());
    };
    let is_copy = |node: &NodeId| plan.kind(*node) == NodeKind::File;
    if !plan.children(bin).any(|node| is_copy(&node)) {
        return Ok(());
    }
    let mut named: BTreeMap<NodeId, Vec<(Vec<u8>, NodeId)>> = BTreeMap::new();
    let mut resolver = Resolver::new(plan);
    for package in packages(plan, folder) {
        let Some(dir) = folder_of(plan, &mut resolver, package.place) else {
            continue;
        };
        for (name, path) in bins(&read(search, dir)?, &package.name) {
            let node = plan.child(bin, &name).filter(is_copy);
            let led = search.subject().at(dir, &path);
            if let (Some(node), Some(led)) = (node, led) {
                let target = [b"../", &package.name[..], b"/", &path].concat();
                named.entry(node).or_default().push((target, led));
            }
        }
    }
    for (node, targets) in named {
        search.judge(node, &targets, BIN)?;
    }
    Ok(())
}

fn folder_of(plan: &Plan, resolver: &mut Resolver<'_>, place: NodeId) -> Option<NodeId> {
    let led = resolver.follow(place)?;
    (plan.kind(led) == NodeKind::Dir).then_some(led)
}

/// The `package.json` of a folder; null if it has none that can be read.
fn read(search: &mut Search<'_>, dir: NodeId) -> Result<Value> {
    let plan = search.plan();
    let file = plan.child(dir, b"package.json");
    match file.filter(|file| plan.kind(*file) == NodeKind::File && plan.size(*file) <= LONGEST) {
        Some(file) => {
            let text = search.likeness.read(file, LONGEST)?;
            Ok(serde_json::from_slice(&text).unwrap_or_default())
        }
        None => Ok(Value::Null),
    }
}

/// The programs that a `package.json` names, and their paths in the package.
fn bins(package: &Value, name: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let path = |path: &str| {
        let names = path.split('/').filter(|name| !matches!(*name, "" | "."));
        names.collect::<Vec<_>>().join("/").into_bytes()
    };
    match package.get("bin") {
        Some(Value::String(only)) => {
            let name = name.rsplit(|byte| *byte == b'/').next().unwrap_or(name);
            vec![(name.to_vec(), path(only))]
        }
        Some(Value::Object(all)) => {
            let bins = all
                .iter()
                .filter_map(|(name, value)| Some((name, value.as_str()?)));
            bins.map(|(name, value)| (name.clone().into_bytes(), path(value)))
                .collect()
        }
        _ => Vec::new(),
    }
}
