//! Starting programs on Windows, or what stands for it.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

/// Starts a program. Wine fails to with this error once in some thousand times, and did so
/// twice in a row.
pub(crate) fn spawn(command: &mut Command) -> Child {
    const ERROR_INTERNAL_ERROR: i32 = 1359;
    const TRIES: u32 = 6;
    for _ in 1..TRIES {
        match command.spawn() {
            Err(error) if error.raw_os_error() == Some(ERROR_INTERNAL_ERROR) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            started => return started.unwrap(),
        }
    }
    command.spawn().unwrap()
}

/// Runs a program to its end, without input.
pub(crate) fn output(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    spawn(command).wait_with_output().unwrap()
}

/// Runs the command in `at`.
pub(crate) fn bundlecp(at: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bundlecp"));
    output(command.args(arguments).current_dir(at))
}
