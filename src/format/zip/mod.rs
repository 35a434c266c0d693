pub(crate) fn is_start(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06")
}
pub(crate) fn has_end_record(_f: &std::fs::File, _l: u64) -> bool {
    false
}
