//! An image that is there is compared; it is never made anew.

use crate::model::HazardCode;
use crate::model::block::Attributes;

use super::super::Scene;
use super::super::ask::image_file::{Header, ImageFile};
use super::super::ask::path::FileType;
use super::super::ground;
use super::super::verdict::{Difference, Remedy, Standing, Verdict};
use super::moved::places_before;
use super::{Wanted, backing};

impl Wanted<'_> {
    pub(super) fn compare(
        &self,
        verdict: &mut Verdict,
        scene: &Scene,
        file: &ImageFile,
        seen_at: &str,
    ) -> Result<(), String> {
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
        let size = self.size.unwrap_or(have);
        verdict.observed.insert("format".to_owned(), file.format().to_owned());
        verdict.observed.insert("size".to_owned(), have.to_string());
        verdict.observed.insert("inode".to_owned(), file.inode.inode.to_string());
        let differs = file.format() != self.format() || (have != size && !is_ours);
        if differs {
            let message =
                format!("{path} on {} is {} of {have}, not {} of {}", self.host, file.format(), self.format(), size);
            let cure = match (file.format() == self.format(), have < size) {
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
            let code = if file.format() == self.format() && have > size {
                HazardCode::Shrink
            } else {
                HazardCode::WrongSource
            };
            verdict.hazards.push(self.hazard(code, message, cure));
            return Ok(());
        }
        if let Some(hazard) = self.has_another_source(previous) {
            verdict.hazards.push(hazard);
        }
        let users = self.users(scene)?;
        if have > size {
            let hazard = self.hazard(
                HazardCode::Shrink,
                format!("{path} on {} has {have}, the configuration wants {}", self.host, size),
                format!(
                    "An image is never shrunk: a guest would lose what lies behind the new end. Set size = \"{have}\"."
                ),
            );
            verdict.differences.push(Difference::new(
                "size",
                have.to_string(),
                size.to_string(),
                Remedy::Never(hazard),
            ));
        } else if have < size && !self.block.lifecycle.ignore_changes.contains("size") {
            let lost = previous.and_then(|previous| previous.size("size")).filter(|size| have < *size);
            self.grow(verdict, scene, &file, seen_at, size, lost)?;
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
}
