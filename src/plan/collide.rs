//! Names that are one name to a file system that folds case or Unicode forms.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use unicode_normalization::UnicodeNormalization;

use super::{NodeId, NodeKind, Plan};

/// What a file system takes for the same name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Folding {
    /// `A` and `a` are one name.
    pub case: bool,
    /// A composed and a decomposed letter are one name.
    pub normalization: bool,
}

/// Finds the first two siblings that `folding` makes one name.
pub(crate) fn first_collision(plan: &Plan, folding: Folding) -> Option<(NodeId, NodeId)> {
    find(plan, folding, 1).pop()
}

/// Finds every node that `folding` makes one name with a sibling before it, each behind
/// the first of those.
pub(crate) fn collisions(plan: &Plan, folding: Folding) -> Vec<(NodeId, NodeId)> {
    find(plan, folding, usize::MAX)
}

/// The first `most` collisions.
fn find(plan: &Plan, folding: Folding, most: usize) -> Vec<(NodeId, NodeId)> {
    let mut found = Vec::new();
    if !folding.case && !folding.normalization {
        return found;
    }
    let mut seen: HashMap<Vec<u8>, NodeId> = HashMap::new();
    let is_dir = |node: &NodeId| plan.kind(*node) == NodeKind::Dir;
    for dir in plan.nodes().filter(is_dir) {
        seen.clear();
        for child in plan.children(dir) {
            match seen.entry(fold(plan.name(child), folding)) {
                Entry::Vacant(free) => {
                    free.insert(child);
                }
                Entry::Occupied(taken) => found.push((*taken.get(), child)),
            }
            if found.len() >= most {
                return found;
            }
        }
    }
    found
}

/// The form of `name` that all names equal to it share. Names that aren't UTF-8
/// are folded as ASCII; what a file system does beyond that shows itself when
/// the second name can't be made.
fn fold(name: &[u8], folding: Folding) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(name) else {
        return name.to_ascii_lowercase();
    };
    let mut folded = text.to_owned();
    if folding.normalization {
        folded = folded.nfc().collect();
    }
    if folding.case {
        folded = folded.to_uppercase().to_lowercase();
    }
    folded.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::tests::file;
    use super::*;

    fn collides(a: &str, b: &str, case: bool, normalization: bool) -> bool {
        let mut plan = Plan::new();
        plan.set_children(NodeId::ROOT, vec![file(a), file(b)])
            .unwrap();
        let folding = Folding {
            case,
            normalization,
        };
        let all = collisions(&plan, folding);
        assert_eq!(first_collision(&plan, folding), all.first().copied());
        !all.is_empty()
    }

    #[test]
    fn only_what_the_file_system_folds_collides() {
        assert!(collides("README", "readme", true, false));
        assert!(!collides("README", "readme", false, true));
        assert!(collides("é", "e\u{301}", false, true));
        assert!(!collides("é", "e\u{301}", true, false));
        assert!(collides("É", "e\u{301}", true, true));
        assert!(!collides("a", "b", true, true));
    }
}
