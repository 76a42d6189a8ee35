//! An image that is not there: how it is made, blank or as an overlay.

use crate::model::block::Attributes;
use crate::model::{Command, Hazard, HazardCode};

use super::super::Scene;
use super::super::ground;
use super::super::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use super::Wanted;
use super::backing::{self, Under};
use super::moved::moved_away;
use super::origin::default_mode;
use super::room::reserved;

impl Wanted<'_> {
    pub(super) fn create(&self, verdict: &mut Verdict, scene: &Scene, hidden: Option<Hazard>) -> Result<(), String> {
        let size = self.size.ok_or("the file that it is made from was not looked at")?;
        if self.block.datum("source").is_some() || self.block.datum("clone").is_some() {
            return self.create_from(verdict, scene, hidden, size);
        }
        let format = self.format();
        let allocation = self.way_to_allocate(verdict, size);
        match (format, allocation) {
            ("qcow2", _) => self.need_program(verdict, "qemu-img"),
            ("raw", "falloc") => self.need_program(verdict, "fallocate"),
            _ => {}
        }
        let (owner, mode) = self.owner_and_mode();
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
        let written = match &under {
            Some(Under::Written { at, host, by, .. }) => Some(self.hazard(
                HazardCode::InUse,
                format!("{at} on {host} is open for writing: {by}. An overlay of it would be destroyed by what is written there"),
                format!("Stop the guest, or let it run on an overlay of its own; then plan again. {} must not change any more.", base.map(|base| base.address.to_string()).unwrap_or_default()),
            )),
            _ if self.is_template() => Some(self.nothing_to_copy()),
            _ => None,
        };
        let want = format!("{format}, {size}, {allocation}");
        let remedy = self.unless_lost(scene, hidden, written, draft)?;
        verdict.differences.push(Difference::new("image", "absent", want, remedy));
        Ok(())
    }

    /// As whom and with which mode it is made, as chown(1) and chmod(1) take them; empty for what does not matter.
    pub(super) fn owner_and_mode(&self) -> (String, String) {
        let permissions = self.permissions.or_for_qemu(self.ground.system.qemu.as_ref(), default_mode(self.block));
        let mode = permissions.mode.map(|mode| mode.to_string()).unwrap_or_default();
        (permissions.owner_argument().unwrap_or_default(), mode)
    }

    /// The step that makes an image, unless something speaks against it, or against its not being there.
    pub(super) fn unless_lost(
        &self,
        scene: &Scene,
        hidden: Option<Hazard>,
        against: Option<Hazard>,
        draft: Draft,
    ) -> Result<Remedy, String> {
        let overlay = backing::overlay_of(self.block, scene, self.host, self.room.shared)?;
        let overlaid = overlay.map(|overlay| {
            self.hazard(
                HazardCode::BackingInUse,
                format!(
                    "{} is not on {}, and {overlay} is an overlay of it: over a blank image that would be worthless",
                    self.path, self.host
                ),
                format!(
                    "Put back the image that the overlay was made on. Where the overlay is gone for good, forget it first: `larder state rm '{overlay}'`."
                ),
            )
        });
        if let Some(hazard) = against.or(overlaid) {
            return Ok(Remedy::Never(hazard));
        }
        let doubt =
            hidden.or_else(|| moved_away(self.block, scene, self.host, &self.path)).or_else(|| self.gone(scene));
        Ok(match doubt {
            Some(hazard) => Remedy::Ask(hazard, vec![draft]),
            None => Remedy::Run(vec![draft]),
        })
    }
}
