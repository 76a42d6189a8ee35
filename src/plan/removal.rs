//! Placements that the state has and the configuration no longer wants: a removed block, a host that left a storage.

use std::collections::BTreeMap;

use crate::kinds::{Scene, Standing, Verdict, kind_of};
use crate::model::{Address, Hazard, HazardCode, HostName};

use super::{Making, Operation};

impl Making<'_> {
    /// Asks each kind how its recorded placements are taken away.
    pub(super) fn remove(&mut self, wanted: &Scene) {
        // What this run leaves alone takes nothing away with it.
        let goes = |address: &Address| self.scope.has(address) && !self.scope.forgotten.contains(address);
        let going = self.state.resources.iter().filter(|(address, _)| goes(address));
        let going = going.map(|(address, record)| (address.clone(), record.block.clone())).collect();
        let scene = Scene { blocks: &going, ..*wanted };
        for (address, record) in self.state.resources.iter().filter(|(address, _)| self.scope.has(address)) {
            if self.scope.forgotten.contains(address) {
                let gone = record.placements.keys().map(|host| (host.clone(), Verdict::default()));
                self.removed.insert(address.clone(), gone.collect());
                continue;
            }
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
            let leaves = |host: &&HostName| !wanted.contains(host) && !self.scope.holds(address, host);
            for host in record.placements.keys().filter(leaves) {
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
            // An apply that set it and was cut off has set it.
            let is_protected = forms.clone().any(|block| block.lifecycle.prevent_destroy);
            if is_protected
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
