//! Hostile surroundings: folders that others prepared, executables that were damaged,
//! systems without what is usual.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::build::{self, file, folder, link};
use crate::common::{is_root, leave_out, names};
use crate::world::{Started, World, stub};

/// A start with its cache in one of several folders; where did it go?
fn start(world: &World, variables: &[(&str, &Path)]) -> Started {
    let mut command = Command::new(world.path("app.run"));
    command.current_dir(world.scratch.root()).env_clear();
    command.env("PATH", std::env::var_os("PATH").unwrap());
    for (name, value) in variables {
        command.env(name, value);
    }
    command
        .args(["-c", "readlink /proc/$$/exe"])
        .output()
        .unwrap()
        .into()
}

/// Prepares the folder `bad`, which must not be used, and starts with another behind it.
fn refuses(what: &str, prepare: impl FnOnce(&World)) {
    let world = World::new();
    world.build(&[]);
    prepare(&world);
    let bad = world.path("bad");
    let before = tree(&bad);
    for _ in 0..2 {
        let home = world.path("home");
        folder(&home);
        let started = start(&world, &[("BUNDLECP_CACHE_DIR", &bad), ("HOME", &home)]);
        let path = started.printed();
        assert!(path.starts_with(home.to_str().unwrap()), "{what}: {path}");
    }
    assert_eq!(tree(&bad), before, "{what}: it was written to");
}

fn tree(path: &Path) -> Vec<String> {
    match path.is_dir() {
        true => names(path),
        false => Vec::new(),
    }
}

#[test]
fn folders_that_others_could_have_prepared_are_not_used() {
    refuses("writable by the group", |world| {
        folder(world.path("bad"));
        build::mode(world.path("bad"), 0o770);
    });
    refuses("writable by all", |world| {
        folder(world.path("bad"));
        build::mode(world.path("bad"), 0o1777);
    });
    refuses("below one that is writable by the group", |world| {
        folder(world.path("open/inner"));
        build::mode(world.path("open"), 0o775);
        link(
            world.path("bad"),
            world.path("open/inner").to_str().unwrap().as_bytes(),
        );
    });
    refuses("a file", |world| file(world.path("bad"), "x"));
    refuses("a link in a circle", |world| {
        link(world.path("bad"), b"bad");
    });
}

#[test]
fn another_users_folder_is_not_used() {
    if !is_root() {
        leave_out("only root can make another user's folder");
        return;
    }
    refuses("another user's", |world| {
        folder(world.path("bad"));
        std::os::unix::fs::chown(world.path("bad"), Some(12345), Some(12345)).unwrap();
    });
    refuses("another user's link to an own folder", |world| {
        folder(world.path("own"));
        link(world.path("bad"), b"own");
        std::os::unix::fs::lchown(world.path("bad"), Some(12345), Some(12345)).unwrap();
    });
    refuses("below another user's", |world| {
        folder(world.path("theirs/inner"));
        std::os::unix::fs::chown(world.path("theirs"), Some(12345), Some(12345)).unwrap();
        link(world.path("bad"), b"theirs/inner");
    });
}

#[test]
fn a_link_of_ones_own_to_a_folder_of_ones_own_is_followed() {
    let world = World::new();
    world.build(&[]);
    folder(world.path("large disk/cache"));
    build::mode(world.path("large disk/cache"), 0o700);
    link(world.path("cache"), b"large disk/cache");
    let path = start(&world, &[("BUNDLECP_CACHE_DIR", &world.path("cache"))]);
    assert!(path.printed().contains("/cache/"), "{}", path.stdout);
    assert_eq!(
        std::fs::read_dir(world.path("large disk/cache"))
            .unwrap()
            .count(),
        2
    );
}

/// The name that the bundle has in a cache.
fn key(world: &World) -> String {
    world.sh("true").printed();
    let key = world
        .unpacked()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    std::fs::remove_dir_all(world.path("cache")).unwrap();
    key
}

