//! `list`: a line a member, as they come.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use bundlecp::escape_path;
use bundlecp::list::{self, Listed, Outcome};

use super::{Failure, print_json, unless_closed};
use crate::cli::args::ListArgs;
use crate::cli::input::STANDARD_INPUT;
use crate::cli::render::{self, Style};

/// Bytes of lines that are written at a time.
const BUFFER: usize = 64 << 10;

pub(super) fn run(arguments: &ListArgs) -> Result<u8, Failure> {
    if arguments.root_hash {
        return root_hash(arguments);
    }
    let style = match (arguments.json, arguments.long) {
        (true, _) => Style::Json,
        (false, true) => Style::Long,
        (false, false) => Style::Plain,
    };
    let mut out = BufWriter::with_capacity(BUFFER, io::stdout().lock());
    let mut written = Ok(());
    let mut each = |listed: Listed| {
        written = render::write_member(&mut out, &listed, style);
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let listed = list(arguments, &mut each)?;
    if let (Ok(outcome), Style::Long) = (&listed, style) {
        written = written.and_then(|()| write!(out, "{}", render::listed_end(outcome)));
    }
    // What came before an error is shown before it.
    unless_closed(written.and_then(|()| out.flush()))?;
    listed?;
    Ok(0)
}

/// Prints the root hash alone.
fn root_hash(arguments: &ListArgs) -> Result<u8, Failure> {
    let outcome = list(arguments, &mut |_| ControlFlow::Continue(()))??;
    if outcome.root_hash.is_none() {
        let archive = escape_path(&arguments.archive);
        let text = format!("list `{archive}`: its format has no root hash\nhint: a .bcp has one");
        return Err(Failure::Usage(text));
    }
    unless_closed(match arguments.json {
        true => print_json(&render::root_hash_json(&outcome)),
        false => write!(io::stdout(), "{}", render::root_hash(&outcome)),
    })?;
    Ok(0)
}

/// Lists what the arguments name. The inner result is the library's.
fn list(
    arguments: &ListArgs,
    each: &mut dyn FnMut(Listed) -> ControlFlow<()>,
) -> Result<bundlecp::Result<Outcome>, Failure> {
    if arguments.archive.as_os_str() != "-" {
        return Ok(list::list(&arguments.archive, each));
    }
    super::check_standard_input("list")?;
    let shown = Path::new(STANDARD_INPUT);
    Ok(list::list_from(io::stdin(), shown, each))
}
