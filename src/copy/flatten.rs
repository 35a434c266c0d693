//! A tree without links: each replaced by what it points to, on purpose.
//!
//! Nothing outside the source is read: a link that leads out of the tree, to
//! nothing or in a circle can't be replaced and is an error, before anything
//! is written.

use crate::error::{Error, ErrorKind};
use crate::plan::links::{Resolution, Resolver};
use crate::plan::{NewNode, NodeId, NodeKind, Plan};

use super::tree::Mapped;

/// How many entries a flattened tree may have: links to folders that hold links
/// to folders multiply.
const MAX_NODES: usize = 10_000_000;

/// What flattening did to a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Growth {
    /// Links that became copies.
    pub links: u64,
    /// Bytes of content that the copies add.
    pub bytes: u64,
}

/// Why a link can't be replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CannotFlatten {
    pub link: NodeId,
    pub cause: &'static str,
}

impl CannotFlatten {
    pub(super) fn into_error(self, path: std::path::PathBuf) -> Error {
        Error::new(ErrorKind::CannotFlatten, "flatten", path, self.cause)
            .with_hint("--on-no-symlinks=manifest writes the links down instead")
    }
}

/// Replaces every link of `source` by what it points to. Needs sizes and targets.
pub(super) fn flatten(source: &Plan) -> Result<(Mapped, Growth), CannotFlatten> {
    let mut resolver = Resolver::new(source);
    let mut flattened = Mapped::new(Plan::new(), vec![NodeId::ROOT]);
    let mut growth = Growth::default();
    // A folder to fill, and whether it stands in for a link.
    let mut pending = vec![(NodeId::ROOT, false)];
    while let Some((target, is_copy)) = pending.pop() {
        let origin = flattened.origins[target.index()];
        let mut children = Vec::new();
        for child in source.children(origin) {
            let is_link = source.kind(child) == NodeKind::Symlink;
            let real = match is_link {
                true => replace(source, &mut resolver, child)?,
                false => child,
            };
            if is_link {
                growth.links += 1;
            }
            if is_link || is_copy {
                growth.bytes += source.size(real);
            }
            if source.kind(real) == NodeKind::Dir && is_above(&flattened, target, real) {
                let cause = "leads to a folder that it stands in";
                return Err(CannotFlatten { link: child, cause });
            }
            children.push((source.name(child), real, is_link || is_copy));
        }
        // The plan sorts its children by name, as the source's are already.
        let too_large = CannotFlatten {
            link: origin,
            cause: "becomes too large without its links",
        };
        if flattened.origins.len() + children.len() > MAX_NODES {
            return Err(too_large);
        }
        let nodes = children.iter().map(|(name, real, _)| NewNode {
            name: (*name).into(),
            kind: source.kind(*real),
            size: source.size(*real),
            target: None,
        });
        let added = flattened.plan.set_children(target, nodes.collect());
        added.map_err(|_| too_large)?;
        flattened
            .origins
            .extend(children.iter().map(|(_, real, _)| *real));
        for (node, (_, real, is_copy)) in flattened.plan.children(target).zip(&children) {
            if source.kind(*real) == NodeKind::Dir {
                pending.push((node, *is_copy));
            }
        }
    }
    Ok((flattened, growth))
}

fn replace(
    source: &Plan,
    resolver: &mut Resolver<'_>,
    link: NodeId,
) -> Result<NodeId, CannotFlatten> {
    let cause = match resolver.resolve(link) {
        Resolution::Inside(node) if source.kind(node) != NodeKind::Special => return Ok(node),
        Resolution::Inside(_) => "the link leads to a special file",
        Resolution::Dangling => "the link leads to nothing, so there is nothing to copy",
        Resolution::Outside => "the link leads out of the source",
        Resolution::Loop => "the link leads in a circle",
    };
    Err(CannotFlatten { link, cause })
}

/// Whether `real` is the folder that `target` is a copy of, or one above it.
fn is_above(flattened: &Mapped, target: NodeId, real: NodeId) -> bool {
    let is_copy = |node: NodeId| flattened.origins[node.index()] == real;
    is_copy(target) || flattened.plan.above(target).any(is_copy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::{dir, file, link};

    fn source(top: Vec<NewNode>, inner: Vec<NewNode>) -> Plan {
        let mut plan = Plan::new();
        plan.set_children(NodeId::ROOT, top).unwrap();
        let lib = plan.child(NodeId::ROOT, b"lib").unwrap();
        plan.set_children(lib, inner).unwrap();
        plan
    }

    fn sized(mut node: NewNode, size: u64) -> NewNode {
        node.size = size;
        node
    }

    #[test]
    fn links_become_what_they_point_to_and_the_growth_is_counted() {
        let top = vec![dir("lib"), link("a.so", "lib/a.so"), link("alias", "lib")];
        let inner = vec![sized(file("a.so"), 10), link("b.so", "a.so")];
        let source = source(top, inner);
        let (flattened, growth) = flatten(&source).unwrap();
        assert_eq!(
            growth,
            Growth {
                links: 4,
                bytes: 40
            }
        );
        let plan = &flattened.plan;
        let mut paths: Vec<_> = plan
            .nodes()
            .map(|node| (plan.path(node).to_string(), plan.kind(node)))
            .collect();
        paths.sort_by(|a, b| a.0.cmp(&b.0));
        let names: Vec<_> = paths.iter().map(|(path, _)| path.as_str()).collect();
        let expected = [
            ".",
            "a.so",
            "alias",
            "alias/a.so",
            "alias/b.so",
            "lib",
            "lib/a.so",
            "lib/b.so",
        ];
        assert_eq!(names, expected);
        assert!(paths.iter().all(|(_, kind)| *kind != NodeKind::Symlink));
    }

    #[test]
    fn what_cannot_be_replaced_is_named_with_its_cause() {
        for (target, cause) in [
            ("missing", "nothing"),
            ("/etc", "out of the source"),
            ("../x", "out of the source"),
            ("l", "circle"),
            (".", "stands in"),
            ("lib/..", "stands in"),
        ] {
            let source = source(vec![dir("lib"), link("l", target)], vec![]);
            let error = flatten(&source).unwrap_err();
            assert!(error.cause.contains(cause), "{target}: {}", error.cause);
        }
    }
}
