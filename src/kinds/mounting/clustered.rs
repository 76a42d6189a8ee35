//! Volumes on one device that several hosts mount at once, with OCFS2: whether it is one device, whether it may be formatted, once,
//! and how its file system grows. Never shrinks it, and never formats what any of its hosts finds anything on.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::shared::numbers;
use super::{Look, Mounted, Reading, Source};
use crate::kinds::ask::device::{self, Device, Found};
use crate::kinds::ask::o2cb::{self, O2cb, Port};
use crate::kinds::ask::ocfs2::{self, Super};
use crate::kinds::clustering;
use crate::kinds::kind_of;
use crate::kinds::scene::Scene;
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::block::Attributes;
use crate::model::hazard::Acceptance;
use crate::model::{Block, Command, Guard, Hazard, HazardCode, HostName, Question, Size};

/// The service without which nothing of OCFS2 is mounted.
pub(super) const SERVICE: &str = "o2cb.service";

/// The same as an option of fstab (systemd.mount(5)).
pub(super) const ORDER: &str = "x-systemd.requires=o2cb.service";

/// What a mount of OCFS2 has besides its device.
pub(in crate::kinds) struct Clustered {
    /// The name of the cluster; empty where its block is gone.
    cluster: String,
    slots: u16,
    /// All hosts that mount it.
    members: Vec<HostName>,
    /// The other nodes of the cluster: name, address, port.
    nodes: Vec<(HostName, String, u16)>,
    found: Option<Super>,
    o2cb: O2cb,
}

impl Clustered {
    pub(super) fn of(
        block: &Block,
        source: &Source,
        device: Option<&Found>,
        scene: &Scene,
        host: &HostName,
    ) -> Result<Option<Self>, String> {
        let Source::Device { path, fstype, .. } = source else { return Ok(None) };
        if fstype != "ocfs2" {
            return Ok(None);
        }
        let facts = scene.host(host);
        let found = match device {
            Some(Found::Device(_)) => ocfs2::read(facts, path)?,
            _ => None,
        };
        let cluster = block.resource("cluster").and_then(|address| scene.block(address).or(scene.wanted.get(address)));
        let slots = block.integer("slots").and_then(|slots| u16::try_from(slots).ok()).unwrap_or_default();
        Ok(Some(Clustered {
            cluster: cluster.and_then(|cluster| cluster.text("name")).unwrap_or_default().to_owned(),
            slots,
            members: kind_of(&block.address).map(|kind| kind.hosts(block, scene.blocks)).unwrap_or_default(),
            nodes: cluster.map(|cluster| clustering::others(cluster, host)).unwrap_or_default(),
            found,
            o2cb: o2cb::read(facts)?,
        }))
    }

    /// What mkfs.ocfs2(8) takes of a device for each slot with `-T vmstore`: its journal.
    fn journal(device: Size) -> u64 {
        if device.0 < 8 << 30 { 128 << 20 } else { 256 << 20 }
    }

    /// The smallest device for that many slots.
    fn smallest(&self) -> Size {
        Size(u64::from(self.slots) * Self::journal(Size(0)) + (256 << 20))
    }

    /// What images find on a device that was formatted just now.
    pub(super) fn room_of_new(&self, device: Size) -> Size {
        let taken = u64::from(self.slots) * Self::journal(device) + device.0 / 50 + (128 << 20);
        Size(device.0.saturating_sub(taken))
    }
}

/// The smallest growth of a device that a file system follows: what is behind the last whole cluster, it cannot use.
const LEAST_GROWTH: u64 = 16 << 20;

