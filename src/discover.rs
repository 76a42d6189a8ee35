//! Holds what was found on hosts against the plan of it: what would be changed is told to be left as it is, and what cannot be
//! adopted without a change becomes a remark. Pure; it plans nothing by itself and writes to no host.

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::found::{self, Finding, Findings, LeftOut, Regard};
use crate::kinds::kind_of;
use crate::model::block::AttributeMap;
use crate::model::{Address, Block, Blocks, Facts, HazardCode, HostName, NestedBlock};
use crate::plan::{Action, Change, Plan};

/// Attributes of differences, and what of a block says that they are left as they are.
const IGNORED_AS: [(&str, &str); 5] =
    [("fstab", "persist"), ("unit", "persist"), ("owner", "owner"), ("group", "group"), ("mode", "mode")];

/// What belongs to the user that runs a guest while that runs.
const OF_A_GUEST: [&str; 3] = ["owner", "group", "mode"];

/// Whether the plan adopts all that was found and changes nothing.
pub fn is_settled(findings: &Findings, plan: &Plan) -> bool {
    let ours: BTreeSet<&Address> = findings.blocks.iter().map(|finding| &finding.block.address).collect();
    let is_ours = |address: &Address| ours.contains(address);
    let is_adopted = |change: &&Change| change.hosts.values().all(|action| *action == Action::Adopt);
    let adopted = plan.changes.iter().filter(|change| is_ours(&change.address)).filter(is_adopted).count();
    adopted == ours.len()
        && !plan.steps.iter().any(|step| is_ours(&step.address))
        && !plan.hazards.iter().any(|hazard| hazard.blocks() && is_ours(&hazard.address))
}

/// Whether a block that was read says what was meant, and nothing more.
pub fn says(read: &Block, meant: &Block) -> bool {
    let same = |read: &AttributeMap, meant: &AttributeMap| {
        let written = read.iter().filter(|(_, attribute)| attribute.place.is_some());
        let written: BTreeMap<_, _> = written.map(|(name, attribute)| (name, &attribute.value)).collect();
        written == meant.iter().map(|(name, attribute)| (name, &attribute.value)).collect()
    };
    let is_same_block = |(read, meant): (&NestedBlock, &NestedBlock)| {
        read.name == meant.name && same(&read.attributes, &meant.attributes)
    };
    same(&read.attributes, &meant.attributes)
        && read.lifecycle == meant.lifecycle
        && read.blocks.len() == meant.blocks.len()
        && read.blocks.iter().zip(&meant.blocks).all(is_same_block)
}

/// What the plan of the findings makes of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// There is nothing more to do about them.
    Done,
    /// Blocks were changed so that they leave alone what differs: they need a plan again.
    Mended,
    /// These cannot be adopted, and must be left out.
    Without(Vec<LeftOut>),
}

/// Takes up what the plan of the findings says about them.
pub fn settle(findings: &mut Findings, plan: &Plan, facts: &Facts) -> Settled {
    let mut without = Vec::new();
    let mut is_mended = false;
    for finding in &mut findings.blocks {
        without.extend(objections(finding, plan));
        is_mended |= leave_differences(finding, plan);
        is_mended |= spare_what_guests_use(finding, &plan.desired, facts);
    }
    match (without.is_empty(), is_mended) {
        (false, _) => Settled::Without(without),
        (true, true) => Settled::Mended,
        (true, false) => Settled::Done,
    }
}

