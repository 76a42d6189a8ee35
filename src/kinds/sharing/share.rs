//! What Samba reads: the file of the share, and the line of smb.conf that includes it.

use std::collections::BTreeSet;

use super::{Look, Sharing};
use crate::kinds::ask::fstab::encode_id;
use crate::kinds::ask::samba::{self, CONFIGURATION, PARAMETERS};
use crate::kinds::verdict::{Difference, Draft, Edit, Remedy, Standing, Verdict};
use crate::model::{Command, HazardCode};

/// What the first line of a file of Larder's begins with; the address follows.
const MARK: &str = "# larder.id=";

impl Sharing {
    /// The values of [`PARAMETERS`], as testparm(1) tells them.
    fn values(&self) -> [String; 4] {
        let yes_or_no = |is: bool| if is { "Yes" } else { "No" }.to_owned();
        let names = self.users.iter().map(|user| user.name.as_str()).collect::<Vec<_>>().join(" ");
        [self.path.clone(), yes_or_no(!self.writable), names, yes_or_no(false)]
    }
}

/// Whether a value is as wanted; a list may be told with commas or without.
fn is_same(parameter: &str, have: &str, want: &str) -> bool {
    let names = |text: &str| {
        text.split([' ', ',', '\t']).filter(|name| !name.is_empty()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    match parameter {
        "valid users" => names(have) == names(want),
        "path" => have == want,
        _ => have.eq_ignore_ascii_case(want),
    }
}

impl Look<'_> {
    /// The text of the share's file.
    fn file_text(&self) -> String {
        let values = self.sharing.values();
        let mut text = format!(
            "{MARK}{}\n# Written by Larder: what is changed here by hand is put back.\n[{}]\n",
            encode_id(&self.address.to_string()),
            self.sharing.share
        );
        for (parameter, value) in PARAMETERS.iter().zip(values) {
            text.push_str(&format!(
                "\t{parameter} = {}\n",
                if *parameter == "valid users" { value.replace(' ', ", ") } else { value }
            ));
        }
        text
    }

    /// Whether a file below [`samba::DIRECTORY`] is this resource's: by its mark, or, where somebody has taken that out, because the
    /// state says so.
    pub(super) fn is_own_file(&self, text: &str) -> bool {
        let mark = text.lines().next().and_then(|line| line.strip_prefix(MARK));
        match mark {
            Some(id) => self.scene.names(self.address).iter().any(|name| encode_id(name) == id.trim_end()),
            None => self.scene.was_seen(self.address, self.host),
        }
    }

    /// The file and the line that includes it. Gives whether the rest of the share can be judged.
    pub(super) fn judge_share(&self, verdict: &mut Verdict) -> Result<bool, String> {
        let facts = self.scene.host(self.host);
        let (file, share) = (self.sharing.file(), self.sharing.share.as_str());
        let configuration = samba::read_configuration(facts)?;
        let includes = samba::includes(&configuration, &file);
        let held = samba::read_file(facts, &file)?;
        let inode = self.lineage(&file)?.last().cloned();
        if held.is_some() != inode.is_some() {
            return Err(format!("{file} came or went while it was looked at"));
        }
        let read = samba::read_share(facts, share)?;
        if read.elsewhere {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!("{} has a share {share} already, in {CONFIGURATION} or a file that it includes", self.host),
                "Give this one another name, or remove that share there first.",
            ));
            return Ok(false);
        }
        if held.as_ref().is_some_and(|text| !self.is_own_file(text)) {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!("{file} on {} belongs to another resource or configuration", self.host),
                "Give the share another name. If the file is left over, remove it and the line that includes it by hand.",
            ));
            return Ok(false);
        }
        if held.is_some() || !includes.is_empty() {
            verdict.standing = Standing::Present;
        }
        let wanted = self.file_text();
        let is_roots = inode.as_ref().is_none_or(|inode| inode.uid == 0 && inode.mode.bits() == 0o644);
        let values = read.values.unwrap_or_default();
        for (parameter, value) in PARAMETERS.iter().zip(&values) {
            verdict.observed.insert((*parameter).to_owned(), value.clone());
        }
        if held.as_deref() != Some(wanted.as_str()) || !is_roots {
            self.write_file(verdict, held.as_deref(), &wanted, &values, is_roots);
        } else if let (false, Some((parameter, have, want))) = (includes.is_empty(), self.misread(&values)) {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!(
                    "Samba on {} reads {parameter:?} of {share} as {have:?}, although {file} says {want:?}",
                    self.host
                ),
                format!(
                    "Something behind the line that includes {file} in {CONFIGURATION} changes it: move or remove that."
                ),
            ));
            return Ok(false);
        }
        match includes.as_slice() {
            [_] => {
                verdict.observed.insert("include".to_owned(), "present".to_owned());
            }
            _ => self.include(verdict, &file, includes, &configuration),
        }
        Ok(true)
    }

    /// The first parameter that Samba reads otherwise than it is wanted.
    fn misread(&self, values: &[String]) -> Option<(&'static str, String, String)> {
        let wanted = self.sharing.values();
        let told = PARAMETERS.iter().zip(values).zip(wanted);
        let mut wrong = told.filter(|((parameter, have), want)| !is_same(parameter, have, want));
        if values.is_empty() {
            return Some(("path", "nothing".to_owned(), self.sharing.path.clone()));
        }
        wrong.next().map(|((parameter, have), want)| (*parameter, have.clone(), want))
    }

    fn write_file(&self, verdict: &mut Verdict, held: Option<&str>, wanted: &str, values: &[String], is_roots: bool) {
        let file = self.sharing.file();
        let summary = match held {
            None => format!("write the share {} to {file}", self.sharing.share),
            Some(_) => format!("change the share {} in {file}", self.sharing.share),
        };
        let write = |text: &str| Command::new(["write_samba_share", &file]).with_stdin(text);
        let draft = Draft::new("share", summary, write(wanted))
            .guarded([samba::nowhere_else(&self.sharing.share), samba::unchanged(&file, held)])
            .rolling_back();
        let mut draft = match held {
            None => draft.undone_by(Command::new(["remove_samba_share", &file])),
            Some(before) => draft.undone_by(write(before)),
        };
        draft.edit =
            Some(Edit::Whole { path: file, before: held.unwrap_or_default().to_owned(), after: wanted.to_owned() });
        let mut remedy = vec![draft];
        let wanted_values = self.sharing.values();
        let changed = PARAMETERS.iter().zip(values).zip(wanted_values);
        for ((parameter, have), want) in changed.filter(|((parameter, have), want)| !is_same(parameter, have, want)) {
            let steps = std::mem::take(&mut remedy);
            verdict.differences.push(Difference::new(parameter, have.clone(), want, Remedy::Run(steps)));
        }
        if !remedy.is_empty() {
            let have = match held {
                None => "absent",
                Some(_) if !is_roots => "not root's alone to write",
                Some(_) => "changed",
            };
            let want = format!("{} at {}", self.sharing.share, self.sharing.path);
            verdict.differences.push(Difference::new("share", have, want, Remedy::Run(remedy)));
        }
    }

    /// Adds the line that includes the file, or makes several one.
    fn include(&self, verdict: &mut Verdict, file: &str, old: Vec<String>, configuration: &str) {
        let line = old.first().cloned().unwrap_or_else(|| format!("include = {file}"));
        let have = if old.is_empty() { "absent".to_owned() } else { old.join("\n") };
        let draft = edit(file, old, Some(line.clone()), configuration)
            .guarded([samba::nowhere_else(&self.sharing.share)])
            .rolling_back();
        verdict.differences.push(Difference::new("include", have, line, Remedy::Run(vec![draft])));
    }
}