impl Look<'_> {
    /// Whether the device can be mounted, or formatted; what speaks against it becomes a hazard.
    pub(super) fn clustered_is_usable(
        &self,
        verdict: &mut Verdict,
        device: &Device,
        path: &str,
        label: &str,
        format: bool,
    ) -> bool {
        let Some(clustered) = &self.clustered else { return false };
        let before = verdict.hazards.len();
        if let Some((why, cure)) = device.misnamed(&format!("{path} on {}", self.host)) {
            verdict.hazards.push(self.hazard(HazardCode::DeviceDiffers, why, cure));
            return false;
        }
        verdict.hazards.extend(self.is_elsewhere(device, path));
        verdict.hazards.extend(self.cannot_be_reached(clustered));
        let host = self.host;
        let mut refuse = |code, message: String, cure: String| verdict.hazards.push(self.hazard(code, message, cure));
        if !device.holders.is_empty() {
            refuse(
                HazardCode::WrongSource,
                format!("{path} on {host} is held by {}: it is a part of something else", device.holders.join(", ")),
                "Name what is made of it, or a disk of which nothing is made.".to_owned(),
            );
        }
        if device.readonly {
            refuse(
                HazardCode::Unsupported,
                format!("{path} on {host} is read-only"),
                "See why the storage gives it read-only.".to_owned(),
            );
        }
        if device.tag("TYPE") == Some("ocfs2") {
            verdict.hazards.extend(self.is_another(device, path));
            verdict.hazards.extend(self.is_another_disk(device, path));
            verdict.hazards.extend(self.is_of_others(clustered, device, path, label));
            verdict.hazards.extend(self.lacks_slots(clustered, path));
        } else if !format {
            let holds = device.contents().unwrap_or_else(|| "no file system".to_owned());
            refuse(
                HazardCode::NotBlank,
                format!("{path} on {host} holds {holds}, not ocfs2"),
                "Name the right device, or set format = true if it is blank and may be formatted.".to_owned(),
            );
        } else {
            let objections = device.objections(&self.ground.mounts);
            if !objections.is_empty() {
                refuse(
                    HazardCode::NotBlank,
                    format!("{path} on {host} {}", objections.join("; it ")),
                    format!(
                        "Larder formats only a device that is provably blank on all its hosts. If nothing on it is needed, erase it by hand on one of them: `wipefs -a {path}`, then zero its first and last MiB with dd."
                    ),
                );
            } else if device.size < clustered.smallest() {
                refuse(
                    HazardCode::Unsupported,
                    format!(
                        "{path} on {host} has {}; with {} slots ocfs2 needs at least {}",
                        device.size,
                        clustered.slots,
                        clustered.smallest()
                    ),
                    "Use a larger device, or fewer slots: each takes a journal of 128 MiB or more.".to_owned(),
                );
            }
            if !clustered.o2cb.programs.contains("mkfs.ocfs2") {
                refuse(
                    HazardCode::Unsupported,
                    format!("{host} has no mkfs.ocfs2"),
                    format!("Install {} there.", O2cb::PACKAGE),
                );
            }
        }
        verdict.hazards.len() == before
    }

    /// A file system that was made for somebody else.
    fn is_of_others(&self, clustered: &Clustered, device: &Device, path: &str, label: &str) -> Option<Hazard> {
        let Some(found) = &clustered.found else {
            return Some(self.hazard(
                HazardCode::NotBlank,
                format!("{path} on {} looks like ocfs2, and its super block cannot be read", self.host),
                "Look at it with `fsck.ocfs2 -n`. Larder leaves it alone.",
            ));
        };
        let what = match found.stack.as_deref() {
            None => Some("names no cluster (classic o2cb)".to_owned()),
            Some("o2cb") if found.is_global => {
                Some(format!("was made for the cluster {} with a global heartbeat", found.cluster))
            }
            Some("o2cb") if found.cluster != clustered.cluster => {
                Some(format!("was made for the cluster {}", found.cluster))
            }
            Some("o2cb") => None,
            Some(stack) => Some(format!("was made for the cluster {} of the stack {stack}", found.cluster)),
        };
        if let Some(what) = what {
            return Some(self.hazard(
                HazardCode::Foreign,
                format!("the OCFS2 {} ({:?}) on {path} of {} {what}, not {} of o2cb", found.uuid, found.label, self.host, clustered.cluster),
                "If it is the volume that you mean, let its cluster have that name, or give it to this one while nobody has it mounted: `tunefs.ocfs2 --update-cluster-stack`. Else name another device.",
            ));
        }
        (found.label != label).then(|| {
            if self.was_ours(device) {
                return self.hazard(
                    HazardCode::NeedsOffline,
                    format!("the OCFS2 on {path} of {} has the label {:?}; {label:?} is wanted", self.host, found.label),
                    format!("Set label = \"{}\". Or, while no host has it mounted: `tunefs.ocfs2 -L {label} {path}` on one.", found.label),
                );
            }
            self.hazard(
                HazardCode::NotBlank,
                format!(
                    "{path} on {} holds the OCFS2 {}, with the label {:?} and not {label:?}",
                    self.host, found.uuid, found.label
                ),
                format!(
                    "If this is the file system that you mean, set label = \"{}\"; else name another device.",
                    found.label
                ),
            )
        })
    }

    /// A disk with the same file system on it that is another one than before, behind the same name: a copy, most likely.
    fn is_another_disk(&self, device: &Device, path: &str) -> Option<Hazard> {
        let is_same_name = self.scene.previous(self.address).and_then(|previous| previous.text("device")) == Some(path);
        let wwn = device.wwn().filter(|_| is_same_name)?;
        let all = self.scene.remembered_anywhere(self.address, "wwn");
        let old = all.into_iter().find_map(|(_, old)| (old != wwn).then_some(old))?;
        Some(self.hazard(
            HazardCode::WrongSource,
            format!("{path} on {} is the disk {wwn}; it was {old} when it was applied last", self.host),
            "Bring the disk back that was there. If the volume was moved to the new one, name that by its WWN in `device` (/dev/disk/by-id/wwn-...).",
        ))
    }

    /// Fewer places than hosts: the last ones could not mount it.
    fn lacks_slots(&self, clustered: &Clustered, path: &str) -> Option<Hazard> {
        let have = clustered.found.as_ref()?.slots;
        let members = clustered.members.len();
        let wanted = self.block.place_of("slots").map(|_| clustered.slots).filter(|wanted| *wanted > have);
        if usize::from(have) >= members && wanted.is_none() {
            return None;
        }
        let wanted = wanted.unwrap_or(clustered.slots);
        Some(self.hazard(
            HazardCode::NeedsOffline,
            format!("the OCFS2 on {path} has {have} slots; {wanted} are wanted, for {members} hosts"),
            format!("Slots are added while nobody has it mounted: stop the guests, unmount {} on every host, run `tunefs.ocfs2 -N {wanted} {path}` on one, then apply.", self.at),
        ))
    }

    /// A node that does not answer on the cluster's port, where both sides are online already.
    fn cannot_be_reached(&self, clustered: &Clustered) -> Vec<Hazard> {
        if !matches!(self.mounted(), Mounted::Nothing) || !clustered.o2cb.online.contains_key(&clustered.cluster) {
            return Vec::new();
        }
        let mut all = Vec::new();
        for (node, address, port) in &clustered.nodes {
            let there = o2cb::read(self.scene.host(node));
            let is_online = there.is_ok_and(|there| there.online.contains_key(&clustered.cluster));
            let said = o2cb::read_port(self.scene.host(self.host), address, *port);
            let how = match said {
                Ok(Port::Refused(text)) if is_online => text,
                Ok(Port::Silent) => "no answer within 3 s".to_owned(),
                _ => continue,
            };
            all.push(self.hazard(
                HazardCode::Unreachable,
                format!("{} does not reach {node} at {address} port {port}: {how}", self.host),
                format!("A mount would hang for more than a minute and fail. Let TCP port {port} pass between the nodes, both ways, and see that `addresses` are right."),
            ));
        }
        all
    }

    /// The step that tries the ports of the others before anything is mounted.
    pub(super) fn reach_nodes(&self) -> Option<Difference> {
        let clustered = self.clustered.as_ref().filter(|clustered| !clustered.nodes.is_empty())?;
        let names: Vec<_> = clustered.nodes.iter().map(|(node, ..)| node.to_string()).collect();
        let nodes = clustered
            .nodes
            .iter()
            .flat_map(|(node, address, port)| [node.to_string(), address.clone(), port.to_string()]);
        let words = std::iter::once("reach_o2cb_nodes".to_owned()).chain(nodes);
        let draft = Draft::new(
            "reach",
            format!("see that {} can be reached on the cluster's port", names.join(", ")),
            Command::new(words),
        );
        Some(Difference::new("nodes", "not tried", "reached", Remedy::Run(vec![draft])))
    }

    /// Formats the device on the first host, once the others have seen again that it is blank. Gives the UUID, which is computed from
    /// what the volume is, so that the plan can name it beforehand.
    pub(super) fn format_for_all(&self, verdict: &mut Verdict, device: &Device) -> String {
        let (Source::Device { path, label, .. }, Some(clustered)) = (&self.source, &self.clustered) else {
            return String::new();
        };
        // All give it the name that the first one's device has: a host may tell less of the same disk.
        let disk = match clustered.members.first().map(|first| device::read(self.scene.host(first), path)) {
            Some(Ok(Found::Device(first))) => first.identity(),
            _ => None,
        };
        let (cluster, size) = (clustered.cluster.clone(), device.size.to_string());
        let names = [self.address.to_string(), cluster, path.clone(), size, disk.unwrap_or_default()];
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_URL, names.join("\n").as_bytes()).to_string();
        // What it is to be; what it is, the mounted file system says.
        verdict.memory.insert("formats".to_owned(), uuid.clone());
        let guard = device::guard(self.scene.host(self.host), path).ok();
        if clustered.members.first() != Some(self.host) {
            let draft =
                Draft::new("check-blank", format!("see that {path} is still blank here too"), Command::new(["true"]))
                    .guarded(guard)
                    .needing_all_members();
            let want =
                format!("formatted by {}", clustered.members.first().map(ToString::to_string).unwrap_or_default());
            verdict.differences.push(Difference::new("format", "blank", want, Remedy::Run(vec![draft])));
            return uuid;
        }
        let slots = clustered.slots.to_string();
        let draft = Draft::new(
            "format",
            format!(
                "format {path} ({}) as ocfs2 for the cluster {}, with the label {label} and {slots} slots",
                device.size, clustered.cluster
            ),
            Command::new(["format_ocfs2", label, &uuid, &slots, &clustered.cluster, path]),
        )
        .guarded(guard)
        .without_inverse("a device that was blank is left formatted")
        .needing_all_members();
        let remedy = match self.scene.was_seen_anywhere(self.address) {
            false => Remedy::Run(vec![draft]),
            true => Remedy::Ask(
                self.hazard(
                    HazardCode::DataLoss,
                    format!("{path} is blank; it held the volume's data when it was applied last"),
                    "Find out which disk this is, and accept the loss only if the data are gone for good.",
                ),
                vec![draft],
            ),
        };
        verdict.differences.push(Difference::new("format", "blank", format!("ocfs2 labelled {label}"), remedy));
        uuid
    }

    /// What is wrong with a file system that is mounted, and whether it follows its device.
    pub(super) fn judge_clustered(&self, verdict: &mut Verdict) {
        let (Some(clustered), Source::Device { path, label, .. }, Some(Found::Device(device))) =
            (&self.clustered, &self.source, &self.device)
        else {
            return;
        };
        verdict.hazards.extend(self.is_another_disk(device, path));
        verdict.hazards.extend(self.is_of_others(clustered, device, path, label));
        verdict.hazards.extend(self.lacks_slots(clustered, path));
        verdict.memory.extend(device.wwn().map(|wwn| ("wwn".to_owned(), wwn)));
        let Some(found) = &clustered.found else { return };
        verdict.observed.insert("uuid".to_owned(), found.uuid.clone());
        verdict.observed.insert("slots".to_owned(), found.slots.to_string());
        verdict.observed.insert("size".to_owned(), found.size().to_string());
        if device.size.0 < found.size().0 {
            verdict.hazards.push(self.hazard(
                HazardCode::Shrink,
                format!("{path} on {} has {}, and its file system {}", self.host, device.size, found.size()),
                "The storage has cut it short: what lies behind its end is gone, and guests see errors. Let the storage give it its size back.",
            ));
            return;
        }
        let more = device.size.0 - found.size().0;
        let is_first = self.first_with_mount(clustered) == Some(self.host);
        if more < LEAST_GROWTH || !is_first {
            return;
        }
        let draft = Draft::new(
            "grow",
            format!("let the file system on {path} grow from {} to {}, while it is in use", found.size(), device.size),
            Command::new(["grow_ocfs2", path]),
        )
        .guarded([self.ground.mounts.guard(self.at), size_guard(path, device.size)])
        .without_inverse("a file system is never shrunk")
        .needing_all_members();
        if !clustered.o2cb.programs.contains("tunefs.ocfs2") {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("{} has no tunefs.ocfs2", self.host),
                format!("Install {} there.", O2cb::PACKAGE),
            ));
        }
        verdict.differences.push(Difference::new(
            "size",
            found.size().to_string(),
            device.size.to_string(),
            Remedy::Run(vec![draft]),
        ));
    }

    /// The member that does what one does for all: the first on which it is mounted.
    fn first_with_mount<'a>(&self, clustered: &'a Clustered) -> Option<&'a HostName> {
        let is_mounted = |host: &&HostName| {
            let ground = self.scene.ground(host);
            ground.is_ok_and(|ground| ground.mounts.at(self.at).iter().any(|mount| mount.fstype == "ocfs2"))
        };
        clustered.members.iter().find(is_mounted)
    }
}

