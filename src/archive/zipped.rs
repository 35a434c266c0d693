use crate::entry::Member;
use crate::error::Refusal;
pub(crate) fn members(_: &std::fs::File, _: u64) -> Result<Vec<Member>, Refusal> {
    todo!()
}
pub(crate) fn stream_members(
    _: Box<dyn std::io::Read + Send + '_>,
) -> Result<Vec<Member>, Refusal> {
    todo!()
}
