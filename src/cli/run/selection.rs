//! Which members of an archive are extracted: those that the user named, less
//! those that were left out. What matches a folder matches all that is in it.

use std::path::{Component, Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use globset::GlobSet;

use super::Failure;
use super::globs::{globs, is_glob};

/// A choice among the members of an archive. It remembers what it saw.
#[derive(Debug)]
pub(super) struct Selection {
    members: Vec<Wanted>,
    include: Option<GlobSet>,
    exclude: Option<GlobSet>,
}

/// A member that has to be there.
#[derive(Debug)]
struct Wanted {
    typed: PathBuf,
    /// Its names alone, with one slash between them.
    names: Vec<u8>,
    glob: Option<GlobSet>,
    was_seen: AtomicBool,
}

impl Selection {
    /// Reads what the user typed.
    pub(super) fn new(
        members: &[PathBuf],
        include: &[String],
        exclude: &[String],
    ) -> Result<Self, Failure> {
        let set = |option, patterns: &[String]| match patterns.is_empty() {
            true => Ok(None),
            false => globs(option, patterns).map(Some),
        };
        Ok(Self {
            members: members.iter().map(|member| Wanted::new(member)).collect(),
            include: set("include", include)?,
            exclude: set("exclude", exclude)?,
        })
    }

    /// Whether it takes every member.
    pub(super) fn is_everything(&self) -> bool {
        self.members.is_empty() && self.include.is_none() && self.exclude.is_none()
    }

    /// Whether it takes the member at `path`.
    pub(super) fn takes(&self, path: &Path) -> bool {
        let mut is_wanted = self.members.is_empty();
        // Each has to know whether it was seen.
        for member in &self.members {
            is_wanted |= member.sees(path);
        }
        is_wanted
            && self.include.as_ref().is_none_or(|set| covers(set, path))
            && !self.exclude.as_ref().is_some_and(|set| covers(set, path))
    }

    /// A member that was named and never seen.
    pub(super) fn missing(&self) -> Option<PathBuf> {
        let is_missing = |member: &&Wanted| !member.was_seen.load(Ordering::Relaxed);
        let missing = self.members.iter().find(is_missing);
        missing.map(|member| member.typed.clone())
    }
}

impl Wanted {
    fn new(typed: &Path) -> Self {
        let names = typed.components();
        let names = names.filter(|name| !matches!(name, Component::CurDir | Component::RootDir));
        let names: Vec<&[u8]> = names
            .map(|name| name.as_os_str().as_encoded_bytes())
            .collect();
        let glob = typed.to_str().filter(|text| is_glob(text));
        Self {
            // What is no pattern after all can still be a name.
            glob: glob.and_then(|text| globs("member", &[text.to_owned()]).ok()),
            was_seen: AtomicBool::new(names.is_empty()),
            typed: typed.to_owned(),
            names: names.join(&b'/'),
        }
    }

    /// Whether `path`, which is names with one separator between them, is the member
    /// or lies below it. Every member of an archive asks: their names, one by one, would
    /// take half the time of finding one.
    fn is_at(&self, path: &Path) -> bool {
        let path = path.as_os_str().as_encoded_bytes();
        let count = self.names.len();
        if path.len() < count || (count > 0 && path.get(count).is_some_and(|byte| !is_slash(*byte)))
        {
            return false;
        }
        // From the end, where they differ.
        let mut pairs = path[..count].iter().zip(&self.names).rev();
        pairs.all(|(a, b)| a == b || (is_slash(*a) && *b == b'/'))
    }

    fn sees(&self, path: &Path) -> bool {
        let is_seen = self.is_at(path) || self.glob.as_ref().is_some_and(|set| covers(set, path));
        if is_seen {
            self.was_seen.store(true, Ordering::Relaxed);
        }
        is_seen
    }
}

/// Whether `set` matches `path` or a folder that it is in.
fn covers(set: &GlobSet, path: &Path) -> bool {
    let mut paths = path.ancestors().filter(|path| !path.as_os_str().is_empty());
    paths.any(|path| set.is_match(path))
}

fn is_slash(byte: u8) -> bool {
    std::path::is_separator(char::from(byte))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
mod tests {
    use super::*;

    const PATHS: [&str; 6] = [
        "app",
        "app/lib",
        "app/lib/a.so",
        "app/lib/[x]",
        "app/b.so",
        "other",
    ];

    #[test]
    fn members_are_paths_folders_or_patterns() {
        for (members, include, exclude, taken, missing) in [
            (&[][..], &[][..], &[][..], "012345", None),
            (&["app/lib"], &[], &[], "123", None),
            (&["./app//lib/"], &[], &[], "123", None),
            (&["."], &[], &[], "012345", None),
            (&["app/b.so", "other"], &[], &[], "45", None),
            (&["*.so"], &[], &[], "24", None),
            (&["app/*.so"], &[], &[], "4", None),
            (&["l?b"], &[], &[], "123", None),
            (&["app/lib/[x]"], &[], &[], "3", None),
            (&["app/lib/[x"], &[], &[], "", Some("app/lib/[x")),
            (&["lib"], &[], &[], "", Some("lib")),
            (&["app/li"], &[], &[], "", Some("app/li")),
            (&["../app"], &[], &[], "", Some("../app")),
            (&["other", "gone/"], &[], &[], "5", Some("gone/")),
            (&["other"], &[], &["other"], "", None),
            (&[], &["*.so"], &[], "24", None),
            (&[], &["app"], &["lib", "b.*"], "0", None),
            (&[], &[], &["/app/lib/"], "045", None),
        ] {
            let texts = |typed: &[&str]| typed.iter().map(ToString::to_string).collect::<Vec<_>>();
            let paths: Vec<PathBuf> = members.iter().map(PathBuf::from).collect();
            let selection = Selection::new(&paths, &texts(include), &texts(exclude));
            let selection = selection.ok().unwrap();
            let takes = |index: &usize| selection.takes(Path::new(PATHS[*index]));
            let indices = (0..PATHS.len()).filter(takes);
            let found: String = indices.map(|index| index.to_string()).collect();
            assert_eq!(found, taken, "{members:?} {include:?} {exclude:?}");
            assert_eq!(selection.missing(), missing.map(PathBuf::from));
        }
    }
}
