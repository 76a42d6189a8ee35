//! One portal: the record by which the host logs in, and the session.

use super::{Attachment, Look, state_of};
use crate::kinds::ask::iscsi::{self, Portal, Record};
use crate::kinds::verdict::{Difference, Draft, Remedy, Standing, Verdict};
use crate::model::Command;

impl Attachment {
    /// What stands in records, as iscsi_set takes it. Without `chap` that is no affair of the block, unless it had one before.
    fn settings(&self, had_chap: bool) -> String {
        let mut all = vec![("startup", "automatic")];
        let chap = self.chap.as_ref();
        if chap.is_some() || had_chap {
            all.push(("session.auth.authmethod", if chap.is_some() { "CHAP" } else { "None" }));
            let text = |text: Option<&String>| text.map(String::as_str).unwrap_or_default().to_owned();
            let [username, password, username_in, password_in] = match chap {
                Some(chap) => {
                    [Some(&chap.username), chap.password.as_ref(), Some(&chap.username_in), chap.password_in.as_ref()]
                }
                None => [None; 4],
            }
            .map(text);
            let mut lines: String = all.iter().map(|(name, value)| format!("node.{name} = {value}\n")).collect();
            for (name, value) in [
                ("username", username),
                ("password", password),
                ("username_in", username_in),
                ("password_in", password_in),
            ] {
                lines.push_str(&format!("node.session.auth.{name} = {value}\n"));
            }
            return lines;
        }
        all.iter().map(|(name, value)| format!("node.{name} = {value}\n")).collect()
    }

    /// How the host is to show who it is, for people.
    fn shown_chap(&self) -> String {
        match &self.chap {
            None => "none".to_owned(),
            Some(chap) if chap.username_in.is_empty() => format!("as {}", chap.username),
            Some(chap) => format!("as {}, the target as {}", chap.username, chap.username_in),
        }
    }
}

/// How a record says that the host shows who it is.
fn shown(record: &Record) -> String {
    match (record.method.as_str(), record.username_in.as_str()) {
        ("CHAP", "") => format!("as {}", record.username),
        ("CHAP", peer) => format!("as {}, the target as {peer}", record.username),
        _ => "none".to_owned(),
    }
}

impl Look<'_> {
    /// Whether the block had credentials when it was applied last, which records then hold.
    fn had_chap(&self) -> bool {
        self.previous().is_some_and(|previous| previous.chap.is_some())
    }

    pub(super) fn judge_portal(&self, verdict: &mut Verdict, portal: &Portal) -> Result<(), String> {
        let iqn = &self.wanted.iqn;
        let records = iscsi::read_records(self.facts(), iqn, portal)?;
        let state = state_of(&self.sessions, portal);
        if !records.is_empty() || state != "logged out" {
            verdict.standing = Standing::Present;
        }
        verdict.observed.insert(format!("session {portal}"), state.to_owned());
        let wrong = self.wrong_settings(portal, &records)?;
        for record in records.iter().take(1) {
            verdict.observed.insert(format!("startup {portal}"), record.startup.clone());
            verdict.observed.insert(format!("chap {portal}"), shown(record));
        }
        let is_complete = state != "logged out" && !records.is_empty();
        let draft = match is_complete {
            true if wrong.is_empty() => return Ok(()),
            true => self.set(portal)?,
            false => self.login(portal, records.is_empty())?,
        };
        let mut differences = wrong;
        if records.is_empty() {
            differences.push((format!("record {portal}"), "absent".to_owned(), "automatic".to_owned()));
        }
        if state == "logged out" {
            differences.push((format!("session {portal}"), state.to_owned(), "logged in".to_owned()));
        }
        // One step mends them all.
        let mut drafts = vec![draft];
        verdict.differences.extend(differences.into_iter().map(|(attribute, have, want)| {
            Difference::new(&attribute, have, want, Remedy::Run(std::mem::take(&mut drafts)))
        }));
        Ok(())
    }

    /// What records say and should not: the attribute, what it is, what it should be.
    fn wrong_settings(&self, portal: &Portal, records: &[Record]) -> Result<Vec<(String, String, String)>, String> {
        let mut wrong = Vec::new();
        if let Some(record) = records.iter().find(|record| record.startup != "automatic") {
            wrong.push((format!("startup {portal}"), record.startup.clone(), "automatic".to_owned()));
        }
        if let Some(record) = records.iter().find(|record| !record.is_private) {
            wrong.push((format!("mode of {}", record.file), "not root's alone".to_owned(), "root's alone".to_owned()));
        }
        let want = self.wanted.shown_chap();
        let is_managed = self.wanted.chap.is_some() || self.had_chap();
        if let Some(record) = records.iter().find(|record| is_managed && shown(record) != want) {
            wrong.push((format!("chap {portal}"), shown(record), want));
            return Ok(wrong);
        }
        if let Some(passwords) = self.wanted.passwords().filter(|_| !records.is_empty()) {
            let others = iscsi::read_passwords(self.facts(), &self.wanted.iqn, portal, &passwords)?;
            if records.iter().any(|record| others.contains(&record.file)) {
                wrong.push((format!("password {portal}"), "another one".to_owned(), "as wanted".to_owned()));
            }
        }
        Ok(wrong)
    }

    /// The step that logs in, and lets the host do so at each boot.
    fn login(&self, portal: &Portal, makes_record: bool) -> Result<Draft, String> {
        let iqn = &self.wanted.iqn;
        let how = match &self.wanted.chap {
            Some(_) => format!(" {}", self.wanted.shown_chap()),
            None => String::new(),
        };
        let words = portal.words(iqn);
        let command = |name: &str| Command::new(std::iter::once(name.to_owned()).chain(words.clone()));
        let draft = Draft::new(
            "login",
            format!("log in to {iqn} at {portal}{how}, now and at each boot"),
            command("iscsi_login").with_stdin(self.wanted.settings(self.had_chap())),
        )
        .guarded([iscsi::record_guard(self.facts(), iqn, portal)?]);
        Ok(match makes_record {
            true => draft.undone_by(command("iscsi_logout")),
            false => draft.without_inverse("the record was there before, and what it said is not kept"),
        })
    }

    /// The step that corrects the record of a session, which goes on as it is.
    fn set(&self, portal: &Portal) -> Result<Draft, String> {
        let iqn = &self.wanted.iqn;
        let how = match &self.wanted.chap {
            Some(_) => format!(", login {}", self.wanted.shown_chap()),
            None => String::new(),
        };
        let words = portal.words(iqn).into_iter().take(3);
        Ok(Draft::new(
            "record",
            format!("correct the record of {iqn} at {portal}: automatic start{how}; the session goes on"),
            Command::new(std::iter::once("iscsi_set".to_owned()).chain(words))
                .with_stdin(self.wanted.settings(self.had_chap())),
        )
        .guarded([iscsi::record_guard(self.facts(), iqn, portal)?])
        .without_inverse("what the record said is not kept"))
    }
}
