//! Self-extracting executables on Windows: started, started again, stopped, cleaned up.
//!
//! The program in the bundle is this test program itself, which does what [`ROLE`] says.
#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/wine.rs"]
mod wine;

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use wine::bundlecp;

const ROLE: &str = "BUNDLECP_TEST_ROLE";
const PLACE: &str = "BUNDLECP_TEST_PLACE";

/// What the program in the bundle does.
#[test]
fn program() {
    match std::env::var(ROLE).as_deref() {
        Ok("tell") => {
            let mut input = String::new();
            std::io::stdin().read_to_string(&mut input).unwrap();
            let told = serde_json::json!({
                "arguments": std::env::args().collect::<Vec<_>>(),
                "executable": std::env::current_exe().unwrap(),
                "original": std::env::var("BUNDLECP_ORIGINAL_EXE").unwrap(),
                "path": std::env::var("PATH").unwrap(),
                "input": input,
            });
            fs::write(std::env::var(PLACE).unwrap(), told.to_string()).unwrap();
            std::process::exit(-1_073_741_819);
        }
        Ok("wait") => {
            let place = std::env::var(PLACE).unwrap();
            let _held = hold(Path::new(&place)).unwrap();
            std::thread::sleep(Duration::from_secs(120));
        }
        _ => {}
    }
}

/// Opens a file that nobody else can open as long as this process lives.
fn hold(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).share_mode(0);
    options.open(path)
}

/// The arguments that let this test program play its role.
const ARGUMENTS: [&str; 4] = ["program", "--exact", "a b", "q\"x\\"];

/// A folder with a cache and an executable in it.
struct World {
    _temp: TempDir,
    /// Its path without short names, as executables tell it.
    root: PathBuf,
}

impl World {
    fn new() -> Self {
        let temp = TempDir::new().unwrap();
        let root = fs::canonicalize(temp.path()).unwrap();
        let root = root.to_str().unwrap().trim_start_matches(r"\\?\");
        let root = PathBuf::from(root);
        fs::copy(built(), root.join("app.exe")).unwrap();
        Self { _temp: temp, root }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    fn cache(&self) -> PathBuf {
        self.at("cache")
    }

    fn command(&self, executable: &str, role: &str) -> Command {
        let mut command = Command::new(self.at(executable));
        command
            .args(ARGUMENTS)
            .env("BUNDLECP_CACHE_DIR", self.cache())
            .env(ROLE, role)
            .env(PLACE, self.at("told"));
        command
    }

    /// Starts the executable, and returns what its program told.
    fn start(&self, executable: &str) -> serde_json::Value {
        self.start_by(self.command(executable, "tell"))
    }

    fn start_by(&self, mut command: Command) -> serde_json::Value {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = wine::spawn(&mut command);
        child.stdin.take().unwrap().write_all(b"input").unwrap();
        let output = child.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(-1_073_741_819), "{error}");
        let told = fs::read(self.at("told")).unwrap();
        fs::remove_file(self.at("told")).unwrap();
        serde_json::from_slice(&told).unwrap()
    }

    /// Starts the executable with a program that waits, and waits until it does.
    fn start_waiting(&self) -> Child {
        let mut command = self.command("app.exe", "wait");
        let child = wine::spawn(command.stdout(Stdio::null()));
        until("it runs", || self.is_running());
        child
    }

    fn is_running(&self) -> bool {
        self.at("told").exists() && hold(&self.at("told")).is_err()
    }

    fn bundlecp(&self, arguments: &[&str]) -> Output {
        bundlecp(&self.root, arguments)
    }

    /// The names of the bundles in the cache.
    fn bundles(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.cache()).unwrap();
        let paths = entries.map(|entry| entry.unwrap().path());
        paths.filter(|path| path.is_dir()).collect()
    }
}

#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not in time: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The bundle's folder, made once.
fn bundle() -> &'static Path {
    static BUNDLE: OnceLock<TempDir> = OnceLock::new();
    let temp = BUNDLE.get_or_init(|| {
        let temp = TempDir::new().unwrap();
        fs::create_dir_all(temp.path().join("app/lib/deep")).unwrap();
        fs::copy(
            std::env::current_exe().unwrap(),
            temp.path().join("app/app.exe"),
        )
        .unwrap();
        fs::write(temp.path().join("app/lib/deep/data.txt"), "data").unwrap();
        temp
    });
    temp.path()
}

/// Builds an executable in the folder of the bundle.
#[track_caller]
fn build(arguments: &[&str]) {
    let all = [&["onefile", "-f", "--profile", "fast"], arguments].concat();
    let output = bundlecp(bundle(), &all);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
}

/// An executable of the bundle, made once.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        // The ending may be left out.
        build(&[
            "app",
            "--entry",
            "app",
            "--library-path",
            "lib",
            "-o",
            "built.exe",
        ]);
        bundle().join("built.exe")
    })
}

