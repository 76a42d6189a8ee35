//! What mounts a volume at boot: its line in /etc/fstab.

use super::{Look, Mounted, Source, clustered, file_system};
use crate::kinds::ask::device::Found;
use crate::kinds::ask::fstab::{self, Entry, Line, encode_id, holds_password, without_passwords};
use crate::kinds::verdict::{Difference, Draft, Edit, Remedy, Verdict};
use crate::model::block::Attributes;
use crate::model::{Address, Command, Hazard, HazardCode, Mode, Size};

impl Look<'_> {
    /// The line that the volume is to have, if any.
    pub(super) fn fstab_entry(&self, uuid: Option<&str>) -> Option<Entry> {
        self.boot_entry(uuid).filter(|_| !matches!(self.block.text("persist"), Some("none" | "systemd")))
    }

    /// Whether it can be mounted only while the network is up, and has to be unmounted before that goes down: also a disk of iSCSI.
    pub(super) fn needs_network(&self) -> bool {
        self.source.is_network()
            || self.clustered.is_some()
            || matches!(&self.device, Some(Found::Device(device)) if device.is_remote)
    }

    /// What is to be mounted at boot, wherever that is written.
    pub(super) fn boot_entry(&self, uuid: Option<&str>) -> Option<Entry> {
        if self.source == Source::Directory {
            return None;
        }
        let fstype = self.source.fstype().unwrap_or("none").to_owned();
        let mut options = self.options();
        if options.is_empty() {
            options.push("defaults".to_owned());
        }
        let is_new = self.options_that_stay().is_none();
        if is_new && self.needs_network() && !options.iter().any(|option| option == "_netdev") {
            options.push("_netdev".to_owned());
        }
        if is_new && self.clustered.is_some() && !options.iter().any(|option| option == clustered::ORDER) {
            options.push(clustered::ORDER.to_owned());
        }
        if is_new && !matches!(self.source, Source::Tmpfs { .. }) && !options.iter().any(|option| option == "nofail") {
            options.push("nofail".to_owned());
        }
        let id = format!("{}={}", fstab::ID_OPTION, encode_id(&self.address.to_string()));
        match options.iter_mut().find(|option| option.starts_with(fstab::ID_OPTION)) {
            Some(old) => *old = id,
            None => options.push(id),
        }
        let pass = file_system(&fstype).map_or(0, |one| one.pass);
        Some(Entry { source: self.mount_source(uuid), target: self.at.to_owned(), fstype, options, dump: 0, pass })
    }

    /// Brings the lines of the volume in fstab to what they are to be. A line that somebody else wrote and that does the same
    /// is left as it is.
    pub(super) fn tidy_fstab(&self, verdict: &mut Verdict, wanted: Option<Entry>) {
        let names = self.scene.names(self.address);
        if let Some(other) = self.ground.fstab.claimed_by_others(&names, self.at) {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!("the line of {} in /etc/fstab on {} belongs to {other}", self.at, self.host),
                "Another resource or configuration manages this mount point. Remove it there, or choose another mount_point.",
            ));
            return;
        }
        let lines = self.ground.fstab.lines_for(&names, &[self.at]);
        let elsewhere = lines.iter().filter_map(|line| line.entry.as_ref()).find(|entry| {
            let target = fstab::normalised(&entry.target);
            target != self.at && !self.was_at(&target)
        });
        if let Some(entry) = elsewhere {
            verdict.hazards.push(self.hazard(
                HazardCode::Foreign,
                format!(
                    "/etc/fstab on {} has a line of {} for {}, which this state knows nothing of",
                    self.host,
                    entry.id().unwrap_or_default(),
                    entry.target
                ),
                "Another configuration has a resource of that name there: rename this one. If the line is left over, unmount it and remove the line by hand.",
            ));
            return;
        }
        if wanted.is_none()
            && matches!(self.source, Source::Directory)
            && lines.iter().all(|line| line.entry.as_ref().is_some_and(|entry| entry.id().is_none()))
        {
            return; // a directory volume may lie on a mount of the administrator's
        }
        let new = wanted.as_ref().map(Entry::line);
        if let ([line], Some(wanted)) = (lines.as_slice(), &wanted)
            && (Some(&line.text) == new.as_ref() || self.does_the_same(line, wanted))
        {
            verdict.observed.insert("fstab".to_owned(), without_passwords(&line.text).into_owned());
            verdict.hazards.extend(self.boot_risk(line));
            return;
        }
        let foreign = lines
            .iter()
            .find(|line| line.entry.as_ref().is_some_and(|entry| entry.id().is_none() && !self.is_same_source(entry)));
        if let Some(line) = foreign {
            verdict.hazards.push(self.hazard(
                HazardCode::WrongSource,
                format!(
                    "/etc/fstab on {} mounts something else on {}: {}",
                    self.host,
                    self.at,
                    without_passwords(line.text.trim())
                ),
                "Remove the line, or choose another mount_point.",
            ));
            return;
        }
        if lines.is_empty() && new.is_none() {
            return;
        }
        let old: Vec<_> = lines.iter().map(|line| line.text.clone()).collect();
        if !old.is_empty() {
            verdict.observed.insert("fstab".to_owned(), without_passwords(&old.join("\n")).into_owned());
        }
        let is_there = !lines.is_empty() || matches!(self.mounted(), Mounted::Ours(_));
        if is_there && self.block.lifecycle.ignore_changes.contains("persist") {
            let ids = lines.iter().filter_map(|line| line.entry.as_ref()?.id()?.parse::<Address>().ok());
            verdict.formerly.extend(ids.filter(|id| id != self.address));
            return;
        }
        if let Some(hazard) = self.password_within("/etc/fstab", &old) {
            verdict.hazards.push(hazard);
            return;
        }
        let have = if old.is_empty() { "absent".to_owned() } else { old.join("\n") };
        let want = new.clone().unwrap_or_else(|| "absent".to_owned());
        let draft = edit_draft(self.at, old, new, &self.ground.fstab.text);
        let draft = if self.stays_mounted(verdict) { draft } else { draft.rolling_back() };
        verdict.differences.push(Difference::new("fstab", have, want, Remedy::Run(vec![draft])));
    }

    /// Why a text of the host cannot be changed by a plan: it has a password in it, which would stand in the plan.
    pub(super) fn password_within(&self, path: &str, texts: &[String]) -> Option<Hazard> {
        texts.iter().any(|text| holds_password(text)).then(|| {
            self.hazard(
                HazardCode::Foreign,
                format!("{path} on {} has a password among the mount options of {}", self.host, self.at),
                "A plan that changes it would show the password. Move it into a file that `credentials=` names (mount.cifs(8)), or take it out by hand.",
            )
        })
    }

    /// What a line of somebody else's does to the boot of a host that lacks the storage (systemd.mount(5), `nofail`). Such a line is
    /// left as it is, so it is said.
    fn boot_risk(&self, line: &Line) -> Option<Hazard> {
        let may_be_missing = self.source.is_network() || matches!(self.source, Source::Device { .. });
        let waits_for_it = |entry: &&Entry| {
            let harmless = ["nofail", "noauto", "x-systemd.automount"];
            !entry.options.iter().any(|option| harmless.contains(&option.as_str()))
        };
        let entry = line.entry.as_ref().filter(|_| may_be_missing).filter(waits_for_it)?;
        let what = match self.source.is_network() {
            true => "waits at each boot, for a minute and a half or more,",
            false => "stops its boot and asks for root's password",
        };
        Some(self.hazard(
            HazardCode::BootRisk,
            format!(
                "{} {what} if the storage of {} is missing: its line in /etc/fstab has no nofail",
                self.host, entry.target
            ),
            "Add `nofail` to the line. Or remove the line and apply: Larder's own has it.",
        ))
    }

    /// Whether a line without Larder's mark mounts the same thing with at least the same options.
    pub(super) fn does_the_same(&self, line: &Line, wanted: &Entry) -> bool {
        let entry = line.entry.as_ref().filter(|entry| entry.id().is_none());
        entry.is_some_and(|entry| self.is_entry_the_same(entry, wanted))
    }

    /// Whether a wanted option of NFS is what the line gets without saying it (nfs(5), mount(8)).
    fn is_so_anyhow(&self, entry: &Entry, option: &str) -> bool {
        let says_one_of = |names: &[&str]| entry.options.iter().any(|one| names.contains(&one.as_str()));
        let version = |name: &str| option.strip_prefix("vers=").map(|version| format!("{name}={version}"));
        matches!(self.source, Source::Nfs(_))
            && match option {
                "hard" => !says_one_of(&["soft", "softerr"]),
                "relatime" => !says_one_of(&["noatime", "strictatime"]),
                _ => version("nfsvers").is_some_and(|said| entry.options.contains(&said)),
            }
    }

    pub(super) fn is_entry_the_same(&self, entry: &Entry, wanted: &Entry) -> bool {
        let own = |option: &&String| !option.starts_with("x-larder.") && *option != "nofail" && *option != "defaults";
        let is_tmpfs = matches!(self.source, Source::Tmpfs { .. });
        let has = |option: &String| {
            entry.options.contains(option)
                || is_tmpfs && means_for_a_tmpfs(&entry.options, option)
                || self.is_so_anyhow(entry, option)
        };
        let has_all = wanted.options.iter().filter(own).all(has);
        let is_ro = |options: &[String]| options.iter().any(|option| option == "ro");
        fstab::normalised(&entry.target) == self.at
            && self.is_same_source(entry)
            && (entry.fstype == wanted.fstype
                || entry.fstype == "auto"
                || self.is_same_source(entry) && entry.fstype == "nfs4")
            && has_all
            && is_ro(&entry.options) == is_ro(&wanted.options)
            && !entry.options.iter().any(|option| option == "noauto")
    }
}

