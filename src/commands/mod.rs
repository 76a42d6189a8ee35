//! One verb a file, each a recipe that reads aloud. Only here is anything printed.

mod apply;
mod completions;
mod console;
mod discover;
mod explain;
mod fmt;
mod graph;
mod init;
mod lab;
mod look;
mod man;
mod output;
mod plan;
mod show;
mod sources;
mod state;
mod status;
mod terminal;
mod usage;
mod validate;
mod workspace;

use std::collections::BTreeMap;

use crate::cli::{self, Cli, Command, Planning};
use crate::model::{Problem, Problems};

pub use usage::explain;

use terminal::Terminal;
use workspace::Workspace;

/// How a command ended; the number is the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Error = 1,
    /// Changes are present (`plan -detailed-exitcode`, `fmt -check`).
    Changes = 2,
    Usage = 3,
    /// Something changed since the plan was made.
    Stale = 4,
    Locked = 5,
    Refused = 6,
    /// Some steps were done and some were not.
    Partial = 7,
    /// A host did not answer.
    Unreachable = 8,
}

/// Why a command gave up: everything that is wrong, with the sources that the places speak of.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub problems: Problems,
    pub sources: BTreeMap<String, String>,
}

impl Failure {
    fn new(exit: Exit, problem: Problem) -> Self {
        Failure { exit, problems: vec![problem], sources: BTreeMap::new() }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        let exit = match problem.code.as_str() {
            "state-locked" | "host-locked" => Exit::Locked,
            "stale-plan" => Exit::Stale,
            _ => Exit::Error,
        };
        Failure::new(exit, problem)
    }
}

/// What a command comes to.
pub type Outcome = Result<Exit, Failure>;

/// Runs the command that was typed.
pub async fn run(cli: Cli) -> Exit {
    let terminal = Terminal::new(
        &cli.global,
        wants_json(&cli.command),
        matches!(cli.command, Command::Apply { .. } | Command::Destroy { .. } | Command::Console { .. }),
    );
    if let Some(note) = cli::of_environment(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())) {
        terminal.hint(note);
    }
    match dispatch(&cli, &terminal).await {
        Ok(exit) => exit,
        Err(failure) => {
            terminal.problems(&failure.problems, &failure.sources);
            failure.exit
        }
    }
}

async fn dispatch(cli: &Cli, terminal: &Terminal) -> Outcome {
    let global = &cli.global;
    match &cli.command {
        Command::Init { upgrade, .. } => init::run(global, *upgrade, terminal),
        Command::Validate { variables, .. } => validate::run(global, variables, terminal),
        Command::Fmt(formatting) => fmt::run(global, formatting, terminal),
        Command::Plan { planning, out, detailed_exitcode, destroy, .. } => {
            let wanted = plan::Wanted { out: out.as_deref(), detailed_exitcode: *detailed_exitcode, destroy: *destroy };
            plan::run(global, planning, &wanted, terminal).await
        }
        Command::Apply { planning, locking, approval, plan: None } => {
            apply::run(global, planning, locking, approval, false, terminal).await
        }
        Command::Apply { planning, locking, plan: Some(file), .. } => {
            apply::run_file(global, planning, locking, file, terminal).await
        }
        Command::Destroy { planning, locking, approval } => {
            apply::run(global, planning, locking, approval, true, terminal).await
        }
        Command::Show { plan, verbose, .. } => show::run(global, plan.as_deref(), *verbose, terminal),
        Command::Discover { hosts, out, path, variables } => {
            let wanted = discover::Wanted { hosts, out: out.as_deref(), paths: path, variables };
            discover::run(global, &wanted, terminal).await
        }
        Command::Status { variables, .. } => status::run(global, variables, terminal).await,
        Command::State(command) => state::run(global, command, terminal),
        Command::Output { name, raw, .. } => output::run(global, name.as_deref(), *raw, terminal),
        Command::Graph { variables, format, kind, plan, destroy, target, exclude } => {
            let planning = Planning {
                variables: variables.clone(),
                target: target.clone(),
                exclude: exclude.clone(),
                ..Planning::default()
            };
            let wanted = graph::Wanted { format, kind: kind.as_deref(), file: plan.as_deref(), destroy: *destroy };
            graph::run(global, &planning, &wanted, terminal).await
        }
        Command::Console { variables, .. } => console::run(global, variables, terminal),
        Command::Explain { code, .. } => explain::run(code.as_deref(), terminal),
        Command::Lab(command) => lab::run(global, command, terminal).await,
        Command::ForceUnlock => state::force_unlock(global, terminal),
        Command::Completions { shell } => completions::script(shell, terminal),
        Command::Complete { bash, words } => completions::complete(bash.as_deref(), words, terminal),
        Command::Man { directory } => man::run(directory.as_deref(), terminal),
        Command::Version { json } => {
            match json {
                true => terminal.json(&serde_json::json!({
                    "larder_version": env!("CARGO_PKG_VERSION"),
                    "platform": cli::platform(),
                })),
                false => terminal.say(&format!("larder {}", cli::version())),
            }
            Ok(Exit::Done)
        }
    }
}

fn wants_json(command: &Command) -> bool {
    match command {
        Command::Validate { json, .. }
        | Command::Show { json, .. }
        | Command::Status { json, .. }
        | Command::Output { json, .. }
        | Command::Console { json, .. }
        | Command::Explain { json, .. }
        | Command::Version { json } => *json,
        Command::Plan { planning, .. } | Command::Apply { planning, .. } | Command::Destroy { planning, .. } => {
            planning.json
        }
        Command::State(crate::cli::StateCommand::Show { json, .. })
        | Command::Lab(crate::cli::LabCommand::List { json }) => *json,
        _ => false,
    }
}
