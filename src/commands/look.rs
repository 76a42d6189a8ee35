//! What `plan`, `apply` and `status` have in common: ask every host once, and make the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::apply::Sessions;
use crate::apply::report::Asked;
use crate::cli::{Global, Planning};
use crate::config::{Configuration, Desired, VarSource};
use crate::kinds;
use crate::kinds::ask::system;
use crate::model::hazard::Acceptance;
use crate::model::problem::did_you_mean;
use crate::model::{
    Address, Connection, Facts, HazardCode, HostFacts, HostName, Problem, Problems, Question, Selector, escape_line,
};
use crate::plan::{self, Limit, Operation, Plan, Request};
use crate::probe;
use crate::state::{State, moves};

use super::sources::Sources;
use super::workspace::Workspace;
use super::{Exit, Failure};

/// Everything that was learnt by asking.
pub(super) struct Looked {
    pub(super) desired: Desired,
    pub(super) facts: Facts,
    pub(super) sessions: Sessions,
    /// Hosts that nobody else works on as long as their session lives.
    pub(super) locked: BTreeSet<HostName>,
    pub(super) request: Request,
    pub(super) elapsed: Duration,
    /// What does not stop the command.
    pub(super) warnings: Problems,
    parallelism: usize,
}

/// How to ask for the same again. A value that may be a secret is not repeated.
pub(super) fn asked(global: &Global, planning: &Planning, configuration: Option<&Configuration>) -> Asked {
    let path = |option: &str, path: &Option<PathBuf>| path.as_ref().map(|path| format!("{option}={}", path.display()));
    let lab = global.lab.then(|| "-lab".to_owned());
    let variable = |given: &VarSource| match given {
        VarSource::File(path) => ["-var-file".to_owned(), path.display().to_string()],
        VarSource::Text(text) => {
            let name = text.split_once('=').map_or(text.as_str(), |(name, _)| name);
            let is_shown = configuration.is_some_and(|configuration| configuration.shows(name.trim()));
            ["-var".to_owned(), if is_shown { text.clone() } else { format!("{name}=...") }]
        }
    };
    let mut options: Vec<String> = planning.variables.given.iter().flat_map(variable).collect();
    for (option, values) in
        [("-target", &planning.target), ("-exclude", &planning.exclude), ("-accept", &planning.accept)]
    {
        options.extend(values.iter().flat_map(|value| [option.to_owned(), value.clone()]));
    }
    options.extend(planning.refresh_only.then(|| "-refresh-only".to_owned()));
    options.extend(planning.parallelism.map(|number| format!("-parallelism={number}")));
    let global = [path("-chdir", &global.chdir), lab, path("-state", &global.state)];
    Asked { is_destroy: false, of_file: false, global: global.into_iter().flatten().collect(), options }
}

/// What hosts are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To make them as the configuration says.
    Change,
    /// To take away what the state has.
    Destroy,
    /// To show what is there: no file of the workstation is needed for that.
    Show,
}

impl Purpose {
    pub(super) fn of_change(destroy: bool) -> Self {
        if destroy { Purpose::Destroy } else { Purpose::Change }
    }
}

