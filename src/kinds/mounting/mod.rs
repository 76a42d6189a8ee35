//! What kinds have in common whose volume is mounted on hosts: what is there, what is to be there, and every step between.
//! Which block says it, and how, the kinds know.

use std::rc::Rc;

use crate::model::block::Attributes;
use crate::model::{Address, Block, Hazard, HazardCode, HostFacts, HostName, Mode};

pub(in crate::kinds) use self::broken::renewal_question;
pub(in crate::kinds) use self::check::{beyond_the_defaults, check_mount, check_network, is_option_of_the_user};
use self::clustered::Clustered;
pub(in crate::kinds) use self::clustered::prove_same_device;
pub(in crate::kinds) use self::disk::file_system;
pub(in crate::kinds) use self::network::{Cifs, Nfs, credentials_question, split_cifs, split_nfs};
use self::options::shown_options;
use self::restore::Former;
pub(in crate::kinds) use self::shared::{canary, compare};
pub(in crate::kinds) use self::source::Source;
use super::Scene;
use super::ask::device::{self, Found};
use super::ask::fstab;
use super::ask::mounts::{Mount, is_within};
use super::ask::network_mounts::{self, Reach};
use super::ask::path::{self, FileType, Inode, Lineage};
use super::ground::{self, Ground, Permissions};
use super::verdict::{Difference, Remedy, Standing, Verdict};

mod boot;
mod broken;
mod check;
pub(in crate::kinds) mod cifs;
mod clustered;
mod dangers;
mod disk;
mod guests;
mod mount;
mod network;
mod options;
mod restore;
mod shared;
mod source;
mod unit;
mod unmount;

/// How the blocks of a kind say where the bytes of a volume are; `None` for a block that is not complete.
pub(in crate::kinds) type Reading = fn(&Block) -> Option<Source>;

/// Where a volume is mounted on each host.
pub(in crate::kinds) fn mount_point(block: &Block) -> &str {
    block.text("mount_point").unwrap_or("/nonexistent")
}

/// Everything that is known of one volume on one host.
pub(in crate::kinds) struct Look<'a> {
    pub(super) block: &'a Block,
    pub(super) read: Reading,
    pub(super) address: &'a Address,
    pub(super) scene: &'a Scene<'a>,
    pub(super) host: &'a HostName,
    pub(super) ground: Rc<Ground>,
    pub(super) at: &'a str,
    pub(super) source: Source,
    pub(super) lineage: Lineage,
    pub(super) entries: Vec<String>,
    pub(super) wanted: Permissions,
    pub(super) hazards: Vec<Hazard>,
    /// For a device volume.
    pub(super) device: Option<Found>,
    /// For a bind volume: its source directory.
    pub(super) bound: Option<Lineage>,
    /// For a volume that several hosts mount from one device.
    pub(super) clustered: Option<Clustered>,
    /// The error with which its mount answers, where it can be renewed; nothing is known then of what lies in it.
    pub(super) broken: Option<String>,
}

