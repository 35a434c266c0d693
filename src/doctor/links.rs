use super::finding::Finding;
use super::kind::BundleKind;
use super::lost::Lost;
use super::subject::Subject;

pub(super) fn check(_subject: &Subject<'_>, _kind: &BundleKind, _lost: &Lost) -> Vec<Finding> {
    Vec::new()
}

/// Bytes that would be there again if every link were a copy.
pub(super) fn saved(_subject: &Subject<'_>) -> u64 {
    0
}
