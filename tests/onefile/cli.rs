//! `onefile`, `clean-env`, and the other commands on an executable.

use std::path::Path;
use std::process::Command;

use bundlecp::onefile::locate;

use crate::common::build::{self, file, folder};
use crate::common::{Ran, bundlecp};
use crate::world::{World, stub};

#[test]
fn an_executable_is_an_archive_to_all_other_commands() {
    let world = World::new();
    world.build(&[]);
    let root = world.scratch.root();
    let run = |arguments: &[&str]| -> Ran {
        let ran = bundlecp(root, arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        ran
    };
    assert!(
        run(&["list", "app.run"])
            .stdout
            .contains("app/_internal/numpy.libs/libx.so.1")
    );
    run(&["verify", "app.run", "app"]);
    run(&["verify", "app.run"]);
    run(&["extract", "app.run", "-C", "out"]);
    let told = run(&["doctor", "app.run", "--json"]).json();
    assert_eq!(
        told["symlinks"],
        run(&["doctor", "app", "--json"]).json()["symlinks"]
    );
    run(&["verify", "app", "out/app"]);
    run(&["convert", "app.run", "app.tar.zst"]);
    run(&["verify", "app.tar.zst", "app"]);
    run(&["convert", "app.run", "app.bcp"]);
    run(&["pack", "app", "-o", "same.bcp"]);
    let bytes = |name: &str| std::fs::read(world.path(name)).unwrap();
    assert!(bytes("app.bcp") == bytes("same.bcp"));
}

#[test]
fn it_is_the_same_every_time_and_found_again() {
    let world = World::new();
    let first = std::fs::read(world.build(&[])).unwrap();
    let second = std::fs::read(world.build_as("app", "b.run", &["-j", "1"])).unwrap();
    assert!(first == second);
    world.build_as(
        "app",
        "c.run",
        &["--library-path", "_internal", "--ephemeral", "--no-share"],
    );
    let found = locate(&world.path("c.run")).unwrap();
    assert_eq!(found.entry, Path::new("app/app"));
    assert_eq!(
        found.library_path.as_deref(),
        Some(Path::new("app/_internal"))
    );
    assert!(found.is_ephemeral && !found.may_share);
    assert_eq!(found.offset % 4096, 0);
    let size = std::fs::metadata(world.path("c.run")).unwrap().len();
    assert_eq!(found.offset + found.length, size);
    assert_eq!(
        found.offset,
        std::fs::metadata(stub())
            .unwrap()
            .len()
            .next_multiple_of(4096)
    );
    bundlecp::pack::pack(
        &[world.path("app")],
        &world.path("a.bcp"),
        &Default::default(),
        &bundlecp::Silent,
    )
    .unwrap();
    let error = locate(&world.path("app/app")).unwrap_err();
    assert_eq!(error.kind(), bundlecp::ErrorKind::UnknownFormat);
}

#[test]
fn json_tells_what_was_made() {
    let world = World::new();
    let ran = world.onefile("app", "app.run", &[]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""));
    let arguments = [
        "onefile", "app", "--entry", "app", "-o", "b.run", "--json", "--stub",
    ];
    let mut arguments = arguments.to_vec();
    arguments.push(stub().to_str().unwrap());
    let json = bundlecp(world.scratch.root(), &arguments).json();
    assert_eq!(json["entry"], "app/app");
    assert_eq!(json["files"], 4);
    assert_eq!(json["symlinks"], 1);
    assert_eq!(json["root_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn mistakes_get_one_clear_line() {
    let world = World::new();
    let root = world.scratch.root();
    file(world.path("app/data.txt"), "x");
    file(world.path("text"), "x");
    let stub = stub().to_str().unwrap();
    world.build_as("app", "standing.run", &[]);
    folder(world.path("app2"));
    for (arguments, status, words) in [
        (
            &["app", "--entry", "nothing", "-o", "x", "--stub", stub][..],
            2,
            "there is no such file in the bundle",
        ),
        (
            &["app", "--entry", "../app/app", "-o", "x", "--stub", stub],
            2,
            "there is no such file in the bundle",
        ),
        (
            &["app", "--entry", "_internal", "-o", "x", "--stub", stub],
            2,
            "is no file",
        ),
        (
            &["app", "--entry", "data.txt", "-o", "x", "--stub", stub],
            2,
            "is not executable",
        ),
        (
            &[
                "app",
                "--entry",
                "app",
                "-o",
                "standing.run",
                "--stub",
                stub,
            ],
            5,
            "-f replaces it",
        ),
        (
            &["app", "--entry", "app", "-o", "x", "--stub", "nothing"],
            5,
            "open `nothing`",
        ),
        (
            &["app", "--entry", "app", "-o", "x", "--stub", "text"],
            2,
            "is no program",
        ),
        (
            &["app", "--entry", "app", "-o", "x", "--stub", "standing.run"],
            2,
            "holds a bundle already",
        ),
        (
            &[
                "app",
                "--entry",
                "app",
                "-o",
                "x",
                "--stub",
                stub,
                "--library-path",
                "lib",
            ],
            2,
            "no such folder",
        ),
        (
            &[
                "app",
                "--entry",
                "app",
                "-o",
                "x",
                "--stub",
                stub,
                "--library-path",
                "data.txt",
            ],
            2,
            "no such folder",
        ),
        (
            &["nothing", "--entry", "app", "-o", "x", "--stub", stub],
            5,
            "open `nothing`",
        ),
        (&["app2", "-o", "x", "--stub", stub], 2, "--entry"),
    ] {
        let ran = bundlecp(root, &[&["onefile"], arguments].concat());
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert!(
            ran.stderr.lines().count() <= 2,
            "{arguments:?}: {}",
            ran.stderr
        );
        assert!(!world.path("x").exists(), "{arguments:?}");
    }
}

#[test]
fn the_entry_may_be_a_link_and_the_default_is_the_folders_name() {
    let world = World::new();
    build::link(world.path("app/run"), b"app");
    let stub = stub().to_str().unwrap();
    for (arguments, entry) in [
        (
            &["onefile", "app", "-o", "a.run", "-q", "--stub", stub][..],
            "app/app",
        ),
        (
            &[
                "onefile", "app/", "--entry", "./run", "-o", "b.run", "-q", "--stub", stub,
            ],
            "app/run",
        ),
    ] {
        let ran = bundlecp(world.scratch.root(), arguments);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        assert_eq!(
            locate(&world.path(arguments.iter().find(|a| a.ends_with(".run")).unwrap()))
                .unwrap()
                .entry,
            Path::new(entry)
        );
    }
    for name in ["a.run", "b.run"] {
        let status = world
            .command_of(name)
            .args(["-c", "exit 4"])
            .status()
            .unwrap();
        assert_eq!(status.code(), Some(4));
    }
}

#[test]
fn outside_programs_get_the_variables_as_they_were() {
    let world = World::new();
    let run = |variables: &[(&str, &str)], script: &str| {
        let output = Command::new(env!("CARGO_BIN_EXE_bundlecp"))
            .args(["clean-env", "--", "/bin/sh", "-c", script])
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(world.scratch.root())
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let script = "echo ${LD_LIBRARY_PATH-none} ${LD_LIBRARY_PATH_ORIG-none} ${BUNDLECP_ORIGINAL_EXE-none}; exit 5";
    let inside = [
        ("LD_LIBRARY_PATH", "/bundle:/x"),
        ("LD_LIBRARY_PATH_ORIG", "/x"),
        ("BUNDLECP_ORIGINAL_EXE", "/app.run"),
    ];
    assert_eq!(run(&inside, script), (Some(5), "/x none none\n".into()));
    assert_eq!(
        run(&[("LD_LIBRARY_PATH", "/x")], script),
        (Some(5), "/x none none\n".into())
    );
    let ran = bundlecp(
        world.scratch.root(),
        &["clean-env", "--", "no-such-program"],
    );
    assert_eq!(ran.status, 127, "as env says it");
    assert!(
        ran.stderr.contains("clean-env `no-such-program`"),
        "{}",
        ran.stderr
    );
}
