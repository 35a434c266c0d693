//! `list`: a line a member, as they come.

use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;

use bundlecp::list::{self, Listed};

use super::{Failure, unless_closed};
use crate::cli::args::ListArgs;
use crate::cli::input::STANDARD_INPUT;
use crate::cli::render::{self, Style};

/// Bytes of lines that are written at a time.
const BUFFER: usize = 64 << 10;

pub(super) fn run(arguments: &ListArgs) -> Result<u8, Failure> {
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
    let listed = match arguments.archive.as_os_str() == "-" {
        true => {
            super::check_standard_input("list")?;
            list::list_from(io::stdin(), Path::new(STANDARD_INPUT), &mut each)
        }
        false => list::list(&arguments.archive, &mut each),
    };
    // What came before an error is shown before it.
    unless_closed(written.and_then(|()| out.flush()))?;
    listed?;
    Ok(0)
}