fn size_guard(path: &str, size: Size) -> Guard {
    let ask = Question::new(["blockdev", "--getsize64", path]);
    Guard { what: format!("the size of {path}"), ask, status: 0, out: format!("{}\n", size.0) }
}

/// Whether all members see one device, by what it says of itself; and gives the steps their stages: all have looked again, one
/// formats, all mount.
pub(in crate::kinds) fn prove_same_device(
    block: &Block,
    read: Reading,
    scene: &Scene,
    hosts: &[HostName],
    verdicts: &mut BTreeMap<HostName, Verdict>,
) {
    let looks: Vec<_> = hosts.iter().filter_map(|host| Look::at(block, read, scene, host).ok()).collect();
    for hazard in differing(&looks).into_iter().chain(numbers(&looks)) {
        if let Some(verdict) = hazard.host.as_ref().and_then(|host| verdicts.get_mut(host)) {
            verdict.hazards.push(hazard);
        }
    }
    if let Some((host, why)) = hindered(verdicts) {
        wait_for(&host, why, verdicts);
    }
    let is_formatted = verdicts.values().flat_map(Verdict::drafts).any(|draft| draft.action == "format");
    if !is_formatted {
        return;
    }
    for verdict in verdicts.values_mut() {
        // What is left of an earlier mount point may be given back whenever that can be: it waits for nobody.
        let mut stage =
            if verdict.drafts().any(|draft| matches!(draft.action, "check-blank" | "format")) { 0 } else { 2 };
        for draft in verdict.drafts_mut() {
            match draft.action {
                "check-blank" => draft.stage = 0,
                "format" => draft.stage = 1,
                _ => {
                    draft.stage = stage;
                    continue;
                }
            }
            stage = 2;
        }
    }
}