#[test]
fn what_stands_under_the_right_name_is_not_believed() {
    type Plant<'p> = (&'p str, &'p dyn Fn(&Path));
    let evil = |at: &Path| {
        folder(at.join("app"));
        file(at.join("app/app"), "#!/bin/sh\necho evil\n");
        build::mode(at.join("app/app"), 0o755);
    };
    let plants: [Plant<'_>; 6] = [
        ("content without a stamp", &evil),
        ("an empty folder", &|at| folder(at)),
        ("a file", &|at| file(at, "x")),
        ("a link to a folder", &|at| {
            let elsewhere = at.with_extension("elsewhere");
            evil(&elsewhere);
            link(at, elsewhere.to_str().unwrap().as_bytes());
        }),
        ("content with a stamp of zeros", &|at| {
            evil(at);
            file(at.join(".bundlecp-stamp"), vec![0; 4096]);
        }),
        ("a stamp that is a link", &|at| {
            evil(at);
            link(at.join(".bundlecp-stamp"), b"app/app");
        }),
    ];
    for (what, plant) in plants {
        let world = World::new();
        world.build(&[]);
        let key = key(&world);
        folder(world.path("cache"));
        build::mode(world.path("cache"), 0o700);
        plant(&world.path("cache").join(key));
        assert_eq!(world.sh("echo right").printed(), "right", "{what}");
        assert_eq!(world.sh("echo right").printed(), "right", "{what}");
    }
}

#[test]
fn a_stamp_that_others_could_have_written_is_not_believed() {
    let world = World::new();
    world.build(&[]);
    world.sh("true").printed();
    for name in [".bundlecp-stamp", ""] {
        let at = world.unpacked().join(name);
        build::mode(&at, 0o777);
        assert_eq!(world.sh("echo right").printed(), "right");
        let mode = std::fs::metadata(world.unpacked().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o022, 0, "it was unpacked again");
    }
}

#[test]
fn a_name_that_is_relative_is_not_used() {
    let world = World::new();
    world.build(&[]);
    let home = world.path("home");
    folder(&home);
    let started = start(
        &world,
        &[("BUNDLECP_CACHE_DIR", Path::new("cache")), ("HOME", &home)],
    );
    assert!(started.printed().starts_with(home.to_str().unwrap()));
    assert!(!world.path("cache").exists());
}

#[test]
fn without_a_home_the_folders_for_temporary_files_are_used() {
    let world = World::new();
    world.build(&[]);
    let temporary = world.path("tmp");
    folder(&temporary);
    build::mode(&temporary, 0o1777);
    let started = start(&world, &[("TMPDIR", &temporary)]);
    assert!(
        started.printed().starts_with(temporary.to_str().unwrap()),
        "{}",
        started.stdout
    );
    let own = std::fs::metadata(temporary.join(&names(&temporary)[0])).unwrap();
    assert_eq!(own.permissions().mode() & 0o777, 0o700);
}

#[test]
fn when_no_folder_is_left_each_is_named_with_its_reason() {
    if !is_root() {
        leave_out("only root can take away /tmp");
        return;
    }
    let world = World::new();
    world.build(&[]);
    folder(world.path("open"));
    build::mode(world.path("open"), 0o777);
    file(world.path("file"), "x");
    build::mode(world.scratch.root(), 0o755);
    build::mode(world.path("app.run"), 0o755);
    // A name space of mounts of its own, in which nobody may write to the usual folders.
    let script = "mount -t tmpfs -o mode=755 none /tmp2 2>/dev/null; \
                  mount --bind -o ro /usr /var/tmp; mount --bind -o ro /usr /mnt; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "-m", "sh", "-c", script, "sh", "setpriv", "--reuid", "65534", "--regid", "65534",
    ]);
    command
        .args(["--clear-groups"])
        .arg(world.path("app.run"))
        .args(["-c", "true"]);
    command
        .env("BUNDLECP_CACHE_DIR", world.path("open"))
        .env("HOME", world.path("file"));
    command.env_remove("XDG_CACHE_HOME").env("TMPDIR", "/usr");
    let started = Started::from(command.output().unwrap());
    // /tmp itself may do: then it is a start like any other.
    if started.status == Some(0) {
        leave_out("/tmp could not be taken away");
        return;
    }
    assert_eq!(started.status, Some(3), "{}", started.stderr);
    assert!(
        started.stderr.contains("writable by others"),
        "{}",
        started.stderr
    );
    assert!(
        started.stderr.contains("is no folder"),
        "{}",
        started.stderr
    );
    assert!(
        started.stderr.contains("hint: BUNDLECP_CACHE_DIR"),
        "{}",
        started.stderr
    );
}

