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
use std::rc::Rc;

use uuid::Uuid;

use crate::model::block::Attributes;
use crate::model::{
    Address, Block, Blocks, Command, Datum, Guard, Hazard, HazardCode, HostName, Impact, Mode, NestedBlock, Place,
    Problem, Problems, Question, Size,
};

use super::ask::device::{self, Device, Found};
use super::ask::fstab::{self, Entry, Line, encode_id};
use super::ask::mounts::{self, Mount, is_within};
use super::ask::path::{self, FileType, Inode, Lineage};
use super::ask::{open_files, people, space};
use super::ground::{self, Ground, Permissions};
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, BlockSchema, Schema, Type};
use super::verdict::{Difference, Draft, Edit, Remedy, Standing, Verdict};
use super::{Kind, Scene, image_storage};

#[derive(Debug)]
pub struct ExternalVolume;

static SCHEMA: Schema = Schema {
    doc: "A volume that the administrator provides: exactly one of directory, bind, tmpfs, device.",
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
            "What mounts it at boot: \"fstab\" (default) or \"none\". Under `ignore_changes` /etc/fstab is left as it is once the volume is there.",
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
    ],
};

/// A local file system: the longest label, the smallest device, the pass of fsck(8), all from the mkfs programs' man pages.
struct FileSystem {
    name: &'static str,
    mkfs: &'static str,
    longest_label: usize,
    smallest: u64,
    pass: u8,
}

const FILE_SYSTEMS: [FileSystem; 3] = [
    FileSystem { name: "xfs", mkfs: "mkfs.xfs", longest_label: 12, smallest: 300 << 20, pass: 0 },
    FileSystem { name: "ext4", mkfs: "mkfs.ext4", longest_label: 16, smallest: 8 << 20, pass: 2 },
    FileSystem { name: "btrfs", mkfs: "mkfs.btrfs", longest_label: 255, smallest: 114_294_784, pass: 0 },
];

/// Where a volume's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Directory,
    Bind { source: String },
    Tmpfs { size: Size },
    Device { path: String, fstype: String, label: String, format: bool },
}

