//! Which mounts of a host could be volumes, and why the others are none. What belongs to the system or to containers, what lies
//! behind something else and what is not understood for certain is left out, with the reason.

use std::collections::BTreeSet;

use crate::kinds::ask::Known;
use crate::kinds::ask::device_names::DeviceNames;
use crate::kinds::ask::fstab::{self, Entry};
use crate::kinds::ask::mounts::{Mount, Mounts, is_within};
use crate::kinds::ask::units::Unit;
use crate::kinds::external_volume::is_unstable;
use crate::kinds::ground::{Ground, belongs_to_the_system};
use crate::kinds::mounting::{cifs, split_cifs, split_nfs};
use crate::model::{Mode, Size};

use super::Regard;

/// A directory that could be a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    pub at: String,
    pub source: Source,
    /// What is mounted there; `None` for a directory.
    pub mount: Option<Mount>,
    /// It counts only if an image lies in it.
    pub needs_images: bool,
    /// Nobody named it and nothing is mounted there: without images in it, it is nothing.
    pub is_guess: bool,
}

/// Where its bytes are, as far as a mount tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Directory,
    Bind { source: String },
    Tmpfs { size: Size },
    Device { path: String, fstype: String },
    Nfs { server: String, export: String, version: String },
    Cifs(Share),
}

/// A share as the kernel shows it, which never shows the password.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Share {
    pub server: String,
    pub share: String,
    /// Below the share; empty for the share itself.
    pub path: String,
    pub username: String,
    pub domain: Option<String>,
    pub version: String,
    pub reads_only: bool,
    /// Whose everything in it looks.
    pub uid: u32,
    pub gid: u32,
    /// Of directories.
    pub mode: Mode,
    /// Files have other permissions than a block would give them.
    pub has_other_files: bool,
}

/// What is no volume, or could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    pub what: String,
    pub why: String,
    pub regard: Regard,
}

/// What is mounted on a host, sorted out.
#[derive(Debug, Default)]
pub struct Sorted {
    pub candidates: Vec<Candidate>,
    pub passed: Vec<Passed>,
    /// Mount points that the configuration has already.
    pub managed: BTreeSet<String>,
}

/// File systems by which the kernel and the programs of the system show something, and that no images lie in.
const OF_THE_KERNEL: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fuse.gvfsd-fuse",
    "fuse.lxcfs",
    "fuse.portal",
    "fusectl",
    "hugetlbfs",
    "iso9660",
    "mqueue",
    "nfsd",
    "nsfs",
    "proc",
    "pstore",
    "ramfs",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "squashfs",
    "sysfs",
    "tracefs",
    "fuse.snapfuse",
];

/// Where container engines and managers of machines mount what they need; they come and go.
const OF_CONTAINERS: &[&str] = &[
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/containers",
    "/var/lib/docker",
    "/var/lib/incus",
    "/var/lib/kubelet",
    "/var/lib/lxc",
    "/var/lib/lxcfs",
    "/var/lib/lxd",
    "/var/lib/machines",
    "/var/lib/rancher",
    "/var/snap",
    "/var/lib/snapd",
];

/// Further directories of the system, with all below them.
const OF_THE_SYSTEM: &[&str] = &[
    "/cdrom",
    "/efi",
    "/gnu",
    "/lost+found",
    "/media",
    "/nix",
    "/ostree",
    "/snap",
    "/sysroot",
    "/tmp",
    "/var/cache",
    "/var/lib/flatpak",
    "/var/lib/nfs",
    "/var/lib/systemd",
    "/var/log",
    "/var/run",
    "/var/spool",
    "/var/tmp",
];

/// Below these a mount may well be somebody's data and no volume of guests.
const ONLY_WITH_IMAGES: &[&str] = &["/home", "/var"];

/// What is meant for images or was made by Larder.
const FOR_IMAGES: &[&str] = &["/var/lib/libvirt", "/var/lib/larder"];

/// Where the images of guests are on most hosts, on no mount of their own.
const PLAIN_DIRECTORIES: &[&str] = &["/var/lib/libvirt/images"];

/// File systems of a local disk that an `external_volume` can have on a device.
const ON_DEVICES: &[&str] = &["btrfs", "ext4", "xfs"];

/// Versions of NFS that an `external_volume` can have.
const NFS_VERSIONS: &[&str] = &["3", "4.0", "4.1", "4.2"];

