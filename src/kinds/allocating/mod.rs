//! An image as a file of its volume: where it lies, what is there, what is to be there, and every step between.

use crate::model::block::Attributes;
use crate::model::{Address, Block, Blocks, Hazard, HazardCode, HostName, Size};

use super::ask::image_file;
use super::ask::open_files;
use super::ground::{Ground, Permissions};
use super::scene::{Room, RoomState};
use super::verdict::{Standing, Verdict};
use super::{Scene, host, kind_of};

mod backing;
mod compare;
mod create;
mod grow;
mod moved;
mod origin;
mod room;

pub(in crate::kinds) use backing::{base, check as check_backing, resolved};
pub(in crate::kinds) use origin::{check as check_origin, default_mode, origin, take_source};

pub(in crate::kinds) fn volume<'a>(block: &Block, all: &'a Blocks) -> Option<&'a Block> {
    all.get(block.resource("volume")?)
}

/// The hosts on which an image is.
pub(in crate::kinds) fn hosts(block: &Block, all: &Blocks) -> Vec<HostName> {
    if block.is_unknown("hosts") {
        return Vec::new();
    }
    // An empty list is none, not all: only without the attribute it is on every member.
    if block.datum("hosts").is_some() {
        return block.resources("hosts").iter().map(host::name_of).collect();
    }
    volume(block, all).and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, all))).unwrap_or_default()
}

/// The hosts on which a guest may have an image open that one host sees: all that share its volume, whatever hosts the block of the
/// image names. QEMU's locks do not reach from one host to another on every file system.
fn sharing(block: &Block, scene: &Scene, shared: bool, host: &HostName) -> Vec<HostName> {
    let volume = volume(block, scene.blocks).filter(|_| shared);
    let members = volume.and_then(|volume| Some(kind_of(&volume.address)?.hosts(volume, scene.blocks)));
    members.unwrap_or_else(|| vec![host.clone()])
}

/// Where the image can be seen: in the volume, and in what is mounted there.
pub(in crate::kinds) fn places(block: &Block, all: &Blocks) -> impl Iterator<Item = String> {
    let volume = volume(block, all).filter(|volume| !volume.is_unknown("mount_point") && !block.is_unknown("name"));
    let directories = volume.and_then(|volume| Some(kind_of(&volume.address)?.image_directories(volume)));
    directories.unwrap_or_default().into_iter().map(|directory| in_directory(&directory, block))
}

/// The directory of the volume that it lies in; `None` while that is not known.
pub(in crate::kinds) fn directory(block: &Block, all: &Blocks) -> Option<String> {
    let volume = volume(block, all).filter(|volume| !volume.is_unknown("mount_point"))?;
    kind_of(&volume.address)?.image_directories(volume).into_iter().next()
}

pub(super) fn in_directory(directory: &str, block: &Block) -> String {
    format!("{}/{}", directory.trim_end_matches('/'), block.text("name").unwrap_or_default())
}

pub(in crate::kinds) fn judge_host(block: &Block, scene: &Scene, host: &HostName) -> Result<Verdict, String> {
    let facts = scene.host(host);
    let ground = scene.ground(host)?;
    let volume = block.resource("volume").ok_or("the volume is not known")?;
    let room = scene.room(volume, host).ok_or_else(|| format!("{volume} is not known"))?;
    let mut hazards = Vec::new();
    let wanted = Permissions::resolve(block, facts, host, &mut hazards)?;
    let mut verdict = Verdict { hazards, ..Verdict::default() };
    let path = in_directory(&room.directory, block);
    let hidden = moved::hidden(block, scene, host, &room, &ground)?;
    let look_in = match &room.state {
        RoomState::Unknown(why) => return Err(why.clone()),
        RoomState::Later(why) => {
            verdict.standing = Standing::Later(why.clone());
            verdict.hazards.extend(hidden.or_else(|| moved::moved_away(block, scene, host, &path)));
            return Ok(verdict);
        }
        RoomState::New { .. } => None,
        RoomState::Open { look_in } => Some(in_directory(look_in, block)),
    };
    let found = match &look_in {
        None => None,
        Some(look_in) => image_file::read(facts, look_in)?,
    };
    let image = Wanted {
        block,
        address: &block.address,
        host,
        path,
        room: &room,
        ground: &ground,
        permissions: wanted,
        size: origin::size(block, scene),
    };
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

/// What one host is to have.
struct Wanted<'a> {
    block: &'a Block,
    address: &'a Address,
    host: &'a HostName,
    path: String,
    room: &'a Room,
    ground: &'a Ground,
    permissions: Permissions,
    /// The size that a guest is to see; `None` where it is that of a source at which nobody has looked.
    size: Option<Size>,
}

impl Wanted<'_> {
    fn hazard(&self, code: HazardCode, message: String, cure: impl Into<String>) -> Hazard {
        Hazard::new(code, self.address, Some(self.host), message, cure)
    }

    fn format(&self) -> &str {
        self.block.text("format").unwrap_or("raw")
    }

    fn is_template(&self) -> bool {
        self.block.boolean("template") == Some(true)
    }

    fn allocation(&self) -> &str {
        self.block.text("allocation").unwrap_or("sparse")
    }

    fn need_program(&self, verdict: &mut Verdict, program: &str) {
        verdict.hazards.extend(self.ground.lacks(program, self.address, self.host));
    }

    /// Who uses the image on this host, by whichever name the volume gives it.
    fn users(&self, scene: &Scene) -> Result<Vec<open_files::Use>, String> {
        let found = users(scene, std::slice::from_ref(self.host), &self.places(scene))?;
        Ok(found.into_iter().map(|(_, one)| one).collect())
    }

    fn places(&self, scene: &Scene) -> Vec<String> {
        places(self.block, scene.blocks).collect()
    }
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