const SOURCES: [&str; 4] = ["directory", "bind", "tmpfs", "device"];

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
        let device = match source(block) {
            Some(Source::Device { path, .. }) => Some(path),
            _ => None,
        };
        std::iter::once(mount_point(block).to_owned()).chain(device).collect()
    }

    fn needs_paths(&self, block: &Block, _all: &Blocks) -> Vec<String> {
        let own = mount_point(block).to_owned();
        match source(block) {
            Some(Source::Bind { source }) => vec![own, source],
            _ => vec![own],
        }
    }

    fn questions(&self, block: &Block, _all: &Blocks, _host: &HostName) -> Vec<Question> {
        let at = mount_point(block);
        let mut all =
            vec![path::question(at), path::entries_question(at), path::attributes_question(at), space::question(at)];
        all.extend(ground::people_questions(block));
        match source(block) {
            Some(Source::Bind { source }) => all.extend([path::question(&source), space::question(&source)]),
            Some(Source::Device { path, .. }) => all.push(device::question(&path)),
            _ => {}
        }
        // Asked as both users that distributions have; a host without them says no, and that answer is not used.
        all.extend(["libvirt-qemu", "qemu"].map(|user| people::can_use_question(user, at)));
        all
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let hosts = self.hosts(block, scene.blocks);
        let judged = hosts.iter().map(|host| {
            let verdict = Look::at(block, scene, host).and_then(|look| look.judge());
            (host.clone(), verdict.unwrap_or_else(Verdict::unknown))
        });
        let mut verdicts: BTreeMap<_, _> = judged.collect();
        if block.boolean("shared") == Some(true) {
            prove_shared(block, scene, &hosts, &mut verdicts);
        }
        verdicts
    }

    fn unmake(&self, block: &Block, scene: &Scene, host: &HostName) -> Verdict {
        Look::at(block, scene, host).and_then(|look| look.unmake()).unwrap_or_else(Verdict::unknown)
    }

    fn room(&self, block: &Block, scene: &Scene, host: &HostName) -> Option<Room> {
        let (state, guard) = match Look::at(block, scene, host) {
            Ok(look) => (look.room_state(), look.room_guard()),
            Err(why) => (RoomState::Unknown(why), Vec::new()),
        };
        Some(Room {
            directory: mount_point(block).to_owned(),
            state,
            shared: block.boolean("shared") == Some(true),
            volatile: block.nested("tmpfs").is_some(),
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
fn inherit(block: &mut Block, storage: Option<&Block>) {
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

fn default_mount_point(block: &Block, storage: &Block) -> Datum {
    match storage.datum("root") {
        Some(Datum::Text(root)) => {
            Datum::text(format!("{}/{}", root.trim_end_matches('/'), block.address.default_name()))
        }
        _ => Datum::Unknown,
    }
}

fn check(block: &Block, storage: Option<&Block>) -> Problems {
    let mut problems = Problems::new();
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
            "Add exactly one of the blocks directory, bind, tmpfs or device.",
            block.place.as_deref(),
        ),
        several => error(
            "conflicting-blocks",
            format!("{} has {}", block.address, several.join(" and ")),
            "Keep exactly one of the blocks directory, bind, tmpfs or device.",
            block.nested(several[1]).and_then(|second| second.place.as_deref()),
        ),
    }
    if block.text("persist") == Some("systemd") {
        error(
            "not-supported",
            "persist = \"systemd\" is not supported yet".to_owned(),
            "Use \"fstab\" or \"none\".",
            block.place_of("persist"),
        );
    }
    if block.boolean("shared") == Some(true) && present != ["directory"] {
        error(
            "conflicting-attributes",
            "`shared` is for directories".to_owned(),
            "A bind, tmpfs or device volume belongs to one host.",
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
    if let Some(at) = block.text("mount_point").filter(|at| ground::belongs_to_the_system(at)) {
        error(
            "system-directory",
            format!("{at} belongs to the system"),
            "Choose a directory of its own.",
            block.place_of("mount_point"),
        );
    }
    for option in block.texts("options") {
        if !is_one_option(option) {
            error(
                "invalid-value",
                format!("{option:?} is not one mount option"),
                "Write each option as an element of its own, without commas and white space.",
                block.place_of("options"),
            );
        } else if is_larders_own(option) {
            error(
                "invalid-value",
                format!("the option {option} is Larder's to give"),
                "Remove it; `persist = \"none\"` mounts a volume only now.",
                block.place_of("options"),
            );
        }
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

fn is_one_option(option: &str) -> bool {
    !option.is_empty() && !option.contains([',', ' ', '\t', '\n'])
}

/// Options that say what kind of mount it is, when it is mounted or whose it is.
fn is_larders_own(option: &str) -> bool {
    matches!(option, "remount" | "bind" | "move" | "bg" | "noauto") || option.starts_with(fstab::ID_OPTION)
}

/// Whether an option of a line in fstab is one that a block would name: not one that is so anyhow, that speaks of the boot only,
/// or that attributes and nested blocks stand for.
pub(super) fn is_option_of_the_user(option: &str) -> bool {
    let key = option.split('=').next().unwrap_or_default();
    let is_default = FLAGS.iter().any(|(_, off)| *off == option) || matches!(option, "defaults" | "atime");
    let has_a_place = matches!(key, "size" | "mode" | "uid" | "gid" | "subvol" | "subvolid" | "rbind");
    is_one_option(option) && !is_larders_own(option) && !is_for_boot_only(option) && !is_default && !has_a_place
}

/// The flags of a mount that a block has to name: those that are neither a default nor taken over from the mount that its source
/// lies in.
pub(super) fn beyond_the_defaults(mount: &Mount, inherited: Option<&Mount>) -> Vec<&'static str> {
    option_differences(&[], mount, inherited).1
}

fn file_system(name: &str) -> Option<&'static FileSystem> {
    FILE_SYSTEMS.iter().find(|one| one.name == name)
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

fn mount_point(block: &Block) -> &str {
    block.text("mount_point").unwrap_or("/nonexistent")
}

fn source(block: &Block) -> Option<Source> {
    let nested = block.blocks.iter().find(|nested| SOURCES.contains(&nested.name.as_str()))?;
    let text = |name: &str| nested.text(name).map(str::to_owned);
    Some(match nested.name.as_str() {
        "directory" => Source::Directory,
        "bind" => Source::Bind { source: text("source")? },
        "tmpfs" => Source::Tmpfs { size: nested.size("size")? },
        _ => Source::Device {
            path: text("path")?,
            fstype: text("fstype")?,
            label: text("label")?,
            format: nested.boolean("format") == Some(true),
        },
    })
}

// ---- what the answers mean -------------------------------------------------------------------------------------------

/// Everything that is known of one volume on one host.
struct Look<'a> {
    block: &'a Block,
    address: &'a Address,
    scene: &'a Scene<'a>,
    host: &'a HostName,
    ground: Rc<Ground>,
    at: &'a str,
    source: Source,
    lineage: Lineage,
    entries: Vec<String>,
    wanted: Permissions,
    hazards: Vec<Hazard>,
    /// For a device volume.
    device: Option<Found>,
    /// For a bind volume: its source directory.
    bound: Option<Lineage>,
}

/// The resource that a bind mount shows at a second place.
fn owner_of_source<'a>(source: &Source, block: &Block, scene: &'a Scene, host: &HostName) -> Option<&'a Block> {
    let Source::Bind { source } = source else { return None };
    let owner = scene.owners.get(host)?.get(source)?;
    scene.block(owner).filter(|owner| owner.address != block.address)
}

/// Two blocks that want other permissions of one directory.
fn contradiction(block: &Block, owner: &Block, host: &HostName) -> Option<Hazard> {
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

/// How the mount point is taken.
enum Mounted<'a> {
    Nothing,
    Ours(&'a Mount),
    /// What the volume was before its block changed.
    Previous(&'a Mount),
    Stacked(usize),
    Foreign(&'a Mount),
}

impl<'a> Look<'a> {
    fn at(block: &'a Block, scene: &'a Scene<'a>, host: &'a HostName) -> Result<Self, String> {
        let facts = scene.host(host);
        let ground = scene.ground(host)?;
        let at = mount_point(block);
        let lineage = path::read(facts, at)?;
        let is_directory = lineage.last().is_some_and(|inode| inode.file_type == FileType::Directory);
        let entries = if is_directory { path::read_entries(facts, at)? } else { Vec::new() };
        let mut hazards = Vec::new();
        let source = source(block).ok_or("the block is incomplete")?;
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
        let bound = match &source {
            Source::Bind { source } => Some(path::read(facts, source)?),
            _ => None,
        };
        Ok(Look {
            block,
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
        })
    }

    fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    fn mounted(&self) -> Mounted<'_> {
        let mounts = self.ground.mounts.at(self.at);
        match mounts.as_slice() {
            [] => Mounted::Nothing,
            [mount] if self.is_ours(&self.source, mount) => Mounted::Ours(mount),
            [mount] => {
                let previous = self
                    .scene
                    .previous(self.address)
                    .filter(|previous| mount_point(previous) == self.at)
                    .and_then(source);
                match previous.is_some_and(|previous| self.is_ours(&previous, mount)) {
                    true => Mounted::Previous(mount),
                    false => Mounted::Foreign(mount),
                }
            }
            several => Mounted::Stacked(several.len()),
        }
    }

    fn is_ours(&self, source: &Source, mount: &Mount) -> bool {
        match source {
            Source::Directory => false,
            Source::Bind { source } => self
                .ground
                .mounts
                .locate(source)
                .is_some_and(|(device, root)| mount.device == device && mount.root == root),
            Source::Tmpfs { .. } => mount.fstype == "tmpfs" && mount.root == "/",
            Source::Device { fstype, .. } => match &self.device {
                Some(Found::Device(device)) => {
                    device.is_source_of(mount) && mount.fstype == *fstype && mount.root == "/"
                }
                _ => false,
            },
        }
    }

    fn describe(&self) -> String {
        match &self.source {
            Source::Directory => "a directory".to_owned(),
            Source::Bind { source } => format!("a bind mount of {source}"),
            Source::Tmpfs { size } => format!("a tmpfs of {size}"),
            Source::Device { path, fstype, .. } => format!("{fstype} on {path}"),
        }
    }

    /// What the volume's root directory is now, as far as the host could show it.
    fn root_inode(&self) -> Option<&Inode> {
        match (&self.source, self.mounted()) {
            (Source::Directory, _) | (_, Mounted::Ours(_)) => self.lineage.last(),
            (Source::Bind { .. }, _) => self.bound.as_ref().and_then(Lineage::last),
            _ => None,
        }
    }

    /// Permissions of the root directory: what the block says; for one that is made here and has none, the qemu user's.
    fn wanted_root(&self) -> Permissions {
        let qemu = self.ground.system.qemu.as_ref();
        let is_new = match &self.source {
            Source::Directory => !self.lineage.exists(),
            Source::Bind { .. } => false,
            Source::Tmpfs { .. } => !matches!(self.mounted(), Mounted::Ours(_)),
            Source::Device { .. } => self.to_be_formatted().is_some(),
        };
        match is_new {
            true => self.wanted.or_for_qemu(qemu, Mode::new(0o770).expect("twelve bits")),
            false => self.wanted,
        }
    }

    // ---- differences ---------------------------------------------------------------------------------------------

    fn judge(mut self) -> Result<Verdict, String> {
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
        if let Some(hazard) = self.judge_access(&verdict) {
            verdict.hazards.push(hazard);
        } else if let Some(qemu) = self.ground.system.qemu.as_ref().filter(|_| verdict.drafts().next().is_some()) {
            let draft = ground::check_access(self.at, qemu);
            verdict.differences.push(Difference::new(
                "access",
                "not tried",
                format!("usable by {}", qemu.name),
                Remedy::Run(vec![draft]),
            ));
        }
        Ok(verdict)
    }

    fn judge_directory(&self, verdict: &mut Verdict) {
        if !self.ground.mounts.at(self.at).is_empty()
            && self.scene.previous(self.address).and_then(source).is_some_and(|previous| previous != Source::Directory)
        {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("{} on {} is still the mount that the volume was before", self.at, self.host),
                "Remove the volume first, or give the directory another mount_point.",
            ));
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
        self.tidy_fstab(verdict, None);
    }

    fn observe_permissions(&self, verdict: &mut Verdict, inode: &Inode) {
        if owner_of_source(&self.source, self.block, self.scene, self.host).is_some() {
            return;
        }
        verdict.observed.insert("owner".to_owned(), self.ground.user_name(inode.uid));
        verdict.observed.insert("group".to_owned(), self.ground.group_name(inode.gid));
        verdict.observed.insert("mode".to_owned(), inode.mode.to_string());
    }

    fn judge_mount(&self, verdict: &mut Verdict) -> Result<(), String> {
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
                self.judge_live(verdict, mount);
            }
            Mounted::Previous(mount) => {
                verdict.standing = Standing::Present;
                self.unmount(verdict, mount, self.at);
                self.mount(verdict)?;
            }
            Mounted::Nothing => self.mount(verdict)?,
        }
        Ok(())
    }

    /// A volume that is mounted: its options, its line in fstab, its permissions.
    fn judge_live(&self, verdict: &mut Verdict, mount: &Mount) {
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
        let is_readonly = mount.super_options.split(',').any(|option| option == "ro");
        if is_readonly
            && !mount.has_option_of_mount("ro")
            && !self.block.texts("options").iter().any(|option| option == "ro")
        {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("the kernel has made the file system on {} on {} read-only", self.at, self.host),
                "That follows an error of the disk or the file system: look at `dmesg` there, and check the file system unmounted.",
            ));
        }
        if let Some(difference) = self.remount(mount) {
            verdict.differences.push(difference);
        }
        self.tidy_fstab(verdict, self.fstab_entry(self.uuid().as_deref()));
        if let Some(inode) = self.lineage.last() {
            self.observe_permissions(verdict, inode);
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
    }

    /// The whole way of a volume that is not mounted: format, directory, fstab, mount, permissions.
    fn mount(&self, verdict: &mut Verdict) -> Result<(), String> {
        if !self.source_is_there(verdict)? {
            return Ok(());
        }
        let uuid = match self.to_be_formatted() {
            Some(device) => Some(self.format(verdict, device)),
            None => self.uuid(),
        };
        self.make_mount_point(verdict);
        self.tidy_fstab(verdict, self.fstab_entry(uuid.as_deref()));
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
            (Source::Tmpfs { .. }, _) => return Ok(()),
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
    fn source_is_there(&self, verdict: &mut Verdict) -> Result<bool, String> {
        match (&self.source, &self.device, &self.bound) {
            (Source::Bind { source }, _, Some(lineage)) => {
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
                Found::Device(device) => self.device_is_usable(verdict, device, path, fstype, label, *format),
            }),
            _ => Ok(true),
        }
    }

    fn device_is_usable(
        &self,
        verdict: &mut Verdict,
        device: &Device,
        path: &str,
        fstype: &str,
        label: &str,
        format: bool,
    ) -> bool {
        let before = verdict.hazards.len();
        let mut refuse = |code, message: String, cure: String| verdict.hazards.push(self.hazard(code, message, cure));
        let elsewhere = self
            .ground
            .mounts
            .0
            .iter()
            .find(|mount| device.is_source_of(mount) && mount.target != self.at && !self.was_at(&mount.target));
        if let Some(mount) = elsewhere {
            refuse(
                HazardCode::WrongSource,
                format!("{path} on {} is mounted on {}", self.host, mount.target),
                format!("Unmount it there, or set mount_point = \"{}\".", mount.target),
            );
        }
        if device.tag("TYPE") == Some(fstype) {
            if let Some((uuid, old)) = device.tag("UUID").and_then(|uuid| Some((uuid, self.replaced(uuid)?))) {
                refuse(
                    HazardCode::WrongSource,
                    format!(
                        "{path} on {} holds the file system {uuid}; it was {old} when it was applied last",
                        self.host
                    ),
                    "Bring the disk back that was there, or give the new one a resource of its own.".to_owned(),
                );
            }
            let found = device.label();
            if found != label && !self.was_ours(device) {
                refuse(
                    HazardCode::NotBlank,
                    format!(
                        "{path} on {} holds {}, with the label {found:?} and not {label:?}",
                        self.host,
                        device.contents().unwrap_or_default()
                    ),
                    format!(
                        "If this is the file system that you mean, set label = \"{found}\"; else name another device."
                    ),
                );
            }
        } else if !format {
            let holds = device.contents().unwrap_or_else(|| "no file system".to_owned());
            refuse(
                HazardCode::NotBlank,
                format!("{path} on {} holds {holds}, not {fstype}", self.host),
                "Correct fstype, or set format = true if the device is blank and may be formatted.".to_owned(),
            );
        } else {
            let objections = device.objections(&self.ground.mounts);
            if !objections.is_empty() {
                refuse(
                    HazardCode::NotBlank,
                    format!("{path} on {} {}", self.host, objections.join("; it ")),
                    format!(
                        "Larder formats only a device that is provably blank. If nothing on it is needed, erase it by hand: `wipefs -a {path}`, then zero its first and last MiB with dd."
                    ),
                );
            } else if let Some(one) = file_system(fstype).filter(|one| device.size.0 < one.smallest) {
                refuse(
                    HazardCode::Unsupported,
                    format!(
                        "{path} on {} has {}; {fstype} needs at least {}",
                        self.host,
                        device.size,
                        Size(one.smallest)
                    ),
                    "Use a larger device or another file system.".to_owned(),
                );
            }
            if let Some(hazard) =
                file_system(fstype).and_then(|one| self.ground.lacks(one.mkfs, self.address, self.host))
            {
                verdict.hazards.push(hazard);
            }
        }
        verdict.hazards.len() == before
    }

    /// Whether the state knows this file system as the volume's: the label may have been changed in the configuration.
    fn was_ours(&self, device: &Device) -> bool {
        self.scene.remembered(self.address, self.host, "uuid").is_some_and(|uuid| device.tag("UUID") == Some(uuid))
    }

    /// The UUID that the volume had when it was applied last, if it is another one.
    fn replaced(&self, uuid: &str) -> Option<&str> {
        let old = self.scene.remembered(self.address, self.host, "uuid")?;
        (old != uuid && self.scene.was_seen(self.address, self.host)).then_some(old)
    }

    /// Whether the volume was at that path before its mount point changed.
    fn was_at(&self, path: &str) -> bool {
        self.scene.previous(self.address).is_some_and(|previous| mount_point(previous) == path)
    }

    /// The root directory of a file system that is still mounted where the volume was before its mount point changed.
    fn root_at_previous_place(&self) -> Option<Inode> {
        let previous = self.scene.previous(self.address)?;
        let old = mount_point(previous);
        match self.ground.mounts.at(old).as_slice() {
            [mount] if self.is_ours(&self.source, mount) => {
                path::read(self.scene.host(self.host), old).ok()?.last().cloned()
            }
            _ => None,
        }
    }

    /// Whether another block of the configuration makes this path.
    fn is_made_by_the_plan(&self, wanted: &str) -> bool {
        let owner = self.scene.owners.get(self.host).and_then(|owners| owners.get(wanted));
        owner.is_some_and(|owner| owner != self.address)
    }

    /// The device, if this plan formats it.
    fn to_be_formatted(&self) -> Option<&Device> {
        match (&self.source, &self.device) {
            (Source::Device { fstype, format: true, .. }, Some(Found::Device(device)))
                if device.tag("TYPE") != Some(fstype) && device.objections(&self.ground.mounts).is_empty() =>
            {
                Some(device)
            }
            _ => None,
        }
    }

    /// The UUID of the file system that is there.
    fn uuid(&self) -> Option<String> {
        match &self.device {
            Some(Found::Device(device)) => device.tag("UUID").map(str::to_owned),
            _ => None,
        }
    }

    /// Formats the device. The UUID is computed from what the device is, so that the plan can name it beforehand.
    fn format(&self, verdict: &mut Verdict, device: &Device) -> String {
        let Source::Device { path, fstype, label, .. } = &self.source else { return String::new() };
        let names =
            [self.ground.system.machine_id.as_str(), self.host.as_str(), path, &device.size.to_string()].join("\n");
        let identity = format!("{}\n{names}\n{}", self.address, device.identities.join("\n"));
        let uuid = Uuid::new_v5(&Uuid::NAMESPACE_URL, identity.as_bytes()).to_string();
        let guard = device::guard(self.scene.host(self.host), path).ok();
        let draft = Draft::new(
            "format",
            format!("format {path} ({}) as {fstype} with the label {label}", device.size),
            Command::new(["format_device", fstype, label, &uuid, path]),
        )
        .guarded(guard)
        .without_inverse("a device that was blank is left formatted")
        .needing_all_members();
        verdict.memory.insert("uuid".to_owned(), uuid.clone());
        let remedy = match self.scene.was_seen(self.address, self.host) {
            false => Remedy::Run(vec![draft]),
            true => Remedy::Ask(
                self.hazard(
                    HazardCode::DataLoss,
                    format!("{path} on {} is blank; it held the volume's data when it was applied last", self.host),
                    format!("Find out which disk this is. If the data are gone for good, accept that: -accept data-loss@{}.", self.address),
                ),
                vec![draft],
            ),
        };
        verdict.differences.push(Difference::new("format", "blank", format!("{fstype} labelled {label}"), remedy));
        uuid
    }

    /// The directory to mount on: made, or found empty, and locked so that nobody writes into it while nothing is mounted.
    fn make_mount_point(&self, verdict: &mut Verdict) {
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

    fn mount_draft(&self, uuid: Option<&str>) -> Draft {
        let mut guard = vec![Guard { status: 0, out: String::new(), ..self.ground.mounts.guard(self.at) }];
        if self.entries.is_empty() && !matches!(self.mounted(), Mounted::Previous(_)) {
            guard.push(ground::empty(self.at));
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
            Source::Tmpfs { .. } => words.extend(["-t".to_owned(), "tmpfs".to_owned()]),
            Source::Bind { .. } | Source::Directory => {}
        }
        if !options.is_empty() {
            words.extend(["-o".to_owned(), options.join(",")]);
        }
        words.extend(["--".to_owned(), self.mount_source(None), self.at.to_owned()]);
        Draft::new("mount", format!("mount {} on {}", self.describe(), self.at), Command::new(words))
            .guarded(guard)
            .undone_by(Command::new(["umount", "--", self.at]))
            .rolling_back()
    }

    /// The first field of fstab, and the source for mount(8).
    fn mount_source(&self, uuid: Option<&str>) -> String {
        match (&self.source, uuid) {
            (Source::Device { .. }, Some(uuid)) => format!("UUID={uuid}"),
            (Source::Device { path, .. }, None) => path.clone(),
            (Source::Bind { source }, _) => source.clone(),
            (Source::Tmpfs { .. }, _) => "tmpfs".to_owned(),
            (Source::Directory, _) => String::new(),
        }
    }

    /// The mount options that the volume is to have: the kind's own, then the user's.
    fn options(&self) -> Vec<String> {
        let mut options = self.own_options();
        let key = |option: &str| option.split('=').next().unwrap_or_default().to_owned();
        if let Some(mut kept) = self.options_that_stay() {
            for own in options {
                match kept.iter_mut().find(|one| key(one) == key(&own) || own == "bind" && *one == "rbind") {
                    Some(one) if *one == "rbind" || means_for_a_tmpfs(std::slice::from_ref(one), &own) => {}
                    Some(one) => *one = own,
                    None => kept.insert(0, own),
                }
            }
            return kept;
        }
        for option in self.block.texts("options") {
            options.retain(|one| !one.contains('=') || key(one) != key(option));
            if !options.contains(option) {
                options.push(option.clone());
            }
        }
        options
    }

    /// The options that follow from the kind of the volume and its nested block.
    fn own_options(&self) -> Vec<String> {
        match &self.source {
            Source::Directory | Source::Device { .. } => Vec::new(),
            Source::Bind { .. } => vec!["bind".to_owned()],
            Source::Tmpfs { size } => {
                std::iter::once(format!("size={}", size.0)).chain(self.permission_options()).collect()
            }
        }
    }

    /// Owner and mode of the root of a tmpfs. Where the block says nothing of them, a tmpfs that is mounted keeps what it has:
    /// what its line in fstab says, and without a line what is live.
    fn permission_options(&self) -> Vec<String> {
        let (line, wanted) = match self.mounted() {
            Mounted::Ours(_) if self.wanted.is_unmanaged() => {
                let live =
                    |inode: &Inode| Permissions { uid: Some(inode.uid), gid: Some(inode.gid), mode: Some(inode.mode) };
                (self.options_of_line(), self.lineage.last().map(live).unwrap_or_default())
            }
            _ => (None, self.wanted_root()),
        };
        if let Some(mut line) = line {
            line.retain(|option| ["mode=", "uid=", "gid="].iter().any(|prefix| option.starts_with(prefix)));
            return line;
        }
        let mode = wanted.mode.map(|mode| format!("mode={mode}"));
        let uid = wanted.uid.map(|uid| format!("uid={uid}"));
        let gid = wanted.gid.map(|gid| format!("gid={gid}"));
        [mode, uid, gid].into_iter().flatten().collect()
    }

    /// The options of the one line that the volume has in fstab.
    fn options_of_line(&self) -> Option<Vec<String>> {
        match self.ground.fstab.lines_for(&self.scene.names(self.address), &[self.at]).as_slice() {
            [line] => line.entry.as_ref().filter(|entry| self.is_same_source(entry)).map(|entry| entry.options.clone()),
            _ => None,
        }
    }

    fn ignores_options(&self) -> bool {
        self.block.lifecycle.ignore_changes.contains("options")
    }

    /// The options of the line in fstab, where changes of them are ignored.
    fn options_that_stay(&self) -> Option<Vec<String>> {
        self.options_of_line().filter(|_| self.ignores_options())
    }

    // ---- fstab ---------------------------------------------------------------------------------------------------

    /// The entry that the volume is to have, if any.
    fn fstab_entry(&self, uuid: Option<&str>) -> Option<Entry> {
        if self.block.text("persist") == Some("none") {
            return None;
        }
        let fstype = match &self.source {
            Source::Directory => return None,
            Source::Bind { .. } => "none".to_owned(),
            Source::Tmpfs { .. } => "tmpfs".to_owned(),
            Source::Device { fstype, .. } => fstype.clone(),
        };
        let mut options = self.options();
        if options.is_empty() {
            options.push("defaults".to_owned());
        }
        let is_new = self.options_that_stay().is_none();
        if is_new && !matches!(self.source, Source::Tmpfs { .. }) && !options.iter().any(|option| option == "nofail") {
            options.push("nofail".to_owned());
        }
        let id = format!("{}={}", fstab::ID_OPTION, encode_id(&self.address.to_string()));
        match options.iter_mut().find(|option| option.starts_with(fstab::ID_OPTION)) {
            Some(old) => *old = id,
            None => options.push(id),
        }
        let pass = file_system(&fstype).map_or(0, |one| one.pass);
        Some(Entry { source: self.mount_source(uuid), target: self.at.to_owned(), fstype, options, dump: 0, pass })
    }

    /// Brings the lines of the volume in fstab to what they are to be. A line that somebody else wrote and that does the same
    /// is left as it is.
    fn tidy_fstab(&self, verdict: &mut Verdict, wanted: Option<Entry>) {
        let names = self.scene.names(self.address);
        if let Some(other) = self.ground.fstab.claimed_by_others(&names, self.at) {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!("the line of {} in /etc/fstab on {} belongs to {other}", self.at, self.host),
                "Another resource or configuration manages this mount point. Remove it there, or choose another mount_point.",
            ));
            return;
        }
        let lines = self.ground.fstab.lines_for(&names, &[self.at]);
        let elsewhere = lines.iter().filter_map(|line| line.entry.as_ref()).find(|entry| {
            let target = fstab::normalised(&entry.target);
            target != self.at && !self.was_at(&target)
        });
        if let Some(entry) = elsewhere {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!(
                    "/etc/fstab on {} has a line of {} for {}, which this state knows nothing of",
                    self.host,
                    entry.id().unwrap_or_default(),
                    entry.target
                ),
                "Another configuration has a resource of that name there: rename this one. If the line is left over, unmount it and remove the line by hand.",
            ));
            return;
        }
        if wanted.is_none()
            && matches!(self.source, Source::Directory)
            && lines.iter().all(|line| line.entry.as_ref().is_some_and(|entry| entry.id().is_none()))
        {
            return; // a directory volume may lie on a mount of the administrator's
        }
        let new = wanted.as_ref().map(Entry::line);
        if let ([line], Some(wanted)) = (lines.as_slice(), &wanted)
            && (Some(&line.text) == new.as_ref() || self.does_the_same(line, wanted))
        {
            verdict.observed.insert("fstab".to_owned(), line.text.clone());
            return;
        }
        let foreign = lines
            .iter()
            .find(|line| line.entry.as_ref().is_some_and(|entry| entry.id().is_none() && !self.is_same_source(entry)));
        if let Some(line) = foreign {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("/etc/fstab on {} mounts something else on {}: {}", self.host, self.at, line.text.trim()),
                "Remove the line, or choose another mount_point.",
            ));
            return;
        }
        if lines.is_empty() && new.is_none() {
            return;
        }
        let old: Vec<_> = lines.iter().map(|line| line.text.clone()).collect();
        if !old.is_empty() {
            verdict.observed.insert("fstab".to_owned(), old.join("\n"));
        }
        let is_there = !lines.is_empty() || matches!(self.mounted(), Mounted::Ours(_));
        if is_there && self.block.lifecycle.ignore_changes.contains("persist") {
            let ids = lines.iter().filter_map(|line| line.entry.as_ref()?.id()?.parse::<Address>().ok());
            verdict.formerly.extend(ids.filter(|id| id != self.address));
            return;
        }
        let have = if old.is_empty() { "absent".to_owned() } else { old.join("\n") };
        let want = new.clone().unwrap_or_else(|| "absent".to_owned());
        let draft = edit_draft(self.at, old, new, &self.ground.fstab.text);
        let draft = if matches!(self.mounted(), Mounted::Ours(_)) { draft } else { draft.rolling_back() };
        verdict.differences.push(Difference::new("fstab", have, want, Remedy::Run(vec![draft])));
    }

    fn is_same_source(&self, entry: &Entry) -> bool {
        let tag = |name: &str| match &self.device {
            Some(Found::Device(device)) => device.tag(name).map(str::to_owned),
            _ => None,
        };
        match &self.source {
            Source::Directory => false,
            Source::Bind { source } => {
                fstab::normalised(&entry.source) == *source
                    && entry.options.iter().any(|option| option == "bind" || option == "rbind")
            }
            Source::Tmpfs { .. } => entry.fstype == "tmpfs",
            Source::Device { path, .. } => match entry.source.split_once('=') {
                Some(("UUID", uuid)) => tag("UUID").is_some_and(|own| own.eq_ignore_ascii_case(uuid.trim_matches('"'))),
                Some(("LABEL", label)) => tag("LABEL").as_deref() == Some(label.trim_matches('"')),
                // What udev calls after the partition, mount(8) finds by that name.
                Some(("PARTUUID", uuid)) => *path == format!("/dev/disk/by-partuuid/{}", uuid.trim_matches('"')),
                _ => {
                    entry.source == *path
                        || matches!(&self.device, Some(Found::Device(device)) if device.is_named(&entry.source))
                }
            },
        }
    }

    /// Whether a line without Larder's mark mounts the same thing with at least the same options.
    fn does_the_same(&self, line: &Line, wanted: &Entry) -> bool {
        let Some(entry) = line.entry.as_ref().filter(|entry| entry.id().is_none()) else { return false };
        let own = |option: &&String| !option.starts_with("x-larder.") && *option != "nofail" && *option != "defaults";
        let is_tmpfs = matches!(self.source, Source::Tmpfs { .. });
        let has =
            |option: &String| entry.options.contains(option) || is_tmpfs && means_for_a_tmpfs(&entry.options, option);
        let has_all = wanted.options.iter().filter(own).all(has);
        let is_ro = |options: &[String]| options.iter().any(|option| option == "ro");
        fstab::normalised(&entry.target) == self.at
            && self.is_same_source(entry)
            && (entry.fstype == wanted.fstype || entry.fstype == "auto")
            && has_all
            && is_ro(&entry.options) == is_ro(&wanted.options)
            && !entry.options.iter().any(|option| option == "noauto")
    }

    // ---- options -------------------------------------------------------------------------------------------------

    /// The options in force that are not as wanted, and the remount that mends them.
    fn remount(&self, mount: &Mount) -> Option<Difference> {
        let options = if self.ignores_options() { self.own_options() } else { self.options() };
        let wanted: Vec<&str> = options
            .iter()
            .map(String::as_str)
            .filter(|option| !is_for_boot_only(option) && *option != "bind")
            .collect();
        let inherited = match &self.source {
            // A bind mount takes over the flags of the mount that its source lies in.
            Source::Bind { source } => self.ground.mounts.containing(source),
            _ => None,
        };
        let (missing, mut surplus) = option_differences(&wanted, mount, inherited);
        if self.ignores_options() {
            surplus.clear();
        }
        if missing.is_empty() && surplus.is_empty() {
            return None;
        }
        let mut words: Vec<&str> = vec!["remount"];
        if matches!(self.source, Source::Bind { .. }) {
            words.push("bind");
        }
        // uid, gid and mode of a tmpfs are permissions of its root; a remount does not take them.
        words.extend(
            wanted.iter().filter(|option| !["uid=", "gid=", "mode="].iter().any(|prefix| option.starts_with(prefix))),
        );
        words.extend(surplus.iter().filter_map(|flag| opposite(flag)));
        if self.ignores_options() {
            // A remount takes off the flags that it does not name.
            words.extend(FLAGS.iter().map(|(on, _)| *on).filter(|on| mount.has_option_of_mount(on)));
        }
        if let Some(hazard) = self.shrinks_below_content(&missing) {
            return Some(Difference::new("options", shown_options(mount), missing.join(","), Remedy::Never(hazard)));
        }
        // With the source named, mount(8) takes nothing over from fstab.
        let source = self.ignores_options().then_some(mount.source.as_str());
        let becomes_readonly = missing.contains(&"ro");
        let mut guard = vec![self.ground.mounts.guard(self.at)];
        if becomes_readonly {
            guard.push(open_files::nobody(&[self.at.to_owned()]));
        }
        let draft = Draft::new(
            "remount",
            format!("remount {} with {}", self.at, words[1..].join(",")),
            Command::new(["mount", "-o", &words.join(","), "--"].into_iter().chain(source).chain([self.at])),
        )
        .guarded(guard)
        .with_impact(Impact::Remount)
        .undone_by(Command::new(["mount", "-o", &format!("remount,{}", mount.options), "--", self.at]));
        let have = shown_options(mount);
        let want = missing
            .iter()
            .copied()
            .map(str::to_owned)
            .chain(surplus.iter().filter_map(|flag| opposite(flag)).map(str::to_owned))
            .collect::<Vec<_>>()
            .join(",");
        let remedy = match self.in_use(self.at) {
            Ok(None) => Remedy::Run(vec![draft]),
            Ok(Some(hazard)) if becomes_readonly => Remedy::Never(hazard),
            Err(why) if becomes_readonly => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("who uses {} on {} is not known: {why}", self.at, self.host),
                "Try again when the host answers.",
            )),
            _ => Remedy::Run(vec![draft]),
        };
        Some(Difference::new("options", have, want, remedy))
    }

    /// A tmpfs cannot become smaller than what it holds.
    fn shrinks_below_content(&self, missing: &[&str]) -> Option<Hazard> {
        let Source::Tmpfs { size } = &self.source else { return None };
        let is_resized = missing.iter().any(|option| option.starts_with("size="));
        let space = space::read(self.scene.host(self.host), self.at).ok().filter(|_| is_resized)?;
        let used = space.size.saturating_sub(space.free);
        (used > size.0).then(|| {
            self.hazard(
                HazardCode::Shrink,
                format!("the tmpfs {} on {} holds {}, more than {size}", self.at, self.host, Size(used).rounded()),
                "Delete what is not needed there, or choose a larger size.",
            )
        })
    }

    // ---- unmaking ------------------------------------------------------------------------------------------------

    /// Who keeps the volume from being unmounted.
    fn in_use(&self, path: &str) -> Result<Option<Hazard>, String> {
        let uses = self.scene.users(self.host, path)?;
        // What lies below may go with it only if it is a volume of ours that nobody is to have any more.
        for mount in self.ground.mounts.below(path) {
            let is_ours = self.scene.watched(self.host).contains(&mount.target);
            if !is_ours || self.scene.stays(&mount.target, self.host) {
                return Ok(Some(self.hazard(
                    HazardCode::InUse,
                    format!("{} is mounted below {path} on {}", mount.target, self.host),
                    "Unmount or remove that first.",
                )));
            }
        }
        if uses.is_empty() {
            return Ok(None);
        }
        let named = uses.iter().take(5).map(ToString::to_string).collect::<Vec<_>>().join("; ");
        let more = if uses.len() > 5 { format!(" and {} more", uses.len() - 5) } else { String::new() };
        Ok(Some(self.hazard(
            HazardCode::InUse,
            format!("{path} on {} is in use: {named}{more}", self.host),
            "Stop the guest or the process, then plan again. Larder does not kill and does not unmount lazily.",
        )))
    }

    /// Unmounts, if nobody uses it and nothing would be lost.
    fn unmount(&self, verdict: &mut Verdict, mount: &Mount, path: &str) {
        let mut draft = Draft::new("unmount", format!("unmount {path}"), Command::new(["umount", "--", path]))
            .guarded([self.ground.mounts.guard(path), open_files::nobody(&[path.to_owned()])])
            .with_impact(Impact::Offline)
            .destroying()
            .needing_all_members();
        draft = match mount.fstype.as_str() {
            "tmpfs" => draft.without_inverse("what a tmpfs holds is gone when it is unmounted"),
            _ if self.is_ours(&self.source, mount) && path == self.at => {
                draft.undone_by(self.mount_draft(self.uuid().as_deref()).command)
            }
            _ => draft.without_inverse("the block that described the mount has changed"),
        };
        // What a tmpfs holds is lost with it; where that is not known, it counts as something.
        let held = match mount.fstype.as_str() {
            "tmpfs" => path::read_entries(self.scene.host(self.host), path),
            _ => Ok(Vec::new()),
        };
        if mount.fstype == "tmpfs" && held.as_ref().is_ok_and(Vec::is_empty) {
            draft = draft.guarded([ground::empty(path)]);
        }
        let remedy = match self.in_use(path) {
            Ok(Some(hazard)) => Remedy::Never(hazard),
            Err(why) => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("who uses {path} on {} is not known: {why}", self.host),
                "Try again when the host answers.",
            )),
            Ok(None) => match held {
                Ok(entries) if entries.is_empty() => Remedy::Run(vec![draft]),
                Ok(entries) => Remedy::Ask(
                    self.hazard(
                        HazardCode::DataLoss,
                        format!("unmounting the tmpfs {path} on {} deletes {}", self.host, listed(&entries)),
                        format!("Copy it away, or accept the loss: --accept data-loss@{}.", self.address),
                    ),
                    vec![draft],
                ),
                Err(why) => Remedy::Never(self.hazard(
                    HazardCode::Unresponsive,
                    format!("what the tmpfs {path} on {} holds is not known: {why}", self.host),
                    "Unmounting would delete it. Try again when the host answers.",
                )),
            },
        };
        verdict.differences.push(Difference::new(
            "mount",
            format!("{} {}", mount.fstype, mount.source),
            "not mounted",
            remedy,
        ));
    }

    /// A volume whose mount point has changed leaves the old one first.
    fn leave_previous_place(&self, verdict: &mut Verdict) -> Result<(), String> {
        let Some(previous) = self.scene.previous(self.address).filter(|previous| mount_point(previous) != self.at)
        else {
            return Ok(());
        };
        let old = mount_point(previous);
        let facts = self.scene.host(self.host);
        if source(previous) == Some(Source::Directory) {
            let entries = path::read_entries(facts, old)?;
            if !entries.is_empty() && self.source == Source::Directory {
                verdict.hazards.push(self.hazard(
                    HazardCode::DataLoss,
                    format!("the volume's directory moves to {} on {}; {old} keeps {}", self.at, self.host, listed(&entries)),
                    format!("Keep it with mount_point = {old:?}, move the files yourself before, or accept that they stay behind: -accept data-loss@{}. The old directory is left as it is.", self.address),
                ));
            }
            return Ok(());
        }
        match self.ground.mounts.at(old).as_slice() {
            [mount] if source(previous).is_some_and(|source| self.is_ours(&source, mount)) => {
                self.unmount(verdict, mount, old);
                verdict.standing = Standing::Present;
            }
            [] => {}
            [mount] => {
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!("{old} on {}, where the volume was, is now {} {}", self.host, mount.fstype, mount.source),
                    "Unmount that if it does not belong there. A change of both the device and the mount point takes two applies.",
                ));
                return Ok(());
            }
            _ => verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("several mounts are stacked on {old} on {}", self.host),
                "Unmount those that do not belong there.",
            )),
        }
        let lineage = path::read(facts, old)?;
        verdict.differences.extend(self.release(old, &lineage));
        Ok(())
    }

    /// Takes the lock off a mount point and removes what was made for it.
    fn release(&self, path: &str, lineage: &Lineage) -> Option<Difference> {
        if !lineage.exists() {
            return None;
        }
        let before: Option<(String, String)> =
            self.scene.remembered(self.address, self.host, "before").and_then(|text| serde_json::from_str(text).ok());
        let mut made = ground::made_for_it(self.scene, self.address, self.host);
        made.retain(|made| is_within(path, made));
        let mut unlock = vec!["unlock_mount_point".to_owned(), path.to_owned()];
        if let Some((mode, owner)) = &before {
            unlock.extend([mode.clone(), owner.clone()]);
        }
        let mut drafts = vec![
            Draft::new("unlock", format!("take the lock off the mount point {path}"), Command::new(unlock))
                .guarded([Guard {
                    status: 0,
                    out: String::new(),
                    what: format!("what is mounted at {path}"),
                    ask: mounts::at_question(path),
                }])
                .undone_by(Command::new(["lock_mount_point", path])),
        ];
        if !made.is_empty() {
            let words = ["remove_empty_directories".to_owned()].into_iter().chain(made);
            drafts.push(
                Draft::new("rmdir", format!("remove the empty mount point {path}"), Command::new(words))
                    .undone_by(Command::new(["mkdir", "-p", "--", path])),
            );
        }
        Some(Difference::new(
            "directory",
            "locked mount point",
            if drafts.len() > 1 { "absent" } else { "as it was before" },
            Remedy::Run(drafts),
        ))
    }

    fn unmake(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        if self.source == Source::Directory {
            return Ok(verdict); // the directory and what lies in it stay
        }
        match self.mounted() {
            Mounted::Nothing => {}
            Mounted::Ours(mount) | Mounted::Previous(mount) => {
                verdict.standing = Standing::Present;
                self.unmount(&mut verdict, mount, self.at);
            }
            Mounted::Stacked(_) | Mounted::Foreign(_) => {
                verdict.standing = Standing::Present;
                verdict.hazards.push(self.hazard(
                    HazardCode::WrongSource,
                    format!("{} on {} is no longer {}", self.at, self.host, self.describe()),
                    "Unmount what is there if it is not needed, then plan again.",
                ));
                return Ok(verdict);
            }
        }
        let names = self.scene.names(self.address);
        // A line that the administrator wrote and that does the same would bring the volume back at the next boot.
        let is_ours = |entry: &Entry| entry.id().is_some() || self.is_same_source(entry);
        let lines = self.ground.fstab.lines_for(&names, &[self.at]);
        let old: Vec<_> = lines
            .iter()
            .filter(|line| line.entry.as_ref().is_some_and(is_ours))
            .map(|line| line.text.clone())
            .collect();
        if !old.is_empty() {
            let have = old.join("\n");
            verdict.standing = Standing::Present;
            verdict.differences.push(Difference::new(
                "fstab",
                have,
                "absent",
                Remedy::Run(vec![edit_draft(self.at, old, None, &self.ground.fstab.text)]),
            ));
        }
        if verdict.standing == Standing::Present || self.scene.remembered(self.address, self.host, "made").is_some() {
            verdict.differences.extend(self.release(self.at, &self.lineage));
        }
        Ok(verdict)
    }

    // ---- guests --------------------------------------------------------------------------------------------------

    /// Whether the qemu user can use the volume when the plan has run; what cannot be computed is tried by the plan's last step.
    fn judge_access(&self, verdict: &Verdict) -> Option<Hazard> {
        let qemu = self.ground.system.qemu.as_ref()?;
        let wanted = self.wanted_root();
        let inode = self.root_inode();
        let is_settled = verdict.drafts().next().is_none();
        if is_settled && self.lineage.exists() {
            let said = self.scene.host(self.host).said(&people::can_use_question(&qemu.name, self.at));
            match said.as_ref().map(|reply| reply.out.trim()) {
                Ok("yes") => return None,
                Ok("no") => return Some(ground::no_access(&self.lineage, inode.map(|inode| (inode.uid, inode.gid, inode.mode)), &self.ground.system, self.address, self.host).unwrap_or_else(|| {
                    self.hazard(
                        HazardCode::NoAccess,
                        format!("{} cannot enter and write {} on {}", qemu.name, self.at, self.host),
                        format!("Look at the directories above it, ACLs and a read-only mount: `runuser -u {} -- ls -ld {}`.", qemu.name, self.at),
                    )
                })),
                _ => {} // not asked or not answered: the permission bits must do
            }
        }
        let default = match &self.source {
            Source::Directory if !self.lineage.exists() => Some((0, 0, Mode::new(0o755)?)),
            Source::Tmpfs { .. } if !matches!(self.mounted(), Mounted::Ours(_)) => Some((0, 0, Mode::new(0o1777)?)),
            Source::Device { .. } if self.to_be_formatted().is_some() => Some((0, 0, Mode::new(0o755)?)),
            // The resource that has the source mends its permissions before this is mounted.
            Source::Bind { source } if self.is_made_by_the_plan(source) => None,
            _ => inode.map(|inode| (inode.uid, inode.gid, inode.mode)),
        };
        let after = match (default, wanted) {
            (Some((uid, gid, mode)), wanted) => {
                Some((wanted.uid.unwrap_or(uid), wanted.gid.unwrap_or(gid), wanted.mode.unwrap_or(mode)))
            }
            (None, Permissions { uid: Some(uid), gid: Some(gid), mode: Some(mode) }) => Some((uid, gid, mode)),
            _ => None,
        };
        ground::no_access(&self.lineage, after, &self.ground.system, self.address, self.host)
    }

    /// What must hold while images are made: what is mounted is what was seen. A mount that this plan makes has its own guard.
    fn room_guard(&self) -> Vec<Guard> {
        match self.mounted() {
            Mounted::Ours(_) if self.remount_is_settled() => vec![self.ground.mounts.guard(self.at)],
            _ => Vec::new(),
        }
    }

    /// Whether no remount of this plan changes the options that a guard would compare.
    fn remount_is_settled(&self) -> bool {
        match self.mounted() {
            Mounted::Ours(mount) => self.remount(mount).is_none(),
            _ => false,
        }
    }

    /// What images of the volume find.
    fn room_state(&self) -> RoomState {
        let key = |suffix: &str| format!("{}{suffix}", self.at);
        match (&self.source, self.mounted()) {
            (Source::Directory, _) => RoomState::Open { look_in: self.at.to_owned() },
            (_, Mounted::Foreign(_) | Mounted::Stacked(_)) => {
                RoomState::Unknown(format!("{} is not {}", self.at, self.describe()))
            }
            (_, Mounted::Previous(_)) => RoomState::Later(format!("{} is mounted anew", self.at)),
            (_, Mounted::Ours(_)) => RoomState::Open { look_in: self.at.to_owned() },
            (Source::Bind { source }, Mounted::Nothing) => {
                match self.bound.as_ref().is_some_and(Lineage::exists) {
                    true => RoomState::Open { look_in: source.clone() },
                    // The plan makes the source, empty.
                    false => match space::read(self.scene.host(self.host), source) {
                        Ok(space) => RoomState::New { filesystem: space.filesystem, size: space.free },
                        Err(why) => RoomState::Unknown(why),
                    },
                }
            }
            (Source::Tmpfs { size }, Mounted::Nothing) => RoomState::New { filesystem: key(" (tmpfs)"), size: size.0 },
            (Source::Device { fstype, .. }, Mounted::Nothing) => match self.to_be_formatted() {
                // Metadata takes its part: 2 % and 64 MiB cover what the three file systems take of small and large devices.
                Some(device) => RoomState::New {
                    filesystem: key(&format!(" ({fstype})")),
                    size: (device.size.0 - device.size.0 / 50).saturating_sub(64 << 20),
                },
                None => RoomState::Later(format!("{} is not mounted yet", self.at)),
            },
        }
    }
}

