//! The main job on a real tree: copy a bundle, prove that it arrived, and show
//! what the usual tools do to it.
//!
//! `cargo run --release --example quickstart [BUNDLE]` takes a bundle, or makes
//! one with links of every kind. Nothing outside a temporary folder is written.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use bundlecp::copy::{self, copy};
use bundlecp::verify::{self, DifferenceKind, verify};
use bundlecp::{Silent, probe_dir};

fn main() -> Result<(), Box<dyn Error>> {
    let temp = tempfile::tempdir()?;
    let bundle = match std::env::args_os().nth(1) {
        Some(path) => PathBuf::from(path),
        None => make_bundle(&temp.path().join("app"))?,
    };

    let found = probe_dir(temp.path())?;
    let links = found.symlinks.name();
    row(
        "probe",
        &format!("{}: symbolic links {links}", found.filesystem),
    );

    let good = temp.path().join("copy");
    let copied = copy(
        std::slice::from_ref(&bundle),
        &good,
        &copy::Options::default(),
        &Silent,
    )?;
    let seconds = copied.duration.as_secs_f64();
    row(
        "copy",
        &format!(
            "{} files, {} folders, {} links, {} hard links, {} bytes in {seconds:.3} s",
            copied.files, copied.dirs, copied.symlinks, copied.hardlinks, copied.bytes
        ),
    );

    let options = verify::Options::default();
    let proof = verify(&bundle, &good, &options, &Silent)?;
    row(
        "verify",
        &format!("{} differences", proof.differences.len()),
    );

    let flat = temp.path().join("flattened");
    let size = flatten(&bundle, &flat)?;
    let grown = size as f64 / copied.bytes.max(1) as f64;
    row(
        "flatten",
        &format!("as most tools copy: {size} bytes, {grown:.2} times"),
    );

    let lost = verify(&bundle, &flat, &options, &Silent)?;
    let of_links = [DifferenceKind::Flattened, DifferenceKind::Missing];
    let links = lost
        .differences
        .iter()
        .filter(|found| of_links.contains(&found.kind));
    for difference in links {
        let was = difference.left.as_deref().unwrap_or("nothing");
        row(
            difference.kind.name(),
            &format!("{}: {was}", difference.path),
        );
    }

    if !proof.is_equal() {
        return Err("the copy differs from the bundle".into());
    }
    Ok(())
}

#[allow(clippy::print_stdout, reason = "an example shows its result")]
fn row(what: &str, result: &str) {
    println!("{what:10} {result}");
}

/// Makes a small bundle as PyInstaller lays them out.
fn make_bundle(root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let internal = root.join("_internal");
    fs::create_dir_all(internal.join("numpy.libs"))?;
    fs::create_dir_all(internal.join("empty"))?;
    fs::write(
        root.join("app"),
        "#!/bin/sh\nexec cat \"$(dirname \"$0\")/_internal/libblas.so\"\n",
    )?;
    fs::write(
        internal.join("numpy.libs/libblas-3.so"),
        vec![b'b'; 3 << 20],
    )?;
    fs::write(internal.join("base_library.zip"), vec![b'z'; 1 << 20])?;
    fs::hard_link(
        internal.join("base_library.zip"),
        internal.join("library.zip"),
    )?;
    let links = [
        ("libblas-3.so", "numpy.libs/libblas-3.so"),
        ("libblas.so", "libblas-3.so"),
        ("libs", "numpy.libs"),
        ("plugin.so", "not/shipped.so"),
    ];
    for (name, target) in links {
        symlink(target, &internal.join(name))?;
    }
    make_executable(&root.join("app"))?;
    Ok(root.to_owned())
}

/// Copies as tools do that follow links, and returns the bytes. Links that lead
/// nowhere are lost.
fn flatten(from: &Path, to: &Path) -> Result<u64, Box<dyn Error>> {
    fs::create_dir(to)?;
    let mut size = 0;
    for entry in walkdir::WalkDir::new(from).follow_links(true).min_depth(1) {
        let Ok(entry) = entry else { continue };
        let target = to.join(entry.path().strip_prefix(from)?);
        match entry.file_type().is_dir() {
            true => fs::create_dir(&target)?,
            false => size += fs::copy(entry.path(), &target)?,
        }
    }
    Ok(size)
}

#[cfg(unix)]
fn symlink(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &str, link: &Path) -> std::io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(windows)]
fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
