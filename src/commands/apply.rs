//! `larder apply` and `larder destroy`: plan, ask, carry out, verify, remember.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::apply::journal::{self, Journal};
use crate::apply::report::{Asked, Event, Leftover, Outcome as StepOutcome, Recorded, Report};
use crate::apply::{self, Sessions, record};
use crate::cli::{Approval, Global, Locking, Planning};
use crate::model::block::AttributeMap;
use crate::model::{
    Address, Answer, Datum, Facts, Hazard, HostFacts, HostName, NestedBlock, Problem, Secrets, Step, escape_line,
};
use crate::plan::{Action, Change, Choice, Limit, Operation, Plan, Request, Targets};
use crate::probe;
use crate::state::file::beside;
use crate::state::{State, StateLock};
use crate::transport::NotLocked;

use super::look::{Looked, Purpose, accepted, asked, look};
use super::sources;
use super::terminal::Terminal;
use super::workspace::{holder, now};
use super::{Exit, Failure, Outcome, Workspace, plan};

/// How many times in a row what had to wait is planned anew.
const WAVES: usize = 4;

pub(super) async fn run(
    global: &Global,
    planning: &Planning,
    locking: &Locking,
    approval: &Approval,
    destroy: bool,
    terminal: &Terminal,
) -> Outcome {
    let workspace = Workspace::open(global, &planning.variables)?;
    terminal.warnings(&workspace.warnings, &workspace.sources());
    let operation = if destroy { "destroy" } else { "apply" };
    let _lock = lock(&workspace, operation, locking)?;
    let mut state = workspace.read_state()?;
    terminal.interrupted(&workspace.state)?;
    let mut looked = look(&workspace, &state, planning, Purpose::of_change(destroy)).await?;
    terminal.warnings(&looked.warnings, &workspace.sources());
    let mut elapsed = Some(looked.elapsed);
    let mut asked = asked(global, planning, workspace.configuration.as_ref());
    asked.is_destroy = destroy;
    let interrupts = Interrupts::watch(terminal);
    let mut agreed = None;
    let mut waves = 0;
    while waves < WAVES {
        let plan = looked.plan(&workspace, &state)?;
        if agreed.as_ref() != Some(&plan.hash) {
            terminal.plan(&plan, elapsed.take(), planning.verbose);
            if let Some(refusal) = refusal(&plan) {
                looked.close().await;
                return Err(refusal);
            }
            if plan.has_changes() && !approved(&plan, approval, terminal)? {
                looked.close().await;
                terminal.hint("Nothing was changed.");
                return Ok(Exit::Error);
            }
            agreed = Some(plan.hash.clone());
        }
        if lock_hosts(&plan, &mut looked, locking).await? == Lock::AfterOthers {
            // Whoever had the host may have changed what the plan relies on.
            looked.look_again(&workspace, &state).await?;
            continue;
        }
        let done = carry_out(&workspace, &plan, state, &mut looked, &asked, &interrupts, terminal).await?;
        state = done.state;
        partial(&plan, terminal);
        if done.exit != Exit::Done || !done.waits {
            looked.close().await;
            return Ok(done.exit);
        }
        terminal.hint("What had to wait can be planned now.");
        waves += 1;
    }
    looked.close().await;
    Ok(Exit::Partial)
}

