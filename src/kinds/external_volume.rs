//! `external_volume`: a volume that the administrator provides, at the same path on every member host.
//!
//! ```hcl
//! external_volume "scratch" {
//!   storage = image_storage.main
//!   mode    = "0770"
//!   bind {
//!     source = "/data/scratch"
//!   }
//! }
//! ```

use std::collections::BTreeMap;

use crate::model::block::Attributes;
use crate::model::{
    Address, Block, Blocks, Datum, Hazard, HazardCode, HostName, NestedBlock, Place, Problem, Problems, Question,
};

use super::ask::mounts::{self, is_within};
use super::ask::{device, nfs_volumes, path, people, selinux, space};
use super::ground;
use super::mounting::{
    Cifs, Look, Nfs, Source, canary, check_mount, check_network, cifs, compare, credentials_question, file_system,
    mount_point, renewal_question,
};
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, BlockSchema, Schema, Type};
use super::verdict::{Proof, Verdict};
use super::{Kind, Scene, Shown, image_storage};

#[derive(Debug)]
pub struct ExternalVolume;

static SCHEMA: Schema = Schema {
    doc: "A volume that the administrator provides: exactly one of directory, bind, tmpfs, device, nfs, cifs.",
    attributes: &[
        A::required("storage", Type::Resource(&["image_storage"]), "The image storage that the volume belongs to."),
        A::optional("mount_point", Type::Path, "The same on every member; default ROOT/NAME of the storage."),
        A::optional(
            "shared",
            Type::Bool,
            "directory only; default false. True: prove that all members see the same directory.",
        ),
        A::optional(
            "owner",
            Type::Text,
            "Owner of the volume's root directory, by name or number; default: the storage's.",
        ),
        A::optional(
            "group",
            Type::Text,
            "Group of the volume's root directory, by name or number; default: the storage's.",
        ),
        A::optional("mode", Type::Mode, "Mode of the volume's root directory; default: the storage's."),
        A::optional("options", Type::Texts, "Mount options, added to the kind's own."),
        A::optional(
            "persist",
            Type::Text,
            "What mounts it at boot: \"fstab\" (default), \"systemd\" (a mount unit) or \"none\". Under `ignore_changes` /etc/fstab and the unit are left as they are once the volume is there.",
        )
        .one_of(&["fstab", "systemd", "none"]),
    ],
    blocks: &[
        BlockSchema {
            name: "directory",
            many: false,
            attributes: &[],
            doc: "A directory of each member; nothing is mounted.",
        },
        BlockSchema {
            name: "bind",
            many: false,
            attributes: &[A::required(
                "source",
                Type::Path,
                "The directory that appears at the mount point. It must exist.",
            )],
            doc: "A directory that is mounted at a second place.",
        },
        BlockSchema {
            name: "tmpfs",
            many: false,
            attributes: &[A::required("size", Type::Size, "The most that it may hold.")],
            doc: "A file system in memory: empty after each boot.",
        },
        BlockSchema {
            name: "device",
            many: false,
            attributes: &[
                A::required("path", Type::Path, "A stable name of the block device, as in /dev/disk/by-id."),
                A::required("fstype", Type::Text, "The file system.").one_of(&["xfs", "ext4", "btrfs"]),
                A::optional("label", Type::Text, "Label of the file system; default NAME."),
                A::optional("format", Type::Bool, "It may be formatted, if it is provably blank; default false."),
            ],
            doc: "A file system on a block device of one host.",
        },
        BlockSchema {
            name: "nfs",
            many: false,
            attributes: &[
                A::required("server", Type::Text, "Name or address of the server; an IPv6 address without brackets."),
                A::required("export", Type::Path, "The directory that the server exports."),
                A::optional("version", Type::Text, "Version of the protocol; default \"4.2\".")
                    .one_of(&["3", "4.0", "4.1", "4.2"]),
            ],
            doc: "A directory of an NFS server. The server decides whose files are whose: a squashed root cannot give them away.",
        },
        BlockSchema {
            name: "cifs",
            many: false,
            attributes: &[
                cifs::SERVER,
                cifs::SHARE,
                cifs::PATH,
                cifs::USERNAME,
                cifs::PASSWORD,
                cifs::DOMAIN,
                cifs::VERSION,
            ],
            doc: "A directory of a CIFS (SMB) share. Owner, group and mode are mount options there.",
        },
    ],
};

const SOURCES: [&str; 6] = ["directory", "bind", "tmpfs", "device", "nfs", "cifs"];