pub(super) fn edit_draft(path: &str, old: Vec<String>, new: Option<String>, text: &str) -> Draft {
    let summary = match (&new, old.is_empty()) {
        (Some(_), true) => format!("add the line of {path} to /etc/fstab"),
        (Some(_), false) => format!("change the line of {path} in /etc/fstab"),
        (None, _) => format!("remove the line of {path} from /etc/fstab"),
    };
    let words = |new: &Option<String>, old: &[String]| {
        Command::new(["edit_fstab".to_owned(), new.clone().unwrap_or_default()].into_iter().chain(old.iter().cloned()))
    };
    let draft = Draft::new("fstab", summary, words(&new, &old));
    let draft = match (&new, old.as_slice()) {
        // A text without a newline at its end gets one when a line is appended; the dash takes that back as well.
        (Some(line), []) if !text.is_empty() && !text.ends_with('\n') => {
            draft.undone_by(Command::new(["edit_fstab", "-", line]))
        }
        (Some(line), []) => draft.undone_by(words(&None, std::slice::from_ref(line))),
        (Some(line), [one]) => draft.undone_by(words(&Some(one.clone()), std::slice::from_ref(line))),
        (None, [one]) => draft.undone_by(words(&Some(one.clone()), &[])),
        _ => draft.without_inverse("several lines become one"),
    };
    draft.editing(Edit::Lines { path: "/etc/fstab".into(), remove: old, insert: new })
}

