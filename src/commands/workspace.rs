//! The directory that a command works in: its configuration, its state, its lab.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::{Global, Variables};
use crate::config::{self, Configuration, Desired, Evaluated, Inputs, Origin, Statements};
use crate::kinds::{self, host};
use crate::lab::Lab;
use crate::model::block::Attributes;
use crate::model::problem::in_order;
use crate::model::{Connection, HostName, Moved, Problem, Problems, Selector, escape_line};
use crate::plan::{self, Plan};
use crate::state::{Holder, LocalState, State};

use super::terminal::Terminal;
use super::{Exit, Failure};

pub(super) struct Workspace {
    pub(super) directory: PathBuf,
    /// `None` for a plan file, which needs none.
    pub(super) configuration: Option<Configuration>,
    pub(super) desired: Desired,
    /// What does not stop the command.
    pub(super) warnings: Problems,
    pub(super) state: LocalState,
    pub(super) lab: Option<Lab>,
}

impl Workspace {
    /// Reads and evaluates the configuration, without asking any host.
    pub(super) fn open(global: &Global, variables: &Variables) -> Result<Self, Failure> {
        Workspace::open_with(global, variables, None)
    }

    /// The same, as if this text stood in a further file, under this name.
    pub(super) fn open_with(
        global: &Global,
        variables: &Variables,
        further: Option<(&str, &str)>,
    ) -> Result<Self, Failure> {
        let started = std::time::Instant::now();
        let directory = directory(global);
        let loaded = config::load_with(&directory, &inputs(variables), kinds::table(), further);
        let failed = |problems: Problems| Failure { exit: Exit::Error, problems, sources: loaded.sources.clone() };
        let Some(configuration) = loaded.configuration else { return Err(failed(loaded.problems)) };
        let evaluated = configuration.evaluate(None);
        let (resources, problems) = (evaluated.desired.blocks.len(), evaluated.problems.len());
        tracing::debug!(directory = %directory.display(), resources, problems, elapsed = ?started.elapsed(), "evaluated");
        let refused = refusals(&evaluated);
        let problems: Problems = loaded.problems.into_iter().chain(evaluated.problems).chain(refused).collect();
        if problems.iter().any(Problem::is_error) {
            let all = evaluated.desired.blocks.into_iter().chain(evaluated.in_error).collect();
            return Err(failed(in_order(problems.into_iter().chain(plan::conflicts(&all)).collect())));
        }
        let state = LocalState::new(state_path(global, &directory, &evaluated.desired.settings.state_path));
        let lab = global.lab.then(|| Lab::at(lab_directory(&directory)));
        Ok(Workspace {
            directory,
            configuration: Some(configuration),
            desired: evaluated.desired,
            warnings: problems,
            state,
            lab,
        })
    }

    /// What a plan file works in: everything it wants is in it.
    pub(super) fn of_plan(global: &Global, plan: &Plan) -> Self {
        let directory = directory(global);
        let state = LocalState::new(state_path(global, &directory, &plan.state_path));
        let lab = global.lab.then(|| Lab::at(lab_directory(&directory)));
        let settings = config::Settings {
            state_path: plan.state_path.clone(),
            parallelism: plan.parallelism,
            max_hosts_at_once: plan.max_hosts_at_once,
            ..config::Settings::default()
        };
        let desired = Desired {
            blocks: plan.desired.clone(),
            outputs: BTreeMap::new(),
            settings,
            statements: statements_of(plan),
            secrets: Arc::default(),
            wants_facts: false,
        };
        Workspace { directory, configuration: None, desired, warnings: Problems::new(), state, lab }
    }

    /// How a host is reached in this run: in the lab, where one is asked for.
    pub(super) fn connection(&self, host: &HostName, wanted: &Connection) -> Result<Connection, String> {
        let Some(lab) = &self.lab else { return Ok(self.absolute(wanted)) };
        let user = self.desired.blocks.values().find(|block| {
            host::name_of(&block.address) == *host
                && kinds::kind_of(&block.address).is_some_and(|kind| kind.name() == host::NAME)
        });
        let user = user.and_then(|block| block.text("user").map(str::to_owned));
        let mut connection = lab
            .connection(host, user.as_deref())
            .ok_or_else(|| format!("the lab has no host {host}: run `larder lab up`"))?;
        connection.becomes_root = wanted.becomes_root;
        Ok(connection)
    }

    /// Paths of a connection are relative to the directory of the configuration.
    fn absolute(&self, connection: &Connection) -> Connection {
        let mut connection = connection.clone();
        if let crate::model::Reach::Ssh(ssh) = &mut connection.reach {
            for path in [&mut ssh.identity_file, &mut ssh.ssh_config, &mut ssh.known_hosts].into_iter().flatten() {
                if !path.starts_with('~') {
                    let joined = self.directory.join(&*path);
                    *path = std::path::absolute(&joined).unwrap_or(joined).to_string_lossy().into_owned();
                }
            }
        }
        connection
    }