/// A member on which the device is refused or not known, and the word for that.
fn hindered(verdicts: &BTreeMap<HostName, Verdict>) -> Option<(HostName, &'static str)> {
    verdicts.iter().find_map(|(host, verdict)| {
        let is_refused = verdict.hazards.iter().any(|hazard| hazard.code.acceptance() == Acceptance::Never)
            || verdict.differences.iter().any(|one| matches!(one.remedy, Remedy::Never(_)));
        match &verdict.standing {
            Standing::Unknown(_) => Some((host.clone(), "not known")),
            _ if is_refused => Some((host.clone(), "refused")),
            _ => None,
        }
    })
}

/// What changes the device for all hosts is not done while one of them has a word against it, whoever would do it.
fn wait_for(hindered: &HostName, why: &str, verdicts: &mut BTreeMap<HostName, Verdict>) {
    for verdict in verdicts.values_mut() {
        let has = |verdict: &Verdict, actions: &[&str]| verdict.drafts().any(|draft| actions.contains(&draft.action));
        if has(verdict, &["format", "check-blank"]) {
            verdict.differences.clear();
            if !matches!(verdict.standing, Standing::Unknown(_)) {
                verdict.standing = Standing::Later(format!("the device is {why} on {hindered}"));
            }
        } else if has(verdict, &["grow"]) {
            verdict.differences.retain(|difference| difference.attribute != "size");
        }
    }
}

