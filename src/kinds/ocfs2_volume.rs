//! `ocfs2_volume`: one device that all members of a storage see, with the cluster file system OCFS2: formatted once if it is blank on
//! all of them, mounted on each.
//!
//! ```hcl
//! ocfs2_volume "manager" {
//!   storage = image_storage.main
//!   cluster = ocfs2_cluster.vms
//!   device  = "/dev/disk/by-id/wwn-0x60014051234567890"
//!   format  = true
//! }
//! ```

use std::collections::BTreeMap;

use crate::model::block::Attributes;
use crate::model::{Block, Blocks, Datum, HostName, Place, Problem, Problems, Question};

use super::ask::{device, o2cb, ocfs2, path, people, space};
use super::external_volume::{default_mount_point, inherit, is_unstable};
use super::mounting::{Look, Source, check_mount, mount_point, prove_same_device};
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::{Standing, Verdict};
use super::{Kind, Scene, clustering, ground, image_storage};

#[derive(Debug)]
pub struct Ocfs2Volume;

static SCHEMA: Schema = Schema {
    doc: "A volume on one device that all hosts of a storage see, with the cluster file system OCFS2.",
    attributes: &[
        A::required("storage", Type::Resource(&["image_storage"]), "The image storage that the volume belongs to."),
        A::required(
            "cluster",
            Type::Resource(&["ocfs2_cluster"]),
            "The cluster of its hosts. Each host of the storage is a node of it.",
        ),
        A::required(
            "device",
            Type::Path,
            "A name of the device that is the same on all hosts and stays, as in /dev/disk/by-id or /dev/mapper.",
        ),
        A::optional("label", Type::Text, "Label of the file system, at most 63 bytes; default NAME."),
        A::optional(
            "slots",
            Type::Integer,
            "How many hosts can mount it at once, 1 to 255; default twice the members, at least 4. Each takes a journal of 128 or 256 MiB; slots are added only while nobody has it mounted.",
        ),
        A::optional("format", Type::Bool, "It may be formatted, if it is provably blank on all hosts; default false."),
        A::optional("mount_point", Type::Path, "The same on every member; default ROOT/NAME of the storage."),
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
    blocks: &[],
};

impl Kind for Ocfs2Volume {
    fn name(&self) -> &'static str {
        "ocfs2_volume"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        let storage = block.resource("storage").and_then(|address| all.get(address)).cloned();
        inherit(block, storage.as_ref());
        block.default_to("persist", Datum::text("fstab"));
        block.default_to("format", Datum::Bool(false));
        let label = block.address.default_name();
        block.default_to("label", Datum::text(label));
        let members = storage.as_ref().filter(|storage| !storage.is_unknown("hosts"));
        let slots = members.map(|storage| default_slots(storage.resources("hosts").len()));
        block.default_to("slots", slots.map_or(Datum::Unknown, Datum::Integer));
        check(block, all)
    }

    fn contradictions(&self, all: &Blocks) -> Problems {
        let mut first: BTreeMap<&str, &Block> = BTreeMap::new();
        let mut problems = Problems::new();
        for block in all.values().filter(|block| block.address.is(self.name())) {
            let Some(device) = block.text("device") else { continue };
            let other = *first.entry(device).or_insert(block);
            if other.address != block.address {
                problems.push(
                    Problem::error(
                        "invalid-value",
                        format!("{} is on {device} too", other.address),
                        "A device holds one volume: give each its own.",
                    )
                    .at(block.place_of("device")),
                );
            }
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
        [mount_point(block)].into_iter().chain(block.text("device")).map(str::to_owned).collect()
    }

    fn needs_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        vec![mount_point(block).to_owned()]
    }

    fn questions(&self, block: &Block, all: &Blocks, host: &HostName) -> Vec<Question> {
        let at = mount_point(block);
        let device = block.text("device").unwrap_or_default();
        let mut questions =
            vec![path::question(at), path::entries_question(at), path::attributes_question(at), space::question(at)];
        questions.extend(ground::people_questions(block));
        questions.extend([device::question(device), ocfs2::question(device), o2cb::question()]);
        let cluster = block.resource("cluster").and_then(|address| all.get(address));
        let nodes = cluster.map(|cluster| clustering::others(cluster, host)).unwrap_or_default();
        questions.extend(nodes.iter().map(|(_, address, port)| o2cb::port_question(address, *port)));
        questions.extend(["libvirt-qemu", "qemu"].map(|user| people::access_question(user, at, false)));
        questions
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks);
        let judged = hosts.iter().map(|host| {
            let verdict = match awaited(block, scene, host) {
                Some(why) => Verdict { standing: Standing::Later(why), ..Verdict::default() },
                None => {
                    Look::at(block, source, scene, host).and_then(|look| look.judge()).unwrap_or_else(Verdict::unknown)
                }
            };
            (host.clone(), verdict)
        });
        let mut verdicts: BTreeMap<_, _> = judged.collect();
        wait_for_all(block, &mut verdicts);
        prove_same_device(block, source, scene, &hosts, &mut verdicts);
        verdicts
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, source, scene, host).and_then(|look| look.unmake()).unwrap_or_else(Verdict::unknown)
    }

    fn room(&self, block: &Block, scene: &Scene, host: &HostName) -> Option<Room> {
        let (state, guard) = match Look::at(block, source, scene, host) {
            Ok(look) => (look.room_state(), look.room_guard()),
            Err(why) => (RoomState::Unknown(why), Vec::new()),
        };
        Some(Room {
            directory: mount_point(block).to_owned(),
            state,
            shared: true,
            volatile: false,
            cannot_reserve: None,
            guard,
        })
    }

    fn image_directories(&self, block: &Block) -> Vec<String> {
        vec![mount_point(block).to_owned()]
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[("format_ocfs2", include_str!("ask/format_ocfs2.sh")), ("grow_ocfs2", include_str!("ask/grow_ocfs2.sh"))]
    }
}

