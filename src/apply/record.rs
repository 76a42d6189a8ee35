//! What the state remembers of an apply: before it starts, so that one that is cut off leaves nothing unowned, and after it,
//! from what the hosts said then. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Standing;
use crate::model::{Address, HostName, Impact};
use crate::plan::{Action, Change, Found, Operation, Plan};
use crate::state::{Placement, Record, State, moves, without_secrets};

/// The state while a plan is carried out: everything that it makes is there already.
pub fn before(state: &State, plan: &Plan) -> State {
    let mut state = moves::rename(state, &plan.moved).into_owned();
    let creates = |change: &Change| {
        change.hosts.values().any(|action| matches!(action, Action::Create | Action::Update | Action::Adopt))
    };
    for change in plan.changes.iter().filter(|change| creates(change)) {
        let Some(block) = plan.desired.get(&change.address).cloned().map(without_secrets) else { continue };
        let record = state.resources.entry(change.address.clone()).or_insert_with(|| Record {
            block: block.clone(),
            pending: None,
            placements: BTreeMap::new(),
            formerly: BTreeSet::new(),
        });
        if record.block != block {
            record.pending = Some(block);
        }
        for (host, action) in &change.hosts {
            if !matches!(action, Action::Create | Action::Update | Action::Adopt) {
                continue;
            }
            let placement = record.placements.entry(host.clone()).or_default();
            // If it is cut off between taking away and bringing back, nobody has changed anything by hand.
            if is_taken_away(plan, &change.address, host) {
                placement.observed.clear();
            }
            placement.identity.extend(remembered(plan, &change.address, host));
        }
    }
    state.hosts.extend(plan.hosts.clone());
    state
}

/// The state when a plan has been carried out: `after` is a plan made from what the hosts said then.
pub fn after(state: &State, plan: &Plan, after: &Plan) -> State {
    let state: &State = &moves::rename(state, &plan.moved);
    let mut next = state.clone();
    if plan.operation == Operation::RefreshOnly {
        for (address, record) in &mut next.resources {
            let found = after.found.get(address);
            for (host, placement) in &mut record.placements {
                if let Some(one) =
                    found.and_then(|hosts| hosts.get(host)).filter(|one| one.standing == Standing::Present)
                {
                    placement.observed = one.observed.clone();
                }
            }
        }
        next.outputs = plan.outputs.clone();
        return next;
    }
    for (address, found) in &after.found {
        match plan.desired.get(address) {
            Some(block) => {
                let old = state.resources.get(address);
                let placements = kept(found, plan, old, address);
                if placements.is_empty() {
                    next.resources.remove(address);
                    continue;
                }
                let block = without_secrets(block.clone());
                let wanted = found
                    .iter()
                    .filter(|(host, _)| plan.memory.get(address).is_some_and(|hosts| hosts.contains_key(*host)));
                let is_settled = wanted.clone().all(|(_, one)| one.is_settled && one.standing == Standing::Present);
                // Who could not be asked may still carry an address of before.
                let is_known = |one: &Found| !matches!(one.standing, Standing::Unknown(_) | Standing::Later(_));
                let mut formerly = match (old, is_settled && found.values().all(is_known)) {
                    (Some(old), false) => old.formerly.clone(),
                    _ => BTreeSet::new(),
                };
                formerly.extend(found.values().flat_map(|one| one.formerly.iter().cloned()));
                let record = match old {
                    // Something is left of the old form: both are remembered until the new one stands everywhere.
                    Some(old) if !is_settled && old.block != block => {
                        Record { block: old.block.clone(), pending: Some(block), placements, formerly }
                    }
                    _ => Record { block, pending: None, placements, formerly },
                };
                next.resources.insert(address.clone(), record);
            }
            None => {
                let old = state.resources.get(address);
                let placements = kept(found, plan, old, address);
                match (placements.is_empty(), next.resources.get_mut(address)) {
                    (false, Some(record)) => record.placements = placements,
                    _ => drop(next.resources.remove(address)),
                }
            }
        }
    }
    next.outputs = plan.outputs.clone();
    next.hosts.extend(plan.hosts.clone());
    let used: std::collections::BTreeSet<_> =
        next.resources.values().flat_map(|record| record.placements.keys().cloned()).collect();
    next.hosts.retain(|host, _| used.contains(host));
    next
}