/// Whether two hosts speak of one disk: its World Wide Name, or anything else that it tells of itself.
fn is_same(one: &Device, other: &Device) -> bool {
    match (one.wwn(), other.wwn()) {
        (Some(one), Some(other)) => one == other,
        _ => one.identities.iter().any(|identity| !identity.is_empty() && other.identities.contains(identity)),
    }
}

/// The members that see another device than the first one does.
fn differing(looks: &[Look]) -> Vec<Hazard> {
    let devices: Vec<_> = looks
        .iter()
        .filter_map(|look| match &look.device {
            Some(Found::Device(device)) => Some((look, device)),
            _ => None,
        })
        .collect();
    let Some(((first, truth), others)) = devices.split_first() else { return Vec::new() };
    let mut all = Vec::new();
    for (look, device) in others {
        let Source::Device { path, .. } = &look.source else { continue };
        let uuid =
            |look: &Look| look.clustered.as_ref().and_then(|one| one.found.as_ref()).map(|found| found.uuid.clone());
        let identities =
            |device: &Device| device.identities.iter().filter(|one| !one.is_empty()).cloned().collect::<Vec<_>>();
        let (here, there) = (identities(device), identities(truth));
        let contradiction = match (uuid(look), uuid(first)) {
            (Some(one), Some(two)) if one != two => Some((format!("the OCFS2 {one}"), two)),
            (Some(one), None) => Some((format!("the OCFS2 {one}"), "none".to_owned())),
            (None, Some(two)) => Some(("no OCFS2".to_owned(), two)),
            _ if !here.is_empty() && !there.is_empty() && !is_same(device, truth) => {
                Some((format!("the device {}", here.join(" ")), there.join(" ")))
            }
            (None, None) if here.is_empty() || there.is_empty() => Some((
                "a device that tells neither a WWN nor a serial number".to_owned(),
                "one of which nothing shows that it is the same".to_owned(),
            )),
            _ => None,
        };
        if let Some((one, two)) = contradiction {
            all.push(look.hazard(
                HazardCode::DeviceDiffers,
                format!("{path} is {one} on {}, and {two} on {}", look.host, first.host),
                "Let the storage give all hosts the same device, under a name that tells it (/dev/disk/by-id/wwn-... or dm-uuid-mpath-...).",
            ));
        } else if device.size != truth.size {
            all.push(look.hazard(
                HazardCode::DeviceDiffers,
                format!("{path} has {} on {} and {} on {}", device.size, look.host, truth.size, first.host),
                "One of them has not seen that it grew: scan it anew there (`iscsiadm -m session -R`, `echo 1 >/sys/block/sdX/device/rescan`, `multipathd resize map`).",
            ));
        }
    }
    all
}