fn default_slots(members: usize) -> i64 {
    i64::try_from(members).map_or(255, |members| (2 * members).clamp(4, 255))
}

fn source(block: &Block) -> Option<Source> {
    Some(Source::Device {
        path: block.text("device")?.to_owned(),
        fstype: "ocfs2".to_owned(),
        label: block.text("label")?.to_owned(),
        format: block.boolean("format") == Some(true),
    })
}

fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = check_mount(block);
    let mut error = |code: &str, summary: String, detail: String, place: Option<&Place>| {
        problems.push(Problem::error(code, summary, detail).at(place.or(block.place.as_deref())));
    };
    if let Some(device) = block.text("device") {
        if !device.starts_with("/dev/") {
            error(
                "invalid-value",
                format!("{device} is no device"),
                "A device lies below /dev, best in /dev/disk/by-id.".to_owned(),
                block.place_of("device"),
            );
        }
        if is_unstable(device) {
            error(
                "unstable-device-name",
                format!("{device} may be another disk after the next boot, and on another host"),
                format!(
                    "Name the device of {} by /dev/disk/by-id/... (`ls -l /dev/disk/by-id` on the hosts shows which they have in common).",
                    block.address
                ),
                block.place_of("device"),
            );
        }
    }
    if let Some(label) = block.text("label").filter(|label| label.len() > 63 || label.chars().any(char::is_control)) {
        error(
            "invalid-value",
            format!("{label:?} is no label"),
            "OCFS2 takes labels of at most 63 bytes.".to_owned(),
            block.place_of("label"),
        );
    }
    for option in block.texts("options") {
        let key = option.split('=').next().unwrap_or_default();
        if matches!(key, "heartbeat" | "cluster_stack" | "noheartbeat") {
            error(
                "invalid-value",
                format!("the option {key} is Larder's to give"),
                "How the hosts know each other follows from `cluster`.".to_owned(),
                block.place_of("options"),
            );
        }
    }
    let known = |name: &str, list: &str| {
        let found = block.resource(name).and_then(|address| all.get(address));
        found.filter(|found| !found.is_unknown(list))
    };
    let storage = known("storage", "hosts");
    let members = storage.map_or(0, |storage| storage.resources("hosts").len());
    if let Some(slots) = block.integer("slots") {
        let least = i64::try_from(members).unwrap_or(i64::MAX).max(1);
        if !(least..=255).contains(&slots) {
            error(
                "invalid-value",
                format!("{slots} slots are not possible for {members} hosts"),
                "Each host that mounts the volume takes a slot; there are 1 to 255.".to_owned(),
                block.place_of("slots"),
            );
        }
    }
    if let (Some(storage), Some(cluster)) = (storage, known("cluster", "nodes")) {
        let nodes = cluster.resources("nodes");
        if let Some(host) = storage.resources("hosts").iter().find(|host| !nodes.contains(host)) {
            error(
                "invalid-value",
                format!("{host} is no node of {}", cluster.address),
                format!("Each host of {} mounts the volume: add it to `nodes`.", storage.address),
                block.place_of("cluster"),
            );
        }
    }
    for option in block.texts("options").iter().filter(|option| *option == "data=writeback") {
        problems.push(
            Problem::warning(
                "risky-option",
                format!("with the option {option}, after a crash images may show old content of other files"),
                "Remove it: the default writes data before what refers to it.",
            )
            .at(block.place_of("options")),
        );
    }
    problems
}

/// The resource whose steps bring the device, if it is not there yet: then what it holds is known only behind them.
fn awaited(block: &Block, scene: &Scene, host: &HostName) -> Option<String> {
    let path = block.text("device")?;
    // What is mounted is judged as it is, whatever names of its device are gone.
    let is_mounted = scene.ground(host).is_ok_and(|ground| !ground.mounts.at(mount_point(block)).is_empty());
    let is_missing = !is_mounted && matches!(device::read(scene.host(host), path), Ok(device::Found::Nothing));
    let bringing = scene.brings_disks(block, host).filter(|_| is_missing)?;
    let then = if block.boolean("format") == Some(true) { "; it is formatted then, if it is blank then" } else { "" };
    Some(format!("{path} comes with {bringing}{then}"))
}

/// What one member has to wait for, all wait for: they look at one device.
fn wait_for_all(block: &Block, verdicts: &mut BTreeMap<HostName, Verdict>) {
    let later = verdicts.iter().find_map(|(host, verdict)| match &verdict.standing {
        Standing::Later(why) => Some((host.clone(), why.clone())),
        _ => None,
    });
    let Some((first, why)) = later else { return };
    for (host, verdict) in verdicts.iter_mut() {
        let begins = verdict.drafts().any(|draft| matches!(draft.action, "mount" | "format"));
        if *host != first && begins {
            verdict.differences.clear();
            verdict.standing = Standing::Later(format!("{} waits on {first}: {why}", block.address));
        }
    }
}
