//! `image`: a guest's disk image in a volume. It is allocated once and grows in place; it is never made anew, shrunk,
//! converted or deleted.
//!
//! ```hcl
//! image "web" {
//!   volume = external_volume.nfs
//!   format = "qcow2"
//!   size   = "40GiB"
//! }
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::block::Attributes;
use crate::model::{
    Address, Block, Blocks, Command, Datum, Guard, Hazard, HazardCode, HostName, Impact, Mode, Problem, Problems,
    Question, Size,
};

use super::ask::image_file::{self, Header, ImageFile};
use super::ask::path::FileType;
use super::ask::{open_files, space};
use super::ground::{self, Ground, Permissions};
use super::scene::{Room, RoomState};
use super::schema::{AttributeSchema as A, Schema, Type};
use super::verdict::{Difference, Draft, Need, Remedy, Standing, Verdict};
use super::{Kind, Scene, backing, host, is_elsewhere, kind_of};

#[derive(Debug)]
pub struct Image;

/// Kinds that hold images.
const VOLUMES: &[&str] = &["external_volume", "ocfs2_volume"];

static SCHEMA: Schema = Schema {
    doc: "A guest's disk image in a volume.",
    attributes: &[
        A::required("volume", Type::Resource(VOLUMES), "The volume that it lies in."),
        A::optional(
            "hosts",
            Type::Resources(&["host"]),
            "Where it is, for a volume that each member has to itself; default: on every member.",
        ),
        A::optional("name", Type::Text, "File name; default NAME.FORMAT."),
        A::required("format", Type::Text, "The format.").one_of(&["raw", "qcow2"]),
        A::required("size", Type::Size, "The size that the guest sees, a multiple of 512 bytes."),
        A::optional(
            "allocation",
            Type::Text,
            "How room is taken: \"sparse\" (default), \"metadata\" (qcow2), \"falloc\" or \"full\".",
        )
        .one_of(&["sparse", "metadata", "falloc", "full"]),
        A::optional(
            "owner",
            Type::Text,
            "By name or number; default: the volume's. Not compared while a guest has the image open.",
        ),
        A::optional("group", Type::Text, "By name or number; default: the volume's."),
        A::optional("mode", Type::Mode, "Default \"0660\" where the volume has an owner or a group."),
        A::optional(
            "backing",
            Type::Resource(&["image"]),
            "The image that this one is an overlay of (qcow2). Neither of the two grows while the overlay exists.",
        ),
    ],
    blocks: &[],
};

/// What a network of 1 Gbit/s carries of an image in a second, rounded down.
const NETWORK_RATE: u64 = 100 << 20;

/// No allocation that writes less than this is worth a finding: it is over in a second.
const WORTH_TELLING: u64 = NETWORK_RATE;

/// The longest file name, less what the name of the draft adds to it.
const LONGEST_NAME: usize = 240;