fn edit_draft(path: &str, old: Vec<String>, new: Option<String>, text: &str) -> Draft {
    let summary = match (&new, old.is_empty()) {
        (Some(_), true) => format!("add the line of {path} to /etc/fstab"),
        (Some(_), false) => format!("change the line of {path} in /etc/fstab"),
        (None, _) => format!("remove the line of {path} from /etc/fstab"),
    };
    let words = |new: &Option<String>, old: &[String]| {
        Command::new(["edit_fstab".to_owned(), new.clone().unwrap_or_default()].into_iter().chain(old.iter().cloned()))
    };
    let draft = Draft::new("fstab", summary, words(&new, &old));
    let draft = match (&new, old.as_slice()) {
        // A text without a newline at its end gets one when a line is appended; the dash takes that back as well.
        (Some(line), []) if !text.is_empty() && !text.ends_with('\n') => {
            draft.undone_by(Command::new(["edit_fstab", "-", line]))
        }
        (Some(line), []) => draft.undone_by(words(&None, std::slice::from_ref(line))),
        (Some(line), [one]) => draft.undone_by(words(&Some(one.clone()), std::slice::from_ref(line))),
        (None, [one]) => draft.undone_by(words(&Some(one.clone()), &[])),
        _ => draft.without_inverse("several lines become one"),
    };
    draft.editing(Edit { path: "/etc/fstab", remove: old, insert: new })
}

