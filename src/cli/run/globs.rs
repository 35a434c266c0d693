//! Patterns for paths, as the user types them.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use super::{Failure, escaped};

/// Whether a text is a pattern rather than a plain path.
pub(super) fn is_glob(typed: &str) -> bool {
    typed.contains(['*', '?', '[', '{'])
}

/// `*.pyc` matches at any depth, `a/*.pyc` in the folder `a` of the root.
/// Errors name the `option` that the patterns were given to.
pub(super) fn globs(option: &str, patterns: &[String]) -> Result<GlobSet, Failure> {
    let failed = |typed: &str, error: &globset::Error| {
        Failure::Usage(format!("{option} `{}`: {}", escaped(typed), error.kind()))
    };
    let mut set = GlobSetBuilder::new();
    for typed in patterns {
        let pattern = typed.trim_end_matches('/');
        let anywhere = match pattern.contains('/') {
            true => pattern.trim_start_matches('/').to_owned(),
            false => format!("**/{pattern}"),
        };
        let glob = GlobBuilder::new(&anywhere).literal_separator(true).build();
        set.add(glob.map_err(|error| failed(typed, &error))?);
    }
    set.build()
        .map_err(|error| failed(&patterns.join(" "), &error))
}
