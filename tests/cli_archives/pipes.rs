//! Running the command with pipes on either side.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use super::common::build::file;
use super::common::{Ran, Scratch, bundlecp, names};

fn command(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bundlecp"));
    command.current_dir(dir).env("LC_ALL", "C").args(arguments);
    command
}

fn ran(output: Output) -> Ran {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// What a run that succeeds silently writes to standard output.
#[track_caller]
pub(crate) fn output_of(dir: &Path, arguments: &[&str]) -> Vec<u8> {
    let output = command(dir, arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), &*said), (Some(0), ""));
    output.stdout
}

/// Runs with `input` in a pipe.
pub(crate) fn with_input(dir: &Path, arguments: &[&str], input: &[u8]) -> Ran {
    let mut command = command(dir, arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let input = input.to_vec();
    // Whoever refuses the archive doesn't read it to its end.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    ran(output)
}

/// Runs with `SOURCE_DATE_EPOCH`.
pub(crate) fn with_epoch(dir: &Path, epoch: &str, arguments: &[&str]) -> Ran {
    let mut command = command(dir, arguments);
    ran(command.env("SOURCE_DATE_EPOCH", epoch).output().unwrap())
}

#[test]
fn a_reader_who_has_seen_enough_of_a_list_is_no_error() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    std::fs::create_dir(&app).unwrap();
    for number in 0..4000 {
        file(app.join(format!("{number:0>60}")), "");
    }
    let pack = ["pack", "app", "-o", "a.tar.zst"];
    assert_eq!(bundlecp(scratch.root(), &pack).status, 0);
    for option in ["-l", "--json"] {
        let mut command = command(scratch.root(), &["list", "a.tar.zst", option]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdout.take().unwrap();
        pipe.read_exact(&mut [0; 10]).unwrap();
        drop(pipe);
        let ran = ran(child.wait_with_output().unwrap());
        assert_eq!((ran.status, &*ran.stderr), (0, ""), "{option}");
    }
}

#[test]
fn a_signal_ends_an_extraction_whose_pipe_is_silent() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    std::fs::create_dir(&app).unwrap();
    file(app.join("data"), vec![1; 3 << 20]);
    let archive = output_of(scratch.root(), &["pack", "app", "-o", "-", "--format=tar"]);
    for input in [&archive[..0], &archive[..1 << 20]] {
        let mut command = command(scratch.root(), &["extract", "-", "-C", "out"]);
        command.stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        pipe.write_all(input).unwrap();
        std::thread::sleep(Duration::from_millis(300));
        let pid = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let sent = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(sent.elapsed() < Duration::from_secs(10));
        drop(pipe);
        let ran = ran(output);
        assert_eq!(ran.status, 143, "{}", ran.stderr);
        assert!(
            ran.stderr.starts_with("bundlecp: interrupted"),
            "{}",
            ran.stderr
        );
        assert_eq!(names(scratch.root()), ["app"]);
    }
}

#[test]
fn an_archive_that_nobody_takes_is_an_error() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("app")).unwrap();
    file(scratch.path("app/data"), vec![1; 3 << 20]);
    let mut command = command(scratch.root(), &["pack", "app", "-o", "-", "--format=tar"]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let ran = ran(child.wait_with_output().unwrap());
    let says = "bundlecp: write `standard output`: Broken pipe\n";
    assert_eq!((ran.status, &*ran.stderr), (5, says));
}