/// The placements that exist, with those that nobody could look at.
fn kept(
    found: &BTreeMap<crate::model::HostName, Found>,
    plan: &Plan,
    old: Option<&Record>,
    address: &Address,
) -> BTreeMap<crate::model::HostName, Placement> {
    let mut placements = BTreeMap::new();
    for (host, one) in found {
        let before = old.and_then(|record| record.placements.get(host));
        match &one.standing {
            Standing::Present => {
                let mut identity = before.map(|placement| placement.identity.clone()).unwrap_or_default();
                identity.extend(remembered(plan, address, host));
                placements.insert(host.clone(), Placement { observed: one.observed.clone(), identity });
            }
            Standing::Unknown(_) | Standing::Later(_) => {
                if let Some(before) = before {
                    placements.insert(host.clone(), before.clone());
                }
            }
            // What is wanted and was recorded is not forgotten because it is gone for the moment.
            Standing::Absent => {
                if let Some(before) =
                    before.filter(|_| plan.memory.get(address).is_some_and(|hosts| hosts.contains_key(host)))
                {
                    let mut left = before.clone();
                    // What is missing now, its steps may have left behind.
                    if is_taken_away(plan, address, host) {
                        left.observed.clear();
                    }
                    placements.insert(host.clone(), left);
                }
            }
        }
    }
    placements
}

/// Whether steps of the plan take something away there, to bring it back in another way.
fn is_taken_away(plan: &Plan, address: &Address, host: &HostName) -> bool {
    let mut of_it = plan.steps.iter().filter(|step| step.address == *address && step.host == *host);
    of_it.any(|step| step.impact == Impact::Offline)
}