/// Carries out a plan file, as it was reviewed. No configuration is evaluated for it.
pub(super) async fn run_file(
    global: &Global,
    planning: &Planning,
    locking: &Locking,
    path: &Path,
    terminal: &Terminal,
) -> Outcome {
    if let Some(option) = [("-target", &planning.target), ("-exclude", &planning.exclude)]
        .into_iter()
        .find_map(|(option, given)| (!given.is_empty()).then_some(option))
    {
        let summary = format!("{option} comes too late: a plan file is carried out as it was made");
        let cure = format!("Make the plan with it: larder plan {option} ADDRESS -out FILE.");
        return Err(Failure::new(Exit::Usage, Problem::error("invalid-option", summary, cure)));
    }
    let mut plan = plan::read(path)?;
    let mut workspace = Workspace::of_plan(global, &plan);
    match secrets(&plan, global, planning)? {
        Some(secrets) => workspace.desired.secrets = secrets,
        None if !planning.variables.given.is_empty() => {
            let summary = "-var and -var-file come too late: a plan file is carried out as it was made".to_owned();
            let cure = "Leave them out, or make the plan with them: larder plan -var NAME=VALUE -out FILE.";
            return Err(Failure::new(Exit::Usage, Problem::error("invalid-option", summary, cure)));
        }
        None => {}
    }
    if plan.lab != workspace.lab.is_some() {
        let (of, cure) = match plan.lab {
            true => ("hosts of a lab, and this run is for the real ones", "Add -lab."),
            false => ("real hosts, and this run is for those of a lab", "Leave -lab out."),
        };
        return Err(Problem::error("lab-plan", format!("{} is a plan for {of}", path.display()), cure).into());
    }
    let _lock = lock(&workspace, "apply", locking)?;
    let state = workspace.read_state()?;
    terminal.interrupted(&workspace.state)?;
    if state.serial != plan.based_on.serial || state.lineage != plan.based_on.lineage {
        return Err(Problem::error(
            "stale-plan",
            "the state has changed since the plan was made".to_owned(),
            format!(
                "The plan was made from serial {}, the state is at {}. Make a new plan.",
                plan.based_on.serial, state.serial
            ),
        )
        .into());
    }
    for text in &planning.accept {
        let (code, address) = accepted(text).map_err(|problem| Failure::new(Exit::Usage, problem))?;
        let mut is_there = false;
        for hazard in plan.hazards.iter_mut().filter(|hazard| hazard.code == code && hazard.address == address) {
            hazard.accepted = hazard.can_be_accepted;
            is_there = true;
        }
        if !is_there {
            return Err(not_in_plan(text, &plan));
        }
    }
    terminal.plan(&plan, None, planning.verbose);
    if let Some(refusal) = refusal(&plan) {
        return Err(refusal);
    }
    if plan.steps.is_empty() {
        terminal.hint(
            "No step to carry out. This is how the hosts were when the plan was made; they were not asked again.",
        );
    }
    let changed = sources::check(&workspace.directory, &plan.steps);
    if !changed.is_empty() {
        return Err(Failure { exit: Exit::Stale, problems: changed, sources: BTreeMap::new() });
    }
    let mut looked = connect(&workspace, &plan).await;
    let mut asked = asked(global, planning, None);
    asked.of_file = true;
    asked.options.clear();
    asked.is_destroy = plan.operation == Operation::Destroy;
    if plan.operation == Operation::RefreshOnly && !planning.refresh_only {
        asked.options.push("-refresh-only".to_owned());
    }
    if let Some(targets) = &plan.targets {
        let option = if targets.option == Choice::Target { "-target" } else { "-exclude" };
        asked.options.extend(targets.named.iter().flat_map(|one| [option.to_owned(), one.to_string()]));
    }
    let interrupts = Interrupts::watch(terminal);
    // What others changed while we waited for them is found by the guards.
    lock_hosts(&plan, &mut looked, locking).await?;
    let stale = outdated(&plan, &mut looked.sessions).await;
    if !stale.is_empty() {
        looked.close().await;
        return Err(Failure { exit: Exit::Stale, problems: stale, sources: std::collections::BTreeMap::new() });
    }
    let done = carry_out(&workspace, &plan, state, &mut looked, &asked, &interrupts, terminal).await?;
    looked.close().await;
    partial(&plan, terminal);
    if done.waits {
        terminal.hint("Some of it had to wait for this. Run `larder plan` again.");
    }
    Ok(done.exit)
}

/// The credentials that the steps of a plan file name. It holds none, so the configuration beside it must still give them;
/// nothing else of that is used. `None` for a plan that names none.
fn secrets(plan: &Plan, global: &Global, planning: &Planning) -> Result<Option<Arc<Secrets>>, Failure> {
    let texts = || {
        let words = |step: &Step| step.command.stdin.iter().chain(&step.command.argv).cloned().collect::<Vec<_>>();
        plan.steps.iter().flat_map(words)
    };
    let missing = |secrets: &Secrets| texts().flat_map(|text| secrets.missing_in(&text)).collect::<BTreeSet<_>>();
    if missing(&Secrets::default()).is_empty() {
        // What only looks at the hosts afterwards can do without: then it is not known whether a password is still right.
        return match has_marks(plan) {
            true => Ok(Workspace::open(global, &planning.variables).ok().map(|opened| opened.desired.secrets)),
            false => Ok(None),
        };
    }
    let secrets = Workspace::open(global, &planning.variables)?.desired.secrets;
    match missing(&secrets).into_iter().next() {
        None => Ok(Some(secrets)),
        Some(name) => Err(Problem::error(
            "missing-secret",
            format!("the plan needs {name}, which the configuration does not give any more"),
            "A plan file holds no credentials: apply it where its configuration is, with the same variables. Or make a new plan.",
        )
        .into()),
    }
}

