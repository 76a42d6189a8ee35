//! Volumes on a block device: whether it is the right one, and whether it may be formatted.

use uuid::Uuid;

use super::{Look, Source};
use crate::kinds::ask::device::{self, Device, Found};
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::{Command, Hazard, HazardCode, HostName, Size};

/// A local file system: the longest label, the smallest device, the pass of fsck(8), all from the mkfs programs' man pages.
pub(in crate::kinds) struct FileSystem {
    pub(in crate::kinds) name: &'static str,
    pub(in crate::kinds) mkfs: &'static str,
    pub(in crate::kinds) longest_label: usize,
    pub(in crate::kinds) smallest: u64,
    pub(in crate::kinds) pass: u8,
}

pub(super) const FILE_SYSTEMS: [FileSystem; 3] = [
    FileSystem { name: "xfs", mkfs: "mkfs.xfs", longest_label: 12, smallest: 300 << 20, pass: 0 },
    FileSystem { name: "ext4", mkfs: "mkfs.ext4", longest_label: 16, smallest: 8 << 20, pass: 2 },
    FileSystem { name: "btrfs", mkfs: "mkfs.btrfs", longest_label: 255, smallest: 114_294_784, pass: 0 },
];

pub(in crate::kinds) fn file_system(name: &str) -> Option<&'static FileSystem> {
    FILE_SYSTEMS.iter().find(|one| one.name == name)
}

