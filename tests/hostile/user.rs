//! The same tests once more, as an ordinary user: modes stop nobody else.

use std::process::Command;

use crate::common::{Scratch, build, is_root, leave_out};

/// Who nobody's files belong to, on Linux.
const NOBODY: &str = "65534";

/// Runs all other tests of this binary as an ordinary user, in their quick form: what a
/// mode stops doesn't depend on which bit is damaged. `this` is the name of the test that
/// calls it.
pub(crate) fn again(this: &str) {
    if !is_root() {
        leave_out("this is an ordinary user already");
        return;
    }
    let has_setpriv = Command::new("setpriv").arg("--version").output().is_ok();
    if !cfg!(target_os = "linux") || !has_setpriv {
        leave_out("there is no setpriv here");
        return;
    }
    // Where everybody can reach it, wherever this tree is checked out.
    let scratch = Scratch::new();
    build::mode(scratch.root(), 0o755);
    let program = scratch.path("tests");
    std::fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    build::mode(&program, 0o755);
    build::folder(scratch.path("tmp"));
    build::mode(scratch.path("tmp"), 0o1777);
    let output = Command::new("setpriv")
        .args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"])
        .arg(&program)
        .args(["--skip", this])
        .current_dir(scratch.path("tmp"))
        .env("TMPDIR", scratch.path("tmp"))
        .env("RUST_BACKTRACE", "0")
        .env_remove("BUNDLECP_CASES")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}
