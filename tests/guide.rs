//! The guide does what it says: each command in it is run, in a folder with a bundle, and
//! prints what stands under it.
//!
//! In a `console` block, `$ ` begins a command of the shell, `? N` under it is its exit
//! status where that isn't 0, and the rest is what it prints, standard error included:
//! `[..]` stands for any text in a line, `...` for any lines.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;

use common::{Scratch, build};
use snapbox::IntoData;

/// One command of a page, and what it is to print.
#[derive(Default)]
struct Step {
    command: String,
    status: i32,
    output: String,
}

/// The commands of all `console` blocks.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut is_console = false;
    for line in page.lines() {
        if line.starts_with("```") {
            is_console = line == "```console";
        } else if let Some(command) = line.strip_prefix("$ ").filter(|_| is_console) {
            let command = command.to_owned();
            steps.push(Step {
                command,
                ..Step::default()
            });
        } else if is_console {
            let step = steps.last_mut().unwrap();
            match line.strip_prefix("? ") {
                Some(status) => step.status = status.parse().unwrap(),
                None => writeln!(step.output, "{line}").unwrap(),
            }
        }
    }
    steps
}

/// What every page begins with: a folder as PyInstaller makes it, two links in it.
fn make_world(at: &Path) {
    let app = at.join("dist/app");
    build::folder(app.join("_internal/numpy.libs"));
    build::file(
        app.join("app"),
        "#!/bin/sh\necho \"hello from $(cat \"${0%/*}/_internal/version\")\"\n",
    );
    build::mode(app.join("app"), 0o755);
    build::file(app.join("_internal/version"), "app 2.0\n");
    build::file(app.join("_internal/base_library.zip"), "");
    // Any real code will do.
    let code = ["/bin/true", "/usr/bin/true"]
        .into_iter()
        .find_map(|path| std::fs::read(path).ok());
    build::file(
        app.join("_internal/numpy.libs/libopenblas.so"),
        code.unwrap(),
    );
    build::mode(app.join("_internal/numpy.libs/libopenblas.so"), 0o755);
    build::link(
        app.join("_internal/libopenblas.so"),
        b"numpy.libs/libopenblas.so",
    );
    build::link(app.join("_internal/libblas.so"), b"libopenblas.so");
    build::age(at);
}

fn run(step: &Step, at: &Path) -> (i32, String) {
    let own = Path::new(env!("CARGO_BIN_EXE_bundlecp")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let output = Command::new("sh")
        .args(["-c", &format!("exec 2>&1; {}", step.command)])
        .current_dir(at)
        .env("PATH", format!("{}:{path}", own.display()))
        .env("BUNDLECP_CACHE_DIR", at.join("cache"))
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap_or(-1), text)
}

#[test]
fn every_command_of_the_guide_does_what_stands_under_it() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide");
    let mut wrong = String::new();
    let mut count = 0;
    for page in std::fs::read_dir(guide).unwrap() {
        let page = page.unwrap().path();
        if page.extension().is_none_or(|extension| extension != "md") {
            continue;
        }
        let scratch = Scratch::new();
        make_world(scratch.root());
        for step in steps(&std::fs::read_to_string(&page).unwrap()) {
            count += 1;
            let (status, output) = run(&step, scratch.root());
            let compared = snapbox::Assert::new().try_eq(
                None,
                output.clone().into_data(),
                step.output.clone().into_data(),
            );
            if status != step.status || compared.is_err() {
                let name = page.file_name().unwrap().display();
                writeln!(wrong, "{name}: $ {}\n? {status}\n{output}", step.command).unwrap();
            }
        }
    }
    assert!(count > 30, "only {count} commands found");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn the_guide_explains_every_code_of_doctor() {
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/guide/doctor.md");
    let page = std::fs::read_to_string(guide).unwrap();
    for code in bundlecp::doctor::Code::ALL {
        assert!(
            page.contains(&format!("### `{}`", code.name())),
            "{}",
            code.name()
        );
    }
}
