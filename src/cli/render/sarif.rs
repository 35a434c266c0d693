//! Findings as SARIF 2.1.0, for code hosts that show them beside the code.
//!
//! Every code is a rule, every finding a result. Locations are addresses below what was
//! named on the command line, as it was named: a relative path stays relative.

use std::fmt::Write as _;
use std::path::Path;

use bundlecp::doctor::{Code, Finding, Outcome};
use serde_json::{Value, json};

const SCHEMA: &str = "https://json.schemastore.org/sarif-2.1.0.json";

/// The log of one examination of what is at `shown`.
pub(crate) fn sarif(shown: &Path, outcome: &Outcome) -> Value {
    let is_there = |code: &&Code| outcome.findings.iter().any(|found| found.code == **code);
    let codes: Vec<Code> = Code::ALL.iter().filter(is_there).copied().collect();
    let rules: Vec<Value> = codes.iter().map(|code| rule(*code)).collect();
    let results = outcome.findings.iter();
    let results: Vec<Value> = results.map(|found| result(shown, &codes, found)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "bundlecp",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "utf16CodeUnits",
            "results": results,
        }],
    })
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.name(),
        "shortDescription": { "text": code.title() },
        "defaultConfiguration": { "level": code.severity().name() },
    })
}

fn result(shown: &Path, codes: &[Code], finding: &Finding) -> Value {
    let rule = codes.iter().position(|code| *code == finding.code);
    let mut text = format!("`{}`", finding.path);
    if let Some(target) = &finding.target {
        let _ = write!(text, " -> `{target}`");
    }
    let _ = write!(text, ": {}", finding.message);
    if !finding.fix.is_empty() {
        let _ = write!(text, ". Fix: {}", finding.fix);
    }
    json!({
        "ruleId": finding.code.name(),
        "ruleIndex": rule,
        "level": finding.severity.name(),
        "message": { "text": text },
        "locations": [{ "physicalLocation": {
            "artifactLocation": { "uri": address(shown, finding) },
            "region": { "startLine": 1 },
        }}],
        "partialFingerprints": {
            "codeAndPath/v1": format!("{} {}", finding.code.name(), finding.path),
        },
        "properties": { "bytesWasted": finding.bytes_wasted },
    })
}

/// The address of what a finding is about: RFC 3986, a byte that isn't allowed as `%XX`.
fn address(shown: &Path, finding: &Finding) -> String {
    let mut address = match shown.is_absolute() {
        true => "file://".to_owned(),
        false => String::new(),
    };
    let whole = shown.join(finding.path.to_path_buf());
    for byte in whole.as_os_str().as_encoded_bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'.' | b'_' | b'~' => {
                address.push(char::from(*byte));
            }
            byte => {
                let _ = write!(address, "%{byte:02X}");
            }
        }
    }
    address
}
