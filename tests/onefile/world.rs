//! A bundle whose program is a shell, made into an executable, and its start.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use crate::common::build::{self, file, folder, link};
use crate::common::{Ran, Scratch, bundlecp, names};

/// The stub without symbols, which take some 50 MB while it is tested.
pub(crate) fn stub() -> &'static Path {
    static STUB: OnceLock<PathBuf> = OnceLock::new();
    STUB.get_or_init(|| {
        let built = env!("CARGO_BIN_EXE_bundlecp-stub");
        let small = Path::new(env!("CARGO_TARGET_TMPDIR")).join("stub");
        let own = small.with_extension(std::process::id().to_string());
        let stripped = Command::new("strip")
            .arg("-o")
            .args([&own, Path::new(built)])
            .status();
        if !stripped.is_ok_and(|status| status.success()) {
            std::fs::copy(built, &own).unwrap();
        }
        std::fs::rename(&own, &small).unwrap();
        small
    })
}

/// A place with the bundle `app`, and folders for caches.
pub(crate) struct World {
    pub(crate) scratch: Scratch,
}

/// What a start came to.
pub(crate) struct Started {
    pub(crate) status: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Started {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            status: output.status.code(),
            signal: output.status.signal(),
            stdout: text(&output.stdout),
            stderr: text(&output.stderr),
        }
    }
}

impl Started {
    /// What it printed, if nothing went wrong.
    pub(crate) fn printed(&self) -> &str {
        assert_eq!(
            (self.status, self.stderr.as_str()),
            (Some(0), ""),
            "{}",
            self.stdout
        );
        self.stdout.trim_end()
    }
}

impl World {
    /// `app/app` is the system's shell.
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        build::mode(scratch.root(), 0o700);
        let app = scratch.path("app");
        folder(&app);
        std::fs::copy("/bin/sh", app.join("app")).unwrap();
        build::mode(app.join("app"), 0o755);
        folder(app.join("_internal/numpy.libs"));
        file(
            app.join("_internal/numpy.libs/libx.so.1"),
            "x".repeat(50_000),
        );
        link(app.join("_internal/libx.so.1"), b"numpy.libs/libx.so.1");
        file(app.join("_internal/base.txt"), "the data\n");
        file(app.join("_internal/empty"), "");
        build::age(&app);
        Self { scratch }
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.scratch.path(relative)
    }

    /// Makes `app.run` of the bundle.
    pub(crate) fn build(&self, options: &[&str]) -> PathBuf {
        self.build_as("app", "app.run", options)
    }

    pub(crate) fn build_as(&self, dir: &str, name: &str, options: &[&str]) -> PathBuf {
        let ran = self.onefile(dir, name, options);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        self.path(name)
    }

    pub(crate) fn onefile(&self, dir: &str, name: &str, options: &[&str]) -> Ran {
        let mut arguments = vec!["onefile", dir, "--entry", "app", "-o", name, "-q", "--stub"];
        arguments.push(stub().to_str().unwrap());
        arguments.extend(options);
        bundlecp(self.scratch.root(), &arguments)
    }

    /// A start of `app.run` with its cache in `cache`, and no other variables than `PATH`.
    pub(crate) fn command(&self) -> Command {
        self.command_of("app.run")
    }

    pub(crate) fn command_of(&self, name: &str) -> Command {
        let mut command = Command::new(self.path(name));
        command.current_dir(self.scratch.root());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap());
        command.env("BUNDLECP_CACHE_DIR", self.path("cache"));
        command
    }

    /// Starts the shell with a script.
    pub(crate) fn sh(&self, script: &str) -> Started {
        self.command().args(["-c", script]).output().unwrap().into()
    }

    /// The folder that `app.run` is unpacked in.
    pub(crate) fn unpacked(&self) -> PathBuf {
        let ran = Command::new(env!("CARGO_BIN_EXE_bundlecp"))
            .args(["cache", "path", "app.run"])
            .current_dir(self.scratch.root())
            .env("BUNDLECP_CACHE_DIR", self.path("cache"))
            .output()
            .unwrap();
        let path = String::from_utf8(ran.stdout).unwrap();
        assert!(ran.status.success(), "not in the cache");
        PathBuf::from(path.trim_end())
    }

    /// What is in the cache, but for locks.
    pub(crate) fn cached(&self) -> Vec<String> {
        let mut found = names(&self.path("cache"));
        found.retain(|name| !name.ends_with(".lock"));
        found
    }
}

/// Bytes that don't compress.
pub(crate) fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..length).map(|_| next()).collect()
}

/// Changes the first bytes of a file whose size and time stay: no look at it shows anything.
pub(crate) fn tamper(path: &Path, bytes: &[u8]) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, bytes, 0).unwrap();
    file.set_modified(before).unwrap();
}
