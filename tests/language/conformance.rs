//! Each expression of the set has Terraform's value, type and kind of error, except for the known differences, which must
//! be real.

use std::collections::BTreeMap;
use std::path::Path;

use larder::config::{Inputs, Value, load};
use larder::model::Problems;
use serde::Deserialize;

use crate::kinds::kinds;

#[derive(Deserialize)]
struct Expected {
    id: String,
    expression: String,
    kind: String,
    json: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    #[serde(default)]
    sensitive: bool,
    summary: Option<String>,
}

/// How the value or the error differs, if it does.
fn difference(expected: &Expected, got: &Result<Value, Problems>) -> Option<String> {
    match (expected.kind.as_str(), got) {
        ("error", Ok(value)) => Some(format!("should be an error, is {}", json(value))),
        ("error", Err(problems)) => {
            let summary = expected.summary.as_deref().unwrap_or_default();
            let wanted = code(summary);
            // What the scanner and the parser say of a text that is not closed is a matter of taste.
            let is_syntax = |code: &str| matches!(code, "syntax" | "unterminated-string");
            let agrees = |code: &str| code == wanted || is_syntax(code) && is_syntax(&wanted);
            match problems.iter().any(|problem| agrees(&problem.code)) {
                true => None,
                false => {
                    Some(format!("should be {wanted}, is {:?}", problems.iter().map(|p| &p.code).collect::<Vec<_>>()))
                }
            }
        }
        (_, Err(problems)) => Some(format!("should have a value, but: {problems:?}")),
        (_, Ok(value)) => {
            let wanted = expected.json.clone().unwrap_or_default();
            // Terraform escapes for HTML when it prints.
            let wanted = match value.ty() {
                larder::config::Type::Text if !expected.expression.starts_with("jsonencode") => {
                    wanted.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&")
                }
                _ => wanted,
            };
            let json = json(value);
            let ty = squeeze(&value.ty().to_string());
            let wanted_ty = squeeze(expected.ty.as_deref().unwrap_or_default());
            if json != wanted {
                Some(format!("should be {wanted}, is {json}"))
            } else if ty != wanted_ty {
                Some(format!("should be of type {wanted_ty}, is {ty}"))
            } else if value.sensitive != expected.sensitive {
                Some(format!("should be sensitive: {}", expected.sensitive))
            } else {
                None
            }
        }
    }
}

fn squeeze(ty: &str) -> String {
    let text: String = ty.chars().filter(|c| !c.is_whitespace()).collect();
    text.replace(",)", ")").replace(",]", "]").replace(",}", "}")
}

/// The code that stands for one of Terraform's summaries; everything that its parser says is one code here.
fn code(summary: &str) -> String {
    let syntax = [
        "Invalid expression",
        "Extra characters after expression",
        "Invalid 'for' expression",
        "Invalid escape sequence",
        "Missing expression",
        "Unexpected endif directive",
        "Unexpected else directive",
        "Unexpected end of template",
        "Invalid character",
        "Unbalanced parentheses",
        "Unsupported operator",
        "Missing false expression in conditional",
        "Missing key/value separator",
        "Missing item separator",
        "Unclosed template interpolation sequence",
        "Extra characters after interpolation expression",
    ];
    match summary {
        "Unterminated template string" | "Invalid multi-line string" => "unterminated-string".to_owned(),
        _ if syntax.contains(&summary) => "syntax".to_owned(),
        _ => summary.replace('\'', "").to_lowercase().replace(' ', "-"),
    }
}

/// The value with all digits of its numbers.
fn json(value: &Value) -> String {
    value.to_json_text().unwrap_or_else(|| "(unknown)".to_owned())
}

#[test]
fn expressions_have_terraforms_values() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("main.hcl"), include_str!("context.hcl")).expect("a file");
    let loaded = load(directory.path(), &Inputs::default(), kinds());
    let configuration = loaded.configuration.unwrap_or_else(|| panic!("{:#?}", loaded.problems));
    let evaluated = configuration.evaluate(None);
    assert_eq!(evaluated.problems, []);

    let known: BTreeMap<&str, &str> = include_str!("differences.txt")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), Vec::new());
    for line in include_str!("expressions.jsonl").lines() {
        let expected: Expected = serde_json::from_str(line).expect("a row of the set");
        let got = configuration.expression(&expected.expression, None);
        let difference = difference(&expected, &got);
        let reason = known.get(expected.id.as_str());
        seen.push(expected.id.clone());
        match (difference, reason) {
            (Some(difference), None) => wrong.push(format!("{}: {:?} {difference}", expected.id, expected.expression)),
            (None, Some(_)) => wrong.push(format!("{}: agrees now; take it off differences.txt", expected.id)),
            (Some(_), Some(reason)) => assert!(!reason.trim().is_empty(), "{} is listed without a reason", expected.id),
            (None, None) => {}
        }
    }
    for id in known.keys() {
        assert!(seen.iter().any(|seen| seen == id), "{id} of differences.txt is not in the set");
    }
    if let Ok(path) = std::env::var("LANGUAGE_DIFFERENCES") {
        std::fs::write(Path::new(&path), wrong.join("\n")).expect("the report");
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), seen.len(), wrong.join("\n"));
}

#[test]
fn the_documentation_names_every_function() {
    let text = include_str!("../../docs/language.md");
    let words: Vec<&str> = text.split(|c: char| !(c.is_alphanumeric() || c == '_')).collect();
    for name in larder::config::function_names() {
        assert!(words.contains(&name), "docs/language.md does not name {name}");
    }
}