impl Kind for ExternalVolume {
    fn name(&self) -> &'static str {
        "external_volume"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        let storage = block.resource("storage").and_then(|address| all.get(address)).cloned();
        inherit(block, storage.as_ref());
        block.default_to("persist", Datum::text("fstab"));
        let mut problems = check(block, storage.as_ref());
        let label = default_label(block);
        if let Some(device) = block.blocks.iter_mut().find(|nested| nested.name == "device") {
            problems.extend(check_device(device, &block.address));
            device.attributes.entry("label".into()).or_insert_with(|| crate::model::Attribute::default_value(label));
            device
                .attributes
                .entry("format".into())
                .or_insert_with(|| crate::model::Attribute::default_value(Datum::Bool(false)));
        }
        for nested in block.blocks.iter_mut().filter(|nested| matches!(nested.name.as_str(), "nfs" | "cifs")) {
            let version = if nested.name == "nfs" { "4.2" } else { cifs::DEFAULT_VERSION };
            let version = crate::model::Attribute::default_value(Datum::text(version));
            nested.attributes.entry("version".into()).or_insert(version);
            problems.extend(check_network(nested));
        }
        problems
    }

    fn hosts(&self, block: &Block, all: &Blocks) -> Vec<HostName> {
        let storage = block.resource("storage").and_then(|address| all.get(address));
        storage.map(|storage| image_storage::ImageStorage.hosts(storage, all)).unwrap_or_default()
    }

    fn paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        block.text("mount_point").map(str::to_owned).into_iter().collect()
    }

    fn default_place(&self, block: &Block, all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("mount_point", default_mount_point(block, all.get(block.resource("storage")?)?)))
    }

    fn identities(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        let source = match source(block) {
            Some(Source::Device { path, .. }) => Some(path),
            Some(source) if source.is_network() => Some(source.shown()),
            _ => None,
        };
        std::iter::once(mount_point(block).to_owned()).chain(source).collect()
    }

    fn needs_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        let own = mount_point(block).to_owned();
        match source(block) {
            Some(Source::Bind { source }) => vec![own, source],
            _ => vec![own],
        }
    }

    fn questions(&self, block: &Block, blocks: &Blocks, _host: &HostName) -> Vec<Question> {
        let at = mount_point(block);
        let mut all =
            vec![path::question(at), path::entries_question(at), path::attributes_question(at), space::question(at)];
        all.extend(ground::people_questions(block));
        match source(block) {
            Some(Source::Bind { source }) => all.extend([path::question(&source), space::question(&source)]),
            Some(Source::Device { path, .. }) => all.push(device::question(&path)),
            Some(source) => {
                all.extend(credentials_question(&block.address, &source));
                all.extend(renewal_question(block, &source));
            }
            None => {}
        }
        all.extend(source(block).and_then(|source| source.selinux_boolean()).map(selinux::question));
        if block.nested("nfs").is_some() && self.hosts(block, blocks).len() > 1 {
            all.push(nfs_volumes::question());
        }
        // Asked as both users that distributions have; a host without them says no, and that answer is not used.
        all.extend(["libvirt-qemu", "qemu"].map(|user| people::access_question(user, at, false)));
        all
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks);
        let judged = hosts.iter().map(|host| {
            let verdict = Look::at_or_broken(block, source, scene, host).and_then(|look| look.judge());
            (host.clone(), verdict.unwrap_or_else(Verdict::unknown))
        });
        let mut verdicts: BTreeMap<_, _> = judged.collect();
        if block.boolean("shared") == Some(true) {
            prove_shared(block, scene, &hosts, &mut verdicts);
        }
        compare(block, source, scene, &hosts, &mut verdicts);
        verdicts
    }

    fn prove(&self, block: &Block, scene: &Scene, verdicts: &BTreeMap<HostName, Verdict>) -> Option<Proof> {
        canary(block, source, scene, verdicts)
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, source, scene, host).and_then(|look| look.unmake()).unwrap_or_else(Verdict::unknown)
    }

    fn shows(&self, block: &Block) -> Option<Shown> {
        Shown::of(&source(block)?, mount_point(block))
    }

    fn room(&self, block: &Block, scene: &Scene, host: &HostName) -> Option<Room> {
        let (state, guard, cannot_reserve) = match Look::at_or_broken(block, source, scene, host) {
            Ok(look) => (look.room_state(), look.room_guard(), look.cannot_reserve()),
            Err(why) => (RoomState::Unknown(why), Vec::new(), None),
        };
        Some(Room {
            directory: mount_point(block).to_owned(),
            state,
            shared: block.boolean("shared") == Some(true) || source(block).is_some_and(|source| source.is_network()),
            volatile: block.nested("tmpfs").is_some(),
            cannot_reserve,
            guard,
        })
    }

    fn image_directories(&self, block: &Block) -> Vec<String> {
        let at = mount_point(block).to_owned();
        match source(block) {
            Some(Source::Bind { source }) => vec![at, source],
            _ => vec![at],
        }
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[("format_device", include_str!("ask/mkfs.sh"))]
    }
}

