//! Unmounting, without loss of data and never under anybody.

use super::boot::edit_draft;
use super::{Look, Mounted, Source, listed, mount_point};
use crate::kinds::ask::fstab::Entry;
use crate::kinds::ask::mounts::{self, Mount, is_within};
use crate::kinds::ask::open_files;
use crate::kinds::ask::path::{self, Lineage};
use crate::kinds::ground;
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::{Command, Guard, Hazard, HazardCode, Impact};

impl Look<'_> {
    /// Who keeps the volume from being unmounted.
    pub(super) fn in_use(&self, path: &str) -> Result<Option<Hazard>, String> {
        let uses = self.scene.users(self.host, path)?;
        // What lies below may go with it only if it is a volume of ours that nobody is to have any more.
        for mount in self.ground.mounts.below(path) {
            let is_ours = self.scene.watched(self.host).contains(&mount.target);
            if !is_ours || self.scene.stays(&mount.target, self.host) {
                return Ok(Some(self.hazard(
                    HazardCode::InUse,
                    format!("{} is mounted below {path} on {}", mount.target, self.host),
                    "Unmount or remove that first.",
                )));
            }
        }
        if uses.is_empty() {
            return Ok(None);
        }
        let named = uses.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let more = if uses.len() > 5 { format!(" and {} more", uses.len() - 5) } else { String::new() };
        Ok(Some(self.hazard(
            HazardCode::InUse,
            format!("{path} on {} is in use: {named}{more}", self.host),
            "Stop the guest or the process, then plan again. Larder does not kill and does not unmount lazily.",
        )))
    }

    /// Unmounts, if nobody uses it and nothing would be lost.
    pub(super) fn unmount(&self, verdict: &mut Verdict, mount: &Mount, path: &str) {
        let mut draft = Draft::new("unmount", format!("unmount {path}"), Command::new(["umount", "--", path]))
            .guarded([self.ground.mounts.guard(path), open_files::nobody(&[path.to_owned()])])
            .with_impact(Impact::Offline)
            .destroying()
            .needing_all_members();
        draft = match mount.fstype.as_str() {
            "tmpfs" => draft.without_inverse("what a tmpfs holds is gone when it is unmounted"),
            _ if self.is_ours(&self.source, mount) && path == self.at => {
                draft.undone_by(self.mount_draft(self.uuid().as_deref()).command)
            }
            _ => draft.without_inverse("the block that described the mount has changed"),
        };
        // What a tmpfs holds is lost with it; where that is not known, it counts as something.
        let held = match mount.fstype.as_str() {
            "tmpfs" => path::read_entries(self.scene.host(self.host), path),
            _ => Ok(Vec::new()),
        };
        if mount.fstype == "tmpfs" && held.as_ref().is_ok_and(Vec::is_empty) {
            draft = draft.guarded([ground::empty(path)]);
        }
        let remedy = match self.in_use(path) {
            Ok(Some(hazard)) => Remedy::Never(hazard),
            Err(why) => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("who uses {path} on {} is not known: {why}", self.host),
                "Try again when the host answers.",
            )),
            Ok(None) => match held {
                Ok(entries) if entries.is_empty() => Remedy::Run(vec![draft]),
                Ok(entries) => Remedy::Ask(
                    self.hazard(
                        HazardCode::DataLoss,
                        format!("unmounting the tmpfs {path} on {} deletes {}", self.host, listed(&entries)),
                        "Copy away what is needed first.",
                    ),
                    vec![draft],
                ),
                Err(why) => Remedy::Never(self.hazard(
                    HazardCode::Unresponsive,
                    format!("what the tmpfs {path} on {} holds is not known: {why}", self.host),
                    "Unmounting would delete it. Try again when the host answers.",
                )),
            },
        };
        verdict.differences.push(Difference::new(
            "mount",
            format!("{} {}", mount.fstype, mount.source),
            "not mounted",
            remedy,
        ));
    }

    /// A volume whose mount point has changed leaves the old one first.
    pub(super) fn leave_previous_place(&self, verdict: &mut Verdict) -> Result<(), String> {
        let Some(previous) = self.scene.previous(self.address).filter(|previous| mount_point(previous) != self.at)
        else {
            return Ok(());
        };
        let old = mount_point(previous);
        let facts = self.scene.host(self.host);
        if (self.read)(previous) == Some(Source::Directory) {
            let entries = path::read_entries(facts, old)?;
            if !entries.is_empty() && self.source == Source::Directory {
                verdict.hazards.push(self.hazard(
                    HazardCode::DataLoss,
                    format!(
                        "the volume's directory moves to {} on {}; {old} keeps {}",
                        self.at,
                        self.host,
                        listed(&entries)
                    ),
                    format!(
                        "Keep it with {}, or move the files yourself before. The old directory is left as it is.",
                        self.address.attribute_for("mount_point", old, self.address.has_keys())
                    ),
                ));
            }
            return Ok(());
        }
        match self.ground.mounts.at(old).as_slice() {
            [mount] if (self.read)(previous).is_some_and(|source| self.is_ours(&source, mount)) => {
                self.unmount(verdict, mount, old);
                verdict.standing = Standing::Present;
            }
            [] => {}
            [mount] => {
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!("{old} on {}, where the volume was, is now {} {}", self.host, mount.fstype, mount.source),
                    "Unmount that if it does not belong there. A change of both the device and the mount point takes two applies.",
                ));
                return Ok(());
            }
            _ => verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("several mounts are stacked on {old} on {}", self.host),
                "Unmount those that do not belong there.",
            )),
        }
        let lineage = path::read(facts, old)?;
        verdict.differences.extend(self.release(old, &lineage));
        Ok(())
    }

    /// Takes the lock off a mount point and removes what was made for it.
    pub(super) fn release(&self, path: &str, lineage: &Lineage) -> Option<Difference> {
        if !lineage.exists() {
            return None;
        }
        let before: Option<(String, String)> =
            self.scene.remembered(self.address, self.host, "before").and_then(|text| serde_json::from_str(text).ok());
        let mut made = ground::made_for_it(self.scene, self.address, self.host);
        made.retain(|made| is_within(path, made));
        let mut unlock = vec!["unlock_mount_point".to_owned(), path.to_owned()];
        if let Some((mode, owner)) = &before {
            unlock.extend([mode.clone(), owner.clone()]);
        }
        let mut drafts = vec![
            Draft::new("unlock", format!("take the lock off the mount point {path}"), Command::new(unlock))
                .guarded([Guard {
                    status: 0,
                    out: String::new(),
                    what: format!("what is mounted at {path}"),
                    ask: mounts::at_question(path),
                }])
                .undone_by(Command::new(["lock_mount_point", path])),
        ];
        if !made.is_empty() {
            let words = ["remove_empty_directories".to_owned()].into_iter().chain(made);
            drafts.push(
                Draft::new("rmdir", format!("remove the empty mount point {path}"), Command::new(words))
                    .undone_by(Command::new(["mkdir", "-p", "--", path])),
            );
        }
        Some(Difference::new(
            "directory",
            "locked mount point",
            if drafts.len() > 1 { "absent" } else { "as it was before" },
            Remedy::Run(drafts),
        ))
    }

    /// What takes the volume away from the host again.
    pub(in crate::kinds) fn unmake(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        if self.source == Source::Directory {
            return Ok(verdict); // the directory and what lies in it stay
        }
        match self.mounted() {
            Mounted::Nothing => {}
            Mounted::Ours(mount) | Mounted::Previous(mount) => {
                verdict.standing = Standing::Present;
                self.unmount(&mut verdict, mount, self.at);
            }
            Mounted::Stacked(_) | Mounted::Foreign(_) => {
                verdict.standing = Standing::Present;
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!("{} on {} is no longer {}", self.at, self.host, self.describe()),
                    "Unmount what is there if it is not needed, then plan again.",
                ));
                return Ok(verdict);
            }
        }
        let names = self.scene.names(self.address);
        // A line that the administrator wrote and that does the same would bring the volume back at the next boot.
        let is_ours = |entry: &Entry| entry.id().is_some() || self.is_same_source(entry);
        let lines = self.ground.fstab.lines_for(&names, &[self.at]);
        let old: Vec<_> = lines
            .iter()
            .filter(|line| line.entry.as_ref().is_some_and(is_ours))
            .map(|line| line.text.clone())
            .collect();
        if let Some(hazard) = self.password_within("/etc/fstab", &old) {
            verdict.standing = Standing::Present;
            verdict.hazards.push(hazard);
        } else if !old.is_empty() {
            let have = old.join("\n");
            verdict.standing = Standing::Present;
            verdict.differences.push(Difference::new(
                "fstab",
                have,
                "absent",
                Remedy::Run(vec![edit_draft(self.at, old, None, &self.ground.fstab.text)]),
            ));
        }
        for unit in self.units_of_it() {
            verdict.standing = Standing::Present;
            self.remove_unit(&mut verdict, unit);
        }
        self.drop_credentials(&mut verdict)?;
        if verdict.standing == Standing::Present || self.scene.remembered(self.address, self.host, "made").is_some() {
            verdict.differences.extend(self.release(self.at, &self.lineage));
        }
        Ok(verdict)
    }
}
