//! What Terraform 1.11 makes of the expressions of `expressions.jsonl`, and how an answer is held against it.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

/// The configuration whose names the expressions use.
pub(crate) const CONTEXT: &str = include_str!("context.hcl");

#[derive(Deserialize)]
pub(crate) struct Expected {
    id: String,
    pub(crate) expression: String,
    kind: String,
    json: Option<String>,
    #[serde(rename = "type")]
    ty: Option<String>,
    #[serde(default)]
    sensitive: bool,
    summary: Option<String>,
}

/// What became of an expression.
#[derive(Debug)]
pub(crate) enum Got {
    Value {
        /// With all digits of its numbers.
        json: String,
        ty: String,
        sensitive: bool,
        /// In the shape of the value, `true` for each part that stands as null because it may not be seen.
        hidden: Value,
    },
    /// The codes of all problems.
    Errors(Vec<String>),
}

impl Expected {
    /// How the value or the error differs, if it does.
    fn difference(&self, got: &Got) -> Option<String> {
        match (self.kind.as_str(), got) {
            ("error", Got::Value { json, .. }) => Some(format!("should be an error, is {json}")),
            ("error", Got::Errors(codes)) => {
                let wanted = code(self.summary.as_deref().unwrap_or_default());
                // What the scanner and the parser say of a text that is not closed is a matter of taste.
                let is_syntax = |code: &str| matches!(code, "syntax" | "unterminated-string");
                let agrees = |code: &str| code == wanted || is_syntax(code) && is_syntax(&wanted);
                match codes.iter().any(|code| agrees(code)) {
                    true => None,
                    false => Some(format!("should be {wanted}, is {codes:?}")),
                }
            }
            (_, Got::Errors(codes)) => Some(format!("should have a value, but: {codes:?}")),
            (_, Got::Value { json, ty, sensitive, hidden }) => {
                let wanted = self.json.clone().unwrap_or_default();
                // Terraform escapes for HTML when it prints.
                let wanted = match ty == "string" && !self.expression.starts_with("jsonencode") {
                    true => wanted.replace("\\u003c", "<").replace("\\u003e", ">").replace("\\u0026", "&"),
                    false => wanted,
                };
                let ty = squeeze(ty);
                let wanted_ty = squeeze(self.ty.as_deref().unwrap_or_default());
                let agrees = match hidden {
                    Value::Null => *json == wanted,
                    hidden => {
                        let value = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
                        value(json) == without(value(&wanted), hidden)
                    }
                };
                match agrees {
                    false => Some(format!("should be {wanted}, is {json}")),
                    _ if ty != wanted_ty => Some(format!("should be of type {wanted_ty}, is {ty}")),
                    _ if *sensitive != self.sensitive => Some(format!("should be sensitive: {}", self.sensitive)),
                    _ => None,
                }
            }
        }
    }
}

/// The value with null where a part is hidden.
fn without(value: Value, hidden: &Value) -> Value {
    match (value, hidden) {
        (_, Value::Bool(true)) => Value::Null,
        (Value::Array(parts), Value::Array(marks)) => {
            parts.into_iter().zip(marks).map(|(part, mark)| without(part, mark)).collect()
        }
        (Value::Object(parts), Value::Object(marks)) => {
            let part = |(name, part): (String, Value)| {
                let part = marks.get(&name).map_or_else(|| part.clone(), |mark| without(part.clone(), mark));
                (name, part)
            };
            parts.into_iter().map(part).collect()
        }
        (value, _) => value,
    }
}

/// All expressions of the set, in their order.
pub(crate) fn expressions() -> Vec<Expected> {
    let lines = include_str!("expressions.jsonl").lines();
    lines.map(|line| serde_json::from_str(line).expect("a row of the set")).collect()
}

/// Holds each answer against its expression. Those that differ must be the ones of `differences.txt`.
#[track_caller]
pub(crate) fn compare<'a>(answers: impl Iterator<Item = (&'a Expected, Got)>) {
    let known: BTreeMap<&str, &str> = include_str!("differences.txt")
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .map(|line| line.split_once(' ').unwrap_or((line, "")))
        .collect();
    let (mut wrong, mut seen) = (Vec::new(), Vec::new());
    for (expected, got) in answers {
        let difference = expected.difference(&got);
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
