//! Whether all members see the same storage behind one network mount: what they say of it is compared, and where it is mounted anew, a
//! file that another member writes has to be seen. Says nothing of storage that one host has to itself.

use std::collections::BTreeMap;

use super::{Look, Mounted, Reading, Source};
use crate::kinds::ask::{nfs_volumes, space};
use crate::kinds::kind_of;
use crate::kinds::scene::Scene;
use crate::kinds::verdict::{Difference, Draft, Proof, Remedy, Verdict};
use crate::model::{Block, Command, Hazard, HazardCode, HostName};

/// What a member says of the storage behind its mount. What it does not say cannot be compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Seen {
    /// What the server calls the file system, to clients of one version.
    filesystem: Option<(String, String)>,
    /// The root directory of the mount.
    inode: Option<u64>,
    size: Option<u64>,
    /// Of the server.
    address: Option<String>,
}

impl Seen {
    /// Why these cannot be one storage: what the first and what the second sees.
    fn contradicts(&self, other: &Seen) -> Option<(String, String)> {
        let filesystems = self.filesystem.as_ref().zip(other.filesystem.as_ref());
        let filesystems = filesystems.filter(|((version, _), (same, _))| version == same);
        if let Some(((_, one), (_, two))) = filesystems.filter(|(one, two)| one != two) {
            return Some((format!("the file system {one}"), two.clone()));
        }
        if let Some((one, two)) = self.inode.zip(other.inode).filter(|(one, two)| one != two) {
            return Some((format!("a root directory with the inode {one}"), two.to_string()));
        }
        // Of a pool each dataset shows what is free in all of it, so a total changes from one moment to the next.
        let sizes = self.size.zip(other.size).filter(|(one, two)| one.abs_diff(*two) > one.max(two) / 10);
        let (one, two) = sizes.filter(|_| filesystems.is_none())?;
        Some((format!("a file system of {one} bytes"), two.to_string()))
    }
}

/// Holds what members see against each other.
pub(in crate::kinds) fn compare(
    block: &Block,
    read: Reading,
    scene: &Scene,
    hosts: &[HostName],
    verdicts: &mut BTreeMap<HostName, Verdict>,
) {
    if hosts.len() < 2 || !read(block).is_some_and(|source| source.is_network()) {
        return;
    }
    let looks: Vec<_> = hosts.iter().filter_map(|host| Look::at(block, read, scene, host).ok()).collect();
    for hazard in compared(&looks).into_iter().chain(numbers(&looks)) {
        if let Some(verdict) = hazard.host.as_ref().and_then(|host| verdicts.get_mut(host)) {
            verdict.hazards.push(hazard);
        }
    }
}

/// The members that see another storage than most do.
fn compared(looks: &[Look]) -> Vec<Hazard> {
    let seen: Vec<_> = looks.iter().filter_map(|look| Some((look, look.seen()?))).collect();
    let agreeing = |one: &Seen| seen.iter().filter(|(_, other)| one.contradicts(other).is_none()).count();
    // The first of those with the most on their side.
    let Some((most, truth)) = seen.iter().rev().max_by_key(|(_, one)| agreeing(one)) else { return Vec::new() };
    let differing = seen.iter().filter_map(|(look, one)| Some((look, one, one.contradicts(truth)?)));
    let hazard = |(look, one, (here, there)): (&&Look, &Seen, (String, String))| {
        let server = |seen: &Seen| seen.address.as_ref().map(|at| format!(" (server {at})")).unwrap_or_default();
        look.hazard(
            HazardCode::NotShared,
            format!(
                "{} on {} is another storage than on {}: {here}{} there, {there}{} on {}",
                look.at,
                look.host,
                most.host,
                server(one),
                server(truth),
                most.host
            ),
            format!(
                "Both have mounted {}. See what that name leads to on each (`getent hosts`), and unmount the wrong one.",
                look.source.shown()
            ),
        )
    };
    differing.map(hazard).collect()
}

