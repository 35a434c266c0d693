//! Starts: the first, the later ones, and how the program finds itself.

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use crate::common::build;
use crate::world::{Started, World, stub, tamper};

#[test]
fn the_program_has_its_own_arguments_name_folder_and_status() {
    let world = World::new();
    world.build(&[]);
    for start in ["first", "second"] {
        let mut command = world.command();
        command
            .arg0("./by another name")
            .args(["-c", "tr '\\0' '|' </proc/$$/cmdline; pwd; exit 3"]);
        command.args(["zero", "", "a b"]);
        let started = Started::from(command.output().unwrap());
        assert_eq!(started.status, Some(3), "{start}: {}", started.stderr);
        let line = format!(
            "./by another name|-c|tr '\\0' '|' </proc/$$/cmdline; pwd; exit 3|zero||a b|{}\n",
            world.scratch.root().display()
        );
        assert_eq!(started.stdout, line, "{start}");
        assert_eq!(started.stderr, "", "{start}");
    }
}

#[test]
fn the_program_takes_the_place_of_the_process() {
    let world = World::new();
    world.build(&[]);
    for _ in 0..2 {
        let mut command = world.command();
        command
            .args(["-c", "echo $$; readlink /proc/$$/exe"])
            .stdout(Stdio::piped());
        let child = command.spawn().unwrap();
        let id = child.id();
        let started = Started::from(child.wait_with_output().unwrap());
        let program = world.unpacked().join("app/app");
        assert_eq!(started.stdout, format!("{id}\n{}\n", program.display()));
    }
}

#[test]
fn a_signal_ends_it_as_it_ends_the_program() {
    let world = World::new();
    world.build(&[]);
    for number in [15, 11, 9, 6] {
        let started = world.sh(&format!("ulimit -c 0; kill -{number} $$"));
        assert_eq!((started.status, started.signal), (None, Some(number)));
    }
}

#[test]
fn signals_that_were_ignored_or_held_back_stay_so() {
    let world = World::new();
    world.build(&[]);
    let script = "grep -E 'SigIgn|SigBlk|SigCgt' /proc/self/status";
    let program = world.path("app/app");
    let path = world.path("app.run");
    for setup in ["", "trap '' PIPE HUP; ", "trap '' TERM; "] {
        let run = |program: &std::path::Path| {
            let whole = format!("{setup}exec '{}' -c \"{script}\"", program.display());
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", &whole])
                .env("BUNDLECP_CACHE_DIR", world.path("cache"));
            signals(Started::from(command.output().unwrap()).printed())
        };
        let folder = run(&program);
        for start in ["first", "later"] {
            assert_eq!(run(&path), folder, "{start}, {setup:?}");
        }
    }
}

/// The masks, without the two signals that the C library keeps to itself.
fn signals(printed: &str) -> Vec<u64> {
    let masks = printed.lines().filter_map(|line| line.split_once(":\t"));
    let masks = masks.map(|(_, mask)| u64::from_str_radix(mask, 16).unwrap());
    masks.map(|mask| mask & !0x1_8000_0000).collect()
}

#[test]
fn standard_streams_that_are_closed_stay_closed() {
    let world = World::new();
    world.build(&[]);
    let path = world.path("app.run");
    // What is open below 10 but for the streams: the shell's own is above.
    let script = "ls -l /proc/$$/fd | grep -E ' [0-9] -> ' | grep -v pipe: > fds; true";
    for start in ["first", "later"] {
        let whole = format!("exec '{}' -c \"{script}\" <&- >&- 2>&-", path.display());
        let status = Command::new("/bin/sh")
            .args(["-c", &whole])
            .current_dir(world.scratch.root())
            .env("BUNDLECP_CACHE_DIR", world.path("cache"))
            .status()
            .unwrap();
        assert!(status.success(), "{start}");
        let open = std::fs::read_to_string(world.path("fds")).unwrap();
        assert!(!open.contains("/dev/null"), "{start}: {open}");
        assert!(!open.contains("/cache/"), "{start}: {open}");
    }
}