/// Sorts the mounts of one host. `managed` are the paths that the configuration has there already, `named` those that
/// somebody asked for by name.
pub fn sort(ground: &Ground, names: &Known<DeviceNames>, managed: &dyn Fn(&str) -> bool, named: &[String]) -> Sorted {
    let mut sorted = Sorted::default();
    let mut seen = BTreeSet::new();
    for mount in &ground.mounts.0 {
        if !seen.insert(mount.target.as_str()) {
            continue; // stacked ones are one case
        }
        if managed(&mount.target) {
            sorted.managed.insert(mount.target.clone());
            continue;
        }
        let is_named = named.contains(&mount.target);
        let found = match objection(mount, &ground.mounts) {
            Some(why) => Err(why),
            None => source(mount, ground, names).map_err(|why| (why, Regard::Certain)).map(|source| Candidate {
                at: mount.target.clone(),
                source,
                mount: Some(mount.clone()),
                needs_images: !is_named && counts_only_with_images(&mount.target),
                is_guess: false,
            }),
        };
        match found {
            Ok(candidate) => sorted.candidates.push(candidate),
            Err((why, regard)) => sorted.passed.push(Passed { what: mount.target.clone(), why, regard }),
        }
    }
    sorted.passed.extend(unmounted(ground, managed));
    for path in named.iter().filter(|path| !seen.contains(path.as_str())) {
        if managed(path) {
            sorted.managed.insert(path.clone());
            continue;
        }
        match ground.mounts.containing(path).filter(|mount| is_shared(&mount.fstype)) {
            // Nothing there is looked at: a server that does not answer would keep the host waiting.
            Some(mount) => {
                let why = format!("it lies on {}", unsupported(mount));
                sorted.passed.push(Passed { what: path.clone(), why, regard: Regard::Certain });
            }
            None => sorted.candidates.push(Candidate {
                at: path.clone(),
                source: Source::Directory,
                mount: None,
                needs_images: false,
                is_guess: false,
            }),
        }
    }
    let plain = PLAIN_DIRECTORIES.iter().filter(|path| !seen.contains(**path) && !named.iter().any(|one| one == *path));
    for path in plain.filter(|path| !managed(path)) {
        let is_source = |one: &Candidate| matches!(&one.source, Source::Bind { source } if source == path);
        // What is seen in a volume is found there; nothing on a server is looked at.
        let is_elsewhere = sorted.candidates.iter().any(is_source)
            || ground.mounts.containing(path).is_some_and(|mount| is_shared(&mount.fstype));
        if !is_elsewhere {
            sorted.candidates.push(Candidate {
                at: (*path).to_owned(),
                source: Source::Directory,
                mount: None,
                needs_images: true,
                is_guess: true,
            });
        }
    }
    sorted
}

/// What fstab or a unit mounts somewhere and is not mounted now: it may be a volume all the same.
fn unmounted(ground: &Ground, managed: &dyn Fn(&str) -> bool) -> Vec<Passed> {
    let mut all: Vec<Passed> = Vec::new();
    let lines = ground.fstab.lines.iter().filter_map(|line| Some(("its line in /etc/fstab", line.entry.as_ref()?)));
    let units = units(ground).filter_map(|unit| Some(("its mount unit", unit.entry.as_ref()?)));
    for (what, entry) in lines.chain(units) {
        let at = fstab::normalised(&entry.target);
        let is_of_the_system =
            belongs_to_the_system(&at) || OF_THE_SYSTEM.iter().any(|directory| is_within(&at, directory));
        let is_there = !ground.mounts.at(&at).is_empty() || all.iter().any(|one| one.what == at);
        // Swap has no mount point.
        if entry.target.starts_with('/') && !is_of_the_system && !is_there && !managed(&at) {
            let why = format!("not mounted now; {what} mounts {} ({})", entry.source, entry.fstype);
            all.push(Passed { what: at, why, regard: Regard::Certain });
        }
    }
    all
}

/// Why a mount is no volume, whatever it is a mount of.
fn objection(mount: &Mount, mounts: &Mounts) -> Option<(String, Regard)> {
    let usual = |why: &str| Some((why.to_owned(), Regard::Usual));
    let certain = |why: String| Some((why, Regard::Certain));
    let at = mount.target.as_str();
    let within = |directories: &[&str]| directories.iter().any(|directory| is_within(at, directory));
    let fstype = mount.fstype.as_str();
    if within(OF_CONTAINERS) {
        return usual("mounts of containers");
    }
    if OF_THE_KERNEL.contains(&fstype) {
        return usual("file systems of the kernel and of packages");
    }
    if is_shared(fstype) && !is_nfs(fstype) && !is_cifs(fstype) {
        return certain(unsupported(mount));
    }
    if belongs_to_the_system(at) || within(OF_THE_SYSTEM) {
        return usual("mounts of the system");
    }
    let stacked = mounts.at(at).len();
    if stacked > 1 {
        return certain(format!("{stacked} mounts are stacked there; unmount those that do not belong there"));
    }
    if let Some(parent) = mounts.0.iter().find(|one| one.id == mount.parent && is_part_of(mount, one)) {
        return certain(format!("a part of {} that its server has on another file system", parent.target));
    }
    mounts.covered(at).and_then(|cover| certain(format!("hidden behind {}, which was mounted later", cover.target)))
}