/// Whether any block of the plan has a credential.
fn has_marks(plan: &Plan) -> bool {
    fn any(attributes: &AttributeMap, blocks: &[NestedBlock]) -> bool {
        let is_mark =
            |value: &Datum| matches!(value, Datum::Text(text) if !Secrets::default().missing_in(text).is_empty());
        attributes.values().any(|attribute| is_mark(&attribute.value))
            || blocks.iter().any(|block| any(&block.attributes, &block.blocks))
    }
    plan.desired.values().any(|block| any(&block.attributes, &block.blocks))
}

/// What is no longer as the plan relies on, as far as it can be known before any step has run: then none runs. The guards of
/// later steps are asked when their turn comes.
async fn outdated(plan: &Plan, sessions: &mut Sessions) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (host, session) in sessions {
        let first = plan.steps.iter().filter(|step| step.host == *host && step.after.is_empty());
        let guards: Vec<_> = first.flat_map(|step| step.guard.iter().map(move |guard| (step, guard))).collect();
        let questions: Vec<_> = guards.iter().map(|(_, guard)| guard.ask.clone()).collect();
        if questions.is_empty() {
            continue;
        }
        let answers = session.ask(&questions).await;
        for (step, guard) in guards {
            let Some(Answer::Said(reply)) = answers.get(&guard.ask) else { continue };
            if (reply.status, reply.out.as_str()) != (guard.status, guard.out.as_str()) {
                let summary = format!("{} has changed on {host} since the plan was made", guard.what);
                let detail = format!(
                    "was: {}; is: {}. Nothing was done ({} relies on it). Make a new plan.",
                    escape_line(guard.out.trim_end()),
                    escape_line(if reply.out.is_empty() { reply.err.trim_end() } else { reply.out.trim_end() }),
                    step.id
                );
                problems.push(Problem::error("stale-plan", summary, detail));
            }
        }
    }
    problems
}

/// Opens the hosts of a plan file, without asking them anything yet.
async fn connect(workspace: &Workspace, plan: &Plan) -> Looked {
    let mut hosts = std::collections::BTreeMap::new();
    let mut nowhere = std::collections::BTreeMap::new();
    for (host, connection) in &plan.hosts {
        match workspace.connection(host, connection) {
            Ok(connection) => drop(hosts.insert(host.clone(), (connection, Vec::new()))),
            Err(why) => drop(nowhere.insert(host.clone(), HostFacts::Unreachable(why))),
        }
    }
    let mut functions = crate::kinds::functions();
    functions.extend(plan.functions.clone());
    let (mut facts, sessions): (Facts, Sessions) =
        probe::gather(hosts, &functions, &workspace.desired.secrets, usize::MAX).await;
    facts.hosts.extend(nowhere);
    let request = Request {
        operation: plan.operation,
        accepted: plan
            .hazards
            .iter()
            .filter(|hazard| hazard.accepted)
            .map(|hazard| (hazard.code, hazard.address.clone()))
            .collect(),
        max_destroy: 0,
        limit: plan.targets.as_ref().map_or(Limit::Everything, Targets::limit),
    };
    Looked::of_plan(workspace.desired.clone(), facts, sessions, request, plan.parallelism)
}

/// Says that there is more to do than a partial plan could.
fn partial(plan: &Plan, terminal: &Terminal) {
    if let Some(text) = crate::view::targets::after_apply(plan) {
        terminal.hint(&text);
    }
}

fn lock(workspace: &Workspace, operation: &str, locking: &Locking) -> Result<StateLock, Failure> {
    workspace.state.lock(&holder(operation), locking.lock_timeout).map_err(Failure::from)
}