impl Kind for Image {
    fn name(&self) -> &'static str {
        "image"
    }

    fn schema(&self) -> &'static Schema {
        &SCHEMA
    }

    fn complete(&self, block: &mut Block, all: &Blocks) -> Problems {
        let name = default_name(block);
        block.default_to("name", name);
        block.default_to("allocation", Datum::text("sparse"));
        if let Some(volume) = block.resource("volume").and_then(|address| all.get(address)) {
            let inherited = ["owner", "group"].map(|name| (name, volume.datum(name).cloned()));
            for (name, value) in inherited {
                if let Some(value) = value {
                    block.default_to(name, value);
                }
            }
            if block.datum("owner").or(block.datum("group")).is_some() {
                block.default_to("mode", Datum::Mode(Mode::new(0o660).expect("twelve bits")));
            }
        }
        check(block, all).into_iter().chain(backing::check(block, all)).collect()
    }

    fn hosts(&self, block: &Block, all: &Blocks) -> Vec<HostName> {
        if block.is_unknown("hosts") {
            return Vec::new();
        }
        // An empty list is none, not all: only without the attribute it is on every member.
        if block.datum("hosts").is_some() {
            return block.resources("hosts").iter().map(host::name_of).collect();
        }
        volume(block, all).and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, all))).unwrap_or_default()
    }

    fn paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        places(block, all).take(1).collect()
    }

    fn default_place(&self, block: &Block, _all: &Blocks) -> Option<(&'static str, Datum)> {
        Some(("name", default_name(block)))
    }

    fn needs_paths(&self, block: &Block, all: &Blocks) -> Vec<String> {
        self.paths(block, all)
    }

    fn built_on(&self, block: &Block, all: &Blocks) -> Option<(Address, Vec<String>)> {
        Some((block.resource("backing")?.clone(), places(block, all).collect()))
    }

    fn questions(&self, block: &Block, all: &Blocks, _host: &HostName) -> Vec<Question> {
        let mut files: Vec<_> = places(block, all).map(|path| image_file::question(&path)).collect();
        if let Some(base) = backing::base(block, all) {
            files.extend(places(base, all).map(|path| image_file::content_question(&path)));
        }
        files.into_iter().chain(ground::people_questions(block)).collect()
    }

    fn judge(&self, block: &Block, scene: &Scene) -> BTreeMap<HostName, Verdict> {
        let mut hosts = self.hosts(block, scene.blocks);
        if let Some(volume) = block.resource("volume") {
            let shared = hosts.iter().filter_map(|host| scene.room(volume, host)).any(|room| room.shared);
            if shared {
                // One member makes the image for all: the first that answers.
                hosts.sort_by_key(|host| matches!(scene.host(host), crate::model::HostFacts::Unreachable(_)));
                hosts.truncate(1);
            }
        }
        let judged = hosts.into_iter().map(|host| {
            let verdict = judge_host(block, scene, &host).unwrap_or_else(Verdict::unknown);
            (host, verdict)
        });
        judged.collect()
    }

    fn unmake(&self, _block: &Block, _scene: &Scene, _host: &HostName) -> Verdict {
        Verdict::default() // an image without a block is kept and forgotten
    }

    fn functions(&self) -> &'static [(&'static str, &'static str)] {
        &[("create_image", include_str!("ask/create_image.sh")), ("grow_image", include_str!("ask/grow_image.sh"))]
    }
}

fn default_name(block: &Block) -> Datum {
    match block.datum("format") {
        Some(Datum::Text(format)) => Datum::text(format!("{}.{format}", block.address.default_name())),
        _ => Datum::Unknown,
    }
}

fn check(block: &Block, all: &Blocks) -> Problems {
    let mut problems = ground::check_people(block);
    let mut error = |summary: String, detail: &str, name: &str| {
        problems
            .push(Problem::error("invalid-value", summary, detail).at(block.place_of(name).or(block.place.as_deref())))
    };
    if let Some(Err((summary, detail))) = block.text("name").map(check_name) {
        error(summary, detail, "name");
    }
    if let Some(Err((summary, detail))) = block.size("size").map(check_size) {
        error(summary, detail, "size");
    }
    if block.text("format") == Some("raw") && block.text("allocation") == Some("metadata") {
        error(
            "a raw image has no metadata to allocate".to_owned(),
            "Use \"sparse\", \"falloc\" or \"full\", or the format qcow2.",
            "allocation",
        );
    }
    if matches!(block.datum("hosts"), Some(Datum::Resources(hosts)) if hosts.is_empty()) {
        error(
            format!("{} is on no host", block.address),
            "Name at least one host, or leave `hosts` out (or null) for every member.",
            "hosts",
        );
    }
    // While it is not known which hosts a storage has, none is known not to be a member.
    let is_open = |needed: &Address| all.get(needed).is_some_and(|needed| needed.is_unknown("hosts"));
    let hosts = block.resources("hosts");
    let volume = volume(block, all).filter(|_| !hosts.is_empty());
    let volume = volume.filter(|volume| !volume.depends_on.iter().any(is_open));
    // Most name hosts that the storage names: no list of names is made for those.
    let storage = volume.and_then(|volume| all.get(volume.resource("storage")?));
    let volume = volume
        .filter(|_| !storage.is_some_and(|storage| hosts.iter().all(|host| storage.resources("hosts").contains(host))));
    let members = volume.and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, all)));
    let named = hosts.iter().map(host::name_of);
    for host in members.iter().flat_map(|members| named.clone().filter(|host| !members.contains(host))) {
        error(
            format!("{host} is no member of the volume's storage"),
            "Name hosts of the storage, or leave `hosts` out.",
            "hosts",
        );
    }
    problems
}

/// What is wrong with a file name, and the cure.
pub(super) fn check_name(name: &str) -> Result<(), (String, &'static str)> {
    if name.is_empty() || name.contains('/') || name == "." || name == ".." || name.chars().any(char::is_control) {
        let cure = "A name has no slash and no control character, and is not `.` or `..`.";
        return Err((format!("{name:?} is no file name"), cure));
    }
    if name.len() > LONGEST_NAME {
        return Err((format!("the name has {} bytes", name.len()), "A name has at most 240 bytes."));
    }
    if name.starts_with('.') && name.ends_with(".larder-new") || name.starts_with(".larder-trash") {
        return Err((format!("{name:?} is a name that Larder uses itself"), "Choose another name."));
    }
    Ok(())
}

