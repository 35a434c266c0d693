use super::intake::Intake;
use crate::dest::writer::Site;
use crate::error::Result;
use crate::progress::Progress;
pub(super) fn extract(
    _: &std::fs::File,
    _: u64,
    _: &mut Intake<'_>,
    _: &Site<'_>,
    _: &dyn Fn(&Intake<'_>) -> Result<()>,
    _: usize,
    _: &dyn Progress,
) -> Result<()> {
    todo!()
}
pub(super) fn extract_stream(
    _: Box<dyn std::io::Read + Send + '_>,
    _: &mut Intake<'_>,
    _: &Site<'_>,
    _: usize,
    _: &dyn Progress,
) -> Result<()> {
    todo!()
}
