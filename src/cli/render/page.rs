//! Findings as one page for browsers: figures, a map of the bundle by size, and the list.
//!
//! The page loads nothing and runs no script but its own, which its policy names by hash.
//! Names come from whoever made the bundle: in the page they are escaped, and the script
//! gets them as data and shows them as text. Without scripts, the list is there.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use bundlecp::doctor::{Finding, Outcome, Severity};
use bundlecp::{Entry, EntryKind, escape_path};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json};

use super::counted;

const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// The hashes of the two, by which the page's policy allows them.
const STYLE_HASH: &str = "sha256-mK79y86d6U71m8uTo/q9H7/O/ewNirO5KbKWNjRPxoE=";
const SCRIPT_HASH: &str = "sha256-vmwIWkhVmtPlD2CcNpOn0YJJ4MNr78DRouu4pGNE5nM=";

/// The page of one examination of what is at `shown`.
pub(crate) fn page(shown: &Path, outcome: &Outcome) -> String {
    let name = match shown.file_name() {
        Some(name) => escape_path(Path::new(name)),
        None => escape_path(shown),
    };
    let (title, kind) = (escaped(&name), marked(&outcome.kind.to_string()));
    let (verdict, figures) = (verdict(outcome), figures(outcome));
    let (list, data) = (list(outcome), embedded(&data(&name, outcome)));
    let version = env!("CARGO_PKG_VERSION");
    format!(
        r##"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '{STYLE_HASH}'; script-src '{SCRIPT_HASH}'; base-uri 'none'; form-action 'none'">
<title>{title}: bundlecp doctor</title>
<style>{STYLE}</style>
<header>
<h1>{title}</h1>
<button id="theme" type="button">Light or dark</button>
<p>{kind}</p>
</header>
{verdict}
<dl>{figures}</dl>
<div class="map">
<h2>Where the bytes are</h2>
<div class="bar">
<div class="crumbs" id="crumbs"></div>
<label><input type="checkbox" id="links" checked> links</label>
</div>
<canvas id="map" tabindex="0" role="img" aria-label="Map of the bundle by size. Arrow keys choose, Enter opens a folder, Escape goes up." aria-describedby="told"></canvas>
<ul class="legend">
<li><canvas data-kind="wasted"></canvas>wasted by copies</li>
<li><canvas data-kind="library"></canvas>libraries</li>
<li><canvas data-kind="code"></canvas>scripts</li>
<li><canvas data-kind="pack"></canvas>archives</li>
<li><canvas data-kind="other"></canvas>all else</li>
<li>solid curves: links; dashed: links that were lost</li>
</ul>
<p class="told" id="told" aria-live="polite"></p>
</div>
{list}
<footer>Made by bundlecp {version}.</footer>
<script type="application/json" id="data">{data}</script>
<script>{SCRIPT}</script>
</html>
"##
    )
}

fn verdict(outcome: &Outcome) -> String {
    let mut words = Vec::new();
    for severity in Severity::ALL {
        let count = outcome.count(severity);
        if count > 0 {
            let (name, counted) = (severity.name(), counted(count, severity.name()));
            words.push(format!("<b class=\"{name}\">{counted}</b>"));
        }
    }
    let saved = match outcome.bytes_repairable {
        0 => String::new(),
        bytes => format!(
            " {} would be saved by <code>bundlecp repair</code>.",
            HumanBytes(bytes)
        ),
    };
    match words.is_empty() {
        true => "<p class=\"verdict good\">Nothing is wrong with it.</p>".to_owned(),
        false => format!("<p class=\"verdict\">{}.{saved}</p>", words.join(", ")),
    }
}

fn figures(outcome: &Outcome) -> String {
    let size = |bytes| HumanBytes(bytes).to_string();
    let count = |count| HumanCount(count).to_string();
    let figures = [
        ("files", count(outcome.files)),
        ("folders", count(outcome.dirs)),
        ("links", count(outcome.symlinks)),
        ("all content", size(outcome.bytes_total)),
        ("saved by links", size(outcome.bytes_saved_by_links)),
        ("wasted by copies", size(outcome.bytes_wasted)),
    ];
    figures
        .iter()
        .fold(String::new(), |mut text, (name, value)| {
            let _ = write!(text, "<div><dt>{name}</dt><dd>{value}</dd></div>");
            text
        })
}

/// All findings, those of a code together.
fn list(outcome: &Outcome) -> String {
    if outcome.findings.is_empty() {
        return String::new();
    }
    let mut text = String::from("<h2>Findings</h2>\n<div class=\"filter\">");
    text += "<input type=\"search\" id=\"words\" placeholder=\"Filter by path or words\" aria-label=\"Filter\">";
    for severity in Severity::ALL {
        let name = severity.name();
        let _ = write!(
            text,
            "<label><input type=\"checkbox\" value=\"{name}\" checked> {name}s</label>"
        );
    }
    text += "</div>\n";
    for findings in outcome.findings.chunk_by(|a, b| a.code == b.code) {
        let code = findings[0].code;
        let severity = code.severity().name();
        let (title, name, count) = (code.title(), code.name(), findings.len());
        let _ = write!(
            text,
            "<section class=\"group\" data-severity=\"{severity}\"><h3><span class=\"{severity}\">\
             {severity}</span>: {title} ({count}) <code>{name}</code></h3>\n<ul>"
        );
        for finding in findings {
            text += &item(finding);
        }
        text += "</ul></section>\n";
    }
    text
}