/// What is wrong with a size, and the cure.
pub(super) fn check_size(size: Size) -> Result<(), (String, &'static str)> {
    if size.0 == 0 {
        return Err(("an image of no bytes is of no use".to_owned(), "Write a size like \"40GiB\"."));
    }
    if !size.0.is_multiple_of(512) {
        let cure = "Disks have sectors of 512 bytes: QEMU would round the size up.";
        return Err((format!("{size} is no multiple of 512 bytes"), cure));
    }
    if size.0 > i64::MAX as u64 {
        return Err((format!("{size} is larger than a file can be"), "A file has at most 8 EiB less one byte."));
    }
    Ok(())
}

fn volume<'a>(block: &Block, all: &'a Blocks) -> Option<&'a Block> {
    all.get(block.resource("volume")?)
}

/// Where the image can be seen: in the volume, and in what is mounted there.
pub(super) fn places(block: &Block, all: &Blocks) -> impl Iterator<Item = String> {
    let volume = volume(block, all).filter(|volume| !volume.is_unknown("mount_point") && !block.is_unknown("name"));
    let directories = volume.and_then(|volume| Some(kind_of(&volume.address)?.image_directories(volume)));
    directories.unwrap_or_default().into_iter().map(|directory| in_directory(&directory, block))
}

fn in_directory(directory: &str, block: &Block) -> String {
    format!("{}/{}", directory.trim_end_matches('/'), block.text("name").unwrap_or_default())
}

fn judge_host(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let facts = scene.host(host);
    let ground = scene.ground(host)?;
    let volume = block.resource("volume").ok_or("the volume is not known")?;
    let room = scene.room(volume, host).ok_or_else(|| format!("{volume} is not known"))?;
    let mut hazards = Vec::new();
    let wanted = Permissions::resolve(block, facts, host, &mut hazards)?;
    let mut verdict = Verdict { hazards, ..Verdict::default() };
    let path = in_directory(&room.directory, block);
    let hidden = hidden(block, scene, host, &room, &ground)?;
    let look_in = match &room.state {
        RoomState::Unknown(why) => return Err(why.clone()),
        RoomState::Later(why) => {
            verdict.standing = Standing::Later(why.clone());
            verdict.hazards.extend(hidden.or_else(|| moved_away(block, scene, host, &path)));
            return Ok(verdict);
        }
        RoomState::New { .. } => None,
        RoomState::Open { look_in } => Some(in_directory(look_in, block)),
    };
    let found = match &look_in {
        None => None,
        Some(look_in) => image_file::read(facts, look_in)?,
    };
    let image =
        Wanted { block, address: &block.address, host, path, room: &room, ground: &ground, permissions: wanted };
    match found {
        None => image.create(&mut verdict, scene, hidden)?,
        Some(_) if let Some(hazard) = hidden => {
            verdict.standing = Standing::Present;
            verdict.hazards.push(hazard);
        }
        Some(file) => image.compare(&mut verdict, scene, &file, look_in.as_deref().unwrap_or_default())?,
    }
    Ok(verdict)
}

/// An image that is where it belongs, in a directory over which its volume would be mounted; or in what was mounted there before
/// the volume became one of another sort.
fn hidden(
    block: &Block,
    scene: &Scene,
    host: &HostName,
    room: &Room,
    ground: &Ground,
) -> Result<Option<Hazard>, String> {
    let at = &room.directory;
    if matches!(&room.state, RoomState::Open { look_in } if look_in == at)
        || matches!(room.state, RoomState::Unknown(_))
    {
        return Ok(None);
    }
    let volume = block.resource("volume");
    let was_of_another_sort = || {
        let volumes = volume.and_then(|volume| Some((scene.previous(volume)?, scene.block(volume)?)));
        volumes.is_some_and(|(old, new)| is_elsewhere(old, new))
    };
    if !ground.mounts.at(at).is_empty() && !was_of_another_sort() {
        return Ok(None);
    }
    let path = in_directory(at, block);
    if image_file::read(scene.host(host), &path)?.is_none() {
        return Ok(None);
    }
    let volume = volume.map(ToString::to_string).unwrap_or_default();
    let message = format!(
        "{path} on {host} would be out of sight, with the guest's data: {volume} is to be something else that is mounted there"
    );
    let cure = "Give the volume another mount_point and move the file into it, or keep the volume as it was.";
    Ok(Some(Hazard::new(HazardCode::DataLoss, &block.address, Some(host), message, cure)))
}

