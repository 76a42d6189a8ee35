//! `larder show`: a plan file as it was shown when it was made, or the state.

use std::path::Path;

use crate::cli::Global;

use super::terminal::Terminal;
use super::workspace::state_of;
use super::{Exit, Outcome, plan, state};

pub(super) fn run(global: &Global, file: Option<&Path>, verbose: bool, terminal: &Terminal) -> Outcome {
    match file.filter(|file| file.as_os_str() != "state") {
        Some(file) => terminal.plan(&plan::read(file)?, None, verbose),
        None => {
            let local = state_of(global, terminal)?;
            let state = local.read()?;
            if state.resources.is_empty() && !terminal.is_json() {
                terminal.hint(&state::nothing_yet(&local));
            }
            match terminal.is_json() {
                true => terminal.json(&serde_json::to_value(&state).unwrap_or_default()),
                false => {
                    state.resources.iter().for_each(|(address, record)| terminal.say(&state::describe(address, record)))
                }
            }
        }
    }
    Ok(Exit::Done)
}
