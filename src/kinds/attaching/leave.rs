//! Logging out: never under anybody, and never where that is not known.

use super::{Look, with};
use crate::kinds::ask::fstab::{Entry, normalised};
use crate::kinds::ask::iscsi::{self, Portal, Session, Use};
use crate::kinds::ask::{device_names, multipath};
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::{Command, Hazard, HazardCode};

impl Look<'_> {
    /// What takes the target away from the host again. What is on its disks stays there.
    pub(in crate::kinds) fn unmake(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        for portal in &self.wanted.portals {
            self.leave(&mut verdict, &self.wanted.iqn, portal, &self.sessions)?;
        }
        if !verdict.differences.is_empty() {
            verdict.standing = Standing::Present;
            let obstacles = self.obstacles();
            if !obstacles.is_empty() {
                verdict.differences.clear();
                verdict.hazards.extend(obstacles);
            }
        }
        Ok(verdict)
    }

    /// Portals that the block named before, and those of the target that it named before.
    pub(super) fn leave_former_portals(&self, verdict: &mut Verdict) -> Result<(), String> {
        let Some(previous) = self.previous() else { return Ok(()) };
        let is_same = previous.iqn == self.wanted.iqn;
        let sessions = match is_same {
            true => self.sessions.clone(),
            false => iscsi::read_sessions(self.facts(), &previous.iqn)?,
        };
        for portal in previous.portals.iter().filter(|portal| !is_same || !self.wanted.portals.contains(portal)) {
            self.leave(verdict, &previous.iqn, portal, &sessions)?;
        }
        Ok(())
    }

    fn leave(&self, verdict: &mut Verdict, iqn: &str, portal: &Portal, sessions: &[Session]) -> Result<(), String> {
        let records = iscsi::read_records(self.facts(), iqn, portal)?;
        let sessions: Vec<_> = with(sessions, portal).collect();
        if records.is_empty() && sessions.is_empty() {
            return Ok(());
        }
        let have = if sessions.is_empty() { "logged out" } else { "logged in" };
        let remedy = match self.in_use(iqn, portal, &sessions)? {
            Some(hazard) => Remedy::Never(hazard),
            None => {
                let words = std::iter::once("iscsi_logout".to_owned()).chain(portal.words(iqn));
                let summary = match sessions.is_empty() {
                    true => format!("forget {iqn} at {portal}"),
                    false => format!("log out of {iqn} at {portal}, and forget it"),
                };
                let draft = Draft::new("logout", summary, Command::new(words))
                    .guarded([iscsi::nobody(iqn, portal)])
                    .without_inverse("credentials are not kept")
                    .destroying();
                Remedy::Run(vec![draft])
            }
        };
        verdict.differences.push(Difference::new(&format!("session {portal}"), have, "absent", remedy));
        Ok(())
    }

    /// Who keeps sessions from being ended.
    fn in_use(&self, iqn: &str, portal: &Portal, sessions: &[&Session]) -> Result<Option<Hazard>, String> {
        if sessions.is_empty() {
            return Ok(None);
        }
        let refused = |why: String, cure: &str| {
            let message = format!("logging out of {iqn} at {portal} on {} would take a disk away: {why}", self.host);
            Ok(Some(self.hazard(HazardCode::InUse, message, cure)))
        };
        let uses = match iscsi::read_use(self.facts(), iqn, portal) {
            Ok(uses) => uses,
            Err(why) => return refused(format!("who uses it is not known: {why}"), "Try again when the host answers."),
        };
        let uses: Vec<_> =
            uses.into_iter().filter(|one| !matches!(one, Use::Mounted(target) if self.goes(target))).collect();
        if !uses.is_empty() {
            let map = uses.iter().find_map(|one| if let Use::LastPath(map) = one { Some(map) } else { None });
            let named = uses.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let cure = match map {
                Some(map) if uses.len() == 1 => {
                    format!("If nobody needs {map} any more: `multipath -f {map}` there, then plan again.")
                }
                _ => "Unmount, stop or remove what uses it, then plan again.".to_owned(),
            };
            return refused(named, &cure);
        }
        if sessions.iter().flat_map(|session| &session.disks).any(|disk| disk.map.is_some())
            && let Err(why) = multipath::read(self.facts())
        {
            return refused(
                format!("which paths work is not known: {why}"),
                "See why with `systemctl status multipathd` there.",
            );
        }
        if let Some((file, entry)) = self.mounted_at_boot(sessions)? {
            return refused(
                format!("{file} mounts {} on {}", entry.source, entry.target),
                "Remove that first, if nobody needs it: the host would wait for the disk at the next boot.",
            );
        }
        Ok(None)
    }

    /// Whether what is mounted at a path is a volume of ours that nobody is to have any more.
    fn goes(&self, target: &str) -> bool {
        self.scene.watched(self.host).iter().any(|path| path == target) && !self.scene.stays(target, self.host)
    }

    /// What would mount a disk of these sessions at the next boot, and where that stands.
    fn mounted_at_boot(&self, sessions: &[&Session]) -> Result<Option<(String, Entry)>, String> {
        let names = device_names::read(self.facts())?;
        let numbers: Vec<&str> = sessions
            .iter()
            .flat_map(|session| &session.disks)
            .flat_map(|disk| std::iter::once(&disk.number).chain(&disk.above))
            .map(String::as_str)
            .collect();
        let is_of_it = |entry: &Entry| {
            let path = match entry.source.split_once('=') {
                Some((tag @ ("UUID" | "PARTUUID"), value)) => {
                    format!("/dev/disk/by-{}/{}", tag.to_lowercase(), value.trim_matches('"'))
                }
                _ => entry.source.clone(),
            };
            names.number(&path).is_some_and(|number| numbers.contains(&number))
                && !self.goes(&normalised(&entry.target))
        };
        let lines = self.ground.fstab.lines.iter().filter_map(|line| Some(("/etc/fstab", line.entry.as_ref()?)));
        let units = self.ground.units.all_lasting().filter_map(|unit| Some((unit.path.as_str(), unit.entry.as_ref()?)));
        let found = lines.chain(units).find(|(_, entry)| is_of_it(entry));
        Ok(found.map(|(file, entry)| (file.to_owned(), entry.clone())))
    }
}
