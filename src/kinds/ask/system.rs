//! The machine: distribution, kernel, programs, capabilities, the qemu user.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{HostFacts, Question};

use super::people::QemuUser;
use super::{Known, failure};

/// Programs that steps may need, by the package that Debian has them in.
pub const PROGRAMS: &[(&str, &str)] = &[
    ("blkid", "util-linux"),
    ("chattr", "e2fsprogs"),
    ("fallocate", "util-linux"),
    ("findmnt", "util-linux"),
    ("flock", "util-linux"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("mount.cifs", "cifs-utils"),
    ("mount.nfs", "nfs-common"),
    ("qemu-img", "qemu-utils"),
    ("runuser", "util-linux"),
    ("setpriv", "util-linux"),
    ("setsebool", "policycoreutils"),
    ("systemctl", "systemd"),
    ("wipefs", "util-linux"),
];

/// What a host says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct System {
    pub hostname: String,
    pub machine_id: String,
    pub kernel: String,
    pub architecture: String,
    /// ID and VERSION_ID of os-release(5).
    pub distribution: String,
    pub version: String,
    pub uid: u32,
    pub capabilities: u64,
    pub programs: BTreeSet<String>,
    /// File systems that the running kernel knows, and those of the network that it has a module for.
    pub filesystems: BTreeSet<String>,
    pub runs_systemd: bool,
    /// Users of /etc/passwd with their numbers.
    pub users: BTreeMap<String, u32>,
    pub groups: BTreeMap<String, u32>,
    pub qemu: Option<QemuUser>,
}

/// CAP_LINUX_IMMUTABLE of capabilities(7).
const LINUX_IMMUTABLE: u64 = 1 << 9;

impl System {
    pub fn has(&self, program: &str) -> bool {
        self.programs.contains(program)
    }

    /// Whether chattr(1) may set the immutable flag.
    pub fn may_set_immutable(&self) -> bool {
        self.has("chattr") && self.capabilities & LINUX_IMMUTABLE != 0
    }
}

pub fn question() -> Question {
    Question::new(std::iter::once("system_facts").chain(PROGRAMS.iter().map(|(program, _)| *program)))
}

pub fn read(facts: &HostFacts) -> Known<System> {
    let reply = facts.said(&question())?;
    if reply.status != 0 {
        return Err(failure(&reply));
    }
    parse(&reply.out).ok_or_else(|| "the host's description of itself makes no sense".to_owned())
}

fn parse(text: &str) -> Option<System> {
    let mut system = System::default();
    let (mut uid, mut settings, mut ids) = (None, BTreeMap::new(), Vec::new());
    for line in text.lines() {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "hostname" => system.hostname = value.to_owned(),
            "machine-id" => system.machine_id = value.to_owned(),
            "kernel" => system.kernel = value.to_owned(),
            "architecture" => system.architecture = value.to_owned(),
            "os" => match value.split_once('=') {
                Some(("ID", id)) => system.distribution = unquoted(id),
                Some(("VERSION_ID", version)) => system.version = unquoted(version),
                _ => {}
            },
            "uid" => uid = value.parse().ok(),
            "capabilities" => system.capabilities = u64::from_str_radix(value, 16).ok()?,
            "program" => drop(system.programs.insert(value.to_owned())),
            "filesystem" => drop(system.filesystems.insert(value.rsplit('\t').next()?.to_owned())),
            "systemd" => system.runs_systemd = true,
            "passwd" => system.users.extend(named_number(value)),
            "group" => system.groups.extend(named_number(value)),
            "qemu-conf" => settings.extend(setting(value)),
            "qemu-id" => ids.push(value.to_owned()),
            _ => {}
        }
    }
    system.uid = uid?;
    system.qemu = qemu_user(&settings, &ids);
    Some(system)
}

fn unquoted(value: &str) -> String {
    value.trim_matches(['"', '\'']).to_owned()
}

fn named_number(line: &str) -> Option<(String, u32)> {
    let mut fields = line.split(':');
    let name = fields.next()?.to_owned();
    Some((name, fields.nth(1)?.parse().ok()?))
}

/// `user = "libvirt-qemu"` of qemu.conf.
fn setting(line: &str) -> Option<(String, String)> {
    let (name, value) = line.split_once('=')?;
    Some((name.trim().to_owned(), unquoted(value.trim()).trim_start_matches('+').to_owned()))
}

/// The user of qemu.conf, else the one that the distribution's packages make. Lines of ids are `NAME UID GID GROUP...`.
fn qemu_user(settings: &BTreeMap<String, String>, ids: &[String]) -> Option<QemuUser> {
    let users = ids.iter().filter_map(|line| {
        let mut words = line.split(' ');
        let name = words.next()?.to_owned();
        let uid = words.next()?.parse().ok()?;
        let gid = words.next()?.parse().ok()?;
        let groups = words.filter_map(|word| word.parse().ok()).collect();
        Some(QemuUser { name, uid, gid, groups })
    });
    let users: Vec<_> = users.collect();
    match settings.get("user") {
        Some(name) => users.into_iter().find(|user| user.name == *name || user.uid.to_string() == *name),
        None => users.into_iter().find(|user| user.name == "libvirt-qemu" || user.name == "qemu"),
    }
}

/// What the configuration may read as `host.NAME.facts`.
pub fn as_facts(system: &System) -> serde_json::Value {
    serde_json::json!({
        "hostname": system.hostname,
        "kernel": system.kernel,
        "architecture": system.architecture,
        "distribution": system.distribution,
        "version": system.version,
        "systemd": system.runs_systemd,
        "tools": system.programs,
        "filesystems": system.filesystems,
        "users": system.users,
        "groups": system.groups,
        "qemu_user": system.qemu.as_ref().map(|user| user.name.clone()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = "hostname hv1\nkernel 6.1.0\narchitecture x86_64\nos ID=debian\nos VERSION_ID=\"12\"\nuid 0\ncapabilities 000001fffeffffff\nprogram qemu-img\nprogram chattr\nfilesystem nodev\ttmpfs\nfilesystem \txfs\npasswd root:x:0:0::/root:/bin/sh\ngroup kvm:x:104:\nqemu-conf group = \"kvm\"\nqemu-id libvirt-qemu 64055 104 104 64055\n";

    #[test]
    fn a_debian_hypervisor_is_understood() {
        let system = parse(SAID).expect("a system");
        assert_eq!((system.distribution.as_str(), system.version.as_str(), system.uid), ("debian", "12", 0));
        assert!(system.may_set_immutable());
        assert_eq!(system.filesystems, ["tmpfs".to_owned(), "xfs".to_owned()].into());
        assert_eq!(system.qemu.as_ref().map(|user| (user.name.as_str(), user.groups.len())), Some(("libvirt-qemu", 2)));
    }

    #[test]
    fn the_user_of_qemu_conf_goes_first() {
        let system = parse(&format!("{SAID}qemu-conf user = \"+107\"\nqemu-id qemu 107 107 107\n")).expect("a system");
        assert_eq!(system.qemu.map(|user| user.name), Some("qemu".into()));
    }

    #[test]
    fn a_description_without_a_user_makes_no_sense() {
        assert_eq!(parse("hostname x\n"), None);
    }
}
