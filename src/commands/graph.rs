//! `larder graph`: the resources and what they depend on, as DOT or Mermaid.

use crate::cli::{Global, Variables};
use crate::view;

use super::terminal::Terminal;
use super::{Exit, Outcome, Workspace};

pub(super) fn run(global: &Global, variables: &Variables, format: &str, terminal: &Terminal) -> Outcome {
    let workspace = Workspace::open(global, variables)?;
    let text = match format {
        "mermaid" => view::graph::mermaid(&workspace.desired.blocks),
        _ => view::graph::dot(&workspace.desired.blocks),
    };
    terminal.say(&text);
    Ok(Exit::Done)
}
