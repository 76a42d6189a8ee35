//! The pure heart: what is wanted, what hosts said and what the state remembers become a plan. Nothing here reads a file,
//! asks a host, or knows the time: the same input gives the same bytes.

mod files;
mod graph;
mod hash;
mod ledger;
mod removal;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher as _, RandomState};

use serde::{Deserialize, Serialize};

use crate::kinds::{self, Draft, Memory, Remedy, Scene, Standing, Verdict, host, kind_of};
use crate::model::{
    Address, Block, Blocks, Connection, Facts, Hazard, HazardCode, HostFacts, HostName, Problem, Problems, Question,
    Step,
};
use crate::state::State;

pub use files::FileChange;
pub use hash::{seal, unseal};

pub const FORMAT_VERSION: &str = "1.0";

/// Facts about a run that are not part of the configuration.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub operation: Operation,
    /// Hazards accepted on the command line.
    pub accepted: BTreeSet<(HazardCode, Address)>,
    /// The most that may be unmounted or deleted; 0 is no limit.
    pub max_destroy: usize,
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
    /// Whether every placement was decided.
    pub complete: bool,
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
    pub outputs: BTreeMap<String, serde_json::Value>,
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
}

impl Plan {
    /// Whether apply would change a host, or what Larder calls its own.
    pub fn has_changes(&self) -> bool {
        self.changes.iter().any(|change| {
            change.hosts.values().any(|action| {
                matches!(
                    action,
                    Action::Create | Action::Update | Action::Destroy | Action::Forget | Action::Move | Action::Later
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

/// Who is asked what: every host that the configuration or the state has anything on.
///
/// Blocks that are not wholly known yet are left out; ask again when they are.
pub fn questions(desired: &Blocks, state: &State) -> BTreeMap<HostName, (Connection, Vec<Question>)> {
    let (desired, _) = &known_blocks(desired);
    let watched = watched(desired, state);
    let mut asked: BTreeMap<HostName, BTreeSet<Question>> = BTreeMap::new();
    let (recorded, pending) = (recorded_blocks(state), pending_blocks(state));
    for (blocks, all) in [(desired, desired), (&recorded, &recorded), (&pending, &pending)] {
        for block in blocks.values() {
            let Some(kind) = kind_of(&block.address) else { continue };
            let of_state = state
                .resources
                .get(&block.address)
                .map(|record| record.placements.keys().cloned())
                .into_iter()
                .flatten();
            for host in kind.hosts(block, all).into_iter().chain(of_state).collect::<BTreeSet<_>>() {
                asked.entry(host.clone()).or_default().extend(kind.questions(block, all, &host));
            }
        }
    }
    let connections = connections(desired, state);
    let mut all = BTreeMap::new();
    for (host, connection) in connections {
        let is_wanted =
            desired.values().any(|block| block.address.is(host::NAME) && host::name_of(&block.address) == host);
        let Some(questions) = asked.remove(&host).or_else(|| is_wanted.then(BTreeSet::new)) else { continue };
        let ground = kinds::ground::questions(watched.get(&host).map_or(&[], Vec::as_slice));
        let questions = ground.into_iter().chain(questions).collect::<BTreeSet<_>>();
        all.insert(host, (connection, questions.into_iter().collect()));
    }
    all
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
            let of_state = state
                .resources
                .get(&block.address)
                .map(|record| record.placements.keys().cloned())
                .into_iter()
                .flatten();
            for host in kind.hosts(block, all).into_iter().chain(of_state) {
                paths.entry(host).or_default().extend(kind.image_directories(block));
            }
        }
    }
    paths.into_iter().map(|(host, paths)| (host, paths.into_iter().collect())).collect()
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

/// Everything that a plan is made from.
#[derive(Debug)]
pub struct Input<'a> {
    pub desired: &'a Blocks,
    pub outputs: BTreeMap<String, serde_json::Value>,
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
    let (known, unknown) = known_blocks(input.desired);
    let (known, unknown) = match input.request.operation {
        Operation::Destroy => (Blocks::new(), BTreeSet::new()),
        _ => (known, unknown),
    };
    let desired = &known;
    let problems = conflicts(desired);
    if !problems.is_empty() {
        return Err(problems);
    }
    let watched = watched(&known_blocks(input.desired).0, input.state);
    let memory = memory(input.state);
    let mut making = Making {
        input,
        desired,
        unknown,
        judged: BTreeMap::new(),
        removed: BTreeMap::new(),
        hazards: Vec::new(),
        accepted: BTreeSet::new(),
    };
    making.judge(&Scene {
        blocks: desired,
        facts: input.facts,
        memory: &memory,
        watched: &watched,
        owners: &owners(desired),
    });
    making.remove(&memory, &watched);
    making.finish(&memory)
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

fn memory(state: &State) -> BTreeMap<Address, Memory> {
    let of = |record: &crate::state::Record| Memory {
        block: Some(record.block.clone()),
        hosts: record.placements.iter().map(|(host, placement)| (host.clone(), placement.identity.clone())).collect(),
        seen: record
            .placements
            .iter()
            .filter(|(_, one)| !one.observed.is_empty())
            .map(|(host, _)| host.clone())
            .collect(),
    };
    state.resources.iter().map(|(address, record)| (address.clone(), of(record))).collect()
}

/// Two resources with one path on one host.
pub fn conflicts(blocks: &Blocks) -> Problems {
    let mut problems = Problems::new();
    let mut named: BTreeMap<HostName, &Block> = BTreeMap::new();
    for block in blocks.values().filter(|block| block.address.is(host::NAME)) {
        if let Some(first) = named.insert(host::name_of(&block.address), block) {
            let name = host::name_of(&block.address);
            problems.push(
                Problem::error(
                    "duplicate-host",
                    format!("{} and {} are both called {name}", first.address, block.address),
                    "Rename one of them.",
                )
                .at(block.place.as_deref()),
            );
        }
    }
    let known = blocks.values().filter(|block| !block.has_unknown());
    let known = known.filter_map(|block| Some((block, kind_of(&block.address)?)));
    // Most paths are wanted once; only of the others the hosts matter.
    let hashes = RandomState::new();
    let (mut once, mut contested) = (HashSet::new(), HashSet::new());
    for (block, kind) in known.clone() {
        let paths = kind.paths(block, blocks);
        contested.extend(paths.iter().map(|path| hashes.hash_one(path)).filter(|hash| !once.insert(*hash)));
    }
    let mut owners: HashMap<(HostName, String), &Block> = HashMap::new();
    for (block, kind) in known {
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
                let at = |block: &Block| {
                    block
                        .place
                        .as_ref()
                        .map_or_else(String::new, |place| format!(" ({}:{})", place.file, place.start.line))
                };
                let place = crate::model::block::Attributes::place_of(block, "mount_point").or(block.place.as_deref());
                problems.push(
                    Problem::error(
                        "duplicate-path",
                        format!("{} and {} both want {path} on {host}", first.address, block.address),
                        format!("{}{} has it first. Give one of them another path or name.", first.address, at(first)),
                    )
                    .at(place),
                );
            }
        }
    }
    problems
}

/// A plan in the making.
struct Making<'a> {
    input: &'a Input<'a>,
    desired: &'a Blocks,
    /// Blocks whose values, or those of a block that they depend on, are not known: they are left alone.
    unknown: BTreeSet<Address>,
    judged: BTreeMap<Address, BTreeMap<HostName, Verdict>>,
    /// Recorded placements that nobody wants any more.
    removed: BTreeMap<Address, BTreeMap<HostName, Verdict>>,
    hazards: Vec<Hazard>,
    accepted: BTreeSet<(HazardCode, Address)>,
}

impl Making<'_> {
    fn is_reached(&self, host: &HostName) -> bool {
        matches!(self.input.facts.host(host), HostFacts::Reached(_))
    }

    fn judge(&mut self, scene: &Scene) {
        for block in self.desired.values() {
            let Some(kind) = kind_of(&block.address) else { continue };
            let verdicts = kind.judge(block, scene);
            if !verdicts.is_empty() {
                self.judged.insert(block.address.clone(), verdicts);
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
        let recorded =
            self.input.state.resources.get(address).is_some_and(|record| record.placements.contains_key(host));
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
        if !self.hazards.contains(&hazard) {
            self.hazards.push(hazard);
        }
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

    fn finish(mut self, memory: &BTreeMap<Address, Memory>) -> Result<Plan, Problems> {
        self.refuse_double_claims();
        let mut placed = Vec::new();
        let mut refused = BTreeSet::new();
        let mut changes = Vec::new();
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
                placed.push(graph::Placed { address: address.clone(), host: host.clone(), unmakes: false, drafts });
                self.note_unknown(&address, host, verdict);
            }
            for (host, verdict) in &removed {
                let drafts = self.drafts(&address, host, verdict, &members).unwrap_or_default();
                placed.push(graph::Placed { address: address.clone(), host: host.clone(), unmakes: true, drafts });
                self.note_unknown(&address, host, verdict);
            }
            changes.push(self.change(&address, &wanted, &removed));
        }
        for address in self.unknown.clone().into_iter().filter(|address| !address.is(host::NAME)) {
            changes.push(self.unknown_change(address));
        }
        changes.sort_by(|a, b| a.address.cmp(&b.address));
        without_what_they_need(&mut placed, refused, self.desired);
        let rooms = self.ledger();
        let (steps, edits) = graph::order(placed, self.desired, self.input.state)?;
        self.limit_destruction(&edits);
        let files = files::changes(&edits, self.input.facts);
        self.hazards
            .sort_by(|a, b| (a.accepted, a.code, &a.address, &a.host).cmp(&(b.accepted, b.code, &b.address, &b.host)));
        let unknown = self.unknown_hosts();
        let complete = unknown.is_empty()
            && !changes.iter().any(|change| {
                change.action == Action::Unknown
                    || change.hosts.values().any(|action| matches!(action, Action::Unknown | Action::Later))
            });
        let found = self.found();
        let mut plan = Plan {
            format_version: FORMAT_VERSION.to_owned(),
            larder_version: env!("CARGO_PKG_VERSION").to_owned(),
            hash: String::new(),
            complete,
            operation: self.input.request.operation,
            based_on: BasedOn { lineage: self.input.state.lineage, serial: self.input.state.serial },
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
            memory: self.memory_after(memory),
            hazards: self.hazards,
            desired: self.desired.clone(),
            outputs: self.input.outputs.clone(),
            max_hosts_at_once: self.input.max_hosts_at_once,
            parallelism: self.input.parallelism,
            state_path: self.input.state_path.to_owned(),
            lab: self.input.lab,
            found,
        };
        plan.hash = hash::of(&plan);
        Ok(plan)
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
    ) -> Change {
        let mut hosts = BTreeMap::new();
        let mut reasons = BTreeMap::new();
        let mut differences = Vec::new();
        for (host, verdict) in wanted {
            hosts.insert(host.clone(), self.action(address, host, verdict));
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
        let is_recorded = self.input.state.resources.contains_key(address);
        Change {
            address: address.clone(),
            kind: address.kind.to_string(),
            action: overall(&hosts, is_recorded, !wanted.is_empty()),
            hosts,
            differences,
            reasons,
        }
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
            address,
            action: Action::Unknown,
            hosts,
            differences: Vec::new(),
            reasons,
        }
    }

    fn unknown_hosts(&self) -> Vec<UnknownHost> {
        let unknown = self.input.facts.hosts.iter().filter_map(|(host, facts)| match facts {
            HostFacts::Unreachable(reason) => Some(UnknownHost { host: host.clone(), reason: reason.clone() }),
            HostFacts::Reached(_) => None,
        });
        unknown.collect()
    }

    /// Whether a resource is to have other paths than it had.
    fn is_moved(&self, address: &Address, old: &Block) -> bool {
        let (Some(kind), Some(new)) = (kind_of(address), self.desired.get(address)) else { return false };
        kind.paths(old, &recorded_blocks(self.input.state)) != kind.paths(new, self.desired)
    }

    /// What differs from what the last apply left.
    fn drift(&self) -> Vec<Drift> {
        let mut all = Vec::new();
        for (address, verdicts) in &self.judged {
            let Some(record) = self.input.state.resources.get(address) else { continue };
            if self.is_moved(address, &record.block) {
                continue; // what it was elsewhere says nothing about what it is here
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
                        || (have.is_none() && !is_absent && attribute != "fstab" && attribute != "mount")
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
        let all = connections(self.input.desired, self.input.state);
        all.into_iter().filter(|(host, _)| self.input.facts.hosts.contains_key(host)).collect()
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
                let is_settled =
                    verdict.differences.is_empty() && verdict.hazards.iter().all(|hazard| self.is_accepted(hazard));
                let found =
                    Found { standing: verdict.standing.clone(), is_settled, observed: verdict.observed.clone() };
                all.entry(address.clone()).or_default().insert(host.clone(), found);
            }
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

/// Takes the steps from placements that build on one which is refused: an image is not made where its volume is not mounted.
fn without_what_they_need(placed: &mut [graph::Placed], mut refused: BTreeSet<(Address, HostName)>, desired: &Blocks) {
    loop {
        let before = refused.len();
        for one in placed.iter_mut().filter(|one| !one.unmakes) {
            let Some(block) = desired.get(&one.address) else { continue };
            if block.depends_on.iter().any(|needed| refused.contains(&(needed.clone(), one.host.clone()))) {
                one.drafts.clear();
                refused.insert((one.address.clone(), one.host.clone()));
            }
        }
        if refused.len() == before {
            return;
        }
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
            Action::Update | Action::Move => summary.update += 1,
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
