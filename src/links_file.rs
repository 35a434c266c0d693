//! `.bundlecp-links.json`: the links of a tree that was copied to where links
//! can't be, with all that is needed to put them back.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::json::{self, rfc3339};
use crate::path::{LinkTarget, RelPath};
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NodeId, NodeKind, Plan};
use crate::sys::Timestamp;

/// The file's name, at the root of the copy.
pub(crate) const NAME: &str = ".bundlecp-links.json";

const FORMAT: &str = "bundlecp-links";

const VERSION: u32 = 1;

#[derive(Serialize)]
struct Document {
    format: &'static str,
    version: u32,
    links: Vec<Link>,
}

#[derive(Serialize)]
struct Link {
    #[serde(flatten)]
    path: RelPath,
    #[serde(flatten)]
    target: LinkTarget,
    /// `file`, `dir`, `dangling`, `outside` or `loop`: Windows makes different
    /// links to files and folders.
    leads_to: &'static str,
    mtime: String,
}

/// Writes down every link of `plan`. `times` says when each was made.
pub(crate) fn document(plan: &Plan, times: &HashMap<NodeId, Timestamp>) -> Vec<u8> {
    let mut resolver = Resolver::new(plan);
    let mut links: Vec<Link> = plan
        .symlinks()
        .map(|node| Link {
            path: plan.path(node),
            target: LinkTarget::new(plan.target(node)),
            leads_to: leads_to(plan, resolver.resolve(node)),
            mtime: rfc3339(times.get(&node).copied().unwrap_or_default()),
        })
        .collect();
    links.sort_by(|a, b| a.path.cmp(&b.path));
    let document = Document {
        format: FORMAT,
        version: VERSION,
        links,
    };
    let mut bytes = serde_json::to_vec_pretty(&document).expect("strings and numbers only");
    bytes.push(b'\n');
    bytes
}

/// A link as the file tells it.
#[derive(Deserialize)]
struct Told {
    path: String,
    path_base64: Option<String>,
    target: String,
    target_base64: Option<String>,
}

/// The paths and targets in a document of this version; `None` if it isn't one.
pub(crate) fn read(document: &[u8]) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    #[derive(Deserialize)]
    struct Document {
        format: String,
        version: u32,
        links: Vec<Told>,
    }
    let document: Document = serde_json::from_slice(document).ok()?;
    if document.format != FORMAT || document.version != VERSION {
        return None;
    }
    let links = document.links.into_iter().map(|link| {
        let path = json::bytes(&link.path, link.path_base64.as_deref())?;
        let target = json::bytes(&link.target, link.target_base64.as_deref())?;
        Some((path, target))
    });
    links.collect()
}

fn leads_to(plan: &Plan, resolution: Resolution) -> &'static str {
    match resolution {
        Resolution::Inside(node) => match plan.kind(node) {
            NodeKind::Dir => "dir",
            NodeKind::File | NodeKind::Symlink | NodeKind::Special => "file",
        },
        Resolution::Dangling => "dangling",
        Resolution::Outside => "outside",
        Resolution::Loop => "loop",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{dir, file, link};

    /// A file of version 1 stays what it is: later versions read it.
    #[test]
    fn the_document_is_the_golden_file() {
        let mut plan = Plan::new();
        let mut odd = link("odd", "x");
        odd.name = b"caf\xe9".as_slice().into();
        odd.target = Some(b"\xff".as_slice().into());
        let links = vec![
            dir("lib"),
            link("a.so", "lib/a.so"),
            link("current", "lib"),
            link("gone", "lib/missing"),
            link("python", "/usr/bin/python3"),
            link("self", "self"),
            odd,
        ];
        plan.set_children(NodeId::ROOT, links).unwrap();
        let lib = plan.child(NodeId::ROOT, b"lib").unwrap();
        plan.set_children(lib, vec![file("a.so"), link("b.so", "a.so")])
            .unwrap();
        let time = Timestamp {
            secs: 1_700_000_000,
            nanos: 123_456_789,
        };
        let times = plan.nodes().map(|node| (node, time)).collect();
        let golden = include_str!("../tests/data/bundlecp-links.json");
        assert_eq!(String::from_utf8(document(&plan, &times)).unwrap(), golden);
    }
}