/// How the mount point is taken.
pub(super) enum Mounted<'a> {
    Nothing,
    Ours(&'a Mount),
    /// What the volume was before its block changed.
    Previous(&'a Mount),
    Stacked(usize),
    Foreign(&'a Mount),
}

impl<'a> Look<'a> {
    /// What the host said of a volume. `read` is how the kind's blocks say where the bytes are.
    ///
    /// # Errors
    /// Why that is not known.
    pub(in crate::kinds) fn at(
        block: &'a Block,
        read: Reading,
        scene: &'a Scene<'a>,
        host: &'a HostName,
    ) -> Result<Self, String> {
        let facts = scene.host(host);
        let ground = scene.ground(host)?;
        let at = mount_point(block);
        check_reach(&ground, facts, at)?;
        let lineage = path::read(facts, at)?;
        let is_directory = lineage.last().is_some_and(|inode| inode.file_type == FileType::Directory);
        let mut hazards = Vec::new();
        let source = read(block).ok_or("the block is incomplete")?;
        // An export that squashes root shows it nothing of what lies in it, and nobody needs to know.
        let is_shown = is_directory && (!source.is_network() || ground.mounts.at(at).is_empty());
        let entries = if is_shown { path::read_entries(facts, at)? } else { Vec::new() };
        let mut wanted = Permissions::resolve(block, facts, host, &mut hazards)?;
        if let Some(owner) = owner_of_source(&source, block, scene, host) {
            // Both are one directory: its permissions are the other resource's affair.
            hazards.extend(contradiction(block, owner, host));
            wanted = Permissions::default();
        }
        let device = match &source {
            Source::Device { path, .. } => Some(device::read(facts, path)?),
            _ => None,
        };
        let clustered = Clustered::of(block, &source, device.as_ref(), scene, host)?;
        let bound = match &source {
            Source::Bind { source } => Some(path::read(facts, source)?),
            _ => None,
        };
        Ok(Look {
            block,
            read,
            address: &block.address,
            scene,
            host,
            ground,
            at,
            source,
            lineage,
            entries,
            wanted,
            hazards,
            device,
            bound,
            clustered,
            broken: None,
        })
    }
}

impl Look<'_> {
    pub(super) fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    pub(super) fn mounted(&self) -> Mounted<'_> {
        let mounts = self.ground.mounts.at(self.at);
        match mounts.as_slice() {
            [] => Mounted::Nothing,
            [mount] if self.is_ours(&self.source, mount) => Mounted::Ours(mount),
            [mount] => {
                let previous = self
                    .scene
                    .previous(self.address)
                    .filter(|previous| mount_point(previous) == self.at)
                    .and_then(self.read);
                match previous.is_some_and(|previous| self.is_ours(&previous, mount)) {
                    true => Mounted::Previous(mount),
                    false => Mounted::Foreign(mount),
                }
            }
            several => Mounted::Stacked(several.len()),
        }
    }

    /// What the volume's root directory is now, as far as the host could show it.
    pub(super) fn root_inode(&self) -> Option<&Inode> {
        match (&self.source, self.mounted()) {
            (Source::Directory, _) | (_, Mounted::Ours(_)) => self.lineage.last(),
            (Source::Bind { .. }, _) => self.bound.as_ref().and_then(Lineage::last),
            _ => None,
        }
    }

    /// Permissions of the root directory: what the block says; for one that is made here and has none, the qemu user's.
    pub(super) fn wanted_root(&self) -> Permissions {
        let qemu = self.ground.system.qemu.as_ref();
        let is_new = match &self.source {
            Source::Directory => !self.lineage.exists(),
            Source::Bind { .. } | Source::Nfs(_) => false,
            // The server keeps no owner that the host would see: mount options say whose it is.
            Source::Cifs(_) => true,
            Source::Tmpfs { .. } => !matches!(self.mounted(), Mounted::Ours(_)),
            Source::Device { .. } => self.to_be_formatted().is_some(),
        };
        match is_new {
            true => self.wanted.or_for_qemu(qemu, Mode::new(0o770).expect("twelve bits")),
            false => self.wanted,
        }
    }

    /// Holds what is wanted against what is there.
    pub(in crate::kinds) fn judge(mut self) -> Result<Verdict, String> {
        let mut verdict = Verdict { hazards: std::mem::take(&mut self.hazards), ..Verdict::default() };
        if let Some(Found::Device(device)) = &self.device {
            verdict.claims.push(format!("the device {}", device.number));
        }
        if self.ground.system.uid != 0 {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("Larder is not root on {}", self.host),
                "Log in as root, or set become = \"sudo\" in the host block.",
            ));
        }
        if let (Some(error), Mounted::Ours(mount)) = (&self.broken, self.mounted()) {
            self.judge_broken(&mut verdict, mount, error)?;
            return Ok(verdict);
        }
        if let Some(hazard) = ground::obstacle(&self.lineage, self.address, self.host) {
            verdict.standing = Standing::Present;
            verdict.hazards.push(hazard);
            return Ok(verdict);
        }
        if let Some(cover) = self.ground.mounts.covered(self.at) {
            verdict.standing = Standing::Present;
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!(
                    "what is mounted on {} on {} is hidden: {} {} was mounted on {} later",
                    self.at, self.host, cover.fstype, cover.source, cover.target
                ),
                format!("Unmount {} if it does not belong there.", cover.target),
            ));
            return Ok(verdict);
        }
        self.leave_previous_place(&mut verdict)?;
        match &self.source {
            Source::Directory => self.judge_directory(&mut verdict),
            _ => self.judge_mount(&mut verdict)?,
        }
        self.judge_selinux(&mut verdict)?;
        if let Some(hazard) = self.judge_access(&verdict) {
            verdict.hazards.push(hazard);
        } else if let Some(qemu) = self.ground.system.qemu.as_ref().filter(|_| verdict.drafts().next().is_some()) {
            let draft = ground::check_access(self.at, qemu, self.source.reads_only());
            verdict.differences.push(Difference::new(
                "access",
                "not tried",
                format!("{} by {}", if self.source.reads_only() { "readable" } else { "usable" }, qemu.name),
                Remedy::Run(vec![draft]),
            ));
        }
        Ok(verdict)
    }

    pub(super) fn judge_directory(&self, verdict: &mut Verdict) {
        if !self.ground.mounts.at(self.at).is_empty()
            && self
                .scene
                .previous(self.address)
                .and_then(self.read)
                .is_some_and(|previous| previous != Source::Directory)
        {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("{} on {} is still the mount that the volume was before", self.at, self.host),
                "Remove the volume first, or give the directory another mount_point.",
            ));
            return;
        }
        if let Some(hazard) = self.is_in_an_unmounted_place(self.at) {
            verdict.standing = if self.lineage.exists() { Standing::Present } else { Standing::Absent };
            verdict.hazards.push(hazard);
            return;
        }
        let wanted = self.wanted_root();
        match self.lineage.last() {
            None => {
                ground::remember_made(verdict, &self.lineage);
                let made = Inode {
                    file_type: FileType::Directory,
                    mode: Mode::new(0o755).expect("twelve bits"),
                    uid: 0,
                    gid: 0,
                    device: 0,
                    inode: 0,
                };
                verdict.differences.push(Difference::new(
                    "directory",
                    "absent",
                    self.at,
                    Remedy::Run(vec![ground::make_directory(&self.lineage)]),
                ));
                verdict.differences.extend(ground::permission_differences(
                    self.at,
                    &wanted,
                    Some(&made),
                    &self.ground,
                    &[],
                ));
            }
            Some(inode) => {
                verdict.standing = Standing::Present;
                verdict.observed.insert("directory".to_owned(), "present".to_owned());
                self.observe_permissions(verdict, inode);
                verdict.differences.extend(ground::permission_differences(
                    self.at,
                    &wanted,
                    Some(inode),
                    &self.ground,
                    &[ground::still(self.at, inode)],
                ));
                // After the first of two changes the second one's guard would not hold.
                ground::keep_first_guard(&mut verdict.differences);
            }
        }
        self.tidy_boot(verdict, None);
    }

    pub(super) fn observe_permissions(&self, verdict: &mut Verdict, inode: &Inode) {
        if owner_of_source(&self.source, self.block, self.scene, self.host).is_some() {
            return;
        }
        verdict.observed.insert("owner".to_owned(), self.ground.user_name(inode.uid));
        verdict.observed.insert("group".to_owned(), self.ground.group_name(inode.gid));
        verdict.observed.insert("mode".to_owned(), inode.mode.to_string());
    }

    pub(super) fn judge_mount(&self, verdict: &mut Verdict) -> Result<(), String> {
        verdict.hazards.extend(self.hides_hosts_from_each_other());
        match self.mounted() {
            Mounted::Stacked(count) => {
                verdict.standing = Standing::Present;
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!("{count} mounts are stacked on {} on {}", self.at, self.host),
                    format!(
                        "Unmount those that do not belong there: `findmnt {}` lists them, the last is on top.",
                        self.at
                    ),
                ));
            }
            Mounted::Foreign(mount) => {
                verdict.standing = Standing::Present;
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!(
                        "{} on {} is {} {} and not {}",
                        self.at,
                        self.host,
                        mount.fstype,
                        mount.source,
                        self.describe()
                    ),
                    "Unmount it, or choose another mount_point.",
                ));
            }
            Mounted::Ours(mount) => {
                verdict.standing = Standing::Present;
                self.judge_live(verdict, mount)?;
            }
            Mounted::Previous(mount) => {
                verdict.standing = Standing::Present;
                self.unmount(verdict, mount, self.at);
                self.put_back(verdict, mount, Former::InPlace);
                self.mount(verdict)?;
            }
            Mounted::Nothing => self.mount(verdict)?,
        }
        Ok(())
    }

    /// A volume that is mounted: its options, its line in fstab, its permissions.
    pub(super) fn judge_live(&self, verdict: &mut Verdict, mount: &Mount) -> Result<(), String> {
        let shown =
            if mount.root == "/" { mount.fstype.clone() } else { format!("{} of {}", mount.fstype, mount.root) };
        verdict.observed.insert("mount".to_owned(), shown);
        verdict.observed.insert("options".to_owned(), shown_options(mount));
        if let (Some(uuid), Source::Device { path, .. }) = (self.uuid(), &self.source) {
            if let Some(old) = self.replaced(&uuid) {
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!(
                        "{path} on {} holds the file system {uuid}; it was {old} when it was applied last",
                        self.host
                    ),
                    "Bring the disk back that was there, or give the new one a resource of its own.",
                ));
            }
            verdict.memory.insert("uuid".to_owned(), uuid);
        }
        self.judge_clustered(verdict);
        let is_readonly = mount.super_options.split(',').any(|option| option == "ro");
        if is_readonly && !mount.has_option_of_mount("ro") && !self.options().iter().any(|option| option == "ro") {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("the kernel has made the file system on {} on {} read-only", self.at, self.host),
                "That follows an error of the disk or the file system: look at `dmesg` there, and check the file system unmounted.",
            ));
        }
        let remount = self.remount(mount);
        let is_rewritten =
            (remount.is_some() || !self.leaves_credentials_to_others()?) && self.judge_credentials(verdict)?;
        match remount {
            Some(difference) => verdict.differences.push(difference),
            // The kernel goes on with the old password until it connects anew, and fails then.
            None if is_rewritten && matches!(self.in_use(self.at), Ok(None)) => {
                let difference =
                    self.renew(mount, "credentials", "the former ones in use".to_owned(), "in use".to_owned());
                verdict.differences.push(difference);
            }
            None => {}
        }
        self.tidy_boot(verdict, self.uuid().as_deref());
        self.reload_if_outdated(verdict);
        if let Some(inode) = self.lineage.last() {
            self.observe_permissions(verdict, inode);
            if matches!(self.source, Source::Cifs(_)) {
                return Ok(());
            }
            let differences = ground::permission_differences(
                self.at,
                &self.wanted_root(),
                Some(inode),
                &self.ground,
                &[ground::still(self.at, inode)],
            );
            verdict.differences.extend(differences);
            ground::keep_first_guard(&mut verdict.differences);
        }
        Ok(())
    }

    /// A directory that is to lie on a mount that the host has at boot, and that is not there now: what was written to it would
    /// land on the disk below, and be out of sight later.
    pub(super) fn is_in_an_unmounted_place(&self, path: &str) -> Option<Hazard> {
        let names = self.scene.names(self.address);
        let lines = self.ground.fstab.lines.iter().filter_map(|line| Some(("/etc/fstab", line.entry.as_ref()?)));
        let units =
            self.ground.units.all_lasting().filter(|unit| self.ground.units.enabled_by(unit.name()).next().is_some());
        let units = units.filter_map(|unit| Some((unit.path.as_str(), unit.entry.as_ref()?)));
        let mut all = lines
            .chain(units)
            .filter(|(_, entry)| entry.target.starts_with('/') && !entry.id().is_some_and(|id| names.contains(&id)));
        let (file, entry, target) = all.find_map(|(file, entry)| {
            let target = fstab::normalised(&entry.target);
            let is_missing = target != "/"
                && is_within(path, &target)
                && self.ground.mounts.at(&target).is_empty()
                && !self.is_made_by_the_plan(&target);
            is_missing.then_some((file, entry, target))
        })?;
        Some(self.hazard(
            HazardCode::WrongSource,
            format!("{file} on {} mounts {} on {target}, and nothing is mounted there now", self.host, entry.source),
            format!(
                "Mount it first: `mount {target}`. Or remove it from {file}, if {path} is to be on the disk below."
            ),
        ))
    }

    /// Whether another block of the configuration makes this path.
    pub(super) fn is_made_by_the_plan(&self, wanted: &str) -> bool {
        let owner = self.scene.owners.get(self.host).and_then(|owners| owners.get(wanted));
        owner.is_some_and(|owner| owner != self.address)
    }

    /// Whether the volume was at that path before its mount point changed.
    pub(super) fn was_at(&self, path: &str) -> bool {
        self.scene.previous(self.address).is_some_and(|previous| mount_point(previous) == path)
    }

    /// The root directory of a file system that is still mounted where the volume was before its mount point changed.
    pub(super) fn root_at_previous_place(&self) -> Option<Inode> {
        let previous = self.scene.previous(self.address)?;
        let old = mount_point(previous);
        match self.ground.mounts.at(old).as_slice() {
            [mount] if self.is_ours(&self.source, mount) => {
                path::read(self.scene.host(self.host), old).ok()?.last().cloned()
            }
            _ => None,
        }
    }
}

