use super::finding::Finding;
use super::subject::Subject;
use crate::plan::NodeId;

pub(super) fn check(_subject: &Subject<'_>) -> Vec<Finding> {
    Vec::new()
}

/// Files that lost their executable bit, and the mode that they had.
pub(crate) fn lost(_subject: &Subject<'_>) -> Vec<(NodeId, u32)> {
    Vec::new()
}
