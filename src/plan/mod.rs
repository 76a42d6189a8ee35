//! The pure heart: what is wanted, what hosts said and what the state remembers become a plan. Nothing here reads a file,
//! asks a host, or knows the time: the same input gives the same bytes.

mod files;
mod graph;
mod hash;
mod imports;
mod ledger;
mod outputs;
mod removal;
mod renames;
mod targets;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

use crate::config::Statements;
use crate::kinds::{
    self, Dependent, Dependents, Difference, Draft, Heard, Memory, Remedy, Scene, Standing, Verdict, host, kind_of,
};
use crate::model::hazard::Acceptance;
use crate::model::moved;
use crate::model::problem::in_order;
use crate::model::{
    Address, Block, Blocks, Connection, Datum, Facts, Hazard, HazardCode, HostFacts, HostName, Problem, Problems,
    Question, Step,
};
use crate::state::moves::{self, Pairs};
use crate::state::{State, without_secrets};

pub use files::FileChange;
pub use hash::{seal, unseal};
pub use outputs::{Output, OutputChange};
use targets::Scope;
pub use targets::{Choice, Limit, Target, Targets, Why, unknown_names};

pub const FORMAT_VERSION: &str = "1.0";

/// Facts about a run that are not part of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub operation: Operation,
    /// Hazards accepted on the command line.
    pub accepted: BTreeSet<(HazardCode, Address)>,
    /// The most that may be unmounted or deleted; 0 is no limit.
    pub max_destroy: usize,
    /// How far it goes.
    pub limit: Limit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    #[default]
    Apply,
    Destroy,
    /// Hosts stay as they are; only the state follows them.
    RefreshOnly,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    Create,
    Update,
    Destroy,
    /// Matches, and becomes ours.
    Adopt,
    /// Left alone, no longer ours.
    Forget,
    /// The same under another address.
    Move,
    Unchanged,
    /// Decided after other steps of the plan have run.
    Later,
    /// Not known, because the host or the storage does not answer.
    Unknown,
}

/// What happens to one resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    pub address: Address,
    /// The address that it had before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<Address>,
    pub kind: String,
    pub action: Action,
    pub hosts: BTreeMap<HostName, Action>,
    pub differences: Vec<ChangedAttribute>,
    /// Why it waits or is unknown, for people.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reasons: BTreeMap<HostName, String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangedAttribute {
    pub host: HostName,
    pub attribute: String,
    pub have: String,
    pub want: String,
}

/// An attribute that was changed by hand since the last apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drift {
    pub address: Address,
    pub host: HostName,
    pub attribute: String,
    pub recorded: String,
    pub have: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnknownHost {
    pub host: HostName,
    pub reason: String,
}

/// Room that the plan takes in one file system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    pub host: HostName,
    pub at: String,
    pub free: Option<u64>,
    pub bytes: u64,
    pub promised: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub create: usize,
    pub update: usize,
    pub destroy: usize,
    pub adopt: usize,
    pub forget: usize,
    #[serde(rename = "move")]
    pub moved: usize,
    pub unchanged: usize,
}

/// The state that a plan was made from: applying it to another one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasedOn {
    pub lineage: Option<uuid::Uuid>,
    pub serial: u64,
}

/// Everything that apply needs, and nothing that it would have to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    pub format_version: String,
    pub larder_version: String,
    /// `sha256:...` over what the plan does and why; not over when, where from, and in which order files were read.
    pub hash: String,
    /// Whether it covers everything that is wanted or recorded, and every placement of it was decided.
    pub complete: bool,
    /// What it is limited to; `None` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub targets: Option<Targets>,
    pub operation: Operation,
    pub based_on: BasedOn,
    pub summary: Summary,
    pub changes: Vec<Change>,
    pub steps: Vec<Step>,
    pub files: Vec<FileChange>,
    pub hazards: Vec<Hazard>,
    pub drift: Vec<Drift>,
    pub unknown: Vec<UnknownHost>,
    pub rooms: Vec<Room>,
    pub round_trips: BTreeMap<HostName, u32>,
    /// The remote functions that steps and guards call, by name.
    pub functions: BTreeMap<String, String>,
    /// How each host of the plan is reached.
    pub hosts: BTreeMap<HostName, Connection>,
    /// The blocks that are wanted, hosts included.
    pub desired: Blocks,
    /// What the state is to remember of each placement once its steps have run.
    pub memory: BTreeMap<Address, BTreeMap<HostName, BTreeMap<String, String>>>,
    /// The addresses that change in the state, from old to new.
    #[serde(default)]
    pub moved: Pairs,
    /// Records that go from the state and stay on their hosts.
    #[serde(default)]
    pub forgotten: BTreeSet<Address>,
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// What of them differs from what the state has.
    #[serde(default)]
    pub output_changes: BTreeMap<String, OutputChange>,
    pub max_hosts_at_once: usize,
    pub parallelism: usize,
    /// The state file, relative to the directory of the configuration.
    pub state_path: String,
    /// Whether it was made from the hosts of a lab, and so is for them alone.
    #[serde(default)]
    pub lab: bool,
    /// How each placement was found. Not part of a plan file: it is for the state, after steps have run.
    #[serde(skip)]
    pub found: BTreeMap<Address, BTreeMap<HostName, Found>>,
}

/// How one placement was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    pub standing: Standing,
    /// Nothing of it differs from what is wanted.
    pub is_settled: bool,
    pub observed: BTreeMap<String, String>,
    /// Addresses of before that the host goes on to carry.
    pub formerly: BTreeSet<Address>,
}

impl Plan {
    /// Whether every placement that it covers was decided.
    pub fn is_decided(&self) -> bool {
        let is_open = |action: &Action| matches!(action, Action::Unknown | Action::Later);
        self.unknown.is_empty()
            && !self.changes.iter().any(|change| is_open(&change.action) || change.hosts.values().any(is_open))
    }

    /// Whether apply would change a host, what Larder calls its own, or an output.
    pub fn has_changes(&self) -> bool {
        !self.moved.is_empty()
            || !self.output_changes.is_empty()
            || self.changes.iter().any(|change| {
                change.hosts.values().any(|action| {
                    matches!(
                        action,
                        Action::Create
                            | Action::Update
                            | Action::Destroy
                            | Action::Forget
                            | Action::Move
                            | Action::Later
                    )
                }) || matches!(change.action, Action::Forget | Action::Destroy)
            })
    }

    /// Hazards that apply refuses.
    pub fn blocking(&self) -> impl Iterator<Item = &Hazard> {
        self.hazards.iter().filter(|hazard| hazard.blocks())
    }