/// Whether what is mounted at a path answers, where that is another machine's affair.
///
/// # Errors
/// It does not, or only with an error: nothing about the path can be known.
pub(in crate::kinds) fn check_reach(ground: &Ground, facts: &HostFacts, at: &str) -> Result<(), String> {
    let of_others: Vec<_> =
        ground.mounts.0.iter().filter(|mount| mount.depends_on_others() && is_within(at, &mount.target)).collect();
    if of_others.is_empty() {
        return Ok(());
    }
    let mounts = network_mounts::read(facts)?;
    // What nobody asked has not answered either.
    if let Some(mount) = of_others.iter().find(|mount| mounts.at(&mount.target).is_none()) {
        return Err(format!("whether {} answers was not asked; it may have been mounted just now", mount.target));
    }
    match mounts.silent_above(at) {
        Some(target) => {
            let of = of_others.iter().find(|mount| mount.target == target);
            let of = of.map(|mount| format!(" ({} {})", mount.fstype, mount.source)).unwrap_or_default();
            Err(format!("{target} does not answer{of}"))
        }
        None => match mounts.at(at) {
            Some(Reach::Fails(why)) => Err(format!(
                "{at} does not work any more: {why}. See on the server whether it still gives it away; then `umount {at}` here, and apply again"
            )),
            _ => Ok(()),
        },
    }
}

