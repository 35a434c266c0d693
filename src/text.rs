//! Bytes of unknown origin as text that a terminal can show.

use std::path::Path;

use crate::sys;

/// Writes a path as text: control characters, and bytes that aren't UTF-8, as
/// escapes, so that a name can't steer a terminal, nor look like another by the
/// direction of its letters.
pub fn escape_path(path: &Path) -> String {
    escape_bytes(sys::os_to_bytes(path.as_os_str()))
}

/// What turns the direction of text: Unicode's standard annex 9, 2.1 to 2.6.
fn turns(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// Writes control characters as escapes, and those that turn the direction of text.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || turns(character) {
            escaped.extend(character.escape_default());
        } else {
            escaped.push(character);
        }
    }
    escaped
}

/// Writes bytes as text, those that aren't UTF-8 as `\xNN`.
pub(crate) fn escape_bytes(bytes: &[u8]) -> String {
    let mut escaped = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        escaped.push_str(&escape(chunk.valid()));
        for byte in chunk.invalid() {
            escaped.push_str(&format!("\\x{byte:02x}"));
        }
    }
    escaped
}
