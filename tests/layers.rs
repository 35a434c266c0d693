//! The source keeps to its layers: a file imports only from lower rows, system
//! calls and `unsafe` stay where they belong, and files and functions stay short.
//!
//! Every file under `src/` is parsed; code for tests is left out.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "layers/survey.rs"]
mod survey;

use std::collections::BTreeSet;
use std::path::Path;

use survey::{Source, Survey, functions, lines_without_tests, sources};

/// Each module of the crate's root and its row.
const ROWS: &[(&str, u8)] = &[
    ("error", 0),
    ("text", 0),
    ("sys", 0),
    ("path", 1),
    ("json", 1),
    ("extents", 1),
    ("entry", 1),
    ("plan", 1),
    ("progress", 1),
    ("pool", 1),
    ("codec", 1),
    ("handles", 1),
    ("probe", 2),
    ("links_file", 2),
    ("scan", 2),
    ("dest", 2),
    ("fit", 3),
    ("format", 3),
    ("archive", 3),
    ("tree", 3),
    ("copy", 4),
    ("pack", 4),
    ("extract", 4),
    ("list", 4),
    ("verify", 4),
    ("manifest", 4),
    ("doctor", 4),
    ("repair", 4),
    ("convert", 4),
    ("onefile", 5),
    ("lib", 6),
    ("cli", 7),
    ("stub", 7),
    ("main", 8),
    ("bin", 8),
];

/// Imports inside a row.
const ALLOWED: &[(&str, &str)] = &[
    ("error", "text"),
    ("text", "sys"),
    ("probe", "dest"),
    ("path", "json"),
    ("entry", "extents"),
    ("entry", "path"),
    ("plan", "entry"),
    ("plan", "path"),
    ("pool", "progress"),
    ("handles", "plan"),
    ("archive", "format"),
    ("tree", "archive"),
    ("tree", "format"),
    ("convert", "pack"),
    ("doctor", "extract"),
    ("doctor", "pack"),
    ("repair", "copy"),
    ("repair", "doctor"),
    ("repair", "verify"),
    ("manifest", "pack"),
];

/// Files of the binary: they see the library as any other crate does.
const BINARY: &[&str] = &["cli", "stub", "main", "bin"];

const LONGEST_FILE: usize = 600;
const LONGEST_FUNCTION: usize = 100;
const LONGEST_MAIN: usize = 10;

fn row(module: &str) -> Option<u8> {
    let found = ROWS.iter().find(|(name, _)| *name == module);
    found.map(|(_, row)| *row)
}

#[test]
fn no_file_imports_from_above() {
    let mut wrong = Vec::new();
    for source in &sources() {
        let from = source.top();
        let own = row(from);
        let own = own.unwrap_or_else(|| panic!("`{from}` has no row in this test"));
        for to in Survey::of(source).imports {
            let is_own =
                to == from || (from == "main" && to == "cli") || (from == "bin" && to == "stub");
            if is_own || ALLOWED.contains(&(from, to.as_str())) {
                continue;
            }
            // What is re-exported at the root has no row of its own: it is `lib`'s.
            let target = row(&to).unwrap_or(6);
            if BINARY.contains(&from) || target >= own {
                wrong.push(format!(
                    "{}: `{from}` ({own}) from `{to}` ({target})",
                    source.path.display()
                ));
            }
        }
    }
    // `lib.rs` names every module, to declare and to re-export it.
    wrong.retain(|line| !line.starts_with("lib.rs"));
    assert!(wrong.is_empty(), "upward imports: {wrong:#?}");
}

#[test]
fn the_exceptions_are_all_in_use() {
    let mut used = BTreeSet::new();
    for source in &sources() {
        for to in Survey::of(source).imports {
            used.insert((source.top().to_owned(), to));
        }
    }
    let is_unused = |pair: &&(&str, &str)| !used.contains(&(pair.0.to_owned(), pair.1.to_owned()));
    let unused: Vec<_> = ALLOWED.iter().filter(is_unused).collect();
    assert!(unused.is_empty(), "no longer needed: {unused:?}");
}

#[test]
fn platforms_are_told_apart_in_sys_alone() {
    let sources = sources();
    let outside = sources.iter().filter(|source| !source.is_in_sys());
    let found: Vec<_> = outside
        .map(|source| (&source.path, Survey::of(source).os_cfgs))
        .filter(|(_, count)| *count > 0)
        .collect();
    let count: usize = found.iter().map(|(_, count)| count).sum();
    assert!(count <= 2, "{count} conditions on the platform: {found:?}");
}

#[test]
fn unsafe_code_stands_in_one_file() {
    for source in &sources() {
        // The stub's `main` is what the system calls, with pointers.
        let may = [
            "sys/raw.rs",
            "sys/windows/process.rs",
            "sys/windows/raw.rs",
            "sys/windows/raw_process.rs",
            "bin/bundlecp-stub.rs",
        ];
        if !may.iter().any(|path| source.path == Path::new(path)) {
            let unsafes = Survey::of(source).unsafes;
            assert_eq!(unsafes, 0, "`unsafe` in {}", source.path.display());
        }
    }
}

#[test]
fn the_library_neither_unwraps_nor_prints() {
    for source in &sources() {
        if !BINARY.contains(&source.top()) {
            let banned = Survey::of(source).banned;
            assert!(banned.is_empty(), "{}: {banned:?}", source.path.display());
        }
    }
}

#[test]
fn files_and_functions_stay_short() {
    let mut wrong = Vec::new();
    let mut count = 0;
    for source in &sources() {
        let lines = lines_without_tests(source);
        let path = source.path.display();
        let limit = match source.path.starts_with("main.rs") || source.top() == "bin" {
            true => LONGEST_MAIN,
            false => LONGEST_FILE,
        };
        if lines.len() > limit {
            wrong.push(format!("{path}: {} lines of {limit}", lines.len()));
        }
        for (name, length) in functions(&lines) {
            count += 1;
            if length > LONGEST_FUNCTION {
                wrong.push(format!("{path}: {length} lines in `{name}`"));
            }
        }
    }
    assert!(count > 100, "only {count} functions found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_survey_sees_what_it_has_to() {
    let source = Source {
        path: "copy/x.rs".into(),
        module: vec!["copy".into(), "x".into()],
        text: r#"
            use crate::{dest::Staging, sys};
            use super::{data, super::probe};
            use super::super::scan as s;
            #[cfg(unix)]
            fn f() -> crate::error::Result<()> {
                let x = cfg!(target_os = "linux");
                format!("{}", crate::json::text(y).unwrap());
                println!("no");
                z.unwrap();
                unsafe { libc::exit(0) }
            }
            #[cfg(test)]
            mod tests { use crate::cli; fn f() { a.unwrap(); } }
        "#
        .into(),
    };
    let survey = Survey::of(&source);
    let imports: Vec<_> = survey.imports.iter().map(String::as_str).collect();
    assert_eq!(
        imports,
        ["copy", "dest", "error", "json", "probe", "scan", "sys"]
    );
    assert_eq!((survey.os_cfgs, survey.unsafes), (2, 1));
    assert_eq!(survey.banned, ["unwrap in a macro", "println!", "unwrap"]);
    let code = [
        "    pub fn a(",
        "        x: u8,",
        "    ) {",
        "    }",
        "    fn b();",
        "    fn c() {",
        "    }",
    ];
    assert_eq!(
        functions(&code).iter().map(|f| f.1).collect::<Vec<_>>(),
        [4, 2]
    );
}
