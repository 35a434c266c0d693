//! The cache: what is in it, what is removed, and what versions share.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::common::Ran;
use crate::common::build::{self, file, folder};
use crate::world::{Started, World, noise, tamper};

/// `bundlecp cache` with the world's own cache.
fn cache(world: &World, arguments: &[&str]) -> Ran {
    let output = Command::new(env!("CARGO_BIN_EXE_bundlecp"))
        .arg("cache")
        .args(arguments)
        .current_dir(world.scratch.root())
        .env_clear()
        .env("BUNDLECP_CACHE_DIR", world.path("cache"))
        .env("TMPDIR", world.path("elsewhere"))
        .output()
        .unwrap();
    let started = Started::from(output);
    Ran {
        status: started.status.unwrap(),
        stdout: started.stdout,
        stderr: started.stderr,
    }
}

/// Where the executable `name` is unpacked, as the list has it.
fn listed_path(world: &World, name: &str) -> PathBuf {
    let listed = cache(world, &["list", "--json"]).json();
    let mut all = listed.as_array().unwrap().iter();
    let one = all.find(|one| one["label"] == name).unwrap();
    PathBuf::from(one["path"].as_str().unwrap())
}

/// A start that runs until its input ends; returns when it runs.
fn running(world: &World, name: &str) -> Child {
    let mut command = world.command_of(name);
    command.args(["-c", "echo runs; read line"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.as_mut().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    assert_eq!(line, "runs\n");
    child
}

fn end(mut child: Child) {
    child.stdin.take().unwrap().write_all(b"\n").unwrap();
    child.wait().unwrap();
}

#[test]
fn what_is_unpacked_is_listed() {
    let world = World::new();
    world.build(&[]);
    assert_eq!(cache(&world, &["list"]).stdout, "");
    world.sh("true").printed();
    let listed = cache(&world, &["list"]);
    let path = world.unpacked();
    assert_eq!(listed.status, 0, "{}", listed.stderr);
    assert!(listed.stdout.contains("app.run"), "{}", listed.stdout);
    assert!(
        listed.stdout.contains(path.to_str().unwrap()),
        "{}",
        listed.stdout
    );
    let json = cache(&world, &["list", "--json"]).json();
    let one = &json[0];
    assert_eq!(one["label"], "app.run");
    assert_eq!(one["path"], path.to_str().unwrap());
    assert_eq!(one["entry"], "app/app");
    assert_eq!(one["in_use"], false);
    let child = running(&world, "app.run");
    assert_eq!(cache(&world, &["list", "--json"]).json()[0]["in_use"], true);
    end(child);
}

#[test]
fn cleaning_removes_all_but_what_runs() {
    let world = World::new();
    world.build(&[]);
    file(world.path("app/_internal/base.txt"), "another version\n");
    world.build_as("app", "new.run", &[]);
    let child = running(&world, "app.run");
    let started = world
        .command_of("new.run")
        .args(["-c", "true"])
        .status()
        .unwrap();
    assert!(started.success());
    assert_eq!(world.cached().len(), 2);
    let looked = cache(&world, &["clean", "-n"]);
    assert!(
        looked.stdout.contains("would remove new.run"),
        "{}",
        looked.stdout
    );
    assert_eq!(world.cached().len(), 2);
    let cleaned = cache(&world, &["clean", "--json"]).json();
    assert_eq!(cleaned["removed"][0]["label"], "new.run");
    assert_eq!(cleaned["in_use"][0]["label"], "app.run");
    assert_eq!(world.cached().len(), 1);
    end(child);
    let cleaned = cache(&world, &["clean"]);
    assert!(
        cleaned.stdout.contains("removed app.run"),
        "{}",
        cleaned.stdout
    );
    assert_eq!(
        crate::common::names(&world.path("cache")),
        Vec::<String>::new()
    );
}

#[test]
fn a_program_that_closed_all_it_did_not_open_is_in_use_all_the_same() {
    let world = World::new();
    if std::fs::copy("/bin/bash", world.path("app/app")).is_err() {
        crate::common::leave_out("there is no shell that closes descriptors of three digits");
        return;
    }
    world.build(&[]);
    let mut command = world.command();
    // As daemons do: the lock goes with its descriptor.
    let script = "for fd in /proc/$$/fd/*; do n=${fd##*/}; [ $n -gt 9 ] && [ $n -lt 255 ] && \
                  eval \"exec $n>&-\"; done; ls -l /proc/$$/fd | grep -q /cache/ || echo closed; read line";
    command.args(["-c", script]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "closed\n");
    let cleaned = cache(&world, &["clean", "--json"]).json();
    assert_eq!(cleaned["removed"].as_array().unwrap().len(), 0);
    assert_eq!(cleaned["in_use"][0]["label"], "app.run");
    end(child);
}

#[test]
fn limits_keep_what_was_used_last() {
    let world = World::new();
    for (name, days) in [("a.run", 40), ("b.run", 20), ("c.run", 1)] {
        file(world.path("app/_internal/base.txt"), name);
        world.build_as("app", name, &[]);
        assert!(
            world
                .command_of(name)
                .args(["-c", "true"])
                .status()
                .unwrap()
                .success()
        );
        let stamp = listed_path(&world, name).join(".bundlecp-stamp");
        let now = std::time::SystemTime::now();
        let then = now - std::time::Duration::from_secs(days * 24 * 3600);
        std::fs::File::open(stamp)
            .unwrap()
            .set_modified(then)
            .unwrap();
    }
    let removed = |arguments: &[&str]| -> Vec<String> {
        let cleaned = cache(&world, &[&["clean", "-n", "--json"], arguments].concat()).json();
        let removed = cleaned["removed"].as_array().unwrap().iter();
        removed
            .map(|one| one["label"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(removed(&["--max-age", "30"]), ["a.run"]);
    assert_eq!(removed(&["--max-age", "10"]), ["b.run", "a.run"]);
    let one = std::fs::metadata("/bin/sh").unwrap().len() + 60_000;
    assert_eq!(
        removed(&["--max-size", &one.to_string()]),
        ["b.run", "a.run"]
    );
    assert_eq!(removed(&["--max-size", &(2 * one).to_string()]), ["a.run"]);
    assert_eq!(
        removed(&["--max-age", "30", "--max-size", "0"]),
        ["c.run", "b.run", "a.run"]
    );
}

#[test]
fn what_was_not_used_for_long_goes_when_another_is_unpacked() {
    let world = World::new();
    world.build(&[]);
    world.sh("true").printed();
    let stamp = world.unpacked().join(".bundlecp-stamp");
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(91 * 24 * 3600);
    std::fs::File::open(stamp)
        .unwrap()
        .set_modified(then)
        .unwrap();
    // A start counts as use.
    let stale = world.path("cache/.0123456789abcdef0123456789abcdef.bundlecp-0123456789abcdef");
    folder(&stale);
    file(stale.join("x"), "left by a killed start");
    file(world.path("app/_internal/base.txt"), "another version\n");
    world.build_as("app", "new.run", &[]);
    assert!(
        world
            .command_of("new.run")
            .args(["-c", "true"])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(world.cached().len(), 1, "{:?}", world.cached());
    assert!(cache(&world, &["list"]).stdout.contains("new.run"));
}

#[test]
fn a_start_counts_as_use() {
    let world = World::new();
    world.build(&[]);
    world.sh("true").printed();
    let stamp = world.unpacked().join(".bundlecp-stamp");
    let then = std::time::SystemTime::now() - std::time::Duration::from_secs(91 * 24 * 3600);
    std::fs::File::open(&stamp)
        .unwrap()
        .set_modified(then)
        .unwrap();
    world.sh("true").printed();
    let used = std::fs::metadata(&stamp).unwrap().modified().unwrap();
    assert!(used.elapsed().unwrap().as_secs() < 3600);
}

#[test]
fn versions_share_files_that_are_equal() {
    let world = World::new();
    let large = noise(200_000);
    file(world.path("app/_internal/large"), &large);
    build::age(&world.path("app"));
    world.build(&[]);
    world.sh("true").printed();
    let old = world.unpacked();
    file(world.path("app/_internal/base.txt"), "another version\n");
    world.build_as("app", "new.run", &[]);
    world.build_as("app", "alone.run", &["--no-share"]);
    for (name, is_shared) in [("new.run", true), ("alone.run", false)] {
        assert!(
            world
                .command_of(name)
                .args(["-c", "true"])
                .status()
                .unwrap()
                .success()
        );
        let path = listed_path(&world, name);
        let found = path.join("app/_internal/large");
        assert_eq!(std::fs::read(&found).unwrap(), large, "{name}");
        let inode = |path: &Path| std::fs::metadata(path).unwrap().ino();
        let is_same = inode(&found) == inode(&old.join("app/_internal/large"));
        // Where storage can be shared, files have numbers of their own.
        if reflinks(world.scratch.root()) {
            assert!(!is_same, "{name}");
        } else {
            assert_eq!(is_same, is_shared, "{name}");
        }
        let base = std::fs::read_to_string(path.join("app/_internal/base.txt")).unwrap();
        assert_eq!(base, "another version\n");
    }
}

fn reflinks(at: &Path) -> bool {
    bundlecp::probe_dir(at).unwrap().reflink.is_yes()
}

#[test]
fn a_file_that_was_changed_in_an_older_version_is_not_shared() {
    let world = World::new();
    let large = noise(200_000);
    file(world.path("app/_internal/large"), &large);
    build::age(&world.path("app"));
    world.build(&[]);
    world.sh("true").printed();
    // With its size and time as they were.
    let old = world.unpacked().join("app/_internal/large");
    tamper(&old, b"damaged");
    file(world.path("app/_internal/base.txt"), "another version\n");
    world.build_as("app", "new.run", &[]);
    assert!(
        world
            .command_of("new.run")
            .args(["-c", "true"])
            .status()
            .unwrap()
            .success()
    );
    let found = listed_path(&world, "new.run").join("app/_internal/large");
    assert_eq!(std::fs::read(found).unwrap(), large);
}

#[test]
fn a_damaged_bundle_that_runs_is_moved_aside_not_removed() {
    let world = World::new();
    world.build(&[]);
    let child = running(&world, "app.run");
    std::fs::remove_file(world.unpacked().join("app/_internal/base.txt")).unwrap();
    world.sh("true").printed();
    let aside: Vec<_> = world
        .cached()
        .into_iter()
        .filter(|name| name.starts_with('.'))
        .collect();
    assert_eq!(aside.len(), 1, "the running program keeps what it has");
    end(child);
    cache(&world, &["clean", "--max-age", "30"]);
    assert_eq!(world.cached().len(), 1, "{:?}", world.cached());
}

#[test]
fn verify_finds_and_repairs_what_was_changed() {
    let world = World::new();
    world.build(&[]);
    let verify = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_bundlecp"))
            .args(["verify", "app.run"])
            .args(arguments)
            .current_dir(world.scratch.root())
            .env("BUNDLECP_CACHE_DIR", world.path("cache"))
            .output()
            .unwrap();
        Started::from(output)
    };
    assert!(!verify(&[]).printed().contains("cache"), "not unpacked yet");
    world.sh("true").printed();
    assert!(verify(&[]).printed().contains("as it was unpacked"));
    let data = world.unpacked().join("app/_internal/base.txt");
    tamper(&data, b"bad ");
    let found = verify(&[]);
    assert_eq!(found.status, Some(1), "{}", found.stderr);
    assert!(
        found.stdout.contains("changed  app/_internal/base.txt"),
        "{}",
        found.stdout
    );
    assert_eq!(std::fs::read_to_string(&data).unwrap(), "the data\n");
    assert!(verify(&[]).printed().contains("as it was unpacked"));
    std::fs::remove_file(&data).unwrap();
    let found = verify(&["--json"]);
    let json: serde_json::Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(
        (found.status, json["cache"]["intact"].as_bool()),
        (Some(1), Some(false))
    );
    assert!(verify(&[]).printed().contains("as it was unpacked"));
}

#[test]
fn other_peoples_caches_are_not_looked_after() {
    let world = World::new();
    folder(world.path("cache"));
    build::mode(world.path("cache"), 0o777);
    let listed = cache(
        &world,
        &["list", "--dir", world.path("cache").to_str().unwrap()],
    );
    assert_eq!(listed.status, 5);
    assert!(
        listed.stderr.contains("writable by others"),
        "{}",
        listed.stderr
    );
}