/// An acceptance that would be lost in silence.
fn not_in_plan(text: &str, plan: &Plan) -> Failure {
    let open: BTreeSet<_> = plan.blocking().filter(|hazard| hazard.can_be_accepted).map(acceptance).collect();
    let cure = match open.is_empty() {
        true => "Nothing in it can still be accepted. Leave -accept out.".to_owned(),
        false => format!("What can be accepted is: {}.", open.into_iter().collect::<Vec<_>>().join(", ")),
    };
    Failure::new(
        Exit::Usage,
        Problem::error("invalid-option", format!("`-accept {text}`: the plan has no such hazard"), cure),
    )
}

fn acceptance(hazard: &Hazard) -> String {
    format!("{}@{}", hazard.code, hazard.address)
}

/// Hazards that nobody has accepted.
fn refusal(plan: &Plan) -> Option<Failure> {
    if !plan::is_refused(plan) {
        return None;
    }
    let blocking: Vec<_> = plan.blocking().collect();
    let first = blocking.first()?;
    let rest = if blocking.len() > 1 { format!(" and {} more", blocking.len() - 1) } else { String::new() };
    let cure = match blocking.iter().any(|hazard| hazard.can_be_accepted) {
        true => {
            "Resolve each as it says, or accept those that can be accepted: in the block, or with -accept CODE@ADDRESS."
        }
        false => "Resolve each as it says; none of them can be accepted.",
    };
    Some(Failure::new(
        Exit::Refused,
        Problem::error(
            "refused",
            format!("nothing was changed, because of {} at {}{rest}", first.code, first.address),
            cure,
        ),
    ))
}

fn approved(plan: &Plan, approval: &Approval, terminal: &Terminal) -> Result<bool, Failure> {
    if approval.auto_approve {
        return Ok(true);
    }
    if !approval.input || terminal.is_json() {
        return Err(Problem::error(
            "approval-needed",
            "nobody can be asked for approval",
            "Add -auto-approve, or carry out a reviewed plan: larder plan -out FILE; larder apply FILE.",
        )
        .into());
    }
    let question = match plan.operation {
        Operation::Destroy => {
            "Take all this away? Images stay, and directories but for empty mount points. Only `yes` is a yes: "
        }
        _ => "Carry this out? Only `yes` is a yes: ",
    };
    terminal.ask(question);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let _ = std::io::stdout().flush();
    Ok(read.is_ok() && answer.trim() == "yes")
}

struct Done {
    state: State,
    exit: Exit,
    waits: bool,
}