/// Asks all hosts of the configuration and the state. A second round is needed only where the configuration itself
/// depends on what hosts say.
pub(super) async fn look(
    workspace: &Workspace,
    state: &State,
    planning: &Planning,
    purpose: Purpose,
) -> Result<Looked, Failure> {
    let started = Instant::now();
    let request = request(workspace, planning, purpose == Purpose::Destroy)?;
    let (mut sources, mut desired) = (Sources::default(), workspace.desired.clone());
    let mut measure = |desired: &mut Desired, request: &Request| -> Result<Problems, Failure> {
        if purpose == Purpose::Show {
            return Ok(Problems::new());
        }
        let wanted = plan::wanted(&desired.blocks, state, &desired.statements, request);
        let wanted = wanted.map_err(|problems| workspace.failure(Exit::Error, problems))?;
        Ok(sources.measure(&workspace.directory, &mut desired.blocks, &wanted, state))
    };
    let problems = measure(&mut desired, &request)?;
    if !problems.is_empty() {
        return Err(workspace.failure(Exit::Error, problems));
    }
    let mut questions = questions(workspace, &desired, state, &request)?;
    if workspace.desired.wants_facts {
        for (host, asked) in plan::questions_for_facts(&workspace.desired.blocks) {
            questions.entry(host).or_insert(asked);
        }
    }
    let (facts, sessions) = ask(workspace, questions).await;
    let mut looked = Looked {
        desired,
        facts,
        sessions,
        locked: BTreeSet::new(),
        request,
        elapsed: Duration::ZERO,
        warnings: Problems::new(),
        parallelism: planning.parallelism.map_or(workspace.desired.settings.parallelism, usize::from),
    };
    if let (true, Some(configuration)) = (looked.desired.wants_facts, &workspace.configuration) {
        let evaluated = configuration.evaluate(Some(&host_facts(&looked.facts)));
        let problems = super::workspace::refusals(&evaluated);
        let mut desired = evaluated.desired;
        let unreadable = match measure(&mut desired, &looked.request) {
            Ok(problems) => problems,
            Err(failure) => {
                looked.close().await;
                return Err(failure);
            }
        };
        let problems: Problems = evaluated.problems.into_iter().chain(problems).chain(unreadable).collect();
        if problems.iter().any(Problem::is_error) {
            looked.close().await;
            return Err(workspace.failure(Exit::Error, problems));
        }
        looked.desired = desired;
        // What was said without facts was shown already.
        looked.warnings = problems.into_iter().filter(|problem| !workspace.warnings.contains(problem)).collect();
        looked.ask_more(workspace, state).await?;
    }
    let unknown = unknown_names(workspace, &looked, state)?;
    if !unknown.is_empty() {
        looked.close().await;
        return Err(workspace.failure(Exit::Usage, unknown));
    }
    looked.warnings.extend(moot(&looked.request, &looked.desired, state));
    looked.elapsed = started.elapsed();
    Ok(looked)
}

fn questions(
    workspace: &Workspace,
    desired: &Desired,
    state: &State,
    request: &Request,
) -> Result<BTreeMap<HostName, (Connection, Vec<Question>)>, Failure> {
    let questions = plan::questions(&desired.blocks, state, &desired.statements, request);
    questions.map_err(|problems| workspace.failure(Exit::Error, problems))
}

/// What the limits of the run name and nobody has.
fn unknown_names(workspace: &Workspace, looked: &Looked, state: &State) -> Result<Problems, Failure> {
    let pairs = moves::resolve(state, &looked.desired.statements.moved);
    let pairs = pairs.map_err(|problems| workspace.failure(Exit::Error, problems))?;
    let is_declared =
        |named: &Selector| workspace.configuration.as_ref().is_some_and(|configuration| configuration.declares(named));
    Ok(plan::unknown_names(&looked.request.limit, &looked.desired.blocks, state, &pairs, &is_declared))
}

pub(super) async fn ask(
    workspace: &Workspace,
    questions: BTreeMap<HostName, (Connection, Vec<Question>)>,
) -> (Facts, Sessions) {
    let mut reachable = BTreeMap::new();
    let mut nowhere = BTreeMap::new();
    for (host, (connection, questions)) in questions {
        match workspace.connection(&host, &connection) {
            Ok(connection) => drop(reachable.insert(host, (connection, questions))),
            Err(why) => drop(nowhere.insert(host, HostFacts::Unreachable(why))),
        }
    }
    // More than a handful of key exchanges at once gain nothing; the transport bounds them.
    let (mut facts, sessions) =
        probe::gather(reachable, &kinds::functions(), &workspace.desired.secrets, usize::MAX).await;
    facts.hosts.extend(nowhere);
    (facts, sessions)
}

