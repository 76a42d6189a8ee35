//! Placements that the state has and the configuration no longer wants: a removed block, a host that left a storage.

use std::collections::BTreeMap;

use crate::kinds::{Memory, Scene, Standing, Verdict, kind_of};
use crate::model::{Address, Hazard, HazardCode, HostName};

use super::{Making, Operation};

impl Making<'_> {
    /// Asks each kind how its recorded placements are taken away.
    pub(super) fn remove(&mut self, memory: &BTreeMap<Address, Memory>, watched: &BTreeMap<HostName, Vec<String>>) {
        let recorded = super::recorded_blocks(self.input.state);
        let owners = super::owners(self.desired);
        let scene = Scene { blocks: &recorded, facts: self.input.facts, memory, watched, owners: &owners };
        for (address, record) in &self.input.state.resources {
            let Some(kind) = kind_of(address) else { continue };
            if self.unknown.contains(address) {
                continue;
            }
            let is_wanted = self.desired.contains_key(address);
            let wanted: Vec<HostName> =
                self.desired.get(address).map(|block| kind.hosts(block, self.desired)).unwrap_or_default();
            // An apply that was cut off may have begun the new form of a block: that is taken away as well.
            let forms = std::iter::once(&record.block).chain(record.pending.as_ref());
            let mut gone = BTreeMap::new();
            for host in record.placements.keys().filter(|host| !wanted.contains(host)) {
                let mut whole = Verdict::default();
                for block in forms.clone() {
                    let verdict = match is_reached(&scene, host) {
                        true => kind.unmake(block, &scene, host),
                        false => Verdict::unknown("the host did not answer"),
                    };
                    merge(&mut whole, verdict);
                }
                gone.insert(host.clone(), whole);
            }
            if record.block.lifecycle.prevent_destroy
                && gone.values().any(|verdict| !verdict.differences.is_empty())
                && self.input.request.operation != Operation::RefreshOnly
            {
                self.note(Hazard::new(
                    HazardCode::Protected,
                    address,
                    None,
                    format!(
                        "{address} was applied with prevent_destroy and would now be taken away{}",
                        if is_wanted { " from a host" } else { "" }
                    ),
                    "Put the block back with prevent_destroy = false, apply, and then remove it.",
                ));
                gone.values_mut().for_each(|verdict| verdict.differences.clear());
            }
            // A block whose placements are all elsewhere now still has to be forgotten.
            if !gone.is_empty() || !is_wanted {
                self.removed.insert(address.clone(), gone);
            }
        }
    }
}

fn is_reached(scene: &Scene, host: &HostName) -> bool {
    matches!(scene.host(host), crate::model::HostFacts::Reached(_))
}

fn merge(whole: &mut Verdict, part: Verdict) {
    // What nobody knows of one form is not known of the whole.
    if part.standing != Standing::Absent && !matches!(whole.standing, Standing::Unknown(_)) {
        whole.standing = part.standing;
    }
    for difference in part.differences {
        if !whole.differences.contains(&difference) {
            whole.differences.push(difference);
        }
    }
    whole.hazards.extend(part.hazards);
}
