//! A destination among victims in memory, and archives out of bytes that a
//! fuzzer made up.
#![allow(dead_code, reason = "each target uses a part of this")]

pub(crate) mod bcp;
pub(crate) mod carchive;

use std::io::Cursor;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use bundlecp::extract::{self, Limits, Options};
use bundlecp::{ErrorKind, Silent};

/// Where everything happens: in memory, if there is such a place.
fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| {
        let memory = Path::new("/dev/shm");
        let temp = match memory.is_dir() {
            true => tempfile::tempdir_in(memory),
            false => tempfile::tempdir(),
        };
        let root = temp.expect("a folder to fuzz in").keep();
        std::fs::create_dir_all(root.join("above/beside")).expect("made");
        for victim in ["victim", "above/victim", "above/beside/victim"] {
            std::fs::write(root.join(victim), "unharmed").expect("written");
        }
        root
    })
}

/// Removes the place that everything happened in.
pub(crate) fn clean_up() {
    std::fs::remove_dir_all(root()).expect("removed");
    let _ = std::fs::remove_file(archive());
}

/// The file that an archive is read from.
fn archive() -> PathBuf {
    std::env::temp_dir().join(format!("bundlecp-fuzz-{}", std::process::id()))
}

/// Names, modes and contents outside of the destination.
fn outside(dir: &Path, seen: &mut Vec<String>) {
    use std::os::unix::fs::MetadataExt;
    let entries = std::fs::read_dir(dir).expect("listed");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("read").path()).collect();
    paths.sort();
    for path in paths {
        let stat = path.symlink_metadata().expect("looked at");
        if path.ends_with("above/destination") {
            continue;
        }
        let (mode, links) = (stat.mode(), if stat.is_dir() { 0 } else { stat.nlink() });
        let content = if stat.is_file() {
            std::fs::read(&path).expect("read")
        } else {
            Vec::new()
        };
        seen.push(format!("{} {mode:o} {links} {content:?}", path.display()));
        if stat.is_dir() {
            outside(&path, seen);
        }
    }
}

fn look() -> Vec<String> {
    let mut seen = Vec::new();
    outside(root(), &mut seen);
    seen
}

pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.jobs = Some(1);
    options.limits = Limits::untrusted();
    options.limits.bytes = Some(16 << 20);
    options.limits.entries = Some(10_000);
    options
}

/// Looks at the archive without writing anything.
pub(crate) fn look_at(bytes: &[u8]) -> Result<extract::Outcome, bundlecp::Error> {
    let mut options = options();
    options.dry_run = true;
    let destination = root().join("above/destination");
    let reader = Cursor::new(bytes.to_vec());
    extract::extract_from(
        reader,
        Path::new("archive"),
        &destination,
        &options,
        &Silent,
    )
}

pub(crate) fn list(bytes: &[u8]) {
    let reader = Cursor::new(bytes.to_vec());
    let _ = bundlecp::list::list_from(reader, Path::new("archive"), &mut |_| {
        ControlFlow::Continue(())
    });
}

/// Extracts the archive from a file and from a pipe, and compares.
pub(crate) fn extract(bytes: &[u8]) {
    static BEFORE: OnceLock<Vec<String>> = OnceLock::new();
    let destination = root().join("above/destination");
    let archive = archive();
    let before = BEFORE.get_or_init(look);
    std::fs::write(&archive, bytes).expect("written");
    let mut kinds = [None, None];
    for (is_piped, kind) in [false, true].into_iter().zip(&mut kinds) {
        let options = options();
        let result = match is_piped {
            false => extract::extract(&archive, &destination, &options, &Silent),
            true => {
                let reader = Cursor::new(bytes.to_vec());
                extract::extract_from(
                    reader,
                    Path::new("archive"),
                    &destination,
                    &options,
                    &Silent,
                )
            }
        };
        *kind = result.as_ref().err().map(bundlecp::Error::kind);
        assert_eq!(result.is_ok(), destination.exists(), "{result:?}");
        if matches!(
            kind,
            Some(ErrorKind::Tampered | ErrorKind::Usage | ErrorKind::AlreadyExists)
        ) {
            panic!("{result:?}");
        }
        assert_eq!(*before, look(), "something outside changed: {result:?}");
        if destination.exists() {
            remove(&destination);
        }
    }
}

/// Extracts the archive and lets the system resolve every link of the tree.
pub(crate) fn extract_and_resolve(bytes: &[u8]) {
    let destination = root().join("above/destination");
    let reader = Cursor::new(bytes.to_vec());
    let options = options();
    let result = extract::extract_from(
        reader,
        Path::new("archive"),
        &destination,
        &options,
        &Silent,
    );
    if result.is_err() {
        assert!(!destination.exists());
        return;
    }
    let tree = destination.canonicalize().expect("it was made");
    let mut pending = vec![destination.clone()];
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(&dir).expect("listed") {
            let path = entry.expect("read").path();
            let kind = path.symlink_metadata().expect("looked at").file_type();
            if kind.is_dir() {
                pending.push(path);
            } else if kind.is_symlink()
                && let Ok(end) = path.canonicalize()
            {
                assert!(
                    end.starts_with(&tree),
                    "{} leads to {}",
                    path.display(),
                    end.display()
                );
            }
        }
    }
    remove(&destination);
}

fn remove(destination: &Path) {
    if std::fs::remove_dir_all(destination).is_err() {
        let status = std::process::Command::new("chmod")
            .args(["-R", "u+rwX"])
            .arg(destination)
            .status();
        assert!(status.is_ok());
        std::fs::remove_dir_all(destination).expect("removed");
    }
}

/// Sets the checksum of every header of what may be a tar: no fuzzer guesses them.
pub(crate) fn with_checksums(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        // Only what has the look of a header.
        if block[257..262] != *b"ustar" {
            continue;
        }
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

/// A tar of what the bytes say, of kinds and names from a small stock: so links
/// meet folders and files of their names.
pub(crate) fn tar_of(bytes: &[u8]) -> Vec<u8> {
    const NAMES: [&str; 8] = ["a", "b", "..", ".", "a/b", "b/a", "c", "../a"];
    let mut tar = Vec::new();
    let path = |choice: u8| {
        let (first, second) = (
            NAMES[usize::from(choice & 7)],
            NAMES[usize::from(choice >> 3 & 7)],
        );
        match choice >> 6 {
            0 => first.to_owned(),
            1 => format!("{first}/{second}"),
            2 => format!("{first}/{second}/{first}"),
            _ => format!("/{first}"),
        }
    };
    for member in bytes.chunks_exact(3).take(200) {
        let mut block = [0_u8; 512];
        let (name, target) = (path(member[1]), path(member[2]));
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[156] = b"0521"[usize::from(member[0] & 3)];
        block[100..107].copy_from_slice(b"0000755");
        block[124..135].copy_from_slice(b"00000000000");
        if matches!(block[156], b'1' | b'2') {
            block[157..157 + target.len()].copy_from_slice(target.as_bytes());
        }
        block[257..265].copy_from_slice(b"ustar\x0000");
        tar.extend(block);
    }
    tar.extend([0; 1024]);
    with_checksums(&tar)
}