// ---- the block -------------------------------------------------------------------------------------------------------

/// Owner, group, mode and the default mount point come from the storage.
pub(super) fn inherit(block: &mut Block, storage: Option<&Block>) {
    if block.is_unknown("storage") {
        block.default_to("mount_point", Datum::Unknown);
        return;
    }
    let Some(storage) = storage else { return };
    for name in ["owner", "group", "mode"] {
        if let Some(value) = storage.datum(name) {
            block.default_to(name, value.clone());
        }
    }
    let default = default_mount_point(block, storage);
    block.default_to("mount_point", default);
}

pub(super) fn default_mount_point(block: &Block, storage: &Block) -> Datum {
    match storage.datum("root") {
        Some(Datum::Text(root)) => {
            Datum::text(format!("{}/{}", root.trim_end_matches('/'), block.address.default_name()))
        }
        _ => Datum::Unknown,
    }
}

fn check(block: &Block, storage: Option<&Block>) -> Problems {
    let mut problems = check_mount(block);
    let mut error = |code: &str, summary: String, detail: &str, place: Option<&Place>| {
        problems.push(Problem::error(code, summary, detail).at(place))
    };
    let mut present: Vec<_> =
        block.blocks.iter().map(|nested| nested.name.as_str()).filter(|name| SOURCES.contains(name)).collect();
    // A block that stands twice is an error of its own.
    present.dedup();
    match present.as_slice() {
        [_] => {}
        [] => error(
            "missing-block",
            format!("{} does not say where its bytes are", block.address),
            "Add exactly one of the blocks directory, bind, tmpfs, device, nfs or cifs.",
            block.place.as_deref(),
        ),
        several => error(
            "conflicting-blocks",
            format!("{} has {}", block.address, several.join(" and ")),
            "Keep exactly one of the blocks directory, bind, tmpfs, device, nfs or cifs.",
            block.nested(several[1]).and_then(|second| second.place.as_deref()),
        ),
    }
    if block.boolean("shared") == Some(true) && present != ["directory"] {
        error(
            "conflicting-attributes",
            "`shared` is for directories".to_owned(),
            "A bind, tmpfs or device volume belongs to one host, and that members see one export is always proved.",
            block.place_of("shared"),
        );
    }
    let members = storage.map(|storage| storage.resources("hosts").len());
    if present == ["device"] && members.is_some_and(|members| members > 1) {
        error(
            "not-a-cluster-file-system",
            format!("{} would be mounted on {} hosts", block.address, members.unwrap_or(0)),
            "xfs, ext4 and btrfs are damaged when two hosts mount them. Use a storage with one host, or a cluster file system.",
            block.nested("device").and_then(|nested| nested.place.as_deref()),
        );
    }
    if let Some(size) = block.nested("tmpfs").and_then(|tmpfs| tmpfs.size("size")).filter(|size| size.0 < 64 << 10) {
        error(
            "invalid-value",
            format!("a tmpfs of {size} bytes holds nothing"),
            "A number without a unit counts bytes; write a size like \"64MiB\".",
            block.nested("tmpfs").and_then(|tmpfs| tmpfs.place_of("size")),
        );
    }
    if let (Some(at), Some(nested)) = (block.text("mount_point"), block.nested("bind"))
        && nested.text("source").is_some_and(|source| is_within(at, source) || is_within(source, at))
    {
        error(
            "invalid-value",
            format!("{at} and the source of the bind mount lie in each other"),
            "A directory cannot appear inside itself.",
            nested.place_of("source"),
        );
    }
    problems
}

/// The name of the volume, cut to what the file system can hold.
fn default_label(block: &Block) -> Datum {
    let fstype = block.nested("device").and_then(|device| device.text("fstype"));
    let longest = fstype.and_then(file_system).map_or(12, |one| one.longest_label);
    let name = block.address.default_name();
    let end =
        name.char_indices().map(|(at, c)| at + c.len_utf8()).take_while(|end| *end <= longest).last().unwrap_or(0);
    Datum::text(&name[..end])
}

