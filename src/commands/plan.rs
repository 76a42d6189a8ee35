//! `larder plan`: shows what would change, and may write it to a file. Writes nothing to any host.

use std::path::Path;

use crate::cli::{Global, Planning};
use crate::model::Problem;
use crate::plan::{self, Operation, Plan};
use crate::state::file;
use crate::view;

use super::look::{Purpose, asked, look};
use super::terminal::Terminal;
use super::{Exit, Failure, Outcome, Workspace};

pub(super) struct Wanted<'a> {
    pub(super) out: Option<&'a Path>,
    pub(super) detailed_exitcode: bool,
    pub(super) destroy: bool,
}

pub(super) async fn run(global: &Global, planning: &Planning, wanted: &Wanted<'_>, terminal: &Terminal) -> Outcome {
    let workspace = Workspace::open(global, &planning.variables)?;
    terminal.warnings(&workspace.warnings, &workspace.sources());
    let state = workspace.read_state()?;
    terminal.interrupted(&workspace.state)?;
    let looked = look(&workspace, &state, planning, Purpose::of_change(wanted.destroy)).await?;
    terminal.warnings(&looked.warnings, &workspace.sources());
    let plan = looked.plan(&workspace, &state)?;
    terminal.plan(&plan, Some(looked.elapsed), planning.verbose);
    looked.close().await;
    if let Some(path) = wanted.out {
        write(&plan, path)?;
        terminal.hint(&match is_refused(&plan) {
            true => format!("The plan is in {}, for reading: apply refuses it as it stands.", path.display()),
            false => {
                let asked = asked(global, planning, workspace.configuration.as_ref());
                let way = view::report::carry_out(&asked, &path.display().to_string());
                format!("The plan is in {}. Carry it out with: {way}", path.display())
            }
        });
    } else if !terminal.is_json() && !is_refused(&plan) {
        let mut asked = asked(global, planning, workspace.configuration.as_ref());
        asked.is_destroy = wanted.destroy;
        if let Some(way) = view::report::way_on(&plan, &asked) {
            terminal.hint(&way);
        }
    }
    Ok(exit(&plan, wanted.detailed_exitcode))
}

/// Whether apply carries out none of it. What changes no host has no dangers.
pub(super) fn is_refused(plan: &Plan) -> bool {
    plan.operation != Operation::RefreshOnly && plan.blocking().next().is_some()
}

/// The exit code of a plan: a host that did not answer comes first, for then the plan is not whole.
pub(super) fn exit(plan: &Plan, detailed: bool) -> Exit {
    if !plan.unknown.is_empty() {
        Exit::Unreachable
    } else if is_refused(plan) {
        Exit::Refused
    } else if detailed && plan.has_changes() {
        Exit::Changes
    } else {
        Exit::Done
    }
}

fn write(plan: &Plan, path: &Path) -> Result<(), Failure> {
    let failed = |error: &dyn std::fmt::Display| {
        Problem::error(
            "plan-unwritable",
            format!("the plan cannot be written to {}", path.display()),
            format!("{error}. Choose another file."),
        )
    };
    let text = serde_json::to_vec_pretty(&plan::seal(plan)).map_err(|error| failed(&error))?;
    file::replace(path, &text).map_err(|error| failed(&error).into())
}

/// Reads a plan file.
pub(super) fn read(path: &Path) -> Result<Plan, Failure> {
    let cure = "Make a new one with `larder plan -out FILE`.";
    let broken = |why: String| {
        Problem::error(
            "plan-unreadable",
            format!("{} is no plan that can be carried out", path.display()),
            format!("{why} {cure}"),
        )
    };
    let bytes = std::fs::read(path).map_err(|error| broken(format!("It cannot be read: {error}.")))?;
    let mut content: serde_json::Value =
        serde_json::from_slice(&bytes).map_err(|error| broken(format!("It is damaged or cut off: {error}.")))?;
    let made_by = content.get("larder_version").and_then(serde_json::Value::as_str).unwrap_or("another program");
    if made_by != env!("CARGO_PKG_VERSION") {
        return Err(broken(format!("It was made by larder {made_by:?}; this is {}.", env!("CARGO_PKG_VERSION"))).into());
    }
    let altered = || broken("It was altered: its checksum does not fit its content.".to_owned());
    if !plan::unseal(&mut content) {
        return Err(altered().into());
    }
    let plan: Plan = serde_path_to_error::deserialize(content).map_err(|error| broken(format!("{error}.")))?;
    match plan.is_unaltered() {
        true => Ok(plan),
        false => Err(altered().into()),
    }
}
