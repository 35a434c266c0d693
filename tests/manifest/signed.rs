//! Manifests by hand, as docs/format.md describes them.

/// The hash over the lines `entries`, of a tree of which `untold` isn't known.
pub(crate) fn tree_hash(untold: &[&str], entries: &str) -> [u8; 32] {
    let context = "bundlecp 2026-11-28 manifest version 1 tree hash";
    let mut hasher = blake3::Hasher::new_derive_key(context);
    for name in untold {
        hasher.update(format!("{name}\n").as_bytes());
    }
    hasher.update(entries.as_bytes());
    hasher.finalize().into()
}

pub(crate) fn hex(hash: &[u8; 32]) -> String {
    blake3::Hash::from_bytes(*hash).to_hex().to_string()
}

/// A manifest of these lines, with the right count and hash.
pub(crate) fn signed(lines: &[&str]) -> String {
    let entries: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let (count, hash) = (lines.len(), hex(&tree_hash(&[], &entries)));
    format!(
        "{{\"format\":\"bundlecp-manifest\",\"version\":1,\"entries\":{count},\
         \"tree_hash\":\"{hash}\",\"source\":\"folder\"}}\n{entries}"
    )
}
