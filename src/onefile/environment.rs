//! The variables that a start changes, and how to put them back.
//!
//! A bundle's own libraries are no business of the programs that it starts, such as a
//! browser: what was changed for the bundle is kept beside it, under the names that
//! PyInstaller uses, so that it can be put back.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::sys;

/// The variable that tells the program where the executable is that it was started by.
pub const ORIGINAL_EXE: &str = "BUNDLECP_ORIGINAL_EXE";

/// The variable that tells which folder with libraries was added.
const LIBRARIES: &str = "BUNDLECP_LIBRARY_PATH";

/// What PyInstaller's programs tell those that they start.
const PYINSTALLER: &str = "_PYI_";
const MEIPASS2: &str = "_MEIPASS2";
const ARCHIVE_FILE: &str = "_PYI_ARCHIVE_FILE";

/// Variables that name folders which bundles add.
const FOLDERS: [&str; 3] = [LIBRARIES, "_PYI_APPLICATION_HOME_DIR", MEIPASS2];

/// The variables of a process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Environment(Vec<(OsString, OsString)>);

impl Environment {
    /// Takes variables as [`std::env::vars_os`] gives them.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self(variables.into_iter().collect())
    }

    /// Returns the value of `name`; an empty one counts as none.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        let mut all = self.0.iter();
        let found = all.find(|(one, _)| sys::is_same_variable(one, name));
        found
            .map(|(_, value)| value.as_os_str())
            .filter(|value| !value.is_empty())
    }

    /// Returns all variables.
    pub fn variables(&self) -> &[(OsString, OsString)] {
        &self.0
    }

    pub(super) fn into_variables(self) -> Vec<(OsString, OsString)> {
        self.0
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<OsString>) {
        let value = value.into();
        let mut all = self.0.iter_mut();
        match all.find(|(one, _)| sys::is_same_variable(one, name)) {
            Some((_, old)) => *old = value,
            None => self.0.push((name.into(), value)),
        }
    }

    fn remove(&mut self, name: &str) {
        self.0.retain(|(one, _)| !sys::is_same_variable(one, name));
    }

    /// Lets libraries be found in `folder` first.
    pub(super) fn add_library_path(&mut self, folder: &Path) {
        let name = sys::LIBRARY_PATH;
        let kept = format!("{name}_ORIG");
        let before = self.get(name).map(OsStr::to_owned);
        // A program that starts itself again has it already, and what was before it.
        let is_there = |path: &OsString| std::env::split_paths(path).any(|one| one == folder);
        self.set(LIBRARIES, folder.as_os_str());
        if before.as_ref().is_some_and(is_there) {
            return;
        }
        let mut value = folder.as_os_str().to_owned();
        match before {
            Some(before) => {
                value.push(sys::BETWEEN_PATHS);
                value.push(&before);
                self.set(&kept, before);
            }
            // What another program left there is not what was before this one.
            None => self.remove(&kept),
        }
        self.set(name, value);
    }

    /// Returns the variables that a program outside of the bundle should have: what a
    /// bundle changed is as it was before, and what only a bundle's own programs read
    /// is gone.
    ///
    /// Outside of a bundle nothing changes.
    pub fn restored(&self) -> Self {
        let mut restored = self.clone();
        let own: Vec<&OsStr> = FOLDERS.iter().filter_map(|name| self.get(name)).collect();
        // A folder's program tells no more than where it is itself.
        let program = self.get(ARCHIVE_FILE).map(Path::new).and_then(Path::parent);
        for name in sys::LIBRARY_PATHS {
            let kept = format!("{name}_ORIG");
            match (self.get(&kept), self.get(name)) {
                (Some(before), _) => restored.set(name, before),
                (None, Some(now)) => {
                    // What the bundle put there goes; what is the user's own stays.
                    let is_own = |path: &PathBuf| {
                        let is_beside = program.is_some_and(|folder| path.starts_with(folder));
                        is_beside || own.contains(&path.as_os_str())
                    };
                    let all: Vec<PathBuf> = std::env::split_paths(now).collect();
                    let left = all.iter().filter(|path| !is_own(path));
                    let left: Vec<&PathBuf> = left.collect();
                    if left.len() < all.len() {
                        match std::env::join_paths(&left) {
                            Ok(path) if !left.is_empty() => restored.set(name, path),
                            _ => restored.remove(name),
                        }
                    }
                }
                (None, None) => {}
            }
            restored.remove(&kept);
        }
        restored.remove(ORIGINAL_EXE);
        restored.remove(LIBRARIES);
        let is_pyinstaller = |name: &OsStr| {
            sys::os_to_bytes(name).starts_with(PYINSTALLER.as_bytes()) || name == MEIPASS2
        };
        restored.0.retain(|(name, _)| !is_pyinstaller(name));
        restored
    }

    /// The path that a variable names, if it does.
    pub(super) fn folder(&self, name: &str) -> Option<PathBuf> {
        self.get(name).map(PathBuf::from)
    }
}