fn remembered(plan: &Plan, address: &Address, host: &HostName) -> BTreeMap<String, String> {
    plan.memory.get(address).and_then(|hosts| hosts.get(host)).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Block, Connection, HostName, Reach};
    use crate::plan::{Choice, Targets};
    use crate::view::sample::{address, block, change, empty, host};

    fn record(block: &Block, hosts: &[&str]) -> (Address, Record) {
        let placement = |name: &&str| {
            let identity = [("made".to_owned(), "[]".to_owned())].into();
            (host(name), Placement { observed: [("mode".to_owned(), "0770".to_owned())].into(), identity })
        };
        let placements = hosts.iter().map(placement).collect();
        let record = Record { block: block.clone(), pending: None, placements, formerly: BTreeSet::new() };
        (block.address.clone(), record)
    }

    fn state(records: &[(&str, &[&str])]) -> State {
        let connection =
            Connection { reach: Reach::Local, becomes_root: false, connect_timeout: std::time::Duration::ZERO };
        State {
            resources: records.iter().map(|(text, hosts)| record(&block(text, &[]), hosts)).collect(),
            hosts: records
                .iter()
                .flat_map(|(_, hosts)| hosts.iter())
                .map(|name| (host(name), connection.clone()))
                .collect(),
            outputs: [("path".to_owned(), "/srv".into())].into(),
            ..State::default()
        }
    }

    /// A host, how something stood on it, and whether nothing of it differed.
    type Seen<'a> = (&'a str, Standing, bool);

    /// A plan that wants these blocks, and what hosts said when it had been carried out.
    fn plan(wanted: &[(&str, &[Seen])]) -> Plan {
        let mut plan = empty();
        for (text, hosts) in wanted {
            plan.desired.insert(address(text), block(text, &[]));
            for (name, standing, is_settled) in *hosts {
                plan.memory.entry(address(text)).or_default().insert(host(name), BTreeMap::new());
                let found = Found { standing: standing.clone(), is_settled: *is_settled, ..Found::default() };
                plan.found.entry(address(text)).or_default().insert(host(name), found);
            }
        }
        plan
    }

    fn names(state: &State) -> Vec<String> {
        state.resources.keys().map(ToString::to_string).collect()
    }

    fn hosts_of(state: &State, text: &str) -> Vec<String> {
        state.resources[&address(text)].placements.keys().map(ToString::to_string).collect()
    }

    #[test]
    fn a_move_is_in_the_state_before_any_step_and_is_forgotten_when_every_host_has_it() {
        let before = state(&[("external_volume.old", &["hv1", "hv2"])]);
        let unknown = || Standing::Unknown("down".to_owned());
        let mut moving =
            plan(&[("external_volume.new", &[("hv1", Standing::Present, true), ("hv2", unknown(), false)])]);
        moving.moved = [(address("external_volume.old"), address("external_volume.new"))].into();
        moving.changes =
            vec![change("external_volume.new", Action::Move, &[("hv1", Action::Update), ("hv2", Action::Unknown)])];

        let during = super::before(&before, &moving);
        assert_eq!(names(&during), ["external_volume.new"]);
        assert_eq!(during.resources[&address("external_volume.new")].formerly, [address("external_volume.old")].into());
        assert_eq!(hosts_of(&during, "external_volume.new"), ["hv1", "hv2"]);

        // Whether it was written before the steps or not, it comes to the same.
        let partly = super::after(&before, &moving, &moving);
        assert_eq!(
            super::after(&during, &moving, &moving).resources[&address("external_volume.new")].formerly,
            partly.resources[&address("external_volume.new")].formerly
        );
        assert_eq!(
            partly.resources[&address("external_volume.new")].formerly,
            [address("external_volume.old")].into(),
            "hv2 may still carry it"
        );
        assert_eq!(hosts_of(&partly, "external_volume.new"), ["hv1", "hv2"]);

        let done =
            plan(&[("external_volume.new", &[("hv1", Standing::Present, true), ("hv2", Standing::Present, true)])]);
        let after = super::after(&partly, &done, &done);
        assert_eq!(after.resources[&address("external_volume.new")].formerly, BTreeSet::new());

        // A refresh moves as well, and knows nothing of what hosts carry.
        moving.operation = Operation::RefreshOnly;
        let refreshed = super::after(&before, &moving, &moving);
        assert_eq!(
            refreshed.resources[&address("external_volume.new")].formerly,
            [address("external_volume.old")].into()
        );
    }

    #[test]
    fn a_part_leaves_the_rest_and_the_outputs_as_they_were() {
        let before = state(&[
            ("external_volume.in", &["hv1"]),
            ("external_volume.out", &["hv1", "hv2"]),
            ("image.gone", &["hv1"]),
        ]);
        let mut part = plan(&[("external_volume.in", &[("hv1", Standing::Present, true)])]);
        part.found.insert(address("image.gone"), [(host("hv1"), Found::default())].into());
        part.outputs = [("path".to_owned(), "/elsewhere".into())].into();
        part.targets = Some(Targets { option: Choice::Target, named: Vec::new(), resources: Vec::new() });
        for operation in [Operation::Apply, Operation::Destroy] {
            let mut part = part.clone();
            part.operation = operation;
            // The plan of a part has the outputs of the state.
            part.outputs = before.outputs.clone();
            let after = super::after(&before, &part, &part);
            assert_eq!(names(&after), ["external_volume.in", "external_volume.out"]);
            assert_eq!(
                after.resources[&address("external_volume.out")],
                before.resources[&address("external_volume.out")]
            );
            assert_eq!(after.outputs, before.outputs);
            assert_eq!(after.hosts.keys().collect::<Vec<&HostName>>(), [&host("hv1"), &host("hv2")]);
        }
    }

    #[test]
    fn what_is_held_on_a_host_for_something_else_stays_recorded_there() {
        let before = state(&[("image_storage.main", &["hv1", "hv2"])]);
        let held = Standing::Unknown("something that is left out needs it".to_owned());
        let mut part = plan(&[("image_storage.main", &[("hv1", Standing::Present, true)])]);
        let found = Found { standing: held, ..Found::default() };
        part.found.entry(address("image_storage.main")).or_default().insert(host("hv2"), found);
        assert_eq!(hosts_of(&super::after(&before, &part, &part), "image_storage.main"), ["hv1", "hv2"]);
    }
}