    /// Placements that could not be decided before other steps have run.
    pub fn waits(&self) -> bool {
        self.changes.iter().any(|change| change.hosts.values().any(|action| *action == Action::Later))
    }
}

/// Who is asked what: every host that the run has anything on.
///
/// Blocks that are not wholly known yet are left out; ask again when they are.
///
/// # Errors
/// When what the state has cannot move as the statements say.
pub fn questions(
    desired: &Blocks,
    state: &State,
    statements: &Statements,
    request: &Request,
) -> Result<BTreeMap<HostName, (Connection, Vec<Question>)>, Problems> {
    let pairs = moves::resolve(state, &statements.moved)?;
    let state: &State = &moves::rename(state, &pairs);
    let scope = Scope::of(desired, state, &statements.removed, request.operation, &request.limit);
    let known = &known_blocks(desired).0;
    let watched = watched(known, state);
    let mut asked: BTreeMap<HostName, BTreeSet<Question>> = BTreeMap::new();
    let (recorded, pending) = (recorded_blocks(state), pending_blocks(state));
    for (blocks, is_wanted) in [(known, true), (&recorded, false), (&pending, false)] {
        for block in blocks.values().filter(|block| scope.has(&block.address)) {
            let Some(kind) = kind_of(&block.address) else { continue };
            // What goes without a step is left alone altogether.
            if !is_wanted && scope.forgotten.contains(&block.address) {
                continue;
            }
            for host in hosts_of(block, blocks, state) {
                asked.entry(host.clone()).or_default().extend(kind.questions(block, blocks, &host));
            }
        }
    }
    // An overlay that is not part of the run, or not wanted any more, protects the image below it all the same.
    for blocks in [known, &recorded, &pending] {
        for block in blocks.values() {
            let Some((kind, (base, _))) =
                kind_of(&block.address).and_then(|kind| Some((kind, kind.built_on(block, blocks)?)))
            else {
                continue;
            };
            for host in hosts_of(block, blocks, state).iter().filter(|_| scope.has(&base)) {
                if let Some(questions) = asked.get_mut(host) {
                    questions.extend(kind.questions(block, blocks, host));
                }
            }
        }
    }
    for block in known.values().filter(|block| scope.is_beside(block, known)) {
        let Some(kind) = kind_of(&block.address) else { continue };
        for host in kind.hosts(block, known) {
            if let Some(questions) = asked.get_mut(&host) {
                questions.extend(kind.questions(block, known, &host));
            }
        }
    }
    let declared: BTreeSet<HostName> =
        known.keys().filter(|address| address.is(host::NAME) && scope.has(address)).map(host::name_of).collect();
    let mut all = BTreeMap::new();
    for (host, connection) in connections(known, state) {
        let Some(questions) = asked.remove(&host).or_else(|| declared.contains(&host).then(BTreeSet::new)) else {
            continue;
        };
        let ground = kinds::ground::questions(watched.get(&host).map_or(&[], Vec::as_slice));
        let questions = ground.into_iter().chain(questions).collect::<BTreeSet<_>>();
        all.insert(host, (connection, questions.into_iter().collect()));
    }
    Ok(all)
}

/// The wanted resources that a run is about.
///
/// # Errors
/// When what the state has cannot move as the statements say.
pub fn wanted(
    desired: &Blocks,
    state: &State,
    statements: &Statements,
    request: &Request,
) -> Result<BTreeSet<Address>, Problems> {
    if request.operation == Operation::Destroy {
        return Ok(BTreeSet::new());
    }
    let state = moves::rename(state, &moves::resolve(state, &statements.moved)?);
    let scope = Scope::of(desired, &state, &statements.removed, request.operation, &request.limit);
    Ok(desired.keys().filter(|address| scope.has(address)).cloned().collect())
}

/// What any host is asked for the sake of its facts, when the configuration reads them.
pub fn questions_for_facts(desired: &Blocks) -> BTreeMap<HostName, (Connection, Vec<Question>)> {
    let hosts = desired.values().filter(|block| block.address.is(host::NAME));
    hosts
        .map(|block| (host::name_of(&block.address), (host::connection(block), kinds::ground::questions(&[]))))
        .collect()
}

/// The hosts on which a block is to be, and those on which the state has it.
fn hosts_of(block: &Block, blocks: &Blocks, state: &State) -> BTreeSet<HostName> {
    let wanted = kind_of(&block.address).map(|kind| kind.hosts(block, blocks)).unwrap_or_default();
    let record = state.resources.get(&block.address);
    wanted.into_iter().chain(record.into_iter().flat_map(|record| record.placements.keys().cloned())).collect()
}

/// How each host is reached: as the configuration says, else as the state remembers.
fn connections(desired: &Blocks, state: &State) -> BTreeMap<HostName, Connection> {
    let mut all = state.hosts.clone();
    let wanted = desired.values().filter(|block| block.address.is(host::NAME));
    all.extend(wanted.map(|block| (host::name_of(&block.address), host::connection(block))));
    all
}

/// The blocks of the state; for one that was being applied when an apply was cut off, the old one.
fn recorded_blocks(state: &State) -> Blocks {
    state.resources.iter().map(|(address, record)| (address.clone(), record.block.clone())).collect()
}

/// The same with the new form of those whose apply was cut off.
fn pending_blocks(state: &State) -> Blocks {
    let form = |record: &crate::state::Record| record.pending.clone().unwrap_or_else(|| record.block.clone());
    state.resources.iter().map(|(address, record)| (address.clone(), form(record))).collect()
}

/// The paths of each host whose users matter; those that lie in another one need no question of their own.
fn watched(desired: &Blocks, state: &State) -> BTreeMap<HostName, Vec<String>> {
    let (recorded, pending) = (recorded_blocks(state), pending_blocks(state));
    let mut paths: BTreeMap<HostName, BTreeSet<String>> = BTreeMap::new();
    for all in [desired, &recorded, &pending] {
        for block in all.values() {
            let Some(kind) = kind_of(&block.address) else { continue };
            for host in hosts_of(block, all, state) {
                paths.entry(host).or_default().extend(kind.used_paths(block, all));
            }
        }
    }
    paths.into_iter().map(|(host, paths)| (host, paths.into_iter().collect())).collect()
}

