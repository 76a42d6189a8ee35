//! Logging out: never under anybody, and never where that is not known.

use super::{Look, with};
use crate::kinds::ask::fstab::{Entry, normalised};
use crate::kinds::ask::iscsi::{self, Portal, Session, Use};
use crate::kinds::ask::{device_names, multipath};
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::{Command, Hazard, HazardCode};

/// What goes in one run.
struct Leaving<'a> {
    iqn: &'a str,
    portals: &'a [Portal],
    /// All sessions with the target.
    sessions: &'a [Session],
}

impl Leaving<'_> {
    /// Whether a multipath device has a path that works, and that stays.
    fn leaves_a_path(&self, wwid: &str, maps: &[multipath::Paths]) -> bool {
        let going =
            self.portals.iter().flat_map(|portal| with(self.sessions, portal)).flat_map(|session| &session.disks);
        let going: Vec<_> = going.map(|disk| disk.name.as_str()).collect();
        let paths = maps.iter().filter(|map| map.wwid == wwid).flat_map(|map| &map.paths);
        paths.into_iter().any(|path| path.works && !going.contains(&path.disk.as_str()))
    }
}

/// How people get rid of a multipath device.
fn flush(map: &str) -> String {
    format!("If nobody needs {map} any more: `multipath -f {map}` there, then plan again.")
}

impl Look<'_> {
    /// What takes the target away from the host again. What is on its disks stays there.
    pub(in crate::kinds) fn unmake(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        let leaving = Leaving { iqn: &self.wanted.iqn, portals: &self.wanted.portals, sessions: &self.sessions };
        self.leave(&mut verdict, &leaving)?;
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
        let gone = previous.portals.iter().filter(|portal| !is_same || !self.wanted.portals.contains(portal));
        let portals: Vec<_> = gone.copied().collect();
        self.leave(verdict, &Leaving { iqn: &previous.iqn, portals: &portals, sessions: &sessions })
    }

    fn leave(&self, verdict: &mut Verdict, leaving: &Leaving) -> Result<(), String> {
        leaving.portals.iter().try_for_each(|portal| self.leave_portal(verdict, leaving, portal))
    }

    fn leave_portal(&self, verdict: &mut Verdict, leaving: &Leaving, portal: &Portal) -> Result<(), String> {
        let iqn = leaving.iqn;
        let records = iscsi::read_records(self.facts(), iqn, portal)?;
        let sessions: Vec<_> = with(leaving.sessions, portal).collect();
        if records.is_empty() && sessions.is_empty() {
            return Ok(());
        }
        let have = if sessions.is_empty() { "logged out" } else { "logged in" };
        let remedy = match self.in_use(leaving, portal, &sessions)? {
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
    fn in_use(&self, leaving: &Leaving, portal: &Portal, sessions: &[&Session]) -> Result<Option<Hazard>, String> {
        let iqn = leaving.iqn;
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
            let named = uses.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
            let cure = match uses.as_slice() {
                [Use::LastPath(map)] => flush(map),
                _ => "Unmount, stop or remove what uses it, then plan again.".to_owned(),
            };
            return refused(named, &cure);
        }
        let maps: Vec<_> =
            sessions.iter().flat_map(|session| &session.disks).filter_map(|disk| disk.map.as_ref()).collect();
        if !maps.is_empty() {
            let known = match multipath::read(self.facts()) {
                Ok(known) => known.unwrap_or_default(),
                Err(why) => {
                    return refused(
                        format!("which paths work is not known: {why}"),
                        "See why with `systemctl status multipathd` there.",
                    );
                }
            };
            // One after the other would leave no path, although each alone leaves one.
            if let Some(map) = maps.into_iter().find(|map| !leaving.leaves_a_path(&map.wwid, &known)) {
                let why = format!("the multipath device {} would have no path left that works", map.name);
                return refused(why, &flush(&map.name));
            }
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