/// The heart of an apply: journal, steps, verification, state.
async fn carry_out(
    workspace: &Workspace,
    plan: &Plan,
    state: State,
    looked: &mut Looked,
    asked: &Asked,
    interrupts: &Interrupts,
    terminal: &Terminal,
) -> Result<Done, Failure> {
    let began = Instant::now();
    let running = interrupts.hold_back();
    let journal_path = beside(&workspace.state.path, ".journal");
    let mut report = Report { plan: plan.hash.clone(), asked: asked.clone(), ..Report::default() };
    report.recorded = Recorded {
        moved: plan.summary.moved,
        adopted: plan.summary.adopt,
        forgotten: plan.summary.forget,
        outputs: plan.output_changes.len(),
    };
    report.unreachable = plan.unknown.iter().map(|one| one.host.clone()).collect();
    let mut state = state;
    let mut trouble = None;
    let mut journal = None;
    if !plan.steps.is_empty() {
        state = keep(workspace, &state, record::before(&state, plan))?;
        let mut opened = Journal::open(&journal_path)?;
        opened.begin(journal::Begin {
            plan: plan.hash.clone(),
            operation: "apply".to_owned(),
            at: now(),
            steps: plan.steps.iter().map(|step| step.id.clone()).collect(),
        })?;
        let sessions = std::mem::take(&mut looked.sessions);
        let (events, watched) = mpsc::unbounded_channel();
        let watch = terminal.watch(watched);
        let at_once = match plan.max_hosts_at_once {
            0 => plan.parallelism,
            limit => limit.min(plan.parallelism),
        };
        let hosts: std::collections::BTreeSet<_> = plan.steps.iter().map(|step| step.host.clone()).collect();
        let started =
            Event::Started { plan: plan.hash.clone(), steps: plan.steps.len(), hosts: hosts.iter().cloned().collect() };
        // A receiver that is gone only means that nobody watches.
        let _ = events.send(started);
        let steps = sources::located(&workspace.directory, &plan.steps);
        let (steps, sessions, problem) =
            apply::carry_out(&steps, at_once, sessions, &mut opened, &events, &running.cancel).await;
        (report.steps, looked.sessions, trouble, journal) = (steps, sessions, problem, Some(opened));
        report.interrupted = running.cancel.is_cancelled();
        for host in hosts {
            let _ = events.send(Event::Verifying { host });
        }
        looked.look_again(workspace, &state).await?;
        let _ =
            events.send(Event::Ended { successful: report.steps.iter().all(|step| step.outcome == StepOutcome::Done) });
        drop(events);
        let _ = watch.await;
    }
    let after = match plan.steps.is_empty() && !plan.found.is_empty() {
        true => plan.clone(),
        false => {
            if plan.steps.is_empty() {
                looked.look_again(workspace, &state).await?;
            }
            looked.plan(workspace, &state)?
        }
    };
    let next = record::after(&state, plan, &after);
    state = keep(workspace, &state, next)?;
    let mut waits = false;
    if !plan.steps.is_empty() {
        let left = looked.plan(workspace, &state)?;
        (report.leftovers, report.unverified) = leftovers(plan, &left);
        waits = plan.waits() && left.has_changes();
        let waited = waited(plan);
        report.waiting = match left.has_changes() {
            true => left.changes.iter().filter(|change| waited.contains(&change.address)).count(),
            false => 0,
        };
    }
    if let Some(journal) = journal {
        journal.end(report.is_successful())?;
    } else if plan.complete && !plan.has_changes() {
        journal::settle(&journal_path)?;
    }
    if let Some(problem) = trouble {
        return Err(problem.into());
    }
    report.elapsed = began.elapsed();
    terminal.report(plan, &report);
    Ok(Done { exit: exit(plan, &report, &looked.facts), state, waits })
}

/// The resources of the plan that had to wait for other steps.
fn waited(plan: &Plan) -> BTreeSet<&Address> {
    let waits = plan.changes.iter().filter(|change| change.hosts.values().any(|action| *action == Action::Later));
    waits.map(|change| &change.address).collect()
}

/// What is not as the plan wanted it, and what cannot be read any more. What had to wait is no failure.
fn leftovers(plan: &Plan, left: &Plan) -> (Vec<Leftover>, Vec<(HostName, String)>) {
    let mut leftovers = Vec::new();
    let mut unverified = Vec::new();
    for hazard in left.blocking().filter(|hazard| {
        !plan
            .hazards
            .iter()
            .any(|before| before.code == hazard.code && before.address == hazard.address && before.host == hazard.host)
    }) {
        let host = hazard.host.clone().unwrap_or_else(|| HostName::from("every host"));
        unverified.push((host, format!("{}: {} ({})", hazard.address, hazard.message, hazard.code)));
    }
    let waited = waited(plan);
    let planned: BTreeMap<&Address, &Change> = plan.changes.iter().map(|change| (&change.address, change)).collect();
    for change in left.changes.iter().filter(|change| !waited.contains(&change.address)) {
        let differing = change.differences.iter().map(|one| Leftover {
            address: change.address.clone(),
            host: one.host.clone(),
            attribute: one.attribute.clone(),
            have: one.have.clone(),
            want: one.want.clone(),
        });
        leftovers.extend(differing);
        for (host, action) in &change.hosts {
            let before = planned.get(&change.address).and_then(|before| before.hosts.get(host));
            if *action == Action::Unknown && before.is_some_and(|before| *before != Action::Unknown) {
                let why = change.reasons.get(host).cloned().unwrap_or_else(|| "it does not answer any more".to_owned());
                unverified.push((host.clone(), format!("{}: {why}", change.address)));
            }
        }
    }
    (leftovers, unverified)
}

