//! Text files that hold a link's target, as unpackers leave them that know no links.
//!
//! A stub is one line without an end that names something in the tree, from its own
//! folder; other stubs on the way count as the links that they were.

use crate::plan::edit::Edits;
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind};

use super::super::subject::Head;
use super::{Rule, Search, Stand};

const RULE: Rule = Rule::by_content("its text is the way to what is there");

/// Endings of files that are meant to hold a line of text.
const TEXTS: [&[u8]; 14] = [
    b"cfg", b"conf", b"csv", b"css", b"html", b"in", b"ini", b"json", b"log", b"md", b"rst",
    b"toml", b"txt", b"yml",
];

pub(super) fn find(search: &mut Search<'_>) {
    let (subject, plan) = (search.subject(), search.plan());
    let lines: Vec<(NodeId, &[u8])> = subject
        .all_files()
        .filter(|node| search.is_open(*node))
        .filter_map(|node| match subject.head(node) {
            Head::Line(text) if may_be_target(plan.name(node), text) => Some((node, &**text)),
            _ => None,
        })
        .collect();
    let mut stubs = reaching(search, &lines);
    // Those that lead in a circle are texts, and what leads through them.
    loop {
        let kept = leading(search, &stubs);
        if kept.len() == stubs.len() {
            break;
        }
        stubs = kept;
    }
    for (node, text) in stubs {
        search.note_at(node, text.into(), Stand::Stub, RULE);
    }
}

/// Those of `lines` that name something, also through others of them.
fn reaching<'t>(search: &Search<'_>, lines: &[(NodeId, &'t [u8])]) -> Vec<(NodeId, &'t [u8])> {
    let plan = search.plan();
    let (mut reached, mut edits) = (Vec::new(), Edits::default());
    let mut open = lines.to_vec();
    loop {
        // A link more for each file: never too large for a plan.
        let Ok(edited) = edits.apply(plan) else {
            return Vec::new();
        };
        let mut resolver = Resolver::new(&edited.plan);
        let mut names_one = |(node, text): &(NodeId, &'t [u8])| {
            let folder = edited.folder(plan, plan.parent(*node));
            match folder.map(|folder| resolver.lead(folder, text)) {
                Some(Resolution::Inside(led)) => edited.origins[led.index()] != *node,
                _ => false,
            }
        };
        let (new, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|line| names_one(line));
        if new.is_empty() {
            return reached;
        }
        for (node, text) in &new {
            edits.link(plan.parent(*node), plan.name(*node), text);
        }
        reached.extend(new);
        open = rest;
    }
}

/// Those of `stubs` that would lead to something if all of them were links.
fn leading<'t>(search: &Search<'_>, stubs: &[(NodeId, &'t [u8])]) -> Vec<(NodeId, &'t [u8])> {
    let plan = search.plan();
    let mut edits = Edits::default();
    for (node, text) in stubs {
        edits.link(plan.parent(*node), plan.name(*node), text);
    }
    let Ok(edited) = edits.apply(plan) else {
        return Vec::new();
    };
    let mut resolver = Resolver::new(&edited.plan);
    let mut leads = vec![false; plan.len()];
    for node in edited.plan.nodes() {
        let origin = edited.origins[node.index()];
        if edited.plan.kind(node) == NodeKind::Symlink && plan.kind(origin) == NodeKind::File {
            leads[origin.index()] = matches!(resolver.resolve(node), Resolution::Inside(_));
        }
    }
    let is_kept = |(node, _): &&(NodeId, &[u8])| leads[node.index()];
    stubs.iter().filter(is_kept).copied().collect()
}

/// Whether the file `name` with this text could be what is left of a link.
fn may_be_target(name: &[u8], text: &[u8]) -> bool {
    let ending = |path: &[u8]| {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let dot = name
            .iter()
            .rposition(|byte| *byte == b'.')
            .filter(|dot| *dot > 0);
        dot.map(|dot| name[dot + 1..].to_ascii_lowercase())
    };
    let is_way = !text.starts_with(b"/") && text.trim_ascii() == text;
    let is_text = ending(name).is_some_and(|ending| TEXTS.contains(&&*ending));
    is_way && (!is_text || ending(name) == ending(text))
}

#[cfg(test)]
mod tests {
    use super::may_be_target;

    #[test]
    fn lines_of_text_are_told_from_targets() {
        for (name, text, expected) in [
            ("libz.so", "libz.so.1", true),
            ("Current", "A", true),
            ("data.txt", "../other/data.txt", true),
            ("path.txt", "electron", false),
            ("python", "/usr/bin/python3", false),
            ("word", "two words", true),
            ("word", " lib", false),
        ] {
            assert_eq!(
                may_be_target(name.as_bytes(), text.as_bytes()),
                expected,
                "{name}"
            );
        }
    }
}