/// The resource that a bind mount shows at a second place.
pub(super) fn owner_of_source<'a>(
    source: &Source,
    block: &Block,
    scene: &'a Scene,
    host: &HostName,
) -> Option<&'a Block> {
    let Source::Bind { source } = source else { return None };
    let owner = scene.owners.get(host)?.get(source)?;
    scene.block(owner).filter(|owner| owner.address != block.address)
}

/// Two blocks that want other permissions of one directory.
pub(super) fn contradiction(block: &Block, owner: &Block, host: &HostName) -> Option<Hazard> {
    let name = ["owner", "group", "mode"]
        .into_iter()
        .find(|name| block.datum(name).is_some() && block.datum(name) != owner.datum(name))?;
    Some(Hazard::new(
        HazardCode::Unsupported,
        &block.address,
        Some(host),
        format!("{} and {} are one directory and want another {name} of it", block.address, owner.address),
        format!("Set {name} in {} only, or the same in both.", owner.address),
    ))
}

/// `guest.qcow2, old and 3 more`.
pub(super) fn listed(entries: &[String]) -> String {
    let shown = entries.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match entries.len() {
        0..=3 => shown,
        // The question asks for at most 33 names.
        33.. => format!("{shown} and at least 30 more"),
        more => format!("{shown} and {} more", more - 3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_names_stays_short() {
        let names = |count: usize| (0..count).map(|n| format!("f{n}")).collect::<Vec<_>>();
        assert_eq!(listed(&names(2)), "f0, f1");
        assert_eq!(listed(&names(5)), "f0, f1, f2 and 2 more");
        assert_eq!(listed(&names(33)), "f0, f1, f2 and at least 30 more");
    }
}