/// An image that would get another path: a new one is made, and the old one with the guest's data stays behind.
fn moved_away(block: &Block, scene: &Scene, host: &HostName, path: &str) -> Option<Hazard> {
    let previous = scene.previous(&block.address)?;
    let volume = scene.previous(previous.resource("volume")?)?;
    let old = in_directory(kind_of(&volume.address)?.image_directories(volume).first()?, previous);
    let (name, volume) = (previous.text("name")?, &volume.address);
    let cure = match (block.resource("volume") == Some(volume), block.text("name") == Some(name)) {
        (true, false) => {
            format!("Keep it with {}. ", block.address.attribute_for("name", name, block.address.has_keys()))
        }
        (true, true) => format!("Keep it where it is by keeping the path of {volume}. "),
        (false, _) => String::new(),
    };
    (old != path).then(|| {
        Hazard::new(
            HazardCode::DataLoss,
            &block.address,
            Some(host),
            format!("the image moves from {old} to {path}: it would be made anew, and the guest's data stay behind in the old file"),
            format!("{cure}Move the file yourself first; what matches is adopted."),
        )
    })
}

/// Where an image was when it was applied last, and the volume that it was in.
fn places_before<'a>(block: &Block, scene: &'a Scene) -> Option<(Vec<String>, &'a Block)> {
    let previous = scene.previous(&block.address)?;
    let volume = scene.previous(previous.resource("volume")?)?;
    let directories = kind_of(&volume.address)?.image_directories(volume);
    Some((directories.iter().map(|directory| in_directory(directory, previous)).collect(), volume))
}

/// What one host is to have.
struct Wanted<'a> {
    block: &'a Block,
    address: &'a Address,
    host: &'a HostName,
    path: String,
    room: &'a Room,
    ground: &'a Ground,
    permissions: Permissions,
}

