//! How far a run goes: what `-target` and `-exclude` come to when everything that is needed, or that depends on it, is
//! counted in; and what a `removed` statement says goes without a step. Pure; asks no host.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::config::Removed;
use crate::kinds::ask::path::with_ancestors;
use crate::kinds::{host, kind_of};
use crate::model::moved::statement;
use crate::model::problem::did_you_mean;
use crate::model::{Address, Block, Blocks, HostName, Problem, Problems, Selector};
use crate::state::moves::Pairs;
use crate::state::{Record, State};

use super::Operation;

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub enum Limit {
    #[default]
    Everything,
    /// These, and what they need.
    Only(Vec<Selector>),
    /// Everything but these and what depends on them.
    Without(Vec<Selector>),
}

impl Limit {
    fn named(&self) -> &[Selector] {
        match self {
            Limit::Everything => &[],
            Limit::Only(named) | Limit::Without(named) => named,
        }
    }

    /// The option by which it is asked for.
    fn option(&self) -> &'static str {
        match self {
            Limit::Without(_) => "-exclude",
            _ => "-target",
        }
    }
}

/// Which of the two options limits a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    Target,
    Exclude,
}

/// What a limit came to: the resources that it covers, or those that it leaves out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Targets {
    pub option: Choice,
    /// As it was typed.
    pub named: Vec<Selector>,
    pub resources: Vec<Target>,
}

/// One resource of a limit, with the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub address: Address,
    pub why: Why,
    /// The resource that needs it, or that it depends on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    Named,
    NeededBy,
    DependsOn,
}

impl Targets {
    /// The limit that covers exactly these.
    pub fn limit(&self) -> Limit {
        let all = self.resources.iter().map(|one| Selector::Instance(one.address.clone())).collect();
        match self.option {
            Choice::Target => Limit::Only(all),
            Choice::Exclude => Limit::Without(all),
        }
    }
}

/// The part of everything that a run is about.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// `None` is everything.
    inside: Option<BTreeSet<Address>>,
    /// Placements that stay for now, because something outside that needs them stays.
    held: BTreeSet<(Address, HostName)>,
    /// Records that go without a step.
    pub(super) forgotten: BTreeSet<Address>,
    pub(super) targets: Option<Targets>,
}

impl Scope {
    pub(super) fn has(&self, address: &Address) -> bool {
        self.inside.as_ref().is_none_or(|inside| inside.contains(address))
    }

    pub(super) fn is_partial(&self) -> bool {
        self.inside.is_some()
    }

    /// Whether a placement that nobody wants any more is left where it is.
    pub(super) fn holds(&self, address: &Address, host: &HostName) -> bool {
        self.held.contains(&(address.clone(), host.clone()))
    }

    /// What it holds so.
    pub(super) fn held(&self) -> impl Iterator<Item = &(Address, HostName)> {
        self.held.iter().filter(|(address, _)| self.has(address))
    }

    /// Whether it takes room in a volume of the run without being part of it: it counts for capacity.
    pub(super) fn is_beside(&self, block: &Block, blocks: &Blocks) -> bool {
        let holds_images =
            |block: &Block| kind_of(&block.address).is_some_and(|kind| !kind.image_directories(block).is_empty());
        !self.has(&block.address)
            && !holds_images(block)
            && block.depends_on.iter().any(|one| self.has(one) && blocks.get(one).is_some_and(holds_images))
    }