/// The exit code of an apply that was carried out, with what is known of the hosts after it.
fn exit(plan: &Plan, report: &Report, facts: &Facts) -> Exit {
    let count = |wanted: fn(&StepOutcome) -> bool| report.steps.iter().filter(|step| wanted(&step.outcome)).count();
    let done = count(|outcome| matches!(outcome, StepOutcome::Done));
    let changed = count(|outcome| matches!(outcome, StepOutcome::Changed { .. }));
    let failed = count(|outcome| matches!(outcome, StepOutcome::Failed { .. } | StepOutcome::Unknown { .. }));
    if report.steps.len() != done {
        let is_silent = |step: &crate::model::Step| matches!(facts.host(&step.host), HostFacts::Unreachable(_));
        return match (done, failed, changed) {
            (_, 0, 1..) => Exit::Stale,
            (0, 0, 0) if plan.steps.iter().any(is_silent) => Exit::Unreachable,
            (0, _, _) => Exit::Error,
            _ => Exit::Partial,
        };
    }
    match (report.is_successful(), plan.unknown.is_empty()) {
        (false, _) => Exit::Partial,
        (true, false) => Exit::Unreachable,
        (true, true) => Exit::Done,
    }
}

/// Writes the state if it says anything new.
fn keep(workspace: &Workspace, old: &State, mut new: State) -> Result<State, Failure> {
    if *old != new {
        new.lab = workspace.lab.is_some();
        workspace.state.write(&mut new)?;
    }
    Ok(new)
}

/// How the hosts of a plan were locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lock {
    AtOnce,
    /// Somebody else had one of them first.
    AfterOthers,
}

/// Keeps every host that has steps to itself for as long as its session lives.
async fn lock_hosts(plan: &Plan, looked: &mut Looked, locking: &Locking) -> Result<Lock, Failure> {
    let deadline = Instant::now() + locking.lock_timeout;
    let who = holder("apply").to_string();
    let hosts: BTreeSet<_> = plan.steps.iter().map(|step| &step.host).collect();
    let mut lock = Lock::AtOnce;
    for host in hosts {
        if looked.locked.contains(host) {
            continue;
        }
        let Some(session) = looked.sessions.get_mut(host) else { continue };
        loop {
            let why = match session.lock(&who).await {
                Ok(locked) => {
                    looked.locked.insert(host.clone());
                    drop(locked);
                    break;
                }
                // The lock that this very run has taken on another host of the plan.
                Err(NotLocked::Held(by)) if by == escape_line(&who) => {
                    let summary = format!("{host} is the same machine as another host of the configuration");
                    let cure = "Keep one host block for each machine. Nothing was changed.";
                    return Err(Problem::error("same-machine", summary, cure).into());
                }
                Err(NotLocked::Held(_)) if Instant::now() < deadline => {
                    lock = Lock::AfterOthers;
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    continue;
                }
                Err(NotLocked::Held(by)) => format!(
                    "it is held by {by}. Wait for it, or give -lock-timeout. A step that outlived its apply holds it until it ends."
                ),
                Err(NotLocked::Impossible(why)) => format!("{why}."),
            };
            return Err(
                Problem::error("host-locked", format!("{host} cannot be locked; nothing was changed"), why).into()
            );
        }
    }
    Ok(lock)
}

/// What Ctrl-C and SIGTERM do. While steps run, the first lets them end, and the second ends the process at once; the journal
/// tells the next run. At any other time the first is the last.
struct Interrupts {
    running: Arc<Mutex<Option<CancellationToken>>>,
}

/// As long as it lives, the first signal only cancels.
struct Running<'a> {
    cancel: CancellationToken,
    interrupts: &'a Interrupts,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *self.interrupts.running.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Interrupts {
    fn watch(terminal: &Terminal) -> Self {
        let running = Arc::new(Mutex::new(None));
        tokio::spawn(stop_on_signal(Arc::clone(&running), terminal.clone()));
        Interrupts { running }
    }

    fn hold_back(&self) -> Running<'_> {
        let cancel = CancellationToken::new();
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(cancel.clone());
        Running { cancel, interrupts: self }
    }
}

async fn stop_on_signal(running: Arc<Mutex<Option<CancellationToken>>>, terminal: Terminal) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    loop {
        let number = tokio::select! {
            _ = interrupt.recv() => 2,
            _ = terminate.recv() => 15,
        };
        let cancel = running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match cancel.filter(|cancel| !cancel.is_cancelled()) {
            Some(cancel) => {
                cancel.cancel();
                terminal.hint("Stopping: running steps end, no other starts. Interrupt again to stop at once.");
            }
            // As a shell reports a process that a signal ended.
            None => std::process::exit(128 + number),
        }
    }
}