/// `guest.qcow2, old and 3 more`.
fn listed(entries: &[String]) -> String {
    let shown = entries.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    match entries.len() {
        0..=3 => shown,
        // The question asks for at most 33 names.
        33.. => format!("{shown} and at least 30 more"),
        more => format!("{shown} and {} more", more - 3),
    }
}

/// Options that mount(8), systemd and fstab(5) understand, and that are no state of a mount.
fn is_for_boot_only(option: &str) -> bool {
    matches!(
        option,
        "defaults" | "nofail" | "auto" | "noauto" | "_netdev" | "user" | "users" | "nouser" | "owner" | "group"
    ) || ["x-", "X-", "comment="].iter().any(|prefix| option.starts_with(prefix))
}

/// Whether the options of a tmpfs in fstab come to the same as a wanted one (tmpfs(5)): sizes in whole pages, modes as octal
/// digits, and what is not said is root's with mode 1777.
fn means_for_a_tmpfs(options: &[String], wanted: &str) -> bool {
    let Some((name, wanted)) = wanted.split_once('=') else { return false };
    let said = options.iter().rev().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let pages = |text: &str| text.parse::<Size>().ok().map(|size| size.0.div_ceil(4096));
    let mode = |text: &str| text.parse::<Mode>().ok();
    let number = |text: &str| text.parse::<u32>().ok();
    match name {
        "size" => said.is_some_and(|said| pages(said).is_some() && pages(said) == pages(wanted)),
        "mode" => mode(said.unwrap_or("1777")).is_some_and(|said| mode(wanted) == Some(said)),
        "uid" | "gid" => number(said.unwrap_or("0")).is_some_and(|said| number(wanted) == Some(said)),
        _ => false,
    }
}