    pub(super) fn of(
        desired: &Blocks,
        state: &State,
        removed: &[Removed],
        operation: Operation,
        limit: &Limit,
    ) -> Self {
        let is_wanted = |address: &Address| operation != Operation::Destroy && desired.contains_key(address);
        let is_forgotten = |address: &Address| {
            !desired.contains_key(address) && removed.iter().any(|one| !one.destroy && one.from.selects(address))
        };
        let forgotten: BTreeSet<Address> =
            state.resources.keys().filter(|address| is_forgotten(address)).cloned().collect();
        if *limit == Limit::Everything {
            return Scope { forgotten, ..Scope::default() };
        }
        let whole = Whole::of(desired, state, &forgotten, &is_wanted);
        let reached = match limit {
            Limit::Without(_) => whole.without(limit.named()),
            _ => whole.only(limit.named()),
        };
        let is_out = matches!(limit, Limit::Without(_));
        let inside = match is_out {
            true => whole.all.iter().filter(|address| !reached.contains_key(*address)).cloned().collect(),
            false => reached.keys().cloned().collect(),
        };
        let held = match is_out {
            true => whole.held(&reached),
            false => BTreeSet::new(),
        };
        let is_listed = |address: &Address, why: Why| {
            let places =
                desired.get(address).zip(kind_of(address)).map(|(block, kind)| kind.hosts(block, desired).len());
            why == Why::Named || state.resources.contains_key(address) || places.is_some_and(|places| places > 0)
        };
        let resources = reached
            .iter()
            .filter(|(address, (why, _))| is_listed(address, *why))
            .map(|(address, (why, of))| Target { address: address.clone(), why: *why, of: of.clone() })
            .collect();
        let option = if is_out { Choice::Exclude } else { Choice::Target };
        let targets = Targets { option, named: limit.named().to_vec(), resources };
        Scope { inside: Some(inside), held, forgotten, targets: Some(targets) }
    }

    /// What moves and is not part of the run: then the state could not say where anything is.
    pub(super) fn moved_outside(&self, limit: &Limit, before: &State, pairs: &Pairs) -> Problems {
        let is_ours = |old: &Address| before.resources.contains_key(old) || old.is(host::NAME);
        let outside: Vec<_> = pairs.iter().filter(|(old, new)| is_ours(old) && !self.has(new)).collect();
        let Some((old, new)) = outside.first() else { return Problems::new() };
        let more = if outside.len() > 1 { format!(" and {} more", outside.len() - 1) } else { String::new() };
        let cure = match limit {
            Limit::Without(_) => "Leave out the -exclude that covers it, or apply everything once.".to_owned(),
            _ => {
                let options: Vec<_> = outside.iter().map(|(_, new)| format!("-target '{new}'")).collect();
                format!("Plan everything, or add {}.", options.join(" "))
            }
        };
        vec![Problem::error(
            "moved-outside-targets",
            format!("{old} has moved to {new}{more}, which {} leaves out", limit.option()),
            format!("What has moved must be part of the plan that says so. {cure}"),
        )]
    }
}

/// Names of the limit that name nothing. `is_declared` tells of a block or a module whether it is written down, be it without
/// an instance.
pub fn unknown_names(
    limit: &Limit,
    desired: &Blocks,
    state: &State,
    pairs: &Pairs,
    is_declared: &dyn Fn(&Selector) -> bool,
) -> Problems {
    let recorded = state.resources.keys().map(|address| pairs.get(address).unwrap_or(address));
    let mut all: BTreeSet<&Address> = desired.keys().chain(recorded).collect();
    let hosts = host_addresses(desired, state);
    all.extend(hosts.values());
    let names: BTreeSet<String> =
        all.iter().flat_map(|address| std::iter::once(address.to_string()).chain(outer_names(address))).collect();
    let option = limit.option();
    let unknown = limit.named().iter().filter(|named| !all.iter().any(|address| named.selects(address)));
    let problem = |named: &Selector| {
        let old = pairs.iter().find(|(old, _)| named.selects(old));
        let text = named.to_string();
        if old.is_none() && is_declared(named) {
            let cure = "Its `count` or `for_each`, or that of a module around it, makes none. Leave it out.";
            return Problem::error("unknown-target", format!("`{option} {text}`: it has no instances now"), cure);
        }
        let cure = match (old, did_you_mean(&text, names.iter().map(String::as_str))) {
            (Some((_, new)), _) => format!("It has moved: write {option} '{new}'."),
            (None, Some(near)) => format!("Did you mean {near}?"),
            (None, None) => "`larder state list` and the configuration have the addresses that there are.".to_owned(),
        };
        let summary = format!("`{option} {text}` names nothing in the configuration or the state");
        Problem::error("unknown-target", summary, cure)
    };
    unknown.map(problem).collect()
}

