use super::finding::Finding;
use super::kind::BundleKind;
use super::lost::Lost;
use super::subject::{Files, Subject};
use crate::error::Result;

pub(super) fn check(
    _subject: &Subject<'_>,
    _files: &mut Files<'_>,
    _kind: &BundleKind,
    _lost: &Lost,
) -> Result<Vec<Finding>> {
    Ok(Vec::new())
}
