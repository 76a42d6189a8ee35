//! A block device: what it is, what it holds, and whether it is provably blank.

use crate::model::{Guard, HostFacts, Question, Size};

use super::mounts::Mounts;
use super::{Known, failure};

/// What stands at a device's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    Nothing,
    /// Something that is no block device: `regular file`, `directory`.
    Other(String),
    Device(Box<Device>),
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Device {
    /// The path with links resolved; it may change from boot to boot.
    pub path: String,
    /// `MAJOR:MINOR`.
    pub number: String,
    pub size: Size,
    pub readonly: bool,
    /// WWN, serial number or device-mapper name: what stays the same wherever the device appears.
    pub identities: Vec<String>,
    /// The name that the device mapper gave it, as in /dev/mapper.
    pub mapper_name: Option<String>,
    pub holders: Vec<String>,
    /// The multipath device that it, or the disk it is a partition of, is a path of.
    pub path_of: Option<Map>,
    /// multipathd(8) has taken it for a path, whether or not it has made the map.
    pub is_claimed: bool,
    /// It comes over the network, or is made of a disk that does: iSCSI, NVMe over fabrics.
    pub is_remote: bool,
    pub partitions: Vec<String>,
    pub is_swap: bool,
    /// Processes that have it open.
    pub open_by: Vec<String>,
    /// What blkid(8) found: TYPE, LABEL, UUID, PTTYPE, ...
    pub signature: Vec<(String, String)>,
    /// Why blkid or wipefs could not tell what is on it.
    pub doubts: Vec<String>,
    /// What wipefs(8) found, by type.
    pub wipefs: Vec<String>,
    /// Bytes in the first and last MiB that are not zero.
    pub nonzero: u64,
}

/// A device that multipathd(8) made of several paths to one disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// As in /dev/mapper; where names are friendly, another on each host.
    pub name: String,
    /// The World Wide Identifier, the same on every host: `3600140587b6144a139142cd8fae5f23c`.
    pub wwid: String,
}

impl Map {
    /// The name that is the same on every host and after each boot.
    pub fn path(&self) -> String {
        format!("/dev/disk/by-id/dm-uuid-mpath-{}", self.wwid)
    }
}

impl Device {
    /// The World Wide Name of the disk in lower-case hexadecimal digits, the same on every host that sees it and for a path and its
    /// map; `eui.` stands before that of NVMe. `None` where the hardware tells none that is unique in the world.
    pub fn wwn(&self) -> Option<String> {
        self.identities.iter().find_map(|identity| wwn(identity))
    }

    /// What stays the same wherever the disk appears, best first: its World Wide Name, else the first thing that it tells.
    pub fn identity(&self) -> Option<String> {
        self.wwn().or_else(|| self.identities.iter().find(|identity| !identity.is_empty()).cloned())
    }

    /// Why this is a wrong name for the disk, and the right one, where it is but one path of a multipath device. `what` is how people
    /// named it: `/dev/disk/by-id/wwn-0x6001 on hv1`.
    pub fn misnamed(&self, what: &str) -> Option<(String, String)> {
        match &self.path_of {
            Some(map) => Some((
                format!("{what} is only one path of the multipath device {}", map.name),
                format!("Name the device {} instead: it goes on when a path fails.", map.path()),
            )),
            None if self.is_claimed => Some((
                format!("{what} belongs to multipathd, which has made no device of it"),
                "See why with `multipath -v3` there, and name the device /dev/disk/by-id/dm-uuid-mpath-... that it makes.".to_owned(),
            )),
            None => None,
        }
    }