/// The flags of a mount that are either on or off, and what turns each off (mount(8), "file-system-independent mount options").
const FLAGS: [(&str, &str); 8] = [
    ("ro", "rw"),
    ("nosuid", "suid"),
    ("nodev", "dev"),
    ("noexec", "exec"),
    ("noatime", "relatime"),
    ("nodiratime", "diratime"),
    ("sync", "async"),
    ("nosymfollow", "symfollow"),
];

fn opposite(flag: &str) -> Option<&'static str> {
    FLAGS.iter().find(|(on, _)| *on == flag).map(|(_, off)| *off)
}

/// Wanted options that are not in force, and flags in force that nobody wants.
fn option_differences<'a>(
    wanted: &[&'a str],
    mount: &Mount,
    inherited: Option<&Mount>,
) -> (Vec<&'a str>, Vec<&'static str>) {
    let in_force = |option: &str| -> bool {
        if let Some((on, _)) = FLAGS.iter().find(|(_, off)| *off == option) {
            return !mount.has_option(on);
        }
        match option.split_once('=') {
            // tmpfs shows its size in KiB.
            Some(("size", value)) => {
                let bytes = |text: &str| text.parse::<Size>().ok().map(|size| size.0.div_ceil(4096));
                mount.option("size").is_some_and(|have| bytes(have) == bytes(value))
            }
            // Permissions of the root directory are compared as such.
            Some(("uid" | "gid" | "mode", _)) => true,
            _ => matches!(option, "atime" | "silent" | "loud") || mount.has_option(option),
        }
    };
    let missing = wanted.iter().copied().filter(|option| !in_force(option)).collect();
    let is_wanted = |flag: &str| wanted.contains(&flag) || inherited.is_some_and(|parent| parent.has_option(flag));
    let surplus = FLAGS
        .iter()
        .map(|(on, _)| *on)
        .filter(|on| mount.options.split(',').any(|one| one == *on) && !is_wanted(on))
        .collect();
    (missing, surplus)
}