/// The step that edits smb.conf, and takes exactly that back.
pub(super) fn edit(file: &str, old: Vec<String>, new: Option<String>, text: &str) -> Draft {
    let summary = match (&new, old.is_empty()) {
        (Some(_), true) => format!("include {file} in {CONFIGURATION}"),
        (Some(_), false) => format!("include {file} once in {CONFIGURATION}"),
        (None, _) => format!("remove the line of {file} from {CONFIGURATION}"),
    };
    let words = |new: &str, old: &[String]| {
        Command::new(["edit_samba".to_owned(), new.to_owned()].into_iter().chain(old.iter().cloned()))
    };
    let draft = Draft::new("include", summary, words(new.as_deref().unwrap_or_default(), &old));
    let draft = match (&new, old.as_slice()) {
        // A text without a newline at its end gets one when a line is appended; the dash takes that back as well.
        (Some(line), []) if !text.is_empty() && !text.ends_with('\n') => {
            draft.undone_by(words("-", std::slice::from_ref(line)))
        }
        (Some(line), []) => draft.undone_by(words("", std::slice::from_ref(line))),
        (None, [one]) => draft.undone_by(words(one, &[])),
        _ => draft.without_inverse("several lines become one"),
    };
    draft.editing(Edit::Lines { path: CONFIGURATION.into(), remove: old, insert: new })
}
