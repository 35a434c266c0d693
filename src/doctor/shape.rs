//! Frameworks that lost their shape, and what code signing refuses in an application.
//!
//! `codesign` and Gatekeeper go by the shape of a bundle: a framework is its versions and
//! links to one of them, an application is its `Contents` and nothing beside it. The rules
//! are those of Apple's technical notes TN2206 and TN3126. A link that `repair` puts back
//! is no finding here.

use crate::plan::links::Resolver;
use crate::plan::{NodeId, NodeKind, Plan};

use super::finding::{Code, Finding};
use super::lost::Lost;
use super::subject::{Head, Subject};

/// Endings of folders that are bundles by themselves, with rules of their own.
const BUNDLES: [&[u8]; 10] = [
    b"app",
    b"appex",
    b"bundle",
    b"dSYM",
    b"framework",
    b"kext",
    b"plugin",
    b"qlgenerator",
    b"systemextension",
    b"xpc",
];

pub(super) fn check(subject: &Subject<'_>, lost: &Lost) -> Vec<Finding> {
    let plan = subject.plan();
    let mut resolver = Resolver::new(plan);
    let mut findings = Vec::new();
    for dir in subject.all_dirs().filter(|dir| !lost.covers(*dir)) {
        if ending(plan.name(dir)) == Some(b"framework") {
            findings.extend(framework(plan, &mut resolver, dir, lost));
        }
        if is_app(plan, dir) {
            findings.extend(unsignable(subject, dir, lost));
        }
    }
    findings
}

/// What a framework with versions lacks.
fn framework(
    plan: &Plan,
    resolver: &mut Resolver<'_>,
    framework: NodeId,
    lost: &Lost,
) -> Option<Finding> {
    let versions = plan.child(framework, b"Versions")?;
    let returns = |dir: NodeId, name: &[u8]| {
        let mut links = lost.links.iter();
        links.any(|link| link.dir == dir && *link.name == *name)
    };
    let finding = |message: &str, fix: &str| {
        let finding = Finding::new(Code::FrameworkShape, plan.path(framework), message);
        Some(finding.with_fix(fix))
    };
    let Some(current) = plan.child(versions, b"Current") else {
        return match returns(versions, b"Current") {
            true => None,
            false => finding(
                "has several versions, or none, and no `Versions/Current`: it can't be loaded",
                "a link `Versions/Current` to one of them, or `bundlecp repair --from` the \
                 bundle as it was",
            ),
        };
    };
    // What stands there in place of a link is told by itself.
    if plan.kind(current) != NodeKind::Symlink {
        return None;
    }
    let version = resolver.follow(current)?;
    let name = plan.name(framework).strip_suffix(b".framework")?;
    let is_there = plan.child(framework, name).is_some() || returns(framework, name);
    match plan.child(version, name).is_some() && !is_there {
        true => finding(
            "has no link to its library at its top: it can't be loaded",
            "a link through `Versions/Current` to the library of that version",
        ),
        false => None,
    }
}

/// Whether `dir` is an application, by its name or as what is examined.
fn is_app(plan: &Plan, dir: NodeId) -> bool {
    let contents = plan.child(dir, b"Contents");
    let has = |name: &[u8]| contents.is_some_and(|contents| plan.child(contents, name).is_some());
    match ending(plan.name(dir)) {
        Some(b"app") => contents.is_some(),
        _ => dir == NodeId::ROOT && has(b"MacOS"),
    }
}

/// What code signing refuses in the application `app`.
fn unsignable(subject: &Subject<'_>, app: NodeId, lost: &Lost) -> Vec<Finding> {
    let plan = subject.plan();
    let mut findings = Vec::new();
    let mut find = |node: NodeId, message: &str, fix: &str| {
        // What stands in place of a link goes when that is put back.
        if !lost.covers(node) {
            let finding = Finding::new(Code::UnsignableApp, plan.path(node), message);
            findings.push(finding.with_fix(fix));
        }
    };
    for node in plan.children(app) {
        if plan.name(node) != b"Contents" {
            find(
                node,
                "stands beside `Contents`: codesign finds \"unsealed contents present in the \
                 bundle root\"",
                "move it into `Contents/Resources`, or remove it",
            );
        }
    }
    let contents = plan
        .child(app, b"Contents")
        .expect("that of an application");
    if plan.child(contents, b"Info.plist").is_none() {
        find(
            app,
            "has no `Contents/Info.plist`: macOS doesn't take it for an application",
            "put the file back from the bundle as it was",
        );
    }
    for node in below(plan, contents) {
        if plan.name(node).starts_with(b"._") && plan.kind(node) == NodeKind::File {
            find(
                node,
                "is what macOS' attributes became on the way: it breaks the application's seal",
                "remove it, and archive with `bundlecp pack` or `ditto`",
            );
        }
    }
    for code in [&b"Frameworks"[..], b"MacOS"] {
        if let Some(code) = plan.child(contents, code) {
            in_code(subject, code, &mut find);
        }
    }
    findings
}

/// What is wrong with a folder where code signing takes everything for code.
fn in_code(subject: &Subject<'_>, code: NodeId, find: &mut impl FnMut(NodeId, &str, &str)) {
    let plan = subject.plan();
    let is_macos = plan.name(code) == b"MacOS";
    for node in below(plan, code) {
        match plan.kind(node) {
            NodeKind::Dir if plan.name(node).contains(&b'.') && !is_bundle(plan, node) => find(
                node,
                "is a folder with a dot in its name, among code: codesign takes it for a broken \
                 bundle",
                "move it to `Contents/Resources`, with a link in its place",
            ),
            NodeKind::File if is_macos && is_data(subject.head(node)) => find(
                node,
                "is data among programs: codesign demands a signature of it",
                "move it to `Contents/Resources`, with a link in its place",
            ),
            NodeKind::Dir | NodeKind::File | NodeKind::Symlink | NodeKind::Special => {}
        }
    }
}

fn is_data(head: &Head) -> bool {
    match head {
        Head::Nothing | Head::Line(_) | Head::Other => true,
        Head::Elf(_) | Head::MachO(_) | Head::Pe | Head::Script => false,
    }
}

/// All below `dir`, but not what is in bundles there.
fn below(plan: &Plan, dir: NodeId) -> Vec<NodeId> {
    let mut all = Vec::new();
    let mut pending: Vec<NodeId> = plan.children(dir).collect();
    while let Some(node) = pending.pop() {
        all.push(node);
        if !is_bundle(plan, node) {
            pending.extend(plan.children(node));
        }
    }
    all
}

fn is_bundle(plan: &Plan, node: NodeId) -> bool {
    ending(plan.name(node)).is_some_and(|ending| BUNDLES.contains(&ending))
}

/// What follows the last dot of a name.
fn ending(name: &[u8]) -> Option<&[u8]> {
    let dot = name.iter().rposition(|byte| *byte == b'.')?;
    (dot > 0).then(|| &name[dot + 1..])
}
