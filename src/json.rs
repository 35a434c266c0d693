//! How bytes and times look in JSON documents, the same everywhere.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serializer;
use serde::ser::SerializeMap;

use crate::sys::Timestamp;

/// Writes bytes as `name`, readable, and exact as `name_base64` where readable isn't.
pub(crate) fn serialize_bytes<S: Serializer>(
    serializer: S,
    name: &'static str,
    base64_name: &'static str,
    bytes: &[u8],
) -> Result<S::Ok, S::Error> {
    let is_text = std::str::from_utf8(bytes).is_ok();
    let mut map = serializer.serialize_map(None)?;
    map.serialize_entry(name, &String::from_utf8_lossy(bytes))?;
    if !is_text {
        map.serialize_entry(base64_name, &STANDARD.encode(bytes))?;
    }
    map.end()
}

/// The bytes that [`serialize_bytes`] writes so; `None` if the exact ones are no base64.
pub(crate) fn bytes(text: &str, base64: Option<&str>) -> Option<Vec<u8>> {
    match base64 {
        None => Some(text.as_bytes().to_vec()),
        Some(base64) => STANDARD.decode(base64).ok(),
    }
}

/// A time as RFC 3339 writes it, with nanoseconds, in UTC.
pub(crate) fn rfc3339(time: Timestamp) -> String {
    match jiff::Timestamp::new(time.secs, time.nanos.cast_signed()) {
        Ok(time) => format!("{time:.9}"),
        // Outside the years -9999 to 9999, which file systems can store.
        Err(_) => format!("@{}.{:09}", time.secs, time.nanos),
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&rfc3339(*self))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::path::RelPath;

    #[test]
    fn times_have_nine_digits() {
        let time = Timestamp { secs: -1, nanos: 5 };
        assert_eq!(rfc3339(time), "1969-12-31T23:59:59.000000005Z");
    }

    #[test]
    fn only_what_is_no_text_has_its_bytes_beside_it() {
        let json = |name: &[u8]| serde_json::to_string(&RelPath::from_names([name])).unwrap();
        assert_eq!(json("é".as_bytes()), r#"{"path":"é"}"#);
        assert_eq!(
            json(b"\xe9"),
            r#"{"path":"\u{fffd}","path_base64":"6Q=="}"#.replace("\\u{fffd}", "\u{fffd}")
        );
    }
}