#[test]
fn a_later_start_reads_nothing_of_the_payload() {
    let world = World::new();
    let path = world.build(&[]);
    assert_eq!(world.sh("echo ok").printed(), "ok");
    // All between the stub and the trailer.
    let front = std::fs::metadata(stub())
        .unwrap()
        .len()
        .next_multiple_of(4096);
    let mut bytes = std::fs::read(&path).unwrap();
    let end = bytes.len() - 64;
    bytes[front as usize..end].fill(0xaa);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    build::mode(&path, 0o755);
    assert_eq!(world.sh("echo ok").printed(), "ok");
}

#[test]
fn variables_tell_the_program_where_it_comes_from() {
    let world = World::new();
    let path = world.build(&[]);
    let script =
        "echo $BUNDLECP_ORIGINAL_EXE; echo ${LD_LIBRARY_PATH-none} ${LD_LIBRARY_PATH_ORIG-none}";
    let expected = format!("{}\nnone none", path.display());
    assert_eq!(world.sh(script).printed(), expected);
    let mut command = world.command();
    command
        .env("LD_LIBRARY_PATH", "/x")
        .env("LD_LIBRARY_PATH_ORIG", "/y");
    let started = Started::from(command.args(["-c", script]).output().unwrap());
    let expected = format!("{}\n/x /y", path.display());
    assert_eq!(
        started.printed(),
        expected,
        "PyInstaller's own are left alone"
    );
}

#[test]
fn a_library_path_goes_in_front_and_the_old_value_is_kept() {
    let world = World::new();
    world.build(&["--library-path", "_internal/numpy.libs"]);
    let script = "echo $LD_LIBRARY_PATH ${LD_LIBRARY_PATH_ORIG-none}";
    let libs = |world: &World| world.unpacked().join("app/_internal/numpy.libs");
    let mut command = world.command();
    command.env("LD_LIBRARY_PATH_ORIG", "/stale");
    let started = Started::from(command.args(["-c", script]).output().unwrap());
    assert_eq!(
        started.printed(),
        format!("{} none", libs(&world).display())
    );
    let mut command = world.command();
    command.env("LD_LIBRARY_PATH", "/x:/y");
    let started = Started::from(command.args(["-c", script]).output().unwrap());
    assert_eq!(
        started.printed(),
        format!("{}:/x:/y /x:/y", libs(&world).display())
    );
}

#[test]
fn a_program_that_starts_itself_again_finds_the_same_folder() {
    let world = World::new();
    world.build(&["--library-path", "_internal"]);
    let script = "a=$LD_LIBRARY_PATH; b=$(\"$BUNDLECP_ORIGINAL_EXE\" -c 'echo $LD_LIBRARY_PATH'); \
                  c=$(/proc/$$/exe -c 'echo $LD_LIBRARY_PATH'); test $a = $b && test $a = $c && echo same";
    assert_eq!(world.sh(script).printed(), "same");
    assert_eq!(world.cached().len(), 1);
}

#[test]
fn an_executable_that_was_deleted_starts() {
    let world = World::new();
    let path = world.build(&[]);
    for start in ["first", "later"] {
        let copy = world.path("copy.run");
        std::fs::copy(&path, &copy).unwrap();
        let script = "exec 9<copy.run; rm copy.run; exec /proc/self/fd/9 -c 'echo ran'";
        let started = Command::new("/bin/sh")
            .args(["-c", script])
            .current_dir(world.scratch.root())
            .env("BUNDLECP_CACHE_DIR", world.path("cache"))
            .output()
            .unwrap();
        assert_eq!(Started::from(started).printed(), "ran", "{start}");
    }
}