    /// The state, if it is about the hosts that this run works with.
    ///
    /// # Errors
    /// `lab-state` for a state of the lab without the lab, and the other way round: what it remembers of one host would be
    /// taken for what is on another.
    pub(super) fn read_state(&self) -> Result<State, Problem> {
        let state = self.state.read()?;
        if state.resources.is_empty() || state.lab == self.lab.is_some() {
            return Ok(state);
        }
        let path = self.state.path.display();
        let (of, cure) = match state.lab {
            true => ("hosts of a lab, and this run is for the real ones", "Add -lab"),
            false => ("real hosts, and this run is for those of a lab", "Leave -lab out"),
        };
        Err(Problem::error(
            "lab-state",
            format!("the state in {path} is about {of}"),
            format!("{cure}, name another state with -state FILE, or remove {path} if nobody needs it any more."),
        ))
    }

    pub(super) fn sources(&self) -> BTreeMap<String, String> {
        self.configuration.as_ref().map(|configuration| configuration.sources().clone()).unwrap_or_default()
    }

    /// The failure of a plan of this configuration.
    pub(super) fn failure(&self, exit: Exit, problems: Problems) -> Failure {
        Failure { exit, problems, sources: self.sources() }
    }
}

/// What a plan file says about what the state has, as statements.
fn statements_of(plan: &Plan) -> Statements {
    let moved = plan.moved.iter().map(|(old, new)| Moved::one(old.clone(), new.clone()));
    let removed = plan.forgotten.iter().map(|address| config::Removed {
        from: Selector::Instance(address.clone()),
        destroy: false,
        place: None,
    });
    Statements { moved: moved.collect(), removed: removed.collect(), imports: Vec::new() }
}

/// What is refused of a configuration that means something: to be asked each time that it is evaluated, because with the facts
/// of hosts there may be instances that were not there before.
pub(super) fn refusals(evaluated: &Evaluated) -> Problems {
    unsupported(&evaluated.desired)
}

/// What the language has and this version cannot carry out: better refused than left out in silence.
fn unsupported(desired: &Desired) -> Problems {
    let removed = desired.statements.removed.iter().filter(|removed| removed.destroy).map(|removed| {
        Problem::error(
            "not-supported",
            format!("`removed` with destroy = true is not supported yet ({})", removed.from),
            "Leave destroy out: the object is forgotten and kept on disk. Delete it by hand if it is not needed.",
        )
        .at(removed.place.as_ref())
    });
    removed.collect()
}

pub(super) fn directory(global: &Global) -> PathBuf {
    global.chdir.clone().unwrap_or_else(|| PathBuf::from("."))
}

pub(super) fn lab_directory(directory: &Path) -> PathBuf {
    let lab = directory.join(".larder").join("lab");
    std::path::absolute(&lab).unwrap_or(lab)
}

pub(super) fn inputs(variables: &Variables) -> Inputs {
    Inputs {
        vars: variables.given.clone(),
        environment: std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect(),
    }
}

fn state_path(global: &Global, directory: &Path, configured: &str) -> PathBuf {
    global.state.clone().unwrap_or_else(|| directory.join(configured))
}

/// The state of a directory whose configuration need not be whole: commands that only look at the state. That the default path
/// is taken where the configuration may name another is said.
///
/// # Errors
/// `state-unknown` where the configuration names a state in words that mean nothing.
pub(super) fn state_of(global: &Global, terminal: &Terminal) -> Result<LocalState, Failure> {
    if let Some(path) = &global.state {
        return Ok(LocalState::new(path.clone()));
    }
    let directory = directory(global);
    let loaded = config::load(&directory, &inputs(&Variables::default()), kinds::table());
    let failed = |problems| Failure { exit: Exit::Error, problems, sources: loaded.sources.clone() };
    let Some(configuration) = loaded.configuration else { return Err(failed(loaded.problems)) };
    let evaluated = configuration.evaluate(None);
    let settings = evaluated.desired.settings;
    let state = LocalState::new(state_path(global, &directory, &settings.state_path));
    let is_torn = |problem: &Problem| problem.is_error() && problem.code != config::NO_CONFIGURATION;
    match settings.state_path_is {
        Origin::Written => {}
        Origin::Default if loaded.problems.iter().any(is_torn) => terminal.hint(&format!(
            "The configuration cannot be read to its end, so this is the state at the default path, {}. If it names another one, \
             give that with -state FILE.",
            escape_line(&state.path.display().to_string())
        )),
        Origin::Default => {}
        Origin::Unreadable => {
            let unknown = Problem::error(
                "state-unknown",
                "the configuration names the state in words that mean nothing here",
                "Mend what is said of it above, or name the file of the state with -state FILE.",
            );
            let errors = loaded.problems.into_iter().chain(evaluated.problems).filter(Problem::is_error);
            return Err(failed(errors.chain([unknown]).collect()));
        }
    }
    Ok(state)
}

/// Who we are, for others who wait for a lock.
pub(super) fn holder(operation: &str) -> Holder {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .unwrap_or_else(|_| "this machine".to_owned());
    let who = std::env::var("SUDO_USER")
        .or_else(|_| std::env::var("USER"))
        .unwrap_or_else(|_| format!("uid {}", rustix::process::getuid().as_raw()));
    Holder { who, host, pid: std::process::id(), operation: operation.to_owned(), since: now() }
}

/// RFC 3339, in UTC, to the second.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