fn item(finding: &Finding) -> String {
    let mut text = format!(
        "<li><span class=\"path\">{}</span>",
        escaped(&finding.path.to_string())
    );
    if let Some(target) = &finding.target {
        let target = escaped(&target.to_string());
        let _ = write!(text, " → <span class=\"path\">{target}</span>");
    }
    if finding.bytes_wasted > 0 {
        let size = HumanBytes(finding.bytes_wasted);
        let _ = write!(text, " <span class=\"size\">{size}</span>");
    }
    let message = marked(&finding.message);
    let _ = write!(text, "<p>{message}</p>");
    if !finding.fix.is_empty() {
        let fix = marked(&finding.fix);
        let _ = write!(text, "<p>Fix: {fix}</p>");
    }
    text + "</li>\n"
}

/// What the script draws: entries as parent, name, kind and size, the bundle itself first;
/// links' targets, and findings as entry, whether bytes are wasted, target and message.
fn data(name: &str, outcome: &Outcome) -> Value {
    let mut entries = vec![json!([0, "", 0, 0])];
    let mut links = Vec::new();
    let mut known: HashMap<&[u8], usize> = HashMap::from([(&b""[..], 0)]);
    for entry in &outcome.entries {
        let path = entry.path.as_bytes();
        let folder = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        // Sorted by path, a folder stands before what is in it.
        let Some(parent) = known.get(&path[..folder]) else {
            continue;
        };
        let index = entries.len();
        entries.push(json!([parent, shown_name(entry), kind(entry), entry.size]));
        known.insert(path, index);
        if let Some(target) = &entry.target {
            links.push(json!([index, target.to_string()]));
        }
    }
    let mut messages: Vec<&str> = Vec::new();
    let findings = outcome.findings.iter().map(|finding| {
        let place = known.get(finding.path.as_bytes());
        let message = messages.iter().position(|told| *told == finding.message);
        let message = message.unwrap_or_else(|| {
            messages.push(&finding.message);
            messages.len() - 1
        });
        let place = place.map_or(-1, |place| i64::try_from(*place).unwrap_or(-1));
        let target = finding.target.as_ref().map(ToString::to_string);
        json!([place, finding.bytes_wasted > 0, target, message])
    });
    let findings: Vec<Value> = findings.collect();
    json!({
        "name": name,
        "entries": entries,
        "links": links,
        "findings": findings,
        "messages": messages,
    })
}

fn shown_name(entry: &Entry) -> String {
    let path = entry.path.to_string();
    let name = path.rsplit('/').next().unwrap_or_default();
    name.to_owned()
}

fn kind(entry: &Entry) -> u8 {
    match entry.kind {
        EntryKind::Dir => 0,
        EntryKind::Symlink => 2,
        _ => 1,
    }
}

/// Text that is nothing but text in a page.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            char => escaped.push(char),
        }
    }
    escaped
}

/// The same, with what stands between backticks as code.
fn marked(text: &str) -> String {
    let parts: Vec<String> = text.split('`').map(escaped).collect();
    let mut marked = String::new();
    for (index, part) in parts.iter().enumerate() {
        let _ = match index % 2 == 1 && index + 1 < parts.len() {
            true => write!(marked, "<code>{part}</code>"),
            false => write!(marked, "{part}"),
        };
    }
    marked
}

/// JSON that can't end the element that it stands in.
fn embedded(data: &Value) -> String {
    let text = data.to_string();
    let text = text.replace('<', "\\u003c").replace('>', "\\u003e");
    text.replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn the_policy_allows_what_the_page_has() {
        for (name, text, hash) in [
            ("STYLE_HASH", STYLE, STYLE_HASH),
            ("SCRIPT_HASH", SCRIPT, SCRIPT_HASH),
        ] {
            let expected = format!("sha256-{}", STANDARD.encode(Sha256::digest(text)));
            assert_eq!(hash, expected, "{name}");
        }
    }

    #[test]
    fn names_are_text_whatever_they_are() {
        let hostile = "</script><img src=x onerror='alert(1)'>&\"";
        assert_eq!(
            escaped(hostile),
            "&lt;/script&gt;&lt;img src=x onerror=&#39;alert(1)&#39;&gt;&amp;&quot;"
        );
        let data = embedded(&json!([hostile]));
        assert!(!data.contains(['<', '>', '&']), "{data}");
        let read: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(read[0], hostile);
        assert_eq!(marked("a `<b>` c"), "a <code>&lt;b&gt;</code> c");
        assert_eq!(marked("a ` b"), "a  b");
    }
}
