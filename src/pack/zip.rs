use super::output::Job;
use crate::error::Result;
use crate::progress::Progress;
use std::io::Write;
pub(super) const UNIT: u64 = 1 << 20;
pub(super) const LARGEST_WHOLE: u64 = 16 << 20;
pub(super) fn pack<W: Write + Send>(_: &Job<'_>, _: W, _: &dyn Progress) -> Result<(W, u64)> {
    todo!()
}
