//! What looks like the same thing under another name, without a word of the configuration that it is: a block that was renamed,
//! a machine that has another `host` block. Taking the one away would take it from the other, so both are refused, with the
//! statement that says what is meant.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::ask::system;
use crate::kinds::{self, Kind, Remedy, Standing, Verdict, host, kind_of};
use crate::model::block::{AttributeMap, Attributes as _};
use crate::model::{Address, Block, Blocks, Datum, Hazard, HazardCode, HostName, Selector, moved};
use crate::state::moves;

use super::{Making, Operation, recorded_blocks, targets};

/// What both have on the same hosts.
type Common = BTreeMap<String, BTreeSet<HostName>>;

/// The address that something had, and by what it is known to be the same.
struct Renamed {
    old: Address,
    why: Why,
}

enum Why {
    /// It is in the same place.
    Place(Common),
    /// It differs only by its name and the path that is made of it; with the attribute that keeps the path.
    Name((&'static str, String)),
}

impl Making<'_> {
    pub(super) fn refuse_renames(&mut self) {
        if self.input.request.operation == Operation::Apply && !self.removed.is_empty() {
            self.refuse_renamed_blocks();
            self.refuse_renamed_hosts();
        }
    }

    fn refuse_renamed_blocks(&mut self) {
        let mut pairs = self.renamed();
        self.named_alike(&mut pairs);
        if pairs.is_empty() {
            return;
        }
        let mut counts: BTreeMap<Selector, usize> = BTreeMap::new();
        for selector in self.state.resources.keys().flat_map(groups) {
            *counts.entry(selector).or_default() += 1;
        }
        let declared: BTreeSet<Selector> = self.desired.keys().flat_map(groups).collect();
        let known = |one: &Selector| counts.get(one).filter(|_| !declared.contains(one)).copied();
        let said = moved::statements(pairs.iter().map(|(new, one)| (&one.old, new)), known);
        let mut covers: BTreeMap<&Address, &(Selector, Selector)> = BTreeMap::new();
        let mut shared: BTreeMap<&(Selector, Selector), usize> = BTreeMap::new();
        let by_selector: BTreeMap<&Selector, &(Selector, Selector)> = said.iter().map(|one| (&one.0, one)).collect();
        for (new, one) in &pairs {
            let own = [Selector::Instance(one.old.clone()), Selector::resource(one.old.clone())];
            let statement = own.into_iter().chain(groups(&one.old)).find_map(|one| by_selector.get(&one).copied());
            let Some(statement) = statement else { continue };
            covers.insert(new, statement);
            *shared.entry(statement).or_default() += 1;
        }
        for (new, one) in &pairs {
            let Some(statement) = covers.get(new) else { continue };
            let what = match (&one.why, shared.get(statement)) {
                (Why::Place(common), Some(1)) => {
                    format!("the state has the same under another address ({})", listed(common))
                }
                (Why::Place(_), _) => "the state has the same under another address".to_owned(),
                (Why::Name(_), _) => format!("{} goes and this one, which differs only by its name, comes", one.old),
            };
            let keep = match &one.why {
                Why::Place(_) => String::new(),
                Why::Name((name, text)) => {
                    let modules = |one: &Address| one.module.iter().map(|step| step.name.clone()).collect::<Vec<_>>();
                    let alike = |one: &&Address| {
                        (&one.kind, &one.name) == (&new.kind, &new.name) && modules(one) == modules(new)
                    };
                    let is_one_of_many = self.desired.keys().filter(alike).nth(1).is_some();
                    let keep = new.attribute_for(name, text, is_one_of_many);
                    format!("\nIts path would follow the new name: keep it with {keep} in {}.", new.block())
                }
            };
            // Nothing is taken away, made or adopted on a guess.
            self.removed.remove(&one.old);
            self.hazards.retain(|hazard| hazard.address != one.old);
            for verdict in self.judged.get_mut(new).into_iter().flat_map(BTreeMap::values_mut) {
                verdict.differences.clear();
                verdict.hazards.clear();
            }
            let hazard = Hazard::new(
                HazardCode::Renamed,
                new,
                None,
                format!("{what}, and nothing says that it was renamed"),
                format!(
                    "If it is the same, say so in the configuration:\n{}{keep}\nIf it is another one, take the old one away first, in an apply without the new one, or forget it with `removed {{ from = {} }}`.",
                    targets::pasted(std::slice::from_ref(statement)),
                    statement.0
                ),
            );
            self.note(hazard);
        }
        self.hush_dependents(pairs.into_keys().collect());
    }

    /// What lies in something that was renamed is told once, not as lost as well.
    fn hush_dependents(&mut self, mut renamed: BTreeSet<Address>) {
        loop {
            let before = renamed.len();
            for (address, block) in self.desired {
                if block.depends_on.iter().any(|one| renamed.contains(one)) {
                    renamed.insert(address.clone());
                }
            }
            if renamed.len() == before {
                break;
            }
        }
        let is_loss = |hazard: &Hazard| hazard.code == HazardCode::DataLoss;
        let inside = self.judged.iter_mut().filter(|(address, _)| renamed.contains(*address));
        for verdict in inside.flat_map(|(_, verdicts)| verdicts.values_mut()) {
            verdict.hazards.retain(|hazard| !is_loss(hazard));
            verdict.differences.retain(|one| !matches!(&one.remedy, Remedy::Ask(hazard, _) if is_loss(hazard)));
        }
    }

    /// More of them: what lies elsewhere only because a default path is made of its name, and is the same but for that.
    fn named_alike(&self, pairs: &mut BTreeMap<Address, Renamed>) {
        for kind in kinds::table() {
            let is_open = |address: &Address| address.is(kind.name()) && !self.scope.forgotten.contains(address);
            let taken: BTreeSet<&Address> = pairs.values().map(|one| &one.old).collect();
            let lost = self.removed.keys().filter(|one| is_open(one) && !self.desired.contains_key(*one));
            let lost: Vec<Address> = lost.filter(|one| !taken.contains(one)).cloned().collect();
            let comes = |(address, verdicts): &(&Address, &BTreeMap<HostName, Verdict>)| {
                is_open(address)
                    && !self.state.resources.contains_key(*address)
                    && !pairs.contains_key(*address)
                    && verdicts.values().any(|verdict| verdict.standing == Standing::Absent)
                    && !verdicts.values().any(|verdict| verdict.standing == Standing::Present)
            };
            let coming: Vec<Address> = self.judged.iter().filter(comes).map(|(address, _)| address.clone()).collect();
            if lost.is_empty() || coming.is_empty() {
                continue;
            }
            // As the state would be if what is known so far had been said.
            let said: moves::Pairs = pairs.iter().map(|(new, one)| (one.old.clone(), new.clone())).collect();
            let recorded = recorded_blocks(&moves::rename(self.state, &said));
            let mut alike: BTreeMap<String, Vec<&Address>> = BTreeMap::new();
            for old in &lost {
                if let Some((shape, _)) = recorded.get(old).and_then(|block| but_for_its_name(*kind, block, &recorded))
                {
                    alike.entry(shape).or_default().push(old);
                }
            }
            let mut found = Vec::new();
            // Those with more in common first: the same block, then the same key.
            let ranks: [fn(&Address, &Address) -> bool; 3] = [
                |old, new| old.block() == new.block() || old.local() == new.local(),
                |old, new| old.key == new.key,
                |_, _| true,
            ];
            let mut open = coming;
            for is_like in ranks {
                open.retain(|new| {
                    let shape = self.desired.get(new).and_then(|block| but_for_its_name(*kind, block, self.desired));
                    let Some(olds) = shape.and_then(|(shape, _)| alike.get_mut(&shape)) else { return false };
                    let Some(at) = olds.iter().position(|old| is_like(old, new)) else { return true };
                    found.push((new.clone(), olds.remove(at).clone()));
                    false
                });
            }
            for (new, old) in found {
                let Some((_, keep)) = recorded.get(&old).and_then(|block| but_for_its_name(*kind, block, &recorded))
                else {
                    continue;
                };
                pairs.insert(new, Renamed { old, why: Why::Name(keep) });
            }
        }
    }

    /// New addresses, each with the old one that is no longer wanted and is the same on a host, and by what.
    fn renamed(&self) -> BTreeMap<Address, Renamed> {
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
        let mut renamed: BTreeMap<Address, Renamed> = BTreeMap::new();
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
                renamed.insert(address.clone(), Renamed { old: old.clone(), why: Why::Place(common) });
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

/// The block, the module instances and the modules that an instance is in.
fn groups(address: &Address) -> impl Iterator<Item = Selector> {
    let modules = (1..=address.module.len()).rev().flat_map(|end| {
        let steps = address.module[..end].to_vec();
        let mut call = steps.clone();
        call.iter_mut().last().into_iter().for_each(|step| step.key = None);
        let instance = Selector::ModuleInstance(steps);
        // Without keys further out it is the call; with them, that call of those instances.
        [instance, Selector::Module(call)]
    });
    std::iter::once(Selector::Block(address.block())).chain(modules.collect::<Vec<_>>())
}

/// What a block says but for the path that is made of its name, and the attribute that would keep that path; `None` where its
/// path was written.
fn but_for_its_name(kind: &dyn Kind, block: &Block, all: &Blocks) -> Option<(String, (&'static str, String))> {
    let (name, default) = kind.default_place(block, all)?;
    let place = block.attributes.get(name).filter(|attribute| attribute.value == default && !attribute.sensitive)?;
    let text = block.text(name)?;
    let values = |all: &AttributeMap| -> BTreeMap<String, Datum> {
        let written = all.iter().filter(|(_, attribute)| !std::ptr::eq(*attribute, place));
        written.map(|(name, attribute)| (name.to_string(), attribute.value.clone())).collect()
    };
    let inside: Vec<_> = block.blocks.iter().map(|one| (&one.name, values(&one.attributes), &one.blocks)).collect();
    let shape = serde_json::to_string(&(values(&block.attributes), inside)).ok()?;
    Some((shape, (name, text.to_owned())))
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
