//! An image that was somewhere else before: its data are never left behind without a word.

use crate::model::block::Attributes;
use crate::model::{Block, Hazard, HazardCode, HostName};

use super::super::ask::image_file::{self, ImageFile};
use super::super::ground::Ground;
use super::super::scene::{Room, RoomState};
use super::super::{Scene, is_elsewhere, kind_of};
use super::{Wanted, in_directory};

/// An image that is where it belongs, in a directory over which its volume would be mounted; or in what was mounted there before
/// the volume became one of another sort.
pub(super) fn hidden(
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
pub(super) fn moved_away(block: &Block, scene: &Scene, host: &HostName, path: &str) -> Option<Hazard> {
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
pub(super) fn places_before<'a>(block: &Block, scene: &'a Scene) -> Option<(Vec<String>, &'a Block)> {
    let previous = scene.previous(&block.address)?;
    let volume = scene.previous(previous.resource("volume")?)?;
    let directories = kind_of(&volume.address)?.image_directories(volume);
    Some((directories.iter().map(|directory| in_directory(directory, previous)).collect(), volume))
}

impl Wanted<'_> {
    pub(super) fn left_behind(
        &self,
        scene: &Scene,
        file: &ImageFile,
        old: &[String],
        volume: &Block,
    ) -> Option<String> {
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

    fn in_its_place(&self) -> &str {
        match self.block.datum("source").or(self.block.datum("clone")) {
            Some(_) => "a new one, without what the guest wrote,",
            None => "a blank image",
        }
    }

    /// The hazard of an image that is not there and was when it was applied last.
    pub(super) fn gone(&self, scene: &Scene) -> Option<Hazard> {
        (scene.was_seen(self.address, self.host) && !self.room.volatile).then(|| {
            self.hazard(
                HazardCode::DataLoss,
                format!("{} was there when it was applied last and is gone from {}", self.path, self.host),
                format!("Find out where it went, and put it back: {} would take its place.", self.in_its_place()),
            )
        })
    }
}
