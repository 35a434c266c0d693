//! The program that self-extracting executables begin with: it finds out how it was
//! called, and leaves all else to [`bundlecp::onefile::launch`].

use std::ffi::OsString;

use bundlecp::ErrorKind;
use bundlecp::onefile::{Environment, Invocation, launch, tell};

/// Runs the program; returns its exit status where it did not become another.
pub(crate) fn run(arguments: Vec<OsString>) -> i32 {
    let environment = Environment::new(std::env::vars_os());
    match launch(Invocation::new(arguments, environment)) {
        Ok(exit) => {
            if let Some(leftover) = &exit.leftover {
                tell(leftover);
            }
            exit.status
        }
        // The signal that asked for it has ended the process, if it may.
        Err(error) if error.kind() == ErrorKind::Interrupted => 130,
        Err(error) => {
            // With standard error closed, the exit status still tells.
            tell(&error);
            i32::from(error.kind().exit_status())
        }
    }
}
