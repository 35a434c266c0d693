//! `completions` and `man`: what clap knows of the arguments, for shells and readers.

use std::io::{self, Write};

use clap::CommandFactory;

use super::{Failure, unless_closed};
use crate::cli::args::Cli;

pub(super) fn completions(shell: clap_complete::Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "bundlecp", &mut script);
    unless_closed(io::stdout().write_all(&script))?;
    Ok(0)
}

/// One page with the options of every command.
pub(super) fn man() -> Result<u8, Failure> {
    let mut page = Vec::new();
    let command = Cli::command();
    clap_mangen::Man::new(command.clone()).render(&mut page)?;
    for subcommand in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let man = clap_mangen::Man::new(subcommand.clone());
        writeln!(
            page,
            ".SH \"BUNDLECP {}\"",
            subcommand.get_name().to_uppercase()
        )?;
        man.render_description_section(&mut page)?;
        man.render_options_section(&mut page)?;
        man.render_extra_section(&mut page)?;
    }
    unless_closed(io::stdout().write_all(&page))?;
    Ok(0)
}
