//! Paths that do not work: sessions that are down, and what multipathd says of the devices that are made of them.

use super::{Look, state_of, with};
use crate::kinds::ask::multipath;
use crate::kinds::verdict::Verdict;
use crate::model::HazardCode;

impl Look<'_> {
    pub(super) fn judge_paths(&self, verdict: &mut Verdict) {
        let failed: Vec<_> =
            self.wanted.portals.iter().filter(|portal| state_of(&self.sessions, portal) == "failed").collect();
        let is_all = failed.len() == self.wanted.portals.len();
        for portal in &failed {
            let state = with(&self.sessions, portal).map(|session| session.state.as_str()).next().unwrap_or_default();
            let code = if is_all { HazardCode::Unresponsive } else { HazardCode::PathLost };
            verdict.hazards.push(self.hazard(
                code,
                format!("the session of {} with {} at {portal} is down ({state})", self.host, self.wanted.iqn),
                "iscsid goes on trying. Look at the network of the storage and at the storage: `iscsiadm -m session -P 1` there tells more.",
            ));
        }
        self.judge_maps(verdict, !failed.is_empty());
    }

    /// What multipathd says of the devices that have a path here.
    fn judge_maps(&self, verdict: &mut Verdict, is_told: bool) {
        let mut own: Vec<_> =
            self.sessions.iter().flat_map(|session| &session.disks).filter_map(|disk| disk.map.as_ref()).collect();
        own.sort_by(|one, other| one.name.cmp(&other.name));
        own.dedup();
        if own.is_empty() {
            return;
        }
        let maps = match multipath::read(self.facts()) {
            Ok(Some(maps)) => maps,
            Ok(None) => {
                let names = own.iter().map(|map| map.name.as_str()).collect::<Vec<_>>().join(", ");
                verdict.hazards.push(self.hazard(
                    HazardCode::PathLost,
                    format!(
                        "multipathd does not run on {}, and nobody brings paths of {names} back that fail",
                        self.host
                    ),
                    "Start it there: `systemctl enable --now multipathd`.",
                ));
                return;
            }
            Err(why) => {
                verdict.hazards.push(self.hazard(
                    HazardCode::PathLost,
                    format!("whether all paths of the multipath devices of {} work is not known: {why}", self.host),
                    "See why with `systemctl status multipathd` there.",
                ));
                return;
            }
        };
        for map in own {
            let Some(known) = maps.iter().find(|known| known.wwid == map.wwid) else { continue };
            let failed: Vec<_> = known.paths.iter().filter(|path| !path.works).map(|path| path.disk.as_str()).collect();
            // A session that is down says it already.
            let is_all = failed.len() == known.paths.len();
            if failed.is_empty() || is_told && !is_all {
                continue;
            }
            verdict.hazards.push(self.hazard(
                if is_all { HazardCode::Unresponsive } else { HazardCode::PathLost },
                format!(
                    "{} of {} paths of the multipath device {} on {} do not work: {}",
                    failed.len(),
                    known.paths.len(),
                    known.name,
                    self.host,
                    failed.join(", ")
                ),
                format!("Look at `multipath -ll {}` there, and at the network of the storage.", known.name),
            ));
        }
    }
}