/// The block and the modules of an instance, as they are typed: each module with its key and without.
fn outer_names(address: &Address) -> Vec<String> {
    let mut names = vec![address.block().to_string()];
    for end in 1..=address.module.len() {
        let mut steps = address.module[..end].to_vec();
        names.push(Selector::module(steps.clone()).to_string());
        steps.iter_mut().last().into_iter().for_each(|step| step.key = None);
        names.push(Selector::module(steps).to_string());
    }
    names
}

/// That a moved record ends where nothing is declared: mostly a slip of the pen.
pub(super) fn moved_to_nothing(
    desired: &Blocks,
    before: &State,
    pairs: &Pairs,
    forgotten: &BTreeSet<Address>,
) -> Problems {
    let declared: BTreeSet<Address> = desired.keys().map(Address::block).collect();
    let mut problems = Problems::new();
    for (old, new) in pairs.iter().filter(|(old, _)| before.resources.contains_key(*old)) {
        if declared.contains(&new.block()) || forgotten.contains(new) {
            continue;
        }
        let same: Vec<String> =
            declared.iter().filter(|block| block.kind == new.kind).map(ToString::to_string).collect();
        let near = did_you_mean(&new.block().to_string(), same.iter().map(String::as_str));
        let near = near.map(|near| format!(" Did you mean {near}?")).unwrap_or_default();
        problems.push(Problem::error(
            "moved-to-nothing",
            format!("{old} has moved to {new}, and nothing is declared there"),
            format!(
                "Declare it, or correct `to`.{near} To take it away, remove the `moved` statement; to leave it on its hosts and forget it, add `removed {{ from = {new} }}`."
            ),
        ));
    }
    problems
}

/// The text of a statement for each pair, to be pasted.
pub(super) fn pasted(statements: &[(Selector, Selector)]) -> String {
    statements.iter().map(|(from, to)| statement(from, to)).collect::<Vec<_>>().join("\n")
}

type Reached = BTreeMap<Address, (Why, Option<Address>)>;

/// Everything that there is, wanted or recorded, with what needs what.
struct Whole {
    all: BTreeSet<Address>,
    /// For what is wanted: what must stand, or be gone, first.
    needs: BTreeMap<Address, BTreeSet<Address>>,
    /// For what goes from hosts: the records there that depend on it and go first.
    dependents: BTreeMap<Address, BTreeMap<Address, BTreeSet<HostName>>>,
    /// What goes as a whole, not from some hosts only.
    going: BTreeSet<Address>,
}

impl Whole {
    fn of(
        desired: &Blocks,
        state: &State,
        forgotten: &BTreeSet<Address>,
        is_wanted: &impl Fn(&Address) -> bool,
    ) -> Self {
        let recorded: Blocks =
            state.resources.iter().map(|(address, record)| (address.clone(), record.block.clone())).collect();
        let left = left_hosts(desired, state, forgotten, is_wanted);
        let mut all: BTreeSet<Address> = desired.keys().chain(state.resources.keys()).cloned().collect();
        all.extend(left.keys().cloned());
        let going = left.keys().filter(|address| !is_wanted(address)).cloned().collect();
        let wanted = desired.iter().filter(|(address, _)| is_wanted(address));
        let needs = needs(&wanted.collect(), desired, &recorded, &left);
        let dependents = dependents(state, &recorded, &left, forgotten);
        Whole { all, needs, dependents, going }
    }