/// Whether a file system is that of a server or of a cluster, or of a program that may not answer.
fn is_shared(fstype: &str) -> bool {
    const NAMES: &[&str] = &[
        "9p",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "gfs2",
        "gfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "smb3",
        "smbfs",
        "virtiofs",
        "fuse",
    ];
    NAMES.contains(&fstype) || fstype.starts_with("fuse.")
}

fn is_cifs(fstype: &str) -> bool {
    matches!(fstype, "cifs" | "smb3")
}

fn is_nfs(fstype: &str) -> bool {
    matches!(fstype, "nfs" | "nfs4")
}

/// Whether the kernel made a mount by itself, where a walk below another one crossed to the next file system of the server.
fn is_part_of(mount: &Mount, parent: &Mount) -> bool {
    let below = |path: &str, directory: &str| {
        let rest = path.strip_prefix(directory.trim_end_matches('/'))?;
        rest.starts_with('/').then(|| rest.to_owned())
    };
    let of_source = below(&mount.source, &parent.source);
    is_nfs(&mount.fstype)
        && is_nfs(&parent.fstype)
        && of_source.is_some()
        && of_source == below(&mount.target, &parent.target)
}

fn unsupported(mount: &Mount) -> String {
    format!("{} from {}, which is not supported yet", mount.fstype, mount.source)
}

fn counts_only_with_images(at: &str) -> bool {
    let within = |directories: &[&str]| directories.iter().any(|directory| is_within(at, directory));
    within(ONLY_WITH_IMAGES) && !within(FOR_IMAGES)
}

/// What mounts something at a path at boot: lines of fstab, then units.
pub fn lines_at<'a>(ground: &'a Ground, at: &str) -> Vec<&'a Entry> {
    let entries = ground.fstab.lines.iter().filter_map(|line| line.entry.as_ref());
    let units = units(ground).filter_map(|unit| unit.entry.as_ref());
    entries.chain(units).filter(|entry| fstab::normalised(&entry.target) == at).collect()
}

/// What mounts a path at boot, as a block says it.
pub fn persistence(ground: &Ground, at: &str) -> &'static str {
    let is_there = |entry: &Entry| fstab::normalised(&entry.target) == at;
    if ground.fstab.lines.iter().filter_map(|line| line.entry.as_ref()).any(is_there) {
        "fstab"
    } else if units(ground).filter_map(|unit| unit.entry.as_ref()).any(is_there) {
        "systemd"
    } else {
        "none"
    }
}

/// Mount units that something wants at boot.
fn units(ground: &Ground) -> impl Iterator<Item = &Unit> {
    ground.units.all_lasting().filter(|unit| ground.units.enabled_by(unit.name()).next().is_some())
}

