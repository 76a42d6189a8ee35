//! `larder validate`: everything that is wrong with the configuration, without asking any host.

use crate::cli::{Global, Variables};
use crate::model::Problem;
use crate::plan;

use super::terminal::Terminal;
use super::{Exit, Outcome, Workspace};

pub(super) fn run(global: &Global, variables: &Variables, terminal: &Terminal) -> Outcome {
    let workspace = Workspace::open(global, variables)?;
    let mut problems = workspace.warnings.clone();
    problems.extend(plan::conflicts(&workspace.desired.blocks));
    if problems.iter().any(Problem::is_error) {
        return Err(workspace.failure(Exit::Error, problems));
    }
    if terminal.is_json() {
        let mut json = crate::view::problems::json(&problems);
        json["valid"] = true.into();
        terminal.json(&json);
        return Ok(Exit::Done);
    }
    terminal.warnings(&problems, &workspace.sources());
    let count = workspace.desired.blocks.len();
    terminal.say(&format!("The configuration is valid: {count} resources."));
    Ok(Exit::Done)
}
