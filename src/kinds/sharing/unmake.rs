//! Taking a share away: never while somebody is connected, and never its directory.

use super::share::edit;
use super::{Look, Sharing};
use crate::kinds::ask::samba;
use crate::kinds::media_share::host_of;
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::{Command, HazardCode};

impl Look<'_> {
    /// What takes the share away from the host again. The directory with what lies in it, and the users of the system, stay.
    pub(in crate::kinds) fn unmake(self) -> Result<Verdict, String> {
        let mut verdict = Verdict::default();
        let has_configuration = samba::read_configuration(self.scene.host(self.host)).is_ok();
        if !self.installed.missing.is_empty() {
            // Where Samba was removed with its configuration, nothing is left of the share.
            let file = samba::read_file(self.scene.host(self.host), &self.sharing.file())?;
            if file.is_some() || has_configuration {
                verdict.standing = Standing::Present;
                verdict.hazards.extend(self.lacks());
            }
            return Ok(verdict);
        }
        self.take_away(&mut verdict, &self.sharing)?;
        self.drop_accounts(&mut verdict)?;
        if !verdict.differences.is_empty() {
            verdict.standing = Standing::Present;
        }
        Ok(verdict)
    }

    /// A share that has another name now leaves the old one.
    pub(super) fn leave_previous_share(&self, verdict: &mut Verdict) -> Result<(), String> {
        let previous = self.scene.previous(self.address).and_then(Sharing::of);
        let Some(previous) = previous.filter(|previous| previous.file() != self.sharing.file()) else {
            return Ok(());
        };
        // What was elsewhere before is taken away there.
        if self.scene.previous(self.address).map(host_of) != Some(host_of(self.block)) {
            return Ok(());
        }
        self.take_away(verdict, &previous)?;
        // Where the new one cannot be made, clients go on with the old one.
        for difference in &mut verdict.differences {
            if let Remedy::Run(drafts) = &mut difference.remedy {
                drafts.iter_mut().for_each(|draft| draft.rolls_back = true);
            }
        }
        if !verdict.differences.is_empty() {
            verdict.standing = Standing::Present;
        }
        Ok(())
    }

    fn take_away(&self, verdict: &mut Verdict, sharing: &Sharing) -> Result<(), String> {
        let facts = self.scene.host(self.host);
        let (file, share) = (sharing.file(), sharing.share.as_str());
        let configuration = samba::read_configuration(facts)?;
        let includes = samba::includes(&configuration, &file);
        let held = samba::read_file(facts, &file)?.filter(|text| self.is_own_file(text));
        if held.is_none() && (includes.is_empty() || samba::read_file(facts, &file)?.is_some()) {
            return Ok(()); // it is gone already, or has become somebody else's
        }
        let connected = samba::read_connections(facts, share)?;
        if !connected.is_empty() {
            let named = connected.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
            let more = if connected.len() > 5 { format!(" and {} more", connected.len() - 5) } else { String::new() };
            let hazard = self.hazard(
                HazardCode::InUse,
                format!("the share {share} on {} is in use by {named}{more}", self.host),
                "Unmount it there, then plan again. Larder closes nobody's files.",
            );
            verdict.differences.push(Difference::new("share", "in use", "absent", Remedy::Never(hazard)));
            return Ok(());
        }
        let mut drafts = Vec::new();
        if !includes.is_empty() {
            drafts.push(edit(&file, includes, None, &configuration).guarded([samba::nobody(share)]).destroying());
        }
        if let Some(text) = held {
            let write = Command::new(["write_samba_share", &file]).with_stdin(text.clone());
            drafts.push(
                Draft::new("share", format!("remove {file}"), Command::new(["remove_samba_share", &file]))
                    .guarded([samba::unchanged(&file, Some(&text)), samba::nobody(share)])
                    .undone_by(write),
            );
        }
        verdict.differences.push(Difference::new(
            "share",
            format!("{share} at {}", sharing.path),
            "absent",
            Remedy::Run(drafts),
        ));
        Ok(())
    }
}