/// What is built on another resource, wanted or recorded: what is forgotten stays on its hosts.
fn dependents(desired: &Blocks, state: &State) -> Dependents {
    let mut all = Dependents::new();
    for blocks in [desired, &recorded_blocks(state), &pending_blocks(state)] {
        for block in blocks.values() {
            let Some((base, paths)) = kind_of(&block.address).and_then(|kind| kind.built_on(block, blocks)) else {
                continue;
            };
            let (address, hosts) = (block.address.clone(), hosts_of(block, blocks, state));
            all.entry(base).or_default().push(Dependent { address, hosts, paths });
        }
    }
    all
}

/// Which resource has which path, by host.
fn owners(blocks: &Blocks) -> BTreeMap<HostName, BTreeMap<String, Address>> {
    let mut all: BTreeMap<HostName, BTreeMap<String, Address>> = BTreeMap::new();
    for block in blocks.values() {
        let Some(kind) = kind_of(&block.address) else { continue };
        let paths = kind.paths(block, blocks);
        for host in kind.hosts(block, blocks) {
            let of_host = all.entry(host).or_default();
            of_host.extend(paths.iter().map(|path| (path.clone(), block.address.clone())));
        }
    }
    all
}

/// The same with what the state has and this run leaves where it is.
fn owners_with(
    desired: &Blocks,
    state: &State,
    stays: impl Fn(&Address, &HostName) -> bool,
) -> BTreeMap<HostName, BTreeMap<String, Address>> {
    let mut all = owners(desired);
    let recorded = recorded_blocks(state);
    for (address, record) in &state.resources {
        let Some(kind) = kind_of(address) else { continue };
        for host in record.placements.keys().filter(|host| stays(address, host)) {
            for path in kind.paths(&record.block, &recorded) {
                all.entry(host.clone()).or_default().entry(path).or_insert_with(|| address.clone());
            }
        }
    }
    all
}

/// Everything that a plan is made from.
#[derive(Debug)]
pub struct Input<'a> {
    pub desired: &'a Blocks,
    /// What the configuration says about what the state has.
    pub statements: &'a Statements,
    pub outputs: BTreeMap<String, Output>,
    pub facts: &'a Facts,
    pub state: &'a State,
    pub request: &'a Request,
    pub parallelism: usize,
    pub max_hosts_at_once: usize,
    pub state_path: &'a str,
    /// Whether the facts are those of a lab.
    pub lab: bool,
}

/// Judges every resource on every host and puts the remedies in order.
///
/// # Errors
/// When two resources want one path, or paths and references ask for an impossible order.
pub fn plan(input: &Input) -> Result<Plan, Problems> {
    let request = input.request;
    let pairs = moves::resolve(input.state, &input.statements.moved)?;
    let state: &State = &moves::rename(input.state, &pairs);
    let scope = Scope::of(input.desired, state, &input.statements.removed, request.operation, &request.limit);
    let (known, unknown) = match request.operation {
        Operation::Destroy => (Blocks::new(), BTreeSet::new()),
        _ => known_blocks(input.desired),
    };
    let desired = &known;
    let mut problems = conflicts(desired);
    problems.extend(scope.moved_outside(&request.limit, input.state, &pairs));
    if request.operation != Operation::Destroy {
        problems.extend(targets::moved_to_nothing(input.desired, input.state, &pairs, &scope.forgotten));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let watched = watched(&known_blocks(input.desired).0, state);
    let memory = memory(state, &input.statements.moved, input.desired);
    let mut making = Making {
        input,
        state,
        desired,
        moved_from: pairs.iter().map(|(old, new)| (new, old)).collect(),
        moved: &pairs,
        scope: &scope,
        unknown,
        judged: BTreeMap::new(),
        aside: BTreeMap::new(),
        removed: BTreeMap::new(),
        hazards: Vec::new(),
        accepted: BTreeSet::new(),
    };
    let stays = |address: &Address, host: &HostName| {
        !scope.has(address) || scope.forgotten.contains(address) || scope.holds(address, host)
    };
    let owners = owners_with(desired, state, stays);
    let dependents = dependents(desired, state);
    let scene = Scene {
        blocks: desired,
        wanted: desired,
        facts: input.facts,
        memory: &memory,
        watched: &watched,
        owners: &owners,
        dependents: &dependents,
        heard: &Heard::default(),
    };
    making.judge(&scene);
    making.remove(&scene);
    making.refuse_renames();
    making.refuse_imports();
    making.finish(&scene)
}

/// The blocks whose every value is known, and the addresses of the others: a block that depends on one that is not known is
/// not known either, whatever its own values.
fn known_blocks(blocks: &Blocks) -> (Blocks, BTreeSet<Address>) {
    let mut unknown: BTreeSet<Address> =
        blocks.values().filter(|block| block.has_unknown()).map(|block| block.address.clone()).collect();
    if unknown.is_empty() {
        return (blocks.clone(), unknown);
    }
    let mut followers: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for block in blocks.values() {
        for needed in &block.depends_on {
            followers.entry(needed).or_default().push(&block.address);
        }
    }
    let mut open: Vec<Address> = unknown.iter().cloned().collect();
    while let Some(address) = open.pop() {
        for follower in followers.get(&address).into_iter().flatten() {
            if unknown.insert((*follower).clone()) {
                open.push((*follower).clone());
            }
        }
    }
    let known = blocks.iter().filter(|(address, _)| !unknown.contains(address));
    (known.map(|(address, block)| (address.clone(), block.clone())).collect(), unknown)
}

fn memory(state: &State, moves: &[moved::Moved], desired: &Blocks) -> BTreeMap<Address, Memory> {
    let of = |record: &crate::state::Record| Memory {
        block: Some(record.block.clone()),
        hosts: record.placements.iter().map(|(host, placement)| (host.clone(), placement.identity.clone())).collect(),
        seen: record
            .placements
            .iter()
            .filter(|(_, one)| !one.observed.is_empty())
            .map(|(host, _)| host.clone())
            .collect(),
        formerly: record.formerly.clone(),
    };
    let mut all: BTreeMap<Address, Memory> =
        state.resources.iter().map(|(address, record)| (address.clone(), of(record))).collect();
    if !moves.is_empty() {
        // Hosts keep the old name even where a state was lost.
        for address in desired.keys() {
            let origins = moved::origins(moves, address);
            if !origins.is_empty() {
                all.entry(address.clone()).or_default().formerly.extend(origins);
            }
        }
    }
    all
}

/// Two resources with one path on one host, as far as the paths are known.
pub fn conflicts(blocks: &Blocks) -> Problems {
    let mut problems = Problems::new();
    let mut named: BTreeMap<HostName, &Block> = BTreeMap::new();
    for block in blocks.values().filter(|block| block.address.is(host::NAME)) {
        let name = host::name_of(&block.address);
        if let Some(first) = named.insert(name.clone(), block) {
            let summary = format!("{} and {} are both called {name}", first.address, block.address);
            problems.push(of_instance(Problem::error("duplicate-host", summary, "Rename one of them."), block));
        }
    }
    let mut as_written: Vec<_> = blocks.values().filter_map(|block| Some((block, kind_of(&block.address)?))).collect();
    as_written.sort_by_key(|(block, _)| block.place.as_deref());
    // Most paths are wanted once; only of the others the hosts matter.
    let hashes = RandomState::new();
    let (mut once, mut contested) = (HashSet::new(), HashSet::new());
    for (block, kind) in &as_written {
        let paths = kind.paths(block, blocks);
        contested.extend(paths.iter().map(|path| hashes.hash_one(path)).filter(|hash| !once.insert(*hash)));
    }
    let mut owners: HashMap<(HostName, String), &Block> = HashMap::new();
    for (block, kind) in as_written {
        if contested.is_empty() {
            break;
        }
        let mut paths = kind.paths(block, blocks);
        paths.retain(|path| contested.contains(&hashes.hash_one(path)));
        if paths.is_empty() {
            continue;
        }
        let mut reported = false;
        for host in kind.hosts(block, blocks) {
            for path in &paths {
                let Some(first) = owners.insert((host.clone(), path.clone()), block) else { continue };
                if first.address == block.address || reported {
                    continue;
                }
                reported = true;
                problems.push(shared_path(first, block, &host, path));
            }
        }
    }
    in_order(problems)
}

fn shared_path(first: &Block, block: &Block, host: &HostName, path: &str) -> Problem {
    let at = first.place.as_ref().map_or_else(String::new, |place| format!(" ({}:{})", place.file, place.start.line));
    let is_secret = |block: &Block| block.attributes.values().any(|attribute| attribute.sensitive);
    let shown = if is_secret(first) || is_secret(block) { "one path" } else { path };
    let problem = Problem::error(
        "duplicate-path",
        format!("{} and {} both want {shown} on {host}", first.address, block.address),
        format!("{}{at} has it first. Give one of them another path or name.", first.address),
    );
    let gives_path =
        |value: &Datum| matches!(value, Datum::Text(text) if *path == **text || path.ends_with(&format!("/{text}")));
    let written = block.attributes.values().filter(|attribute| gives_path(&attribute.value));
    let place = written.filter_map(|attribute| attribute.place.as_deref().cloned()).next();
    let problem = of_instance(problem, block);
    Problem { place: place.or(problem.place), ..problem }
}

fn of_instance(problem: Problem, block: &Block) -> Problem {
    let is_one_of_many = block.address.key.is_some() || block.address.module.iter().any(|step| step.key.is_some());
    let instance = is_one_of_many.then(|| block.address.to_string());
    Problem { instance, ..problem }.at(block.place.as_deref())
}

/// A plan in the making.
struct Making<'a> {
    input: &'a Input<'a>,
    /// The state, with what has moved where it belongs now.
    state: &'a State,
    desired: &'a Blocks,
    moved: &'a Pairs,
    /// The same from new to old.
    moved_from: BTreeMap<&'a Address, &'a Address>,
    scope: &'a Scope,
    /// Blocks whose values, or those of a block that they depend on, are not known: they are left alone.
    unknown: BTreeSet<Address>,
    judged: BTreeMap<Address, BTreeMap<HostName, Verdict>>,
    /// What is not part of the run and takes room beside it.
    aside: BTreeMap<Address, BTreeMap<HostName, Verdict>>,
    /// Recorded placements that nobody wants any more.
    removed: BTreeMap<Address, BTreeMap<HostName, Verdict>>,
    hazards: Vec<Hazard>,
    accepted: BTreeSet<(HazardCode, Address)>,
}

