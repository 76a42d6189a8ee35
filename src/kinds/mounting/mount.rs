//! The whole way of a volume that is not mounted: directory, line in fstab, mount, permissions.

use super::boot::is_for_boot_only;
use super::{Look, Mounted, Source, listed};
use crate::kinds::ask::device::Found;
use crate::kinds::ask::open_files;
use crate::kinds::ask::path::{self, FileType, Inode, Lineage};
use crate::kinds::ground;
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::{Command, Guard, Hazard, HazardCode, Mode, Question};

impl Look<'_> {
    /// The whole way of a volume that is not mounted: format, directory, fstab, mount, permissions.
    pub(super) fn mount(&self, verdict: &mut Verdict) -> Result<(), String> {
        if !self.source_is_there(verdict)? {
            return Ok(());
        }
        verdict.differences.extend(self.reach_nodes());
        let uuid = match self.to_be_formatted() {
            Some(device) if self.clustered.is_some() => Some(self.format_for_all(verdict, device)),
            Some(device) => Some(self.format(verdict, device)),
            None => self.uuid(),
        };
        self.make_mount_point(verdict);
        self.judge_credentials(verdict)?;
        self.tidy_boot(verdict, uuid.as_deref());
        self.reload_if_outdated(verdict);
        let draft = self.mount_draft(uuid.as_deref());
        verdict.differences.push(Difference::new("mount", "not mounted", self.describe(), Remedy::Run(vec![draft])));
        let wanted = self.wanted_root();
        let guard = [];
        let known_root = match (&self.source, self.to_be_formatted()) {
            // The root directory of a new file system belongs to root and is 0755.
            (Source::Device { .. }, Some(_)) => Some(Inode {
                file_type: FileType::Directory,
                mode: Mode::new(0o755).expect("twelve bits"),
                uid: 0,
                gid: 0,
                device: 0,
                inode: 0,
            }),
            (Source::Bind { .. }, _) => self.bound.as_ref().and_then(Lineage::last).cloned(),
            // A tmpfs gets owner and mode with its mount options, and so after each boot.
            (Source::Tmpfs { .. } | Source::Cifs(_), _) => return Ok(()),
            _ => self.root_at_previous_place(),
        };
        verdict.differences.extend(ground::permission_differences(
            self.at,
            &wanted,
            known_root.as_ref(),
            &self.ground,
            &guard,
        ));
        Ok(())
    }

    /// Whether there is something to mount. What is missing becomes a hazard.
    pub(super) fn source_is_there(&self, verdict: &mut Verdict) -> Result<bool, String> {
        match (&self.source, &self.device, &self.bound) {
            (Source::Bind { source }, _, Some(lineage)) => {
                if let Some(hazard) = self.is_in_an_unmounted_place(source) {
                    verdict.hazards.push(hazard);
                    return Ok(false);
                }
                if lineage.last().is_some_and(|inode| inode.file_type == FileType::Directory)
                    || self.is_made_by_the_plan(source)
                {
                    return Ok(true);
                }
                let what = match lineage.exists() {
                    true => "is no directory",
                    false => "does not exist",
                };
                verdict.hazards.push(self.hazard(
                    HazardCode::DeviceDiffers,
                    format!("the source {source} of the bind mount {what} on {}", self.host),
                    "Make it there first, or correct the path. Larder does not make it up: an empty directory in place of a missing disk would hide the loss.",
                ));
                Ok(false)
            }
            (Source::Device { path, fstype, label, format }, Some(found), _) => Ok(match found {
                Found::Nothing => {
                    if let Some(bringer) = self.scene.brings_disks(self.block, self.host) {
                        verdict.standing = Standing::Later(format!("{path} comes with {bringer}"));
                        return Ok(false);
                    }
                    verdict.hazards.push(self.hazard(
                        HazardCode::DeviceDiffers,
                        format!("there is no device {path} on {}", self.host),
                        "Attach it, or correct the path: `ls -l /dev/disk/by-id` on the host shows the names.",
                    ));
                    false
                }
                Found::Other(what) => {
                    verdict.hazards.push(self.hazard(
                        HazardCode::DeviceDiffers,
                        format!("{path} on {} is no block device but a {what}", self.host),
                        "Correct the path.",
                    ));
                    false
                }
                Found::Device(device) if self.clustered.is_some() => {
                    self.clustered_is_usable(verdict, device, path, label, *format)
                }
                Found::Device(device) => self.device_is_usable(verdict, device, path, fstype, label, *format),
            }),
            (Source::Nfs(_), ..) => Ok(self.can_mount(verdict, "mount.nfs", "nfs")),
            (Source::Cifs(_), ..) => Ok(self.can_mount(verdict, "mount.cifs", "cifs")),
            _ => Ok(true),
        }
    }

    /// Whether the host has what mount(8) needs for a file system of the network: its program, and the kernel's part.
    fn can_mount(&self, verdict: &mut Verdict, program: &str, module: &str) -> bool {
        let before = verdict.hazards.len();
        verdict.hazards.extend(self.ground.lacks(program, self.address, self.host));
        if !self.ground.system.filesystems.contains(module) {
            verdict.hazards.push(self.hazard(
                HazardCode::Unsupported,
                format!("the kernel of {} ({}) has no {module}", self.host, self.ground.system.kernel),
                format!(
                    "Boot a kernel with the module {module}. In a container it is the machine's kernel that counts."
                ),
            ));
        }
        verdict.hazards.len() == before
    }

    /// The directory to mount on: made, or found empty, and locked so that nobody writes into it while nothing is mounted.
    pub(super) fn make_mount_point(&self, verdict: &mut Verdict) {
        let can_be_immutable = path::read_immutable(self.scene.host(self.host), &self.lineage).is_some()
            && self.ground.system.may_set_immutable();
        let lock = |guard: Vec<Guard>| {
            let words = ["lock_mount_point", self.at].into_iter().chain(can_be_immutable.then_some("immutable"));
            let how = if can_be_immutable { "mode 0000 and immutable" } else { "mode 0000" };
            Draft::new(
                "lock",
                format!("make {} unwritable while nothing is mounted there ({how})", self.at),
                Command::new(words),
            )
            .guarded(guard)
            .rolling_back()
        };
        let Some(inode) = self.lineage.last() else {
            ground::remember_made(verdict, &self.lineage);
            let drafts = vec![
                ground::make_directory(&self.lineage),
                lock(Vec::new()).undone_by(Command::new(["unlock_mount_point", self.at])),
            ];
            verdict.differences.push(Difference::new(
                "directory",
                "absent",
                format!("{}, unwritable while unmounted", self.at),
                Remedy::Run(drafts),
            ));
            return;
        };
        let is_taken = matches!(self.mounted(), Mounted::Previous(_));
        if is_taken {
            return; // what lies below the old mount was made and locked when that was mounted
        }
        let is_locked = inode.mode.bits() == 0
            && inode.uid == 0
            && (!can_be_immutable || path::read_immutable(self.scene.host(self.host), &self.lineage) == Some(true));
        let before = format!("{} {}:{}", inode.mode, inode.uid, inode.gid);
        if !self.entries.is_empty() {
            let hazard = self.hazard(
                HazardCode::HidesData,
                format!("{} on {} is not empty: mounting there would hide {}", self.at, self.host, listed(&self.entries)),
                "Move that away, choose another mount_point, or accept it in the block: lifecycle { accept = [\"hides-data\"] }.",
            );
            verdict.differences.push(Difference::new(
                "directory",
                format!("holds {}", listed(&self.entries)),
                "empty",
                Remedy::Ask(hazard, Vec::new()),
            ));
            verdict.hazards.extend(self.used_below());
        } else if !is_locked {
            let mode = inode.mode.to_string();
            let owner = format!("{}:{}", inode.uid, inode.gid);
            verdict.memory.insert("before".to_owned(), serde_json::json!([mode, owner]).to_string());
            let draft = lock(vec![ground::still(self.at, inode), ground::empty(self.at)]).undone_by(Command::new([
                "unlock_mount_point",
                self.at,
                &mode,
                &owner,
            ]));
            verdict.differences.push(Difference::new(
                "directory",
                before,
                "unwritable while unmounted",
                Remedy::Run(vec![draft]),
            ));
        }
    }

    /// Who has files open that would be out of sight, where something else cannot be opened by their names any more.
    fn used_below(&self) -> Option<Hazard> {
        let (what, cure) = match self.scene.users(self.host, self.at) {
            Ok(uses) if uses.is_empty() => return None,
            Ok(uses) => {
                let named = uses.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
                let more = if uses.len() > 5 { format!(" and {} more", uses.len() - 5) } else { String::new() };
                let message =
                    format!("what would be hidden below {} on {} is in use: {named}{more}", self.at, self.host);
                (message, "Stop the guest or the process, then plan again.")
            }
            Err(why) => {
                let message =
                    format!("who uses what would be hidden below {} on {} is not known: {why}", self.at, self.host);
                (message, "Try again when the host answers.")
            }
        };
        Some(self.hazard(HazardCode::InUse, what, cure))
    }

    pub(super) fn mount_draft(&self, uuid: Option<&str>) -> Draft {
        let mut guard = vec![Guard { status: 0, out: String::new(), ..self.ground.mounts.guard(self.at) }];
        match (self.mounted(), self.entries.is_empty()) {
            (Mounted::Previous(_), _) => {}
            (_, true) => guard.push(ground::empty(self.at)),
            (_, false) => guard.push(open_files::nobody(&[self.at.to_owned()])),
        }
        let options = self.options().into_iter().filter(|option| !is_for_boot_only(option)).collect::<Vec<_>>();
        let mut words = vec!["mount".to_owned()];
        match &self.source {
            Source::Device { path, fstype, .. } => {
                words.extend(["-t".to_owned(), fstype.clone()]);
                if let Some(uuid) = uuid {
                    let ask = Question::new(["blkid", "-p", "-s", "UUID", "-o", "value", "--", path]);
                    guard.push(Guard {
                        what: format!("the file system on {path}"),
                        ask,
                        status: 0,
                        out: format!("{uuid}\n"),
                    });
                }
            }
            source => words.extend(source.fstype().into_iter().flat_map(|fstype| ["-t".to_owned(), fstype.to_owned()])),
        }
        let version = match &self.source {
            Source::Nfs(nfs) => Some(&nfs.version),
            Source::Cifs(cifs) => Some(&cifs.version),
            _ => None,
        };
        if let (Some(version), Some(fstype)) = (version, self.source.fstype()) {
            words = ["mount_network", fstype, version].map(str::to_owned).to_vec();
            words.push(options.join(","));
        } else {
            if !options.is_empty() {
                words.extend(["-o".to_owned(), options.join(",")]);
            }
            words.push("--".to_owned());
        }
        words.extend([self.mount_source(None), self.at.to_owned()]);
        Draft::new("mount", format!("mount {} on {}", self.describe(), self.at), Command::new(words))
            .guarded(guard)
            .undone_by(Command::new(["umount", "--", self.at]))
            .rolling_back()
    }
}
