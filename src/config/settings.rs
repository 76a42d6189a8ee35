//! The `larder` block: where the state is, and the limits of an apply.

use super::declare::unexpected;
use super::eval::Evaluator;
use super::syntax::{Attribute, Block};
use super::types::Type;
use super::value::Value;
use crate::model::Problem;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file of the state, relative to the directory of the configuration.
    pub state_path: String,
    pub state_path_is: Origin,
    /// How many steps run at the same time.
    pub parallelism: usize,
    /// The most unmounts and deletions of one plan; 0 is no limit.
    pub max_destroy: usize,
    /// The most hosts that are changed at the same time; 0 is no limit.
    pub max_hosts_at_once: usize,
    pub required_version: Option<String>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Default,
    Written,
    /// It is written and means nothing, which is a problem by itself.
    Unreadable,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            state_path: "state/larder.state.json".to_owned(),
            state_path_is: Origin::Default,
            parallelism: 10,
            max_destroy: 0,
            max_hosts_at_once: 0,
            required_version: None,
        }
    }
}

const APPLY: &[&str] = &["parallelism", "max_destroy", "max_hosts_at_once"];

/// Reads the block; problems go to the evaluator.
pub(super) fn read(evaluator: &mut Evaluator<'_>, block: Option<&Block>) -> Settings {
    let mut settings = Settings::default();
    let Some(block) = block else { return settings };
    let problems = unexpected(evaluator.sources, &block.body, &["required_version"], &["state", "apply"], "`larder`");
    evaluator.problems.extend(problems);
    if let Some(attribute) = block.body.attribute("required_version")
        && let Some(text) = text(evaluator, attribute)
    {
        check_version(evaluator, attribute, &text);
        settings.required_version = Some(text);
    }
    let mut seen: Option<&Block> = None;
    for state in block.body.blocks("state") {
        match state.labels.first().map(|(label, _)| label.as_ref()) {
            Some("local") if state.labels.len() == 1 => {
                let problems = unexpected(evaluator.sources, &state.body, &["path"], &[], "`state \"local\"`");
                evaluator.problems.extend(problems);
                if let Some(attribute) = state.body.attribute("path") {
                    settings.state_path_is = Origin::Unreadable;
                    match text(evaluator, attribute) {
                        Some(path) if path.trim().is_empty() => report(
                            evaluator,
                            attribute,
                            "invalid-path",
                            "The path of the state is empty",
                            "Name a file.",
                        ),
                        Some(path) => {
                            settings.state_path = path;
                            settings.state_path_is = Origin::Written;
                        }
                        None => {}
                    }
                }
            }
            Some(other @ ("http" | "s3" | "pg")) => {
                let summary = format!("State in \"{other}\" is not supported yet");
                let detail = "Use `state \"local\" { path = \"...\" }`.";
                let place = evaluator.sources.place(state.header);
                evaluator.problems.push(Problem::error("not-supported", summary, detail).at(place.as_ref()));
                settings.state_path_is = Origin::Unreadable;
            }
            _ => {
                let detail = "Write `state \"local\" { path = \"...\" }`.";
                let place = evaluator.sources.place(state.header);
                let problem = Problem::error("unknown-state", "There is no such place for the state", detail);
                evaluator.problems.push(problem.at(place.as_ref()));
                settings.state_path_is = Origin::Unreadable;
            }
        }
        if seen.replace(state).is_some() {
            let place = evaluator.sources.place(state.header);
            let detail = "The state is in one place. Remove one of the two.";
            settings.state_path_is = Origin::Unreadable;
            evaluator
                .problems
                .push(Problem::error("duplicate-block", "There are two `state` blocks", detail).at(place.as_ref()));
        }
    }
    for apply in block.body.blocks("apply") {
        let problems = unexpected(evaluator.sources, &apply.body, APPLY, &[], "`apply`");
        evaluator.problems.extend(problems);
        for attribute in &apply.body.attributes {
            let Some(number) = number(evaluator, attribute) else { continue };
            match attribute.name.as_ref() {
                "parallelism" if number == 0 => {
                    report(evaluator, attribute, "wrong-type", "`parallelism` cannot be 0", "At least 1 is needed.");
                }
                "parallelism" => settings.parallelism = number,
                "max_destroy" => settings.max_destroy = number,
                "max_hosts_at_once" => settings.max_hosts_at_once = number,
                _ => {}
            }
        }
    }
    settings
}

/// Reads the block of a module that is not the root: it may only say which version it needs.
pub(super) fn read_version(evaluator: &mut Evaluator<'_>, block: Option<&Block>) {
    let Some(block) = block else { return };
    let known = ["required_version"];
    if block.body.attributes.iter().all(|one| known.contains(&one.name.as_ref())) && block.body.blocks.is_empty() {
        if let Some(attribute) = block.body.attribute("required_version")
            && let Some(text) = text(evaluator, attribute)
        {
            check_version(evaluator, attribute, &text);
        }
        return;
    }
    let detail =
        "The state and the limits of an apply are those of the root. A module may say `required_version` only.";
    let place = evaluator.sources.place(block.header);
    let problem = Problem::error("settings-in-module", "A module has no settings", detail);
    evaluator.problems.push(problem.at(place.as_ref()));
}

