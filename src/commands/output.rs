//! `larder output`: the output values that the last apply left in the state. Sensitive ones are never stored.

use crate::cli::Global;
use crate::model::Problem;
use crate::view;

use super::terminal::Terminal;
use super::workspace::state_of;
use super::{Exit, Failure, Outcome};

pub(super) fn run(global: &Global, name: Option<&str>, raw: bool, terminal: &Terminal) -> Outcome {
    let outputs = state_of(global, terminal)?.read()?.outputs;
    let Some(name) = name else {
        if outputs.is_empty() && !terminal.is_json() {
            terminal.hint(
                "The state has no outputs: `larder apply` writes those of the configuration that are not sensitive.",
            );
        }
        match terminal.is_json() {
            true => terminal.json(&serde_json::to_value(&outputs).unwrap_or_default()),
            false => outputs
                .iter()
                .for_each(|(name, value)| terminal.say(&format!("{name} = {}", view::values::render(value)))),
        }
        return Ok(Exit::Done);
    };
    let value = outputs.get(name).ok_or_else(|| {
        let near = crate::model::problem::did_you_mean(name, outputs.keys().map(String::as_str));
        let cure = match near {
            Some(near) => format!("Did you mean {near}?"),
            None => {
                "`larder output` lists them. They are written by apply; sensitive ones are never stored.".to_owned()
            }
        };
        Failure::from(Problem::error("no-such-output", format!("the state has no output {name:?}"), cure))
    })?;
    match (raw, value) {
        (true, serde_json::Value::String(text)) => terminal.raw(text),
        (true, serde_json::Value::Number(_) | serde_json::Value::Bool(_)) => terminal.raw(&value.to_string()),
        (true, _) => {
            return Err(Problem::error(
                "not-a-text",
                format!("the output {name} is no text, number or bool"),
                "Use -json for others.",
            )
            .into());
        }
        (false, _) if terminal.is_json() => terminal.json(value),
        (false, _) => terminal.say(&view::values::render(value)),
    }
    Ok(Exit::Done)
}