/// Owners go over the wire as numbers: members on which a name is another number would take each other's files away.
pub(super) fn numbers(looks: &[Look]) -> Vec<Hazard> {
    // What CIFS shows as owner, each host chooses for itself.
    let has_numbers = |look: &&Look| matches!(look.source, Source::Nfs(_)) || look.clustered.is_some();
    let of_nfs: Vec<_> = looks.iter().filter(has_numbers).collect();
    let Some((first, others)) = of_nfs.split_first() else { return Vec::new() };
    let mut hazards = Vec::new();
    for look in others {
        let storage = if look.clustered.is_some() { "the disk" } else { "the server" };
        let pairs = [("owner", first.wanted.uid, look.wanted.uid), ("group", first.wanted.gid, look.wanted.gid)];
        let named = pairs.into_iter().find_map(|(what, one, two)| Some((what, one?, two?)).filter(|(_, a, b)| a != b));
        let qemu = first.ground.system.qemu.as_ref().zip(look.ground.system.qemu.as_ref());
        if let Some((what, one, two)) = named {
            hazards.push(look.hazard(
                HazardCode::Unsupported,
                format!(
                    "the {what} of {} is number {two} on {} and {one} on {}: {storage} knows only numbers",
                    look.at, look.host, first.host
                ),
                format!("Give it the same number on all members, or write a number as `{what}`."),
            ));
        } else if let Some((one, two)) = qemu.filter(|(one, two)| one.uid != two.uid) {
            hazards.push(look.hazard(
                HazardCode::NoAccess,
                format!(
                    "guests run as user number {} on {} and {} on {}: to {storage} those are two users",
                    two.uid, look.host, one.uid, first.host
                ),
                "Give the qemu user the same number on all members. Where the server takes everybody for one user (all_squash), or a group does, accept it.",
            ));
        }
    }
    hazards
}

/// One member writes a file of a name that nobody can have had before; each that has mounted in this plan has to see it.
pub(in crate::kinds) fn canary(
    block: &Block,
    read: Reading,
    scene: &Scene,
    verdicts: &BTreeMap<HostName, Verdict>,
) -> Option<Proof> {
    let mounts = |verdict: &Verdict| verdict.drafts().any(|draft| draft.action == "mount");
    if !read(block)?.is_network() || !verdicts.values().any(mounts) {
        return None;
    }
    let can_write = |look: &Look| {
        let is_read_only = look.source.reads_only() || look.options().iter().any(|option| option == "ro");
        !is_read_only && (verdicts.get(look.host).is_some_and(mounts) || matches!(look.mounted(), Mounted::Ours(_)))
    };
    // In the order in which the block lists them.
    let hosts = kind_of(&block.address)?.hosts(block, scene.blocks);
    let known = hosts.iter().filter(|host| verdicts.contains_key(*host));
    let members: Vec<_> =
        known.filter_map(|host| Look::at_or_broken(block, read, scene, host).ok()).filter(can_write).collect();
    let is_new = |look: &&Look| verdicts.get(look.host).is_some_and(mounts);
    // Best one that has had it before.
    let witness = members.iter().find(|look| !is_new(look)).or(members.first())?;
    let hearing: Vec<_> = members.iter().filter(|look| look.host != witness.host && is_new(look)).collect();
    if hearing.is_empty() {
        return None;
    }
    // What is mounted there now is not what will be, if it is mounted anew before.
    let guard = if is_new(&witness) { Vec::new() } else { witness.room_guard() };
    let name = format!(".larder-canary.{}", witness.ground.system.machine_id);
    let command = |function: &str, look: &Look, more: &[&str]| {
        let user = look.ground.system.qemu.as_ref().map_or("root", |qemu| &qemu.name);
        Command::new([function, user, look.at, &name, Command::DRAWN].iter().chain(more).copied())
    };
    let hears = |look: &Look| {
        let source = look.source.shown();
        let draft = Draft::new(
            "canary-see",
            format!("see in {} the file that {} has just written there", look.at, witness.host),
            command("canary_see", look, &[witness.host.as_str(), &source]),
        )
        .hearing(witness.host);
        let want = format!("the one of {}", witness.host);
        (look.host.clone(), Difference::new("storage", "not proved", want, Remedy::Run(vec![draft])))
    };
    let remove = command("canary_remove", witness, &[]);
    let opens = Draft::new(
        "canary-write",
        format!("write a file of a new name into {}, for the other members to see", witness.at),
        command("canary_write", witness, &[]),
    )
    .guarded(guard)
    .undone_by(remove.clone());
    let closes =
        Draft::new("canary-remove", format!("remove that file from {} again, in any case", witness.at), remove)
            .without_inverse("nobody needs it");
    Some(Proof { witness: witness.host.clone(), opens, closes, heard: hearing.into_iter().map(hears).collect() })
}

