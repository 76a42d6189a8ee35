//! `larder explain`: what a code means, why Larder refuses, and how to mend it. It reads no configuration and asks nobody.

use crate::model::{Problem, escape_line};
use crate::view::explain;

use super::terminal::Terminal;
use super::{Exit, Failure, Outcome};

pub(super) fn run(code: Option<&str>, terminal: &Terminal) -> Outcome {
    let Some(code) = code else {
        match terminal.is_json() {
            true => terminal.json(&explain::entries().iter().map(explain::Entry::json).collect()),
            false => terminal.say(&explain::list(terminal.style())),
        }
        return Ok(Exit::Done);
    };
    // As it stands in a message: `error[invalid-size]`.
    let code = code.trim_start_matches("error").trim_start_matches("warning").trim_matches(['[', ']']);
    let Some(entry) = explain::find(code) else {
        let cure = match explain::nearest(code) {
            Some(near) => format!("Did you mean {near}? `larder explain` lists all codes."),
            None => "`larder explain` lists all codes.".to_owned(),
        };
        let problem = Problem::error("no-such-code", format!("there is no code {}", escape_line(code)), cure);
        return Err(Failure::new(Exit::Usage, problem));
    };
    match terminal.is_json() {
        true => terminal.json(&entry.json()),
        false => terminal.say(&explain::render(entry, terminal.style())),
    }
    Ok(Exit::Done)
}