/// What the configuration may read of each host that answered.
pub(super) fn host_facts(facts: &Facts) -> BTreeMap<HostName, serde_json::Value> {
    let known = facts
        .hosts
        .iter()
        .filter_map(|(host, facts)| Some((host.clone(), system::as_facts(&system::read(facts).ok()?))));
    known.collect()
}

impl Looked {
    /// What is known before anybody was asked, for a plan that was made earlier.
    pub(super) fn of_plan(
        desired: Desired,
        facts: Facts,
        sessions: Sessions,
        request: Request,
        parallelism: usize,
    ) -> Self {
        Looked {
            desired,
            facts,
            sessions,
            locked: BTreeSet::new(),
            request,
            elapsed: Duration::ZERO,
            warnings: Problems::new(),
            parallelism,
        }
    }

    /// Asks what has become known to be wanted since the first round.
    async fn ask_more(&mut self, workspace: &Workspace, state: &State) -> Result<(), Failure> {
        for (host, (_, questions)) in questions(workspace, &self.desired, state, &self.request)? {
            let (Some(session), Some(HostFacts::Reached(answers))) =
                (self.sessions.get_mut(&host), self.facts.hosts.get_mut(&host))
            else {
                continue;
            };
            let new: Vec<Question> = questions.into_iter().filter(|question| !answers.contains_key(question)).collect();
            if !new.is_empty() {
                answers.extend(session.ask(&new).await);
                self.facts.round_trips.insert(host, session.round_trips());
            }
        }
        Ok(())
    }

    /// Asks everything again, through the sessions that are open.
    pub(super) async fn look_again(&mut self, workspace: &Workspace, state: &State) -> Result<(), Failure> {
        for (host, (_, questions)) in questions(workspace, &self.desired, state, &self.request)? {
            let facts = match self.sessions.get_mut(&host) {
                Some(session) => HostFacts::Reached(session.ask(&questions).await),
                None => HostFacts::Unreachable(self.unreachable(&host)),
            };
            self.facts.hosts.insert(host, facts);
        }
        Ok(())
    }

    fn unreachable(&self, host: &HostName) -> String {
        match self.facts.hosts.get(host) {
            Some(HostFacts::Unreachable(why)) => why.clone(),
            _ => "the connection was lost".to_owned(),
        }
    }

    pub(super) fn plan(&self, workspace: &Workspace, state: &State) -> Result<Plan, Failure> {
        let output = |output: &crate::config::Output| match (output.sensitive, &output.value) {
            (true, _) => plan::Output::Sensitive,
            (false, Some(value)) => plan::Output::Known(value.clone()),
            (false, None) => plan::Output::Unknown,
        };
        let input = plan::Input {
            desired: &self.desired.blocks,
            statements: &self.desired.statements,
            outputs: self.desired.outputs.iter().map(|(name, one)| (name.clone(), output(one))).collect(),
            facts: &self.facts,
            state,
            request: &self.request,
            parallelism: self.parallelism,
            max_hosts_at_once: self.desired.settings.max_hosts_at_once,
            state_path: &self.desired.settings.state_path,
            lab: workspace.lab.is_some(),
        };
        let started = Instant::now();
        let plan = plan::plan(&input).map_err(|problems| workspace.failure(Exit::Error, problems))?;
        let (steps, hazards) = (plan.steps.len(), plan.hazards.len());
        tracing::debug!(hash = plan.hash, steps, hazards, elapsed = ?started.elapsed(), "planned");
        Ok(plan)
    }

    pub(super) async fn close(self) {
        close(self.sessions).await;
    }
}

/// Says goodbye to all hosts at the same time.
pub(super) async fn close(sessions: Sessions) {
    let mut all = tokio::task::JoinSet::new();
    for session in sessions.into_values() {
        all.spawn(session.close());
    }
    while all.join_next().await.is_some() {}
}