/// A resource with what was concluded on the hosts that are to have it, and on those that are not to have it any more.
type Judged = (Address, BTreeMap<HostName, Verdict>, BTreeMap<HostName, Verdict>);

impl Making<'_> {
    fn is_reached(&self, host: &HostName) -> bool {
        matches!(self.input.facts.host(host), HostFacts::Reached(_))
    }

    fn judge(&mut self, scene: &Scene) {
        for block in self.desired.values() {
            let Some(kind) = kind_of(&block.address) else { continue };
            let is_inside = self.scope.has(&block.address);
            if is_inside || self.scope.is_beside(block, self.desired) {
                let verdicts = kind.judge(block, scene);
                let place = if is_inside { &mut self.judged } else { &mut self.aside };
                if !verdicts.is_empty() {
                    place.insert(block.address.clone(), verdicts);
                }
            }
            self.accepted.extend(block.lifecycle.accept.iter().map(|code| (*code, block.address.clone())));
        }
        self.accepted.extend(self.input.request.accepted.iter().cloned());
    }

    /// Two resources that both must have one thing to themselves, under whatever names.
    fn refuse_double_claims(&mut self) {
        let mut owners: BTreeMap<(HostName, String), Address> = BTreeMap::new();
        let mut doubles = Vec::new();
        for (address, verdicts) in &self.judged {
            for (host, claim) in
                verdicts.iter().flat_map(|(host, verdict)| verdict.claims.iter().map(move |claim| (host, claim)))
            {
                if let Some(first) = owners.get(&(host.clone(), claim.clone())) {
                    doubles.push(Hazard::new(
                        HazardCode::DeviceDiffers,
                        address,
                        Some(host),
                        format!("{first} and {address} are both on {claim} of {host}"),
                        "Give each a device of its own: two names can lead to one device.",
                    ));
                } else {
                    owners.insert((host.clone(), claim.clone()), address.clone());
                }
            }
        }
        for hazard in doubles {
            if let Some(verdict) =
                hazard.host.as_ref().and_then(|host| self.judged.get_mut(&hazard.address)?.get_mut(host))
            {
                verdict.hazards.push(hazard);
            }
        }
    }

    /// How a placement stands in the plan.
    fn action(&self, address: &Address, host: &HostName, verdict: &Verdict) -> Action {
        let recorded = self.state.resources.get(address).is_some_and(|record| record.placements.contains_key(host));
        match &verdict.standing {
            Standing::Unknown(_) => Action::Unknown,
            Standing::Later(_) => Action::Later,
            Standing::Absent => Action::Create,
            Standing::Present if !verdict.differences.is_empty() => Action::Update,
            Standing::Present if recorded => Action::Unchanged,
            Standing::Present => Action::Adopt,
        }
    }

    fn is_accepted(&self, hazard: &Hazard) -> bool {
        hazard.can_be_accepted && self.accepted.contains(&(hazard.code, hazard.address.clone()))
    }

    /// A hazard of a placement, marked as accepted where somebody did.
    fn note(&mut self, mut hazard: Hazard) -> bool {
        hazard.accepted = self.is_accepted(&hazard);
        let blocks = hazard.blocks();
        self.hazards.push(hazard);
        blocks
    }

    /// The steps of a placement; `None` where it is refused for good.
    fn drafts(
        &mut self,
        address: &Address,
        host: &HostName,
        verdict: &Verdict,
        members_unknown: &[HostName],
    ) -> Option<Vec<Draft>> {
        let mut refused = false;
        for hazard in &verdict.hazards {
            refused |= self.note(hazard.clone()) && !hazard.can_be_accepted;
        }
        let mut drafts = Vec::new();
        for difference in &verdict.differences {
            match &difference.remedy {
                Remedy::Run(steps) => drafts.extend(steps.iter().cloned()),
                Remedy::Ask(hazard, steps) => {
                    self.note(hazard.clone());
                    drafts.extend(steps.iter().cloned().map(|mut step| {
                        step.hazards.push(hazard.code);
                        step
                    }));
                }
                Remedy::Never(hazard) => {
                    self.note(hazard.clone());
                    refused = true;
                }
                Remedy::Record => {}
            }
        }
        if drafts.iter().any(|draft| draft.needs_all_members) && !members_unknown.is_empty() {
            let names = members_unknown.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            self.note(Hazard::new(
                HazardCode::HostUnknown,
                address,
                Some(host),
                format!("{names} did not answer: {address} cannot be formatted or taken away while a member host is unknown"),
                "Bring the host back, or remove it from the configuration and from the state (`larder state rm`) if it is gone for good.",
            ));
            refused = true;
        }
        match self.input.request.operation {
            _ if refused => None,
            Operation::RefreshOnly => Some(Vec::new()),
            _ => Some(drafts),
        }
    }

    fn finish(mut self, scene: &Scene) -> Result<Plan, Problems> {
        self.refuse_double_claims();
        let mut placed = Vec::new();
        let mut refused = BTreeSet::new();
        let mut open = BTreeMap::new();
        let mut judged: Vec<Judged> = Vec::new();
        let addresses: BTreeSet<_> = self.judged.keys().chain(self.removed.keys()).cloned().collect();
        for address in addresses {
            let wanted = self.judged.get(&address).cloned().unwrap_or_default();
            let removed = self.removed.get(&address).cloned().unwrap_or_default();
            let members =
                wanted.keys().chain(removed.keys()).filter(|host| !self.is_reached(host)).cloned().collect::<Vec<_>>();
            for (host, verdict) in &wanted {
                let drafts = self.drafts(&address, host, verdict, &members).unwrap_or_else(|| {
                    refused.insert((address.clone(), host.clone()));
                    Vec::new()
                });
                placed.push(graph::Placed::own(&address, host, false, drafts));
                self.note_unknown(&address, host, verdict);
                if matches!(verdict.standing, Standing::Unknown(_) | Standing::Later(_)) {
                    open.insert((address.clone(), host.clone()), verdict.standing.clone());
                }
            }
            for (host, verdict) in &removed {
                let drafts = self.drafts(&address, host, verdict, &members).unwrap_or_default();
                placed.push(graph::Placed::own(&address, host, true, drafts));
                self.note_unknown(&address, host, verdict);
            }
            judged.push((address, wanted, removed));
        }
        let mut idle: BTreeSet<_> = refused.union(&open.keys().cloned().collect()).cloned().collect();
        let waiting = without_what_they_need(&mut placed, refused, open, self.desired);
        idle.extend(waiting.keys().cloned());
        self.call_witnesses(&mut placed, &mut judged, &idle, scene);
        let mut changes: Vec<Change> =
            judged.iter().map(|(address, wanted, removed)| self.change(address, wanted, removed, &waiting)).collect();
        let unknown = self.unknown.iter().filter(|address| !address.is(host::NAME) && self.scope.has(address));
        changes.extend(unknown.map(|address| self.unknown_change(address.clone())));
        changes.extend(self.moved_hosts());
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        let rooms = self.ledger();
        let (steps, edits) = graph::order(placed, self.desired, self.state)?;
        self.limit_destruction(&edits);
        let files = files::changes(&edits, self.input.facts);
        self.hazards
            .sort_by(|a, b| (a.accepted, a.code, &a.address, &a.host).cmp(&(b.accepted, b.code, &b.address, &b.host)));
        // One that was told in several places is told once: those that are alike stand together now.
        let mut told: BTreeSet<(HazardCode, Address, Option<HostName>, String, String)> = BTreeSet::new();
        self.hazards.retain(|one| {
            told.insert((one.code, one.address.clone(), one.host.clone(), one.message.clone(), one.cure.clone()))
        });
        let unknown = self.unknown_hosts();
        let found = self.found();
        let outputs = match (self.scope.is_partial(), self.input.request.operation) {
            // What a part of the configuration comes to is not what the whole does.
            (true, _) => self.state.outputs.clone(),
            // They tell of what was taken away.
            (false, Operation::Destroy) => BTreeMap::new(),
            (false, _) => outputs::wanted(&self.state.outputs, &self.input.outputs),
        };
        let mut plan = Plan {
            format_version: FORMAT_VERSION.to_owned(),
            larder_version: env!("CARGO_PKG_VERSION").to_owned(),
            hash: String::new(),
            complete: false,
            targets: self.scope.targets.clone(),
            operation: self.input.request.operation,
            based_on: BasedOn { lineage: self.state.lineage, serial: self.state.serial },
            summary: summary(&changes),
            drift: self.drift(),
            changes,
            functions: used_functions(&steps),
            steps,
            files,
            unknown,
            rooms,
            round_trips: self.input.facts.round_trips.clone(),
            hosts: self.hosts(),
            memory: self.memory_after(scene.memory),
            moved: self.moved.clone(),
            forgotten: self.scope.forgotten.iter().filter(|address| self.scope.has(address)).cloned().collect(),
            hazards: self.hazards,
            desired: self.desired.clone(),
            output_changes: outputs::changes(&self.state.outputs, &outputs, &self.input.outputs),
            outputs,
            max_hosts_at_once: self.input.max_hosts_at_once,
            parallelism: self.input.parallelism,
            state_path: self.input.state_path.to_owned(),
            lab: self.input.lab,
            found,
        };
        plan.complete = plan.targets.is_none() && plan.is_decided();
        plan.hash = hash::of(&plan);
        Ok(plan)
    }

    /// Lets those that have a part in the plan prove to each other that they have one storage. Whoever is idle is neither a witness
    /// nor asked what it has heard.
    fn call_witnesses(
        &self,
        placed: &mut Vec<graph::Placed>,
        judged: &mut [Judged],
        idle: &BTreeSet<(Address, HostName)>,
        scene: &Scene,
    ) {
        if self.input.request.operation == Operation::RefreshOnly {
            return;
        }
        let mut own = BTreeMap::new();
        for (position, one) in placed.iter().enumerate().filter(|(_, one)| !one.unmakes) {
            own.insert((one.address.clone(), one.host.clone()), position);
        }
        for (address, wanted, _) in judged {
            let Some((kind, block)) = kind_of(address).zip(self.desired.get(address)) else { continue };
            let mut acting = wanted.clone();
            acting.retain(|host, _| !idle.contains(&(address.clone(), host.clone())));
            let Some(proof) = kind.prove(block, scene, &acting) else { continue };
            placed.extend(graph::Placed::of_witness(address, &proof));
            for (host, difference) in proof.heard {
                let position = own.get(&(address.clone(), host.clone()));
                if let (Some(verdict), Some(position)) = (wanted.get_mut(&host), position) {
                    verdict.differences.push(difference);
                    let drafts = verdict.differences.last().into_iter().flat_map(Difference::drafts);
                    placed[*position].drafts.extend(drafts.cloned());
                }
            }
        }
    }

    /// A placement that a host which answers leaves unknown is a hazard; a host that does not answer is listed as such.
    fn note_unknown(&mut self, address: &Address, host: &HostName, verdict: &Verdict) {
        if let (Standing::Unknown(why), true) = (&verdict.standing, self.is_reached(host)) {
            self.note(Hazard::new(
                HazardCode::Unresponsive,
                address,
                Some(host),
                format!("{address} on {host} could not be read: {why}"),
                "Larder does not guess. Look at the host, then plan again.",
            ));
        }
    }

    fn change(
        &self,
        address: &Address,
        wanted: &BTreeMap<HostName, Verdict>,
        removed: &BTreeMap<HostName, Verdict>,
        waiting: &BTreeMap<(Address, HostName), Standing>,
    ) -> Change {
        let mut hosts = BTreeMap::new();
        let mut reasons = BTreeMap::new();
        let mut differences = Vec::new();
        for (host, verdict) in wanted {
            let action = match (self.action(address, host, verdict), waiting.get(&(address.clone(), host.clone()))) {
                (Action::Create | Action::Update, Some(Standing::Later(why))) => {
                    reasons.insert(host.clone(), why.clone());
                    Action::Later
                }
                (Action::Create | Action::Update, Some(Standing::Unknown(why))) => {
                    reasons.insert(host.clone(), why.clone());
                    Action::Unknown
                }
                (action, _) => action,
            };
            hosts.insert(host.clone(), action);
        }
        for (host, verdict) in removed {
            let action = match &verdict.standing {
                Standing::Unknown(_) => Action::Unknown,
                _ if verdict.differences.is_empty() && verdict.hazards.is_empty() => Action::Forget,
                _ => Action::Destroy,
            };
            hosts.insert(host.clone(), action);
        }
        for (host, verdict) in wanted.iter().chain(removed) {
            let attribute = |one: &kinds::Difference| ChangedAttribute {
                host: host.clone(),
                attribute: one.attribute.clone(),
                have: one.have.clone(),
                want: one.want.clone(),
            };
            differences.extend(verdict.differences.iter().map(attribute));
            if let Standing::Unknown(why) | Standing::Later(why) = &verdict.standing {
                reasons.insert(host.clone(), why.clone());
            }
        }
        let is_recorded = self.state.resources.contains_key(address);
        let action = match overall(&hosts, is_recorded, !wanted.is_empty()) {
            Action::Unchanged | Action::Update | Action::Adopt if self.only_moves(address) => Action::Move,
            action => action,
        };
        Change {
            address: address.clone(),
            moved_from: self.moved_from(address),
            kind: address.kind.to_string(),
            action,
            hosts,
            differences,
            reasons,
        }
    }

    fn moved_from(&self, address: &Address) -> Option<Address> {
        self.moved_from.get(address).map(|old| (*old).clone())
    }

    /// Whether a resource has moved and its block wants nothing else than before: what a host is to change then is the
    /// address that it carries.
    fn only_moves(&self, address: &Address) -> bool {
        let form = |block: &Block| serde_json::to_value(without_secrets(block.clone())).ok();
        let (Some(record), Some(block)) = (self.state.resources.get(address), self.desired.get(address)) else {
            return false;
        };
        self.moved_from.contains_key(address) && form(&record.block) == form(block)
    }

    /// Hosts that have another name now. They are in the state only as the places of others.
    fn moved_hosts(&self) -> Vec<Change> {
        let hosts = self.moved.iter().filter(|(old, _)| old.is(host::NAME));
        let change = |(old, new): (&Address, &Address)| Change {
            address: new.clone(),
            moved_from: Some(old.clone()),
            kind: new.kind.to_string(),
            action: Action::Move,
            hosts: BTreeMap::new(),
            differences: Vec::new(),
            reasons: BTreeMap::new(),
        };
        hosts.map(change).collect()
    }

    /// A block whose values depend on a host that does not answer.
    fn unknown_change(&self, address: Address) -> Change {
        let why = "its values depend on facts of a host that are not known".to_owned();
        let recorded = self
            .input
            .state
            .resources
            .get(&address)
            .map(|record| record.placements.keys().cloned().collect::<Vec<_>>())
            .unwrap_or_default();
        let hosts: BTreeMap<_, _> = recorded.iter().map(|host| (host.clone(), Action::Unknown)).collect();
        let reasons = recorded.into_iter().map(|host| (host, why.clone())).collect();
        Change {
            kind: address.kind.to_string(),
            moved_from: self.moved_from(&address),
            address,
            action: Action::Unknown,
            hosts,
            differences: Vec::new(),
            reasons,
        }
    }

    /// Whether a host has a part in the run; others may have been asked for their facts alone.
    fn concerns(&self, host: &HostName) -> bool {
        let of_run =
            |address: &Address| address.is(host::NAME) && self.scope.has(address) && host::name_of(address) == *host;
        !self.scope.is_partial()
            || self.judged.values().chain(self.removed.values()).any(|verdicts| verdicts.contains_key(host))
            || self.input.desired.keys().any(of_run)
    }

    fn unknown_hosts(&self) -> Vec<UnknownHost> {
        let ours = self.input.facts.hosts.iter().filter(|(host, _)| self.concerns(host));
        let unknown = ours.filter_map(|(host, facts)| match facts {
            HostFacts::Unreachable(reason) => Some(UnknownHost { host: host.clone(), reason: reason.clone() }),
            HostFacts::Reached(_) => None,
        });
        unknown.collect()
    }

    /// Whether a resource is to have other paths than it had, or is another thing there, or lies in one that is.
    fn is_moved(&self, address: &Address, old: &Block, recorded: &Blocks) -> bool {
        let (Some(kind), Some(new)) = (kind_of(address), self.desired.get(address)) else { return false };
        let is_another = |one: &Address| {
            let forms = recorded.get(one).zip(self.desired.get(one));
            forms.is_some_and(|(old, new)| kinds::is_elsewhere(old, new))
        };
        kind.paths(old, recorded) != kind.paths(new, self.desired)
            || std::iter::once(address).chain(&old.depends_on).any(is_another)
    }

    /// What differs from what the last apply left.
    fn drift(&self) -> Vec<Drift> {
        let mut all = Vec::new();
        let recorded = recorded_blocks(self.state);
        for (address, verdicts) in &self.judged {
            let Some(record) = self.state.resources.get(address) else { continue };
            if self.is_moved(address, &record.block, &recorded) {
                continue; // what it was elsewhere says nothing about what it is here
            }
            if record.pending.is_some() {
                continue; // an apply that ended halfway may have changed it
            }
            for (host, verdict) in verdicts {
                let Some(placement) = record.placements.get(host) else { continue };
                if matches!(verdict.standing, Standing::Unknown(_) | Standing::Later(_)) {
                    continue;
                }
                for (attribute, recorded) in &placement.observed {
                    let have = verdict.observed.get(attribute);
                    let is_absent = verdict.standing == Standing::Absent;
                    if have == Some(recorded)
                        || (have.is_none() && !is_absent && !matches!(attribute.as_str(), "fstab" | "mount" | "unit"))
                    {
                        continue;
                    }
                    let have = have.cloned().unwrap_or_else(|| "absent".to_owned());
                    all.push(Drift {
                        address: address.clone(),
                        host: host.clone(),
                        attribute: attribute.clone(),
                        recorded: recorded.clone(),
                        have,
                    });
                }
            }
        }
        all
    }

    fn hosts(&self) -> BTreeMap<HostName, Connection> {
        let all = connections(self.input.desired, self.state);
        all.into_iter().filter(|(host, _)| self.input.facts.hosts.contains_key(host) && self.concerns(host)).collect()
    }

    fn memory_after(
        &self,
        before: &BTreeMap<Address, Memory>,
    ) -> BTreeMap<Address, BTreeMap<HostName, BTreeMap<String, String>>> {
        let mut all = BTreeMap::new();
        for (address, verdicts) in &self.judged {
            let mut hosts = BTreeMap::new();
            for (host, verdict) in verdicts {
                let mut remembered =
                    before.get(address).and_then(|memory| memory.hosts.get(host)).cloned().unwrap_or_default();
                remembered.extend(verdict.memory.clone());
                hosts.insert(host.clone(), remembered);
            }
            all.insert(address.clone(), hosts);
        }
        all
    }

    fn found(&self) -> BTreeMap<Address, BTreeMap<HostName, Found>> {
        let mut all: BTreeMap<Address, BTreeMap<HostName, Found>> = BTreeMap::new();
        for (address, verdicts) in self.judged.iter().chain(&self.removed) {
            for (host, verdict) in verdicts {
                // What somebody has accepted is as wanted: otherwise it would be asked again at each plan.
                let is_as_wanted = verdict.differences.iter().all(|one| one.remedy == Remedy::Record);
                let stops = |hazard: &Hazard| hazard.code.acceptance() != Acceptance::NotNeeded;
                let is_settled =
                    is_as_wanted && verdict.hazards.iter().all(|hazard| self.is_accepted(hazard) || !stops(hazard));
                let found = Found {
                    standing: verdict.standing.clone(),
                    is_settled,
                    observed: verdict.observed.clone(),
                    formerly: verdict.formerly.clone(),
                };
                all.entry(address.clone()).or_default().insert(host.clone(), found);
            }
        }
        for (address, host) in self.scope.held().filter(|(address, _)| all.contains_key(address)).collect::<Vec<_>>() {
            let standing = Standing::Unknown("it was not looked at: something that is left out needs it".to_owned());
            let found = Found { standing, ..Found::default() };
            all.entry(address.clone()).or_default().insert(host.clone(), found);
        }
        all
    }

    fn limit_destruction(&mut self, edits: &[graph::Ordered]) {
        let limit = self.input.request.max_destroy;
        let destroyed: Vec<_> = edits.iter().filter(|one| one.draft.destroys).collect();
        if limit == 0 || destroyed.len() <= limit {
            return;
        }
        let Some(first) = destroyed.first() else { return };
        let hazard = Hazard::new(
            HazardCode::TooMuch,
            &first.address.clone(),
            None,
            format!(
                "the plan unmounts or deletes {} things; apply {{ max_destroy = {limit} }} allows {limit}",
                destroyed.len()
            ),
            "Remove fewer things at once, or raise max_destroy.",
        );
        self.note(hazard);
    }
}

