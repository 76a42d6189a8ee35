//! Carries a plan out. It decides nothing: each step says what must come before it, what must still hold, what runs, and
//! how it is taken back. It prints nothing: it emits events.

pub mod journal;
pub mod record;
pub mod report;
mod upload;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::model::{Command, HostName, Inverse, Problem, Reply, Step, StepId};
use crate::transport::{self, Session};

use journal::Journal;
use report::{Event, Outcome, StepReport};

/// The sessions that an apply works through, by host.
pub type Sessions = BTreeMap<HostName, Session>;

/// How many steps a host gets in one go. They do not depend on each other; the host runs them one after another.
const BATCH: usize = 64;

/// Runs the steps of a plan in their order, on several hosts at the same time.
///
/// After a failure the placement that failed is rolled back as far as its steps say so, what depends on it is not started, and
/// everything else goes on. When `cancel` fires, running steps end and no other starts.
///
/// # Errors
/// When the journal cannot be written: then nothing more is started, for nobody could tell later what was.
pub async fn carry_out(
    steps: &[Step],
    hosts_at_once: usize,
    sessions: Sessions,
    journal: &mut Journal,
    events: &UnboundedSender<Event>,
    cancel: &CancellationToken,
) -> (Vec<StepReport>, Sessions, Option<Problem>) {
    let (tell, mut told) = mpsc::unbounded_channel();
    let drawn = uuid::Uuid::new_v4().simple().to_string();
    let workers = sessions
        .into_iter()
        .map(|(host, session)| {
            let (tell, events) = (tell.clone(), events.clone());
            (host.clone(), Worker::start(host, session, tell, events, cancel.clone(), drawn.clone()))
        })
        .collect();
    drop(tell);
    let mut dispatch = Dispatch::new(steps, hosts_at_once.max(1), workers);
    let mut trouble = None;
    loop {
        if trouble.is_none() {
            // After an interrupt nothing new starts; what failed is still taken back.
            trouble = dispatch.hand_out(journal, cancel.is_cancelled()).err();
        }
        if trouble.is_none() && !dispatch.is_busy() && dispatch.clean_up() {
            continue;
        }
        if !dispatch.is_busy() {
            break;
        }
        let Some(ended) = told.recv().await else { break };
        if let Err(problem) = dispatch.settle(ended, journal, events) {
            trouble.get_or_insert(problem);
        }
    }
    let why = match (&trouble, cancel.is_cancelled()) {
        (Some(problem), _) => problem.summary.clone(),
        (None, true) => "the apply was interrupted".to_owned(),
        (None, false) => "a step before it was not done".to_owned(),
    };
    let reports = dispatch.reports(&why);
    let mut sessions = Sessions::new();
    for (host, worker) in dispatch.workers {
        drop(worker.orders);
        if let Ok(session) = worker.task.await {
            sessions.insert(host, session);
        }
    }
    (reports, sessions, trouble)
}

/// Something for a host to run: a step, or the inverse of one.
#[derive(Debug, Clone)]
struct Order {
    step: Step,
    rolls_back: Option<Command>,
}

/// What came of an order.
struct Ended {
    host: HostName,
    order: Order,
    result: Outcome,
    elapsed: Duration,
    /// The session cannot be used any more, and why.
    gone: Option<String>,
    /// Whether the worker has more orders in hand.
    more: bool,
}

/// One host with its session: it runs orders one after another.
struct Worker {
    orders: UnboundedSender<Vec<Order>>,
    task: JoinHandle<Session>,
}

impl Worker {
    fn start(
        host: HostName,
        mut session: Session,
        tell: UnboundedSender<Ended>,
        events: UnboundedSender<Event>,
        cancel: CancellationToken,
        drawn: String,
    ) -> Self {
        let (orders, mut inbox): (_, UnboundedReceiver<Vec<Order>>) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            while let Some(batch) = inbox.recv().await {
                let mut batch = VecDeque::from(batch);
                while let Some(order) = batch.pop_front() {
                    let started = Instant::now();
                    let result = run(&mut session, &order, &events, &drawn).await;
                    if cancel.is_cancelled() {
                        batch.clear();
                    }
                    let gone = session.gone().map(str::to_owned);
                    let ended = Ended {
                        host: host.clone(),
                        order,
                        result,
                        elapsed: started.elapsed(),
                        gone,
                        more: !batch.is_empty(),
                    };
                    if tell.send(ended).is_err() {
                        return session;
                    }
                }
            }
            session
        });
        Worker { orders, task }
    }
}