impl Look<'_> {
    pub(super) fn device_is_usable(
        &self,
        verdict: &mut Verdict,
        device: &Device,
        path: &str,
        fstype: &str,
        label: &str,
        format: bool,
    ) -> bool {
        let before = verdict.hazards.len();
        verdict.hazards.extend(self.is_elsewhere(device, path));
        let mut refuse = |code, message: String, cure: String| verdict.hazards.push(self.hazard(code, message, cure));
        if let Some((why, cure)) = device.misnamed(&format!("{path} on {}", self.host)) {
            verdict.hazards.push(self.hazard(HazardCode::DeviceDiffers, why, cure));
            return false;
        }
        if device.tag("TYPE") == Some(fstype) {
            if let Some(hazard) = self.is_another(device, path) {
                refuse(hazard.code, hazard.message, hazard.cure);
            }
            let found = device.label();
            if found != label && !self.was_ours(device) {
                refuse(
                    HazardCode::NotBlank,
                    format!(
                        "{path} on {} holds {}, with the label {found:?} and not {label:?}",
                        self.host,
                        device.contents().unwrap_or_default()
                    ),
                    format!(
                        "If this is the file system that you mean, set label = \"{found}\"; else name another device."
                    ),
                );
            }
        } else if !format {
            let holds = device.contents().unwrap_or_else(|| "no file system".to_owned());
            refuse(
                HazardCode::NotBlank,
                format!("{path} on {} holds {holds}, not {fstype}", self.host),
                "Correct fstype, or set format = true if the device is blank and may be formatted.".to_owned(),
            );
        } else {
            let objections = device.objections(&self.ground.mounts);
            if !objections.is_empty() {
                refuse(
                    HazardCode::NotBlank,
                    format!("{path} on {} {}", self.host, objections.join("; it ")),
                    format!(
                        "Larder formats only a device that is provably blank. If nothing on it is needed, erase it by hand: `wipefs -a {path}`, then zero its first and last MiB with dd."
                    ),
                );
            } else if let Some(one) = file_system(fstype).filter(|one| device.size.0 < one.smallest) {
                refuse(
                    HazardCode::Unsupported,
                    format!(
                        "{path} on {} has {}; {fstype} needs at least {}",
                        self.host,
                        device.size,
                        Size(one.smallest)
                    ),
                    "Use a larger device or another file system.".to_owned(),
                );
            }
            if let Some(hazard) =
                file_system(fstype).and_then(|one| self.ground.lacks(one.mkfs, self.address, self.host))
            {
                verdict.hazards.push(hazard);
            }
        }
        verdict.hazards.len() == before
    }

    /// A device that is mounted at another place.
    pub(super) fn is_elsewhere(&self, device: &Device, path: &str) -> Option<Hazard> {
        let is_another = |target: &str| target != self.at && !self.was_at(target);
        let mount =
            self.ground.mounts.0.iter().find(|mount| device.is_source_of(mount) && is_another(&mount.target))?;
        Some(self.hazard(
            HazardCode::WrongSource,
            format!("{path} on {} is mounted on {}", self.host, mount.target),
            format!("Unmount it there, or set mount_point = \"{}\".", mount.target),
        ))
    }

    /// A device that holds another file system than when it was applied last.
    pub(super) fn is_another(&self, device: &Device, path: &str) -> Option<Hazard> {
        let uuid = device.tag("UUID")?;
        let old = self.replaced(uuid)?;
        Some(self.hazard(
            HazardCode::WrongSource,
            format!("{path} on {} holds the file system {uuid}; it was {old} when it was applied last", self.host),
            "Bring the disk back that was there, or give the new one a resource of its own.",
        ))
    }

    /// Whether the state knows this file system as the volume's: the label may have been changed in the configuration.
    pub(super) fn was_ours(&self, device: &Device) -> bool {
        let is_it = |name: &str| self.known(name).iter().any(|(_, uuid)| device.tag("UUID") == Some(*uuid));
        is_it("uuid") || is_it("formats")
    }

    /// The UUID that the volume had when it was applied last, if it is another one. One that was about to be made and that is there
    /// now is none.
    pub(super) fn replaced(&self, uuid: &str) -> Option<&str> {
        let known = |name: &str| {
            let seen = |(host, _): &(&HostName, &str)| self.scene.was_seen(self.address, host);
            self.known(name).into_iter().filter(seen).map(|(_, uuid)| uuid).collect::<Vec<_>>()
        };
        let (mut had, made) = (known("uuid"), self.known("formats"));
        if made.iter().any(|(_, made)| *made == uuid) {
            return None;
        }
        if had.is_empty() {
            had = known("formats");
        }
        had.into_iter().find(|old| *old != uuid)
    }

    /// What the state remembers of the volume: on this host, or on all, where they have one device.
    fn known(&self, name: &str) -> Vec<(&HostName, &str)> {
        let is_here = |(host, _): &(&HostName, &str)| self.clustered.is_some() || *host == self.host;
        self.scene.remembered_anywhere(self.address, name).into_iter().filter(is_here).collect()
    }

    /// The device, if this plan formats it.
    pub(super) fn to_be_formatted(&self) -> Option<&Device> {
        match (&self.source, &self.device) {
            (Source::Device { fstype, format: true, .. }, Some(Found::Device(device)))
                if device.tag("TYPE") != Some(fstype) && device.objections(&self.ground.mounts).is_empty() =>
            {
                Some(device)
            }
            _ => None,
        }
    }

    /// The UUID of the file system that is there.
    pub(super) fn uuid(&self) -> Option<String> {
        match &self.device {
            Some(Found::Device(device)) => device.tag("UUID").map(str::to_owned),
            _ => None,
        }
    }

    /// Formats the device. The UUID is computed from what the device is, so that the plan can name it beforehand.
    pub(super) fn format(&self, verdict: &mut Verdict, device: &Device) -> String {
        let Source::Device { path, fstype, label, .. } = &self.source else { return String::new() };
        let names =
            [self.ground.system.machine_id.as_str(), self.host.as_str(), path, &device.size.to_string()].join("\n");
        let identity = format!("{}\n{names}\n{}", self.address, device.identities.join("\n"));
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_URL, identity.as_bytes()).to_string();
        let guard = device::guard(self.scene.host(self.host), path).ok();
        let draft = Draft::new(
            "format",
            format!("format {path} ({}) as {fstype} with the label {label}", device.size),
            Command::new(["format_device", fstype, label, &uuid, path]),
        )
        .guarded(guard)
        .without_inverse("a device that was blank is left formatted")
        .needing_all_members();
        verdict.memory.insert("uuid".to_owned(), uuid.clone());
        let remedy = match self.scene.was_seen(self.address, self.host) {
            false => Remedy::Run(vec![draft]),
            true => Remedy::Ask(
                self.hazard(
                    HazardCode::DataLoss,
                    format!("{path} on {} is blank; it held the volume's data when it was applied last", self.host),
                    "Find out which disk this is, and accept the loss only if the data are gone for good.",
                ),
                vec![draft],
            ),
        };
        verdict.differences.push(Difference::new("format", "blank", format!("{fstype} labelled {label}"), remedy));
        uuid
    }
}