/// Runs `command` with the [restored](Environment::restored) variables in place of this
/// process, where the system has such; else as a child, whose exit status it returns.
///
/// # Errors
///
/// When it can't be started.
pub fn run_outside(mut command: Command, environment: &Environment) -> io::Result<i32> {
    command.env_clear();
    command.envs(environment.restored().0);
    sys::run_instead(command)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::new(
            pairs
                .iter()
                .map(|(name, value)| (name.into(), value.into())),
        )
    }

    const PATH: &str = sys::LIBRARY_PATH;

    fn kept() -> String {
        format!("{PATH}_ORIG")
    }

    #[test]
    fn a_library_path_goes_first_and_the_old_one_is_kept() {
        let mut some = environment(&[(PATH, "/usr/x"), ("A", "1")]);
        some.add_library_path(Path::new("/c/app/lib"));
        assert_eq!(some.get(PATH).unwrap(), "/c/app/lib:/usr/x");
        assert_eq!(some.get(&kept()).unwrap(), "/usr/x");
        let again = some.clone();
        some.add_library_path(Path::new("/c/app/lib"));
        assert_eq!(some, again, "a program that starts itself again");
        assert_eq!(
            some.restored(),
            environment(&[(PATH, "/usr/x"), ("A", "1")])
        );
    }

    #[test]
    fn a_stale_old_value_is_cleared() {
        let mut some = environment(&[(&kept(), "/stale"), (ORIGINAL_EXE, "/a.run")]);
        some.add_library_path(Path::new("/c/app/lib"));
        assert_eq!(some.get(&kept()), None);
        assert_eq!(some.restored(), environment(&[]));
    }

    #[test]
    fn outside_of_a_bundle_nothing_changes() {
        let own = environment(&[(PATH, "/usr/x"), ("PATH", "/bin")]);
        assert_eq!(own.restored(), own);
    }

    #[test]
    fn what_pyinstaller_changed_is_put_back() {
        let user = environment(&[(PATH, "/opt/cuda"), (ORIGINAL_EXE, "/a.run")]);
        assert_eq!(user.restored(), environment(&[(PATH, "/opt/cuda")]));
        let inside = environment(&[
            (PATH, "/tmp/_MEI1:/usr/x"),
            (&kept(), "/usr/x"),
            ("_PYI_ARCHIVE_FILE", "/a"),
            ("_MEIPASS2", "/tmp/_MEI1"),
            ("HOME", "/h"),
        ]);
        assert_eq!(
            inside.restored(),
            environment(&[(PATH, "/usr/x"), ("HOME", "/h")])
        );
        let folder = environment(&[
            (PATH, "/opt/app/_internal:/opt/cuda"),
            ("_PYI_ARCHIVE_FILE", "/opt/app/app"),
        ]);
        assert_eq!(folder.restored(), environment(&[(PATH, "/opt/cuda")]));
        let home = "_PYI_APPLICATION_HOME_DIR";
        let without = environment(&[(PATH, "/tmp/_MEI1"), (home, "/tmp/_MEI1")]);
        assert_eq!(without.restored(), environment(&[]));
    }
}