async fn run(session: &mut Session, order: &Order, events: &UnboundedSender<Event>, drawn: &str) -> Outcome {
    let step = &order.step;
    let (command, guard, summary) = match &order.rolls_back {
        None => (&step.command, step.guard.as_slice(), step.summary.clone()),
        Some(inverse) => (inverse, [].as_slice(), format!("take back: {}", step.summary)),
    };
    // A receiver that is gone only means that nobody watches.
    let _ = events.send(Event::StepStarted { id: step.id.clone(), host: step.host.clone(), summary });
    let mut told = |bytes: u64, of: u64| {
        let _ = events.send(Event::StepProgress { id: step.id.clone(), bytes, of });
    };
    let command = command.with_drawn(drawn);
    let ran = match &command.upload {
        None => session.run_long(&command, guard, &mut told).await,
        Some(file) => upload::send(session, &command, guard, file, &mut told).await,
    };
    match (ran, &order.rolls_back) {
        (transport::Outcome::Done(_), None) => Outcome::Done,
        (transport::Outcome::Done(_), Some(_)) => Outcome::RolledBack,
        (transport::Outcome::Failed(reply), None) => Outcome::Failed { message: message(&reply) },
        (transport::Outcome::Failed(reply), Some(_)) => {
            Outcome::Failed { message: format!("it was done, and taking it back failed: {}", message(&reply)) }
        }
        (transport::Outcome::Changed { what, was, is }, _) => Outcome::Changed { what, was, is },
        (transport::Outcome::Lost(why), _) => Outcome::Unknown { why },
    }
}

fn message(reply: &Reply) -> String {
    let said = if reply.err.trim().is_empty() { reply.out.trim() } else { reply.err.trim() };
    match said {
        "" => format!("exit status {}", reply.status),
        _ => format!("{said} (exit status {})", reply.status),
    }
}

/// Which step may start, and what became of each.
struct Dispatch<'a> {
    steps: BTreeMap<&'a str, &'a Step>,
    order: Vec<&'a str>,
    followers: BTreeMap<&'a str, Vec<&'a str>>,
    waits: BTreeMap<&'a str, usize>,
    /// Steps that may start, by host, in the order of the plan.
    ready: BTreeMap<HostName, BTreeSet<usize>>,
    position: BTreeMap<&'a str, usize>,
    /// Inverses to run before anything else on a host.
    rollbacks: BTreeMap<HostName, VecDeque<Order>>,
    results: BTreeMap<StepId, Outcome>,
    busy: BTreeSet<HostName>,
    gone: BTreeMap<HostName, String>,
    /// Steps that clean up and were queued because their turn did not come.
    cleaning: BTreeSet<StepId>,
    hosts_at_once: usize,
    workers: BTreeMap<HostName, Worker>,
}

impl<'a> Dispatch<'a> {
    fn new(steps: &'a [Step], hosts_at_once: usize, workers: BTreeMap<HostName, Worker>) -> Self {
        let mut dispatch = Dispatch {
            steps: steps.iter().map(|step| (step.id.as_str(), step)).collect(),
            order: steps.iter().map(|step| step.id.as_str()).collect(),
            followers: BTreeMap::new(),
            waits: BTreeMap::new(),
            ready: BTreeMap::new(),
            position: steps.iter().enumerate().map(|(at, step)| (step.id.as_str(), at)).collect(),
            rollbacks: BTreeMap::new(),
            results: BTreeMap::new(),
            busy: BTreeSet::new(),
            gone: BTreeMap::new(),
            cleaning: BTreeSet::new(),
            hosts_at_once,
            workers,
        };
        for (at, step) in steps.iter().enumerate() {
            dispatch.waits.insert(&step.id, step.after.len());
            for before in &step.after {
                dispatch.followers.entry(before).or_default().push(&step.id);
            }
            if step.after.is_empty() {
                dispatch.ready.entry(step.host.clone()).or_default().insert(at);
            }
        }
        dispatch
    }

    fn is_busy(&self) -> bool {
        !self.busy.is_empty()
    }

    /// Gives each free host what it may do, intents on disk first.
    fn hand_out(&mut self, journal: &mut Journal, only_rollbacks: bool) -> Result<(), Problem> {
        let hosts: BTreeSet<HostName> = self.ready.keys().chain(self.rollbacks.keys()).cloned().collect();
        for host in hosts {
            if self.busy.len() >= self.hosts_at_once || self.busy.contains(&host) {
                continue;
            }
            let Some(worker) = self.workers.get(&host).filter(|_| !self.gone.contains_key(&host)) else { continue };
            let batch = match self.rollbacks.get_mut(&host).map(std::mem::take).filter(|waiting| !waiting.is_empty()) {
                Some(rollbacks) => Vec::from(rollbacks),
                None if only_rollbacks => Vec::new(),
                None => {
                    let ready = self.ready.entry(host.clone()).or_default();
                    let batch: Vec<usize> = ready.iter().take(BATCH).copied().collect();
                    ready.retain(|at| !batch.contains(at));
                    let steps = batch.iter().map(|at| self.steps[self.order[*at]].clone());
                    steps.map(|step| Order { step, rolls_back: None }).collect::<Vec<_>>()
                }
            };
            if batch.is_empty() {
                continue;
            }
            journal.intent(batch.iter().map(|order| &order.step.id))?;
            if worker.orders.send(batch).is_ok() {
                self.busy.insert(host);
            }
        }
        Ok(())
    }