fn shown_options(mount: &Mount) -> String {
    match mount.super_options.is_empty() || mount.super_options == "rw" {
        true => mount.options.clone(),
        false => format!("{} ({})", mount.options, mount.super_options),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(options: &str, super_options: &str) -> Mount {
        let line = format!("1 2 0:30 / /srv/x {options} - tmpfs tmpfs {super_options}");
        let reply = crate::model::Reply { status: 0, out: format!("{line}\n"), err: String::new() };
        let facts = crate::model::HostFacts::Reached([(mounts::question(), crate::model::Answer::Said(reply))].into());
        mounts::read(&facts).expect("one mount").0.remove(0)
    }

    /// Wanted options, options of the mount and of its file system, what is missing, what is surplus.
    type Row<'a> = (&'a [&'a str], &'a str, &'a str, &'a [&'a str], &'a [&'a str]);

    #[test]
    fn options_are_compared_by_meaning() {
        let table: &[Row] = &[
            (&[], "rw,relatime", "rw", &[], &[]),
            (&["noatime"], "rw,noatime", "rw", &[], &[]),
            (&["noatime"], "rw,relatime", "rw", &["noatime"], &[]),
            (&[], "ro,relatime", "rw", &[], &["ro"]),
            (&["ro"], "rw,relatime", "rw", &["ro"], &[]),
            (&["rw"], "ro,relatime", "ro", &["rw"], &["ro"]),
            (&["size=67108864"], "rw", "rw,size=65536k,mode=770", &[], &[]),
            (&["size=67108864"], "rw", "rw,size=131072k", &["size=67108864"], &[]),
            (&["discard"], "rw", "rw,attr2,discard,noquota", &[], &[]),
            (&["nodev", "exec"], "rw,nosuid,nodev,noexec", "rw", &["exec"], &["nosuid", "noexec"]),
        ];
        for (wanted, options, super_options, missing, surplus) in table {
            let found = option_differences(wanted, &mount(options, super_options), None);
            assert_eq!(found, (missing.to_vec(), surplus.to_vec()), "{wanted:?} against {options} {super_options}");
        }
    }

    #[test]
    fn a_line_of_a_tmpfs_is_read_by_meaning() {
        let table = [
            ("size=16M,mode=770", "size=16777216", true),
            ("size=16M,mode=770", "mode=0770", true),
            ("size=16M,mode=770", "uid=0", true),
            ("size=16M,mode=770", "uid=64055", false),
            ("size=16M,uid=64055", "uid=64055", true),
            ("size=16M", "mode=1777", true),
            ("size=16M", "mode=0770", false),
            ("size=50%", "size=16777216", false),
            ("defaults", "size=16777216", false),
            ("size=8M,size=16M", "size=16777216", true),
            ("size=16M,uid=qemu", "uid=0", false),
            ("nosuid", "noexec", false),
        ];
        for (line, wanted, expected) in table {
            let options: Vec<_> = line.split(',').map(str::to_owned).collect();
            assert_eq!(means_for_a_tmpfs(&options, wanted), expected, "{line} against {wanted}");
        }
    }

    #[test]
    fn a_bind_mount_inherits_the_flags_of_its_source() {
        let parent = mount("rw,nosuid,nodev", "rw");
        assert_eq!(
            option_differences(&[], &mount("rw,nosuid,nodev,noexec", "rw"), Some(&parent)),
            (vec![], vec!["noexec"])
        );
    }

    #[test]
    fn a_list_of_names_stays_short() {
        let names = |count: usize| (0..count).map(|n| format!("f{n}")).collect::<Vec<_>>();
        assert_eq!(listed(&names(2)), "f0, f1");
        assert_eq!(listed(&names(5)), "f0, f1, f2 and 2 more");
        assert_eq!(listed(&names(33)), "f0, f1, f2 and at least 30 more");
    }
}
