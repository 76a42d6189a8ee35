//! Whether guests can use a volume, and what images find in it.

use super::{Look, Mounted, Source};
use crate::kinds::ask::path::Lineage;
use crate::kinds::ask::selinux::{self, Boolean};
use crate::kinds::ask::{people, space};
use crate::kinds::ground::{self, Permissions};
use crate::kinds::scene::RoomState;
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::{Command, Guard, Hazard, HazardCode, Mode};

impl Look<'_> {
    /// SELinux: files of the network have no labels of their own, so a boolean lets guests use them all; or the mount gives all of
    /// them one label (`context=`).
    pub(super) fn judge_selinux(&self, verdict: &mut Verdict) -> Result<(), String> {
        let Some(name) = self.source.selinux_boolean() else { return Ok(()) };
        if self.options().iter().any(|option| option.starts_with("context=")) {
            return Ok(());
        }
        let have = match selinux::read(self.scene.host(self.host), name)? {
            Boolean::None | Boolean::On { is_kept: true } => return Ok(()),
            Boolean::On { is_kept: false } => "on until the next boot",
            Boolean::Off => "off",
        };
        verdict.hazards.extend(self.ground.lacks("setsebool", self.address, self.host));
        let set = |value: &str| Command::new(["setsebool", "-P", &format!("{name}={value}")]);
        let draft = Draft::new("selinux", format!("let SELinux allow guests {}", what_it_allows(name)), set("1"));
        let draft = match have {
            "off" => draft.undone_by(set("0")),
            _ => draft.without_inverse("it is on already"),
        };
        verdict.differences.push(Difference::new(name, have, "on", Remedy::Run(vec![draft])));
        Ok(())
    }

    /// Whether the qemu user can use the volume when the plan has run; what cannot be computed is tried by the plan's last step.
    pub(super) fn judge_access(&self, verdict: &Verdict) -> Option<Hazard> {
        let qemu = self.ground.system.qemu.as_ref()?;
        let wanted = self.wanted_root();
        let inode = self.root_inode();
        let is_settled = verdict.drafts().next().is_none();
        if is_settled && self.lineage.exists() {
            let said = self.scene.host(self.host).said(&people::access_question(
                &qemu.name,
                self.at,
                self.source.reads_only(),
            ));
            match said.as_ref().map(|reply| reply.out.trim()) {
                Ok("yes") => return None,
                Ok("no") => return Some(ground::no_access(&self.lineage, inode.map(|inode| (inode.uid, inode.gid, inode.mode)), &self.ground.system, self.address, self.host).unwrap_or_else(|| {
                    self.hazard(
                        HazardCode::NoAccess,
                        format!("{} cannot enter and write {} on {}", qemu.name, self.at, self.host),
                        format!("Look at the directories above it, ACLs and a read-only mount: `runuser -u {} -- ls -ld {}`.", qemu.name, self.at),
                    )
                })),
                _ => {} // not asked or not answered: the permission bits must do
            }
        }
        let is_read_only = self.source != Source::Directory && self.options().iter().any(|option| option == "ro");
        if is_read_only && !self.source.reads_only() {
            return Some(self.hazard(
                HazardCode::NoAccess,
                format!("{} cannot write {} on {}: its options mount it read-only", qemu.name, self.at, self.host),
                "Remove \"ro\" from `options`.",
            ));
        }
        let default = match &self.source {
            Source::Directory if !self.lineage.exists() => Some((0, 0, Mode::new(0o755)?)),
            Source::Tmpfs { .. } if !matches!(self.mounted(), Mounted::Ours(_)) => Some((0, 0, Mode::new(0o1777)?)),
            Source::Device { .. } if self.to_be_formatted().is_some() => Some((0, 0, Mode::new(0o755)?)),
            // What the server lets the host do is seen only when it is mounted; mount options say whose it looks.
            Source::Nfs(_) if inode.is_none() => None,
            Source::Cifs(_) => None,
            // The resource that has the source mends its permissions before this is mounted.
            Source::Bind { source } if self.is_made_by_the_plan(source) => None,
            _ => inode.map(|inode| (inode.uid, inode.gid, inode.mode)),
        };
        let after = match (default, wanted) {
            (Some((uid, gid, mode)), wanted) => {
                Some((wanted.uid.unwrap_or(uid), wanted.gid.unwrap_or(gid), wanted.mode.unwrap_or(mode)))
            }
            (None, Permissions { uid: Some(uid), gid: Some(gid), mode: Some(mode) }) => Some((uid, gid, mode)),
            _ => None,
        };
        ground::no_access(&self.lineage, after, &self.ground.system, self.address, self.host)
    }

    /// What must hold while images are made: what is mounted is what was seen. A mount that this plan makes has its own guard.
    pub(in crate::kinds) fn room_guard(&self) -> Vec<Guard> {
        match self.mounted() {
            Mounted::Ours(_) if self.remount_is_settled() => vec![self.ground.mounts.guard(self.at)],
            _ => Vec::new(),
        }
    }

    /// Whether no remount of this plan changes the options that a guard would compare.
    pub(super) fn remount_is_settled(&self) -> bool {
        match self.mounted() {
            Mounted::Ours(mount) => self.remount(mount).is_none(),
            _ => false,
        }
    }

    /// Why fallocate(2) reserves nothing there: NFS has it from 4.2 on, and a CIFS server may say yes and do nothing.
    pub(in crate::kinds) fn cannot_reserve(&self) -> Option<String> {
        let of_nfs = |version: &str| {
            (version != "4.2").then(|| format!("NFS {version} cannot reserve room (that needs version 4.2)"))
        };
        let of_cifs = || "a CIFS server may say that it has reserved room, and have reserved none".to_owned();
        let path = match &self.source {
            Source::Nfs(nfs) => return of_nfs(&nfs.version),
            Source::Cifs(_) => return Some(of_cifs()),
            Source::Bind { source } => source,
            _ => self.at,
        };
        let mount = self.ground.mounts.containing(path)?;
        match mount.fstype.as_str() {
            "nfs" | "nfs4" => of_nfs(mount.option("vers").unwrap_or("3")),
            "cifs" | "smb3" => Some(of_cifs()),
            _ => None,
        }
    }

    /// What images of the volume find.
    pub(in crate::kinds) fn room_state(&self) -> RoomState {
        let key = |suffix: &str| format!("{}{suffix}", self.at);
        match (&self.source, self.mounted()) {
            (Source::Directory, _) => RoomState::Open { look_in: self.at.to_owned() },
            (_, Mounted::Foreign(_) | Mounted::Stacked(_)) => {
                RoomState::Unknown(format!("{} is not {}", self.at, self.describe()))
            }
            (_, Mounted::Ours(_)) if self.broken.is_some() => RoomState::Later(format!("{} is mounted anew", self.at)),
            (_, Mounted::Previous(_)) => RoomState::Later(format!("{} is mounted anew", self.at)),
            (_, Mounted::Ours(_)) => RoomState::Open { look_in: self.at.to_owned() },
            (Source::Bind { source }, Mounted::Nothing) => {
                match self.bound.as_ref().is_some_and(Lineage::exists) {
                    true => RoomState::Open { look_in: source.clone() },
                    // The plan makes the source, empty.
                    false => match space::read(self.scene.host(self.host), source) {
                        Ok(space) => RoomState::New { filesystem: space.filesystem, size: space.free },
                        Err(why) => RoomState::Unknown(why),
                    },
                }
            }
            (Source::Tmpfs { size }, Mounted::Nothing) => RoomState::New { filesystem: key(" (tmpfs)"), size: size.0 },
            (Source::Nfs(_) | Source::Cifs(_), Mounted::Nothing) => {
                RoomState::Later(format!("{} is not mounted yet", self.at))
            }
            (Source::Device { fstype, .. }, Mounted::Nothing) => match self.to_be_formatted() {
                Some(device) if let Some(clustered) = &self.clustered => {
                    RoomState::New { filesystem: key(" (ocfs2)"), size: clustered.room_of_new(device.size).0 }
                }
                // Metadata takes its part: 2 % and 64 MiB cover what the three file systems take of small and large devices.
                Some(device) => RoomState::New {
                    filesystem: key(&format!(" ({fstype})")),
                    size: (device.size.0 - device.size.0 / 50).saturating_sub(64 << 20),
                },
                None => RoomState::Later(format!("{} is not mounted yet", self.at)),
            },
        }
    }
}

fn what_it_allows(boolean: &str) -> &'static str {
    match boolean {
        "virt_use_nfs" => "to use files on NFS (virt_use_nfs)",
        _ => "to use files on CIFS (virt_use_samba)",
    }
}
