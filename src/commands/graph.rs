//! `larder graph`: the resources and what they depend on, or the steps of a plan in their order, as DOT or Mermaid.

use std::path::Path;

use crate::cli::{Global, Planning};
use crate::model::Problem;
use crate::plan::Plan;
use crate::view;

use super::look::{Purpose, look};
use super::terminal::Terminal;
use super::{Exit, Failure, Outcome, Workspace, plan};

pub(super) struct Wanted<'a> {
    pub(super) format: &'a str,
    /// `resources` or `plan`.
    pub(super) kind: Option<&'a str>,
    pub(super) file: Option<&'a Path>,
    pub(super) destroy: bool,
}

pub(super) async fn run(global: &Global, planning: &Planning, wanted: &Wanted<'_>, terminal: &Terminal) -> Outcome {
    let is_mermaid = wanted.format == "mermaid";
    let kind = wanted.kind.unwrap_or(if wanted.file.is_some() { "plan" } else { "resources" });
    let of_plan = [
        ("-destroy", wanted.destroy),
        ("-target", !planning.target.is_empty()),
        ("-exclude", !planning.exclude.is_empty()),
    ];
    if let Some((option, _)) = of_plan.iter().find(|(_, is_given)| *is_given && kind != "plan") {
        let summary = format!("{option} is about a plan");
        let problem = Problem::error("invalid-option", summary, "Add -type=plan, or leave it out.");
        return Err(Failure::new(Exit::Usage, problem));
    }
    let (text, exit) = match (wanted.file, kind) {
        (Some(file), "plan") => (steps(&plan::read(file)?, is_mermaid), Exit::Done),
        (Some(file), _) => (resources(&plan::read(file)?.desired, is_mermaid), Exit::Done),
        (None, "plan") => {
            let (plan, exit) = made(global, planning, wanted.destroy, terminal).await?;
            (steps(&plan, is_mermaid), exit)
        }
        (None, _) => (resources(&Workspace::open(global, &planning.variables)?.desired.blocks, is_mermaid), Exit::Done),
    };
    terminal.say(&text);
    if let Some(why) = is_mermaid.then(|| view::graph::too_large_for_mermaid(&text)).flatten() {
        terminal.hint(&why);
    }
    Ok(exit)
}

fn resources(blocks: &crate::model::Blocks, is_mermaid: bool) -> String {
    match is_mermaid {
        true => view::graph::mermaid(blocks),
        false => view::graph::dot(blocks),
    }
}

fn steps(plan: &Plan, is_mermaid: bool) -> String {
    match is_mermaid {
        true => view::graph::plan_mermaid(plan),
        false => view::graph::plan_dot(plan),
    }
}

/// Asks the hosts, and makes the plan that is drawn. A graph can be drawn of a plan that apply would refuse; only a host
/// that did not answer makes it less than the whole.
async fn made(
    global: &Global,
    planning: &Planning,
    destroy: bool,
    terminal: &Terminal,
) -> Result<(Plan, Exit), Failure> {
    let workspace = Workspace::open(global, &planning.variables)?;
    terminal.warnings(&workspace.warnings, &workspace.sources());
    let state = workspace.read_state()?;
    let looked = look(&workspace, &state, planning, Purpose::of_change(destroy)).await?;
    terminal.warnings(&looked.warnings, &workspace.sources());
    let plan = looked.plan(&workspace, &state)?;
    looked.close().await;
    let exit = if plan.unknown.is_empty() { Exit::Done } else { Exit::Unreachable };
    Ok((plan, exit))
}