impl Look<'_> {
    /// What the host sees behind its mount; `None` where the volume is not mounted.
    fn seen(&self) -> Option<Seen> {
        let Mounted::Ours(mount) = self.mounted() else { return None };
        let facts = self.scene.host(self.host);
        let space = space::read(facts, self.at).ok();
        let is_cifs = matches!(self.source, Source::Cifs(_));
        let filesystem = match is_cifs {
            // The kernel makes it of the share's serial number and the time at which it was made.
            true => space.as_ref().map(|space| ("cifs".to_owned(), space.filesystem.clone())),
            false => nfs_volumes::read(facts).remove(&mount.device).map(|volume| (volume.version, volume.fsid)),
        };
        let is_no_number = |text: &str| text.chars().all(|c| c == '0');
        // Without `serverino` each client of CIFS counts for itself.
        let has_numbers = !is_cifs || mount.has_option("serverino");
        Some(Seen {
            filesystem: filesystem.filter(|(_, id)| !is_no_number(id)),
            inode: self.lineage.last().map(|inode| inode.inode).filter(|_| has_numbers),
            size: space.map(|space| space.size).filter(|size| *size > 0),
            address: mount.option("addr").map(str::to_owned),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(filesystem: Option<&str>, inode: Option<u64>, size: u64) -> Seen {
        let filesystem = filesystem.map(|text| text.split_once(' ').expect("two words"));
        Seen {
            filesystem: filesystem.map(|(version, id)| (version.to_owned(), id.to_owned())),
            inode,
            size: Some(size),
            address: None,
        }
    }

    #[test]
    fn two_members_see_one_storage_unless_something_speaks_against_it() {
        let a = Some("v4 a1:0");
        let table = [
            (seen(a, Some(2), 100), seen(a, Some(2), 100), ""),
            (seen(a, Some(2), 100), seen(Some("v4 a2:0"), Some(2), 100), "the file system a1:0, a2:0"),
            (seen(a, Some(2), 100), seen(a, Some(131_073), 100), "a root directory with the inode 2, 131073"),
            // A pool whose total changes with what others write.
            (seen(a, Some(2), 100), seen(a, Some(2), 50), ""),
            (seen(None, Some(2), 100), seen(None, Some(2), 95), ""),
            (seen(None, Some(2), 100), seen(None, Some(2), 50), "a file system of 100 bytes, 50"),
            // What one of them does not say is compared with nothing, and versions have numbers of their own.
            (seen(a, Some(2), 100), seen(None, None, 100), ""),
            (seen(a, Some(2), 100), seen(Some("v3 a2:0"), Some(2), 100), ""),
            (seen(None, None, 100), seen(None, None, 100), ""),
        ];
        for (one, two, expected) in table {
            let found = one.contradicts(&two).map(|(here, there)| format!("{here}, {there}"));
            assert_eq!(found.unwrap_or_default(), expected, "{one:?} {two:?}");
        }
    }
}