#[test]
fn a_start_hands_on_arguments_streams_and_the_exit_status() {
    let world = World::new();
    let first = world.start("app.exe");
    let arguments = first["arguments"].as_array().unwrap();
    assert_eq!(arguments[1..], ARGUMENTS);
    assert_eq!(first["input"], "input");
    let text = |name: &str| first[name].as_str().unwrap().to_owned();
    assert_eq!(Path::new(&text("original")), world.at("app.exe"));
    let [folder] = &world.bundles()[..] else {
        panic!("{:?}", world.bundles());
    };
    assert_eq!(Path::new(&text("executable")), folder.join("app/app.exe"));
    let libraries = std::env::split_paths(&text("path")).next().unwrap();
    assert_eq!(libraries, folder.join("app/lib"));
    assert_eq!(
        fs::read(folder.join("app/lib/deep/data.txt")).unwrap(),
        b"data"
    );
    // The next one finds all in place.
    let stamp = fs::metadata(folder.join(".bundlecp-stamp")).unwrap();
    assert_eq!(world.start("app.exe"), first);
    let again = fs::metadata(folder.join(".bundlecp-stamp")).unwrap();
    assert_eq!(again.created().unwrap(), stamp.created().unwrap());
}

#[test]
fn what_was_changed_in_the_cache_is_unpacked_again() {
    let world = World::new();
    world.start("app.exe");
    let data = world.bundles()[0].join("app/lib/deep/data.txt");
    fs::write(&data, "changed").unwrap();
    // Else it depends on how much is looked at in the time that a start has for that.
    let mut command = world.command("app.exe", "tell");
    command.env("BUNDLECP_VERIFY", "1");
    world.start_by(command);
    assert_eq!(fs::read(&data).unwrap(), b"data");
    assert_eq!(world.bundles().len(), 1);
}

#[test]
fn what_runs_is_not_removed_and_all_else_is() {
    let world = World::new();
    let mut running = world.start_waiting();
    let clean = ["cache", "clean", "--dir", "cache"];
    let output = world.bundlecp(&clean);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(world.bundles().len(), 1);
    let listed = world.bundlecp(&["cache", "list", "--dir", "cache", "--json"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(
        listed.contains("\"in_use\": true") || listed.contains("\"in_use\":true"),
        "{listed}"
    );
    running.kill().unwrap();
    running.wait().unwrap();
    // What it waited for ends with it, however it ends.
    until("the program ends", || !world.is_running());
    until("the bundle can be removed", || {
        world.bundlecp(&clean);
        fs::read_dir(world.cache()).unwrap().next().is_none()
    });
}

#[test]
fn an_ephemeral_bundle_leaves_nothing_behind() {
    let world = World::new();
    fs::create_dir(world.cache()).unwrap();
    build(&[
        "app",
        "--entry",
        "app.exe",
        "--ephemeral",
        "-o",
        "ephemeral.exe",
    ]);
    fs::copy(bundle().join("ephemeral.exe"), world.at("once.exe")).unwrap();
    let told = world.start("once.exe");
    let executable = PathBuf::from(told["executable"].as_str().unwrap());
    assert!(executable.starts_with(world.cache()), "{executable:?}");
    assert!(fs::read_dir(world.cache()).unwrap().next().is_none());
}

/// Where the headers of a program of 64 bits begin.
fn headers_of(program: &[u8]) -> usize {
    u32::from_le_bytes(program[0x3c..0x40].try_into().unwrap()) as usize
}

#[test]
fn a_windowed_program_gets_no_console() {
    const SUBSYSTEM: usize = 4 + 20 + 68;
    let world = World::new();
    fs::create_dir(world.at("gui")).unwrap();
    let mut program = fs::read(bundle().join("app/app.exe")).unwrap();
    let at = headers_of(&program) + SUBSYSTEM;
    assert_eq!(program[at], 3);
    program[at] = 2;
    fs::write(world.at("gui/gui.exe"), program).unwrap();
    let output = world.bundlecp(&["onefile", "gui", "--profile", "fast", "-o", "one.exe"]);
    assert!(output.status.success(), "{output:?}");
    let built = fs::read(world.at("one.exe")).unwrap();
    assert_eq!(built[headers_of(&built) + SUBSYSTEM], 2);
    world.start("one.exe");
}

#[test]
fn a_signature_may_stand_behind() {
    let world = World::new();
    let mut program = fs::read(built()).unwrap();
    program.resize(program.len().next_multiple_of(8), 0);
    let signature = [&[16, 0, 0, 0, 0, 2, 2, 0][..], &[0x55; 8]].concat();
    let table = headers_of(&program) + 4 + 20 + 112 + 4 * 8;
    let place = [program.len() as u32, signature.len() as u32].map(u32::to_le_bytes);
    program[table..table + 8].copy_from_slice(&place.concat());
    program.extend_from_slice(&signature);
    fs::write(world.at("signed.exe"), &program).unwrap();
    world.start("signed.exe");
    let listed = world.bundlecp(&["list", "signed.exe"]);
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains("app/lib/deep/data.txt"), "{listed}");
    let output = world.bundlecp(&["verify", "signed.exe"]);
    assert!(output.status.success(), "{output:?}");
    // Behind the signature is nothing.
    program.push(0);
    fs::write(world.at("more.exe"), &program).unwrap();
    let output = wine::output(&mut world.command("more.exe", "tell"));
    assert_eq!(output.status.code(), Some(4), "{output:?}");
}

#[test]
fn what_windows_does_not_run_is_no_entry() {
    let world = World::new();
    fs::create_dir(world.at("app")).unwrap();
    fs::write(world.at("app/app.txt"), "text").unwrap();
    let arguments = ["onefile", "app", "--entry", "app.txt", "-o", "x.exe"];
    let output = world.bundlecp(&arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("is no program that Windows runs"), "{error}");
    assert!(!world.at("x.exe").exists());
}