fn is_bind(entry: &Entry) -> bool {
    entry.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// What a mount is of.
fn source(mount: &Mount, ground: &Ground, names: &Known<DeviceNames>) -> Result<Source, String> {
    let lines = lines_at(ground, &mount.target);
    if let Some(id) = lines.iter().find_map(|entry| entry.id()) {
        let what = if persistence(ground, &mount.target) == "fstab" { "line in /etc/fstab" } else { "mount unit" };
        return Err(format!("its {what} is marked as {id} of another configuration"));
    }
    // Two mounts of one export are one file system, and no bind mounts.
    if is_nfs(&mount.fstype) && mount.root == "/" && !lines.iter().any(|entry| is_bind(entry)) {
        return nfs_source(mount);
    }
    if is_cifs(&mount.fstype) && !lines.iter().any(|entry| is_bind(entry)) {
        return cifs_source(mount).map(Source::Cifs);
    }
    let is_subvolume =
        mount.fstype == "btrfs" && mount.option("subvol").is_some_and(|subvolume| subvolume == mount.root);
    if mount.root != "/" && is_subvolume {
        return Err(format!("the btrfs subvolume {}, which is not supported yet", mount.root));
    }
    if mount.root != "/" || !is_first_of_its_file_system(mount, ground) {
        let source = bind_source(mount, &ground.mounts, &lines);
        return source
            .map(|source| Source::Bind { source })
            .ok_or_else(|| format!("a directory of {} {}, at no other place of the host", mount.fstype, mount.source));
    }
    match mount.fstype.as_str() {
        "tmpfs" => match mount.option("size").and_then(|size| size.parse().ok()) {
            Some(size) => Ok(Source::Tmpfs { size }),
            None => Err("a tmpfs without a size of its own; mount it with size= first".to_owned()),
        },
        fstype if ON_DEVICES.contains(&fstype) => {
            let path = device_path(mount, &lines, names)?;
            Ok(Source::Device { path, fstype: fstype.to_owned() })
        }
        _ => Err(unsupported(mount)),
    }
}

/// The export, if the kernel shows a version that a block can name.
fn nfs_source(mount: &Mount) -> Result<Source, String> {
    let found =
        split_nfs(&mount.source).zip(mount.option("vers")).filter(|(_, version)| NFS_VERSIONS.contains(version));
    let ((server, export), version) = found.ok_or_else(|| unsupported(mount))?;
    let [server, export, version] = [server, export, version].map(str::to_owned);
    let export = fstab::normalised(&export);
    Ok(Source::Nfs { server, export, version })
}

/// The share, if the kernel shows who logged in, and a version that a block can name.
fn cifs_source(mount: &Mount) -> Result<Share, String> {
    let (server, rest) = split_cifs(&mount.source).ok_or_else(|| unsupported(mount))?;
    let whole = format!("{rest}/{}", mount.root);
    let mut parts = whole.split('/').filter(|part| !part.is_empty());
    let share = parts.next().ok_or_else(|| unsupported(mount))?.to_owned();
    let path = parts.collect::<Vec<_>>().join("/");
    let version = match mount.option("vers") {
        Some("3.02") => "3.0.2",
        Some(version) if cifs::VERSIONS.contains(&version) => version,
        _ => return Err(format!("{} with vers={}", unsupported(mount), mount.option("vers").unwrap_or_default())),
    };
    let Some(username) = mount.option("username").filter(|name| !name.is_empty()) else {
        return Err(format!(
            "{} from {}, into which nobody logs in with a name and a password",
            mount.fstype, mount.source
        ));
    };
    let number = |name: &str| mount.option(name)?.parse::<u32>().ok();
    let mode = |name: &str| Mode::new(u16::from_str_radix(mount.option(name)?, 8).ok()?);
    let shown = number("uid").zip(number("gid")).zip(mode("dir_mode").zip(mode("file_mode")));
    let ((uid, gid), (of_directories, of_files)) = shown.ok_or_else(|| {
        format!("{} from {}, of which the kernel does not show whose it is", mount.fstype, mount.source)
    })?;
    Ok(Share {
        server,
        share,
        path,
        username: username.to_owned(),
        domain: mount.option("domain").map(str::to_owned),
        version: version.to_owned(),
        reads_only: mount.has_option("ro"),
        uid,
        gid,
        mode: of_directories,
        has_other_files: of_files.bits() != of_directories.bits() & 0o666,
    })
}

/// Of several mounts of a whole file system one is the volume, and the others are bind mounts of it: as fstab says, else the first
/// that the kernel lists.
fn is_first_of_its_file_system(mount: &Mount, ground: &Ground) -> bool {
    let mut same: Vec<&Mount> =
        ground.mounts.0.iter().filter(|other| other.device == mount.device && other.root == "/").collect();
    same.sort_by_key(|other| {
        let lines = lines_at(ground, &other.target);
        match lines.as_slice() {
            [] => 1,
            lines if lines.iter().any(|entry| is_bind(entry)) => 2,
            _ => 0,
        }
    });
    same.first().is_some_and(|first| first.id == mount.id)
}

/// The directory that a bind mount shows: the one that fstab names, else where the file system is mounted, if the walk there
/// really arrives at it.
fn bind_source(mount: &Mount, mounts: &Mounts, lines: &[&Entry]) -> Option<String> {
    let shown = Some((mount.device.clone(), mount.root.clone()));
    let named = lines.iter().filter(|entry| is_bind(entry)).map(|entry| fstab::normalised(&entry.source));
    let others = mounts.0.iter().filter(|other| other.id != mount.id && other.device == mount.device);
    let computed = others.filter(|other| is_within(&mount.root, &other.root)).map(|other| {
        let rest = &mount.root[other.root.trim_end_matches('/').len()..];
        let whole = format!("{}/{}", other.target.trim_end_matches('/'), rest.trim_start_matches('/'));
        if whole.len() > 1 { whole.trim_end_matches('/').to_owned() } else { whole }
    });
    named.chain(computed).find(|source| {
        mounts.locate(source) == shown && !is_within(&mount.target, source) && !is_within(source, &mount.target)
    })
}

/// A name of the device that stays: the one that fstab uses, else the best that there is.
fn device_path(mount: &Mount, lines: &[&Entry], names: &Known<DeviceNames>) -> Result<String, String> {
    let names = names.as_ref().map_err(|why| format!("the names of its device are not known: {why}"))?;
    // A mount of btrfs has a number of its own.
    let number = match mount.fstype.as_str() {
        "btrfs" => names.number(&mount.source).unwrap_or_default(),
        _ => mount.device.as_str(),
    };
    let in_fstab = lines.iter().find_map(|entry| match entry.source.split_once('=') {
        Some(("PARTUUID", uuid)) => Some(format!("/dev/disk/by-partuuid/{}", uuid.trim_matches('"'))),
        _ => entry.source.starts_with("/dev/").then(|| entry.source.clone()),
    });
    let is_its_own = |path: &String| names.number(path).is_none_or(|other| other == number);
    let chosen = in_fstab.filter(|path| !is_unstable(path) && is_its_own(path));
    chosen.or_else(|| names.of(number).next().map(str::to_owned)).ok_or_else(|| {
        format!("{} on {}, which has no name below /dev/disk that stays the same", mount.fstype, mount.source)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::ask::fstab::Fstab;
    use crate::kinds::ask::system::System;
    use crate::kinds::ask::units::Units;
    use crate::kinds::ask::{device_names, mounts};
    use crate::model::{Answer, HostFacts, Question, Reply};
    use proptest::prelude::*;

    fn said(question: Question, out: &str) -> HostFacts {
        let reply = Reply { status: 0, out: out.to_owned(), err: String::new() };
        HostFacts::Reached([(question, Answer::Said(reply))].into())
    }

    const NAMES: &str = "block special file|8:11 /dev/disk/by-id/wwn-0x5\nblock special file|8:11 /dev/disk/by-partuuid/ab\n\
        block special file|8:21 /dev/sdc1\nblock special file|8:21 /dev/disk/by-id/ata-x\nblock special file|fd:1 /dev/mapper/vg-a\n";

    fn nfs(server: &str, export: &str, version: &str) -> Source {
        let [server, export, version] = [server, export, version].map(str::to_owned);
        Source::Nfs { server, export, version }
    }

    /// Sorts these lines of mountinfo, each without its first two numbers.
    fn sorted(lines: &[&str], fstab: &str, named: &[&str]) -> Sorted {
        let text: String = lines.iter().enumerate().map(|(at, line)| format!("{} 1 {line}\n", at + 10)).collect();
        let mounts = mounts::read(&said(mounts::question(), &format!("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n{text}")));
        let ground = Ground {
            system: System::default(),
            mounts: mounts.expect("a mount table"),
            fstab: Fstab::parse(fstab),
            units: Units::default(),
        };
        let names = device_names::read(&said(device_names::question(), NAMES));
        let named: Vec<_> = named.iter().map(|path| (*path).to_owned()).collect();
        sort(&ground, &names, &|path| path == "/srv/managed", &named)
    }

    fn bind(source: &str) -> Source {
        Source::Bind { source: source.to_owned() }
    }

    fn device(path: &str, fstype: &str) -> Source {
        Source::Device { path: path.to_owned(), fstype: fstype.to_owned() }
    }

    #[test]
    fn what_could_be_a_volume_is_told_by_its_mount() {
        let table: [(&[&str], &str, &str, Source); 15] = [
            (&["8:1 /data/x /srv/x rw - ext4 /dev/sda1 rw"], "", "/srv/x", bind("/data/x")),
            (&["0:50 / /srv/x rw - tmpfs any rw,size=65536k"], "", "/srv/x", Source::Tmpfs { size: Size(64 << 20) }),
            (&["8:17 / /srv/x rw - xfs /dev/sdb1 rw"], "", "/srv/x", device("/dev/disk/by-id/wwn-0x5", "xfs")),
            // The line's own name of the device, if it is one that stays and leads there.
            (
                &["8:17 / /srv/x rw - xfs /dev/sdb1 rw"],
                "PARTUUID=ab /srv/x xfs defaults 0 0",
                "/srv/x",
                device("/dev/disk/by-partuuid/ab", "xfs"),
            ),
            (
                &["8:17 / /srv/x rw - xfs /dev/sdb1 rw"],
                "/dev/sdb1 /srv/x xfs defaults 0 0",
                "/srv/x",
                device("/dev/disk/by-id/wwn-0x5", "xfs"),
            ),
            (
                &["8:17 / /srv/x rw - xfs /dev/sdb1 rw"],
                "/dev/mapper/vg-a /srv/x xfs defaults 0 0",
                "/srv/x",
                device("/dev/disk/by-id/wwn-0x5", "xfs"),
            ),
            (
                &["253:1 / /srv/x rw - ext4 /dev/mapper/vg-a rw"],
                "/dev/vg/a /srv/x/ ext4 defaults 0 0",
                "/srv/x",
                device("/dev/vg/a", "ext4"),
            ),
            (
                &["0:9 / /srv/x rw - nfs4 10.0.0.5:/e//x/ rw,vers=4.2,addr=10.0.0.5"],
                "",
                "/srv/x",
                nfs("10.0.0.5", "/e/x", "4.2"),
            ),
            // Two mounts of one export.
            (
                &["0:9 / /srv/x rw - nfs nas:/e rw,vers=3", "0:9 / /srv/y rw - nfs [fd00::5]:/e rw,vers=3"],
                "",
                "/srv/y",
                nfs("fd00::5", "/e", "3"),
            ),
            // btrfs has device numbers of its own.
            (
                &["0:44 / /srv/x rw - btrfs /dev/sdc1 rw,subvolid=5,subvol=/"],
                "",
                "/srv/x",
                device("/dev/disk/by-id/ata-x", "btrfs"),
            ),
            (
                &[
                    "0:44 / /srv/x rw - btrfs /dev/sdc1 rw,subvol=/",
                    "0:44 /a/b /srv/y rw - btrfs /dev/sdc1 rw,subvol=/",
                ],
                "",
                "/srv/y",
                bind("/srv/x/a/b"),
            ),
            // Two mounts of one file system: fstab says which is the volume, else the first is.
            (
                &["8:17 / /srv/x rw - ext4 /dev/sdb1 rw", "8:17 / /srv/y rw - ext4 /dev/sdb1 rw"],
                "",
                "/srv/y",
                bind("/srv/x"),
            ),
            (
                &["8:17 / /srv/x rw - ext4 /dev/sdb1 rw", "8:17 / /srv/y rw - ext4 /dev/sdb1 rw"],
                "/srv/y /srv/x none bind 0 0\nUUID=1 /srv/y ext4 defaults 0 0\n",
                "/srv/x",
                bind("/srv/y"),
            ),
            // A source over which something else was mounted is no longer what is seen there.
            (
                &[
                    "8:17 /a /srv/x rw - ext4 /dev/sdb1 rw",
                    "8:17 / /mnt/b rw - ext4 /dev/sdb1 rw",
                    "0:9 / /mnt/b/a rw - tmpfs t rw",
                    "8:17 / /mnt/c rw - ext4 /dev/sdb1 rw",
                ],
                "",
                "/srv/x",
                bind("/mnt/c/a"),
            ),
            (&[r"8:1 /data/my\040x /srv/my\040x rw - ext4 /dev/sda1 rw"], "", "/srv/my x", bind("/data/my x")),
        ];
        for (lines, fstab, at, source) in table {
            let sorted = sorted(lines, fstab, &[]);
            let found = sorted.candidates.iter().find(|candidate| candidate.at == at);
            assert_eq!(found.map(|candidate| &candidate.source), Some(&source), "{lines:?} {fstab:?}: {sorted:?}");
        }
    }

    #[test]
    fn what_is_no_volume_is_named_with_the_reason() {
        let table: [(&[&str], &str, &str, &str); 18] = [
            (&["8:17 / /boot rw - ext4 /dev/sdb1 rw"], "", "/boot", "mounts of the system"),
            (&["8:17 / /var/log/audit rw - xfs /dev/sdb1 rw"], "", "/var/log/audit", "mounts of the system"),
            (&["0:9 / /run/user/0 rw - tmpfs tmpfs rw,size=1k"], "", "/run/user/0", "mounts of the system"),
            (&["0:9 / /srv/proc rw - proc proc rw"], "", "/srv/proc", "file systems of the kernel"),
            (&["0:9 / /snap/core/1 ro - squashfs /dev/loop1 ro"], "", "/snap/core/1", "file systems of the kernel"),
            (
                &["0:9 / /var/lib/docker/overlay2/x/merged rw - overlay overlay rw"],
                "",
                "/var/lib/docker/overlay2/x/merged",
                "mounts of containers",
            ),
            (
                &["0:9 / /var/lib/kubelet/pods/1/x rw - nfs4 10.0.0.5:/x rw"],
                "",
                "/var/lib/kubelet/pods/1/x",
                "mounts of containers",
            ),
            (
                &["0:9 / /home/x rw - nfs4 10.0.0.5:/export rw,vers=4.3"],
                "",
                "/home/x",
                "nfs4 from 10.0.0.5:/export, which is not supported yet",
            ),
            (
                &["0:9 / /srv/x rw - cifs //nas/share rw,vers=3.1.1,sec=krb5,uid=0,gid=0,file_mode=0755,dir_mode=0755"],
                "",
                "/srv/x",
                "cifs from //nas/share, into which nobody logs in with a name and a password",
            ),
            (
                &["0:9 / /srv/x rw - cifs //nas/share rw,vers=1.0,username=u"],
                "",
                "/srv/x",
                "cifs from //nas/share, which is not supported yet with vers=1.0",
            ),
            (&["0:9 / /srv/x rw - fuse.glusterfs hv1:/v rw"], "", "/srv/x", "fuse.glusterfs from hv1:/v"),
            (
                &["8:17 / /srv/x rw - ext3 /dev/sdb1 rw"],
                "",
                "/srv/x",
                "ext3 from /dev/sdb1, which is not supported yet",
            ),
            (&["0:9 / /srv/x rw - tmpfs t rw"], "", "/srv/x", "a tmpfs without a size of its own"),
            (&["0:44 /@img /srv/x rw - btrfs /dev/sdc1 rw,subvol=/@img"], "", "/srv/x", "the btrfs subvolume /@img"),
            (&["8:99 / /srv/x rw - ext4 /dev/sdz1 rw"], "", "/srv/x", "no name below /dev/disk that stays"),
            (&["8:77 /deep /srv/x rw - ext4 /dev/sdy1 rw"], "", "/srv/x", "at no other place of the host"),
            (
                &["0:9 / /srv/x rw - tmpfs t rw,size=1k", "0:10 / /srv/x rw - tmpfs t rw,size=1k"],
                "",
                "/srv/x",
                "2 mounts are stacked",
            ),
            (
                &["8:1 /data/x /srv/x rw - ext4 /dev/sda1 rw"],
                "/data/x /srv/x none bind,x-larder.id=external_volume.y 0 0",
                "/srv/x",
                "marked as external_volume.y",
            ),
        ];
        for (lines, fstab, at, why) in table {
            let sorted = sorted(lines, fstab, &[]);
            let passed = sorted.passed.iter().find(|passed| passed.what == at);
            assert!(passed.is_some_and(|passed| passed.why.contains(why)), "{lines:?}: {sorted:?}");
        }
    }

    #[test]
    fn a_share_is_told_by_what_the_kernel_shows_of_it() {
        let whole = Share {
            server: "nas".to_owned(),
            share: "VM".to_owned(),
            path: "a/b".to_owned(),
            username: "u".to_owned(),
            domain: None,
            version: "3.1.1".to_owned(),
            reads_only: false,
            uid: 64055,
            gid: 104,
            mode: Mode::new(0o770).expect("twelve bits"),
            has_other_files: false,
        };
        let shown = "vers=3.1.1,username=u,uid=64055,gid=104,file_mode=0660,dir_mode=0770";
        let table = [
            (format!("/ /srv/x rw - cifs //nas/VM/a/b rw,{shown}"), whole.clone()),
            (
                format!("/a/b /srv/x ro - cifs //nas/VM ro,{shown},domain=D"),
                Share { reads_only: true, domain: Some("D".to_owned()), ..whole.clone() },
            ),
            (
                format!("/ /srv/x rw - smb3 //nas/VM rw,{}", shown.replace("3.1.1", "3.02").replace("0660", "0640")),
                Share { path: String::new(), version: "3.0.2".to_owned(), has_other_files: true, ..whole },
            ),
        ];
        for (line, expected) in table {
            let sorted = sorted(&[&format!("0:9 {line}")], "//nas/VM /srv/x cifs credentials=/root/.smb 0 0", &[]);
            let found: Vec<_> = sorted.candidates.iter().filter(|one| one.at == "/srv/x").collect();
            assert_eq!(found.first().map(|one| &one.source), Some(&Source::Cifs(expected)), "{line}: {sorted:?}");
        }
    }

    #[test]
    fn what_fstab_would_mount_is_named_too() {
        let fstab = "UUID=1 / ext4 defaults 0 1\nUUID=2 none swap sw 0 0\nUUID=3 /boot/efi vfat defaults 0 1\n\
            10.0.0.5:/x /srv/nfs// nfs4 noauto 0 0\nUUID=4 /srv/x xfs noauto 0 0\nUUID=4 /srv/x xfs noauto 0 0\n\
            /data /srv/managed none bind 0 0\n/data/x /srv/there none bind 0 0\n";
        let sorted = sorted(&["8:1 /data/x /srv/there rw - ext4 /dev/sda1 rw"], fstab, &[]);
        let passed: Vec<_> = sorted.passed.iter().skip(1).map(|one| format!("{}: {}", one.what, one.why)).collect();
        assert_eq!(
            passed,
            [
                "/srv/nfs: not mounted now; its line in /etc/fstab mounts 10.0.0.5:/x (nfs4)",
                "/srv/x: not mounted now; its line in /etc/fstab mounts UUID=4 (xfs)"
            ]
        );
    }

    #[test]
    fn below_home_and_var_a_mount_counts_only_with_images_unless_it_is_named() {
        let lines = [
            "8:1 /data/a /home/a rw - ext4 /dev/sda1 rw",
            "8:1 /data/b /var/lib/pg rw - ext4 /dev/sda1 rw",
            "8:1 /data/c /var/lib/libvirt/images rw - ext4 /dev/sda1 rw",
            "8:1 /data/d /home/d rw - ext4 /dev/sda1 rw",
            "8:1 /data/e /srv/managed rw - ext4 /dev/sda1 rw",
            "0:9 / /srv/nfs rw - nfs4 10.0.0.5:/x rw",
        ];
        let sorted = sorted(&lines, "", &["/home/d", "/srv/plain", "/srv/nfs/images", "/srv/nfs"]);
        let needs: Vec<_> = sorted.candidates.iter().map(|one| (one.at.as_str(), one.needs_images)).collect();
        assert_eq!(
            needs,
            [
                ("/home/a", true),
                ("/var/lib/pg", true),
                ("/var/lib/libvirt/images", false),
                ("/home/d", false),
                ("/srv/plain", false)
            ]
        );
        assert_eq!(sorted.managed, ["/srv/managed".to_owned()].into());
        let passed: Vec<_> = sorted.passed.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(passed, ["/", "/srv/nfs", "/srv/nfs/images"], "what lies on a server is not looked at");
    }

    #[test]
    fn what_the_kernel_mounts_below_an_export_is_a_part_of_it() {
        let table = [
            ("/srv/x/sub", "nas:/e/sub", "nfs4", true),
            ("/srv/x/sub", "nas:/e/other", "nfs4", false),
            ("/srv/x/sub", "other:/e/sub", "nfs4", false),
            ("/srv/x/sub", "nas:/e/sub", "ext4", false),
        ];
        for (target, source, fstype, expected) in table {
            let text = format!(
                "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /srv/x rw - nfs4 nas:/e rw\n3 2 0:10 / {target} rw - {fstype} {source} rw\n"
            );
            let mounts = mounts::read(&said(mounts::question(), &text)).expect("mounts");
            assert_eq!(is_part_of(&mounts.0[2], &mounts.0[1]), expected, "{target} {source}");
        }
    }

    proptest! {
        #[test]
        fn every_mount_is_a_candidate_or_is_named(
            lines in prop::collection::vec("(8:17|8:1|0:9) (/|/a|/a/b) /(srv|home|a|var)(/[ab]){0,2} rw - (ext4|tmpfs|btrfs|nfs|overlay) /dev/sdb1 rw(,size=1k|,subvol=/a){0,1}", 0..8),
            fstab in "((/a|UUID=1|/dev/sdb1) /srv/a (none|ext4) (bind|defaults|noauto) 0 0\n){0,2}",
        ) {
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let sorted = sorted(&lines, &fstab, &[]);
            for line in lines {
                let at = line.split(' ').nth(2).expect("a mount point");
                let is_candidate = sorted.candidates.iter().any(|one| one.at == at);
                prop_assert!(is_candidate != sorted.passed.iter().any(|one| one.what == at), "{} in {:?}", at, sorted);
            }
        }
    }
}