impl Wanted<'_> {
    fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    fn format(&self) -> &str {
        self.block.text("format").unwrap_or("raw")
    }

    fn size(&self) -> Size {
        self.block.size("size").unwrap_or_default()
    }

    fn allocation(&self) -> &str {
        self.block.text("allocation").unwrap_or("sparse")
    }

    /// How the image is really allocated, with the finding where that writes every byte and takes long: what the file system cannot
    /// reserve is written, never only said to be there.
    fn way_to_allocate(&self, verdict: &mut Verdict, more: Size) -> &str {
        let Some(why) = self.room.cannot_reserve.as_ref().filter(|_| matches!(self.allocation(), "falloc" | "full"))
        else {
            return self.allocation();
        };
        let why = if self.allocation() == "full" { "`allocation` wants it so" } else { why.as_str() };
        if more.0 >= WORTH_TELLING {
            let time = Duration::from_secs(more.0.div_ceil(NETWORK_RATE));
            verdict.hazards.push(self.hazard(
                HazardCode::SlowAllocation,
                format!(
                    "{} on {} is allocated by writing {}: {why}. At {} a second, what a network of 1 Gbit/s carries, that takes {}",
                    self.path,
                    self.host,
                    more.rounded(),
                    Size(NETWORK_RATE).rounded(),
                    lasting(time)
                ),
                "Nothing has to be accepted. allocation = \"sparse\" takes no time, and no room beforehand.",
            ));
        }
        "full"
    }

    fn need_program(&self, verdict: &mut Verdict, program: &str) {
        verdict.hazards.extend(self.ground.lacks(program, self.address, self.host));
    }

    fn create(&self, verdict: &mut Verdict, scene: &Scene, hidden: Option<Hazard>) -> Result<(), String> {
        let (format, size) = (self.format(), self.size());
        let allocation = self.way_to_allocate(verdict, size);
        match (format, allocation) {
            ("qcow2", _) => self.need_program(verdict, "qemu-img"),
            ("raw", "falloc") => self.need_program(verdict, "fallocate"),
            _ => {}
        }
        let qemu = self.ground.system.qemu.as_ref();
        let permissions = self.permissions.or_for_qemu(qemu, Mode::new(0o660).expect("twelve bits"));
        let owner = permissions.owner_argument().unwrap_or_default();
        let mode = permissions.mode.map(|mode| mode.to_string()).unwrap_or_default();
        let size_argument = size.0.to_string();
        let mut words = vec!["create_image", &self.path, format, &size_argument, allocation, &owner, &mode];
        let mut what = format!("allocate {} ({format}, {size}, {allocation})", self.path);
        if allocation != self.allocation() {
            what = format!("allocate {} ({format}, {size}, full in place of {})", self.path, self.allocation());
        }
        let base = backing::base(self.block, scene.blocks);
        let under = base.map(|base| self.under(base, scene)).transpose()?;
        if let Some(Under::Later(why)) = &under {
            verdict.standing = Standing::Later(why.clone());
            let moved = || moved_away(self.block, scene, self.host, &self.path);
            verdict.hazards.extend(hidden.or_else(moved).or_else(|| self.gone(scene)));
            return Ok(());
        }
        let mut guard = Vec::new();
        if let (Some(base), Some(Under::There { at, guard: of_base } | Under::Written { at, guard: of_base, .. })) =
            (base, &under)
        {
            words.extend([at, base.text("format").unwrap_or("raw")]);
            what = format!("make {} ({format}, {size}), an overlay of {at}", self.path);
            guard.extend(of_base.iter().cloned());
        }
        let draft = Draft::new("create", what, Command::new(words))
            .guarded([ground::absent(&self.path)])
            .guarded(self.room.guard.clone())
            .guarded(guard)
            .without_inverse("an image that a guest may have used is not deleted");
        verdict.needs.push(self.need(scene, reserved(format, size, allocation), size, 1)?);
        let overlay = backing::overlay_of(self.block, scene, self.host, self.room.shared)?;
        let remedy = match self.gone(scene) {
            _ if let Some(Under::Written { at, host, by, .. }) = &under => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("{at} on {host} is open for writing: {by}. An overlay of it would be destroyed by what is written there"),
                format!("Stop the guest, or let it run on an overlay of its own; then plan again. {} must not change any more.", base.map(|base| base.address.to_string()).unwrap_or_default()),
            )),
            _ if overlay.is_some() => Remedy::Never(self.hazard(
                HazardCode::BackingInUse,
                format!(
                    "{} is not on {}, and {} is an overlay of it: over a blank image that would be worthless",
                    self.path,
                    self.host,
                    overlay.map(ToString::to_string).unwrap_or_default()
                ),
                format!(
                    "Put back the image that the overlay was made on. Where the overlay is gone for good, forget it first: `larder state rm '{}'`.",
                    overlay.map(ToString::to_string).unwrap_or_default()
                ),
            )),
            _ if let Some(hazard) = hidden => Remedy::Ask(hazard, vec![draft]),
            _ if let Some(hazard) = moved_away(self.block, scene, self.host, &self.path) => Remedy::Ask(hazard, vec![draft]),
            None => Remedy::Run(vec![draft]),
            Some(hazard) => Remedy::Ask(hazard, vec![draft]),
        };
        let want = format!("{format}, {size}, {allocation}");
        verdict.differences.push(Difference::new("image", "absent", want, remedy));
        Ok(())
    }

    /// The hazard of an image that is not there and was when it was applied last.
    fn gone(&self, scene: &Scene) -> Option<Hazard> {
        (scene.was_seen(self.address, self.host) && !self.room.volatile).then(|| {
            self.hazard(
                HazardCode::DataLoss,
                format!("{} was there when it was applied last and is gone from {}", self.path, self.host),
                "Find out where it went, and put it back: a blank image would take its place.",
            )
        })
    }

    /// How the backing image stands of which this one is to be an overlay.
    fn under(&self, base: &Block, scene: &Scene) -> Result<Under, String> {
        let volume = base.resource("volume").ok_or("the volume of the backing image is not known")?;
        let room = scene.room(volume, self.host).ok_or_else(|| format!("{volume} is not known"))?;
        let at = in_directory(&room.directory, base);
        let mut guard = room.guard.clone();
        let places: Vec<String> = places(base, scene.blocks).collect();
        guard.push(open_files::nobody_writes(&places));
        let look_in = match room.state.clone() {
            RoomState::Unknown(why) => return Err(why),
            RoomState::Later(why) => return Ok(Under::Later(why)),
            RoomState::New { .. } => return Ok(Under::There { at, guard }),
            RoomState::Open { look_in } => in_directory(&look_in, base),
        };
        let facts = scene.host(self.host);
        let Some(file) = image_file::read(facts, &look_in)? else { return Ok(Under::There { at, guard }) };
        let hosts = self.sharing(base, &room, scene);
        if let Some((host, by)) = users(scene, &hosts, &places)?.into_iter().find(|(_, one)| one.writes) {
            return Ok(Under::Written { at, guard, host, by });
        }
        let grows = base.size("size").is_some_and(|size| file.virtual_size() < size)
            && !base.lifecycle.ignore_changes.contains("size");
        if grows {
            return Ok(Under::Later(format!("{} grows first", base.address)));
        }
        guard.push(image_file::content_guard(facts, &at, &look_in)?);
        Ok(Under::There { at, guard })
    }

    /// An image that exists is compared; it is never made anew.
    fn compare(&self, verdict: &mut Verdict, scene: &Scene, file: &ImageFile, seen_at: &str) -> Result<(), String> {
        verdict.standing = Standing::Present;
        let path = &self.path;
        if file.inode.file_type != FileType::Regular {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("{path} on {} is no regular file", self.host),
                "Move it away, or give the image another name.",
            ));
            return Ok(());
        }
        let moved = places_before(self.block, scene).filter(|(old, _)| old.first().is_some_and(|old| old != path));
        let moved = moved.filter(|_| scene.was_seen(self.address, self.host));
        let mut is_another = false;
        if let Some((old, volume)) = &moved {
            if let Some(why) = self.left_behind(scene, file, old, volume) {
                is_another = true;
                verdict.hazards.push(self.hazard(
                    HazardCode::DataLoss,
                    format!(
                        "the image moves from {} to {path} on {}, where another file is already: {why}",
                        old.join(" or "),
                        self.host
                    ),
                    "Make sure which of the two has the guest's data, and leave only that one, at the new path.",
                ));
            }
            verdict.differences.push(Difference::new(
                "path",
                old.first().cloned().unwrap_or_default(),
                path,
                Remedy::Record,
            ));
        }
        let previous = scene.previous(self.address);
        let previous = previous.filter(|_| scene.was_seen(self.address, self.host) && !is_another);
        let is_ours = previous.is_some();
        let mut file = file.clone();
        if self.format() == "raw" && previous.is_some_and(|previous| previous.text("format") == Some("raw")) {
            // What a guest writes into the first sector of its disk says nothing about a raw image that is known.
            file.header = Header::Raw;
        }
        let doubt = match &file.header {
            Header::Unreadable(why) => Some(format!("is a qcow2 image that Larder does not understand: {why}")),
            Header::Qcow2 { needs, .. } => {
                let mismatch = backing::mismatch(&file.header, path, self.block, scene.blocks);
                mismatch.or_else(|| needs.first().map(|what| (*what).to_owned()))
            }
            Header::Raw => None,
        };
        if let Some(doubt) = doubt {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!("{path} on {} {doubt}", self.host),
                "Look at it with `qemu-img info`. Larder leaves it alone.",
            ));
            return Ok(());
        }
        let have = file.virtual_size();
        verdict.observed.insert("format".to_owned(), file.format().to_owned());
        verdict.observed.insert("size".to_owned(), have.to_string());
        verdict.observed.insert("inode".to_owned(), file.inode.inode.to_string());
        let differs = file.format() != self.format() || (have != self.size() && !is_ours);
        if differs {
            let message = format!(
                "{path} on {} is {} of {have}, not {} of {}",
                self.host,
                file.format(),
                self.format(),
                self.size()
            );
            let cure = match (file.format() == self.format(), have < self.size()) {
                (true, true) => {
                    format!("It is not in the state. Set size = \"{have}\" to adopt it, apply, then let it grow.")
                }
                (true, false) => format!(
                    "An image is never shrunk. Set size = \"{have}\" to adopt it, or give the image another name."
                ),
                (false, _) => {
                    "An image is never converted in place. Correct the format, or give the image another name."
                        .to_owned()
                }
            };
            let code = if file.format() == self.format() && have > self.size() {
                HazardCode::Shrink
            } else {
                HazardCode::WrongSource
            };
            verdict.hazards.push(self.hazard(code, message, cure));
            return Ok(());
        }
        let users = self.users(scene)?;
        if have > self.size() {
            let hazard = self.hazard(
                HazardCode::Shrink,
                format!("{path} on {} has {have}, the configuration wants {}", self.host, self.size()),
                format!(
                    "An image is never shrunk: a guest would lose what lies behind the new end. Set size = \"{have}\"."
                ),
            );
            verdict.differences.push(Difference::new(
                "size",
                have.to_string(),
                self.size().to_string(),
                Remedy::Never(hazard),
            ));
        } else if have < self.size() && !self.block.lifecycle.ignore_changes.contains("size") {
            let lost = previous.and_then(|previous| previous.size("size")).filter(|size| have < *size);
            self.grow(verdict, scene, &file, seen_at, lost)?;
        }
        // libvirt gives an image to the qemu user while a guest runs, and back when it stops.
        if users.is_empty() {
            let guard = ground::still(path, &file.inode);
            verdict.observed.insert("owner".to_owned(), self.ground.user_name(file.inode.uid));
            verdict.observed.insert("group".to_owned(), self.ground.group_name(file.inode.gid));
            verdict.observed.insert("mode".to_owned(), file.inode.mode.to_string());
            let mut differences =
                ground::permission_differences(path, &self.permissions, Some(&file.inode), self.ground, &[guard]);
            ground::keep_first_guard(&mut differences);
            verdict.differences.extend(differences);
        }
        Ok(())
    }

    /// Why the file is not, or may not be, the one that was at the places of before.
    fn left_behind(&self, scene: &Scene, file: &ImageFile, old: &[String], volume: &Block) -> Option<String> {
        for place in old {
            match image_file::read(scene.host(self.host), place) {
                Ok(None) => {}
                Ok(Some(before))
                    if (before.inode.device, before.inode.inode) == (file.inode.device, file.inode.inode) =>
                {
                    return None;
                }
                Ok(Some(_)) => return Some(format!("{place} is still there")),
                Err(why) => return Some(format!("whether {place} is still there is not known: {why}")),
            }
        }
        // Files of a volume that is not mounted cannot be seen; those of a tmpfs are gone, and a bind volume's are in its source.
        let can_hide = ["directory", "tmpfs", "bind"].iter().all(|sort| volume.nested(sort).is_none());
        let directory = old.first().and_then(|place| place.rsplit_once('/')).map_or("/", |(directory, _)| directory);
        let is_same_volume = self.block.resource("volume") == Some(&volume.address);
        (can_hide && !is_same_volume && self.ground.mounts.at(directory).is_empty())
            .then(|| format!("{} is not mounted, so that nobody knows what is there", volume.address))
    }

    /// The hosts on which a guest may have the image open: all that mount its volume, whatever hosts the image names. QEMU's locks do
    /// not reach from one host to another on every file system.
    fn sharing(&self, image: &Block, room: &Room, scene: &Scene) -> Vec<HostName> {
        let volume = volume(image, scene.blocks).filter(|_| room.shared);
        let members = volume.and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, scene.blocks)));
        members.unwrap_or_else(|| vec![self.host.clone()])
    }

    /// Who uses the image on this host, by whichever name the volume gives it.
    fn users(&self, scene: &Scene) -> Result<Vec<open_files::Use>, String> {
        let found = users(scene, std::slice::from_ref(self.host), &self.places(scene))?;
        Ok(found.into_iter().map(|(_, one)| one).collect())
    }

    fn places(&self, scene: &Scene) -> Vec<String> {
        places(self.block, scene.blocks).collect()
    }

    fn grow(
        &self,
        verdict: &mut Verdict,
        scene: &Scene,
        file: &ImageFile,
        seen_at: &str,
        lost: Option<Size>,
    ) -> Result<(), String> {
        self.need_program(verdict, "qemu-img");
        self.need_program(verdict, "setpriv");
        let (have, size) = (file.virtual_size(), self.size());
        let preallocation = match self.way_to_allocate(verdict, Size(size.0 - have.0)) {
            "sparse" => "off",
            other => other,
        };
        let words = ["grow_image", &self.path, &file.inode.number(), self.format(), preallocation, &size.0.to_string()];
        let seen = image_file::guard(scene.host(self.host), seen_at)?;
        let mut guard: Vec<Guard> = self.room.guard.clone();
        if seen_at == self.path {
            guard.push(seen);
        }
        guard.push(open_files::nobody(&self.places(scene)));
        let draft = Draft::new("grow", format!("grow {} from {have} to {size}", self.path), Command::new(words))
            .guarded(guard)
            .with_impact(Impact::Offline)
            .without_inverse("an image is never shrunk");
        let overlay = backing::overlay_of(self.block, scene, self.host, self.room.shared)?;
        let base = self.block.resource("backing").map(|base| format!("it is an overlay of {base}"));
        let chained = overlay.map(|overlay| format!("{overlay} is an overlay of it")).or(base);
        let hosts = self.sharing(self.block, self.room, scene);
        let users = users(scene, &hosts, &self.places(scene))?;
        let remedy = match (users.first(), lost) {
            _ if chained.is_some() => Remedy::Never(self.hazard(
                HazardCode::BackingInUse,
                format!("{} on {} does not grow: {}", self.path, self.host, chained.unwrap_or_default()),
                format!("Set size = \"{have}\". An overlay of a running guest grows by `virsh blockresize`; then set its new size here. An overlay that is gone for good is forgotten by `larder state rm`."),
            )),
            (None, None) => Remedy::Run(vec![draft]),
            (None, Some(size)) => Remedy::Ask(
                self.hazard(
                    HazardCode::DataLoss,
                    format!("{} on {} had {size} when it was applied last and has {have} now", self.path, self.host),
                    "It was cut short: the guest's data behind are gone. Bring back a copy.",
                ),
                vec![draft],
            ),
            (Some((host, user)), _) => Remedy::Never(self.hazard(
                HazardCode::InUse,
                format!("{} on {host} is in use: {user}", self.path),
                "Stop the guest, then plan again; or grow it through the guest's own tools (virsh blockresize), after which the plan is empty.",
            )),
        };
        let more = Size(size.0 - have.0);
        let bytes = reserved(self.format(), more, self.allocation());
        verdict.needs.push(self.need(scene, bytes, more, 0)?);
        verdict.differences.push(Difference::new("size", have.to_string(), size.to_string(), remedy));
        Ok(())
    }

    fn need(&self, scene: &Scene, bytes: u64, size: Size, inodes: u64) -> Result<Need, String> {
        let promised = size.0.saturating_sub(bytes);
        let at = self.room.directory.clone();
        Ok(match &self.room.state {
            RoomState::New { filesystem, size } => Need {
                filesystem: filesystem.clone(),
                at,
                free: Some(*size),
                free_inodes: None,
                bytes,
                promised,
                inodes,
                shared: self.room.shared,
            },
            RoomState::Open { look_in } => {
                let space = space::read(scene.host(self.host), look_in)?;
                Need {
                    filesystem: space.filesystem,
                    at,
                    free: Some(space.free),
                    free_inodes: space.free_inodes,
                    bytes,
                    promised,
                    inodes,
                    shared: self.room.shared,
                }
            }
            RoomState::Later(why) | RoomState::Unknown(why) => return Err(why.clone()),
        })
    }
}

