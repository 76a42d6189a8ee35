//! The directory that is shared, and who may use it.

use super::Look;
use crate::kinds::ask::path::{FileType, Inode, Lineage};
use crate::kinds::ask::people::{self, QemuUser};
use crate::kinds::ask::samba::LoggedIn;
use crate::kinds::ground::{self, Permissions};
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Attribute, Command, Datum, HazardCode, Mode};

impl Look<'_> {
    /// The directory with owner, group and mode. Gives what has to wait for users that the plan makes: such an owner has no number
    /// yet.
    pub(super) fn judge_directory(
        &self,
        verdict: &mut Verdict,
        lineage: &Lineage,
        newcomers: &[String],
    ) -> Result<Option<Difference>, String> {
        let facts = self.scene.host(self.host);
        let at = self.sharing.path.as_str();
        let mut block = self.block.clone();
        let is_ignored = |name: &str| self.block.lifecycle.ignore_changes.contains(name);
        if let (None, true, None, Some(first)) =
            (lineage.last(), self.sharing.writable, block.text("owner"), self.sharing.users.first())
        {
            // Nobody else could write into a new directory.
            block.attributes.insert("owner".into(), Attribute::default_value(Datum::text(first.name.as_str())));
        }
        let named = |name: &str| {
            let text = block.text(name).filter(|text| newcomers.iter().any(|one| one == text) && !is_ignored(name));
            text.map(str::to_owned)
        };
        let owner = named("owner");
        let group = match named("group") {
            // The group of a new user is made with it.
            Some(group) if people::read_group(facts, &group)?.is_none() => Some(group),
            _ => None,
        };
        for (name, by_name) in [("owner", &owner), ("group", &group)] {
            if by_name.is_some() {
                block.attributes.remove(name);
            }
        }
        let wanted = Permissions::resolve(&block, facts, self.host, &mut verdict.hazards)?;
        let made = Inode {
            file_type: FileType::Directory,
            mode: Mode::new(0o755).expect("twelve bits"),
            uid: 0,
            gid: 0,
            device: 0,
            inode: 0,
        };
        let (have, guard) = match lineage.last() {
            Some(inode) => {
                verdict.observed.insert("directory".to_owned(), "present".to_owned());
                verdict.observed.insert("owner".to_owned(), self.ground.user_name(inode.uid));
                verdict.observed.insert("group".to_owned(), self.ground.group_name(inode.gid));
                verdict.observed.insert("mode".to_owned(), inode.mode.to_string());
                (inode.clone(), vec![ground::still(at, inode)])
            }
            None => {
                let drafts = vec![ground::make_directory(lineage)];
                verdict.differences.push(Difference::new("directory", "absent", at, Remedy::Run(drafts)));
                (made, Vec::new())
            }
        };
        let mut differences = ground::permission_differences(at, &wanted, Some(&have), &self.ground, &guard);
        ground::keep_first_guard(&mut differences);
        verdict.differences.extend(differences);
        if owner.is_none() && group.is_none() {
            return Ok(None);
        }
        let argument = match &group {
            Some(group) => format!("{}:{group}", owner.clone().unwrap_or_default()),
            None => owner.clone().unwrap_or_default(),
        };
        let before = format!("{}:{}", have.uid, have.gid);
        let draft = Draft::new(
            "chown",
            format!("give {at} to {argument}"),
            Command::new(["set_owner", at, &have.number(), &argument]),
        )
        .undone_by(Command::new(["set_owner", at, &have.number(), &before]));
        let attribute = if owner.is_some() { "owner" } else { "group" };
        let shown = format!("{}:{}", self.ground.user_name(have.uid), self.ground.group_name(have.gid));
        Ok(Some(Difference::new(attribute, shown, argument, Remedy::Run(vec![draft]))))
    }

    /// Whether the users get at what is shared: seen now, or tried by the last steps of the plan.
    pub(super) fn judge_access(&self, verdict: &mut Verdict, lineage: &Lineage, logins: &[(String, LoggedIn)]) {
        let at = self.sharing.path.as_str();
        let reads_only = !self.sharing.writable;
        if verdict.drafts().next().is_some() {
            let mut drafts = Vec::new();
            for user in &self.sharing.users {
                let one = QemuUser { name: user.name.clone(), uid: 0, gid: 0, groups: Vec::new() };
                drafts.push(ground::check_access(at, &one, reads_only));
                if let Some(password) = user.password.as_ref() {
                    let words = ["try_samba_login", at, &self.sharing.share, &user.name];
                    let command = Command::new(words).with_stdin(format!("{password}\n"));
                    let summary = format!("log in to {} as {}", self.sharing.share, user.name);
                    drafts.push(Draft::new("login", summary, command));
                }
            }
            let want = if reads_only { "readable by its users" } else { "usable by its users" };
            verdict.differences.push(Difference::new("access", "not tried", want, Remedy::Run(drafts)));
            return;
        }
        if !lineage.exists() {
            return;
        }
        for user in &self.sharing.users {
            let said = logins.iter().find(|(name, _)| *name == user.name).map(|(_, said)| said);
            if let Some(LoggedIn::Denied(text) | LoggedIn::NoShare(text)) = said {
                verdict.hazards.push(self.hazard(
                    HazardCode::NoAccess,
                    format!("Samba does not let {} into {} on {}: {text}", user.name, self.sharing.share, self.host),
                    format!("Look at the permissions of {at} and of the directories above it, and at `hosts allow` in smb.conf."),
                ));
                continue;
            }
            let question = people::access_question(&user.name, at, reads_only);
            if self.scene.host(self.host).said(&question).is_ok_and(|reply| reply.out.trim() == "no") {
                let how = if reads_only { "read" } else { "write" };
                verdict.hazards.push(self.hazard(
                    HazardCode::NoAccess,
                    format!("{} cannot {how} {at} on {}", user.name, self.host),
                    format!(
                        "Set owner, group and mode so that {} can, and let it pass the directories above.",
                        user.name
                    ),
                ));
            }
        }
    }
}
