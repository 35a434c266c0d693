//! A progress bar on standard error: bytes, entries and rate.

use std::cell::Cell;
use std::io::{IsTerminal, Write};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use bundlecp::{Phase, Progress, Status};
use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::args::When;
use super::interrupt::Interrupt;

/// An operation that is over sooner needs no bar.
const PATIENCE: Duration = Duration::from_millis(250);

/// How often a line is written where there is no terminal to draw on.
const LINE_EVERY: Duration = Duration::from_secs(1);

/// Shows how far the operation is, and stops it when a signal came.
pub(crate) struct Bar {
    shown: Shown,
    started: Instant,
    last_line: Cell<Option<Instant>>,
    interrupt: Interrupt,
}

enum Shown {
    Nothing,
    Drawn(ProgressBar),
    Lines,
}

impl Bar {
    pub(crate) fn new(when: When, interrupt: Interrupt) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        let shown = match (when, is_terminal) {
            (When::Never, _) | (When::Auto, false) => Shown::Nothing,
            (When::Always, false) => Shown::Lines,
            (When::Auto | When::Always, true) => {
                let target = ProgressDrawTarget::stderr_with_hz(10);
                let bar = ProgressBar::with_draw_target(None, target);
                bar.set_style(spinner());
                Shown::Drawn(bar)
            }
        };
        Self {
            shown,
            started: Instant::now(),
            last_line: Cell::new(None),
            interrupt,
        }
    }

    /// Takes the bar away, so that it doesn't stand before the result.
    pub(crate) fn clear(&self) {
        if let Shown::Drawn(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }

    fn show(&self, status: &Status) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Drawn(bar) if self.started.elapsed() >= PATIENCE => draw(bar, status),
            Shown::Drawn(_) => {}
            Shown::Lines => {
                let is_due = |last: Instant| last.elapsed() >= LINE_EVERY;
                if self.last_line.get().is_none_or(is_due) {
                    self.last_line.set(Some(Instant::now()));
                    // A closed standard error stops no copy.
                    let _ = writeln!(std::io::stderr(), "{}", line(status));
                }
            }
        }
    }
}

impl Progress for Bar {
    fn report(&self, status: &Status) -> ControlFlow<()> {
        self.show(status);
        match self.interrupt.is_set() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }

    fn wants_bytes_total(&self) -> bool {
        !matches!(self.shown, Shown::Nothing)
    }
}

fn line(status: &Status) -> String {
    let bytes = HumanBytes(status.bytes);
    let bytes = match status.bytes_total {
        Some(total) => format!("{bytes} of {}", HumanBytes(total)),
        None => bytes.to_string(),
    };
    format!("{}: {}, {bytes}", phase(status), entries(status))
}

fn entries(status: &Status) -> String {
    match status.entries_total {
        Some(total) => format!("{} of {total} entries", status.entries),
        None => format!("{} entries", status.entries),
    }
}

fn phase(status: &Status) -> &'static str {
    match status.phase {
        Phase::Scanning => "scanning",
        Phase::Copying => "copying",
        Phase::Extracting => "extracting",
        Phase::Packing => "packing",
        Phase::Verifying => "verifying",
        Phase::Hashing => "hashing",
        Phase::Examining => "examining",
        Phase::Publishing => "publishing",
        _ => "working",
    }
}

fn draw(bar: &ProgressBar, status: &Status) {
    // Each call may draw: what a style shows is set before the style.
    bar.set_prefix(phase(status));
    bar.set_message(entries(status));
    bar.set_position(status.bytes);
    if let (Some(total), None) = (status.bytes_total, bar.length()) {
        bar.set_length(total);
        bar.set_style(bytes());
    } else if bar.length().is_none() && status.bytes > 0 {
        bar.set_style(stream());
    }
}

fn spinner() -> ProgressStyle {
    style("{spinner} {prefix} {msg}")
}

/// For what comes without saying how much it is.
fn stream() -> ProgressStyle {
    style("{spinner} {prefix} {bytes}, {msg}, {binary_bytes_per_sec}")
}

fn bytes() -> ProgressStyle {
    style(
        "{prefix} [{wide_bar}] {bytes} of {total_bytes}, {msg}, {binary_bytes_per_sec}, {eta} left",
    )
}

fn style(template: &str) -> ProgressStyle {
    let style = ProgressStyle::with_template(template).expect("a template that was tested");
    style.progress_chars("=> ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_templates_are_valid() {
        let _ = (spinner(), stream(), bytes());
    }
}