fn check_device(device: &NestedBlock, address: &Address) -> Problems {
    let mut problems = Problems::new();
    if let Some(path) = device.text("path") {
        if !path.starts_with("/dev/") {
            problems.push(
                Problem::error(
                    "invalid-value",
                    format!("{path} is no device"),
                    "A device lies below /dev, best in /dev/disk/by-id.",
                )
                .at(device.place_of("path")),
            );
        }
        if is_unstable(path) {
            problems.push(
                Problem::error(
                    "unstable-device-name",
                    format!("{path} may be another disk after the next boot"),
                    format!("Name the device of {address} by /dev/disk/by-id/... (`ls -l /dev/disk/by-id` on the host shows which)."),
                )
                .at(device.place_of("path")),
            );
        }
    }
    let longest = device.text("fstype").and_then(file_system).map(|one| one.longest_label);
    if let (Some(label), Some(longest)) = (device.text("label"), longest)
        && (label.len() > longest || label.chars().any(char::is_control))
    {
        problems.push(
            Problem::error(
                "invalid-value",
                format!("{label:?} is no label"),
                format!("This file system takes labels of at most {longest} bytes."),
            )
            .at(device.place_of("label")),
        );
    }
    problems
}

/// Whether a name below /dev is given out anew at each boot.
pub(super) fn is_unstable(path: &str) -> bool {
    let letters = path.strip_prefix("/dev/").unwrap_or("");
    ["sd", "vd", "xvd", "hd"].iter().any(|prefix| {
        letters.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
    }) || ["nvme", "mmcblk", "nbd", "loop", "md", "dm-"]
        .iter()
        .any(|prefix| letters.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())))
}

fn source(block: &Block) -> Option<Source> {
    let nested = block.blocks.iter().find(|nested| SOURCES.contains(&nested.name.as_str()))?;
    let text = |name: &str| nested.text(name).map(str::to_owned);
    Some(match nested.name.as_str() {
        "directory" => Source::Directory,
        "bind" => Source::Bind { source: text("source")? },
        "tmpfs" => Source::Tmpfs { size: nested.size("size")? },
        "nfs" => Source::Nfs(Nfs { server: text("server")?, export: text("export")?, version: text("version")? }),
        "cifs" => Source::Cifs(Cifs {
            server: text("server")?,
            share: text("share")?,
            path: text("path").unwrap_or_default(),
            username: text("username")?,
            password: text("password"),
            domain: text("domain"),
            version: text("version")?,
            reads_only: false,
        }),
        _ => Source::Device {
            path: text("path")?,
            fstype: text("fstype")?,
            label: text("label")?,
            format: nested.boolean("format") == Some(true),
        },
    })
}

/// Whether all members see one directory: the same network mount with the same root, and the same inode.
fn prove_shared(block: &Block, scene: &Scene, hosts: &[HostName], verdicts: &mut BTreeMap<HostName, Verdict>) {
    let at = mount_point(block);
    let seen = |host: &HostName| -> Result<(String, u64), String> {
        let facts = scene.host(host);
        let mounts = mounts::read(facts)?;
        let mount = mounts.containing(at).ok_or("nothing is mounted there")?;
        let lineage = path::read(facts, at)?;
        let inode = lineage.last().ok_or_else(|| format!("{at} does not exist on {host}"))?;
        let is_network = matches!(mount.fstype.as_str(), "nfs" | "nfs4" | "cifs" | "smb3" | "ocfs2" | "gfs2" | "ceph")
            || mount.fstype.starts_with("fuse.");
        match is_network || hosts.len() == 1 {
            true => Ok((format!("{} {}", mount.source, mount.root), inode.inode)),
            false => {
                Err(format!("{at} on {host} lies on {} ({}), which no other host sees", mount.source, mount.fstype))
            }
        }
    };
    let all: Result<Vec<_>, _> = hosts.iter().map(seen).collect();
    let message = match all {
        Err(why) => why,
        Ok(seen) => match seen.windows(2).position(|pair| pair[0] != pair[1]) {
            None => return,
            Some(at_pair) => format!(
                "{at} is {} on {} and {} on {}",
                seen[at_pair].0,
                hosts[at_pair],
                seen[at_pair + 1].0,
                hosts[at_pair + 1]
            ),
        },
    };
    let hazard = Hazard::new(
        HazardCode::NotShared,
        &block.address,
        None,
        message,
        "Mount the same storage on all members first, or set shared = false.",
    );
    if let Some(verdict) = hosts.first().and_then(|host| verdicts.get_mut(host)) {
        verdict.hazards.push(hazard);
    }
}