/// Takes the steps from placements that build on one which is refused, waits or is not known: an image is not made where its
/// volume is not mounted. Gives how those stand whose steps have to wait with another.
fn without_what_they_need(
    placed: &mut [graph::Placed],
    refused: BTreeSet<(Address, HostName)>,
    open: BTreeMap<(Address, HostName), Standing>,
    desired: &Blocks,
) -> BTreeMap<(Address, HostName), Standing> {
    let mut waiting = BTreeMap::new();
    if refused.is_empty() && open.is_empty() {
        return waiting;
    }
    let wanted = || placed.iter().enumerate().filter(|(_, one)| !one.unmakes);
    let mut at: BTreeMap<&Address, BTreeMap<&HostName, usize>> = BTreeMap::new();
    for (index, one) in wanted() {
        at.entry(&one.address).or_default().insert(&one.host, index);
    }
    // On the same host where there is a placement and that is enough; else all of them.
    let mut followers: Vec<Vec<usize>> = vec![Vec::new(); placed.len()];
    for (index, one) in wanted() {
        let needed = desired.get(&one.address).into_iter().flat_map(|block| &block.depends_on);
        let needed = needed.filter(|needed| **needed != one.address);
        for (needed, hosts) in needed.filter_map(|needed| Some((needed, at.get(needed)?))) {
            match hosts.get(&one.host).filter(|_| !kinds::knows_each_other(needed)) {
                Some(here) => followers[*here].push(index),
                None => hosts.values().for_each(|there| followers[*there].push(index)),
            }
        }
    }
    let number = |(address, host): &(Address, HostName)| at.get(address)?.get(host).copied();
    let mut is_refused = vec![false; placed.len()];
    let mut queue: VecDeque<usize> = refused.iter().filter_map(number).collect();
    let mut opened: VecDeque<(usize, Standing)> =
        open.into_iter().filter_map(|(own, standing)| Some((number(&own)?, standing))).collect();
    queue.iter().for_each(|index| is_refused[*index] = true);
    while let Some(index) = queue.pop_front() {
        let why = format!("it is refused with {} on {}", placed[index].address, placed[index].host);
        for follower in &followers[index] {
            if !std::mem::replace(&mut is_refused[*follower], true) {
                wait(&mut placed[*follower], Standing::Later(why.clone()), &mut waiting);
                queue.push_back(*follower);
            }
        }
    }
    let mut is_open = is_refused;
    opened.iter().for_each(|(index, _)| is_open[*index] = true);
    while let Some((index, standing)) = opened.pop_front() {
        let (address, host) = (&placed[index].address, &placed[index].host);
        let standing = match standing {
            Standing::Unknown(_) => Standing::Unknown(format!("how {address} stands on {host} is not known")),
            _ => Standing::Later(format!("it waits for {address} on {host}")),
        };
        for follower in &followers[index] {
            if !std::mem::replace(&mut is_open[*follower], true) {
                wait(&mut placed[*follower], standing.clone(), &mut waiting);
                opened.push_back((*follower, standing.clone()));
            }
        }
    }
    waiting
}