/// Options that mount(8), systemd and fstab(5) understand, and that are no state of a mount.
pub(in crate::kinds) fn is_for_boot_only(option: &str) -> bool {
    matches!(
        option,
        "defaults" | "nofail" | "auto" | "noauto" | "_netdev" | "user" | "users" | "nouser" | "owner" | "group"
    ) || ["x-", "X-", "comment="].iter().any(|prefix| option.starts_with(prefix))
}

/// Whether the options of a tmpfs in fstab come to the same as a wanted one (tmpfs(5)): sizes in whole pages, modes as octal
/// digits, and what is not said is root's with mode 1777.
pub(super) fn means_for_a_tmpfs(options: &[String], wanted: &str) -> bool {
    let Some((name, wanted)) = wanted.split_once('=') else { return false };
    let said = options.iter().rev().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let pages = |text: &str| text.parse::<Size>().ok().map(|size| size.0.div_ceil(4096));
    let mode = |text: &str| text.parse::<Mode>().ok();
    let number = |text: &str| text.parse::<u32>().ok();
    match name {
        "size" => said.is_some_and(|said| pages(said).is_some() && pages(said) == pages(wanted)),
        "mode" => mode(said.unwrap_or("1777")).is_some_and(|said| mode(wanted) == Some(said)),
        "uid" | "gid" => number(said.unwrap_or("0")).is_some_and(|said| number(wanted) == Some(said)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_a_tmpfs_is_read_by_meaning() {
        let table = [
            ("size=16M,mode=770", "size=16777216", true),
            ("size=16M,mode=770", "mode=0770", true),
            ("size=16M,mode=770", "uid=0", true),
            ("size=16M,mode=770", "uid=64055", false),
            ("size=16M,uid=64055", "uid=64055", true),
            ("size=16M", "mode=1777", true),
            ("size=16M", "mode=0770", false),
            ("size=50%", "size=16777216", false),
            ("defaults", "size=16777216", false),
            ("size=8M,size=16M", "size=16777216", true),
            ("size=16M,uid=qemu", "uid=0", false),
            ("nosuid", "noexec", false),
        ];
        for (line, wanted, expected) in table {
            let options: Vec<_> = line.split(',').map(str::to_owned).collect();
            assert_eq!(means_for_a_tmpfs(&options, wanted), expected, "{line} against {wanted}");
        }
    }
}
