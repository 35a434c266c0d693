//! The links that `venv` makes in a Python environment: `lib64 -> lib`, and from all
//! names of the interpreter to the one that it was made with.

use crate::error::Result;
use crate::plan::{NodeId, NodeKind};

use super::super::subject::Head;
use super::{LostLink, Rule, Search, Stand};

const LIB: Rule = Rule::by_place("venv makes a link to lib");
const PYTHON: Rule = Rule::by_content("venv links the names of the interpreter to one");

/// More than any `pyvenv.cfg` has.
const LONGEST: u64 = 64 << 10;

pub(super) fn find(search: &mut Search<'_>) -> Result<()> {
    let (subject, plan) = (search.subject(), search.plan());
    let configured: Vec<(NodeId, NodeId)> = subject
        .all_dirs()
        .filter_map(|dir| Some((dir, plan.child(dir, b"pyvenv.cfg")?)))
        .filter(|(_, file)| plan.kind(*file) == NodeKind::File)
        .collect();
    for (environment, file) in configured {
        if let (Some(node), Some(led)) = (
            plan.child(environment, b"lib64"),
            plan.child(environment, b"lib"),
        ) {
            search.judge(node, &[(b"lib".to_vec(), led)], LIB)?;
        }
        if let Some(bin) = plan.child(environment, b"bin") {
            let text = search.likeness.read(file, LONGEST)?;
            interpreters(search, bin, &text)?;
        }
    }
    Ok(())
}

fn interpreters(search: &mut Search<'_>, bin: NodeId, text: &[u8]) -> Result<()> {
    let plan = search.plan();
    let Some(led) = made_with(text).and_then(|name| plan.child(bin, name)) else {
        return Ok(());
    };
    if plan.kind(led) != NodeKind::File {
        return Ok(());
    }
    if let Head::Line(text) = search.subject().head(led)
        && text.starts_with(b"/")
    {
        search.doubt(led, vec![text.clone()], Stand::Stub);
        return Ok(());
    }
    let is_interpreter = |node: &NodeId| {
        let rest = plan.name(*node).strip_prefix(b"python");
        rest.is_some_and(|rest| {
            rest.iter()
                .all(|byte| byte.is_ascii_digit() || *byte == b'.')
        })
    };
    for node in plan.children(bin).filter(is_interpreter) {
        search.judge(node, &[(plan.name(led).to_vec(), led)], PYTHON)?;
    }
    // The others were links to one that was a link to the system's.
    let is_other = |link: &LostLink| link.dir == bin && link.rule == PYTHON.words;
    if let Some(home) = value(text, b"home").filter(|_| search.lost.links.iter().any(is_other)) {
        let target = [home, b"/", plan.name(led)].concat();
        search.doubt(led, vec![target.into()], Stand::Copy);
    }
    Ok(())
}

/// The name of the interpreter that made the environment: `command = /usr/bin/python3 -m venv …`.
fn made_with(text: &[u8]) -> Option<&[u8]> {
    let command = value(text, b"command")?;
    let end = command.windows(4).position(|window| window == b" -m ")?;
    command[..end].rsplit(|byte| *byte == b'/').next()
}

/// What a `pyvenv.cfg` says of `key`.
fn value<'t>(text: &'t [u8], key: &[u8]) -> Option<&'t [u8]> {
    let mut lines = text.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let (name, value) = line.split_at_checked(line.iter().position(|byte| *byte == b'=')?)?;
        (name.trim_ascii() == key).then(|| value[1..].trim_ascii())
    })
}

#[cfg(test)]
mod tests {
    use super::made_with;

    #[test]
    fn the_interpreter_is_the_one_of_the_command() {
        for (text, name) in [
            (
                "home = /usr/bin\ncommand = /usr/bin/python3 -m venv /x\n",
                Some("python3"),
            ),
            (
                "command=/a b/python3.11 -m venv --copies /x",
                Some("python3.11"),
            ),
            ("home = /usr/bin\n", None),
            ("command = \n", None),
            ("", None),
        ] {
            assert_eq!(
                made_with(text.as_bytes()),
                name.map(str::as_bytes),
                "{text:?}"
            );
        }
    }
}
