//! What is wrong with a bundle, for people: grouped by what it is and what mends it, so
//! that a hundred lost links read as one thing; and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use bundlecp::doctor::{Finding, Outcome, Severity};
use bundlecp::escape_path;
use indicatif::HumanBytes;
use serde_json::{Value, json};

use super::{counted, counts};

/// Paths that one group shows: the rest is counted.
const SHOWN: usize = 20;

/// How the text is written.
pub(crate) struct Diagnosis<'d> {
    /// What was examined, as it was named.
    pub shown: &'d Path,
    pub color: bool,
    /// Shows every path.
    pub is_whole: bool,
}

impl Diagnosis<'_> {
    /// What was examined, what is wrong with it, and what a repair would save.
    pub(crate) fn text(&self, outcome: &Outcome) -> String {
        let mut text = format!(
            "{}: {}\n{}, {}\n",
            self.painted("1", &escape_path(self.shown)),
            outcome.kind,
            counts(outcome.files, outcome.dirs, outcome.symlinks, 0),
            sizes(outcome)
        );
        for findings in outcome.findings.chunk_by(|a, b| a.code == b.code) {
            self.group(&mut text, findings);
        }
        text.push('\n');
        text += &self.sum(outcome);
        if outcome.bytes_repairable > 0 {
            let _ = writeln!(
                text,
                "{} would be saved by `bundlecp repair`",
                HumanBytes(outcome.bytes_repairable)
            );
        }
        text
    }

    /// All findings of one code, those together that say the same.
    fn group(&self, text: &mut String, findings: &[Finding]) {
        let code = findings[0].code;
        let severity = format!("{}:", code.severity().name());
        let severity = self.painted(paint(code.severity()), &severity);
        let (title, count) = (code.title(), findings.len());
        let _ = writeln!(text, "\n{severity} {title} ({count}) [{}]", code.name());
        let mut by_fix: BTreeMap<&str, BTreeMap<&str, Vec<&Finding>>> = BTreeMap::new();
        for finding in findings {
            let by_message = by_fix.entry(&finding.fix).or_default();
            by_message
                .entry(&finding.message)
                .or_default()
                .push(finding);
        }
        for (fix, by_message) in by_fix {
            let (alone, alike): (Vec<_>, Vec<_>) = by_message
                .into_iter()
                .partition(|(_, findings)| findings.len() == 1);
            for (message, findings) in alike {
                self.list(text, findings.iter().map(|finding| self.line(finding)));
                let _ = writeln!(text, "    {message}");
            }
            let line = |finding: &Finding| format!("{}: {}", self.line(finding), finding.message);
            let mut alone: Vec<&Finding> = alone.into_iter().flat_map(|(_, all)| all).collect();
            alone.sort_by(|a, b| a.path.cmp(&b.path));
            self.list(text, alone.into_iter().map(line));
            if !fix.is_empty() {
                let _ = writeln!(text, "    {} {fix}", self.painted("36", "fix:"));
            }
        }
    }

    /// As many of `lines` as are shown.
    fn list(&self, text: &mut String, lines: impl ExactSizeIterator<Item = String>) {
        let shown = match self.is_whole {
            true => lines.len(),
            false => SHOWN,
        };
        let more = lines.len().saturating_sub(shown);
        for line in lines.take(shown) {
            let _ = writeln!(text, "  {line}");
        }
        if more > 0 {
            let _ = writeln!(text, "  and {more} more (-v shows all)");
        }
    }

    fn line(&self, finding: &Finding) -> String {
        let mut line = self.painted("1", &finding.path.to_string());
        if let Some(target) = &finding.target {
            let _ = write!(line, " -> {target}");
        }
        if finding.bytes_wasted > 0 {
            let _ = write!(line, " ({})", HumanBytes(finding.bytes_wasted));
        }
        line
    }

    /// How much was found of what.
    fn sum(&self, outcome: &Outcome) -> String {
        let seconds = outcome.duration.as_secs_f64();
        let counted = |severity: Severity| {
            let count = outcome.count(severity);
            let words = counted(count, severity.name());
            (count > 0).then(|| self.painted(paint(severity), &words))
        };
        let found: Vec<String> = Severity::ALL.into_iter().filter_map(counted).collect();
        match found.is_empty() {
            true => format!("nothing is wrong, looked for in {seconds:.2} s\n"),
            false => format!("{} found in {seconds:.2} s\n", found.join(", ")),
        }
    }

    fn painted(&self, paint: &str, words: &str) -> String {
        match self.color {
            true => format!("\x1b[{paint}m{words}\x1b[0m"),
            false => words.to_owned(),
        }
    }
}

/// The colour of a severity, as terminals count them.
fn paint(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        _ => "1;34",
    }
}

fn sizes(outcome: &Outcome) -> String {
    let mut text = HumanBytes(outcome.bytes_total).to_string();
    let further = [
        (outcome.bytes_saved_by_links, "saved by links"),
        (outcome.bytes_wasted, "wasted by copies"),
    ];
    for (bytes, what) in further.into_iter().filter(|(bytes, _)| *bytes > 0) {
        let _ = write!(text, ", {} {what}", HumanBytes(bytes));
    }
    text
}

/// The JSON document of an examination.
pub(crate) fn diagnosed_json(outcome: &Outcome) -> Value {
    json!({
        "bundle": outcome.kind,
        "findings": outcome.findings,
        "files": outcome.files,
        "dirs": outcome.dirs,
        "symlinks": outcome.symlinks,
        "bytes_total": outcome.bytes_total,
        "bytes_saved_by_links": outcome.bytes_saved_by_links,
        "bytes_wasted": outcome.bytes_wasted,
        "bytes_repairable": outcome.bytes_repairable,
        "seconds": outcome.duration.as_secs_f64(),
    })
}