    /// Takes the end of an order into account.
    fn settle(&mut self, ended: Ended, journal: &mut Journal, events: &UnboundedSender<Event>) -> Result<(), Problem> {
        if !ended.more {
            self.busy.remove(&ended.host);
        }
        if let Some(why) = ended.gone {
            self.gone.insert(ended.host.clone(), why);
        }
        let id = ended.order.step.id.clone();
        let _ = events.send(Event::StepEnded { id: id.clone(), outcome: ended.result.clone(), elapsed: ended.elapsed });
        let (word, text) = match &ended.result {
            Outcome::Done => (journal::StepResult::Done, String::new()),
            Outcome::RolledBack => (journal::StepResult::RolledBack, String::new()),
            Outcome::Failed { message } => (journal::StepResult::Failed, message.clone()),
            Outcome::Changed { what, was, is } => {
                (journal::StepResult::Changed, format!("{what} was {was:?}, is {is:?}"))
            }
            Outcome::Unknown { why } | Outcome::NotStarted { why } => (journal::StepResult::Unknown, why.clone()),
        };
        let is_rollback = ended.order.rolls_back.is_some();
        let is_done = ended.result == Outcome::Done;
        self.results.insert(id.clone(), ended.result);
        match (is_done, is_rollback) {
            (true, _) => self.release_followers(&id),
            // What could not be cleaned up is no reason to take back what was done.
            (false, false) if !ended.order.step.cleans_up => self.roll_back(&ended.order.step),
            (false, _) => {}
        }
        journal.outcome(&id, word, &text)
    }

    fn release_followers(&mut self, id: &str) {
        for follower in self.followers.get(id).cloned().unwrap_or_default() {
            let Some(waits) = self.waits.get_mut(follower) else { continue };
            *waits -= 1;
            if *waits == 0 {
                self.ready.entry(self.steps[follower].host.clone()).or_default().insert(self.position[follower]);
            }
        }
    }

    /// Queues the steps that clean up and whose turn did not come, because something before them was not done. Gives whether there
    /// are any.
    fn clean_up(&mut self) -> bool {
        let is_own = |step: &Step, id: &StepId| {
            let before = self.steps[id.as_str()];
            (&before.address, &before.host) == (&step.address, &step.host)
        };
        let is_done = |id: &StepId| self.results.get(id) == Some(&Outcome::Done);
        let is_due = |step: &&Step| {
            step.cleans_up
                && !self.results.contains_key(&step.id)
                && !self.cleaning.contains(&step.id)
                && !self.gone.contains_key(&step.host)
                && self.workers.contains_key(&step.host)
                && step.after.iter().any(|id| is_own(step, id) && is_done(id))
        };
        let due: Vec<_> = self.order.iter().map(|id| self.steps[*id]).filter(is_due).cloned().collect();
        for step in &due {
            // An interrupt stops what was released in its turn; this goes the way of what is taken back.
            self.ready.entry(step.host.clone()).or_default().remove(&self.position[step.id.as_str()]);
            let order = Order { step: step.clone(), rolls_back: None };
            self.rollbacks.entry(step.host.clone()).or_default().push_back(order);
            self.cleaning.insert(step.id.clone());
        }
        !due.is_empty()
    }

    /// Queues the inverses of what was done for the same placement, last step first.
    fn roll_back(&mut self, failed: &Step) {
        let same = |step: &Step| step.address == failed.address && step.host == failed.host && step.rolls_back;
        let done = self
            .order
            .iter()
            .rev()
            .map(|id| self.steps[*id])
            .filter(|step| same(step) && self.results.get(&step.id) == Some(&Outcome::Done));
        let orders: Vec<Order> = done
            .filter_map(|step| match &step.inverse {
                Inverse::By(command) => Some(Order { step: step.clone(), rolls_back: Some(command.clone()) }),
                Inverse::None(_) => None,
            })
            .collect();
        self.rollbacks.entry(failed.host.clone()).or_default().extend(orders);
    }

    /// What became of every step, in the order of the plan. `why` is said of those that were never reached.
    fn reports(&self, why: &str) -> Vec<StepReport> {
        let report = |id: &&str| {
            let step = self.steps[*id];
            let not_started = || {
                let why = match self.gone.get(&step.host) {
                    Some(gone) => gone.clone(),
                    None if !self.workers.contains_key(&step.host) => {
                        format!("there is no connection to {}", step.host)
                    }
                    None => why.to_owned(),
                };
                Outcome::NotStarted { why }
            };
            StepReport {
                id: step.id.clone(),
                address: step.address.clone(),
                host: step.host.clone(),
                action: step.action.clone(),
                summary: step.summary.clone(),
                outcome: self.results.get(&step.id).cloned().unwrap_or_else(not_started),
            }
        };
        self.order.iter().map(report).collect()
    }
}