#[test]
fn a_home_that_can_not_be_written_to_is_passed_over() {
    let world = World::new();
    world.build(&[]);
    if is_root() {
        leave_out("root may write anywhere; ci/starts.sh has a read-only mount");
        return;
    }
    let (home, temporary) = (world.path("home"), world.path("tmp"));
    folder(&home);
    folder(&temporary);
    build::mode(&home, 0o555);
    let started = start(&world, &[("HOME", &home), ("TMPDIR", &temporary)]);
    assert!(started.printed().starts_with(temporary.to_str().unwrap()));
}

#[test]
fn a_damaged_executable_says_so_and_leaves_nothing() {
    let world = World::new();
    let path = world.build(&[]);
    let front = std::fs::metadata(stub())
        .unwrap()
        .len()
        .next_multiple_of(4096) as usize;
    let good = std::fs::read(&path).unwrap();
    type Damage<'d> = (&'d str, &'d dyn Fn(&mut Vec<u8>));
    let middle = front + (good.len() - front) / 2;
    let damages: [Damage<'_>; 7] = [
        ("cut to the stub", &|bytes| bytes.truncate(front)),
        ("cut in the middle", &|bytes| bytes.truncate(middle)),
        ("cut by a byte", &|bytes| bytes.truncate(good.len() - 1)),
        ("a bit of the header", &|bytes| bytes[front] ^= 1),
        ("a bit of the manifest", &|bytes| bytes[front + 40] ^= 1),
        ("a bit of a block", &|bytes| bytes[middle] ^= 1),
        ("a byte behind", &|bytes| bytes.push(0)),
    ];
    for (what, damage) in damages {
        let mut bytes = good.clone();
        damage(&mut bytes);
        std::fs::write(&path, bytes).unwrap();
        let started = world.sh("echo ran");
        assert_eq!(
            started.status,
            Some(4),
            "{what}: {} {}",
            started.stdout,
            started.stderr
        );
        assert_eq!(started.stdout, "", "{what}");
        assert!(
            started.stderr.starts_with("bundlecp: "),
            "{what}: {}",
            started.stderr
        );
        assert!(
            started.stderr.contains("app.run"),
            "{what}: {}",
            started.stderr
        );
        // Not even the lock.
        assert_eq!(tree(&world.path("cache")), Vec::<String>::new(), "{what}");
    }
}

#[test]
fn the_stub_alone_says_what_is_missing() {
    let world = World::new();
    let started = Started::from(
        Command::new(stub())
            .current_dir(world.scratch.root())
            .output()
            .unwrap(),
    );
    assert_eq!(started.status, Some(4));
    assert!(
        started.stderr.contains("bundlecp: read"),
        "{}",
        started.stderr
    );
}

#[test]
fn rights_that_the_caller_has_not_are_not_lent() {
    if !is_root() {
        leave_out("only root can give a program a group");
        return;
    }
    let world = World::new();
    let path = world.build(&[]);
    build::mode(world.scratch.root(), 0o755);
    folder(world.path("home"));
    build::mode(world.path("home"), 0o777);
    std::os::unix::fs::chown(&path, Some(0), Some(60)).unwrap();
    build::mode(&path, 0o2755);
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    command
        .arg(&path)
        .args(["-c", "id -g"])
        .env("HOME", world.path("home"));
    match command.output() {
        Ok(output) => {
            let started = Started::from(output);
            assert_eq!(
                (started.status, started.stdout.as_str()),
                (Some(5), ""),
                "{}",
                started.stderr
            );
            assert!(
                started.stderr.contains("rights that its caller hasn't"),
                "{}",
                started.stderr
            );
        }
        Err(_) => leave_out("there is no setpriv here"),
    }
}

#[test]
fn a_fifo_in_an_older_version_stops_nobody() {
    let world = World::new();
    let large = crate::world::noise(200_000);
    file(world.path("app/_internal/large"), &large);
    build::age(&world.path("app"));
    world.build(&[]);
    world.sh("true").printed();
    let old = world.unpacked().join("app/_internal/large");
    std::fs::remove_file(&old).unwrap();
    let made = Command::new("mkfifo").arg(&old).status().unwrap();
    assert!(made.success());
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
}