#[test]
fn what_was_changed_in_the_cache_is_unpacked_again() {
    let world = World::new();
    world.build(&[]);
    let script = "cat \"$(dirname \"$(readlink /proc/$$/exe)\")\"/_internal/base.txt";
    assert_eq!(world.sh(script).printed(), "the data");
    let data = world.unpacked().join("app/_internal/base.txt");
    let link = world.unpacked().join("app/_internal/libx.so.1");
    let program = world.unpacked().join("app/app");
    type Damage<'d> = (&'d str, Box<dyn Fn() + 'd>);
    let damages: [Damage<'_>; 7] = [
        (
            "a file is gone",
            Box::new(|| std::fs::remove_file(&data).unwrap()),
        ),
        (
            "a link is gone",
            Box::new(|| std::fs::remove_file(&link).unwrap()),
        ),
        (
            "the program is gone",
            Box::new(|| std::fs::remove_file(&program).unwrap()),
        ),
        (
            "a file was cut",
            Box::new(|| std::fs::write(&data, "the").unwrap()),
        ),
        (
            "a file is another",
            Box::new(|| std::fs::write(&data, "no  data\n").unwrap()),
        ),
        (
            "the right to run is gone",
            Box::new(|| build::mode(&program, 0o644)),
        ),
        (
            "the stamp was cut",
            Box::new(|| {
                let stamp = world.unpacked().join(".bundlecp-stamp");
                std::fs::write(stamp, b"\x89BCPstp\n").unwrap();
            }),
        ),
    ];
    for (what, damage) in damages {
        damage();
        assert_eq!(world.sh(script).printed(), "the data", "{what}");
        assert_eq!(world.cached().len(), 1, "{what}: {:?}", world.cached());
    }
}

#[test]
fn what_the_program_writes_into_its_folder_is_no_damage() {
    let world = World::new();
    world.build(&[]);
    let script =
        "cd \"$(dirname \"$(readlink /proc/$$/exe)\")\" && touch _internal/new && ls _internal";
    world.sh(script).printed();
    let stamp = |world: &World| std::fs::metadata(world.unpacked()).unwrap();
    use std::os::unix::fs::MetadataExt;
    let before = stamp(&world).ino();
    assert!(world.sh("true").printed().is_empty());
    assert_eq!(stamp(&world).ino(), before, "it was unpacked again");
    assert!(world.unpacked().join("app/_internal/new").exists());
}

#[test]
fn on_demand_everything_is_compared_with_its_hash() {
    let world = World::new();
    world.build(&[]);
    let script = "cat \"$(dirname \"$(readlink /proc/$$/exe)\")\"/_internal/base.txt";
    world.sh(script).printed();
    let data = world.unpacked().join("app/_internal/base.txt");
    // The same size and time: no look at it shows anything.
    tamper(&data, b"bad ");
    assert_eq!(world.sh(script).printed(), "bad data");
    for _ in 0..2 {
        let mut command = world.command();
        command.env("BUNDLECP_VERIFY", "1").args(["-c", script]);
        assert_eq!(
            Started::from(command.output().unwrap()).printed(),
            "the data"
        );
    }
}

#[test]
fn many_first_starts_at_once_unpack_once() {
    let world = World::new();
    world.build(&[]);
    let mut children = Vec::new();
    for _ in 0..24 {
        let mut command = world.command();
        command
            .args(["-c", "readlink /proc/$$/exe"])
            .stdout(Stdio::piped());
        children.push(command.spawn().unwrap());
    }
    let mut paths: Vec<String> = children
        .into_iter()
        .map(|child| {
            Started::from(child.wait_with_output().unwrap())
                .printed()
                .to_owned()
        })
        .collect();
    paths.dedup();
    assert_eq!(paths.len(), 1, "{paths:?}");
    assert_eq!(world.cached().len(), 1);
}

#[test]
fn a_start_that_was_killed_leaves_nothing_that_counts() {
    let world = World::new();
    build::file(
        world.path("app/_internal/large"),
        crate::world::noise(24 << 20),
    );
    world.build(&["--profile", "fast"]);
    for round in 0..12 {
        let _ = std::fs::remove_dir_all(world.path("cache"));
        let mut children = Vec::new();
        for _ in 0..3 {
            let mut command = world.command();
            command
                .args(["-c", "cat _ 2>/dev/null; echo right"])
                .stdout(Stdio::piped());
            children.push(command.spawn().unwrap());
        }
        std::thread::sleep(std::time::Duration::from_millis(7 * round));
        children[0].kill().unwrap();
        for child in children.into_iter().skip(1) {
            let started = Started::from(child.wait_with_output().unwrap());
            assert_eq!(started.printed(), "right", "round {round}");
        }
        assert_eq!(world.sh("echo right").printed(), "right", "round {round}");
        assert_eq!(
            world.cached().len(),
            1,
            "round {round}: {:?}",
            world.cached()
        );
    }
}