    /// What is named, with all that it needs; for what goes, all that depends on it.
    fn only(&self, named: &[Selector]) -> Reached {
        let (mut reached, mut open) = self.begin(named);
        while let Some(address) = open.pop_front() {
            let needs = self.needs.get(&address).into_iter().flatten().map(|needed| (needed, Why::NeededBy));
            let dependents = self.dependents.get(&address).into_iter().flatten();
            let next = needs.chain(dependents.map(|(one, _)| (one, Why::DependsOn)));
            for (next, why) in next {
                if !reached.contains_key(next) {
                    reached.insert(next.clone(), (why, Some(address.clone())));
                    open.push_back(next.clone());
                }
            }
        }
        reached
    }

    /// What is named, with all that cannot be carried out without it.
    fn without(&self, named: &[Selector]) -> Reached {
        let mut followers: BTreeMap<&Address, Vec<(&Address, Why)>> = BTreeMap::new();
        for (address, needs) in &self.needs {
            needs.iter().for_each(|needed| followers.entry(needed).or_default().push((address, Why::DependsOn)));
        }
        for (address, dependents) in self.dependents.iter().filter(|(address, _)| self.going.contains(*address)) {
            dependents.keys().for_each(|one| followers.entry(one).or_default().push((address, Why::NeededBy)));
        }
        let (mut reached, mut open) = self.begin(named);
        while let Some(address) = open.pop_front() {
            for (next, why) in followers.get(&address).into_iter().flatten() {
                if !reached.contains_key(*next) {
                    reached.insert((*next).clone(), (*why, Some(address.clone())));
                    open.push_back((*next).clone());
                }
            }
        }
        reached
    }

    fn begin(&self, named: &[Selector]) -> (Reached, VecDeque<Address>) {
        let is_named = |address: &&Address| named.iter().any(|one| one.selects(address));
        let open: VecDeque<Address> = self.all.iter().filter(is_named).cloned().collect();
        (open.iter().map(|address| (address.clone(), (Why::Named, None))).collect(), open)
    }

    /// Placements that would go from a host on which something that is left out still needs them.
    fn held(&self, out: &Reached) -> BTreeSet<(Address, HostName)> {
        let mut held = BTreeSet::new();
        for (address, dependents) in &self.dependents {
            for (_, hosts) in dependents.iter().filter(|(one, _)| out.contains_key(*one)) {
                held.extend(hosts.iter().map(|host| (address.clone(), host.clone())));
            }
        }
        held
    }
}

/// The hosts that each record, and each host that is gone from the configuration, leaves.
fn left_hosts(
    desired: &Blocks,
    state: &State,
    forgotten: &BTreeSet<Address>,
    is_wanted: &impl Fn(&Address) -> bool,
) -> BTreeMap<Address, BTreeSet<HostName>> {
    let mut left: BTreeMap<Address, BTreeSet<HostName>> = BTreeMap::new();
    for (address, record) in state.resources.iter().filter(|(address, _)| !forgotten.contains(*address)) {
        let wanted: BTreeSet<HostName> = match (is_wanted(address), desired.get(address), kind_of(address)) {
            // Where it is to be is not known: it leaves nothing.
            (true, Some(block), _) if block.has_unknown() => continue,
            (true, Some(block), Some(kind)) => kind.hosts(block, desired).into_iter().collect(),
            _ => BTreeSet::new(),
        };
        let hosts: BTreeSet<HostName> =
            record.placements.keys().filter(|host| !wanted.contains(*host)).cloned().collect();
        if !hosts.is_empty() || !is_wanted(address) {
            left.insert(address.clone(), hosts);
        }
    }
    for (name, address) in host_addresses(desired, state) {
        if !is_wanted(&address) {
            left.insert(address, [name].into());
        }
    }
    left
}

/// The `host` blocks of all hosts that the state has anything on: as they are declared, as recorded blocks refer to them, or as
/// their names read.
pub(super) fn host_addresses(desired: &Blocks, state: &State) -> BTreeMap<HostName, Address> {
    let referred = state.resources.values().flat_map(forms).flat_map(|block| &block.depends_on);
    let known = referred.chain(desired.keys()).filter(|address| address.is(host::NAME));
    let known: BTreeMap<HostName, &Address> = known.map(|address| (host::name_of(address), address)).collect();
    let placed = state.resources.values().flat_map(|record| record.placements.keys());
    let address = |name: &HostName| match known.get(name) {
        Some(address) => (*address).clone(),
        None => Address::root(host::NAME, name.as_str()),
    };
    placed.map(|name| (name.clone(), address(name))).collect()
}