fn request(workspace: &Workspace, planning: &Planning, destroy: bool) -> Result<Request, Failure> {
    let operation = match (destroy, planning.refresh_only) {
        (true, _) => Operation::Destroy,
        (false, true) => Operation::RefreshOnly,
        (false, false) => Operation::Apply,
    };
    let accepted = planning.accept.iter().map(|text| accepted(text)).collect::<Result<BTreeSet<_>, _>>();
    let accepted = accepted.map_err(|problem| Failure::new(Exit::Usage, problem))?;
    let limit = match planning.exclude.is_empty() {
        true if planning.target.is_empty() => Limit::Everything,
        true => Limit::Only(selectors("-target", &planning.target)?),
        false => Limit::Without(selectors("-exclude", &planning.exclude)?),
    };
    Ok(Request { operation, accepted, max_destroy: workspace.desired.settings.max_destroy, limit })
}

/// The addresses of an option that takes a resource, a block or a module.
fn selectors(option: &str, texts: &[String]) -> Result<Vec<Selector>, Failure> {
    let selector = |text: &String| {
        text.parse::<Selector>().map_err(|error| {
            let summary = format!("`{option} {text}` names nothing");
            Failure::new(Exit::Usage, Problem::error("invalid-option", summary, format!("{error}, or `module.NAME`.")))
        })
    };
    texts.iter().map(selector).collect()
}

/// Acceptances that come to nothing: worth a word, and no reason to stop a script that is run again.
fn moot(request: &Request, desired: &Desired, state: &State) -> Problems {
    let known: BTreeSet<_> = desired.blocks.keys().chain(state.resources.keys()).collect();
    let names: Vec<_> = known.iter().map(ToString::to_string).collect();
    let mut problems = Problems::new();
    for (code, address) in &request.accepted {
        let text = escape_line(&address.to_string());
        if code.acceptance() != Acceptance::Possible {
            let summary = format!("`-accept {code}@{text}` has no effect: {code} cannot be accepted");
            problems.push(Problem::warning("moot-acceptance", summary, format!("It means that {}.", code.meaning())));
        } else if let Some(one) = known.iter().find(|one| !known.contains(address) && one.block() == *address) {
            let summary = format!("`-accept {code}@{text}` has no effect: {text} has several instances");
            let cure = format!("Name each of them: {code}@{}.", escape_line(&one.to_string()));
            problems.push(Problem::warning("moot-acceptance", summary, cure));
        } else if !known.contains(address) {
            let near = did_you_mean(&address.to_string(), names.iter().map(String::as_str)).map(escape_line);
            let cure = near.map_or_else(
                || "Write the address as the plan shows it, without the host.".to_owned(),
                |near| format!("Did you mean {code}@{near}?"),
            );
            let summary = format!(
                "`-accept {code}@{text}` has no effect: {text} is neither in the configuration nor in the state"
            );
            problems.push(Problem::warning("moot-acceptance", summary, cure));
        }
    }
    problems
}

/// `hides-data@external_volume.nfs`.
pub(super) fn accepted(text: &str) -> Result<(HazardCode, Address), Problem> {
    let wrong = |why: String| Problem::error("invalid-option", format!("`-accept {text}` makes no sense"), why);
    let (code, address) = text
        .split_once('@')
        .ok_or_else(|| wrong("Write it like -accept hides-data@external_volume.nfs.".to_owned()))?;
    let known = || HazardCode::all().map(|code| code.as_str()).collect::<Vec<_>>().join(", ");
    let code = HazardCode::parse(code)
        .ok_or_else(|| wrong(format!("There is no hazard `{code}`. There are: {}.", known())))?;
    let parsed: Result<Address, crate::model::address::NotAnAddress> = address.parse();
    let parsed = parsed.map_err(|error| match address.parse::<Selector>() {
        Ok(module) => wrong(format!(
            "A hazard is accepted at one resource, not for all of `{module}`: name each as the plan shows it, such as \
             {code}@{module}.image.web."
        )),
        Err(_) => wrong(error.to_string()),
    })?;
    Ok((code, parsed))
}