/// How a backing image stands.
enum Under {
    /// It is there, or is made before; with what must hold while an overlay of it is made.
    There { at: String, guard: Vec<Guard> },
    /// Somebody may write to it.
    Written { at: String, guard: Vec<Guard>, host: HostName, by: open_files::Use },
    /// It has to be waited for, and why.
    Later(String),
}

/// Who uses any of the places, and on which host.
fn users(scene: &Scene, hosts: &[HostName], places: &[String]) -> Result<Vec<(HostName, open_files::Use)>, String> {
    let mut all = Vec::new();
    for host in hosts {
        for place in places {
            let found = scene.users(host, place)?;
            all.extend(found.into_iter().map(|one| (host.clone(), one)));
        }
    }
    Ok(all)
}

/// `3 min 20 s`.
fn lasting(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..60 => format!("{seconds} s"),
        seconds @ 60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds / 60 % 60),
    }
}

/// Bytes that an image of that size takes at once. qcow2 with 64 KiB clusters: an L2 entry of 8 bytes and a refcount of 2 bytes
/// for each, and a few clusters of its own (QEMU's docs/interop/qcow2.txt).
fn reserved(format: &str, size: Size, allocation: &str) -> u64 {
    const CLUSTER: u64 = 64 << 10;
    let tables = (size.0 / CLUSTER + 1) * 10 + 5 * CLUSTER;
    match (format, allocation) {
        ("raw", "sparse") => 0,
        ("raw", _) => size.0,
        (_, "sparse") => 4 * CLUSTER,
        (_, "metadata") => tables,
        _ => size.0.saturating_add(tables),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_image_takes_at_once_follows_format_and_allocation() {
        let gib = Size(1 << 30);
        assert_eq!(reserved("raw", gib, "sparse"), 0);
        assert_eq!(reserved("raw", gib, "full"), 1 << 30);
        assert_eq!(reserved("qcow2", gib, "sparse"), 256 << 10);
        // `qemu-img measure` says 1 074 135 040 bytes for a fully allocated qcow2 of 1 GiB.
        assert!((1_074_135_040..1_074_400_000).contains(&reserved("qcow2", gib, "full")));
    }
}
