//! Who may log in: users of the system, and of Samba's own database.

use std::collections::BTreeSet;

use super::{Look, Sharing, User};
use crate::kinds::ask::people;
use crate::kinds::ask::samba::{self, LoggedIn};
use crate::kinds::host;
use crate::kinds::media_share::host_of;
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Command, Guard, HazardCode};

/// What NT_STATUS says that a new password mends.
const MENDED_BY_A_PASSWORD: [&str; 6] = [
    "NT_STATUS_LOGON_FAILURE",
    "NT_STATUS_WRONG_PASSWORD",
    "NT_STATUS_NO_SUCH_USER",
    "NT_STATUS_ACCOUNT_DISABLED",
    "NT_STATUS_PASSWORD_EXPIRED",
    "NT_STATUS_PASSWORD_MUST_CHANGE",
];

impl Look<'_> {
    /// The users that the host does not have.
    pub(super) fn newcomers(&self) -> Result<Vec<String>, String> {
        let mut all = Vec::new();
        for user in &self.sharing.users {
            if people::read_user(self.scene.host(self.host), &user.name)?.is_none() {
                all.push(user.name.clone());
            }
        }
        Ok(all)
    }

    pub(super) fn make_system_users(&self, verdict: &mut Verdict, newcomers: &[String]) -> Result<(), String> {
        for user in &self.sharing.users {
            if people::read_user(self.scene.host(self.host), &user.name)? == Some(0) {
                verdict.hazards.push(self.hazard(
                    HazardCode::Unsupported,
                    format!("{} is root on {}", user.name, self.host),
                    "Name a user who is nobody else: Larder makes one that is missing.",
                ));
            }
        }
        for name in newcomers {
            if people::read_group(self.scene.host(self.host), name)?.is_some() {
                verdict.hazards.push(self.hazard(
                    HazardCode::Unsupported,
                    format!("{} has a group {name} and no such user", self.host),
                    "Nobody knows what that group opens: choose another name, or make the user there yourself.",
                ));
                continue;
            }
            let draft = Draft::new(
                "user",
                format!("make the user {name}, who cannot log in"),
                Command::new(["add_system_user", name]),
            )
            .without_inverse("files may belong to the user by then");
            let guard = Guard {
                what: format!("the user {name}"),
                ask: people::user_question(name).ok_or("a user cannot have a number for a name")?,
                status: 2,
                out: String::new(),
            };
            // Another share of this plan may make the user before.
            let draft = if self.is_made_beside(name) { draft } else { draft.guarded([guard]) };
            let attribute = format!("user {name}");
            verdict.differences.push(Difference::new(&attribute, "absent", "present", Remedy::Run(vec![draft])));
        }
        Ok(())
    }

    /// The users in Samba's own database, with their passwords. Gives what came of their logins.
    pub(super) fn judge_accounts(&self, verdict: &mut Verdict) -> Result<Vec<(String, LoggedIn)>, String> {
        let facts = self.scene.host(self.host);
        let mut logins = Vec::new();
        for user in &self.sharing.users {
            let Some(password) = &user.password else { continue };
            let draft = Draft::new(
                "password",
                format!("set the password of {} in Samba", user.name),
                Command::new(["set_samba_password", &user.name]).with_stdin(format!("{password}\n{password}\n")),
            );
            let attribute = format!("password of {}", user.name);
            samba::read_claim(facts, &user.name)?;
            if !samba::read_account(facts, &user.name)? {
                let command =
                    Command::new(["add_samba_user", &user.name]).with_stdin(format!("{password}\n{password}\n"));
                let draft = Draft { command, ..draft }
                    .guarded([Guard {
                        what: format!("the user {} of Samba", user.name),
                        ask: samba::account_question(&user.name),
                        status: 0,
                        out: "absent\n".to_owned(),
                    }])
                    .undone_by(Command::new(["drop_samba_user", &user.name]))
                    .rolling_back();
                // Two shares of one plan may have the user: the second finds it there.
                let draft = match self.is_made_beside(&user.name) {
                    true => Draft { guard: Vec::new(), ..draft }.without_inverse("another share has the user too"),
                    false => draft,
                };
                let attribute = format!("samba user {}", user.name);
                verdict.differences.push(Difference::new(&attribute, "absent", "present", Remedy::Run(vec![draft])));
                continue;
            }
            let draft = draft.without_inverse("the former password cannot be read back");
            if !self.installed.service.runs() {
                let (have, want) = ("cannot be tried while smbd does not run", "as wanted");
                verdict.differences.push(Difference::new(&attribute, have, want, Remedy::Run(vec![draft])));
                continue;
            }
            let Some(login) = self.sharing.login(user) else { continue };
            let said = samba::read_login(facts, &login)?;
            match &said {
                LoggedIn::Unreachable(text) => {
                    return Err(format!("smbd runs and lets nobody log in on 127.0.0.1: {text}"));
                }
                LoggedIn::Refused(text) if MENDED_BY_A_PASSWORD.iter().any(|status| text.contains(status)) => {
                    let remedy = Remedy::Run(vec![draft]);
                    verdict.differences.push(Difference::new(&attribute, "another one", "as wanted", remedy));
                }
                LoggedIn::Refused(text) => verdict.hazards.push(self.hazard(
                    HazardCode::Unsupported,
                    format!("Samba does not let {} log in on {}: {text}", user.name, self.host),
                    format!("Look at the account there: `pdbedit -v -u {}`.", user.name),
                )),
                LoggedIn::Yes | LoggedIn::NoShare(_) | LoggedIn::Denied(_) => {
                    verdict.observed.insert(attribute, "as wanted".to_owned());
                }
            }
            logins.push((user.name.clone(), said));
        }
        self.drop_former_users(verdict)?;
        Ok(logins)
    }

    /// Users whom the block named before and does not name now: those that Larder made and that nobody else has go.
    fn drop_former_users(&self, verdict: &mut Verdict) -> Result<(), String> {
        let Some(previous) = self.scene.previous(self.address) else { return Ok(()) };
        if host_of(previous).as_ref() != Some(self.host) {
            return Ok(()); // what is there is taken away as a whole
        }
        let Some(previous) = Sharing::of(previous) else { return Ok(()) };
        let is_wanted = |former: &&User| self.sharing.users.iter().any(|user| user.name == former.name);
        let former = previous.users.iter().filter(|former| !is_wanted(former));
        former.map(|former| &former.name).try_for_each(|name| self.drop_account(verdict, name))
    }

    /// Takes an account out of Samba's database that carries the mark of Larder, unless a share that stays may need it. The mark of one
    /// that somebody else has taken out already goes too.
    fn drop_account(&self, verdict: &mut Verdict, name: &str) -> Result<(), String> {
        if self.is_used_elsewhere(name) {
            return Ok(());
        }
        let facts = self.scene.host(self.host);
        let claim = samba::read_claim(facts, name)?;
        if claim.is_outlived {
            let draft = Draft::new(
                "samba-user",
                format!("remove the mark of {name}, whom somebody has removed from Samba or made anew"),
                Command::new(["remove_samba_user", name]),
            )
            .without_inverse("what it is of is gone");
            let attribute = format!("mark of {name}");
            verdict.differences.push(Difference::new(
                &attribute,
                "of an account that is gone",
                "absent",
                Remedy::Run(vec![draft]),
            ));
        }
        if !claim.is_marked {
            return Ok(());
        }
        // Of several shares that leave a user together the last one takes it along. One that has left already waits for nobody.
        let leave = self.shares_that_leave(name);
        let (own, others): (Vec<_>, Vec<_>) = claim.shares.iter().partition(|share| self.own_shares().contains(*share));
        if others.iter().any(|share| own.is_empty() || !leave.contains(*share)) {
            return Ok(());
        }
        let draft = Draft::new(
            "samba-user",
            format!("remove the user {name} from Samba, unless a share there may still need it; the system's stays"),
            Command::new(["remove_samba_user", name]),
        )
        .without_inverse("the password cannot be read back");
        let attribute = format!("samba user {name}");
        verdict.differences.push(Difference::new(&attribute, "present", "absent", Remedy::Run(vec![draft])));
        Ok(())
    }

    /// The same for all users of a share that goes.
    pub(super) fn drop_accounts(&self, verdict: &mut Verdict) -> Result<(), String> {
        self.sharing.users.iter().try_for_each(|user| self.drop_account(verdict, &user.name))
    }

    /// What the share is and was called, as Samba compares names.
    fn own_shares(&self) -> BTreeSet<String> {
        let previous = self.scene.previous(self.address).and_then(Sharing::of);
        previous.iter().chain([&self.sharing]).map(|sharing| sharing.share.to_ascii_lowercase()).collect()
    }

    /// The names of the other shares on the host that had a user when they were applied last and are not to have it now.
    fn shares_that_leave(&self, name: &str) -> BTreeSet<String> {
        let has = |sharing: &Sharing| sharing.users.iter().any(|user| user.name == name);
        let recorded = self.scene.memory.iter().filter(|(address, _)| {
            address.kind == self.address.kind
                && **address != *self.address
                && !self.scene.wanted.get(*address).and_then(Sharing::of).is_some_and(|sharing| has(&sharing))
        });
        let blocks = recorded.filter_map(|(_, memory)| memory.block.as_ref());
        let blocks = blocks.filter(|block| host_of(block).as_ref() == Some(self.host));
        blocks.filter_map(Sharing::of).map(|sharing| sharing.share.to_ascii_lowercase()).collect()
    }

    /// The other shares that are wanted on the host.
    fn shares_beside(&self) -> impl Iterator<Item = Sharing> {
        let others = self.scene.wanted.values().filter(|other| {
            other.address.kind == self.address.kind
                && other.address != *self.address
                && other.resource("host").is_some_and(|host| host::name_of(host) == *self.host)
        });
        others.filter_map(Sharing::of)
    }

    fn is_made_beside(&self, name: &str) -> bool {
        self.shares_beside().any(|other| other.users.iter().any(|user| user.name == name))
    }

    /// Whether another share is to have the user when the plan has run. One that stays and of which nothing is known counts.
    fn is_used_elsewhere(&self, name: &str) -> bool {
        let stays = self.scene.owners.get(self.host).into_iter().flat_map(|owners| owners.values());
        let mut strangers = stays.filter(|address| {
            address.kind == self.address.kind && **address != *self.address && !self.scene.wanted.contains_key(*address)
        });
        self.is_made_beside(name) || strangers.next().is_some()
    }
}
