//! What logs in at boot, and the daemon that does it.

use super::Look;
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::{Command, HazardCode};

/// States of a unit that is started at the next boot (systemctl(1)). `enabled-runtime` ends with this boot.
const ENABLED: [&str; 3] = ["enabled", "alias", "generated"];

impl Look<'_> {
    pub(super) fn judge_service(&self, verdict: &mut Verdict) {
        let Some(boot) = self.initiator.boot() else {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("{} has no unit of systemd that would log in at boot", self.host),
                "Install open-iscsi (iscsi-initiator-utils on Fedora and its kin) anew there: open-iscsi.service or iscsi.service is missing.",
            ));
            return;
        };
        let daemon = self.initiator.unit("iscsid.service");
        for unit in std::iter::once(boot).chain(daemon).filter(|unit| unit.loaded != "loaded") {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("the unit {} on {} is {}", unit.id, self.host, unit.loaded),
                format!("Somebody does not want it to run. Where it may: `systemctl unmask {}` there.", unit.id),
            ));
        }
        let control = |verb: &str, unit: &str| Command::new(["systemctl", verb, "--", unit]);
        verdict.observed.insert("at boot".to_owned(), boot.enabled.clone());
        if boot.loaded == "loaded" && !ENABLED.contains(&boot.enabled.as_str()) {
            let draft = Draft::new("enable", format!("let {} log in at boot", boot.id), control("enable", &boot.id))
                .without_inverse("other targets may rely on it by then");
            verdict.differences.push(Difference::new(
                "at boot",
                boot.enabled.as_str(),
                "enabled",
                Remedy::Run(vec![draft]),
            ));
        }
        if !self.initiator.runs() {
            let draft = Draft::new("start", "start iscsid", control("start", "iscsid.service"))
                .without_inverse("other sessions may rely on it by then");
            verdict.differences.push(Difference::new("iscsid", "does not run", "runs", Remedy::Run(vec![draft])));
        }
    }
}