    pub fn tag(&self, name: &str) -> Option<&str> {
        self.signature.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The label of the file system, without the escapes of blkid; empty where it has none.
    pub fn label(&self) -> String {
        self.tag("LABEL").unwrap_or("").replace('\\', "")
    }

    /// What the device holds, for a sentence; `None` where nothing was found.
    pub fn contents(&self) -> Option<String> {
        let mut parts = Vec::new();
        if let Some(kind) = self.tag("TYPE") {
            let mut text = kind.to_owned();
            for (name, word) in [("LABEL", "label"), ("UUID", "uuid")] {
                if let Some(value) = self.tag(name) {
                    text.push_str(&format!(" {word} {value}"));
                }
            }
            parts.push(text);
        }
        if let Some(table) = self.tag("PTTYPE") {
            parts.push(format!("a partition table ({table})"));
        }
        if parts.is_empty() && !self.wipefs.is_empty() {
            parts.push(format!("a signature of {}", self.wipefs.join(", ")));
        }
        if parts.is_empty() && self.nonzero > 0 {
            parts.push("data in its first or last MiB that is not zero".to_owned());
        }
        (!parts.is_empty()).then(|| parts.join(" and "))
    }

    /// Everything that speaks against formatting it; empty means provably blank.
    pub fn objections(&self, mounts: &Mounts) -> Vec<String> {
        let mut all = Vec::new();
        if let Some(contents) = self.contents() {
            all.push(format!("holds {contents}"));
        }
        all.extend(self.doubts.iter().map(|doubt| format!("cannot be read for certain: {doubt}")));
        if !self.partitions.is_empty() {
            all.push(format!("has partitions ({})", self.partitions.join(", ")));
        }
        if let Some(map) = &self.path_of {
            all.push(format!("is a path of the multipath device {}", map.name));
        } else if self.is_claimed {
            all.push("belongs to multipathd".to_owned());
        } else if !self.holders.is_empty() {
            all.push(format!("is held by {}", self.holders.join(", ")));
        }
        if !self.open_by.is_empty() {
            all.push(format!("is open in the process {}", self.open_by.join(", ")));
        }
        if self.is_swap {
            all.push("is in use as swap".to_owned());
        }
        if let Some(mount) = mounts.0.iter().find(|mount| self.is_source_of(mount)) {
            all.push(format!("is mounted on {}", mount.target));
        }
        if self.readonly {
            all.push("is read-only".to_owned());
        }
        all
    }

    /// Whether a mount is one of this device. btrfs mounts have a device number of their own and tell the source's path.
    pub fn is_source_of(&self, mount: &super::mounts::Mount) -> bool {
        mount.device == self.number || self.is_named(&mount.source)
    }

    /// Whether a path below /dev is certainly this device: the kernel's name, that in /dev/mapper, that of LVM.
    pub fn is_named(&self, path: &str) -> bool {
        let Some(name) = &self.mapper_name else { return path == self.path };
        path == self.path
            || path.strip_prefix("/dev/mapper/") == Some(name)
            || self.identities.iter().any(|identity| identity.starts_with("LVM-"))
                && path.strip_prefix("/dev/").and_then(|path| path.split_once('/')).is_some_and(|(group, volume)| {
                    // LVM joins the two with a hyphen, and doubles those within them.
                    [group, volume].map(|part| part.replace('-', "--")).join("-") == *name
                })
    }
}

/// The unique part of what a disk or a map tells of itself: `naa.6001...` of SCSI, `eui.0025...` of NVMe, `mpath-36001...`, where the 3
/// says that a name of the NAA follows (scsi_id(8)).
pub(in crate::kinds) fn wwn(identity: &str) -> Option<String> {
    let text = identity.trim().to_ascii_lowercase();
    let text = text.strip_prefix("mpath-").unwrap_or(&text);
    let is_name = |digits: &str| matches!(digits.len(), 16 | 32) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let naa = text.strip_prefix("naa.").or_else(|| text.strip_prefix('3')).or_else(|| text.strip_prefix("0x"));
    match naa.filter(|digits| is_name(digits)) {
        Some(digits) => Some(digits.to_owned()),
        None => text.strip_prefix("eui.").filter(|digits| is_name(digits)).map(|digits| format!("eui.{digits}")),
    }
}

pub fn question(path: &str) -> Question {
    Question::new(["device_facts", path])
}

pub fn read(facts: &HostFacts, path: &str) -> Known<Found> {
    let reply = facts.said(&question(path))?;
    if reply.status != 0 {
        let absent = ["No such file or directory", "Not a directory"];
        return match absent.iter().any(|text| reply.err.trim_end().ends_with(text)) {
            true => Ok(Found::Nothing),
            false => Err(failure(&reply)),
        };
    }
    parse(&reply.out)
}

/// A guard that holds while the device is and holds what it did.
pub fn guard(facts: &HostFacts, path: &str) -> Known<Guard> {
    let reply = facts.said(&question(path))?;
    Ok(Guard { what: format!("the device {path}"), ask: question(path), status: reply.status, out: reply.out })
}

fn parse(text: &str) -> Known<Found> {
    let mut device = Device::default();
    let (mut kind, mut size, mut blkid, mut wipefs, mut regions) = (None, None, None, None, 0);
    for line in text.lines() {
        let (word, value) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "type" => kind = Some(value.to_owned()),
            "path" => device.path = value.to_owned(),
            "number" => device.number = value.to_owned(),
            "size" => size = value.parse().ok().map(Size),
            "readonly" => device.readonly = value != "0",
            "mapper" => device.mapper_name = Some(value.to_owned()),
            "identity" => device.identities.push(value.trim().to_owned()),
            "holder" => device.holders.push(value.to_owned()),
            "path-of" => {
                let (wwid, name) = value
                    .strip_prefix("mpath-")
                    .and_then(|map| map.split_once(' '))
                    .ok_or("a multipath device without a name")?;
                device.path_of = Some(Map { name: name.to_owned(), wwid: wwid.to_owned() });
            }
            "claimed" => device.is_claimed = true,
            "network" => device.is_remote = true,
            "partition" => device.partitions.push(value.to_owned()),
            "swap" => device.is_swap = true,
            "open" => device.open_by.push(value.to_owned()),
            "sysfs" => device.doubts.push("it is missing in /sys/dev/block".to_owned()),
            "blkid" => blkid = Some(value.to_owned()),
            "blkid:" => {
                device.signature.extend(value.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
            }
            "wipefs" => wipefs = Some(value.to_owned()),
            "wipefs:" if wipefs.as_deref() == Some("0") => {
                device.wipefs.push(value.split_whitespace().next().unwrap_or("something").to_owned());
            }
            "bytes" => {
                device.nonzero +=
                    value.trim().parse::<u64>().map_err(|_| format!("a count of bytes makes no sense: {value:?}"))?;
                regions += 1;
            }
            "unreadable" => {
                device.doubts.push(format!("it cannot be read: {value}"));
                regions += 1;
            }
            _ => {}
        }
    }
    device.signature.retain(|(key, _)| key != "DEVNAME");
    match kind.as_deref() {
        Some("block special file") => {}
        Some(other) => return Ok(Found::Other(other.to_owned())),
        None => return Err("the answer about the device is incomplete".to_owned()),
    }
    device.size = size.ok_or("the size of the device is unknown")?;
    // blkid(8): 0 something was found, 2 nothing was; anything else is no answer.
    match blkid.as_deref() {
        Some("0" | "2") => {}
        Some("8") => device.doubts.push("blkid found signatures of several kinds".to_owned()),
        other => device.doubts.push(format!("blkid gave no answer (exit status {})", other.unwrap_or("unknown"))),
    }
    if wipefs.as_deref() != Some("0") {
        device.doubts.push(format!("wipefs gave no answer (exit status {})", wipefs.as_deref().unwrap_or("unknown")));
    }
    if regions != 2 {
        device.doubts.push("its first and last MiB were not read".to_owned());
    }
    Ok(Found::Device(Box::new(device)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const BLANK: &str = "type block special file\npath /dev/loop3\nnumber 7:3\nsize 536870912\nreadonly 0\nblkid 2\nwipefs 0\nbytes 0\nbytes 0\n";

    fn device(text: &str) -> Device {
        match parse(text).expect("an answer") {
            Found::Device(device) => *device,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn only_a_whole_answer_proves_a_blank_device() {
        assert_eq!(device(BLANK).objections(&Mounts::default()), Vec::<String>::new());
        for line in ["blkid 2\n", "wipefs 0\n", "bytes 0\nbytes 0\n"] {
            assert_ne!(device(&BLANK.replace(line, "")).objections(&Mounts::default()), Vec::<String>::new(), "{line}");
        }
        assert!(parse(&BLANK.replace("size 536870912\n", "")).is_err());
    }

    #[test]
    fn everything_that_could_be_data_is_named() {
        let table = [
            ("blkid 2", "blkid 0\nblkid: PTUUID=ab12\nblkid: PTTYPE=dos", "holds a partition table (dos)"),
            (
                "blkid 2",
                "blkid 0\nblkid: LABEL=data\nblkid: UUID=1234\nblkid: TYPE=ext4",
                "holds ext4 label data uuid 1234",
            ),
            ("blkid 2", "blkid 0\nblkid: TYPE=minix", "holds minix"),
            ("blkid 2", "blkid 0\nblkid: UUID=77\nblkid: TYPE=crypto_LUKS", "holds crypto_LUKS uuid 77"),
            ("wipefs 0", "wipefs 0\nwipefs: LVM2_member 0x218", "holds a signature of LVM2_member"),
            ("bytes 0\nbytes 0", "bytes 0\nbytes 17", "holds data in its first or last MiB that is not zero"),
            ("blkid 2", "blkid 8", "cannot be read for certain: blkid found signatures of several kinds"),
            (
                "blkid 2",
                "blkid 4\nblkid: error: /dev/loop3: Input/output error",
                "cannot be read for certain: blkid gave no answer (exit status 4)",
            ),
            (
                "bytes 0\nbytes 0",
                "unreadable dd: error reading '/dev/loop3': Input/output error\nbytes 0",
                "cannot be read for certain: it cannot be read: dd: error reading '/dev/loop3': Input/output error",
            ),
            ("blkid 2", "holder dm-0\nblkid 2", "is held by dm-0"),
            ("blkid 2", "holder dm-3\npath-of mpath-36001 data\nblkid 2", "is a path of the multipath device data"),
            ("blkid 2", "claimed\nblkid 2", "belongs to multipathd"),
            ("blkid 2", "partition sda1\nblkid 2", "has partitions (sda1)"),
            ("blkid 2", "swap\nblkid 2", "is in use as swap"),
            ("blkid 2", "open 77\nblkid 2", "is open in the process 77"),
            ("readonly 0", "readonly 1", "is read-only"),
        ];
        for (old, new, objection) in table {
            assert_eq!(device(&BLANK.replace(old, new)).objections(&Mounts::default()), [objection], "{new}");
        }
    }

    #[test]
    fn a_mapped_device_is_known_by_each_of_its_names() {
        let mapped = "path /dev/dm-3\nmapper vg-my--images\nidentity LVM-abc";
        let lvm = BLANK.replace("path /dev/loop3", mapped);
        let crypt = lvm.replace("LVM-abc", "CRYPT-LUKS2-abc");
        let table = [
            (&lvm, "0:41", "/dev/mapper/vg-my--images", true),
            (&lvm, "0:41", "/dev/vg/my-images", true),
            (&lvm, "0:41", "/dev/dm-3", true),
            (&lvm, "7:3", "/dev/anything", true),
            (&lvm, "0:41", "/dev/mapper/vg-my-images", false),
            (&lvm, "0:41", "/dev/vg/my--images", false),
            (&lvm, "0:41", "/dev/vg-my/images", false),
            (&lvm, "0:41", "/dev/dm-4", false),
            (&crypt, "0:41", "/dev/mapper/vg-my--images", true),
            (&crypt, "0:41", "/dev/vg/my-images", false),
        ];
        for (answer, number, source, expected) in table {
            let line = format!("1 2 {number} / /srv/x rw - btrfs {source} rw\n");
            let reply = crate::model::Reply { status: 0, out: line, err: String::new() };
            let question = super::super::mounts::question();
            let facts = HostFacts::Reached([(question, crate::model::Answer::Said(reply))].into());
            let mounts = super::super::mounts::read(&facts).expect("one mount");
            let device = device(answer);
            assert_eq!(device.is_source_of(&mounts.0[0]), expected, "{number} {source} of {:?}", device.mapper_name);
            assert_eq!(device.objections(&mounts).is_empty(), !expected, "a mounted device is not blank: {source}");
        }
    }

    #[test]
    fn a_disk_has_one_name_on_every_host_and_path() {
        const NAA: &str = "600140587b6144a139142cd8fae5f23c";
        let table = [
            (format!("naa.{NAA}"), Some(NAA.to_owned())),
            (format!("naa.{}", NAA.to_ascii_uppercase()), Some(NAA.to_owned())),
            (format!("mpath-3{NAA}"), Some(NAA.to_owned())),
            (format!("0x{NAA}"), Some(NAA.to_owned())),
            ("naa.5000c500000000a1".to_owned(), Some("5000c500000000a1".to_owned())),
            ("eui.0025385471b12345".to_owned(), Some("eui.0025385471b12345".to_owned())),
            ("mpath-eui.0025385471b12345".to_owned(), Some("eui.0025385471b12345".to_owned())),
            ("t10.ATA     QEMU HARDDISK   QM00001".to_owned(), None),
            ("larder-shared0".to_owned(), None),
            ("LVM-abc".to_owned(), None),
            ("3".to_owned(), None),
        ];
        for (identity, expected) in table {
            assert_eq!(wwn(&identity), expected, "{identity}");
        }
        let serial = device(&BLANK.replace("blkid 2", "identity larder-shared0\nblkid 2"));
        assert_eq!((serial.wwn(), serial.identity().as_deref()), (None, Some("larder-shared0")));
    }

    #[test]
    fn a_path_of_a_multipath_device_leads_to_the_right_name() {
        let path = device(&BLANK.replace("blkid 2", "holder dm-3\npath-of mpath-36001405 my data\nblkid 2"));
        assert_eq!(path.path_of.as_ref().map(|map| map.name.as_str()), Some("my data"));
        let (why, cure) = path.misnamed("/dev/sdb on hv1").expect("it is a path");
        assert_eq!(why, "/dev/sdb on hv1 is only one path of the multipath device my data");
        assert!(cure.contains("/dev/disk/by-id/dm-uuid-mpath-36001405"), "{cure}");
        assert!(device(&BLANK.replace("blkid 2", "claimed\nblkid 2")).misnamed("x").is_some());
        assert_eq!(device(BLANK).misnamed("x"), None);
        assert!(parse(&BLANK.replace("blkid 2", "path-of nonsense\nblkid 2")).is_err());
    }

    #[test]
    fn what_is_no_block_device_is_said_so() {
        assert_eq!(parse("type regular file\n"), Ok(Found::Other("regular file".into())));
        assert!(parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_is_an_answer_or_unknown(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