/// Takes its steps from a placement, and notes why.
fn wait(one: &mut graph::Placed, standing: Standing, waiting: &mut BTreeMap<(Address, HostName), Standing>) {
    if !one.drafts.is_empty() {
        one.drafts.clear();
        waiting.insert((one.address.clone(), one.host.clone()), standing);
    }
}

/// The action of a resource out of those on its hosts.
fn overall(hosts: &BTreeMap<HostName, Action>, is_recorded: bool, is_wanted: bool) -> Action {
    let has = |action: Action| hosts.values().any(|one| *one == action);
    let all = |action: Action| !hosts.is_empty() && hosts.values().all(|one| *one == action);
    if !is_wanted {
        return if has(Action::Destroy) {
            Action::Destroy
        } else if has(Action::Unknown) {
            Action::Unknown
        } else {
            Action::Forget
        };
    }
    for uniform in [Action::Unchanged, Action::Adopt, Action::Unknown, Action::Later, Action::Create] {
        if all(uniform) {
            return uniform;
        }
    }
    let changes = [Action::Create, Action::Update, Action::Destroy, Action::Forget].into_iter().any(has);
    match changes {
        true if !is_recorded && has(Action::Create) && !has(Action::Update) => Action::Create,
        true => Action::Update,
        false if has(Action::Later) => Action::Later,
        false if has(Action::Adopt) => Action::Adopt,
        false => Action::Unchanged,
    }
}

