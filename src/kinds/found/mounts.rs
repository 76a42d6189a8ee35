//! Which mounts of a host could be volumes, and why the others are none. What belongs to the system or to containers, what lies
//! behind something else and what is not understood for certain is left out, with the reason.

use std::collections::BTreeSet;

use crate::kinds::ask::Known;
use crate::kinds::ask::device_names::DeviceNames;
use crate::kinds::ask::fstab::{self, Entry};
use crate::kinds::ask::mounts::{Mount, Mounts, is_within};
use crate::kinds::external_volume::is_unstable;
use crate::kinds::ground::{Ground, belongs_to_the_system};
use crate::model::Size;

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
}

/// Where its bytes are, as far as a mount tells.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    Directory,
    Bind { source: String },
    Tmpfs { size: Size },
    Device { path: String, fstype: String },
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

/// File systems of a local disk that an `external_volume` can have on a device.
const ON_DEVICES: &[&str] = &["btrfs", "ext4", "xfs"];

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
            }),
        };
        match found {
            Ok(candidate) => sorted.candidates.push(candidate),
            Err((why, regard)) => sorted.passed.push(Passed { what: mount.target.clone(), why, regard }),
        }
    }
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
            }),
        }
    }
    sorted
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
    if is_shared(fstype) {
        return certain(unsupported(mount));
    }
    if belongs_to_the_system(at) || within(OF_THE_SYSTEM) {
        return usual("mounts of the system");
    }
    let stacked = mounts.at(at).len();
    if stacked > 1 {
        return certain(format!("{stacked} mounts are stacked there; unmount those that do not belong there"));
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

fn unsupported(mount: &Mount) -> String {
    format!("{} from {}, which is not supported yet", mount.fstype, mount.source)
}

fn counts_only_with_images(at: &str) -> bool {
    let within = |directories: &[&str]| directories.iter().any(|directory| is_within(at, directory));
    within(ONLY_WITH_IMAGES) && !within(FOR_IMAGES)
}

/// The lines of fstab that mount something at a path.
pub fn lines_at<'a>(ground: &'a Ground, at: &str) -> Vec<&'a Entry> {
    let entries = ground.fstab.lines.iter().filter_map(|line| line.entry.as_ref());
    entries.filter(|entry| fstab::normalised(&entry.target) == at).collect()
}

fn is_bind(entry: &Entry) -> bool {
    entry.options.iter().any(|option| option == "bind" || option == "rbind")
}

/// What a mount is of.
fn source(mount: &Mount, ground: &Ground, names: &Known<DeviceNames>) -> Result<Source, String> {
    let lines = lines_at(ground, &mount.target);
    if let Some(id) = lines.iter().find_map(|entry| entry.id()) {
        return Err(format!("its line in /etc/fstab is marked as {id} of another configuration"));
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
