use super::finding::Finding;
use super::subject::Subject;

pub(super) fn check(_subject: &Subject<'_>) -> Vec<Finding> {
    Vec::new()
}
