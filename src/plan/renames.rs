//! What looks like the same thing under another name, without a word of the configuration that it is: a block that was renamed,
//! a machine that has another `host` block. Taking the one away would take it from the other, so both are refused, with the
//! statement that says what is meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::ask::system;
use crate::kinds::{host, kind_of};
use crate::model::{Address, Hazard, HazardCode, HostName, Moved, Selector, moved};

use super::{Making, Operation, recorded_blocks, targets};

/// What both have on the same hosts.
type Common = BTreeMap<String, BTreeSet<HostName>>;

impl Making<'_> {
    pub(super) fn refuse_renames(&mut self) {
        if self.input.request.operation == Operation::Apply && !self.removed.is_empty() {
            self.refuse_renamed_blocks();
            self.refuse_renamed_hosts();
        }
    }

    fn refuse_renamed_blocks(&mut self) {
        let pairs = self.renamed();
        let known = |block: &Address| self.state.resources.keys().filter(|one| one.block() == *block).count();
        let said = moved::statements(pairs.iter().map(|(new, (old, _))| (old, new)), known);
        for (new, (old, common)) in &pairs {
            let says = |(from, to): &&(Selector, Selector)| {
                let one = Moved::new(from.clone(), to.clone(), None);
                one.is_ok_and(|one| one.forward(old).as_ref() == Some(new))
            };
            let Some(statement) = said.iter().find(says) else { continue };
            let is_shared = pairs.iter().filter(|(_, (other, _))| statement.0.selects(other)).count() > 1;
            let what = match is_shared {
                true => String::new(),
                false => format!(" ({})", listed(common)),
            };
            // Nothing is taken away, made or adopted on a guess.
            self.removed.remove(old);
            self.hazards.retain(|hazard| hazard.address != *old);
            for verdict in self.judged.get_mut(new).into_iter().flat_map(BTreeMap::values_mut) {
                verdict.differences.clear();
                verdict.hazards.clear();
            }
            let hazard = Hazard::new(
                HazardCode::Renamed,
                new,
                None,
                format!("the state has the same under another address{what}, and nothing says that it was renamed"),
                format!(
                    "If it is the same, say so in the configuration:\n{}\nIf it is another one, take the old one away first, in an apply without the new one, or forget it with `removed {{ from = {} }}`.",
                    targets::pasted(std::slice::from_ref(statement)),
                    statement.0
                ),
            );
            self.note(hazard);
        }
    }

    /// New addresses, each with the old one that is no longer wanted and is the same on a host, and by what.
    fn renamed(&self) -> BTreeMap<Address, (Address, Common)> {
        let recorded = recorded_blocks(self.state);
        let mut lost: BTreeMap<(&str, &HostName, String), &Address> = BTreeMap::new();
        for address in self.removed.keys() {
            if self.desired.contains_key(address) || self.scope.forgotten.contains(address) {
                continue;
            }
            let (Some(record), Some(kind)) = (self.state.resources.get(address), kind_of(address)) else { continue };
            for (host, identity) in pairs_of(record.placements.keys(), kind.identities(&record.block, &recorded)) {
                lost.insert((kind.name(), host, identity), address);
            }
        }
        let mut renamed: BTreeMap<Address, (Address, Common)> = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (address, verdicts) in &self.judged {
            let (Some(block), Some(kind)) = (self.desired.get(address), kind_of(address)) else { continue };
            if self.state.resources.contains_key(address) {
                continue;
            }
            let mut found: BTreeMap<&Address, Common> = BTreeMap::new();
            for (host, identity) in pairs_of(verdicts.keys(), kind.identities(block, self.desired)) {
                if let Some(old) = lost.get(&(kind.name(), host, identity.clone())).filter(|old| !taken.contains(*old))
                {
                    found.entry(old).or_default().entry(identity).or_default().insert(host.clone());
                }
            }
            // The one with which it has most in common.
            let places = |common: &Common| common.values().map(BTreeSet::len).sum::<usize>();
            let best = found.into_iter().rev().max_by_key(|(_, common)| places(common));
            if let Some((old, common)) = best {
                taken.insert(old);
                renamed.insert(address.clone(), (old.clone(), common));
            }
        }
        renamed
    }

    /// A machine that two hosts are: what leaves the one would leave the other.
    fn refuse_renamed_hosts(&mut self) {
        let machine = |host: &HostName| {
            let system = system::read(self.input.facts.host(host)).ok()?;
            Some((system.machine_id, system.hostname)).filter(|(id, name)| !id.is_empty() && !name.is_empty())
        };
        let going = self.removed.iter().filter(|(address, _)| !self.scope.forgotten.contains(*address));
        let leaving: BTreeSet<&HostName> = going.flat_map(|(_, verdicts)| verdicts.keys()).collect();
        if leaving.is_empty() {
            return;
        }
        let wanted: BTreeSet<&HostName> = self.judged.values().flat_map(BTreeMap::keys).collect();
        let machines: BTreeMap<_, _> = wanted.into_iter().filter_map(|host| Some((machine(host)?, host))).collect();
        let doubles: Vec<(HostName, HostName)> = leaving
            .into_iter()
            .filter_map(|host| Some((host.clone(), (*machines.get(&machine(host)?)?).clone())))
            .filter(|(old, new)| old != new)
            .collect();
        for (old, new) in doubles {
            // Neither taken away nor forgotten.
            self.removed.retain(|address, verdicts| {
                self.scope.forgotten.contains(address) || verdicts.remove(&old).is_none() || !verdicts.is_empty()
            });
            let declared = |name: &HostName| self.desired.keys().find(|one| is_host(one, name)).cloned();
            let Some(before) = targets::host_addresses(self.desired, self.state).remove(&old) else { continue };
            let Some(after) = declared(&new) else { continue };
            let cure = match declared(&old) {
                Some(double) => format!("Keep one of the blocks {double} and {after}."),
                None => format!(
                    "If the host was renamed, say so in the configuration:\n{}",
                    moved::statement(&Selector::resource(before), &Selector::resource(after.clone()))
                ),
            };
            let message =
                format!("{old} and {new} are one machine: what is taken away on {old} would be gone from {new}");
            self.note(Hazard::new(HazardCode::Renamed, &after, Some(&new), message, cure));
        }
    }
}

fn is_host(address: &Address, name: &HostName) -> bool {
    address.is(host::NAME) && host::name_of(address) == *name
}

fn pairs_of<'a>(
    hosts: impl Iterator<Item = &'a HostName>,
    identities: Vec<String>,
) -> impl Iterator<Item = (&'a HostName, String)> {
    hosts.flat_map(move |host| identities.clone().into_iter().map(move |identity| (host, identity)))
}

/// `/srv/a on hv1, hv2`.
fn listed(common: &Common) -> String {
    let one = |(identity, hosts): (&String, &BTreeSet<HostName>)| {
        let hosts: Vec<_> = hosts.iter().map(ToString::to_string).collect();
        format!("{identity} on {}", hosts.join(", "))
    };
    common.iter().map(one).collect::<Vec<_>>().join("; ")
}