fn summary(changes: &[Change]) -> Summary {
    let mut summary = Summary::default();
    for change in changes {
        match change.action {
            Action::Create => summary.create += 1,
            Action::Update => summary.update += 1,
            Action::Move => summary.moved += 1,
            Action::Destroy => summary.destroy += 1,
            Action::Adopt => summary.adopt += 1,
            Action::Forget => summary.forget += 1,
            Action::Unchanged => summary.unchanged += 1,
            Action::Later | Action::Unknown => {}
        }
    }
    summary
}

/// Only the functions that are called, so that the plan file shows what it runs.
fn used_functions(steps: &[Step]) -> BTreeMap<String, String> {
    let all = kinds::functions();
    let mut used = BTreeMap::new();
    for step in steps {
        let guards = step.guard.iter().filter_map(|guard| guard.ask.0.first());
        let inverse = match &step.inverse {
            crate::model::Inverse::By(command) => command.argv.first(),
            crate::model::Inverse::None(_) => None,
        };
        for word in guards.chain(step.command.argv.first()).chain(inverse) {
            if let Some(text) = all.get(word) {
                used.insert(word.clone(), text.clone());
            }
        }
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `kind.name` built on the others.
    fn block(address: &str, needed: &[&str]) -> Block {
        let form = serde_json::json!({ "address": address, "attributes": {}, "depends_on": needed });
        serde_json::from_value(form).expect("a block")
    }

    #[test]
    fn what_builds_on_a_refused_or_waiting_placement_waits_and_says_for_what() {
        let blocks = [
            block("image_storage.main", &[]),
            block("external_volume.bad", &["image_storage.main"]),
            block("external_volume.late", &["image_storage.main"]),
            block("external_volume.good", &["image_storage.main"]),
            block("image.a", &["external_volume.bad", "external_volume.late"]),
            block("image.b", &["image.a"]),
            block("image.c", &["external_volume.late"]),
            block("image.d", &["external_volume.good"]),
        ];
        let desired: Blocks = blocks.into_iter().map(|block| (block.address.clone(), block)).collect();
        let hosts = ["hv1", "hv2"].map(HostName::from);
        let draft = || Draft::new("create", "", crate::model::Command::new(["true"]));
        let mut placed: Vec<_> = (desired.keys())
            .flat_map(|address| hosts.iter().map(move |host| (address.clone(), host.clone())))
            .map(|(address, host)| graph::Placed::own(&address, &host, false, vec![draft()]))
            .collect();
        let of = |address: &str| (address.parse::<Address>().expect("an address"), hosts[0].clone());
        let refused = BTreeSet::from([of("external_volume.bad")]);
        let open = BTreeMap::from([(of("external_volume.late"), Standing::Later("it is mounted anew".to_owned()))]);
        let waiting = without_what_they_need(&mut placed, refused, open, &desired);
        let told: Vec<_> = (waiting.iter())
            .map(|((address, host), standing)| match standing {
                Standing::Later(why) => format!("{address}@{host}: {why}"),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [
            "image.a@hv1: it is refused with external_volume.bad on hv1",
            "image.b@hv1: it is refused with image.a on hv1",
            "image.c@hv1: it waits for external_volume.late on hv1",
        ];
        assert_eq!(told, expected);
        let stopped: Vec<_> = placed.iter().filter(|one| one.drafts.is_empty()).collect();
        assert_eq!(stopped.len(), expected.len());
    }
}