#[test]
fn a_signal_that_asks_to_stop_leaves_nothing() {
    let world = World::new();
    build::file(
        world.path("app/_internal/large"),
        crate::world::noise(48 << 20),
    );
    world.build(&["--profile", "fast"]);
    for number in [15, 2, 1] {
        let child = world.command().args(["-c", "sleep 600"]).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(10));
        let process = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
        let signal = rustix::process::Signal::from_named_raw(number).unwrap();
        rustix::process::kill_process(process, signal).unwrap();
        let started = Started::from(child.wait_with_output().unwrap());
        assert_eq!(started.signal, Some(number), "{}", started.stderr);
        let left = match world.path("cache").exists() {
            true => world.cached(),
            false => Vec::new(),
        };
        // It may have been faster than the signal.
        assert!(left.iter().all(|name| !name.starts_with('.')), "{left:?}");
        let _ = std::fs::remove_dir_all(world.path("cache"));
    }
}

#[test]
fn no_umask_of_the_caller_keeps_it_from_its_own_files() {
    for umask in ["0177", "0777", "0000", "0077"] {
        let world = World::new();
        world.build(&[]);
        let run = || {
            let script = format!(
                "umask {umask}; exec '{}' -c umask",
                world.path("app.run").display()
            );
            let mut command = Command::new("/bin/sh");
            command
                .args(["-c", &script])
                .env_clear()
                .env("HOME", world.path("home"));
            command.env("TMPDIR", world.path("nothing"));
            Started::from(command.output().unwrap())
        };
        build::folder(world.path("home"));
        for start in ["first", "later"] {
            assert_eq!(
                run().printed(),
                umask,
                "{start}: the program has the caller's"
            );
        }
        let cache = std::fs::metadata(world.path("home/.cache/bundlecp")).unwrap();
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(cache.permissions().mode() & 0o777, 0o700, "{umask}");
    }
}

#[test]
fn a_program_may_be_called_by_its_own_path() {
    let world = World::new();
    world.build(&["--own-name"]);
    for _ in 0..2 {
        let started = world.sh("tr '\\0' '\\n' </proc/$$/cmdline | head -n 1");
        let program = world.unpacked().join("app/app");
        assert_eq!(started.printed(), program.to_str().unwrap());
    }
}

#[test]
fn a_program_that_can_not_be_run_is_not_unpacked_again_and_again() {
    let world = World::new();
    build::file(world.path("app/app"), "#!/no/such/interpreter\n");
    build::mode(world.path("app/app"), 0o755);
    world.build(&[]);
    use std::os::unix::fs::MetadataExt;
    let mut folders = Vec::new();
    for _ in 0..3 {
        let started = world.sh("true");
        assert_eq!(started.status, Some(5), "{}", started.stderr);
        folders.push(std::fs::metadata(world.unpacked()).unwrap().ino());
    }
    folders.dedup();
    assert_eq!(folders.len(), 1);
}

#[test]
fn many_starts_that_find_the_same_damage_unpack_once() {
    let world = World::new();
    world.build(&[]);
    world.sh("true").printed();
    let data = world.unpacked().join("app/_internal/base.txt");
    tamper(&data, b"bad");
    let mut children = Vec::new();
    for _ in 0..8 {
        let mut command = world.command();
        command
            .env("BUNDLECP_VERIFY", "1")
            .args(["-c", "stat -L -c %i /proc/$$/exe"]);
        children.push(command.stdout(Stdio::piped()).spawn().unwrap());
    }
    let mut programs: Vec<String> = children
        .into_iter()
        .map(|child| {
            Started::from(child.wait_with_output().unwrap())
                .printed()
                .to_owned()
        })
        .collect();
    programs.sort();
    programs.dedup();
    assert_eq!(programs.len(), 1, "{programs:?}");
}

#[test]
fn a_start_that_waits_can_be_stopped() {
    let world = World::new();
    world.build(&[]);
    world.sh("true").printed();
    let key = world
        .unpacked()
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    std::fs::remove_dir_all(world.unpacked()).unwrap();
    let lock = std::fs::File::create(world.path(&format!("cache/.{key}.lock"))).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let child = world.command().args(["-c", "true"]).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(50));
    let process = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
    let started = Started::from(child.wait_with_output().unwrap());
    assert_eq!(started.signal, Some(15), "{}", started.stderr);
}