/// Why something cannot be adopted, on which host.
fn objections(finding: &Finding, plan: &Plan) -> Vec<LeftOut> {
    let address = &finding.block.address;
    let mut all: Vec<LeftOut> = Vec::new();
    let mut object = |host: &HostName, why: String, regard| {
        if !all.iter().any(|one| one.host == *host) {
            all.push(LeftOut { host: host.clone(), what: finding.place.clone(), why, regard });
        }
    };
    for hazard in plan.hazards.iter().filter(|hazard| hazard.address == *address && hazard.blocks()) {
        let regard = match hazard.code {
            HazardCode::NoAccess => continue,
            // A unit of somebody else stays as it is.
            HazardCode::Foreign if differs_by_its_unit(plan, address, hazard.host.as_ref()) => continue,
            HazardCode::Unresponsive => Regard::Doubt,
            _ => Regard::Certain,
        };
        for host in finding.hosts.iter().filter(|host| hazard.host.as_ref().is_none_or(|one| one == *host)) {
            object(host, hazard.message.clone(), regard);
        }
    }
    let Some(change) = plan.changes.iter().find(|change| change.address == *address) else { return all };
    // Whether it can be used is tried because something else would be done, and will not be when nothing is.
    let differences = change.differences.iter().filter(|one| one.attribute != "access");
    for one in differences.filter(|one| ignored_as(&one.attribute).is_none()) {
        let why = format!("{} is {:?}, and Larder would make it {:?}", one.attribute, one.have, one.want);
        object(&one.host, why, Regard::Certain);
    }
    for (host, action) in &change.hosts {
        match action {
            Action::Adopt | Action::Unchanged | Action::Update => {}
            Action::Unknown | Action::Later => {
                let why = change.reasons.get(host).cloned().unwrap_or_else(|| "it could not be looked at".to_owned());
                object(host, why, Regard::Doubt);
            }
            _ => object(host, "gone when it was looked at again".to_owned(), Regard::Doubt),
        }
    }
    all
}

fn differs_by_its_unit(plan: &Plan, address: &Address, host: Option<&HostName>) -> bool {
    let mut changes = plan.changes.iter().filter(|change| change.address == *address);
    changes.any(|change| change.differences.iter().any(|one| one.attribute == "unit" && Some(&one.host) == host))
}

fn ignored_as(attribute: &str) -> Option<&'static str> {
    IGNORED_AS.iter().find(|(one, _)| *one == attribute).map(|(_, name)| *name)
}

/// Lets the block accept and leave alone what can stay as it is. Whether that changed it.
fn leave_differences(finding: &mut Finding, plan: &Plan) -> bool {
    let address = finding.block.address.clone();
    let mut changed = false;
    for hazard in plan.hazards.iter().filter(|hazard| hazard.address == address && hazard.blocks()) {
        if hazard.code == HazardCode::NoAccess {
            finding.notes.push(format!("accepted as it is: {}", hazard.message));
            changed |= finding.block.lifecycle.accept.insert(hazard.code);
        }
    }
    let change = plan.changes.iter().find(|change| change.address == address);
    for one in change.into_iter().flat_map(|change| &change.differences) {
        let Some(name) = ignored_as(&one.attribute) else { continue };
        finding.notes.push(format!(
            "differs: {} on {} is {:?}, Larder would make it {:?}; ignore_changes leaves it as it is",
            one.attribute, one.host, one.have, one.want
        ));
        changed |= finding.block.lifecycle.ignore_changes.insert(name.to_owned());
    }
    changed
}

/// While a guest runs, its image belongs to another user than afterwards: what is seen now is not what is to be kept.
fn spare_what_guests_use(finding: &mut Finding, desired: &Blocks, facts: &Facts) -> bool {
    let Some(kind) = kind_of(&finding.block.address) else { return false };
    if OF_A_GUEST.iter().all(|name| finding.block.lifecycle.ignore_changes.contains(*name)) {
        return false;
    }
    // The completed block has the name that this one may leave to its default.
    let Some(completed) = desired.get(&finding.block.address) else { return false };
    let users: Vec<_> = kind
        .hosts(completed, desired)
        .into_iter()
        .filter_map(|host| Some((found::user_of(completed, desired, facts.host(&host)).ok()??, host)))
        .collect();
    let Some((user, host)) = users.first() else { return false };
    finding
        .notes
        .push(format!("in use by {user} on {host}: owner, group and mode are those of now, and change when it ends"));
    finding.block.lifecycle.ignore_changes.extend(OF_A_GUEST.map(str::to_owned));
    true
}
