//! An image that is smaller than it is to be.

use crate::model::block::Attributes;
use crate::model::{Command, Guard, HazardCode, Impact, Size};

use super::super::Scene;
use super::super::ask::image_file::{self, ImageFile};
use super::super::ask::open_files;
use super::super::verdict::{Difference, Draft, Remedy, Verdict};
use super::room::reserved;
use super::{Wanted, backing, sharing, users};

impl Wanted<'_> {
    pub(super) fn grow(
        &self,
        verdict: &mut Verdict,
        scene: &Scene,
        file: &ImageFile,
        seen_at: &str,
        size: Size,
        lost: Option<Size>,
    ) -> Result<(), String> {
        self.need_program(verdict, "qemu-img");
        self.need_program(verdict, "setpriv");
        let have = file.virtual_size();
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
        let hosts = sharing(self.block, scene, self.room.shared, self.host);
        let users = users(scene, &hosts, &self.places(scene))?;
        let remedy = match (users.first(), lost) {
            _ if self.is_template() => Remedy::Never(self.hazard(
                HazardCode::WrongSource,
                format!("{} on {} is a template of {have}, and a template does not grow", self.path, self.host),
                format!("Set size = \"{have}\". What is made of it may be larger."),
            )),
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
}