/// What must stand before a wanted block does: what it refers to, and what has the paths that it lies in; and what must have
/// left its place.
fn needs(
    wanted: &BTreeMap<&Address, &Block>,
    desired: &Blocks,
    recorded: &Blocks,
    left: &BTreeMap<Address, BTreeSet<HostName>>,
) -> BTreeMap<Address, BTreeSet<Address>> {
    let known = wanted.iter().filter(|(_, block)| !block.has_unknown());
    let placed = known.filter_map(|(address, block)| {
        let kind = kind_of(address)?;
        Some((*address, kind.hosts(block, desired), kind.paths(block, desired), kind.needs_paths(block, desired)))
    });
    let placed: Vec<_> = placed.collect();
    let mut owners: BTreeMap<(&HostName, &str), BTreeSet<&Address>> = BTreeMap::new();
    for (address, hosts, paths, _) in &placed {
        for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path.as_str()))) {
            owners.entry((host, path)).or_default().insert(address);
        }
    }
    let leaving: Vec<_> = left
        .iter()
        .filter_map(|(address, hosts)| {
            let block = recorded.get(address)?;
            Some((address, hosts, kind_of(address)?.paths(block, recorded)))
        })
        .collect();
    let mut leavers: BTreeMap<(&HostName, &str), BTreeSet<&Address>> = BTreeMap::new();
    for (address, hosts, paths) in &leaving {
        for (host, path) in hosts.iter().flat_map(|host| paths.iter().map(move |path| (host, path.as_str()))) {
            leavers.entry((host, path)).or_default().insert(address);
        }
    }
    let mut needs: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for (address, block) in wanted {
        let refers = block.depends_on.iter().filter(|one| wanted.contains_key(one) && one != address);
        needs.entry((*address).clone()).or_default().extend(refers.cloned());
    }
    for (address, hosts, own, needed) in &placed {
        let Some(needs) = needs.get_mut(*address) else { continue };
        for path in needed.iter().flat_map(|path| with_ancestors(path)) {
            for host in hosts {
                let place = (host, path.as_str());
                let standing = owners.get(&place).into_iter().flatten().filter(|_| !own.contains(&path));
                let going = leavers.get(&place).into_iter().flatten();
                needs.extend(standing.chain(going).filter(|one| *one != address).map(|one| (*one).clone()));
            }
        }
    }
    needs
}

/// The records that depend on what leaves a host, and are there: by reference, or because they lie in its path.
fn dependents(
    state: &State,
    recorded: &Blocks,
    left: &BTreeMap<Address, BTreeSet<HostName>>,
    forgotten: &BTreeSet<Address>,
) -> BTreeMap<Address, BTreeMap<Address, BTreeSet<HostName>>> {
    let mut owners: BTreeMap<(&HostName, String), &Address> = BTreeMap::new();
    for (address, hosts) in left {
        let Some((block, kind)) = recorded.get(address).zip(kind_of(address)) else { continue };
        for path in kind.paths(block, recorded) {
            owners.extend(hosts.iter().map(|host| ((host, path.clone()), address)));
        }
    }
    let hosts: BTreeMap<HostName, &Address> =
        left.keys().filter(|one| one.is(host::NAME)).map(|one| (host::name_of(one), one)).collect();
    let mut dependents: BTreeMap<Address, BTreeMap<Address, BTreeSet<HostName>>> = BTreeMap::new();
    for (address, record) in state.resources.iter().filter(|(address, _)| !forgotten.contains(*address)) {
        let mut note = |on: &Address, host: &HostName| {
            if on != address && left.get(on).is_some_and(|hosts| hosts.contains(host)) {
                let of_one = dependents.entry(on.clone()).or_default();
                of_one.entry(address.clone()).or_default().insert(host.clone());
            }
        };
        for on in forms(record).flat_map(|block| &block.depends_on) {
            record.placements.keys().for_each(|host| note(on, host));
        }
        for host in record.placements.keys() {
            hosts.get(host).into_iter().for_each(|on| note(on, host));
        }
        let Some((block, kind)) = recorded.get(address).zip(kind_of(address)) else { continue };
        let own = kind.paths(block, recorded);
        for path in kind.needs_paths(block, recorded).iter().flat_map(|path| with_ancestors(path)) {
            for host in record.placements.keys().filter(|_| !own.contains(&path)) {
                if let Some(on) = owners.get(&(host, path.clone())) {
                    note(on, host);
                }
            }
        }
    }
    dependents
}

