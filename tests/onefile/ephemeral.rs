//! Bundles that are unpacked for one start only.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};

use crate::common::build;
use crate::common::names;
use crate::world::{Started, World, stub};

/// A world whose executable is ephemeral, with its folder for temporary files.
fn world() -> World {
    let world = World::new();
    world.build(&["--ephemeral"]);
    build::folder(world.path("cache"));
    world
}

fn left(world: &World) -> Vec<String> {
    names(&world.path("cache"))
}

#[test]
fn nothing_is_left_whatever_the_program_came_to() {
    let world = world();
    for (script, status, signal) in [
        ("exit 0", Some(0), None),
        ("exit 3", Some(3), None),
        ("exit 255", Some(255), None),
        ("kill -TERM $$", None, Some(15)),
        ("ulimit -c 0; kill -SEGV $$", None, Some(11)),
        ("kill -KILL $$", None, Some(9)),
    ] {
        let started = world.sh(script);
        assert_eq!(
            (started.status, started.signal),
            (status, signal),
            "{script}: {}",
            started.stderr
        );
        assert_eq!(started.stderr, "", "{script}");
        assert_eq!(left(&world), Vec::<String>::new(), "{script}");
    }
}

#[test]
fn each_start_has_a_private_folder() {
    let world = world();
    let script = "d=$(dirname \"$(dirname \"$(readlink /proc/$$/exe)\")\"); echo $d; \
                  cat $d/app/_internal/base.txt; stat -c %a $d/..";
    let first = world.sh(script).printed().to_owned();
    let second = world.sh(script).printed().to_owned();
    assert!(first.contains("the data"), "{first}");
    assert_ne!(first, second);
    assert!(world.path("app.run").exists());
}

#[test]
fn signals_reach_the_program() {
    let world = world();
    for (number, name) in [
        (15, "TERM"),
        (2, "INT"),
        (1, "HUP"),
        (10, "USR1"),
        (12, "USR2"),
        (28, "WINCH"),
    ] {
        let mut command = world.command();
        let script =
            format!("trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.01; done");
        let mut child = command
            .args(["-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        let process = Pid::from_raw(child.id() as i32).unwrap();
        kill_process(process, Signal::from_named_raw(number).unwrap()).unwrap();
        line.clear();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "got\n", "{name}");
        assert_eq!(child.wait().unwrap().code(), Some(7), "{name}");
        assert_eq!(left(&world), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn what_a_killed_start_left_goes_with_the_next_one() {
    let world = world();
    let mut command = world.command();
    let mut child = command
        .args(["-c", "echo ready; read line"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut line)
        .unwrap();
    let stdin = child.stdin.take().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // The program goes on, and so its folder stays.
    assert_eq!(world.sh("echo ok").printed(), "ok");
    assert_eq!(left(&world).len(), 1, "{:?}", left(&world));
    drop(stdin);
    // It ends now; the lock goes with it.
    let gone = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        world.sh("true").printed();
        left(&world).is_empty()
    });
    assert!(gone, "{:?}", left(&world));
}

#[test]
fn sockets_that_were_passed_are_the_programs() {
    let world = world();
    let mut command = std::process::Command::new("/bin/sh");
    let script = format!(
        "export LISTEN_PID=$$; exec '{}' -c 'test $LISTEN_PID = $$ && echo mine'",
        world.path("app.run").display()
    );
    command
        .args(["-c", &script])
        .env("BUNDLECP_CACHE_DIR", world.path("cache"));
    assert_eq!(Started::from(command.output().unwrap()).printed(), "mine");
}

#[test]
fn a_damaged_one_leaves_nothing() {
    let world = world();
    let path = world.path("app.run");
    let mut bytes = std::fs::read(&path).unwrap();
    let front = std::fs::metadata(stub())
        .unwrap()
        .len()
        .next_multiple_of(4096) as usize;
    let middle = front + (bytes.len() - front) / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let started = world.sh("echo ran");
    assert_eq!((started.status, started.stdout.as_str()), (Some(4), ""));
    assert_eq!(left(&world), Vec::<String>::new());
}

#[test]
fn its_folder_is_nobody_elses() {
    let world = world();
    let script = "stat -c %a \"$(dirname \"$(dirname \"$(readlink /proc/$$/exe)\")\")\"";
    assert_eq!(world.sh(script).printed(), "700");
}

#[test]
fn a_caller_that_ignores_its_children_is_no_trap() {
    let world = world();
    let script = format!(
        "trap '' CHLD; exec '{}' -c 'exit 3'",
        world.path("app.run").display()
    );
    let mut command = std::process::Command::new("/bin/sh");
    command
        .args(["-c", &script])
        .env("BUNDLECP_CACHE_DIR", world.path("cache"));
    assert_eq!(Started::from(command.output().unwrap()).status, Some(3));
    assert_eq!(left(&world), Vec::<String>::new());
}

#[test]
fn a_program_that_was_stopped_and_goes_on_is_waited_for() {
    let world = world();
    let script = "sh -c 'sleep 0.2; kill -CONT $PPID' & kill -STOP $$; exit 7";
    assert_eq!(world.sh(script).status, Some(7));
}

#[test]
fn what_the_system_sends_to_the_process_alone_reaches_the_program() {
    let world = world();
    // An alarm that was set before the start rings here.
    let script = format!(
        "import os, signal; signal.alarm(1); os.execv('{0}', ['{0}', '-c', \
         \"trap 'exit 9' ALRM; while :; do sleep 0.05; done\"])",
        world.path("app.run").display()
    );
    let mut command = std::process::Command::new("python3");
    command
        .args(["-c", &script])
        .env("BUNDLECP_CACHE_DIR", world.path("cache"));
    match command.output() {
        Ok(output) => assert_eq!(Started::from(output).status, Some(9)),
        Err(_) => crate::common::leave_out("there is no python3"),
    }
}
