//! Names that other systems can't hold, or take for one another.
//!
//! Windows and macOS fold case, and macOS the ways to compose a letter: of two names
//! that are one there, only one arrives. Windows also has names of devices, and
//! characters, that no file can have. The names are judged as they are, links included.

use std::collections::HashSet;

use crate::plan::collide::{Folding, collisions};
use crate::plan::{NodeId, Plan};

use super::finding::{Code, Finding};
use super::kind::BundleKind;
use super::subject::Subject;

pub(super) fn check(subject: &Subject<'_>, kind: &BundleKind) -> Vec<Finding> {
    // It is for one system, which can hold its names.
    if *kind == BundleKind::System {
        return Vec::new();
    }
    let plan = subject.plan();
    let mut findings = collided(plan);
    let below = plan.nodes().skip(1);
    findings.extend(below.filter_map(|node| unfit_name(plan, node)));
    findings
}

/// Both kinds of collisions: what differs in composed letters alone is of that kind.
fn collided(plan: &Plan) -> Vec<Finding> {
    let fold = |case| {
        let folding = Folding {
            case,
            normalization: true,
        };
        collisions(plan, folding)
    };
    let composed = fold(false);
    let told: HashSet<NodeId> = composed.iter().map(|(_, node)| *node).collect();
    let composed = composed.into_iter().map(|(first, node)| {
        let what = "looks the same as";
        let who = "macOS takes them for one name";
        collision(plan, Code::NormalizationCollision, node, (what, first, who))
    });
    let cased = fold(true).into_iter();
    let cased = cased.filter(|(_, node)| !told.contains(node));
    let cased = cased.map(|(first, node)| {
        let what = "differs in case only from";
        let who = "Windows and macOS keep one of them";
        collision(plan, Code::CaseCollision, node, (what, first, who))
    });
    composed.chain(cased).collect()
}

fn collision(
    plan: &Plan,
    code: Code,
    node: NodeId,
    (what, first, who): (&str, NodeId, &str),
) -> Finding {
    let first = crate::text::escape_bytes(plan.name(first));
    let finding = Finding::new(code, plan.path(node), format!("{what} `{first}`: {who}"));
    finding.with_fix("remove or rename one of them")
}

fn unfit_name(plan: &Plan, node: NodeId) -> Option<Finding> {
    let why = unfit(plan.name(node))?;
    let message = format!("Windows can't hold this name: {why}");
    let finding = Finding::new(Code::WindowsName, plan.path(node), message);
    Some(finding.with_fix("rename it if the bundle is for Windows too"))
}

/// Why Windows can't hold `name`, by the rules of Microsoft's "Naming Files, Paths, and
/// Namespaces".
fn unfit(name: &[u8]) -> Option<String> {
    let Ok(text) = std::str::from_utf8(name) else {
        return Some("it isn't UTF-8".to_owned());
    };
    let is_refused = |char: &char| matches!(char, '<' | '>' | ':' | '"' | '|' | '?' | '*' | '\\');
    if let Some(refused) = text.chars().find(is_refused) {
        return Some(format!("`{refused}` isn't allowed"));
    }
    if text.chars().any(|char| char < ' ') {
        return Some("control characters aren't allowed".to_owned());
    }
    if text.ends_with(['.', ' ']) {
        return Some("a dot or space at the end is dropped".to_owned());
    }
    let device = device(text)?;
    Some(format!("`{device}` is a device"))
}

/// The device that `name` is to Windows, with any extension.
fn device(name: &str) -> Option<String> {
    let stem = name.split('.').next().unwrap_or_default();
    let stem = stem.trim_end_matches(' ').to_ascii_uppercase();
    let is_numbered = |stem: &str| {
        let number = stem
            .strip_prefix("COM")
            .or_else(|| stem.strip_prefix("LPT"));
        number.is_some_and(|number| {
            let mut digits = number.chars();
            let is_port = matches!(digits.next(), Some('1'..='9' | '¹' | '²' | '³'));
            is_port && digits.next().is_none()
        })
    };
    let is_device = matches!(&*stem, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || is_numbered(&stem);
    is_device.then_some(stem)
}

#[cfg(test)]
mod tests {
    use super::unfit;

    #[test]
    fn names_that_windows_cannot_hold() {
        for name in [
            "CON",
            "con.txt",
            "nul.tar.gz",
            "Com1",
            "lpt9.x",
            "COM¹",
            "aux .c",
            "a:b",
            "a?",
            "a*",
            "a\\b",
            "x<y",
            "x|y",
            "a\"",
            "a\x01",
            "end.",
            "end ",
            "CONIN$",
        ] {
            assert!(unfit(name.as_bytes()).is_some(), "{name:?}");
        }
        assert!(unfit(b"\xff").is_some());
        for name in [
            "console",
            "COM0",
            "COM10",
            "COM",
            "com1x",
            "x.con",
            "auxiliary",
            ".hidden",
            "a b",
            "nu.l",
            "a+b,c;d=[e]{f}~",
            "é",
        ] {
            assert_eq!(unfit(name.as_bytes()), None, "{name:?}");
        }
    }
}