/// The block of a record, and the one that an apply which was cut off had begun.
fn forms(record: &Record) -> impl Iterator<Item = &Block> {
    std::iter::once(&record.block).chain(&record.pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Attribute, Connection, Datum, Lifecycle, Reach};
    use crate::state::Placement;
    use proptest::prelude::*;

    const HOSTS: [&str; 3] = ["hv1", "hv2", "hv3"];

    fn address(text: &str) -> Address {
        text.parse().expect(text)
    }

    fn block(text: &str, attributes: &[(&str, Datum)], refers: &[&str]) -> Block {
        let attribute =
            |(name, value): &(&str, Datum)| ((*name).to_owned().into(), Attribute::default_value(value.clone()));
        Block {
            address: address(text),
            attributes: attributes.iter().map(attribute).collect(),
            blocks: Vec::new(),
            depends_on: refers.iter().map(|text| address(text)).collect(),
            lifecycle: Lifecycle::default(),
            place: None,
        }
    }

    /// Two storages, four volumes of which some lie in others, an image in each.
    #[derive(Debug, Clone)]
    struct Shape {
        members: [[bool; 3]; 2],
        storage_of: [bool; 4],
        below: [Option<usize>; 4],
        present: [bool; 8],
    }

    fn shape() -> impl Strategy<Value = Shape> {
        let below = |own: usize| prop::option::of(0..4usize).prop_map(move |other| other.filter(|other| *other < own));
        (any::<[[bool; 3]; 2]>(), any::<[bool; 4]>(), [below(0), below(1), below(2), below(3)], any::<[bool; 8]>())
            .prop_map(|(members, storage_of, below, present)| Shape { members, storage_of, below, present })
    }

    impl Shape {
        fn path(&self, number: usize) -> String {
            match self.below[number] {
                Some(outer) => format!("{}/v{number}", self.path(outer)),
                None => format!("/srv/v{number}"),
            }
        }

        fn blocks(&self) -> Blocks {
            let mut all: Vec<Block> = HOSTS.iter().map(|host| block(&format!("host.{host}"), &[], &[])).collect();
            for (number, members) in self.members.iter().enumerate() {
                let hosts: Vec<String> =
                    HOSTS.iter().zip(members).filter(|(_, is)| **is).map(|(host, _)| format!("host.{host}")).collect();
                let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
                let members = Datum::Resources(hosts.iter().map(|host| address(host)).collect());
                let root = Datum::Text(format!("/var/lib/s{number}").into());
                all.push(block(&format!("image_storage.s{number}"), &[("hosts", members), ("root", root)], &hosts));
            }
            for number in 0..4 {
                let storage = format!("image_storage.s{}", usize::from(self.storage_of[number]));
                let volume = format!("external_volume.v{number}");
                let attributes = [
                    ("storage", Datum::Resource(address(&storage))),
                    ("mount_point", Datum::Text(self.path(number).into())),
                ];
                if self.present[number] {
                    all.push(block(&volume, &attributes, &[&storage]));
                }
                if self.present[number] && self.present[number + 4] {
                    let name = Datum::Text("x.raw".into());
                    let image = format!("image.i{number}");
                    all.push(block(
                        &image,
                        &[("volume", Datum::Resource(address(&volume))), ("name", name)],
                        &[&volume],
                    ));
                }
            }
            all.into_iter().map(|block| (block.address.clone(), block)).collect()
        }
    }

    /// The state that an apply of these blocks leaves.
    fn applied(blocks: &Blocks) -> State {
        let connection =
            Connection { reach: Reach::Local, becomes_root: false, connect_timeout: std::time::Duration::ZERO };
        let record = |(address, block): (&Address, &Block)| {
            let hosts = kind_of(address)?.hosts(block, blocks);
            let placements: BTreeMap<_, _> = hosts.into_iter().map(|host| (host, Placement::default())).collect();
            let record = Record { block: block.clone(), pending: None, placements, formerly: BTreeSet::new() };
            (!record.placements.is_empty()).then(|| (address.clone(), record))
        };
        State {
            resources: blocks.iter().filter_map(record).collect(),
            hosts: HOSTS.iter().map(|host| (HostName::from(*host), connection.clone())).collect(),
            ..State::default()
        }
    }

    fn is_below(inner: &str, outer: &str) -> bool {
        inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    }

    /// What must not be: something of the run that needs what is outside, told anew from the blocks.
    fn gaps(scope: &Scope, desired: &Blocks, state: &State, operation: Operation) -> Vec<String> {
        let mut gaps = Vec::new();
        let is_wanted = |address: &Address| operation != Operation::Destroy && desired.contains_key(address);
        let recorded: Blocks = state.resources.iter().map(|(at, record)| (at.clone(), record.block.clone())).collect();
        let paths = |block: &Block, all: &Blocks| {
            kind_of(&block.address).map(|kind| kind.paths(block, all)).unwrap_or_default()
        };
        let hosts = |block: &Block| kind_of(&block.address).map(|kind| kind.hosts(block, desired)).unwrap_or_default();
        for block in desired.values().filter(|block| is_wanted(&block.address) && scope.has(&block.address)) {
            let outside = block.depends_on.iter().filter(|one| desired.contains_key(*one) && !scope.has(one));
            gaps.extend(outside.map(|one| format!("{} refers to {one}", block.address)));
            for other in desired.values().filter(|other| !scope.has(&other.address)) {
                let shared = hosts(block).iter().any(|host| hosts(other).contains(host));
                let lies = paths(block, desired)
                    .iter()
                    .any(|inner| paths(other, desired).iter().any(|outer| is_below(inner, outer)));
                if shared && lies {
                    gaps.push(format!("{} lies in {}", block.address, other.address));
                }
            }
        }
        for (going, record) in state.resources.iter().filter(|(at, _)| scope.has(at) && !scope.forgotten.contains(*at))
        {
            let stays: Vec<HostName> = desired.get(going).filter(|_| is_wanted(going)).map(hosts).unwrap_or_default();
            for host in record.placements.keys().filter(|host| !stays.contains(host) && !scope.holds(going, host)) {
                for (other, on) in state.resources.iter().filter(|(other, _)| !scope.has(other)) {
                    let refers = on.block.depends_on.contains(going);
                    let lies = paths(&on.block, &recorded)
                        .iter()
                        .any(|inner| paths(&record.block, &recorded).iter().any(|outer| is_below(inner, outer)));
                    if on.placements.contains_key(host) && (refers || lies) {
                        gaps.push(format!("{going} leaves {host} under {other}"));
                    }
                }
            }
        }
        gaps
    }

    fn named() -> impl Strategy<Value = Vec<Selector>> {
        let kinds = [("image_storage.s", 2usize), ("external_volume.v", 4), ("image.i", 4), ("host.hv", 4)];
        let one = prop::sample::select(kinds.to_vec()).prop_flat_map(|(kind, count)| {
            (0..count).prop_map(move |number| format!("{kind}{number}").parse().expect("a selector"))
        });
        prop::collection::vec(one, 1..3)
    }

    proptest! {
        #[test]
        fn a_part_needs_nothing_that_is_outside(
            (wanted, was) in (shape(), shape()),
            named in named(),
            is_out in any::<bool>(),
            operation in prop::sample::select(vec![Operation::Apply, Operation::Destroy, Operation::RefreshOnly]),
        ) {
            let (desired, state) = (wanted.blocks(), applied(&was.blocks()));
            let limit = if is_out { Limit::Without(named.clone()) } else { Limit::Only(named.clone()) };
            let scope = Scope::of(&desired, &state, &[], operation, &limit);
            prop_assert_eq!(gaps(&scope, &desired, &state, operation), Vec::<String>::new());
            // What is named is in, or out.
            for address in desired.keys().chain(state.resources.keys()) {
                if named.iter().any(|one| one.selects(address)) {
                    prop_assert_eq!(scope.has(address), !is_out, "{}", address);
                }
            }
            // Each of the others is there for a reason that is told.
            let targets = scope.targets.as_ref().expect("a limit");
            for target in &targets.resources {
                prop_assert_eq!(scope.has(&target.address), !is_out);
                prop_assert_eq!(target.of.is_none(), target.why == Why::Named);
                prop_assert!(target.of.as_ref().is_none_or(|of| scope.has(of) != is_out));
            }
            // What a plan file says of it comes to the same.
            let again = Scope::of(&desired, &state, &[], operation, &targets.limit());
            for address in state.resources.keys().chain(desired.keys().filter(|one| !one.is(host::NAME))) {
                prop_assert_eq!(again.has(address), scope.has(address), "{}", address);
            }
        }

        #[test]
        fn naming_everything_is_a_plan_of_everything((wanted, was) in (shape(), shape())) {
            let (desired, state) = (wanted.blocks(), applied(&was.blocks()));
            let all: Vec<Selector> =
                desired.keys().chain(state.resources.keys()).map(|one| Selector::Instance(one.clone())).collect();
            let scope = Scope::of(&desired, &state, &[], Operation::Apply, &Limit::Only(all.clone()));
            prop_assert!(desired.keys().chain(state.resources.keys()).all(|one| scope.has(one)));
            let scope = Scope::of(&desired, &state, &[], Operation::Apply, &Limit::Without(all));
            prop_assert!(!desired.keys().chain(state.resources.keys()).any(|one| scope.has(one)));
        }
    }

    #[test]
    fn names_that_name_nothing_are_told_with_the_nearest() {
        let blocks =
            Shape { members: [[true; 3]; 2], storage_of: [false; 4], below: [None; 4], present: [true; 8] }.blocks();
        let state = applied(&blocks);
        let pairs: Pairs = [(address("image.i0"), address("image.new"))].into();
        let is_empty = |named: &Selector| named.to_string() == "image.guest";
        let told = |text: &str| {
            let limit = Limit::Only(vec![text.parse().expect(text)]);
            let problems = unknown_names(&limit, &blocks, &State::default(), &Pairs::new(), &is_empty);
            problems.into_iter().map(|one| (one.code, one.detail)).collect::<Vec<_>>()
        };
        assert_eq!(told("image.i1"), []);
        assert_eq!(told("host.hv1"), []);
        assert_eq!(told("image.i9")[0].0, "unknown-target");
        assert!(told("image.guest")[0].1.contains("makes none"));
        assert!(told("external_volume.w1")[0].1.contains("external_volume.v1"));
        let old = unknown_names(
            &Limit::Only(vec!["image.i0".parse().expect("a selector")]),
            &Blocks::new(),
            &state,
            &pairs,
            &is_empty,
        );
        assert_eq!(old[0].detail, "It has moved: write -target 'image.new'.");
        let new = unknown_names(
            &Limit::Only(vec!["image.new".parse().expect("a selector")]),
            &Blocks::new(),
            &state,
            &pairs,
            &is_empty,
        );
        assert_eq!(new, []);
    }
}