fn report(evaluator: &mut Evaluator<'_>, attribute: &Attribute, code: &str, summary: &str, detail: &str) {
    let place = evaluator.sources.place(attribute.value.span);
    evaluator.problems.push(Problem::error(code, summary, detail).at(place.as_ref()));
}

/// Whether the value is sensitive, which is reported: settings are shown in messages and plans.
fn is_secret(evaluator: &mut Evaluator<'_>, attribute: &Attribute, value: &Value) -> bool {
    if value.sensitive {
        let summary = format!("`{}` would show a sensitive value", attribute.name);
        let detail =
            "Settings are shown in messages and plans. Use another value, or `nonsensitive` if it is no secret.";
        report(evaluator, attribute, "sensitive-value", &summary, detail);
    }
    value.sensitive
}

fn text(evaluator: &mut Evaluator<'_>, attribute: &Attribute) -> Option<String> {
    let summary = format!("`{}` cannot be this", attribute.name);
    let value = evaluator.eval_as(&attribute.value, &Type::Text, "wrong-type", &summary).ok()?;
    if is_secret(evaluator, attribute, &value) {
        return None;
    }
    let text = value.as_text().map(|text| text.to_string());
    if text.is_none() {
        report(evaluator, attribute, "wrong-type", &summary, "A text is required.");
    }
    text
}

fn number(evaluator: &mut Evaluator<'_>, attribute: &Attribute) -> Option<usize> {
    let summary = format!("`{}` cannot be this", attribute.name);
    let value = evaluator.eval_as(&attribute.value, &Type::Number, "wrong-type", &summary).ok()?;
    if is_secret(evaluator, attribute, &value) {
        return None;
    }
    let number = value.as_number().and_then(|number| usize::try_from(number.to_u64()?).ok());
    if number.is_none() {
        report(evaluator, attribute, "wrong-type", &summary, "A whole number from 0 is required.");
    }
    number
}

/// A version as far as it is written: `0.1` is `[0, 1]`.
type Version = Vec<u64>;

fn version(text: &str) -> Option<Version> {
    let parts: Option<Version> = text.split('.').map(|part| part.parse().ok()).collect();
    parts.filter(|parts| (1..=3).contains(&parts.len()))
}

/// Whether a version satisfies a constraint like `>= 0.1, < 2` or `~> 0.1.2`; `None` where it is no constraint.
fn satisfies(version_text: &str, constraints: &str) -> Option<bool> {
    let mut own = version(version_text)?;
    own.resize(3, 0);
    let mut fits = true;
    for constraint in constraints.split(',') {
        let constraint = constraint.trim();
        let operator_end = constraint.find(|c: char| c.is_ascii_digit() || c == ' ').unwrap_or(constraint.len());
        let (operator, wanted) = constraint.split_at(operator_end);
        let written = version(wanted.trim())?;
        let mut wanted = written.clone();
        wanted.resize(3, 0);
        fits &= match operator {
            "" | "=" => own == wanted,
            "!=" => own != wanted,
            ">" => own > wanted,
            ">=" => own >= wanted,
            "<" => own < wanted,
            "<=" => own <= wanted,
            // The last number that is written may grow.
            "~>" => own >= wanted && own[..(written.len() - 1).max(1)] == wanted[..(written.len() - 1).max(1)],
            _ => return None,
        };
    }
    Some(fits)
}

fn check_version(evaluator: &mut Evaluator<'_>, attribute: &Attribute, constraint: &str) {
    let own = env!("CARGO_PKG_VERSION");
    match satisfies(own, constraint) {
        Some(true) => {}
        Some(false) => {
            let detail = format!("This is Larder {own}. Install a version that fits, or change `required_version`.");
            report(
                evaluator,
                attribute,
                "required-version",
                "This configuration needs another version of Larder",
                &detail,
            );
        }
        None => {
            let detail = "Write it like `\">= 0.1\"`, `\"~> 0.1\"` or `\">= 0.1, < 2\"`.";
            report(evaluator, attribute, "required-version", "This is not a version constraint", detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_compare_versions() {
        let table = [
            (">= 0.1", Some(true)),
            (">=0.1.0, < 1", Some(true)),
            ("> 0.1", Some(false)),
            ("~> 0.1", Some(true)),
            ("~> 0.1.0", Some(true)),
            ("~> 0.2", Some(false)),
            ("!= 0.1.0", Some(false)),
            ("0.1", Some(true)),
            ("newest", None),
            ("", None),
        ];
        for (constraint, fits) in table {
            assert_eq!(satisfies("0.1.0", constraint), fits, "{constraint}");
        }
    }
}
