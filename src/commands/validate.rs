//! `larder validate`: everything that is wrong with the configuration, without asking any host.

use crate::cli::{Global, Variables};
use crate::model::Problem;
use crate::{plan, view};

use super::terminal::Terminal;
use super::{Exit, Failure, Outcome, Workspace};

pub(super) fn run(global: &Global, variables: &Variables, terminal: &Terminal) -> Outcome {
    match (check(global, variables), terminal.is_json()) {
        (Ok((_, problems)), true) => {
            terminal.json(&view::problems::validation(&problems));
            Ok(Exit::Done)
        }
        (Ok((workspace, problems)), false) => {
            terminal.warnings(&problems, &workspace.sources());
            let count = workspace.desired.blocks.len();
            terminal.say(&format!("The configuration is valid: {count} resources."));
            Ok(Exit::Done)
        }
        (Err(failure), true) => {
            terminal.json(&view::problems::validation(&failure.problems));
            Ok(failure.exit)
        }
        (Err(failure), false) => Err(failure),
    }
}

/// The configuration, and what does not make it invalid.
fn check(global: &Global, variables: &Variables) -> Result<(Workspace, Vec<Problem>), Failure> {
    let workspace = Workspace::open(global, variables)?;
    let mut problems = workspace.warnings.clone();
    problems.extend(plan::conflicts(&workspace.desired.blocks));
    match problems.iter().any(Problem::is_error) {
        true => Err(workspace.failure(Exit::Error, problems)),
        false => Ok((workspace, problems)),
    }
}
