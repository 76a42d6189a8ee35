//! The server itself: whether it starts at boot, runs, and has read what is to be shared.

use super::Look;
use crate::kinds::ask::samba::{LoggedIn, Service};
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::{Command, HazardCode};

/// States of a unit that need no `systemctl enable` (systemctl(1)).
const ENABLED: [&str; 6] = ["enabled", "enabled-runtime", "static", "alias", "indirect", "generated"];

impl Look<'_> {
    pub(super) fn judge_service(&self, verdict: &mut Verdict) {
        let runs = self.installed.service.runs();
        verdict.observed.insert("service".to_owned(), if runs { "runs" } else { "does not run" }.to_owned());
        let (name, loaded, enabled) = match &self.installed.service {
            Service::Unit { name, loaded, enabled, .. } => (name.as_str(), loaded.as_str(), enabled.as_str()),
            Service::ByHand { runs: true } => return,
            Service::ByHand { runs: false } => {
                verdict.hazards.push(self.hazard(
                    HazardCode::Unsupported,
                    format!("smbd does not run on {}, and no unit of systemd could start it", self.host),
                    "Start it there by the host's own means, then plan again.",
                ));
                return;
            }
        };
        if loaded != "loaded" {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("the unit {name}.service on {} is {loaded}", self.host),
                format!("Somebody does not want it to run. Where it may: `systemctl unmask {name}` there."),
            ));
            return;
        }
        let unit = format!("{name}.service");
        let control = |verb: &str| Command::new(["systemctl", verb, "--", &unit]);
        if !ENABLED.contains(&enabled) {
            let draft = Draft::new("enable", format!("let {name} start at boot"), control("enable"))
                .undone_by(control("disable"))
                .rolling_back();
            verdict.differences.push(Difference::new("at boot", enabled, "enabled", Remedy::Run(vec![draft])));
        }
        if !runs {
            let draft = Draft::new("start", format!("start {name}"), control("start"))
                .undone_by(control("stop"))
                .rolling_back();
            verdict.differences.push(Difference::new("service", "does not run", "runs", Remedy::Run(vec![draft])));
        }
    }

    /// A share that is configured and that the server knows nothing of: it has not read its files since.
    pub(super) fn judge_served(&self, verdict: &mut Verdict, logins: &[(String, LoggedIn)]) {
        let told = logins.iter().find_map(|(_, said)| match said {
            LoggedIn::NoShare(text) => Some(text.clone()),
            _ => None,
        });
        if let Some(text) = told {
            let draft = Draft::new("reload", "let Samba read its configuration anew", Command::new(["reload_samba"]));
            verdict.differences.push(Difference::new("served", text, "yes", Remedy::Run(vec![draft])));
        }
    }
}
