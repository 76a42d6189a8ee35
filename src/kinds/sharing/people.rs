//! Who may log in: users of the system, and of Samba's own database.

use std::collections::BTreeSet;

use super::{Look, Sharing, User};
use crate::kinds::ask::people;
use crate::kinds::ask::samba::{self, LoggedIn};
use crate::kinds::host;
use crate::kinds::verdict::{Difference, Draft, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Block, Command, Guard, HazardCode};

/// Where the state remembers which users of Samba were made for a share.
const MADE: &str = "samba-users";

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
        let mut made = self.made();
        let mut logins = Vec::new();
        for user in &self.sharing.users {
            let Some(password) = &user.password else { continue };
            let draft = Draft::new(
                "password",
                format!("set the password of {} in Samba", user.name),
                Command::new(["set_samba_password", &user.name]).with_stdin(format!("{password}\n{password}\n")),
            );
            let attribute = format!("password of {}", user.name);
            if !samba::read_account(facts, &user.name)? {
                made.insert(user.name.clone());
                let draft = draft
                    .guarded([Guard {
                        what: format!("the user {} of Samba", user.name),
                        ask: samba::account_question(&user.name),
                        status: 0,
                        out: "absent\n".to_owned(),
                    }])
                    .undone_by(Command::new(["smbpasswd", "-x", &user.name]))
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
                    match self.contradicted(user) {
                        Some(other) => verdict.hazards.push(self.hazard(
                            HazardCode::Unsupported,
                            format!("{other} has another password for {} on {}", user.name, self.host),
                            "A user has one password on a host: give both shares the same, or users of their own.",
                        )),
                        None => verdict.differences.push(Difference::new(
                            &attribute,
                            "another one",
                            "as wanted",
                            Remedy::Run(vec![draft]),
                        )),
                    }
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
        self.drop_former_users(verdict, &mut made)?;
        if !made.is_empty() || self.scene.remembered(self.address, self.host, MADE).is_some() {
            verdict.memory.insert(MADE.to_owned(), serde_json::json!(made).to_string());
        }
        Ok(logins)
    }

    /// Users whom the block named before and does not name now: those that were made for it and that nobody else has go.
    fn drop_former_users(&self, verdict: &mut Verdict, made: &mut BTreeSet<String>) -> Result<(), String> {
        let is_wanted = |name: &String| self.sharing.users.iter().any(|user| user.name == *name);
        for name in made.clone().into_iter().filter(|name| !is_wanted(name)) {
            made.remove(&name);
            self.drop_account(verdict, &name)?;
        }
        Ok(())
    }

    /// Takes a user out of Samba's database, unless another share has it.
    fn drop_account(&self, verdict: &mut Verdict, name: &str) -> Result<(), String> {
        if self.is_used_elsewhere(name) {
            return Ok(());
        }
        let facts = self.scene.host(self.host);
        // Who is not named any more was not asked for; removing is guarded by itself.
        if facts.said(&samba::account_question(name)).is_ok() && !samba::read_account(facts, name)? {
            return Ok(());
        }
        let draft = Draft::new(
            "samba-user",
            format!("remove the user {name} from Samba, unless a share there still names it; the system's stays"),
            Command::new(["remove_samba_user", name]),
        )
        .without_inverse("the password cannot be read back");
        let attribute = format!("samba user {name}");
        verdict.differences.push(Difference::new(&attribute, "present", "absent", Remedy::Run(vec![draft])));
        Ok(())
    }

    /// The same for all that were made for the share.
    pub(super) fn drop_accounts(&self, verdict: &mut Verdict) -> Result<(), String> {
        self.made().iter().try_for_each(|name| self.drop_account(verdict, name))
    }

    /// The users of Samba that were made for this share.
    fn made(&self) -> BTreeSet<String> {
        let text = self.scene.remembered(self.address, self.host, MADE);
        text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }

    /// The other shares that are wanted on the host.
    fn shares_beside(&self) -> Vec<(&Block, Sharing)> {
        let others = self.scene.wanted.values().filter(|other| {
            other.address.kind == self.address.kind
                && other.address != *self.address
                && other.resource("host").is_some_and(|host| host::name_of(host) == *self.host)
        });
        others.filter_map(|other| Some((other, Sharing::of(other)?))).collect()
    }

    fn is_made_beside(&self, name: &str) -> bool {
        self.shares_beside().iter().any(|(_, other)| other.users.iter().any(|user| user.name == name))
    }

    /// Whether another share is to have the user when the plan has run. One that stays and of which nothing is known counts.
    fn is_used_elsewhere(&self, name: &str) -> bool {
        let stays = self.scene.owners.get(self.host).into_iter().flat_map(|owners| owners.values());
        let mut strangers = stays.filter(|address| {
            address.kind == self.address.kind && **address != *self.address && !self.scene.wanted.contains_key(*address)
        });
        self.is_made_beside(name) || strangers.next().is_some()
    }

    /// Another share on the host that has the user with a password which is right.
    fn contradicted(&self, user: &User) -> Option<String> {
        let facts = self.scene.host(self.host);
        let lets_in = |other: &Sharing| {
            let same = other.users.iter().find(|one| one.name == user.name);
            let said = same.and_then(|same| samba::read_login(facts, &other.login(same)?).ok());
            matches!(said, Some(LoggedIn::Yes | LoggedIn::NoShare(_) | LoggedIn::Denied(_)))
        };
        let others = self.shares_beside();
        others.iter().find(|(_, other)| lets_in(other)).map(|(block, _)| block.address.to_string())
    }
}
