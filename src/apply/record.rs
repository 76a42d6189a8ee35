//! What the state remembers of an apply: before it starts, so that one that is cut off leaves nothing unowned, and after it,
//! from what the hosts said then. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::Standing;
use crate::model::Address;
use crate::plan::{Action, Change, Found, Operation, Plan};
use crate::state::{Placement, Record, State, moves, without_secrets};

/// The state while a plan is carried out: everything that it makes is there already.
pub fn before(state: &State, plan: &Plan) -> State {
    let mut state = moves::rename(state, &plan.moved);
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
            placement.identity.extend(remembered(plan, &change.address, host));
        }
    }
    state.hosts.extend(plan.hosts.clone());
    state
}

/// The state when a plan has been carried out: `after` is a plan made from what the hosts said then.
pub fn after(state: &State, plan: &Plan, after: &Plan) -> State {
    let state = &moves::rename(state, &plan.moved);
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
                let formerly = match (old, is_settled && found.values().all(is_known)) {
                    (Some(old), false) => old.formerly.clone(),
                    _ => BTreeSet::new(),
                };
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
    next.outputs = match (plan.operation, &plan.targets) {
        // They tell of what was taken away.
        (Operation::Destroy, None) => BTreeMap::new(),
        _ => plan.outputs.clone(),
    };
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
                    placements.insert(host.clone(), before.clone());
                }
            }
        }
    }
    placements
}

fn remembered(plan: &Plan, address: &Address, host: &crate::model::HostName) -> BTreeMap<String, String> {
    plan.memory.get(address).and_then(|hosts| hosts.get(host)).cloned().unwrap_or_default()
}
