//! What kind of bundle a tree is: rules for what its links must have been differ.

use std::fmt;

use serde::Serialize;

use crate::error::Result;
use crate::format::carchive;
use crate::path::RelPath;
use crate::plan::NodeId;

use super::subject::{Files, Head, Subject, Use};

/// What kind of bundle a tree is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum BundleKind {
    /// A folder that PyInstaller made.
    #[serde(rename = "pyinstaller")]
    PyInstaller {
        /// The Python in it, such as `3.11`, where its program tells.
        python: Option<String>,
        /// The folder with all but the program: `_internal` unless it was renamed.
        contents: RelPath,
    },
    /// A macOS application.
    App,
    /// An application with Electron's files.
    Electron,
    /// A Python environment that `venv` or `virtualenv` made.
    Venv,
    /// A conda environment.
    Conda,
    /// A JavaScript project, or its `node_modules`.
    NodeModules,
    /// The files of a package or system, which are laid over `/`, or a Python's own folder
    /// in one.
    System,
    /// None of these.
    Plain,
}

impl fmt::Display for BundleKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BundleKind::PyInstaller { python, contents } => {
                write!(out, "PyInstaller folder (contents in `{contents}`")?;
                match python {
                    Some(python) => write!(out, ", Python {python})"),
                    None => write!(out, ")"),
                }
            }
            BundleKind::App => out.write_str("macOS application"),
            BundleKind::Electron => out.write_str("Electron application"),
            BundleKind::Venv => out.write_str("Python environment (venv)"),
            BundleKind::Conda => out.write_str("conda environment"),
            BundleKind::NodeModules => out.write_str("JavaScript project (node_modules)"),
            BundleKind::System => out.write_str("package or system tree"),
            BundleKind::Plain => out.write_str("folder of no known kind"),
        }
    }
}

/// Folders at the top of a tree that is laid over `/`.
const SYSTEM: [&[u8]; 12] = [
    b"bin", b"boot", b"etc", b"lib", b"lib32", b"lib64", b"libx32", b"opt", b"sbin", b"srv",
    b"usr", b"var",
];

/// What a PyInstaller folder has beside all else: Python's start-up modules.
const BASE_LIBRARY: &[u8] = b"base_library.zip";

/// Finds out what kind of bundle `subject` is.
pub(crate) fn recognise(subject: &Subject<'_>, files: &mut Files<'_>) -> Result<BundleKind> {
    let root = NodeId::ROOT;
    if let Some(contents) = pyinstaller_contents(subject) {
        return Ok(BundleKind::PyInstaller {
            python: python_of(subject, files)?,
            contents: subject.plan().path(contents),
        });
    }
    let has = |path: &[u8]| subject.at(root, path).is_some();
    let kind = match () {
        () if has(b"Contents/Info.plist") || has(b"Contents/MacOS") => BundleKind::App,
        () if has(b"pyvenv.cfg") => BundleKind::Venv,
        () if has(b"conda-meta") => BundleKind::Conda,
        () if has(b"resources/app.asar") || has(b"resources/electron.asar") => BundleKind::Electron,
        () if is_node_modules(subject) => BundleKind::NodeModules,
        () if is_system(subject) || is_installed_python(subject) => BundleKind::System,
        () => BundleKind::Plain,
    };
    Ok(kind)
}

/// Every folder with Python's start-up modules: what PyInstaller calls the contents.
pub(crate) fn contents_folders<'s>(subject: &'s Subject<'_>) -> impl Iterator<Item = NodeId> + 's {
    let has_library = |dir: &NodeId| subject.plan().child(*dir, BASE_LIBRARY).is_some();
    subject.all_dirs().filter(has_library)
}

/// The one at the root or just below it.
fn pyinstaller_contents(subject: &Subject<'_>) -> Option<NodeId> {
    contents_folders(subject).find(|dir| subject.plan().depth(*dir) <= 1)
}

/// The version of Python in the package of a program at the root.
fn python_of(subject: &Subject<'_>, files: &mut Files<'_>) -> Result<Option<String>> {
    let plan = subject.plan();
    for node in plan.children(NodeId::ROOT) {
        let is_program = match subject.head(node) {
            Head::Elf(used) | Head::MachO(used) => *used == Use::Program,
            Head::Pe => true,
            Head::Nothing | Head::Script | Head::Line(_) | Head::Other => false,
        };
        if !is_program {
            continue;
        }
        let file = files.open(node)?;
        // A program that holds no whole package tells nothing of it.
        if let Ok(package) = carchive::Package::read(&file, plan.size(node)) {
            let python = package.cookie().python;
            return Ok(Some(format!("{}.{}", python / 100, python % 100)));
        }
    }
    Ok(None)
}

fn is_node_modules(subject: &Subject<'_>) -> bool {
    let root = NodeId::ROOT;
    let has = |path: &[u8]| subject.at(root, path).is_some();
    has(b"node_modules") || has(b".package-lock.json") || has(b".modules.yaml") || has(b".bin")
}

/// Whether all folders at the top are a system's, or those of a package that is unpacked.
fn is_system(subject: &Subject<'_>) -> bool {
    let plan = subject.plan();
    let mut children = plan.children(NodeId::ROOT).peekable();
    let is_known = |node: NodeId| plan.name(node) == b"DEBIAN" || SYSTEM.contains(&plan.name(node));
    children.peek().is_some()
        && children.all(is_known)
        && (plan.child(NodeId::ROOT, b"usr").is_some()
            || plan.child(NodeId::ROOT, b"etc").is_some())
}

/// Whether it is the folder with the modules of an installed Python.
fn is_installed_python(subject: &Subject<'_>) -> bool {
    let has = |path: &[u8]| subject.at(NodeId::ROOT, path).is_some();
    has(b"os.py") && has(b"lib-dynload")
}
